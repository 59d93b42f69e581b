"""A client of WebSocket in a few lines: masks, no fragments, no compression. Over a socket, or a stream of HTTP/2."""
import base64
import os
import socket
import struct

from harness import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    def __init__(self, status):
        super().__init__(f"the handshake was answered {status}")
        self.status = status


class Frames:
    """Masked frames out, a server's frames in, over `write` and `more`, which raises ConnectionError at the end."""

    buffer = b""

    def _take(self, size):
        while len(self.buffer) < size:
            self.buffer += self.more()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def send(self, opcode, payload=b""):
        mask, size = os.urandom(4), len(payload)
        if size < 126:
            head = bytes([0x80 | opcode, 0x80 | size])
        elif size < 65536:
            head = bytes([0x80 | opcode, 0xFE]) + struct.pack(">H", size)
        else:
            head = bytes([0x80 | opcode, 0xFF]) + struct.pack(">Q", size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        self.write(head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big"))

    def receive(self):
        first, length = self._take(2)
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return first & 0x0F, self._take(length)


class StreamSocket(Frames):
    """Over a stream of an Http2Wire (RFC 8441)."""

    def __init__(self, wire, target):
        self.wire = wire
        self.stream = wire.open("CONNECT", target, more=True, protocol="websocket", headers=[("sec-websocket-version", "13")])
        while self.stream.status is None and not self.stream.ended:
            if wire.last is not None and wire.last < self.stream.number:
                raise Refused(None)  # never begun
            wire.read()
        if self.stream.status != 200:
            raise Refused(self.stream.status)

    def write(self, data):
        self.wire.data(self.stream, data)

    def more(self):
        while not self.stream.body:
            if self.stream.ended:
                raise ConnectionError(f"ended, reset {self.stream.error}")
            self.wire.read()
        data, self.stream.body = self.stream.body, b""
        return data

    def finish(self):
        """Ends its side, and waits for the other."""
        self.wire.data(self.stream, last=True)
        return self.wire.finish(self.stream)


class Socket(Frames):
    def __init__(self, address, target, tls=None, headers=()):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: test", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *(f"{name}: {value}" for name, value in headers)]
        self.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._take(1)
        status = int(head.split(b" ")[1])
        if status != 101:
            self.close()
            raise Refused(status)

    def write(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("ended")
        return data

    def ended(self):
        return self.socket.recv(1) == b""

    def close(self):
        self.socket.close()
