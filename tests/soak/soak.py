#!/usr/bin/env python3
"""A service under every kind of client for a given time: afterwards nothing is left of them.

  tests/soak/soak.py SERVICE SECONDS [flags of `serve`]

Two services, one in the clear and one over TLS. Clients ask over HTTP/1.1 and HTTP/2, pipeline, upload, read slowly, talk over
WebSockets, listen to events, send halves and rubbish, and are cut at random: closed in order, reset, or silent; h2load joins them
where it is installed (Debian: nghttp2-client). With a database (SOAK_DATABASE=1) they write and read, too. Meanwhile memory and
descriptors are sampled; at the end

- every answer that came complete had a status that its request may have,
- the gauges of connections, requests, streams and WebSockets are at 0, and no descriptor is left,
- the resident memory did not grow: its slope after the first third stays below a bound (SOAK_SANITIZED=1: it is told only).

`./x soak SECONDS` runs it; the samples are printed as a series of MiB.
"""
import contextlib
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
sys.dont_write_bytecode = True
import harness  # noqa: E402
from harness import Ended, Service, Wire, eventually, request  # noqa: E402
from http2_wire import Http2Wire, frame  # noqa: E402
from websocket_wire import CLOSE, PING, TEXT, Socket, StreamSocket  # noqa: E402

CLIENTS = 16
ORDER = {"customer": "a", "address": {"street": "b", "zip": "12345"}, "lines": [{"product": "tea", "amount": 1, "price": 2}] * 5}


class Wrong(Exception):
    pass


class Client:
    """One client, which does one thing after another, each on what connection it likes."""

    def __init__(self, soak, number):
        self.soak, self.chance = soak, random.Random(number)
        self.service = soak.services[number % 3 == 0]  # a third of them over TLS
        self.wire = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        acts = [self.ask, self.ask, self.ask, self.pipeline, self.order, self.wrong_order, self.half_head, self.half_body,
                self.slow_reader, self.cut_stream, self.cut_handler, self.silence, self.rubbish, self.too_much, self.chunked,
                self.streams, self.cut_streams, self.half_upload, self.talk, self.talk_in_streams, self.cut_socket, self.events, self.broken_frames]
        if self.service.tls:
            acts.append(self.half_handshake)
        if self.service.database:
            acts += [self.note, self.note_in_transaction, self.cut_note]
        try:
            while not self.soak.stopping.is_set():
                act = self.chance.choice(acts)
                try:
                    act()
                except (ConnectionError, socket.timeout, ssl.SSLError) as error:
                    self.leave()
                    self.soak.count(f"{act.__name__}: {type(error).__name__}")
                else:
                    self.soak.count(act.__name__)
        except BaseException as error:  # told by the main thread
            self.soak.failures.append(f"{act.__name__}: {error!r}")
        self.leave()

    def open(self, **options):
        if self.wire is None or options:
            self.leave()
            self.wire = Wire(self.service.address, tls=self.service.tls, **options)
        return self.wire

    def leave(self):
        if self.wire is not None:
            with contextlib.suppress(OSError):
                if self.chance.random() < 0.3:
                    self.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.wire.close()
            self.wire = None

    def expect(self, statuses, *what, **options):
        answer = self.open().ask(*what, **options)
        if answer.status not in statuses:
            raise Wrong(f"{what[:2]}: {answer}")
        if answer.closes:
            self.leave()
        return answer

    def ask(self):
        for _ in range(self.chance.randrange(1, 20)):
            self.expect({200}, "GET", self.chance.choice(["/", "/items/7", "/pages?limit=3", "/slow?ms=2", "/big?bytes=70000"]))
        self.expect({404}, "GET", "/nowhere")
        if self.chance.random() < 0.5:
            self.leave()

    def pipeline(self):
        count = self.chance.randrange(2, 30)
        self.open().send(request(target="/items/1") * count)
        for _ in range(self.chance.choice([count, count // 2])):
            if self.open().answer().status != 200:
                raise Wrong("pipeline")
        self.leave()

    def order(self):
        self.expect({200}, "POST", "/orders", ORDER | {"note": "x" * self.chance.randrange(50_000)})

    def wrong_order(self):
        self.expect({422}, "POST", "/orders", {"customer": "", "lines": []})
        self.expect({400, 422}, "POST", "/orders", "{" * self.chance.randrange(1, 3000))

    def half_head(self):
        data = request("POST", "/orders", ORDER, [("X-Long", "y" * self.chance.randrange(3000))])
        self.open().send(data[: self.chance.randrange(1, len(data))])
        self.leave()

    def half_body(self):
        self.open().send(request("POST", "/orders", b"{", [("Content-Length", str(self.chance.randrange(2, 900_000)))]))
        self.open().try_send(b"x" * self.chance.randrange(1, 100_000))
        self.leave()

    def chunked(self):
        head = request("POST", "/orders", b"", [("Transfer-Encoding", "chunked")])
        pieces = b"".join(b"%x\r\n%s\r\n" % (size, b" " * size) for size in (self.chance.randrange(1, 5000) for _ in range(5)))
        self.open().send(head + pieces + (b"2\r\n{}\r\n0\r\n\r\n" if self.chance.random() < 0.5 else b"zz\r\n"))
        self.open().answer()
        self.leave()

    def slow_reader(self):
        wire = self.open(receive_buffer=4096)
        wire.send(request(target="/big?bytes=2000000"))
        for _ in range(self.chance.randrange(1, 30)):
            if not wire.socket.recv(20_000):
                break
            time.sleep(0.01)
        self.leave()

    def cut_stream(self):
        wire = self.open()
        wire.send(request(target="/stream?pieces=200&bytes=2000"))
        for _ in range(self.chance.randrange(1, 10)):
            wire.socket.recv(3000)
        self.leave()

    def cut_handler(self):
        self.open().send(request(target="/slow?ms=60000"))
        time.sleep(self.chance.random() * 0.05)
        self.leave()

    def silence(self):
        self.open()
        time.sleep(self.chance.random() * 0.1)
        if self.chance.random() < 0.5:
            self.leave()

    def rubbish(self):
        self.open().send(self.chance.randbytes(self.chance.randrange(1, 5000)) + b"\r\n\r\n")
        try:
            if self.open().answer().status not in (400, 413, 414, 431, 501, 505):
                raise Wrong("rubbish")
        except Ended:
            pass
        self.leave()

    def too_much(self):
        self.open().send(request("POST", "/orders", b"", [("Content-Length", "99999999")]))
        if self.open().answer().status != 413:
            raise Wrong("too_much")
        self.leave()

    # ---- HTTP/2

    def open2(self):
        self.leave()
        self.wire = Http2Wire(self.service.address, tls=self.service.tls)
        return self.wire

    def streams(self):
        wire = self.open2()
        for _ in range(self.chance.randrange(1, 6)):
            # First what is sent: a client that goes on sending, and does not read its answers, is held up.
            size = self.chance.randrange(1, 300_000)
            upload = wire.open("PUT", "/count", b"u" * size)
            asked = [wire.open("GET", self.chance.choice(["/", "/items/7", "/slow?ms=3", "/big?bytes=90000",
                                                          "/stream?pieces=3&bytes=3000"])) for _ in range(self.chance.randrange(1, 12))]
            for stream in asked:
                if wire.finish(stream).status != 200:
                    raise Wrong(f"{stream.what}: {stream.status}")
            if not wire.finish(upload).body.startswith(b"%d " % size):
                raise Wrong(f"an upload of {size}: {upload.status} {upload.body}")
        self.leave()

    def cut_streams(self):
        wire = self.open2()
        asked = [wire.open("GET", self.chance.choice(["/slow?ms=60000", "/stream?pieces=500&bytes=2000", "/big?bytes=3000000",
                                                      "/ticks?ms=2"])) for _ in range(self.chance.randrange(1, 12))]
        wire.socket.settimeout(1)  # what is left may say nothing for long
        for _ in range(self.chance.randrange(1, 20)):
            with contextlib.suppress(socket.timeout):
                wire.read()
            if self.chance.random() < 0.2:
                wire.reset(self.chance.choice(asked))
        self.leave()

    def half_upload(self):
        if self.chance.random() < 0.5:
            wire = self.open2()
            stream = wire.open("PUT", "/count", b"u" * self.chance.randrange(1, 500_000), more=True)
            if self.chance.random() < 0.5:
                wire.reset(stream)
        else:
            self.open().send(request("PUT", "/count", b"u" * self.chance.randrange(1, 90_000), [("Content-Length", "5000000")]))
        self.leave()

    def broken_frames(self):
        wire = self.open2()
        wire.ask("GET", "/items/1")
        wire.send(frame(self.chance.randrange(0, 12), self.chance.randrange(256), self.chance.choice([0, 1, 2, 3, 99]),
                        self.chance.randbytes(self.chance.randrange(0, 60))))
        with contextlib.suppress(ConnectionError):
            wire.ask("GET", "/items/2")
        self.leave()

    def half_handshake(self):
        self.leave()
        with contextlib.closing(socket.create_connection(self.service.address, timeout=harness.PATIENCE)) as wire:
            wire.sendall(b"\x16\x03\x01" + self.chance.randbytes(self.chance.randrange(1, 300)))

    # ---- WebSockets, events

    def talk(self):
        self.leave()
        self.wire = Socket(self.service.address, self.chance.choice(["/ws/echo", "/ws/rooms/soak"]), tls=self.service.tls)
        for number in range(self.chance.randrange(1, 30)):
            text = b"%d %d " % (id(self), number) + b"m" * self.chance.randrange(5000)
            self.wire.send(TEXT, text)
            while self.wire.receive() != (TEXT, text):
                pass
        self.wire.send(CLOSE, struct.pack(">H", 1000))
        while self.wire.receive()[0] != CLOSE:
            pass
        self.leave()

    def talk_in_streams(self):
        wire = self.open2()
        sockets = [StreamSocket(wire, self.chance.choice(["/ws/echo", "/ws/rooms/soak"])) for _ in range(self.chance.randrange(1, 5))]
        for number in range(self.chance.randrange(1, 20)):
            text = b"%d %d " % (id(self), number) + b"m" * self.chance.randrange(30_000)
            one = self.chance.choice(sockets)
            one.send(TEXT, text)
            while one.receive() != (TEXT, text):
                pass
        for one in sockets:
            if self.chance.random() < 0.7:
                one.send(CLOSE, struct.pack(">H", 1000))
                while one.receive()[0] != CLOSE:
                    pass
                one.finish()
            else:
                wire.reset(one.stream)
        self.leave()

    def cut_socket(self):
        self.leave()
        self.wire = Socket(self.service.address, self.chance.choice(["/ws/echo", "/ws/rooms/soak"]), tls=self.service.tls)
        for _ in range(self.chance.randrange(0, 5)):
            self.wire.send(self.chance.choice([TEXT, PING]), b"x" * self.chance.randrange(100))
        if self.chance.random() < 0.3:
            self.wire.write(self.chance.randbytes(self.chance.randrange(1, 200)))
        self.leave()

    def events(self):
        self.open().send(request(target="/ticks?ms=3"))
        for _ in range(self.chance.randrange(1, 8)):
            if not self.wire.socket.recv(3000):
                raise Wrong("events have an end")
        self.leave()

    def note(self):
        self.expect({201}, "POST", "/notes", {"text": "soak"})
        self.expect({200}, "GET", "/notes/count")

    def note_in_transaction(self):
        self.expect({201}, "POST", "/notes/in-transaction", {"text": "soak"})

    def cut_note(self):
        self.open().send(request("POST", self.chance.choice(["/notes/slowly?ms=30", "/notes/in-transaction"]), {"text": "cut"}))
        time.sleep(self.chance.random() * 0.03)
        self.leave()


class Soak:
    GAUGES = ["ashlar_http_connections", "ashlar_http_requests_suspended", "ashlar_http_streams", "ashlar_websocket_open"]

    def __init__(self, services):
        self.services = services  # in the clear, over TLS
        self.counts, self.failures, self.lock = {}, [], threading.Lock()
        self.stopping = threading.Event()

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def load(self, service):
        """h2load, one after another; some are killed."""
        chance = random.Random(0)
        scheme = "https" if service.tls else "http"
        urls = [f"{scheme}://127.0.0.1:{service.address[1]}{target}" for target in ("/", "/items/7", "/big?bytes=20000", "/slow?ms=1")]
        while not self.stopping.is_set():
            killed = chance.random() < 0.3
            process = subprocess.Popen(["h2load", "-n", "100000" if killed else "400", "-c", "4", "-m", "20", *urls],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if killed:
                time.sleep(chance.random())
                process.kill()
            said, _ = process.communicate(timeout=120)
            if not killed and "400 succeeded, 0 failed, 0 errored" not in said:
                self.failures.append(f"h2load: {said}")
            self.count("h2load killed" if killed else "h2load")

    def processes(self):
        workers = [pid for service in self.services for pids in service.workers().values() for pid in pids]
        return workers or [service.pid for service in self.services]

    def memory(self):
        """Resident KiB of all processes that serve."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
                   for pid in self.processes())

    def descriptors(self):
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.processes())

    def run(self, seconds):
        for service in self.services:
            for _ in range(50):  # what is made once, with the first requests
                service.ask(target="/")
                service.ask(target="/metrics")
        # The database's pools open what they need when they need it: at most six connections a loop.
        descriptors = self.descriptors() + sum(6 * service.loops + 2 for service in self.services if service.database) + 2
        first = self.memory()
        clients = [Client(self, number) for number in range(CLIENTS)]
        loads = [threading.Thread(target=self.load, args=(service,), daemon=True) for service in self.services]
        if shutil.which("h2load"):
            for load in loads:
                load.start()
        began, samples = time.monotonic(), []
        pause = min(5.0, max(0.5, seconds / 120))
        while time.monotonic() - began < seconds and not self.failures:
            time.sleep(pause)
            samples.append((time.monotonic() - began, self.memory()))
        self.stopping.set()
        for client in clients:
            client.thread.join(harness.PATIENCE)
        for load in loads:
            if load.ident:
                load.join(120)
        report(self.counts, samples, self.failures)
        assert not self.failures, self.failures
        for service in self.services:
            # One connection is that which asks; of several workers, its request waits for the metrics of the others.
            own = {"ashlar_http_connections": 1, "ashlar_http_requests_suspended": 1 if service.workers() else 0}
            for gauge in self.GAUGES:
                eventually(lambda service=service, gauge=gauge: service.metric(gauge) <= own.get(gauge, 0), f"{gauge} is at 0 again")
        print(f"gauges at 0: {', '.join(self.GAUGES)}")
        eventually(lambda: self.descriptors() <= descriptors, f"no descriptor is left: {self.descriptors()} of {descriptors}")
        print(f"descriptors: {self.descriptors()} at the end, at most {descriptors} allowed")
        print(f"memory: {first / 1024:.1f} MiB before, {self.memory() / 1024:.1f} MiB after the clients")
        self.judge(samples, seconds)

    def judge(self, samples, seconds):
        late = [sample for sample in samples if sample[0] > seconds / 3]
        growth = slope(late) * (late[-1][0] - late[0][0])
        # What allocators keep differs from minute to minute, and grows in the first ones; what leaks does not stop.
        allowed = max((16384 if seconds < 300 else 4096) * len(self.processes()), 0.03 * late[0][1])
        print(f"memory: {late[-1][1] / 1024:.1f} MiB at the end, {growth / 1024:+.2f} MiB in the last two thirds by its slope "
              f"({slope(late) * 60:+.0f} KiB a minute); allowed: {allowed / 1024:.1f} MiB")
        assert growth < allowed or "SOAK_SANITIZED" in os.environ, f"the memory grows: {growth:.0f} KiB in {late[-1][0] - late[0][0]:.0f} s"


def slope(samples):
    """KiB a second, by least squares."""
    mean_time = sum(time for time, _ in samples) / len(samples)
    mean_size = sum(size for _, size in samples) / len(samples)
    return (sum((time - mean_time) * (size - mean_size) for time, size in samples) /
            sum((time - mean_time) ** 2 for time, _ in samples))


def report(counts, samples, failures):
    for what in sorted(counts):
        print(f"  {counts[what]:8}  {what}")
    step = max(1, len(samples) // 40)
    print("MiB: " + " ".join(f"{size / 1024:.1f}" for _, size in samples[::step]))
    for failure in failures:
        print(failure, file=sys.stderr)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    harness.PROGRAM, seconds, flags = str(Path(sys.argv[1]).resolve()), float(sys.argv[2]), sys.argv[3:]
    database = "SOAK_DATABASE" in os.environ
    with tempfile.TemporaryDirectory(prefix="ashlar-soak-", dir=harness.temporary_parent()) as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user when we are root
        services = []
        try:
            for name, more in (("clear", ()), ("tls", ("--tls-dev",))):
                own = Path(folder, name)
                own.mkdir()
                own.chmod(0o755)
                with_database = database and name == "clear"
                # A machine that does something else besides is no overload of ours.
                service = Service(own, "--drain-grace", "0.2", "--shed-load", "0", *more, *flags, database=with_database, start=False,
                                  environment={"SERVICE_FILES": str(own)}, tls=ssl._create_unverified_context() if more else None)
                services.append(service)
                service.wait_until_serving()
                serving = service.find_log('"serving"')
                service.loops, service.database = serving["loops"] * max(1, serving["workers"]), with_database
            Soak(services).run(seconds)
            for service in services:
                assert service.stop() == 0, service.text
        finally:
            for service in services:
                service.destroy()


if __name__ == "__main__":
    main()
