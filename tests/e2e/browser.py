"""A browser to test with: headless Chromium over the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/).

It is spoken over a pair of pipes (--remote-debugging-pipe: JSON, each message ended by a NUL), so that there is no port to
find and no WebSocket between the test and what it looks at. The browser ends when its pipes close, even if the test is killed.
"""
import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
import unittest
from pathlib import Path

from harness import PATIENCE, temporary_parent

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    def __init__(self, *flags):
        if not CHROMIUM:
            raise unittest.SkipTest("chromium is not there: apt-get install chromium")
        # In memory, where there is enough of it: a profile is many small files.
        self.folder = Path(tempfile.mkdtemp(prefix="ashlar-browser-", dir=temporary_parent()))
        self.folder.chmod(0o755)
        theirs_in, ours_out = self._pipe()
        ours_in, theirs_out = self._pipe()
        self.commands, self.messages = ours_out, ours_in
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        arguments = [
            CHROMIUM, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.folder}/profile",
            "--no-first-run", "--no-default-browser-check", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
            "--disable-extensions", "--no-proxy-server", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en",
            *(["--no-sandbox"] if os.geteuid() == 0 else []), *flags, "about:blank"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self.pid = os.posix_spawn(CHROMIUM, arguments, environment, setpgroup=0, file_actions=[
            (os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2),
            (os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)])
        for fd in (theirs_in, theirs_out, log, nothing):
            os.close(fd)
        self.received, self.events, self.number = b"", [], 0
        try:
            self.version = self.call("Browser.getVersion")["product"]
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _pipe():
        """Both ends above the numbers 3 and 4, which are the browser's."""
        ends = os.pipe()
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in ends]
        for fd in ends:
            os.close(fd)
        return moved

    def page(self):
        """A tab with a profile of its own."""
        context = self.call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, context)

    def call(self, method, session=None, patience=PATIENCE, **parameters):
        """What the browser answers; AssertionError when it refuses, has ended, or takes too long."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        deadline = time.monotonic() + patience
        try:
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[os.write(self.commands, data):]
        except BrokenPipeError:
            raise AssertionError(f"{method}: the browser has ended\n{self.log}") from None
        number = self.number
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)
                del self.events[:-1000]

    def wait_for(self, event, session, patience=PATIENCE):
        """The parameters of the next such event, which may have come already."""
        deadline = time.monotonic() + patience
        while True:
            for i, one in enumerate(self.events):
                if one["method"] == event and one.get("sessionId") == session:
                    return self.events.pop(i)["params"]
            message = self._next(deadline, event)
            if "method" in message:
                self.events.append(message)

    def _next(self, deadline, what):
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.messages], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"the browser does not answer: {what}\n{self.log}")
            data = os.read(self.messages, 1 << 20)
            if not data:
                raise AssertionError(f"{what}: the browser has ended\n{self.log}")
            self.received += data
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def close(self):
        for fd in (self.commands, self.messages):
            os.close(fd)
        deadline = time.monotonic() + 5  # to end by itself, which leaves no process of it behind
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # its helpers
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    def __init__(self, browser, session, context):
        self.browser, self.session, self.context = browser, session, context
        self.call("Page.enable")
        self.call("Runtime.enable")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, url):
        self.browser.events = [one for one in self.browser.events
                               if (one["method"], one.get("sessionId")) != ("Page.loadEventFired", self.session)]
        error = self.call("Page.navigate", url=url).get("errorText")
        if error:
            raise AssertionError(f"{url}: {error}")
        self.browser.wait_for("Page.loadEventFired", self.session)
        return self

    def run(self, script, patience=PATIENCE):
        """The value of the body of an async function, as JSON."""
        done = self.call("Runtime.evaluate", patience=patience, awaitPromise=True, returnByValue=True, userGesture=True,
                         expression=f"(async () => {{{script}}})()")
        if "exceptionDetails" in done:
            details = done["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description") or details)
        return done["result"].get("value")

    def messages(self):
        """What was written to its console, and errors that nothing caught."""
        self.run("")  # what was written before has arrived then
        said = []
        for one in self.browser.events:
            if one.get("sessionId") != self.session:
                continue
            if one["method"] == "Runtime.consoleAPICalled":
                said.append(" ".join(str(argument.get("value", argument.get("description")))
                                     for argument in one["params"]["args"]))
            elif one["method"] == "Runtime.exceptionThrown":
                details = one["params"]["exceptionDetails"]
                said.append(details.get("exception", {}).get("description") or details["text"])
        return said

    def looks(self, width, height, dark=False):
        """The size of its window, and what the user likes."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        return self

    def press(self, key, text=None):
        """A key by its name, such as Enter; `text` is what it types."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27}
        named = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        if key == "Enter":
            text = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **named, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
