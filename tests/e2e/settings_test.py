"""Settings of a running service: where they come from, and which change while it serves. Bodies in the log and costs of routes,
which are switched on by settings."""
import json
import os
import signal
import subprocess

import harness
from harness import Case, eventually, main

WATCHED = ("--settings-reload", "0.05", "--drain-grace", "0.2")


class Settings(Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "service.toml"
        self.write("page_size = 30\n")

    def write(self, text, file=None):
        """Whole or not at all, as people and Kubernetes do it."""
        file = file or self.file
        draft = file.with_suffix(".draft")
        draft.write_text(text)
        draft.rename(file)

    def environment(self, **more):
        return {"SERVICE_SETTINGS": str(self.file), **more}

    def serve(self, *flags, **more):
        return self.service(*WATCHED, *flags, environment=self.environment(**more))

    def tunables(self, service):
        return service.ask(target="/tunables").text


class Live(Settings):
    def test_a_changed_file_is_taken_up(self):
        service = self.serve()
        self.assertEqual(self.tunables(service), "hello 30 0")
        self.write("page_size = 40\ngreeting = \"hi\"\n")
        eventually(lambda: self.tunables(service) == "hello 40 0", "the new size is in force")
        self.assertEqual(service.wait_for_log("settings have changed\"")["settings"], "page_size")
        self.assertEqual(service.wait_for_log("that take a restart")["settings"], "greeting")
        self.assertEqual(service.metric("ashlar_settings_reloads_total", result="failed"), 0)
        self.assertEqual(service.stop(), 0)

    def test_a_wrong_one_changes_nothing_and_the_next_right_one_does(self):
        service = self.serve()
        self.write("page_size = 4000\n")
        line = service.wait_for_log("cannot be used")
        self.assertIn("service.toml", line["error"])
        self.assertIn("page_size", line["error"])
        self.assertEqual(self.tunables(service), "hello 30 0")
        self.write("page_size = 50\n")
        eventually(lambda: self.tunables(service) == "hello 50 0", "the new size is in force")
        self.assertEqual(service.metric("ashlar_settings_reloads_total", result="failed"), 1)

    def test_sighup_reads_them_again_and_sigterm_still_ends_it(self):
        service = self.service("--settings-reload", "3600", "--drain-grace", "0.2", environment=self.environment())
        self.write("page_size = 40\n")
        service.send_signal(signal.SIGHUP)
        eventually(lambda: self.tunables(service) == "hello 40 0", "the new size is in force")
        self.write("page_size = 50\n")
        service.send_signal(signal.SIGHUP)
        eventually(lambda: self.tunables(service) == "hello 50 0", "the new size is in force")
        self.assertEqual(service.stop(), 0)

    def test_a_secret_is_rotated_in_its_file(self):
        secret = self.folder / "key"
        self.write("first", secret)
        service = self.serve(TUNABLES_KEY_FILE=str(secret))
        self.assertEqual(self.tunables(service), "hello 30 5")
        self.write("a longer one", secret)
        eventually(lambda: self.tunables(service) == "hello 30 12", "the new key is in force")
        self.assertNotIn("a longer one", service.text)

    def test_each_of_several_workers_takes_it_up(self):
        service = self.serve("--workers", "2")
        self.write("page_size = 40\n")
        service.wait_for_log("settings have changed\"", times=2)
        for _ in range(20):
            self.assertEqual(self.tunables(service), "hello 40 0")

    def test_sighup_to_a_supervisor_takes_up_what_takes_a_restart(self):
        service = self.service("--workers", "2", "--settings-reload", "3600", "--drain-grace", "0.2",
                               environment=self.environment())
        self.write("page_size = 40\ngreeting = \"hi\"\n")
        service.replace_workers()
        self.assertEqual(self.tunables(service), "hi 40 0")

    def test_without_them_sighup_ends_it(self):
        service = self.service("--drain-grace", "0.2")
        self.assertEqual(service.stop(signal.SIGHUP), -signal.SIGHUP)


class Places(Settings):
    def settings(self, *flags, **more):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"} | self.environment(**more)
        env |= {name: os.environ[name] for name in harness.SANITIZED if name in os.environ}
        return subprocess.run([harness.PROGRAM, *flags, "settings"], env=env, cwd=self.folder, capture_output=True, text=True,
                              timeout=harness.PATIENCE)

    def rows(self, text):
        return {line.split()[0]: line.split() for line in text.splitlines() if line and not line.startswith("#")}

    def test_are_printed_with_each_value_and_without_secrets(self):
        self.write("hush", self.folder / "key")
        self.write("\ngreeting = \"profile\"\n", self.folder / "service.test.toml")
        result = self.settings("--set", "page_size=50", ASHLAR_PROFILE="test", ASHLAR_THREADS="2",
                               TUNABLES_KEY_FILE=str(self.folder / "key"))
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = self.rows(result.stdout)
        self.assertEqual(rows["TUNABLES_GREETING"][1:3], ["profile", str(self.folder / "service.test.toml") + ":2"])
        self.assertEqual(rows["TUNABLES_PAGE_SIZE"][1:4], ["50", "flag,", "live"])
        self.assertEqual(rows["TUNABLES_KEY"][1:3], ["**********", "TUNABLES_KEY_FILE,"])
        self.assertEqual(rows["ASHLAR_THREADS"][1:3], ["2", "ASHLAR_THREADS"])
        self.assertEqual(rows["ASHLAR_PORT"][1:3], ["8000", "default"])
        self.assertNotIn("hush", result.stdout + result.stderr)

    def test_a_profile_without_a_file_is_refused(self):
        self.write("", self.folder / "service.production.toml")
        result = self.settings(ASHLAR_PROFILE="prodution")
        self.assertEqual(result.returncode, 1)
        self.assertIn("did you mean production?", result.stderr)

    def test_variables_that_nobody_reads_are_warned_of_once(self):
        service = self.serve("--workers", "2", TUNABLES_PAGESIZE="1", ASHLAR_PROT="1", ASHLAR_THREADS="1")
        lines = service.logs("no setting has the name of this variable")
        self.assertEqual([(line["variable"], line["did_you_mean"]) for line in lines],
                         [("ASHLAR_PROT", "ASHLAR_PORT"), ("TUNABLES_PAGESIZE", "TUNABLES_PAGE_SIZE")])


class Switches(Settings):
    def test_bodies_are_logged_when_the_level_says_so(self):
        order = {"customer": "ada", "address": {"street": "b", "zip": "12345"},
                 "lines": [{"product": "tea", "amount": 1, "price": 2}], "extra": {"card_number": "4111"}}
        quiet = self.serve()
        self.assertEqual(quiet.ask("POST", "/orders", order).status, 200)
        self.assertIsNone(quiet.find_log("request and answer"))
        service = self.serve(ASHLAR_LOG_LEVEL="info,http.body=debug")
        self.assertEqual(service.ask("POST", "/orders", order).status, 200)
        line = service.wait_for_log("request and answer")
        shown = json.loads(line["http.request.body.content"])
        self.assertEqual(shown["customer"], "ada")
        self.assertEqual(shown["extra"], {"card_number": "**********"})
        self.assertNotIn("4111", service.text)

    def test_costs_of_routes_are_measured_and_printed(self):
        service = self.serve("--route-cost", "--threads", "1")

        def measured():
            service.ask(target="/compute?ms=100")
            return service.metric("ashlar_cpu_seconds_total", part="route", http_route="/compute") > 0.2
        eventually(measured, "the route that computes has a cost")
        url = f"http://127.0.0.1:{service.address[1]}"
        table = subprocess.run([harness.PROGRAM, "routes", "--cost", url], capture_output=True, text=True,
                               env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, cwd=self.folder, timeout=harness.PATIENCE)
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertIn("GET /compute", table.stdout.splitlines()[1])

    def test_a_service_that_does_not_measure_says_how(self):
        service = self.serve()
        url = f"http://127.0.0.1:{service.address[1]}"
        table = subprocess.run([harness.PROGRAM, "routes", "--cost", url], capture_output=True, text=True,
                               env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, cwd=self.folder, timeout=harness.PATIENCE)
        self.assertEqual(table.returncode, 1)
        self.assertIn("--route-cost", table.stderr)


if __name__ == "__main__":
    main()
