#!/usr/bin/env python3
"""`ashlar dev` on a real project, driven by changes of its files. Usage: dev_test.py ASHLAR PROJECT"""
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PATIENCE = 400.0  # a build takes its time on a busy machine


def eventually(holds, what):
    deadline = time.monotonic() + PATIENCE
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.02)


class Dev:
    def __init__(self, ashlar, project):
        self.lines = []
        self.process = subprocess.Popen([ashlar, "dev", "--port", "0"], cwd=project, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        line = eventually(lambda: next((x for x in self.lines if "http://127.0.0.1:" in x), None), "says where it serves")
        self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0])

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def ask(self, path, method="GET", body=None, accept="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Accept": accept, "Content-Type": "application/json", "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def page(self, path="/docs"):
        return self.ask(path, accept="text/html,application/xhtml+xml,*/*;q=0.8")

    def greet(self):
        status, body = self.ask("/greetings", "POST", json.dumps({"to": "Ada"}))
        return json.loads(body)["text"] if status == 201 else None


def children(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


class Load:
    """Asks all the time, each time on a new connection, and keeps what was no 200."""

    def __init__(self, dev):
        self.dev, self.count, self.failures, self.stop = dev, 0, [], threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stop.is_set():
            try:
                status, body = self.dev.ask("/health/live")
                if status != 200:
                    self.failures.append((status, body))
            except OSError as error:
                self.failures.append(repr(error))
            self.count += 1
            time.sleep(0.05)

    def end(self):
        self.stop.set()
        self.thread.join()
        assert self.count > 0
        assert not self.failures, self.failures[:3]


def main(ashlar, project):
    project = Path(project)
    routes, program = project / "src" / "routes.cpp", project / "src" / "main.cpp"
    good, good_program = routes.read_text(), program.read_text()
    broken = good.replace("void add_routes(App& app) {", "void add_routes(App& app) {\n  nobody_declared_this(<b>);")
    assert broken != good

    routes.write_text(broken)
    dev = Dev(ashlar, project)
    try:
        # Nothing runs yet: the tool itself shows why.
        status, page = eventually(lambda: (dev.page()[1].count("does not compile") and dev.page()), "the first page of errors")
        assert status == 503 and "src/routes.cpp:" in page and "nobody_declared_this" in page, page
        assert "nobody_declared_this(<b>)" not in page, "what compilers say is escaped"
        assert any("nobody_declared_this" in line for line in dev.lines), "the terminal has it, too"
        status, text = dev.ask("/greetings")
        assert status == 503 and "does not compile" in text, (status, text)
        print("shows the errors of a first build")

        routes.write_text(good)
        assert eventually(lambda: dev.greet(), "serves once it compiles") == "Hello, Ada."
        eventually(lambda: dev.page()[0] == 200, "pages are the program's own again")
        print("serves when they are mended")

        routes.write_text(broken)
        status, page = eventually(lambda: (dev.page()[0] == 503 and dev.page()), "the page of errors of a later build")
        assert "does not compile" in page and "goes on serving" in page, page
        assert dev.greet() == "Hello, Ada.", "programs are answered by the version before"
        print("keeps the old version while a build is broken")

        workers = [worker for supervisor in children(dev.process.pid) for worker in children(supervisor)]
        assert len(workers) == 1, workers
        serves = sum("worker serves" in line for line in dev.lines)
        os.kill(workers[0], signal.SIGKILL)
        eventually(lambda: sum("worker serves" in line for line in dev.lines) > serves, "a crashed version comes back")
        assert dev.greet() == "Hello, Ada."
        assert dev.page()[0] == 503, "and the errors stay on the screen"
        print("starts the old version again when it crashes")

        load = Load(dev)
        before = sum(line.startswith("ashlar: changed:") for line in dev.lines)
        for i in range(30):  # an editor that saves all the time
            routes.write_text(good.replace("Hello, ", f"Hello {i}, "))
        routes.write_text(good.replace("Hello, ", "Good day, "))
        assert eventually(lambda: (dev.greet() or "").startswith("Good day") and dev.greet(), "the new version serves") \
            == "Good day, Ada."
        eventually(lambda: dev.page()[0] == 200, "the page goes away")
        assert sum(line.startswith("ashlar: changed:") for line in dev.lines) - before < 10, "changes are taken together"
        print("replaces it by the new one")

        program.write_text(good_program.replace(
            "return run(", 'app.check([]() -> Task<std::vector<std::string>> { co_return std::vector<std::string>{"the moon is missing"}; });\n  return run('))
        status, page = eventually(lambda: (dev.page()[0] == 503 and dev.page()), "the page of what does not start")
        assert "does not start" in page and "the moon is missing" in page, page
        assert dev.greet() == "Good day, Ada."
        load.end()
        print(f"keeps it when the new one does not start; {load.count} requests, none lost")

        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(PATIENCE) == 0, dev.process.returncode
        dev.thread.join(PATIENCE)
        assert not dev.thread.is_alive(), "something it started still runs"
        try:
            dev.ask("/greetings")
            raise AssertionError("it still listens")
        except OSError:
            pass
        assert not (project / "build" / "dev" / "ashlar-dev.html").exists()
        print("ends with all it started")
    except BaseException:
        print("\n".join(dev.lines[-80:]), file=sys.stderr)
        raise
    finally:
        if dev.process.poll() is None:
            dev.process.send_signal(signal.SIGINT)
            dev.process.wait(PATIENCE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
