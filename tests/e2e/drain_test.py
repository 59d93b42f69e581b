"""SIGTERM under load: not one accepted request is dropped.

A request counts as dropped when its client has sent all of it on a connection that was open, and the connection then
ends without a complete answer: closed or reset, before the answer or in the middle of it. No retry is forgiven. HTTP/1.1
leaves one gap, which no server can close alone (RFC 9112 §9.5): a client may begin a request on an idle connection at the
very moment when the server closes it. A draining server closes an idle connection only after a grace, and says
`Connection: close` on every answer it gives meanwhile, so the clients of these tests, who send their next request as soon as
they have an answer, never meet that gap: for them the number of dropped requests is exactly zero.

A connection that the kernel refuses has carried no request; a client that is refused stops.
"""
import signal
import socket
import threading
import time

from harness import Case, Ended, Load, Wire, alive, eventually, main, request


class Drain(Case):
    TARGETS = ["/", "/items/7", "/slow?ms=1", "/slow?ms=30", "/slow?ms=300", "/big?bytes=300000", "/stream?pieces=20&bytes=2000",
               ("POST", "/orders", {"customer": "a", "address": {"street": "b", "zip": "12345"},
                                    "lines": [{"product": "tea", "amount": 1, "price": 2}]})]

    def under_load(self, number, *flags, clients=32, targets=TARGETS, **options):
        service = self.service(*flags, **options)
        load = Load(service, clients, targets)
        eventually(lambda: load.answered > 20 * clients, "the load is on")
        began = time.monotonic()
        service.send_signal(number)
        load.wait()
        code = service.wait()
        self.assertEqual(load.dropped, [])
        self.assertLessEqual(load.statuses, {200, 201})
        self.assertEqual(code, 0, service.text)
        self.assertGreaterEqual(load.closed, 1, "clients are told to go")
        # What the service has handled is what the clients were answered: it did nothing for nobody.
        self.assertIn(f"stopped after {load.answered} requests", service.journal)
        print(f"[{load.answered} answers, none dropped; ended in {time.monotonic() - began:.2f} s] ", end="", flush=True)
        return service

    def test_sigterm_drops_nothing(self):
        service = self.under_load(signal.SIGTERM)
        self.assertEqual(service.find_log('"stopping"')["signal"], "SIGTERM")

    def test_sigint_drops_nothing(self):
        self.under_load(signal.SIGINT, "--threads", "2")

    def test_with_a_database(self):
        service = self.under_load(
            signal.SIGTERM, "--threads", "2", clients=16, database=True,
            targets=["/notes/count", ("POST", "/notes", {"text": "a"}), ("POST", "/notes/slowly?ms=50", {"text": "b"}),
                     ("POST", "/notes/in-transaction", {"text": "c"})])
        self.assertEqual(service.postgres_pid(), 0, "its PostgreSQL was stopped cleanly")

    def test_many_times_on_short_connections(self):
        # Connections that are made in the moment of the signal: those that the kernel has accepted are served.
        for _ in range(3):
            service = self.service("--threads", "2", "--drain-grace", "0.2")
            dropped, answered, stop = [], [0], threading.Event()

            def client(service=service, dropped=dropped, answered=answered, stop=stop):
                while not stop.is_set():
                    try:
                        wire = Wire(service.address)
                    except (ConnectionError, socket.timeout):
                        return
                    try:
                        wire.send(request(headers=[("Connection", "close")]))
                        wire.answer()
                        answered[0] += 1
                    except (ConnectionError, socket.timeout) as error:
                        dropped.append(repr(error))
                    wire.close()
            threads = [threading.Thread(target=client, daemon=True) for _ in range(8)]
            for thread in threads:
                thread.start()
            eventually(lambda answered=answered: answered[0] > 100, "the load is on")
            self.assertEqual(service.stop(), 0)
            stop.set()
            for thread in threads:
                thread.join(60)
            self.assertEqual(dropped, [])

    def test_a_request_that_comes_on_an_idle_connection_within_the_grace_is_answered_and_is_the_last(self):
        service = self.service("--drain-grace", "20")
        wires = [self.connect(service) for _ in range(4)]
        fresh = self.connect(service)
        for wire in wires:
            self.assertTrue(wire.is_open())
        service.send_signal(signal.SIGTERM)
        service.wait_for_log('"stopping"')
        for wire in [*wires, fresh]:
            # Each loop begins to drain when it comes to it: a moment after the log line.
            answer = eventually(lambda wire=wire: self.last(wire), "the answer that is the last")
            self.assertEqual(answer.status, 200)
            self.assertTrue(wire.ended())
            wire.close()

    def last(self, wire):
        answer = wire.ask()
        return answer if answer.closes else None

    def test_a_half_sent_request_may_be_finished(self):
        service = self.service("--drain-grace", "0.1")
        wire = self.connect(service)
        data = request("GET", "/items/5")
        wire.send(data[:20])
        body = self.connect(service)
        body.send(request("POST", "/orders", b"", [("Content-Length", "2")]))
        eventually(lambda: service.metric("ashlar_http_received_bytes_total") > 100, "both have arrived")
        service.send_signal(signal.SIGTERM)
        service.wait_for_log('"stopping"')
        self.assertTrue(self.connect_is_refused(service))
        wire.send(data[20:])
        self.assertEqual(wire.answer().status, 200)
        body.send(b"{}")
        self.assertEqual(body.answer().status, 422)
        wire.close()
        body.close()
        self.assertEqual(service.wait(), 0)

    def connect_is_refused(self, service):
        def refused():
            try:
                Wire(service.address).close()
                return False
            except ConnectionError:
                return True
        return eventually(refused, "new connections are refused")

    def test_readiness_says_that_it_is_shutting_down(self):
        service = self.service("--drain-grace", "20")
        probe = self.connect(service)
        self.assertEqual(probe.ask("GET", "/health/ready").status, 200)
        service.send_signal(signal.SIGTERM)
        service.wait_for_log('"stopping"')
        answer = eventually(lambda: self.unready(probe), "readiness says so")
        self.assertIn("shutting down", answer.text)

    def unready(self, probe):
        answer = probe.ask("GET", "/health/ready")
        return answer if answer.status == 503 else None

    def test_background_work_is_waited_for_and_the_hooks_run_after_it(self):
        service = self.service("--drain-grace", "0.1")
        self.assertEqual(service.ask("POST", "/leave-behind?ms=500").status, 204)
        self.assertEqual(service.stop(), 0)
        self.assertEqual(service.journal, ["background done", "stopped after 1 requests"])

    def test_what_takes_longer_than_the_drain_may_is_cancelled(self):
        service = self.service("--drain-grace", "0.1", "--drain-timeout", "0.5", "--request-timeout", "600")
        wire = self.connect(service)
        wire.send(request(target="/slow?ms=600000"))
        stream = self.connect(service)
        stream.send(request(target="/stream?pieces=1000000&bytes=10"))
        stream.received = stream.socket.recv(10)
        eventually(lambda: service.metric("ashlar_http_requests_suspended") >= 1, "the slow request is there")
        service.send_signal(signal.SIGTERM)
        answer = wire.answer()
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.header("retry-after"))
        self.assertEqual(service.wait(), 0)
        with self.assertRaises(Ended):
            stream.answer()


class SecondSignal(Case):
    def test_ends_it_at_once(self):
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGINT)):
            with self.subTest(f"{first.name}, {second.name}"):
                service = self.service("--request-timeout", "600")
                wire = self.connect(service)
                wire.send(request(target="/slow?ms=600000"))
                eventually(lambda service=service: service.metric("ashlar_http_requests_suspended") >= 1, "it has a request")
                service.send_signal(first)
                service.wait_for_log('"stopping"')
                self.assertIsNone(service.process.poll())
                began = time.monotonic()
                service.send_signal(second)
                self.assertEqual(service.wait(), 130)
                self.assertLess(time.monotonic() - began, 5)
                self.assertIn("stopped at once", service.text)

    def test_takes_the_private_postgresql_with_it(self):
        service = self.service("--request-timeout", "600", database=True)
        postgres = service.postgres_pid()
        self.assertTrue(alive(postgres))
        wire = self.connect(service)
        wire.send(request(target="/slow?ms=600000"))
        eventually(lambda: service.metric("ashlar_http_requests_suspended") >= 1, "it has a request")
        service.send_signal(signal.SIGTERM)
        service.wait_for_log('"stopping"')
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(), 130)
        eventually(lambda: not alive(postgres), "PostgreSQL has ended")

    def test_a_signal_while_it_starts_ends_the_start(self):
        service = self.service(database=True, start=False)
        eventually(lambda: service.data.exists(), "it has begun to start")
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(), 0, service.text)
        self.assertIsNone(service.find_log('"serving"'))


if __name__ == "__main__":
    main()
