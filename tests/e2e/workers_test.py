"""Several workers under a supervisor: replaced one by one, crashed, stalled, ended. What a dropped request is, drain_test.py
says. Other protocols are covered in the same way: a load with `dropped`, `goes_on` and `stop` around
`service.replace_workers()`.
"""
import contextlib
import json
import os
import signal
import socket
import threading
import time

import harness
from harness import Case, Load, Wire, alive, eventually, main, request

TARGETS = ["/", "/items/7", "/slow?ms=1", "/slow?ms=30", "/big?bytes=100000", "/stream?pieces=5&bytes=2000",
           ("POST", "/orders", {"customer": "a", "address": {"street": "b", "zip": "12345"},
                                "lines": [{"product": "tea", "amount": 1, "price": 2}]})]


class Workers(Case):
    def serve(self, *flags, workers=2, grace=0.3, **options):
        return self.service("--workers", str(workers), "--drain-grace", str(grace), *flags, **options)

    def load(self, service, clients=16, targets=TARGETS, endless=True, **options):
        load = Load(service, clients, targets, endless=endless, **options)
        self.addCleanup(load.stopping.set)
        load.goes_on(5 * clients)
        return load

    def fresh(self, service, target="/pid"):
        """The text of an answer on a connection of its own."""
        return service.ask(target=target).text


class Replace(Workers):
    def test_sighup_under_load_drops_nothing(self):
        service = self.serve()
        load = self.load(service)
        for _ in range(2):
            service.replace_workers()
        load.goes_on(100)
        load.stop()
        self.assertEqual(load.dropped, [])
        self.assertLessEqual(load.statuses, {200, 201})
        self.assertGreaterEqual(load.closed, 1, "clients were told to go")
        self.assertEqual(service.stop(), 0)
        # What the workers have handled is what the clients were answered: nothing was done twice, or for nobody.
        handled = sum(int(line.split()[2]) for line in service.journal)
        self.assertEqual(handled, load.answered)
        print(f"[{load.answered} answers] ", end="", flush=True)

    def test_pipelined_requests_are_all_answered(self):
        service = self.serve("--threads", "2")
        load = self.load(service, clients=8, depth=8)
        service.replace_workers()
        load.goes_on(200)
        load.stop()
        self.assertEqual(load.dropped, [])
        self.assertEqual(service.stop(), 0)

    def test_connections_that_come_and_go_are_never_refused(self):
        service = self.serve()
        load = Load(service, 8, [("GET", "/", None, [("Connection", "close")])], endless=True)
        self.addCleanup(load.stopping.set)
        load.goes_on(50)
        for _ in range(2):
            service.replace_workers()
        load.goes_on(50)
        load.stop()
        self.assertEqual(load.dropped, [])

    def test_the_private_postgresql_outlives_the_workers(self):
        service = self.serve(database=True)
        postgres = service.postgres_pid()
        load = self.load(service, targets=["/notes/count", ("POST", "/notes", {"text": "a"}),
                                           ("POST", "/notes/slowly?ms=50", {"text": "b"}),
                                           ("POST", "/notes/in-transaction", {"text": "c"})])
        service.replace_workers()
        load.goes_on(50)
        load.stop()
        self.assertEqual(load.dropped, [])
        self.assertLessEqual(load.statuses, {200, 201})
        self.assertEqual(service.postgres_pid(), postgres)
        self.assertEqual(service.logs("private PostgreSQL shared"), [], "the workers take it for their own")
        self.assertEqual(service.stop(), 0)
        self.assertFalse(alive(postgres))
        self.assertEqual(service.postgres_pid(), 0, "it was stopped cleanly")

    def test_two_signals_at_once_replace_each_worker_once_or_twice(self):
        service = self.serve()
        load = self.load(service)
        service.send_signal(signal.SIGHUP)
        service.replace_workers()
        service.replace_workers()
        load.stop()
        self.assertEqual(load.dropped, [])
        self.assertEqual(sorted(service.workers()), [0, 1])

    def test_a_version_that_does_not_start_replaces_nothing_and_a_good_one_then_does(self):
        program = self.folder / "service"
        program.symlink_to(harness.PROGRAM)
        service = self.serve(program=str(program))
        before = service.workers()
        load = self.load(service)
        broken = self.folder / "broken"
        broken.write_text("#!/bin/sh\necho this version is broken >&2\nexit 3\n")
        broken.chmod(0o755)
        self.turn(program, broken)
        service.send_signal(signal.SIGHUP)
        line = service.wait_for_log("the new worker did not come to serve")
        self.assertEqual(line["reason"], "exit status 3")
        self.assertIn("this version is broken", service.text)
        self.assertEqual(service.workers(), before)
        self.turn(program, self.folder / "missing")
        service.send_signal(signal.SIGHUP)
        self.assertIn("No such file", json.dumps(service.wait_for_log("a worker cannot be started")))
        self.assertEqual(service.workers(), before)
        self.turn(program, harness.PROGRAM)
        service.replace_workers()
        load.stop()
        self.assertEqual(load.dropped, [])

    def turn(self, link, target):
        new = link.with_suffix(".new")
        new.symlink_to(target)
        new.rename(link)

    def test_sigterm_to_a_worker_replaces_it_first(self):
        service = self.serve()
        load = self.load(service)
        old = service.worker(1)
        os.kill(old, signal.SIGTERM)
        eventually(lambda: not alive(old) and service.worker(1) != old, "another one is there")
        load.stop()
        self.assertEqual(load.dropped, [])
        self.assertEqual(service.logs("a worker has ended"), [])

    def test_a_probe_does_not_hear_of_a_shutdown(self):
        service = self.serve(grace=5, workers=1)
        probe = self.connect(service)
        self.assertEqual(probe.ask("GET", "/health/ready").status, 200)
        service.send_signal(signal.SIGHUP)
        eventually(lambda: len(service.logs('"stopping"')) == 1, "the old one drains")
        answer = eventually(lambda: self.last(probe), "its last answer")
        self.assertEqual(answer.status, 200)

    def last(self, probe):
        answer = probe.ask("GET", "/health/ready")
        self.assertEqual(answer.status, 200)
        return answer if answer.closes else None


class Crash(Workers):
    def test_only_its_own_requests_are_lost(self):
        service = self.serve("--worker-backoff", "0.05")
        killed = service.worker(0)
        lost, others, stop = [], [], threading.Event()

        def client():
            while not stop.is_set():
                pid = None
                try:
                    with contextlib.closing(Wire(service.address)) as wire:
                        pid = int(wire.ask("GET", "/pid").text)
                        for _ in range(20):
                            wire.ask("GET", "/slow?ms=5")
                except (ConnectionError, socket.timeout) as error:
                    # Before its first answer a client cannot know whose connection it was: then the kernel reset it.
                    (lost if pid in (killed, None) else others).append((pid, repr(error)))
        threads = [threading.Thread(target=client, daemon=True) for _ in range(12)]
        for thread in threads:
            thread.start()
        eventually(lambda: service.metric("ashlar_http_requests_suspended", worker="0") >= 1, "it has requests")
        os.kill(killed, signal.SIGKILL)
        line = service.wait_for_log('"a worker has ended"')
        self.assertEqual((line["worker"], line["pid"]), (0, killed))
        self.assertEqual(line["reason"], "signal 9 (Killed)")
        service.worker(0)
        eventually(lambda: service.metric("ashlar_worker_up") == 2, "it is up again")
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(others, [])
        self.assertGreaterEqual(len(lost), 1)
        self.assertLessEqual(len(lost), 12, "one a client at most")
        self.assertEqual(service.metric("ashlar_worker_crashes_total", worker="0"), 1)
        self.assertEqual(service.stop(), 0)

    def test_its_sockets_are_served_by_the_others_meanwhile(self):
        service = self.serve("--worker-backoff", "600", "--worker-backoff-most", "600")
        os.kill(service.worker(0), signal.SIGKILL)
        service.wait_for_log('"a worker will be started again"')
        other = str(service.worker(1))
        for _ in range(40):  # half of them come to the sockets of the other
            self.assertEqual(self.fresh(service), other)
        self.assertEqual(service.metric("ashlar_worker_up", worker="0"), 0)
        # A replacement does not wait for the pause to pass.
        service.send_signal(signal.SIGHUP)
        new = service.worker(0)
        eventually(lambda: self.fresh(service) == str(new), "it serves its sockets again")

    def test_each_crash_makes_the_pause_longer(self):
        service = self.serve("--worker-backoff", "0.02", "--worker-backoff-most", "60", workers=1)
        for crash in range(1, 5):
            eventually(lambda: service.metric("ashlar_worker_up") == 1, "it is up")
            os.kill(service.worker(0), signal.SIGABRT)
            line = service.wait_for_log('"a worker will be started again"', times=crash)
            self.assertEqual(line["failures"], crash)
            self.assertGreaterEqual(line["pause_ms"], 10 * 2 ** (crash - 1))
            self.assertLessEqual(line["pause_ms"], 20 * 2 ** (crash - 1))
            service.wait_for_log('"worker serves"', times=crash + 1)

    def test_a_stalled_worker_is_reported_and_covered(self):
        service = self.serve("--worker-stall", "0.5")
        stalled, other = service.worker(0), service.worker(1)
        os.kill(stalled, signal.SIGSTOP)
        self.addCleanup(lambda: alive(stalled) and os.kill(stalled, signal.SIGCONT))
        self.assertEqual(service.wait_for_log('"a worker is stalled"')["pid"], stalled)
        for _ in range(20):
            self.assertEqual(self.fresh(service), str(other))
        self.assertEqual(service.metric("ashlar_worker_stalled", worker="0"), 1)
        os.kill(stalled, signal.SIGCONT)
        service.wait_for_log('"a worker is back"')
        eventually(lambda: self.fresh(service) == str(stalled), "it serves again")

    def test_a_stalled_worker_is_killed_where_that_is_asked_for(self):
        service = self.serve("--worker-stall", "0.5", "--worker-kill", "1")
        stalled = service.worker(0)
        os.kill(stalled, signal.SIGSTOP)
        service.wait_for_log('"a stalled worker is killed"')
        eventually(lambda: not alive(stalled), "it is gone")
        self.assertNotEqual(service.worker(0), stalled)

    def test_a_stalled_worker_that_is_replaced_does_not_stay(self):
        service = self.serve("--worker-stall", "0.5", "--drain-timeout", "0.1", workers=1)
        stalled = service.worker(0)
        os.kill(stalled, signal.SIGSTOP)
        service.wait_for_log('"a worker is stalled"')
        service.send_signal(signal.SIGHUP)
        eventually(lambda: self.fresh(service) != str(stalled), "the new one serves")
        eventually(lambda: not alive(stalled), "it is gone")

    def test_a_supervisor_that_was_held_up_blames_no_worker(self):
        service = self.serve("--worker-stall", "0.5", "--worker-kill", "1")
        before = service.workers()
        service.send_signal(signal.SIGSTOP)
        time.sleep(1.5)  # time has to pass
        service.send_signal(signal.SIGCONT)
        service.send_signal(signal.SIGHUP)
        service.wait_for_log('"a worker is replaced"', times=2)
        self.assertEqual(service.logs("stalled worker"), [])
        self.assertEqual(service.logs("worker has ended"), [])
        self.assertEqual(sorted(before), sorted(service.workers()))


class Start(Workers):
    def test_what_refuses_to_start_is_told_once(self):
        migrations = self.folder / "migrations"
        migrations.mkdir()
        (migrations / "0001_broken.sql").write_text("create table broken (id nonsense);\n")
        service = self.serve(workers=3, database=True, start=False, environment={"SERVICE_MIGRATIONS": str(migrations)})
        self.assertEqual(service.wait(), 1, service.text)
        self.assertEqual(service.text.count("cannot start"), 1, service.text)
        self.assertIn("nonsense", service.text)
        self.assertIsNone(service.find_log('"serving"'))
        self.assertEqual(service.postgres_pid(), 0, "its PostgreSQL was stopped")

    def test_a_port_in_use_is_told_before_anything_is_started(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            service = self.serve(port=taken.getsockname()[1], database=True, start=False)
            self.assertEqual(service.wait(), 1)
            self.assertIn("another program uses it", service.text)
            self.assertFalse(service.data.exists())

    def test_a_signal_while_it_starts_ends_the_start(self):
        service = self.serve(database=True, start=False)
        eventually(lambda: service.workers(), "the first worker is there")
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(), 0, service.text)
        self.assertIsNone(service.find_log('"serving"'))

    def test_every_line_names_its_worker(self):
        service = self.serve(workers=3)
        service.wait_for_log('"worker serves"', times=3)
        self.assertEqual({line["worker"] for line in service.logs('"worker serves"')}, {0, 1, 2})
        self.assertEqual(service.find_log('"serving"')["workers"], 3)

    def test_metrics_are_those_of_all_workers(self):
        service = self.serve()
        for _ in range(20):
            self.fresh(service)
        accepted = [service.metric("ashlar_http_accepted_total", worker=str(i)) for i in range(2)]
        self.assertGreaterEqual(sum(accepted), 20)
        text = service.ask(target="/metrics").text
        self.assertEqual(text.count("# TYPE ashlar_http_accepted_total "), 1)
        for worker in ("0", "1", "supervisor"):
            self.assertRegex(text, rf'process_resident_memory_bytes{{worker="{worker}"}} \d+')


class End(Workers):
    def test_sigterm_drops_nothing(self):
        service = self.serve("--threads", "2")
        load = self.load(service, clients=32, endless=False)
        service.send_signal(signal.SIGTERM)
        load.wait()
        self.assertEqual(service.wait(), 0, service.text)
        self.assertEqual(load.dropped, [])
        self.assertLessEqual(load.statuses, {200, 201})
        self.assertEqual(sum(int(line.split()[2]) for line in service.journal), load.answered)

    def test_ctrl_c_which_reaches_the_workers_too_drops_nothing(self):
        service = self.serve()
        load = self.load(service, endless=False)
        os.killpg(service.pid, signal.SIGINT)
        load.wait()
        self.assertEqual(service.wait(), 0, service.text)
        self.assertEqual(load.dropped, [])

    def test_sigterm_to_all_of_them_drops_nothing(self):
        service = self.serve()
        load = self.load(service, endless=False)
        os.killpg(service.pid, signal.SIGTERM)
        load.wait()
        self.assertEqual(service.wait(), 0, service.text)
        self.assertEqual(load.dropped, [])

    def test_a_second_signal_ends_all_at_once(self):
        service = self.serve("--request-timeout", "600")
        workers = [service.worker(i) for i in range(2)]
        wire = self.connect(service)
        wire.send(request(target="/slow?ms=600000"))
        eventually(lambda: service.metric("ashlar_http_requests_suspended") >= 1, "it has a request")
        service.send_signal(signal.SIGTERM)
        service.wait_for_log('"signal":"SIGTERM"')
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(), 130)
        eventually(lambda: not any(alive(pid) for pid in workers), "the workers are gone")

    def test_workers_whose_supervisor_was_killed_drain(self):
        service = self.serve()
        workers = [service.worker(i) for i in range(2)]
        load = self.load(service, endless=False)
        service.send_signal(signal.SIGKILL)
        load.wait()
        self.assertEqual(load.dropped, [])
        eventually(lambda: not any(alive(pid) for pid in workers), "they end")

    def test_the_private_postgresql_ends_with_a_killed_supervisor(self):
        service = self.serve(database=True)
        postgres, workers = service.postgres_pid(), [service.worker(i) for i in range(2)]
        service.send_signal(signal.SIGKILL)
        eventually(lambda: not alive(postgres) and not any(alive(pid) for pid in workers), "all have ended")


class HandedOver(Workers):
    def activated(self, listener, *flags):
        """As systemd starts it: the socket is descriptor 3, and LISTEN_PID its process."""
        program = self.folder / "activated"
        program.write_text(f'#!/bin/sh\nexport LISTEN_PID=$$ LISTEN_FDS=1\nexec {harness.PROGRAM} "$@" 3<&{listener.fileno()}\n')
        program.chmod(0o755)
        return self.service("--drain-grace", "0.1", *flags, program=str(program), pass_fds=[listener.fileno()])

    def test_a_socket_of_systemd_is_served_and_stays_open(self):
        for flags in (["--threads", "2"], ["--workers", "1"], ["--workers", "2"]):
            with self.subTest(flags), socket.create_server(("127.0.0.1", 0)) as listener:
                service = self.activated(listener, *flags)
                self.assertEqual(service.address, listener.getsockname())
                for _ in range(10):
                    self.assertEqual(service.ask().status, 200)
                self.assertEqual(service.stop(), 0)
                # The next one serves what has come meanwhile.
                with contextlib.closing(Wire(service.address)) as wire:
                    wire.send(request(headers=[("Connection", "close")]))
                    again = self.activated(listener, *flags)
                    self.assertEqual(wire.answer().status, 200)
                    self.assertEqual(again.stop(), 0)

    def test_a_unix_socket_is_shared_by_the_workers(self):
        path = f"/tmp/ashlar-e2e-{os.getpid()}.sock"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        service = self.serve("--unix-socket", path, start=False)
        self.assertEqual(service.wait_for_log('"serving"')["url"], f"http+unix://{path}")

        def ask():
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(harness.PATIENCE)
                wire.connect(path)
                wire.sendall(request(target="/pid", headers=[("Connection", "close")]))
                answer = b""
                while data := wire.recv(65536):
                    answer += data
                return answer.rpartition(b"\r\n")[2]
        self.assertIn(int(ask()), [service.worker(0), service.worker(1)])
        service.replace_workers()
        self.assertIn(int(ask()), [service.worker(0), service.worker(1)])
        self.assertEqual(service.stop(), 0)

    def test_a_hand_over_that_is_none_is_refused(self):
        service = self.service(start=False, environment={"ASHLAR_SUPERVISED": "slot=0 workers=1 threads=1 control=0 listen=1"})
        self.assertEqual(service.wait(), 1)
        self.assertIn("ASHLAR_SUPERVISED", service.text)


if __name__ == "__main__":
    main()
