"""Every protocol at once, and the service goes away: replaced by SIGHUP, or ended by SIGTERM.

Pipelined HTTP/1.1, many streams of HTTP/2, uploads that are read while they arrive, and WebSockets. What a dropped request is,
drain_test.py says; for the others:

- a request of HTTP/2 is dropped when its stream is not above the last one of the final GOAWAY and has no complete answer, or
  when the connection ends without a GOAWAY. One above it was never begun, and is asked again elsewhere (RFC 9113 §6.8).
- an upload is dropped when its answer is not the number of bytes that were sent.
- a WebSocket is dropped when it ends without a Close of 1001, or says anything else before it than the echo that is due.

What the service says it has handled is what the clients were answered: nothing was done twice, or for nobody.
"""
import contextlib
import random
import signal
import struct
import threading
import time

import harness
from harness import Case, Ended, Load, Wire, eventually, main, request
from http2_wire import Http2Wire
from websocket_wire import CLOSE, TEXT, Refused, Socket, StreamSocket

TARGETS = ["/", "/items/7", "/slow?ms=1", "/slow?ms=30", "/big?bytes=100000", "/stream?pieces=5&bytes=2000",
           ("POST", "/orders", {"customer": "a", "address": {"street": "b", "zip": "12345"},
                                "lines": [{"product": "tea", "amount": 1, "price": 2}]})]


class Clients:
    """Threads that go on until the service refuses a connection, or, where it is `endless`, until stop()."""

    def __init__(self, service, count, endless=False, tls=None):
        self.service, self.endless, self.tls = service, endless, tls
        self.answered = self.told = self.refused = 0
        self.dropped = []
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(random.Random(number),), daemon=True) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, chance):
        while not self.stopping.is_set():
            try:
                with contextlib.closing(self.connect()) as wire:
                    self.talk(wire, chance)
            except ConnectionRefusedError as error:
                if self.endless:
                    self.drop(f"no connection: {error!r}")
                return
            except Refused as error:
                self.refused += 1
                if error.status != 503:  # a worker that drains begins no WebSocket
                    return self.drop(repr(error))
            except (OSError, AssertionError, KeyError) as error:
                return self.drop(f"{type(self).__name__}: {error!r}")

    def count(self, answers=1, told=0):
        with self.lock:
            self.answered += answers
            self.told += told

    def drop(self, what):
        with self.lock:
            self.dropped.append(what)

    def goes_on(self, count):
        before = self.answered
        eventually(lambda: self.answered >= before + count or self.dropped, f"{type(self).__name__} goes on")

    def wait(self):
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads), f"{type(self).__name__} has not ended"

    def stop(self):
        self.stopping.set()
        self.wait()


class Streams(Clients):
    """HTTP/2: so many requests under way on each connection."""

    DEPTH = 10

    def connect(self):
        return Http2Wire(self.service.address, tls=self.tls)

    def talk(self, wire, chance):
        while True:
            while len(wire.unanswered) < self.DEPTH and not wire.going_away and not self.stopping.is_set():
                what = chance.choice(TARGETS)
                if isinstance(what, str):
                    wire.open("GET", what)
                else:
                    wire.open(what[0], what[1], harness.request(*what).partition(b"\r\n\r\n")[2],
                              headers=[("content-type", "application/json")])
            owed = [stream for stream in wire.unanswered if wire.last is None or stream.number <= wire.last]
            if not owed:
                return self.count(0, told=wire.going_away)
            kind, stream = wire.read()
            if stream is not None and stream.ended:
                if stream.error is not None or stream.status not in (200, 201):
                    self.drop(f"{stream.what}: {stream.status}, reset {stream.error}")
                else:
                    self.count()
                del wire.streams[stream.number]


class Uploads(Clients):
    """Bodies in pieces, half a second long and more, over HTTP/1.1 with a length, in chunks, and over HTTP/2."""

    def connect(self):
        return Wire(self.service.address)

    def talk(self, wire, chance):
        kind = chance.choice(["length", "chunked", "streams"])
        pieces = [b"x" * chance.randrange(1, 20_000) for _ in range(chance.randrange(20, 60))]
        size = sum(map(len, pieces))
        if kind == "streams":
            wire.close()
            with contextlib.closing(Http2Wire(self.service.address)) as wire:
                stream = wire.open("PUT", "/count", more=True)
                for piece in pieces:
                    wire.data(stream, piece)
                    time.sleep(chance.random() * 0.03)
                wire.data(stream, last=True)
                while not stream.ended:
                    wire.read()
                    if wire.last is not None and stream.number > wire.last:
                        return  # never begun
                status, said = stream.status, stream.body.decode()
        else:
            length = ("Content-Length", str(size)) if kind == "length" else ("Transfer-Encoding", "chunked")
            wire.send(request("PUT", "/count", None, [length]))
            for piece in pieces:
                wire.send(piece if kind == "length" else b"%x\r\n%s\r\n" % (len(piece), piece))
                time.sleep(chance.random() * 0.03)
            if kind == "chunked":
                wire.send(b"0\r\n\r\n")
            answer = wire.answer()
            status, said = answer.status, answer.text
            self.count(0, told=answer.closes)
        if (status, said.split(" ")[0].strip('"')) == (200, str(size)):
            self.count()
        else:
            self.drop(f"an upload of {size} bytes, {kind}: {status} {said}")


class Sockets(Clients):
    """WebSockets that have their messages echoed. Handshakes are what the service counts."""

    def __init__(self, *arguments, **options):
        self.messages = 0
        super().__init__(*arguments, **options)

    def goes_on(self, count):
        before = self.messages
        eventually(lambda: self.messages >= before + count or self.dropped, "messages go on")

    def connect(self):
        return Http2Wire(self.service.address) if random.random() < 0.5 else Socket(self.service.address, "/ws/echo")

    def talk(self, wire, chance):
        if isinstance(wire, Http2Wire):
            try:
                wire = StreamSocket(wire, "/ws/echo")
            except Refused as error:
                if error.status is None:  # never begun
                    return
                raise
        self.count()
        for number in range(chance.choice([5, 50, 1_000_000])):
            if self.stopping.is_set():
                break
            text = b"%d " % number + b"x" * chance.randrange(3000)
            with contextlib.suppress(ConnectionError):  # its Close is there to be read all the same
                wire.send(TEXT, text)
            opcode, payload = wire.receive()
            if opcode == CLOSE:
                if payload[:2] != struct.pack(">H", 1001):
                    self.drop(f"closed with {payload}")
                with contextlib.suppress(ConnectionError):
                    wire.send(CLOSE, payload[:2])
                return self.count(0, told=1)
            if (opcode, payload) != (TEXT, text):
                self.drop(f"{opcode} {payload[:20]} instead of {text[:20]}")
                return
            self.messages += 1
            time.sleep(chance.random() * 0.01)
        wire.send(CLOSE, struct.pack(">H", 1000))
        while wire.receive()[0] != CLOSE:
            pass
        if isinstance(wire, StreamSocket):
            wire.finish()


class Pipelines(Load):
    def __init__(self, service, clients, endless=False):
        super().__init__(service, clients, TARGETS, depth=8, endless=endless)


class EveryProtocol(Case):
    def start(self, *flags, **options):
        return self.service("--drain-grace", "0.5", *flags, environment={"SERVICE_FILES": str(self.folder)}, **options)

    def mix(self, service, endless=False):
        loads = [Pipelines(service, 4, endless), Streams(service, 3, endless), Uploads(service, 6, endless),
                 Sockets(service, 6, endless)]
        for load in loads:
            self.addCleanup(load.stopping.set)
        for load in loads:
            load.goes_on(6)
        return loads

    def judge(self, service, loads):
        pipelines, streams, uploads, sockets = loads
        for load in loads:
            self.assertEqual(load.dropped, [], f"{type(load).__name__}: {service.text}")
        handled = sum(int(line.split()[2]) for line in service.journal if line.startswith("stopped after"))
        # A handshake that a draining worker has refused with 503 was handled, too.
        self.assertEqual(handled, sum(load.answered for load in loads) + sockets.refused,
                         ", ".join(f"{load.answered} {type(load).__name__}" for load in loads))
        self.assertGreaterEqual(pipelines.closed, 1, "pipelines were told to go")
        self.assertGreaterEqual(streams.told, 1, "streams were told to go")
        self.assertGreaterEqual(sockets.told, 1, "sockets were told to go")
        self.assertGreater(sockets.messages, 10)
        print("[" + ", ".join(f"{load.answered} {type(load).__name__}" for load in loads) + "] ", end="", flush=True)

    def replaced(self, *flags):
        service = self.start("--workers", "2", *flags)
        loads = self.mix(service, endless=True)
        for _ in range(2):
            service.replace_workers()
            for load in loads:
                load.goes_on(4)
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.stop()
        self.assertEqual(service.stop(), 0, service.text)
        self.judge(service, loads)

    def test_sighup_drops_nothing(self):
        self.replaced()

    def ended(self, *flags):
        service = self.start(*flags)
        loads = self.mix(service)
        service.send_signal(signal.SIGTERM)
        for load in loads:
            load.wait()
        self.assertEqual(service.wait(), 0, service.text)
        self.judge(service, loads)

    def test_sigterm_drops_nothing(self):
        self.ended("--threads", "2")

    def test_sigterm_to_several_workers_drops_nothing(self):
        self.ended("--workers", "2")


class WhatIsOpen(Case):
    """One of each kind, half done at the signal, and finished long after the grace."""

    def opened(self, service):
        body = b"x" * 300_000
        self.plain, self.chunks = self.connect(service), self.connect(service)
        self.plain.send(request("PUT", "/count", None, [("Content-Length", len(body))]) + body[:100_000])
        self.chunks.send(request("PUT", "/count", None, [("Transfer-Encoding", "chunked")]) + b"186a0\r\n" + body[:100_000])
        self.streams = Http2Wire(service.address)
        self.addCleanup(self.streams.close)
        self.upload = self.streams.open("PUT", "/count", body[:100_000], more=True)
        self.slow = self.streams.open("GET", "/slow?ms=1500")
        self.socket = Socket(service.address, "/ws/echo")
        self.addCleanup(self.socket.close)
        self.socket.send(TEXT, b"hello")
        self.assertEqual(self.socket.receive(), (TEXT, b"hello"))
        self.assertEqual(self.streams.ask("GET", "/items/7").status, 200)  # what was opened before it has arrived
        eventually(lambda: service.metric("ashlar_http_received_bytes_total") > 300_000, "the uploads have begun")

    def finished(self):
        self.assertEqual(self.socket.receive(), (CLOSE, struct.pack(">H", 1001) + b"the service is shutting down"))
        self.socket.send(CLOSE, struct.pack(">H", 1001))
        self.assertTrue(self.socket.ended())
        while self.streams.last in (None, 2**31 - 1):
            self.streams.read()
        self.assertEqual((self.streams.last, self.streams.code), (5, 0))  # of the three that were opened
        self.assertEqual(self.streams.finish(self.slow).status, 200)
        rest = b"x" * 200_000
        self.streams.data(self.upload, rest, last=True)
        self.assertEqual(self.streams.finish(self.upload).body, b"300000 true")
        with self.assertRaises(Ended) as ended:
            self.streams.read()
        self.assertFalse(ended.exception.reset)
        self.streams.close()
        self.plain.send(rest)
        self.chunks.send(b"\r\n30d40\r\n" + rest + b"\r\n0\r\n\r\n")
        for wire in (self.plain, self.chunks):
            answer = wire.answer()
            self.assertEqual((answer.status, answer.text, answer.closes), (200, "300000 true", True))
            self.assertTrue(wire.ended())
            wire.close()

    def start(self, *flags):
        return self.service("--drain-grace", "0.1", *flags, environment={"SERVICE_FILES": str(self.folder)})

    def test_sigterm_lets_it_finish(self):
        service = self.start()
        self.opened(service)
        service.send_signal(signal.SIGTERM)
        service.wait_for_log('"stopping"')
        self.finished()
        self.assertEqual(service.wait(), 0, service.text)

    def test_sighup_lets_it_finish_while_another_worker_serves(self):
        service = self.start("--workers", "1")
        self.opened(service)
        service.send_signal(signal.SIGHUP)
        service.wait_for_log('"stopping"')
        self.assertEqual(service.ask("GET", "/items/7").status, 200)
        self.finished()
        self.assertEqual(service.stop(), 0, service.text)

    def test_what_never_ends_is_cut_after_the_patience(self):
        service = self.start("--drain-timeout", "0.5")
        self.opened(service)
        service.send_signal(signal.SIGTERM)  # the socket does not answer the Close, the uploads do not go on
        self.assertEqual(service.wait(), 0, service.text)
        for wire in (self.plain, self.chunks):
            self.assertEqual(wire.answer().status, 503)
        self.assertEqual(self.streams.finish(self.upload).status, 503)
        self.assertEqual(self.streams.finish(self.slow).status, 503)
        self.assertEqual(self.socket.receive()[0], CLOSE)


if __name__ == "__main__":
    main()
