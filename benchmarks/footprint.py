"""What a service costs that does nothing: memory at rest, time until its first answer, memory of an idle connection."""
import contextlib
import os
import resource
import socket
import statistics
import subprocess
import time

REQUEST = b"GET /hello/you HTTP/1.1\r\nHost: bench\r\n\r\n"
FEW, MANY = 1_000, 10_000


def raise_limit():
    """Descriptors for the clients' ends of the connections; the server sees to its own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def answered(port):
    """A connection on which one request was answered, or None."""
    with contextlib.suppress(OSError):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(REQUEST)
        if connection.recv(4096).startswith(b"HTTP/1.1 200"):
            return connection
        connection.close()
    return None


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@contextlib.contextmanager
def hello(places, port):
    """Gives the process and how long it took to its first answer."""
    began = time.monotonic()
    process = subprocess.Popen([os.path.abspath(f"{places['build']}/examples/hello/hello"), "serve", "--port", str(port), "--threads", "1"],
                               stdout=subprocess.DEVNULL, cwd=places["tmp"])
    try:
        while (connection := answered(port)) is None:
            if process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError("hello does not answer")
            time.sleep(0.0005)
        took = time.monotonic() - began
        connection.close()
        yield process, took
    finally:
        process.terminate()
        process.wait(60)


def measure(places, free_port, rounds):
    """Milliseconds, MiB, bytes."""
    took, at_rest = [], []
    for _ in range(rounds):
        with hello(places, free_port()) as (process, first):
            took.append(first * 1000)
            at_rest.append(resident_bytes(process.pid) / 2**20)
    many = min(MANY, raise_limit() - 200)
    port = free_port()
    with hello(places, port) as (process, _), contextlib.ExitStack() as opened:
        sizes = []
        for count in (FEW, many - FEW):
            for _ in range(count):
                connection = answered(port)
                if connection is None:
                    raise RuntimeError(f"no connection after {len(sizes)} rounds of {FEW} and {many - FEW}")
                opened.callback(connection.close)
            sizes.append(resident_bytes(process.pid))
    return {"first_answer_ms": statistics.median(took), "rss_mib": statistics.median(at_rest),
            "bytes_per_connection": (sizes[1] - sizes[0]) / (many - FEW), "connections": many}
