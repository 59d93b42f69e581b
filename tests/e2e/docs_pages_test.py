#!/usr/bin/env python3
"""The documentation pages of examples/everything in Chromium, as somebody uses them who tries a service out: on a desk and on a
phone, in light and in dark, with a login."""
import http.server
import json
import threading
import unittest

import harness
from browser import Browser
from harness import eventually, main

BROWSER = None
DESK, PHONE = (1440, 900), (390, 844)


def setUpModule():
    global BROWSER
    BROWSER = Browser()
    unittest.addModuleCleanup(BROWSER.close)


class Receiver:
    """What somebody runs who wants to be told something: keeps what comes, and answers 204."""

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


class Documented(harness.Case):
    def service(self, **environment):
        secret = "only for tests; it signs nothing that lasts"
        service = super().service("--threads", "1", environment={"JWT_SECRET": secret, **environment})
        document = service.ask(target="/openapi.json").json
        if document is None or "is not part of this build" in service.ask(target="/docs").text:
            self.skipTest("this build has no Swagger UI and no Scalar: /docs says how to get them")
        self.operations = [operation for item in document["paths"].values() for operation in item.values()]
        return service

    def open(self, service, target, size=DESK, dark=False):
        page = BROWSER.page().looks(*size, dark)
        self.addCleanup(page.close)
        return page.open(f"http://127.0.0.1:{service.address[1]}{target}")

    def open_in_all_looks(self, target):
        """(page, dark) in turn: one tab, so that the browser compiles the page's programs once."""
        service = self.service()
        page = None
        for size in (DESK, PHONE):
            for dark in (False, True):
                if page is None:
                    page = self.open(service, target, size, dark)
                else:
                    page.looks(*size, dark).open(f"http://127.0.0.1:{service.address[1]}{target}")
                yield page, dark

    def until(self, page, holds):
        return eventually(lambda: page.run(f"return {holds}"), holds)

    def press(self, page, element):
        """What this JavaScript expression gives, once it is shown."""
        self.until(page, f"{element}?.checkVisibility()")
        page.run(f"{element}.click()")

    def write(self, page, element, text):
        self.until(page, f"{element}?.checkVisibility()")
        page.run(f"const place = {element}; place.focus(); place.select?.()")
        page.type(text)

    def fits(self, page):
        """Nothing is wider than the window."""
        self.assertTrue(page.run("return document.documentElement.scrollWidth <= innerWidth"))

    def is_dark(self, page, element):
        """Whether light text stands on a dark ground there."""
        return page.run(f"""
          const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, one) => sum + +one, 0)
          let ground = {element}
          while (/, 0\\)|transparent/.test(getComputedStyle(ground).backgroundColor) && ground.parentElement) ground = ground.parentElement
          return light(getComputedStyle({element}).color) > light(getComputedStyle(ground).backgroundColor)""")


class SwaggerUi(Documented):
    OPERATION = "document.getElementById('operations-products-post_products')"

    def all_is_shown(self, page):
        self.until(page, f"document.querySelectorAll('.opblock').length >= {len(self.operations) + 1}")  # and a webhook

    def sign_in(self, page):
        self.press(page, "document.querySelector('.scheme-container .authorize')")
        self.write(page, "document.getElementById('oauth_username')", "ann")
        self.write(page, "document.getElementById('oauth_password')", "chairs and tables")
        form = "document.getElementById('oauth_password').closest('.auth-container')"
        self.press(page, f"[...{form}.querySelectorAll('a')].find(one => one.textContent === 'select all')")
        self.press(page, f"{form}.querySelector('button.authorize')")
        self.until(page, "[...document.querySelectorAll('.modal-ux button')].some(one => one.textContent === 'Logout')")
        self.press(page, "document.querySelector('.modal-ux .close-modal')")

    def try_out(self, page, operation, change=None):
        self.press(page, f"{operation}?.querySelector('.opblock-summary-control')")
        self.press(page, f"{operation}.querySelector('.try-out__btn')")
        if change:
            self.write(page, f"{operation}.querySelector('textarea')", change)
        self.press(page, f"{operation}.querySelector('.execute')")
        answer = f"{operation}.querySelector('.live-responses-table .response .response-col_status')"
        return self.until(page, f"parseInt({answer}?.textContent)")

    def test_shows_everything_in_every_size_and_colour(self):
        for page, dark in self.open_in_all_looks("/docs"):
            self.all_is_shown(page)
            self.press(page, f"{self.OPERATION}?.querySelector('.opblock-summary-control')")
            self.until(page, f"{self.OPERATION}.querySelectorAll('.examples-select-element').length === 2")
            self.fits(page)
            self.assertEqual(self.is_dark(page, "document.querySelector('.info .title')"), dark)
            self.assertEqual(page.messages(), [])

    def test_says_what_the_service_sends_itself(self):
        page = self.open(self.service(), "/docs")
        self.all_is_shown(page)
        self.assertIn("stockLow", page.run("return document.querySelector('.webhooks').textContent"))
        operation = "document.getElementById('operations-orders-post_orders')"
        self.press(page, f"{operation}?.querySelector('.opblock-summary-control')")
        self.press(page, f"[...{operation}.querySelectorAll('.tab-header h4')].find(one => one.textContent === 'Callbacks')")
        self.until(page, f"{operation}.textContent.includes('{{$request.body#/notify}}')")

    def test_tries_out_with_a_login(self):
        for size in (DESK, PHONE):
            service = self.service()
            page = self.open(service, "/docs", size)
            self.all_is_shown(page)
            self.sign_in(page)
            self.assertEqual(self.try_out(page, self.OPERATION), 201)
            self.assertEqual([one["name"] for one in service.ask(target="/products").json["items"]], ["Chair"])
            self.fits(page)
            self.assertEqual(page.messages(), [])

    def test_is_refused_without_a_login(self):
        service = self.service()
        page = self.open(service, "/docs")
        self.assertEqual(self.try_out(page, self.OPERATION), 401)
        self.assertEqual(service.ask(target="/products").json["total"], 0)

    def test_what_is_ordered_calls_back(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        service = self.service(FURNITURE_PRIVATE_ADDRESSES="true", FURNITURE_STOCK_WEBHOOK=f"{receiver.url}/stock",
                               FURNITURE_STOCK_TOKEN="of the shop")
        page = self.open(service, "/docs")
        self.all_is_shown(page)
        self.sign_in(page)
        self.try_out(page, self.OPERATION)
        product = service.ask(target="/products").json["items"][0]["id"]
        order = {"products": [product], "payment": {"kind": "card", "number": "4111111111111111"}, "notify": f"{receiver.url}/arrived"}
        operation = "document.getElementById('operations-orders-post_orders')"
        self.assertEqual(self.try_out(page, operation, json.dumps(order)), 202)
        eventually(lambda: len(receiver.received) == 2, "both are told")
        told = {path: (authorization, body) for path, authorization, body in receiver.received}
        self.assertEqual(told["/stock"], ("Bearer of the shop", {"product": product, "left": 0}))
        self.assertEqual((told["/arrived"][0], told["/arrived"][1]["parcels"]), (None, 1))


class Scalar(Documented):
    OPERATION = "document.getElementById('api-1/tag/products/POST/products')"

    def button(self, page, text, within="document"):
        self.press(page, f"[...{within}.querySelectorAll('button')].find(one => one.checkVisibility() && "
                         f"one.textContent.trim().startsWith({json.dumps(text)}))")

    def field(self, name):
        """A text field by its label: an input, or a small editor."""
        label = f"[...document.querySelectorAll('label')].find(one => one.textContent === {json.dumps(name)})"
        place = f"document.getElementById({label}?.htmlFor)"
        return f"({place}?.matches('input') ? {place} : {place}?.querySelector('[contenteditable]') ?? {place})"

    def all_is_shown(self, page):
        shown = "document.querySelectorAll('[id^=\"api-1/\"]').length"
        self.until(page, f"{shown} > {len(self.operations)}")

    def test_shows_everything_in_every_size_and_colour(self):
        for page, dark in self.open_in_all_looks("/docs/scalar"):
            self.all_is_shown(page)
            self.until(page, "!!document.querySelector('h1')")
            self.fits(page)
            self.assertEqual(self.is_dark(page, "document.querySelector('h1')"), dark)
            self.assertEqual([one for one in page.messages() if not one.startswith("@scalar/api-reference@")], [])

    def test_tries_out_with_a_login(self):
        for size in (DESK, PHONE):
            service = self.service()
            page = self.open(service, "/docs/scalar#tag/products/POST/products", size)
            self.all_is_shown(page)
            self.write(page, self.field("Username"), "ann")  # of the scheme that most operations ask for
            self.write(page, self.field("Password"), "chairs and tables")
            self.button(page, "Select All")
            self.button(page, "Authorize")
            self.until(page, "[...document.querySelectorAll('label')].some(one => one.textContent === 'Access Token')")
            page.run(f"{self.OPERATION}.scrollIntoView()")
            self.press(page, f"{self.OPERATION}?.querySelector('.show-api-client-button')")
            self.button(page, "Send")
            self.until(page, "document.body.innerText.includes('201 Created')")
            self.assertEqual([one["name"] for one in service.ask(target="/products").json["items"]], ["Chair"])


if __name__ == "__main__":
    main()
