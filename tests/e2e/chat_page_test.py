#!/usr/bin/env python3
"""The page of examples/chat, in Chromium: people who talk, a service that goes away and comes back, and the keyboard."""
import unittest

import harness
from browser import Browser
from harness import eventually, main

BROWSER = None


def setUpModule():
    global BROWSER
    BROWSER = Browser()
    unittest.addModuleCleanup(BROWSER.close)


class ChatPage(harness.Case):
    def open(self, service, name, room=""):
        """Somebody comes in, by keyboard alone."""
        page = BROWSER.page().looks(390, 844)
        self.addCleanup(page.close)
        page.open(f"http://127.0.0.1:{service.address[1]}/{room}")
        page.type(name)
        page.press("Enter")
        self.until(page, "document.getElementById('state').dataset.is === 'open'")
        return page

    def until(self, page, holds):
        return eventually(lambda: page.run(f"return {holds}"), holds)

    def say(self, page, text):
        self.until(page, "document.activeElement.id === 'text'")
        page.type(text)
        page.press("Enter")

    def hears(self, page, *said):
        """What was said last, by others and by oneself."""
        self.until(page, f"JSON.stringify([...document.querySelectorAll('.said p')].slice(-{len(said)}).map(one => one.textContent))"
                         f" === JSON.stringify({list(said)})")

    def visible(self, page, id):
        return page.run(f"return document.getElementById('{id}').checkVisibility()")

    def test_people_in_a_room_hear_each_other(self):
        service = self.service()
        ada, bob, eve = self.open(service, "Ada"), self.open(service, "Bob"), self.open(service, "Eve", "#elsewhere")
        self.until(ada, "document.getElementById('state').textContent === '2 here'")
        self.assertTrue(self.visible(ada, "empty"))
        self.say(ada, "hello <b>Bob</b>")
        self.say(bob, "hello Ada")
        for one in (ada, bob):
            self.hears(one, "hello <b>Bob</b>", "hello Ada")
            self.assertFalse(self.visible(one, "empty"))
        self.assertEqual(ada.run("return document.querySelector('.own p').textContent"), "hello <b>Bob</b>")
        self.assertEqual(eve.run("return document.querySelectorAll('.said').length"), 0)
        self.assertEqual(ada.messages() + bob.messages() + eve.messages(), [])

    def test_what_is_typed_outlives_the_service(self):
        service = self.service("--drain-grace", "0.1")
        ada = self.open(service, "Ada")
        self.say(ada, "before")
        self.hears(ada, "before")
        service.stop()
        self.until(ada, "document.getElementById('state').dataset.is !== 'open'")
        self.say(ada, "meanwhile")  # goes nowhere, and stays
        self.assertTrue(ada.run("return document.getElementById('send').disabled"))
        self.assertEqual(ada.run("return document.getElementById('text').value"), "meanwhile")
        again = harness.Service(self.folder, port=service.address[1])
        self.addCleanup(again.destroy)
        self.until(ada, "document.getElementById('state').dataset.is === 'open'")
        ada.press("Enter")
        self.hears(ada, "before", "meanwhile")
        self.assertEqual(ada.run("return document.getElementById('text').value"), "")

    def test_who_reads_above_is_not_pulled_down(self):
        service = self.service()
        ada, bob = self.open(service, "Ada"), self.open(service, "Bob")
        bob.run("""
          for (let i = 0; i < 60; ++i) {
            document.getElementById("text").value = `line ${i}`
            document.getElementById("form").requestSubmit()
          }""")
        self.hears(ada, "line 59")
        ada.run("document.getElementById('scroller').scrollTop = 0")
        self.say(bob, "news")
        self.hears(ada, "news")
        self.until(ada, "document.getElementById('down').textContent === '↓ 1 new'")
        self.assertEqual(ada.run("return document.getElementById('scroller').scrollTop"), 0)
        ada.run("document.getElementById('down').click()")
        self.until(ada, "document.getElementById('down').hidden")

    def test_nothing_is_wider_than_a_phone(self):
        service = self.service()
        ada = self.open(service, "W" * 20, "#" + "room" * 10)
        self.say(ada, "x" * 500)
        self.hears(ada, "x" * 500)
        self.assertTrue(ada.run("""
          const scroller = document.getElementById("scroller")
          return document.documentElement.scrollWidth <= innerWidth && scroller.scrollWidth <= scroller.clientWidth"""))


if __name__ == "__main__":
    main()
