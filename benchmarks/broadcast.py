"""What it costs to send one message to many WebSockets: CPU a delivery, and memory of a WebSocket that waits."""
import contextlib
import os
import select
import socket
import statistics
import subprocess
import time

import footprint

MEMBERS, MESSAGES = 10_000, 20
TEXT = "a message of forty bytes to everybody..."
UPGRADE = (b"GET /room HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
FRAME = bytes([0x81, len(TEXT)]) + TEXT.encode()   # RFC 6455 §5.2: a whole text message from a server
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"


def cpu_us(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1000


@contextlib.contextmanager
def service(places, port, core):
    process = subprocess.Popen([str(places["bin"] / "rooms_service"), "serve", "--port", str(port), "--threads", "1",
                                "--max-connections-per-peer", str(2 * MEMBERS)], stdout=subprocess.DEVNULL, cwd=places["tmp"],
                               preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("rooms_service does not serve")
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def member(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(4096)
        if not more:
            raise RuntimeError("no WebSocket: the connection was closed")
        head += more
    if not head.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"no WebSocket: {head.splitlines()[0].decode()}")
    return connection


def say(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /say?text=" + TEXT.replace(" ", "%20").encode() + b" HTTP/1.1\r\nHost: bench\r\n"
                           b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        answer = connection.recv(4096)
        if b" 20" not in answer[:12]:
            raise RuntimeError(f"POST /say: {answer.splitlines()[0].decode()}")


def hear(members, poll):
    """Until each of them has the message."""
    missing = len(members)
    while missing:
        ready = poll.poll(30)
        if not ready:
            raise RuntimeError(f"{missing} of {len(members)} WebSockets did not get the message within 30 s")
        for fd, _ in ready:
            got = members[fd].recv(4096)
            if not got:
                raise RuntimeError("a WebSocket was closed")
            if got.startswith(PING):
                members[fd].sendall(PONG)
                got = got.removeprefix(PING)
            if got not in (FRAME, b""):
                raise RuntimeError(f"a WebSocket was sent {got[:80]!r}")
            missing -= got == FRAME


def measure(places, free_port, core):
    """Microseconds, milliseconds, bytes."""
    many = min(MEMBERS, footprint.raise_limit() - 200)
    port = free_port()
    with service(places, port, core) as process, contextlib.ExitStack() as opened:
        members, sizes = {}, []
        with select.epoll() as poll:
            for count in (footprint.FEW, many - footprint.FEW):
                for _ in range(count):
                    connection = member(port)
                    opened.callback(connection.close)
                    members[connection.fileno()] = connection
                    poll.register(connection.fileno(), select.EPOLLIN)
                sizes.append(footprint.resident_bytes(process.pid))
            used, took = [], []
            for _ in range(MESSAGES):
                before, began = cpu_us(process.pid), time.monotonic()
                say(port)
                hear(members, poll)
                took.append((time.monotonic() - began) * 1000)
                used.append((cpu_us(process.pid) - before) / many)
    return {"cpu_us": statistics.median(used), "last_has_it_ms": statistics.median(took), "members": many,
            "bytes_per_websocket": (sizes[1] - sizes[0]) / (many - footprint.FEW)}
