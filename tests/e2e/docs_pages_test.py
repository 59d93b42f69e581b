#!/usr/bin/env python3
"""The documentation pages of examples/everything in Chromium, as somebody uses them who tries the service out: on a desk and on a
phone, in light and in dark, with a login."""
import base64
import http.server
import json
import threading
import unittest

import harness
from browser import Browser
from harness import eventually, main

BROWSER = None
LOOKS = [(width, height, dark) for width, height in ((1440, 900), (390, 844)) for dark in (False, True)]
PASSWORD = "chairs and tables"


def setUpModule():
    global BROWSER
    BROWSER = Browser()
    unittest.addModuleCleanup(BROWSER.close)


class Receiver:
    """What a client of the service runs to be told something: keeps what is sent to it, and answers 204."""

    def __init__(self):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, self.headers.get("Authorization"), json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class DocsPages(harness.Case):
    def service(self, **environment):
        return super().service("--threads", "1", environment={"JWT_SECRET": "only for tests; it signs nothing that lasts", **environment})

    def open(self, service, target, look=LOOKS[0]):
        page = BROWSER.page().looks(*look)
        self.addCleanup(page.close)
        return page.open(f"http://127.0.0.1:{service.address[1]}{target}")

    def until(self, page, holds):
        return eventually(lambda: page.run(f"return {holds}"), holds)

    def click(self, page, selector):
        """What a person would: waits until it is there and shown."""
        self.until(page, f"document.querySelector({json.dumps(selector)})?.checkVisibility()")
        page.run(f"document.querySelector({json.dumps(selector)}).click()")

    def write(self, page, selector, text):
        self.until(page, f"document.querySelector({json.dumps(selector)})?.checkVisibility()")
        page.run(f"const place = document.querySelector({json.dumps(selector)}); place.focus(); place.select()")
        page.type(text)
