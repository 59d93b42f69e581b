#!/usr/bin/env python3
"""Parts of `ashlar dev` by themselves: what happens while a program ends, and folders that come and go."""
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import ashlar_dev


class DevTest(unittest.TestCase):
    def test_a_signal_that_comes_while_a_program_ends_is_not_forgotten(self):
        dev = ashlar_dev.Dev.__new__(ashlar_dev.Dev)
        dev.events, dev.events_lock = [("signal", signal.SIGINT), ("line", None)], threading.Lock()
        # It ends at the second SIGTERM.
        program = subprocess.Popen(["/bin/sh", "-c", "trap 'trap \"exit 0\" TERM' TERM; echo up; while :; do sleep 0.05; done"],
                                   stdout=subprocess.PIPE)
        self.assertEqual(program.stdout.readline(), b"up\n")
        program.output = ashlar_dev.Output(program.stdout)
        dev.program = program
        dev.end_program()
        program.stdout.close()
        self.assertEqual(program.returncode, 0)
        self.assertIn(("signal", signal.SIGINT), dev.events)

    def test_a_folder_that_is_gone_before_it_is_read_is_no_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "gone").mkdir()
            scandir = ashlar_dev.os.scandir

            def late(path):
                if str(path).endswith("gone"):
                    Path(path).rmdir()
                return scandir(path)

            with mock.patch.object(ashlar_dev.os, "scandir", late):
                watch = ashlar_dev.Watch(Path(folder))
            ashlar_dev.os.close(watch.fd)


if __name__ == "__main__":
    unittest.main()
