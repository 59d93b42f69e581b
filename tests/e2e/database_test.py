"""PostgreSQL goes away and comes back under load: 503 with Retry-After meanwhile, and nothing that was acknowledged is lost."""
import os
import signal
import threading
import time

from harness import Case, Wire, alive, eventually, main


class Writers:
    """Clients that write notes one after another, and remember which of them the service has acknowledged."""

    def __init__(self, service, clients):
        self.service, self.stopping = service, threading.Event()
        self.lock = threading.Lock()
        self.acknowledged, self.refused, self.wrong, self.slowest = {}, [], [], 0.0
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def _client(self, number):
        wire = Wire(self.service.address)
        targets = ("/notes", "/notes/in-transaction")
        sequence = 0
        while not self.stopping.is_set():
            text = f"{number}-{sequence}"
            sequence += 1
            began = time.monotonic()
            try:
                answer = wire.ask("POST", targets[sequence % 2], {"text": text})
            except ConnectionError as error:
                with self.lock:
                    self.wrong.append(f"{text}: {error!r}")
                return
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                if answer.status == 201:
                    self.acknowledged[text] = answer.json["id"]
                elif answer.status == 503 and answer.header("retry-after"):
                    self.refused.append((text, answer))
                else:
                    self.wrong.append(f"{text}: {answer!r}")
            if answer.status != 201:
                time.sleep(0.005)  # less than Retry-After asks for: a client that pushes

    def count(self, what):
        with self.lock:
            return len(getattr(self, what))

    def more(self, what, than=20):
        before = self.count(what)
        eventually(lambda: self.wrong or self.count(what) > before + than, f"more {what}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


class Outage(Case):
    def check_notes(self, service, writers):
        """Acknowledged means there. What was refused may be there only if the answer said that nobody knows."""
        notes = eventually(lambda: self.notes(service), "the notes can be read").json
        there = {note["text"]: note["id"] for note in notes}
        self.assertEqual(len(there), len(notes), "nothing was written twice")
        for text, number in writers.acknowledged.items():
            self.assertEqual(there.pop(text, None), number, f"the acknowledged note {text}")
        refused = dict(writers.refused)
        for text in there:
            self.assertIn("unknown", refused[text].json["detail"])

    def notes(self, service):
        answer = service.ask(target="/notes")
        if answer.status == 503:  # another loop than those that are back already
            return None
        self.assertEqual(answer.status, 200, f"{answer}\n{service.text[-3000:]}")
        return answer

    def outage(self, *numbers):
        postgres = self.postgres()
        service = self.service("--threads", "2", environment={"SERVICE_DATABASE": "1", "DATABASE_URL": postgres.url})
        writers = Writers(service, 16)
        for number in numbers:
            with self.subTest(number.name):
                writers.more("acknowledged")
                postgres.stop(number)
                writers.more("refused")
                health = eventually(lambda: self.unready(service), "readiness tells")
                self.assertTrue(health.json["reasons"][0].startswith("postgres: "), health)
                self.assertEqual(service.ask(target="/health/live").status, 200)
                self.assertEqual(service.ask(target="/items/1").status, 200)
                answer = service.ask(target="/notes/count")
                self.assertEqual(answer.status, 503)
                self.assertGreaterEqual(int(answer.header("retry-after")), 1)
                self.assertNotIn(str(self.folder), answer.text)
                began = time.monotonic()
                postgres.start()
                eventually(service.ready, "it is ready again")
                print(f"[{number.name}: ready {time.monotonic() - began:.2f} s after] ", end="", flush=True)
                writers.more("acknowledged")
        writers.stop()
        self.assertEqual(writers.wrong, [])
        self.check_notes(service, writers)
        self.assertEqual(service.stop(), 0)

    def unready(self, service):
        answer = service.ask(target="/health/ready")
        return answer if answer.status == 503 else None

    def test_stopped_and_started(self):
        self.outage(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)

    def test_connections_ended_by_an_administrator_are_made_again(self):
        postgres = self.postgres()
        service = self.service("--threads", "1", environment={"SERVICE_DATABASE": "1", "DATABASE_URL": postgres.url})
        writers = Writers(service, 8)
        for _ in range(3):
            writers.more("acknowledged")
            postgres.end_sessions()
        writers.more("acknowledged")
        writers.stop()
        self.assertEqual(writers.wrong, [])
        self.check_notes(service, writers)

    def test_a_database_that_does_not_answer_holds_nobody_for_longer_than_the_request_may_take(self):
        postgres = self.postgres()
        service = self.service("--threads", "1", "--request-timeout", "0.5",
                               environment={"SERVICE_DATABASE": "1", "DATABASE_URL": postgres.url})
        self.assertEqual(service.ask("POST", "/notes", {"text": "before"}).status, 201)
        with postgres.frozen():
            for method, target, body in (("GET", "/notes/count", None), ("POST", "/notes", {"text": "a"}),
                                         ("POST", "/notes/in-transaction", {"text": "b"})):
                began = time.monotonic()
                answer = service.ask(method, target, body)
                self.assertIn(answer.status, (503, 504), answer)
                self.assertLess(time.monotonic() - began, 5)
                self.assertEqual(service.ask().status, 200)
        eventually(lambda: service.ask(target="/notes/count").status == 200, "it answers again")
        self.assertEqual(service.stop(), 0)

    def test_a_drain_does_not_wait_for_a_database_that_is_gone(self):
        postgres = self.postgres()
        service = self.service("--drain-grace", "0.1", environment={"SERVICE_DATABASE": "1", "DATABASE_URL": postgres.url})
        postgres.stop(signal.SIGKILL)
        eventually(lambda: self.unready(service), "it has seen it")
        began = time.monotonic()
        self.assertEqual(service.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)


class ServiceKilled(Case):
    """SIGKILL of the service with its private PostgreSQL."""

    def test_no_acknowledged_write_is_lost_and_no_postgresql_is_left(self):
        service = self.service("--threads", "2", database=True)
        writers = Writers(service, 8)
        for _ in range(2):
            writers.more("acknowledged", 50)
            postgres = service.postgres_pid()
            service.send_signal(signal.SIGKILL)
            service.wait()
            writers.stop()
            acknowledged = writers.acknowledged
            # Not even waiting for the old PostgreSQL to end: the next start deals with what it finds.
            service = self.service("--threads", "2", database=True)
            print(f"[{len(acknowledged)} acknowledged; started after SIGKILL in {service.took:.2f} s] ", end="", flush=True)
            there = {note["text"]: note["id"] for note in service.ask(target="/notes").json}
            for text, number in acknowledged.items():
                self.assertEqual(there.get(text), number)
            eventually(lambda pid=postgres: not alive(pid), "the first PostgreSQL has ended")
            self.assertEqual(service.ask("POST", "/notes", {"text": "alone"}).status, 201)
            writers = Writers(service, 8)
        writers.stop()
        self.assertEqual(service.stop(), 0)
        self.assertEqual(service.postgres_pid(), 0)

    def test_postgresql_ends_with_it(self):
        service = self.service(database=True)
        postgres = service.postgres_pid()
        self.assertTrue(alive(postgres))
        service.send_signal(signal.SIGKILL)
        service.wait()
        eventually(lambda: not alive(postgres), "PostgreSQL has ended")


class PrivatePostgres(Case):
    def test_that_crashes_is_started_again(self):
        service = self.service(database=True)
        writers = Writers(service, 8)
        writers.more("acknowledged")
        first = service.postgres_pid()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: service.postgres_pid() not in (0, first), "another one runs")
        eventually(service.ready, "it is ready again")
        writers.more("acknowledged")
        writers.stop()
        self.assertEqual(writers.wrong, [])
        there = {note["text"]: note["id"] for note in service.ask(target="/notes").json}
        for text, number in writers.acknowledged.items():
            self.assertEqual(there.get(text), number)
        self.assertEqual(service.stop(), 0)
        self.assertEqual(service.postgres_pid(), 0)

    def test_is_shared_with_a_second_service_on_the_same_data(self):
        first = self.service(database=True)
        second = self.service(database=True)
        self.assertEqual(second.find_log("private PostgreSQL shared")["pid"], first.postgres_pid())
        self.assertIn(str(first.postgres_pid()), second.find_log("that another program runs on")["message"])
        self.assertEqual(first.ask("POST", "/notes", {"text": "a"}).status, 201)
        self.assertEqual(second.ask(target="/notes/count").json, 1)
        # It belongs to the first: the second goes without ending it.
        self.assertEqual(second.stop(), 0)
        self.assertEqual(first.ask("POST", "/notes", {"text": "b"}).status, 201)
        third = self.service(database=True)
        self.assertEqual(first.stop(), 0)
        answer = eventually(lambda: self.refused(third), "the third service has none any more")
        self.assertTrue(answer.header("retry-after"))
        fourth = self.service(database=True)
        eventually(third.ready, "the third service uses that of the fourth")
        self.assertEqual(third.ask(target="/notes/count").json, 2)
        self.assertEqual(third.stop(), 0)
        self.assertEqual(fourth.stop(), 0)

    def refused(self, service):
        answer = service.ask(target="/notes/count")
        return answer if answer.status == 503 else None

    def test_two_services_may_start_on_new_data_at_the_same_time(self):
        services = [self.service(database=True, start=False) for _ in range(3)]
        for service in services:
            service.wait_until_serving()
            self.assertEqual(service.ask("POST", "/notes", {"text": "a"}).status, 201)
        self.assertEqual(sum(1 for service in services if service.find_log("private PostgreSQL started")), 1)


if __name__ == "__main__":
    main()
