"""Floods: clients that mean harm in every way that HTTP/1.1 leaves them. While each goes on, another one is served as ever."""
import contextlib
import threading
import time

from harness import Case, Ended, Wire, eventually, main, request


class Bystander(threading.Thread):
    """Somebody else: asks again and again on one connection, and on new ones, and notes what it got and when."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service, self.enough = service, threading.Event()
        self.statuses, self.took, self.error = [], [], None

    def run(self):
        try:
            with contextlib.closing(Wire(self.service.address)) as kept:
                while not self.enough.is_set():
                    began = time.monotonic()
                    self.statuses.append(kept.ask("GET", "/").status)
                    self.took.append(time.monotonic() - began)
                    began = time.monotonic()
                    self.statuses.append(self.service.ask().status)
                    self.took.append(time.monotonic() - began)
                    time.sleep(0.002)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.enough.set()
        self.join(60)
        if kind is not None:
            return
        assert self.error is None, f"somebody else was harmed: {self.error!r}"
        assert self.statuses and set(self.statuses) == {200}, set(self.statuses)
        took = sorted(self.took)
        worst = took[int(0.99 * (len(took) - 1))]
        assert worst < 3, f"somebody else waited {worst:.1f} s"


class Floods(Case):
    def flooded(self, *flags):
        return self.service("--threads", "1", "--header-timeout", "1", "--body-timeout", "1", "--write-timeout", "1", *flags)

    @contextlib.contextmanager
    def attackers(self, attack, count=4):
        """`attack` again and again on some threads."""
        enough, failures = threading.Event(), []

        def repeat():
            while not enough.is_set():
                try:
                    attack()
                except (Ended, OSError):
                    pass  # shed
                except Exception as error:  # noqa: BLE001
                    failures.append(error)
                    return
        threads = [threading.Thread(target=repeat, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            enough.set()
            for thread in threads:
                thread.join(60)
        self.assertEqual(failures, [])

    def asked(self, bystander, more=50):
        already = len(bystander.statuses)
        eventually(lambda: bystander.error or len(bystander.statuses) >= already + more, "somebody else is served", 60)

    def test_slow_heads_slow_bodies_and_silence(self):
        service = self.flooded()
        wires = []
        for i in range(300):
            wire = self.connect(service)
            if i % 3 == 1:
                wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            elif i % 3 == 2:
                wire.send(request("POST", "/orders", b"", [("Content-Length", "100000")]))
            wires.append(wire)

        def drip():
            for wire in wires:
                wire.try_send(b"x")
        with Bystander(service) as bystander, self.attackers(drip, 1):
            self.asked(bystander)
            eventually(lambda: service.metric("ashlar_http_connections") < 10, "the slow ones are gone", 60)
        self.assertEqual(service.limited("header_time") + service.limited("body_time"), 300)

    def test_readers_that_do_not_read(self):
        service = self.flooded()
        for _ in range(30):
            wire = self.connect(service, receive_buffer=4096)
            wire.send(request(target="/big?bytes=8000000"))
        with Bystander(service) as bystander:
            self.asked(bystander)
            eventually(lambda: service.limited("write_time") == 30, "they are closed", 60)

    def test_pipelines_whose_answers_nobody_reads(self):
        service = self.flooded()
        wires = [self.connect(service, receive_buffer=4096) for _ in range(10)]

        def pipeline():
            for wire in wires:
                wire.socket.settimeout(0.05)
                with contextlib.suppress(OSError):
                    wire.socket.send(request(target="/big?bytes=20000") * 100)
        before = service.metric("process_resident_memory_bytes")
        with Bystander(service) as bystander, self.attackers(pipeline, 1):
            self.asked(bystander)
            eventually(lambda: service.limited("write_time") == 10, "they are closed", 60)
        self.assertLess(service.metric("process_resident_memory_bytes") - before, 100_000_000)

    def test_connections_that_are_reset_at_once(self):
        service = self.flooded()

        def storm():
            for wire in [Wire(service.address) for _ in range(100)]:
                wire.try_send(b"GET / HTTP/1.1\r\n")
                wire.reset()
        with Bystander(service) as bystander, self.attackers(storm):
            self.asked(bystander, 100)
        eventually(lambda: service.metric("ashlar_http_connections") < 10, "nothing is left of them")

    def test_connections_that_are_half_closed(self):
        service = self.flooded()

        def half():
            with contextlib.closing(Wire(service.address)) as wire:
                wire.send(request(target="/slow?ms=20") + b"GET / HT")
                wire.finish_sending()
                while wire.socket.recv(65536):  # whatever it gets
                    pass
        with Bystander(service) as bystander, self.attackers(half):
            self.asked(bystander, 100)
        eventually(lambda: service.metric("ashlar_http_connections") < 10, "nothing is left of them")

    def test_heads_that_are_too_large(self):
        service = self.flooded()
        bad = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(500)) + b"\r\n"

        def flood():
            with contextlib.closing(Wire(service.address)) as wire:
                wire.send(bad)
                self.assertEqual(wire.answer().status, 431)
        with Bystander(service) as bystander, self.attackers(flood):
            self.asked(bystander, 100)
        self.assertGreater(service.limited("head_size"), 0)

    def test_endless_pipelines_of_small_requests(self):
        service = self.flooded()
        pipeline = request(target="/items/1") * 200

        def flood():
            with contextlib.closing(Wire(service.address)) as wire:
                for _ in range(20):
                    wire.send(pipeline)
                    for _ in range(200):
                        self.assertEqual(wire.answer().status, 200)
        with Bystander(service) as bystander, self.attackers(flood):
            self.asked(bystander, 100)

    def test_a_pipeline_lets_others_have_their_turn(self):
        service = self.flooded()
        crowd, other = self.connect(service), self.connect(service)
        crowd.send(request(target="/block?ms=700") + request(target="/items/1") * 200)
        time.sleep(0.2)  # while the loop is held
        metrics = other.ask("GET", "/metrics").text
        done = [line for line in metrics.splitlines()
                if line.startswith("http_server_request_duration_seconds_count") and "/items/{id}" in line]
        self.assertLess(sum(float(line.split()[-1]) for line in done), 150)
        for target in ["blocked\n"] + ["1"] * 200:
            self.assertEqual(crowd.answer().text, target)

    def test_a_pipeline_that_ends_with_the_end_is_answered_whole(self):
        service = self.flooded()
        wire = self.connect(service)
        wire.send(b"".join(request(target=f"/items/{i}") for i in range(500)))
        wire.finish_sending()
        for i in range(500):
            self.assertEqual(wire.answer().text, f"{i}")
        self.assertTrue(wire.ended())

    def test_one_peer_takes_all_the_connections_that_it_may(self):
        service = self.flooded("--host", "0.0.0.0", "--max-connections", "200")
        kept = []

        def take():
            wire = Wire(service.address)
            kept.append(wire)
            if len(kept) > 400:
                kept.pop(0).close()
        self.addCleanup(lambda: [wire.close() for wire in kept])
        with self.attackers(take, 2):
            eventually(lambda: len(kept) >= 300, "it has many")
        eventually(lambda: self.served(service), "others are served when the silent ones are gone")

    def served(self, service):
        try:
            return service.ask().status == 200
        except (Ended, OSError):
            return False


class Overload(Case):
    """More than the loop can do: some are refused at once, the others are answered, and what is critical always is."""

    def test_what_cannot_be_answered_in_time_is_refused_and_the_critical_is_served(self):
        service = self.service("--threads", "1", "--overload-wait", "20")
        # Each connection keeps the loop busy for a millisecond a request; together for longer than the wait.
        wires = [self.connect(service) for _ in range(150)]
        enough = threading.Event()
        refused, served = [], []

        def ask(mine):
            while not enough.is_set():
                for wire in mine:
                    wire.send(request(target="/compute?ms=1"))
                for wire in mine:
                    answer = wire.answer()
                    (served if answer.status == 200 else refused).append(answer)
        threads = [threading.Thread(target=ask, args=(wires[i::3],), daemon=True) for i in range(3)]
        for thread in threads:
            thread.start()
        try:
            answer = eventually(lambda: refused and refused[0], "something is refused", 60)
            self.assertEqual(service.ask(target="/health/ready").status, 200)
            self.assertGreater(service.metric("ashlar_overload_shed_total", priority="normal", reason="loop"), 0)
            already = len(served)
            eventually(lambda: len(served) > already + 100, "others are answered", 60)
        finally:
            enough.set()
            for thread in threads:
                thread.join(60)
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.header("content-type"), "application/problem+json")
        self.assertIn(answer.header("retry-after"), ("1", "2", "3"))
        self.assertTrue(service.find_log("overloaded: some requests are refused"))

    def test_it_can_be_turned_off(self):
        service = self.service("--threads", "1", "--overload-wait", "1", "--shed-load", "0")
        self.assertEqual(service.ask().status, 200)
        self.assertNotIn("ashlar_overload", service.ask(target="/metrics").text)


class Proxies(Case):
    def test_a_client_behind_a_trusted_proxy_is_seen(self):
        service = self.service("--threads", "1", "--trusted-proxies", "127.0.0.0/8")
        self.assertEqual(service.ask(target="/who", headers=[("X-Forwarded-For", "192.0.2.1")]).text, "192.0.2.1\n")
        other = self.service("--threads", "1")
        self.assertEqual(other.ask(target="/who", headers=[("X-Forwarded-For", "192.0.2.1")]).text, "127.0.0.1\n")

    def test_a_wrong_network_is_told_at_the_start(self):
        service = self.service("--trusted-proxies", "10.0.0.0/99", start=False)
        self.assertNotEqual(service.wait(), 0)
        self.assertIn("10.0.0.0/99", service.text)


if __name__ == "__main__":
    main()
