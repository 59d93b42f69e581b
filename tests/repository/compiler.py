"""Runs the compiler with the flags of the build (compile_commands.json)."""
import json
import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Compiler:
    def __init__(self, build):
        self.build = Path(build).resolve()
        self.commands = json.loads((self.build / "compile_commands.json").read_text())

    def sources(self):
        """Those for which no header of ours is precompiled."""
        return [Path(c["file"]) for c in self.commands if "service_tests.pch" not in c["command"]]

    def flags(self, folder):
        """The compiler and its flags without precompiled headers, as used for a file in the folder (or any file)."""
        chosen = next((c for c in self.commands if Path(c["file"]).is_relative_to(ROOT / folder)), self.commands[0])
        words = shlex.split(chosen["command"])
        kept, skip = [], False
        for word in words:
            if skip:
                skip = False
            elif word in {"-o", "-c", "-MF", "-MT", "-include-pch"}:
                skip = word != "-c"
            elif word not in {"-MD", chosen["file"]}:
                kept.append(word)
        return kept

    def run(self, flags, source, *more):
        """Compiles to nowhere. Gives (exit status, messages)."""
        command = [*flags, *more, "-fno-color-diagnostics", "-c", str(source), "-o", os.devnull]
        if "ccache" in Path(command[0]).name and "-fsyntax-only" in more:
            command = command[1:]
        done = subprocess.run(command, cwd=self.build, capture_output=True, text=True)
        return done.returncode, done.stderr


def in_parallel(work, items):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))
