"""Files out and in, compression, and event streams, as curl sees them."""
import json
import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

from harness import Case, PATIENCE, eventually, main


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Files(Case):
    def setUp(self):
        super().setUp()
        self.files = self.folder / "files"
        self.files.mkdir()
        self.large = os.urandom(20_000_000)
        (self.files / "large.bin").write_bytes(self.large)
        (self.files / "report.txt").write_text("".join(f"line {i} of a report\n" for i in range(20_000)))
        self.serving = self.service(environment={"SERVICE_FILES": str(self.files)})

    def curl(self, target, *arguments):
        """The answer's bytes."""
        done = subprocess.run(["curl", "--silent", "--show-error", "--path-as-is", "--max-time", str(PATIENCE), *arguments,
                               self.url(target)], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def status(self, target, *arguments):
        return int(self.curl(target, "--output", str(self.folder / "ignored"), "--write-out", "%{http_code}", *arguments))

    def url(self, target):
        host, port = self.serving.address
        return f"http://{host}:{port}{target}"

    def test_a_large_file_arrives_whole(self):
        self.assertEqual(self.curl("/files/large.bin"), self.large)

    def test_ranges(self):
        self.assertEqual(self.curl("/files/large.bin", "-r", "1000-1999"), self.large[1000:2000])
        self.assertEqual(self.curl("/files/large.bin", "-r", "-500"), self.large[-500:])
        several = self.curl("/files/large.bin", "-r", "0-9,1000000-1000009")
        self.assertIn(b"Content-Range: bytes 1000000-1000009/20000000\r\n\r\n" + self.large[1000000:1000010], several)
        self.assertEqual(self.status("/files/large.bin", "-r", "20000000-"), 416)
        part = self.folder / "part"
        part.write_bytes(self.large[:7_000_000])  # an interrupted download goes on
        self.curl("/files/large.bin", "--continue-at", "-", "--output", str(part))
        self.assertEqual(part.read_bytes(), self.large)

    def test_nothing_is_sent_twice(self):
        tag, first = self.folder / "tag", self.folder / "first"
        self.curl("/files/large.bin", "--etag-save", str(tag), "--output", str(first))
        self.assertEqual(self.status("/files/large.bin", "--etag-compare", str(tag)), 304)
        self.assertEqual(self.status("/files/large.bin", "--time-cond", str(first)), 304)

    def test_nothing_outside_of_the_folder(self):
        (self.folder / "secret").write_text("secret")
        (self.files / "link").symlink_to(self.folder / "secret")
        for target in ["/files/../secret", "/files/%2e%2e/secret", "/files/..%2fsecret", "/files/link"]:
            self.assertEqual(self.status(target), 404, target)

    def test_compression(self):
        plain = (self.files / "report.txt").read_bytes()
        for coding in ["gzip", "br", "zstd"]:
            encoded = self.curl("/files/report.txt", "-H", f"Accept-Encoding: {coding}")
            self.assertLess(len(encoded), len(plain) / 3, coding)
        self.assertEqual(self.curl("/files/report.txt", "--compressed"), plain)
        self.assertEqual(self.curl("/files/report.txt"), plain)
        head = self.curl("/report", "--compressed", "--head").decode()
        self.assertIn("Vary: Accept-Encoding", head)
        self.assertIn('Content-Disposition: attachment; filename="Bericht.txt"', head)

    def test_uploads(self):
        told = self.curl("/upload", "-F", "title=A title", "-F", f"file=@{self.files}/large.bin;type=x/y").decode()
        self.assertEqual(told, "A title: large.bin of 20000000 bytes")
        self.assertEqual((self.files / "saved").read_bytes(), self.large)
        self.assertEqual(self.status("/upload", "-F", "title=A title"), 422)
        self.assertEqual(self.status("/upload", "-F", f"file=@{self.files}/report.txt"), 422)
        names = sorted(entry.name for entry in self.files.iterdir())
        self.assertEqual(names, ["large.bin", "report.txt", "saved"], "nothing is left behind")

    def test_an_upload_for_which_there_is_no_room_is_told_so_and_leaves_nothing(self):
        resource.prlimit(self.serving.pid, resource.RLIMIT_FSIZE, (5_000_000, resource.RLIM_INFINITY))
        said = self.curl("/upload", "-F", "title=A title", "-F", f"file=@{self.files}/large.bin").decode()
        problem = json.loads(said)
        self.assertEqual(problem["status"], 507)
        self.assertIn("no room", problem["detail"])
        small = ("-F", "title=A title", "-F", f"file=@{self.files}/report.txt;type=x/y")
        self.assertEqual(self.status("/upload", *small), 200, "it serves on")
        self.assertEqual(sorted(entry.name for entry in self.files.iterdir()), ["large.bin", "report.txt", "saved"])
        resource.prlimit(self.serving.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertEqual(self.status("/upload", "-F", "title=A title", "-F", f"file=@{self.files}/large.bin"), 200)

    def test_a_body_is_read_as_it_comes(self):
        told = self.curl("/count", "-X", "PUT", "--data-binary", f"@{self.files}/large.bin").decode()
        self.assertEqual(told, "20000000 true")
        told = self.curl("/count", "-X", "PUT", "-H", "Transfer-Encoding: chunked", "--data-binary",
                         f"@{self.files}/large.bin").decode()
        self.assertEqual(told, "20000000 true")
        (self.files / "huge.bin").write_bytes(bytes(70_000_000))
        self.assertEqual(self.status("/count", "-X", "PUT", "--data-binary", f"@{self.files}/huge.bin"), 413)

    def test_events(self):
        stream = subprocess.Popen(["curl", "--silent", "--no-buffer", "-H", "Last-Event-ID: 41",
                                   self.url("/ticks?ms=3600000")], stdout=subprocess.PIPE)
        self.addCleanup(stream.stdout.close)
        self.addCleanup(stream.wait)
        self.addCleanup(stream.kill)
        self.assertEqual([stream.stdout.readline() for _ in range(3)], [b"id: 42\n", b"data: 42\n", b"\n"])
        self.assertEqual(stream.stdout.readline(), b":\n", "a heartbeat")
        stream.kill()
        eventually(lambda: "ticks ended" in self.serving.journal, "the generator is cancelled when its client leaves")

    def test_a_drain_ends_event_streams_in_order(self):
        stream = subprocess.Popen(["curl", "--silent", "--no-buffer", self.url("/ticks?ms=3600000")], stdout=subprocess.PIPE)
        self.addCleanup(stream.stdout.close)
        self.addCleanup(stream.wait)
        self.addCleanup(stream.kill)
        self.assertEqual(stream.stdout.readline(), b"id: 1\n")
        began = time.monotonic()
        self.serving.send_signal(signal.SIGTERM)
        stream.stdout.read()
        self.assertEqual(stream.wait(PATIENCE), 0, "curl saw the end of the body")
        self.assertEqual(self.serving.wait(), 0)
        self.assertLess(time.monotonic() - began, 25, "it did not wait until the drain lost patience")


if __name__ == "__main__":
    main()
