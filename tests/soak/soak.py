#!/usr/bin/env python3
"""A service under every kind of client for a given time: afterwards nothing is left of them.

  tests/soak/soak.py SERVICE SECONDS [flags of `serve`]

Clients ask, pipeline, upload, read slowly, send halves and rubbish, and are cut at random: closed in order, reset, or silent.
With a database (SOAK_DATABASE=1) they write and read, too. Meanwhile memory and descriptors are sampled; at the end

- every answer that came complete had a status that its request may have,
- no connection and no descriptor is left,
- the resident memory did not grow: its slope after the first third stays below a bound (SOAK_SANITIZED=1: it is told only).

`./x soak SECONDS` runs it; the samples are printed as a series of MiB.
"""
import contextlib
import os
import random
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
sys.dont_write_bytecode = True
import harness  # noqa: E402
from harness import Ended, Service, Wire, eventually, request  # noqa: E402

CLIENTS = 16
ORDER = {"customer": "a", "address": {"street": "b", "zip": "12345"}, "lines": [{"product": "tea", "amount": 1, "price": 2}] * 5}


class Wrong(Exception):
    pass


class Client:
    """One client, which does one thing after another, each on what connection it likes."""

    def __init__(self, soak, number):
        self.soak, self.chance = soak, random.Random(number)
        self.wire = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        acts = [self.ask, self.ask, self.ask, self.pipeline, self.order, self.wrong_order, self.half_head, self.half_body,
                self.slow_reader, self.cut_stream, self.cut_handler, self.silence, self.rubbish, self.too_much, self.chunked]
        if self.soak.database:
            acts += [self.note, self.note_in_transaction, self.cut_note]
        try:
            while not self.soak.stopping.is_set():
                act = self.chance.choice(acts)
                try:
                    act()
                except (ConnectionError, socket.timeout) as error:
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
            self.wire = Wire(self.soak.service.address, **options)
        return self.wire

    def leave(self):
        if self.wire is not None:
            with contextlib.suppress(OSError):
                self.wire.reset() if self.chance.random() < 0.3 else self.wire.close()
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
    def __init__(self, service, database):
        self.service, self.database = service, database
        self.counts, self.failures, self.lock = {}, [], threading.Lock()
        self.stopping = threading.Event()
        serving = service.find_log('"serving"')
        self.loops = serving["loops"] * max(1, serving["workers"])

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def processes(self):
        workers = [pid for pids in self.service.workers().values() for pid in pids]
        return workers or [self.service.pid]

    def memory(self):
        """Resident KiB of all processes that serve."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
                   for pid in self.processes())

    def descriptors(self):
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.processes())

    def run(self, seconds):
        for _ in range(50):  # what is made once, with the first requests
            self.service.ask(target="/")
            self.service.ask(target="/metrics")
        # The database's pools open what they need when they need it: at most six connections a loop.
        descriptors = self.descriptors() + (6 * self.loops if self.database else 0) + 2
        clients = [Client(self, number) for number in range(CLIENTS)]
        began, samples = time.monotonic(), []
        pause = min(5.0, max(0.5, seconds / 120))
        while time.monotonic() - began < seconds and not self.failures:
            time.sleep(pause)
            samples.append((time.monotonic() - began, self.memory()))
        self.stopping.set()
        for client in clients:
            client.thread.join(harness.PATIENCE)
        report(self.counts, samples, self.failures)
        assert not self.failures, self.failures
        # One connection is that which asks; of several workers, its request waits for the metrics of the others.
        waits = 1 if self.service.workers() else 0
        eventually(lambda: self.service.metric("ashlar_http_connections") <= 1, "no connection is left")
        eventually(lambda: self.service.metric("ashlar_http_requests_suspended") <= waits, "no request is left")
        eventually(lambda: self.descriptors() <= descriptors, f"no descriptor is left: {self.descriptors()} of {descriptors}")
        self.judge(samples, seconds)

    def judge(self, samples, seconds):
        late = [sample for sample in samples if sample[0] > seconds / 3]
        growth = slope(late) * (late[-1][0] - late[0][0])
        # What allocators keep differs from minute to minute; what leaks does not stop.
        allowed = max(4096, 0.03 * late[0][1])
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
        service = Service(folder, "--drain-grace", "0.2", *flags, database=database, start=False)
        try:
            service.wait_until_serving()
            Soak(service, database).run(seconds)
            assert service.stop() == 0, service.text
        finally:
            service.destroy()


if __name__ == "__main__":
    main()
