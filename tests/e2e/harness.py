"""What the end-to-end tests are written with: the service as a process, a PostgreSQL of one's own, and raw sockets.

A test file is a program: `NAME_test.py PATH_OF_THE_SERVICE [unittest arguments]`. Every test has its own temporary folder,
free ports and private servers; what it started is stopped by its process id. Nothing sleeps to wait for something:
`eventually` looks until it is so, and fails when it takes too long.
"""
import contextlib
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

PROGRAM = None
PATIENCE = 30.0  # seconds until a test gives up waiting; generous, because machines that run tests are busy
SANITIZED = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "ASAN_SYMBOLIZER_PATH", "LLVM_PROFILE_FILE")


def main():
    global PROGRAM
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} SERVICE [unittest arguments]")
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(module="__main__", testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Timed))


class Timed(unittest.TextTestResult):
    """Says how long a test took, when that is long."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        took = time.monotonic() - self.began
        if took > 1:
            self.stream.write(f"{took:.1f} s ")
        super().addSuccess(test)


def eventually(holds, what, patience=PATIENCE):
    """Calls `holds` until it gives something true, and gives that."""
    deadline = time.monotonic() + patience
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.005)


def temporary_parent():
    """Memory, where there is enough of it: the tests make many databases, and wait for no disk there."""
    with contextlib.suppress(OSError):
        memory = os.statvfs("/dev/shm")
        if memory.f_bavail * memory.f_frsize >= 2**30 and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return None


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ashlar-e2e-", dir=temporary_parent()))
        self.folder.chmod(0o755)  # PostgreSQL runs as another user when we are root
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def service(self, *flags, **options):
        service = Service(self.folder, *flags, **options)
        self.addCleanup(service.destroy)
        return service

    def postgres(self):
        postgres = Postgres(self.folder / "postgres")
        self.addCleanup(postgres.destroy)
        return postgres

    def connect(self, service, **options):
        wire = Wire(service.address, **options)
        self.addCleanup(wire.close)
        return wire


class Service:
    """The service as a process of its own. Waits until it serves, unless told `start=False`."""

    def __init__(self, folder, *flags, database=False, environment=None, start=True, user=None, program=None, port=0,
                 pass_fds=(), tls=None):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.journal_file = self.folder / "journal"
        self.output = []
        self.changed = threading.Condition()
        env = {name: os.environ[name] for name in SANITIZED if name in os.environ}
        env |= {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                "ASHLAR_DATA_DIR": str(self.data), "SERVICE_JOURNAL": str(self.journal_file)}
        if database:
            env["SERVICE_DATABASE"] = "1"
        env |= environment or {}
        self.environment = env
        who = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.tls = tls
        self.began = time.monotonic()
        command = [program or PROGRAM, "serve", "--port", str(port), "--log-format", "json", *flags]
        self.process = subprocess.Popen(command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, pass_fds=pass_fds, **who)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if start:
            self.wait_until_serving()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.output.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.output.append(None)
            self.changed.notify_all()

    @property
    def text(self):
        with self.changed:
            return "\n".join(line for line in self.output if line is not None)

    def find_log(self, message):
        with self.changed:
            for line in self.output:
                if line is not None and message in line:
                    return json.loads(line) if line.startswith("{") else {"message": line}
        return None

    def logs(self, message):
        """All lines with this in them."""
        with self.changed:
            return [json.loads(line) for line in self.output if line and message in line and line.startswith("{")]

    def wait_for_log(self, message, times=1):
        """The line with this in it; of several the last."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.find_log(message)
            if found and times == 1:
                return found
            if found and len(self.logs(message)) >= times:
                return self.logs(message)[times - 1]
            with self.changed:
                ended = self.output and self.output[-1] is None
                if ended or not self.changed.wait(deadline - time.monotonic()):
                    break
        raise AssertionError(f"the service never said {message!r}:\n{self.text}")

    def wait_until_serving(self):
        url = self.wait_for_log('"serving"')["url"]
        host, port = re.fullmatch(r"https?://(.*):(\d+)", url).groups()
        self.address = (host, int(port))
        self.took = time.monotonic() - self.began
        return self

    # ---- one request, each on a connection of its own

    def ask(self, method="GET", target="/", body=None, headers=()):
        with contextlib.closing(Wire(self.address, tls=self.tls)) as wire:
            wire.send(request(method, target, body, [*headers, ("Connection", "close")]))
            return wire.answer(head=method == "HEAD")

    def ready(self):
        try:
            answer = self.ask(target="/health/ready")
        except OSError:
            return None
        return answer if answer.status == 200 else None

    def metric(self, name, **labels):
        """The sum of a metric's samples that have these labels."""
        total = 0.0
        for line in self.ask(target="/metrics").text.splitlines():
            if not re.match(rf"{name}[ {{]", line):
                continue
            if all(f'{label}="{value}"' in line for label, value in labels.items()):
                total += float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])
        return total

    def limited(self, limit):
        """How often a limit was hit, as /metrics says."""
        return self.metric("ashlar_http_limited_total", limit=limit)

    def workers(self):
        """The process ids of its workers, by slot; of a slot with two (one takes the other's place) both."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ProcessLookupError):
                if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) != self.pid or not alive(folder.name):
                    continue
                slot = re.search(rb"\0ASHLAR_SUPERVISED=slot=(\d+) ", b"\0" + (folder / "environ").read_bytes())
                if slot:
                    found.setdefault(int(slot[1]), []).append(int(folder.name))
        return found

    def worker(self, slot):
        """The one process of a slot."""
        return eventually(lambda: self.workers().get(slot, []) if len(self.workers().get(slot, [])) == 1 else None,
                          f"slot {slot} has one worker")[0]

    def replace_workers(self):
        """SIGHUP, and waits until every worker is another one and the old ones have ended."""
        before = {pid for pids in self.workers().values() for pid in pids}
        slots = set(self.workers())
        self.send_signal(signal.SIGHUP)

        def replaced():
            now = self.workers()
            pids = [pid for pids in now.values() for pid in pids]
            return set(now) == slots and len(pids) == len(slots) and not before & set(pids)
        eventually(replaced, f"other workers than {before}: {self.text}")

    @property
    def journal(self):
        return self.journal_file.read_text().splitlines() if self.journal_file.exists() else []

    # ---- its end

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, patience=PATIENCE):
        """The exit code; the negative number of the signal that killed it."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the service did not end within {patience:.0f} s:\n{self.text}") from None
        self.reader.join(PATIENCE)
        return code

    def stop(self, number=signal.SIGTERM):
        self.send_signal(number)
        return self.wait()

    def postgres_pid(self):
        """Of the private PostgreSQL, or 0."""
        try:
            return int((self.data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, IndexError):
            return 0

    def destroy(self):
        postgres = self.postgres_pid() if self.find_log("private PostgreSQL started") else 0
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        if postgres:  # its end follows from that of the service
            eventually(lambda: not alive(postgres), f"the private PostgreSQL, process {postgres}, ends")


class Postgres:
    """A PostgreSQL that does not belong to the service, for tests that stop and start it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        self.who = {}
        self.folder.mkdir()
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.folder.chmod(0o700)
        self.sockets = Path(tempfile.mkdtemp(prefix="ashlar-e2e-pg-", dir="/tmp"))  # a socket's path is short
        self.sockets.chmod(0o777)
        self.url = f"postgresql:///postgres?host={self.sockets}&user=tester"
        self.process = None
        subprocess.run([self.binaries / "initdb", "-D", self.folder, "-U", "tester", "--auth=trust", "--no-sync",
                        "--no-instructions", "--encoding=UTF8", "--locale=C.UTF-8"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **self.who)
        self.start()

    def start(self):
        # The processes of a killed server need a moment to let its shared memory go; until then a new one gives up.
        def started():
            if self.process is None or self.process.poll() is not None:
                self.process = subprocess.Popen(
                    [self.binaries / "postgres", "-D", self.folder, "-c", "listen_addresses=",
                     "-c", f"unix_socket_directories={self.sockets}", "-c", "shared_buffers=16MB"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True, **self.who)
            lines = []
            with contextlib.suppress(FileNotFoundError):
                lines = (self.folder / "postmaster.pid").read_text().splitlines()
            return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"
        eventually(started, "PostgreSQL is ready")

    def stop(self, number=signal.SIGINT):
        """SIGINT: cleanly. SIGQUIT: at once. SIGKILL: as a crash does."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE)

    def sql(self, text):
        """Runs a statement with psql, and gives what it prints."""
        return subprocess.run([self.binaries / "psql", "-XAtqc", text, self.url], check=True, capture_output=True, text=True,
                              cwd="/").stdout.strip()

    def empty(self):
        self.sql("drop schema public cascade; create schema public")

    def end_sessions(self):
        self.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and "
                 "backend_type = 'client backend'")

    def processes(self):
        """All of its processes; the sessions are groups of their own."""
        found = [self.process.pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    found.append(int(stat.parent.name))
        return found

    @contextlib.contextmanager
    def frozen(self):
        """It answers nothing, and its connections stay open."""
        stopped = self.processes()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def destroy(self):
        if self.process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.sockets, ignore_errors=True)


def request(method="GET", target="/", body=None, headers=()):
    """The bytes of a request."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append("Host: test")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        return self.headers.get(name.lower())

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def closes(self):
        return (self.header("connection") or "").lower() == "close"

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class Load:
    """Clients in closed loops on connections that are kept alive, each with `depth` requests under way, until the service
    refuses new connections; with `endless` a refusal counts as dropped, and stop() ends it."""

    def __init__(self, service, clients, targets, depth=1, endless=False):
        self.service, self.targets, self.depth, self.endless = service, targets, depth, endless
        self.answered, self.statuses, self.dropped, self.closed = 0, set(), [], 0
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def _client(self, number):
        chance = random.Random(number)
        wire = None
        while not self.stopping.is_set():
            try:
                wire = wire or Wire(self.service.address)
            except (ConnectionError, socket.timeout) as error:
                if self.endless:
                    self._drop(f"no connection: {error!r}")
                return
            targets = [chance.choice(self.targets) for _ in range(self.depth)]
            targets = [("GET", target, None) if isinstance(target, str) else target for target in targets]
            closes = False
            try:
                wire.send(b"".join(request(*target) for target in targets))
                for target in targets:
                    answer = wire.answer()
                    closes = answer.closes
                    with self.lock:
                        self.answered += 1
                        self.statuses.add(answer.status)
                        self.closed += answer.closes
            except (ConnectionError, socket.timeout) as error:
                self._drop(f"{target}: {error!r}")
                wire.close()
                return
            if closes:
                wire.close()
                wire = None
        if wire:
            wire.close()

    def _drop(self, what):
        with self.lock:
            self.dropped.append(what)

    def wait(self):
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads)

    def stop(self):
        self.stopping.set()
        self.wait()

    def goes_on(self, count):
        """Waits for so many more answers."""
        before = self.answered
        eventually(lambda: self.answered >= before + count or self.dropped, "the load goes on")


class Ended(ConnectionError):
    """The connection ended before the answer was complete. `began`: some of it had come."""

    def __init__(self, received, reset):
        super().__init__(f"the connection was {'reset' if reset else 'closed'} after {len(received)} bytes of an answer")
        self.began, self.reset = bool(received), reset


class Wire:
    """One connection, byte by byte."""

    def __init__(self, address, receive_buffer=None, tls=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """False: the other side has closed."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def ask(self, method="GET", target="/", body=None, headers=()):
        self.send(request(method, target, body, headers))
        return self.answer(head=method == "HEAD")

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            raise Ended(self.received, reset=True) from None
        if not data:
            raise Ended(self.received, reset=False)
        self.received += data

    def _take(self, count):
        while len(self.received) < count:
            self._more()
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def _line(self):
        while b"\r\n" not in self.received:
            self._more()
        line, _, self.received = self.received.partition(b"\r\n")
        return line.decode("latin-1")

    def answer(self, head=False):
        """The next complete answer; raises Ended."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        status = int(self._line().split(" ")[1])
        headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if head or status in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self._line(), 16):
                body += self._take(size)
                self._take(2)
            self._take(2)
        else:
            body = self._take(int(headers.get("content-length", 0)))
        return Answer(status, headers, body)

    def ended(self):
        """Waits for the end of the connection. Nothing more may come before it."""
        try:
            data = self.received or self.socket.recv(65536)
        except ConnectionResetError:
            return True
        if data:
            raise AssertionError(f"more came: {data[:200]!r}")
        return True

    def is_open(self):
        """Whether it still serves."""
        return self.ask("GET", "/").status == 200
