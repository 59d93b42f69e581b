"""Clients that take their time, or take too much: the server sheds them, counts them, and serves the others meanwhile."""
import threading
import time

from harness import Case, Ended, Wire, eventually, main, request


class SlowClients(Case):
    def setUp(self):
        super().setUp()
        self.shared = self.service("--threads", "1", "--header-timeout", "0.3", "--body-timeout", "0.3", "--idle-timeout", "0.3",
                                   "--write-timeout", "0.3", "--request-timeout", "1")

    def others_are_served(self):
        began = time.monotonic()
        self.assertEqual(self.shared.ask().status, 200)
        self.assertLess(time.monotonic() - began, 5)

    def drip(self, wire, data):
        """One byte after another until the server has had enough; gives how many it took."""
        stop = threading.Event()
        self.addCleanup(stop.set)

        def send():
            for byte in data:
                if stop.wait(0.02) or not wire.try_send(bytes([byte])):
                    return
        threading.Thread(target=send, daemon=True).start()

    def test_a_head_that_comes_byte_by_byte_is_408(self):
        wires = [self.connect(self.shared) for _ in range(50)]
        for wire in wires:
            self.drip(wire, request(headers=[("X-Slow", "x" * 1000)]))
        self.others_are_served()
        for wire in wires:
            answer = wire.answer()
            self.assertEqual(answer.status, 408)
            self.assertTrue(answer.closes)
        self.assertEqual(self.shared.limited("header_time"), 50)

    def test_a_body_that_comes_too_slowly_is_408(self):
        for head in (request("POST", "/orders", b"", [("Content-Length", "1000")]),
                     request("POST", "/orders", b"", [("Transfer-Encoding", "chunked")])):
            wire = self.connect(self.shared)
            wire.send(head)
            self.drip(wire, b"1\r\nx\r\n" * 200)
            answer = wire.answer()
            self.assertEqual(answer.status, 408)
            self.assertTrue(answer.closes)
        self.assertEqual(self.shared.limited("body_time"), 2)
        self.others_are_served()

    def test_connections_that_say_nothing_are_closed_in_silence(self):
        fresh = self.connect(self.shared)
        used = self.connect(self.shared)
        self.assertTrue(used.is_open())
        self.assertTrue(fresh.ended())
        self.assertTrue(used.ended())
        self.assertEqual(self.shared.limited("header_time"), 1)
        self.assertEqual(self.shared.limited("idle_time"), 1)

    def test_a_reader_that_does_not_read_is_closed(self):
        for target in ("/big?bytes=30000000", "/stream?pieces=1000000&bytes=10000"):
            wire = self.connect(self.shared, receive_buffer=4096)
            wire.send(request(target=target))
        eventually(lambda: self.shared.limited("write_time") == 2, "both are closed")
        self.others_are_served()
        self.assertEqual(self.shared.metric("ashlar_http_streams"), 0)

    def test_a_slow_reader_who_reads_gets_everything_and_holds_nobody_up(self):
        wire = self.connect(self.shared, receive_buffer=65536)
        size = 8_000_000
        wire.send(request(target=f"/big?bytes={size}"))
        self.others_are_served()
        received = b""
        while len(received) < 1_000_000:  # slowly
            received += wire.socket.recv(20_000)
            time.sleep(0.01)
        self.others_are_served()
        wire.received = received
        self.assertEqual(len(wire.answer().body), size)

    def test_a_stream_waits_for_its_reader_instead_of_filling_the_memory(self):
        wire = self.connect(self.shared, receive_buffer=4096)
        before = self.shared.metric("process_resident_memory_bytes")
        wire.send(request(target="/stream?pieces=100000&bytes=100000"))
        eventually(lambda: self.shared.limited("write_time") == 1, "it is closed")
        after = self.shared.metric("process_resident_memory_bytes")
        self.assertGreater(before, 0)
        self.assertLess(after - before, 100_000_000)

    def test_a_handler_that_takes_too_long_is_cancelled_and_answered_504(self):
        wire = self.connect(self.shared)
        answer = wire.ask("GET", "/slow?ms=600000")
        self.assertEqual(answer.status, 504, answer)
        self.assertEqual(self.shared.limited("request_time"), 1)
        self.assertTrue(wire.is_open())

    def test_a_handler_that_holds_its_loop_is_named_in_the_log(self):
        self.assertEqual(self.shared.ask(target="/block?ms=600").status, 200)
        self.assertIn("/block", self.shared.wait_for_log("a handler held its loop")["labels.http.route"])


class TooMany(Case):
    def test_connections_above_the_limit_get_503_and_are_counted(self):
        service = self.service("--threads", "1", "--max-connections", "20")
        kept = [self.connect(service) for _ in range(20)]
        for wire in kept:
            self.assertTrue(wire.is_open())
        for _ in range(5):
            wire = self.connect(service)
            answer = wire.answer()
            self.assertEqual(answer.status, 503)
            self.assertTrue(answer.header("retry-after"))
            self.assertTrue(answer.closes)
            self.assertTrue(wire.ended())
        metrics = kept[0].ask("GET", "/metrics").text
        self.assertIn('ashlar_http_limited_total{limit="connections"} 5', metrics)
        kept.pop().close()
        eventually(lambda: self.served(service), "there is room again")
        self.assertTrue(all(wire.is_open() for wire in kept))

    def served(self, service):
        try:
            return service.ask().status == 200
        except (Ended, ConnectionError):
            return False

    def test_a_storm_of_connections_does_no_harm(self):
        service = self.service("--threads", "1", "--max-connections", "100", "--header-timeout", "0.3")
        bystander = self.connect(service)
        for _ in range(3):
            for wire in [Wire(service.address) for _ in range(300)]:
                wire.reset()
            self.assertTrue(bystander.is_open())
        eventually(lambda: self.served(service), "it serves")

    def test_pipelines_are_answered_in_order_and_not_without_bound(self):
        service = self.service("--threads", "1")
        wire = self.connect(service)
        wire.send(b"".join(request(target=f"/items/{i}") for i in range(1000)))
        for i in range(1000):
            self.assertEqual(wire.answer().text, f"{i}")


if __name__ == "__main__":
    main()
