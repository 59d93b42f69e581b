"""A client of HTTP/2 in a few lines: frames over a socket, requests with literal fields, statuses of answers."""
import socket
import struct

from harness import PATIENCE, Ended

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 1
END_HEADERS = 4
HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE, ENABLE_CONNECT_PROTOCOL = 1, 2, 4, 8
WINDOW = 2**31 - 1
STATIC_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}  # RFC 7541, appendix A
DIGITS = {f"{code:05b}": str(code) for code in range(3)} | {f"{0x19 + n:06b}": str(3 + n) for n in range(7)}  # appendix B


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, prefix, first=0):
    """RFC 7541 §5.1."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytearray([first | most]), value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def fields(*pairs):
    """Literals that are not indexed, names too."""
    return b"".join(b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value
                    for name, value in ((name.encode(), str(value).encode()) for name, value in pairs))


def status_of(block):
    """The status, which is the first field of an answer."""
    while block[0] & 0xE0 == 0x20:  # a table's size, first
        assert block[0] & 0x1F < 0x1F, "of one byte, for ours is 0"
        block = block[1:]
    if block[0] & 0x80:
        return STATIC_STATUS[block[0] & 0x7F]
    assert block[0] & (0x3F if block[0] & 0x40 else 0x0F) in STATIC_STATUS, block[:8]
    value = block[2:2 + (block[1] & 0x7F)]
    if not block[1] & 0x80:
        return int(value)
    bits, digits, code = "".join(f"{byte:08b}" for byte in value), "", ""
    for bit in bits:
        code += bit
        if code in DIGITS:
            digits, code = digits + DIGITS[code], ""
    return int(digits)


class Stream:
    """A request and what has come of its answer."""

    def __init__(self, number, window, what):
        self.number, self.window, self.what = number, window, what
        self.status, self.body, self.ended, self.error = None, b"", False, None


class Http2Wire:
    """One connection. read() takes one frame and says what it was; requests are opened at any time between two of them."""

    def __init__(self, address, tls=None, window=WINDOW, patience=PATIENCE):
        self.socket = socket.create_connection(address, timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.received = b""
        self.streams, self.next, self.window, self.initial = {}, 1, 65535, 65535
        self.settings, self.last, self.code, self.pings = {}, None, None, []
        self.going_away = False  # it is to ask for nothing more
        settings = [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, window)]
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *one) for one in settings)) +
                            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535)))

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    # ---- requests

    def open(self, method="GET", target="/", body=None, headers=(), more=False, protocol=None):
        """`more`: its body follows, by data(). `protocol`: of an extended CONNECT (RFC 8441)."""
        stream = Stream(self.next, self.initial, f"{method} {target}")
        self.next += 2
        self.streams[stream.number] = stream
        pseudo = [(":method", method), (":scheme", "http"), (":path", target), (":authority", "test")]
        if protocol:
            pseudo.append((":protocol", protocol))
        end = 0 if more or body else END_STREAM
        self.send(frame(HEADERS, END_HEADERS | end, stream.number, fields(*pseudo, *headers)))
        if body:
            self.data(stream, body, last=not more)
        return stream

    def data(self, stream, data=b"", last=False):
        """As the windows allow: reads meanwhile."""
        while True:
            while data and min(stream.window, self.window) <= 0 and not stream.ended:
                self.read()
            if stream.ended:
                return
            size = min(len(data), stream.window, self.window, 16384)
            piece, data = data[:size], data[size:]
            stream.window -= size
            self.window -= size
            self.send(frame(DATA, END_STREAM if last and not data else 0, stream.number, piece))
            if not data:
                return

    def reset(self, stream, code=8):
        self.send(frame(RST_STREAM, 0, stream.number, struct.pack(">I", code)))
        stream.ended, stream.error = True, code

    def finish(self, stream):
        """Reads until it is answered; raises Ended when it is not."""
        while not stream.ended:
            self.read()
        if stream.error:
            raise Ended(stream.body, reset=True)
        return stream

    def ask(self, *what, **options):
        return self.finish(self.open(*what, **options))

    @property
    def unanswered(self):
        return [stream for stream in self.streams.values() if not stream.ended]

    # ---- what comes

    def _take(self, size):
        while len(self.received) < size:
            try:
                data = self.socket.recv(262144)
            except ConnectionResetError:
                raise Ended(self.received, reset=True) from None
            if not data:
                raise Ended(self.received, reset=False)
            self.received += data
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def read(self):
        """Takes one frame; gives its kind and its stream. Raises Ended."""
        head = self._take(9)
        size = int.from_bytes(head[:3], "big")
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
        payload, stream = self._take(size), self.streams.get(number)
        if kind == SETTINGS and not flags & ACK:
            self._on_settings(payload)
        elif kind == PING:
            self.pings.append(payload) if flags & ACK else self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            last, self.code = struct.unpack(">II", payload[:8])
            assert self.last is None or last <= self.last, "RFC 9113 §6.8: it may not grow"
            self.last, self.going_away = last, True
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if number == 0:
                self.window += more
            elif stream:
                stream.window += more
        elif stream is not None:
            self._on_stream(stream, kind, flags, payload)
        return kind, stream

    def _on_settings(self, payload):
        for name, value in struct.iter_unpack(">HI", payload):
            self.settings[name] = value
            if name == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.window += value - self.initial
                self.initial = value
        self.send(frame(SETTINGS, ACK, 0))

    def _on_stream(self, stream, kind, flags, payload):
        if kind == RST_STREAM:
            stream.ended, stream.error = True, int.from_bytes(payload, "big")
            return
        if kind == HEADERS:
            assert flags & END_HEADERS
            if stream.status is None or stream.status < 200:
                stream.status = status_of(payload)
        elif kind == DATA:
            stream.body += payload
        stream.ended = stream.ended or bool(flags & END_STREAM)
