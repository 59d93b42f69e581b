"""WebSockets over real sockets: a client of another make, rooms over all loops, and SIGTERM."""
import os
import signal
import struct
import subprocess
import sys

from harness import Case, eventually, main
from http2_wire import ENABLE_CONNECT_PROTOCOL, Http2Wire
from websocket_wire import BINARY, CLOSE, TEXT, Refused, Socket, StreamSocket

# Runs in a Python that has the package `websockets` (Debian: python3-websockets).
OTHER_CLIENT = """
import asyncio, sys, websockets
async def main(url):
    for compression in ("deflate", None):
        async with websockets.connect(url, compression=compression, max_size=None) as ws:
            assert bool(ws.extensions) == bool(compression), ws.extensions
            for size in (0, 1, 125, 126, 2000, 65535, 65536, 900000):
                text = "\\u20ac" * (size // 3) + "x" * (size % 3)
                await ws.send(text)
                assert await ws.recv() == text, size
                await ws.send(b"\\xff" * size)
                assert await ws.recv() == b"\\xff" * size, size
            await ws.send(part for part in ("frag", "men", "", "ted"))
            assert await ws.recv() == "fragmented"
            await asyncio.wait_for(await ws.ping(b"ping"), 20)
        assert ws.close_code == 1000, ws.close_code
    try:
        await websockets.connect(url, origin="https://evil.example")
        raise AssertionError("another origin may connect")
    except websockets.InvalidStatusCode as error:
        assert error.status_code == 403
    print("all well")
asyncio.run(main(sys.argv[1]))
"""


class WebSocket(Case):
    def test_a_client_of_another_make(self):
        for python in (sys.executable, "/usr/bin/python3"):
            if os.path.exists(python) and subprocess.run([python, "-c", "import websockets"],
                                                         stderr=subprocess.DEVNULL, check=False).returncode == 0:
                break
        else:
            self.skipTest("no Python here has the package websockets (Debian: python3-websockets)")
        service = self.service()
        host, port = service.address
        done = subprocess.run([python, "-c", OTHER_CLIENT, f"ws://{host}:{port}/ws/echo"], capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.stdout, "all well\n", done.stderr)
        self.assertEqual(service.metric("ashlar_websocket_limited_total"), 0)

    def test_a_room_over_all_loops(self):
        service = self.service("--threads", "3")
        sockets = [Socket(service.address, "/ws/rooms/blue") for _ in range(30)]
        # A member may be told a little after its 101; a message to itself says that it is there.
        for number, one in enumerate(sockets):
            one.send(TEXT, b"%d" % number)
            while one.receive() != (TEXT, b"%d" % number):
                pass
        sockets[0].send(TEXT, b"to all")
        for one in sockets:
            while one.receive() != (TEXT, b"to all"):
                pass
            one.close()
        eventually(lambda: service.metric("ashlar_websocket_open") == 0, "all sockets are closed")

    def test_over_http2_beside_requests_and_a_stop(self):
        service = self.service("--drain-grace", "0.1")
        wire = Http2Wire(service.address)
        self.addCleanup(wire.close)
        self.assertEqual(wire.ask("GET", "/").status, 200)
        self.assertEqual(wire.settings[ENABLE_CONNECT_PROTOCOL], 1)
        for target, status in (("/nowhere", 404), ("/items/7", 400)):  # no handler's 200 where there is no WebSocket
            with self.assertRaises(Refused) as refused:
                StreamSocket(wire, target)
            self.assertEqual(refused.exception.status, status)
        echo, room = StreamSocket(wire, "/ws/echo"), StreamSocket(wire, "/ws/rooms/blue")
        plain = Socket(service.address, "/ws/rooms/blue")
        self.addCleanup(plain.close)
        for size in (0, 125, 126, 70_000, 1_000_000):
            echo.send(BINARY, b"e" * size)
            self.assertEqual(echo.receive(), (BINARY, b"e" * size))
        plain.send(TEXT, b"I am here")
        while plain.receive() != (TEXT, b"I am here"):
            pass
        room.send(TEXT, b"to all")
        for one in (room, plain):
            while one.receive() != (TEXT, b"to all"):
                pass
        self.assertEqual(wire.ask("GET", "/items/7").body, b"7")
        service.send_signal(signal.SIGTERM)
        for one in (echo, room, plain):
            self.assertEqual(one.receive()[1][:2], struct.pack(">H", 1001))
            one.send(CLOSE, struct.pack(">H", 1001))
        self.assertEqual((echo.finish().error, room.finish().error), (None, None))
        self.assertTrue(plain.ended())
        with self.assertRaises(ConnectionError):
            while True:
                wire.read()
        self.assertEqual(wire.code, 0)
        wire.close()
        self.assertEqual(service.wait(), 0, service.text)

    def test_a_stop_says_that_it_goes_away_and_waits(self):
        service = self.service()
        sockets = [Socket(service.address, "/ws/echo") for _ in range(5)]
        for one in sockets:
            one.send(TEXT, b"hello")
            self.assertEqual(one.receive(), (TEXT, b"hello"))
        service.send_signal(signal.SIGTERM)
        for one in sockets:
            opcode, payload = one.receive()
            self.assertEqual((opcode, payload[:2]), (CLOSE, struct.pack(">H", 1001)))
            one.send(CLOSE, payload[:2])
            self.assertTrue(one.ended())
            one.close()
        self.assertEqual(service.wait(), 0)
        self.assertEqual(sum(line.startswith("socket closed") for line in service.journal), 5)


if __name__ == "__main__":
    main()
