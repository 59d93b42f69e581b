"""`ashlar dev`: builds a project, serves it, and does both again after each change.

It owns the listening socket and gives it to the program (LISTEN_FDS), which serves under its own supervisor. After a build that
worked it sends SIGHUP: the new worker serves before the old one drains. While a build is broken the old one goes on, and
browsers get a page with the errors, from the program (ASHLAR_DEV_PAGE) or, while none runs, from here.
"""
import ctypes
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from ashlar_dev_page import render

libc = ctypes.CDLL(None, use_errno=True)
IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_Q_OVERFLOW, IN_IGNORED, IN_ISDIR = 0x100, 0x200, 0x4000, 0x8000, 0x40000000
CHANGES = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
PR_SET_PDEATHSIG = 1
NOT_WATCHED = {"build", "node_modules", "__pycache__"}  # nor folders that begin with a dot
EDITORS_OWN = re.compile(r"^\.|~$|\.sw[a-z]$|^4913$|^#.*#$|\.tmp$")
ONLY_COMPILED = {".cpp", ".cc", ".hpp", ".h", ".md"}  # without a new program, nothing to start again for
KEPT = 256 * 1024  # bytes of output that are kept for the page


def add_options(parser):
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0: a free one (8000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (this machine only)")
    parser.add_argument("--preset", default="dev", help="preset of CMakePresets.json (dev)")
    parser.add_argument("--target", help="the program, where the project has several")
    parser.add_argument("--debounce", type=int, default=80, metavar="MS", help="milliseconds of quiet before a build (80)")
    parser.add_argument("-D", dest="definitions", action="append", default=[], metavar="NAME=VALUE", help="for cmake")
    parser.add_argument("arguments", nargs="*", metavar="-- ARGS", help="for `serve` of the program")
    parser.set_defaults(run=lambda options: Dev(options).run())


class Watch:
    """inotify(7) on a project's folders: says which files changed."""

    def __init__(self, root):
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0:
            raise self._failure(root)
        self.folders = {}
        self._add(root)

    @staticmethod
    def _failure(path):
        error = ctypes.get_errno()
        why = os.strerror(error)
        if error in (28, 24):  # ENOSPC, EMFILE: not what they say elsewhere
            why = "the limit of watches is reached: sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
        return SystemExit(f"ashlar: cannot watch {path}: {why}")

    def _add(self, folder):
        """Gives the files that are in it already: they came before it was watched."""
        number = libc.inotify_add_watch(self.fd, os.fsencode(folder), CHANGES)
        if number < 0:
            if ctypes.get_errno() == 2:  # gone again
                return set()
            raise self._failure(folder)
        self.folders[number] = Path(folder)
        found = set()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):  # gone again
            return found
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in NOT_WATCHED and not entry.name.startswith("."):
                    found |= self._add(entry.path)
            elif not EDITORS_OWN.search(entry.name):
                found.add(Path(entry.path))
        return found

    def changed(self):
        files = set()
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return files
            at = 0
            while at < len(data):
                number, mask, _, length = struct.unpack_from("iIII", data, at)
                name = os.fsdecode(data[at + 16:at + 16 + length].rstrip(b"\0"))
                at += 16 + length
                if mask & IN_Q_OVERFLOW:
                    files.add(Path("?"))  # too much to say what
                    continue
                if mask & IN_IGNORED:
                    self.folders.pop(number, None)
                    continue
                folder = self.folders.get(number)
                if folder is None:
                    continue
                if mask & IN_ISDIR:
                    if mask & (IN_CREATE | IN_MOVED_TO) and name not in NOT_WATCHED and not name.startswith("."):
                        files |= self._add(folder / name)
                    elif mask & (IN_DELETE | IN_MOVED_FROM) and not EDITORS_OWN.search(name) and name not in NOT_WATCHED:
                        files.add(folder / name)
                elif not EDITORS_OWN.search(name) and not mask & IN_CREATE:
                    files.add(folder / name)


class Output:
    """What a process writes: to the terminal as it comes, and its end kept for the page."""

    def __init__(self, stream, on_line=None):
        self.text, self.lock, self.on_line = bytearray(), threading.Lock(), on_line
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def _read(self, stream):
        for line in stream:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            with self.lock:
                self.text += line
                del self.text[:-KEPT]
            if self.on_line:
                self.on_line(line)

    def all(self):
        with self.lock:
            return self.text.decode(errors="replace")

    def forget(self):
        with self.lock:
            self.text.clear()


class Dev:
    def __init__(self, options):
        self.options = options
        self.root = Path.cwd()
        if not (self.root / "CMakePresets.json").is_file():
            raise SystemExit("ashlar: no CMakePresets.json here: go to the folder of a project, or make one with `ashlar new NAME`")
        self.build = self.root / "build" / options.preset
        self.page = self.build / "ashlar-dev.html"
        self.program = self.builder = self.pending_identity = self.running_identity = None
        self.configured = self.must_restart = self.build_fails = False
        self.reason = None  # what is wrong, for the page that is served from here
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.events = []  # of threads and signals
        self.events_lock = threading.Lock()

    # ---- life

    def run(self):
        family = socket.AF_INET6 if ":" in self.options.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((self.options.host, self.options.port))
        except (OSError, OverflowError) as error:
            print(f"ashlar: cannot listen on {self.options.host}:{self.options.port}: {error.args[-1]}", file=sys.stderr)
            return 1
        self.socket.listen(512)
        self.socket.setblocking(False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self.tell(("signal", number)))
        self.watch = Watch(self.root)
        host, port = self.socket.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        self.say(f"http://{host}:{port}/docs   (Ctrl-C ends it)")
        self.start_build()
        try:
            return self.loop()
        finally:
            self.stop_build()
            self.end_program()
            self.page.unlink(missing_ok=True)

    def loop(self):
        changed, quiet_at = set(), None
        while True:
            reading = [self.watch.fd, self.wake_read] + ([self.socket] if self.program is None else [])
            patience = None if quiet_at is None else max(0.0, quiet_at - time.monotonic())
            ready = select.select(reading, [], [], patience)[0]
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
            if self.socket in ready:
                self.answer()
            if self.watch.fd in ready:
                new = self.watch.changed()
                if new:
                    changed |= new
                    quiet_at = time.monotonic() + self.options.debounce / 1000
            with self.events_lock:
                events, self.events = self.events, []
            for kind, what in events:
                if kind == "signal":
                    self.say("stopping")
                    return 0
                self.handle(kind, what)
            if quiet_at is not None and time.monotonic() >= quiet_at:
                changed -= self.ignored(changed)
                if not changed:
                    quiet_at = None
                    continue
                names = sorted(self.name(path) for path in changed)
                self.say("changed: " + ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else ""))
                self.stop_build()
                self.must_restart = self.must_restart or any(
                    path.suffix not in ONLY_COMPILED and path.name != "CMakeLists.txt" for path in changed)
                if any(path.name == "CMakePresets.json" for path in changed):
                    self.configured = False
                changed, quiet_at = set(), None
                self.start_build()

    def handle(self, kind, what):
        if kind == "built" and what[0] is self.builder:
            self.builder = None
            self.build_fails = what[1] != 0
            if not self.build_fails:
                self.on_built()
            else:
                self.broken("does not compile", what[0].output.all())
        elif kind == "ended" and what[0] is self.program:
            self.program = None
            if self.running_identity is None or what[1] != 0:
                self.broken("does not start" if not what[0].served else "has ended", what[0].output.all())
        elif kind == "line" and what[0] is self.program:
            self.on_line(what[1])

    def tell(self, event):
        with self.events_lock:
            self.events.append(event)
        try:
            os.write(self.wake_write, b"!")
        except BlockingIOError:
            pass  # it has enough to wake up for

    def say(self, text):
        print(f"ashlar: {text}", flush=True)

    def ignored(self, paths):
        """What git ignores, a program may write without being started again for it."""
        try:
            found = subprocess.run(["git", "check-ignore", "-z", "--stdin"], cwd=self.root, capture_output=True, check=False,
                                   input=b"\0".join(os.fsencode(path) for path in paths))
        except OSError:
            return set()
        return {Path(os.fsdecode(name)) for name in found.stdout.split(b"\0") if name}

    def name(self, path):
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    # ---- building

    def start_build(self):
        configure = ["cmake", "--preset", self.options.preset, *(f"-D{d}" for d in self.options.definitions)]
        if not self.configured:
            query = self.build / ".cmake" / "api" / "v1" / "query"
            query.mkdir(parents=True, exist_ok=True)
            (query / "codemodel-v2").touch()
        target = self.options.target or self.project_name()
        build = ["cmake", "--build", str(self.build), "--target", target]
        steps = [build] if self.configured else [configure, build]
        environment = os.environ | {"CLICOLOR_FORCE": "1"} if sys.stdout.isatty() else os.environ
        script = "\n".join(" ".join(quoted(word) for word in step) + " || exit" for step in steps)
        process = subprocess.Popen(["/bin/sh", "-c", script], cwd=self.root, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        process.output = Output(process.stdout)
        self.builder = process

        def wait():
            process.wait()
            process.output.thread.join()
            self.tell(("built", (process, process.returncode)))
        threading.Thread(target=wait, daemon=True).start()

    def stop_build(self):
        """A build of what is no longer so helps nobody."""
        process, self.builder = self.builder, None
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()

    def project_name(self):
        text = (self.root / "CMakeLists.txt").read_text(encoding="utf-8", errors="replace") \
            if (self.root / "CMakeLists.txt").exists() else ""
        found = re.search(r"^\s*project\s*\(\s*([\w.+-]+)", text, re.M | re.I)
        return found.group(1) if found else "all"

    def binary(self):
        """The program, by what CMake says of its targets (cmake-file-api(7))."""
        wanted = self.options.target or self.project_name()
        reply = self.build / ".cmake" / "api" / "v1" / "reply"
        for file in sorted(reply.glob(f"target-{wanted}-*.json")):
            target = json.loads(file.read_text(encoding="utf-8"))
            if target["name"] == wanted and target["type"] == "EXECUTABLE":
                return self.build / target["artifacts"][0]["path"]
        return None

    def on_built(self):
        self.configured = True
        binary = self.binary()
        if binary is None:
            wanted = self.options.target or self.project_name()
            self.broken("has no program", f"No executable target is called {wanted}: say which one with --target NAME.\n")
            return
        status = binary.stat()
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self.program is not None and not self.program.served:
            self.end_program()  # it is still starting, and of yesterday
        if self.program is None:
            self.pending_identity = identity
            self.start_program(binary)
        elif identity != self.running_identity or self.must_restart:
            self.pending_identity = identity
            self.program.output.forget()  # what the next one says about itself is what counts
            self.program.send_signal(signal.SIGHUP)
        else:
            self.mended()
            self.say("nothing to start again for")
        self.must_restart = False

    # ---- serving

    def start_program(self, binary):
        parent, listening = os.getpid(), self.socket.fileno()
        environment = {"ASHLAR_LOG_FORMAT": "human"} | os.environ | {"ASHLAR_DEV_PAGE": str(self.page), "LISTEN_FDS": "1"}
        if environment.get("ASHLAR_LOG_LEVEL", "info") in {"warn", "error", "off"}:
            environment["ASHLAR_LOG_LEVEL"] = "info"  # it is by the log that we know which version serves

        def prepare():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)
            os.dup2(listening, 3)  # inheritable, as dup2 makes it

        # sh knows its own process id, which LISTEN_PID must be, and becomes the program.
        command = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', str(binary), "serve", "--workers", "1", *self.options.arguments]
        process = subprocess.Popen(command, cwd=self.root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=prepare, close_fds=False)
        process.served = False
        self.program = process
        process.output = Output(process.stdout, lambda line: self.tell(("line", (process, line))))

        def wait():
            process.wait()
            process.output.thread.join(1)
            self.tell(("ended", (process, process.returncode)))
        threading.Thread(target=wait, daemon=True).start()

    def on_line(self, line):
        if b"the new worker did not come to serve" in line:
            self.pending_identity = None
            self.broken("does not start", self.program.output.all(), "The version before it goes on serving.")
        elif b"worker serves" in line:
            self.program.served = True
            if self.pending_identity is not None:
                self.running_identity, self.pending_identity = self.pending_identity, None
            if self.builder is None and not self.build_fails:  # or it is the old one, that crashed and is there again
                self.mended()

    def end_program(self):
        process, self.program = self.program, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        signals = 0  # they stay for loop(), which may have asked for this because of a build
        while True:
            try:
                process.wait(0.2)
                process.output.thread.join(1)
                return
            except subprocess.TimeoutExpired:
                before = signals
                with self.events_lock:
                    self.events = [event for event in self.events if event[0] == "signal"]
                    signals = len(self.events)
                if signals > before:
                    process.send_signal(signal.SIGTERM)  # a second one ends it at once

    # ---- what is shown while it is broken

    def broken(self, what, output, note=None):
        name = self.options.target or self.project_name()
        if note is None:
            note = "The last version that worked goes on serving everything but pages." if self.program else \
                "Nothing is served until it works again."
        self.reason = f"{name} {what}"
        self.say(f"{self.reason}. {note}")
        self.build.mkdir(parents=True, exist_ok=True)
        fresh = self.page.with_suffix(".new")
        fresh.write_text(render(self.reason, note, output, self.root), encoding="utf-8")
        fresh.replace(self.page)

    def mended(self):
        self.reason = None
        self.page.unlink(missing_ok=True)

    def answer(self):
        try:
            connection = self.socket.accept()[0]
        except OSError:
            return
        page = self.page.read_bytes() if self.reason and self.page.exists() else \
            render("Building", "The page comes by itself when it is done.", "", self.root).encode()
        threading.Thread(target=answer_one, args=(connection, page, self.reason or "it is being built"), daemon=True).start()


def answer_one(connection, page, reason):
    with connection:
        try:
            connection.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head and len(head) < 65536:
                more = connection.recv(16384)
                if not more:
                    return
                head += more
            wants_page = re.search(rb"^accept:[^\r\n]*text/html", head, re.I | re.M)
            body = page if wants_page else (reason + "\n").encode()
            kind = "text/html" if wants_page else "text/plain"
            connection.sendall((f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {kind}; charset=utf-8\r\nRetry-After: 1\r\n"
                                f"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
                                f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
                               + (b"" if head.startswith(b"HEAD ") else body))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(16384):  # a reset would take the answer away
                pass
        except OSError:
            pass


def quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"
