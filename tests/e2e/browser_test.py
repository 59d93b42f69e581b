#!/usr/bin/env python3
"""A browser against the service: Chromium's fetch, WebSocket and EventSource, and its HTTP/2 over TLS."""
import ssl
import unittest

import harness
from browser import Browser
from harness import eventually, main

EVENT_SOURCE_CLOSED = 2

# Helpers of the scripts below.
SCRIPT = """
const closed = socket => new Promise(resolve => socket.onclose = event =>
  resolve({code: event.code, reason: event.reason, clean: event.wasClean}))
const opened = socket => new Promise((resolve, reject) => {
  socket.onopen = resolve
  socket.onclose = event => reject(new Error(`closed with ${event.code}`))
})
const next = socket => new Promise((resolve, reject) => {
  socket.onmessage = event => resolve(event.data)
  socket.onclose = event => reject(new Error(`closed with ${event.code}`))
})
const bytes = size => {
  const all = new Uint8Array(size)
  for (let i = 0; i < size; ++i) all[i] = i * 7 % 251
  return all
}
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i])
const socketUrl = target => location.origin.replace(/^http/, "ws") + target
"""


BROWSER = None


def setUpModule():
    global BROWSER
    BROWSER = Browser("--ignore-certificate-errors")
    unittest.addModuleCleanup(BROWSER.close)


class InABrowser(harness.Case):
    def setUp(self):
        super().setUp()
        (self.folder / "files").mkdir()

    def service(self, *flags, **options):
        return super().service("--threads", "1", *flags, environment={"SERVICE_FILES": str(self.folder / "files")}, **options)

    def page(self, service, target="/page"):
        """A function that runs a script in the service's page."""
        scheme = "https" if service.tls else "http"
        page = BROWSER.page()
        self.addCleanup(page.close)
        page.open(f"{scheme}://127.0.0.1:{service.address[1]}{target}")
        return lambda script: page.run(SCRIPT + script)

    def journaled(self, service, line):
        eventually(lambda: line in service.journal, f"the service notes {line!r}")


class Fetch(InABrowser):
    def test_gets_and_posts(self):
        run = self.page(self.service())
        self.assertEqual(run("return (await fetch('/items/7')).json()"), 7)
        self.assertEqual(run("return (await fetch('/names/' + encodeURIComponent('Grüße / ☕'))).text()"), "Grüße / ☕")
        order = """{customer: "Käthe", address: {street: "b", zip: "12345"}, lines: [{product: "t", amount: 1, price: 2.5}]}"""
        post = """const post = async body => {
          const answer = await fetch("/orders", {method: "POST", headers: {"Content-Type": "application/json"}, body})
          return {status: answer.status, type: answer.headers.get("Content-Type"), body: await answer.json()}
        }
        """
        answer = run(post + f"return post(JSON.stringify({order}))")
        self.assertEqual((answer["status"], answer["body"]["customer"]), (200, "Käthe"))
        answer = run(post + "return post('{}')")
        self.assertEqual((answer["status"], answer["type"]), (422, "application/problem+json"))

    def test_a_stream_is_read_while_it_is_written(self):
        service = self.service()
        run = self.page(service)
        # An answer without an end: what is read of it was read while it was written.
        self.assertEqual(run("""
          const leave = new AbortController()
          const answer = await fetch("/ticks?ms=1", {signal: leave.signal})
          const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
          let text = ""
          while (!text.includes("data: 20\\n")) text += (await reader.read()).value
          leave.abort()
          return answer.headers.get("Content-Type")"""), "text/event-stream")
        self.journaled(service, "ticks ended")
        self.assertEqual(run("return (await (await fetch('/stream?pieces=50&bytes=2000')).text()).length"), 100_000)

    def test_five_megabytes_are_uploaded(self):
        run = self.page(self.service())
        self.assertEqual(run("return (await fetch('/count', {method: 'PUT', body: new Blob([bytes(5_000_000)])})).text()"),
                         "5000000 true")
        self.assertEqual(run("""
          const form = new FormData()
          form.set("title", "Größe")
          form.set("file", new File([bytes(5_000_000)], "äöü.bin"))
          return (await fetch("/upload", {method: "POST", body: form})).text()"""), "Größe: äöü.bin of 5000000 bytes")
        saved = (self.folder / "files" / "saved").read_bytes()
        self.assertEqual(saved, (bytes(i * 7 % 251 for i in range(251)) * 20_000)[:5_000_000])

    def test_more_than_may_be_sent_is_refused_with_words(self):
        run = self.page(self.service())
        self.assertEqual(run("""
          const answer = await fetch("/orders", {method: "POST", headers: {"Content-Type": "application/json"},
                                                 body: JSON.stringify({note: "x".repeat(2_000_000)})})
          return [answer.status, (await answer.json()).status]"""), [413, 413])

    def test_compressed_answers(self):
        (self.folder / "files" / "text.txt").write_text("to be or not to be\n" * 50_000)
        service = self.service()
        run = self.page(service)
        ask = """const ask = async target => {
          const answer = await fetch(target)
          const size = (await answer.arrayBuffer()).byteLength
          const entry = performance.getEntriesByName(answer.url).at(-1)
          return [answer.headers.get("Content-Encoding"), size, entry.encodedBodySize < size / 10]
        }
        """
        for target, size in (("/big?bytes=30000", 30_000), ("/big?bytes=900000", 900_000), ("/stream?pieces=20&bytes=5000", 100_000),
                             ("/files/text.txt", 950_000)):
            coding, received, smaller = run(ask + f"return ask('{target}')")
            self.assertIn(coding, ("br", "zstd", "gzip"), target)
            self.assertEqual((received, smaller), (size, True), target)
        for coding in ("gzip", "br"):  # what it was asked for is what it can read
            self.assertEqual(service.ask(target="/big?bytes=30000", headers=[("Accept-Encoding", coding)]).header("content-encoding"),
                             coding)


class WebSockets(InABrowser):
    def echoes(self, service):
        run = self.page(service)
        self.assertEqual(run("""
          const socket = new WebSocket(socketUrl("/ws/echo"))
          socket.binaryType = "arraybuffer"
          await opened(socket)
          const wrong = []
          for (const size of [0, 1, 125, 126, 65535, 65536, 900_000]) {
            const text = "☕".repeat(size / 3) + "x".repeat(size % 3)
            socket.send(text)
            if (await next(socket) !== text) wrong.push(`${size} of text`)
            socket.send(bytes(size))
            if (!same(new Uint8Array(await next(socket)), bytes(size))) wrong.push(`${size} bytes`)
          }
          const end = closed(socket)
          socket.close(4001, "that was it")
          return {extensions: socket.extensions, wrong, end: await end}"""),
                         {"extensions": "permessage-deflate; server_no_context_takeover; client_no_context_takeover", "wrong": [],
                          "end": {"code": 4001, "reason": "", "clean": True}})
        self.journaled(service, "socket closed with 4001")

    def test_text_and_bytes_come_back_compressed_on_the_way(self):
        self.echoes(self.service())

    def test_over_tls(self):
        self.echoes(self.service("--tls-dev", tls=ssl._create_unverified_context()))

    def test_the_codes_of_the_end(self):
        service = self.service()
        run = self.page(service)
        end = "return closed(new WebSocket(socketUrl('{}')))"
        self.assertEqual(run(end.format("/ws/close?code=1000")), {"code": 1000, "reason": "", "clean": True})
        self.assertEqual(run(end.format("/ws/close?code=4242&reason=Gr%C3%BC%C3%9Fe")),
                         {"code": 4242, "reason": "Grüße", "clean": True})
        self.assertEqual(run(end.format("/nowhere"))["code"], 1006)  # 404: there was no WebSocket
        self.assertEqual(run("""
          const socket = new WebSocket(socketUrl("/ws/echo"))
          await opened(socket)
          socket.send("x".repeat(3_000_000))
          return (await closed(socket)).code"""), 1009)
        self.assertEqual(run("""
          const socket = new WebSocket(socketUrl("/ws/echo"))
          await opened(socket)
          const end = closed(socket)
          socket.close()
          return (await end).code"""), 1005)
        self.journaled(service, "socket closed with 1005")

    def test_a_stop_says_that_it_goes_away(self):
        service = self.service("--drain-grace", "0.1")
        run = self.page(service)
        run("""
          window.socket = new WebSocket(socketUrl("/ws/echo"))
          window.end = closed(socket)
          await new Promise(resolve => socket.onopen = resolve)""")
        self.assertEqual(service.stop(), 0)
        self.assertEqual(run("return (await end).code"), 1001)

    def test_a_page_of_another_origin_may_not_connect(self):
        service, other = self.service(), self.service()
        run = self.page(other)
        self.assertEqual(run(f"return (await closed(new WebSocket('ws://127.0.0.1:{service.address[1]}/ws/echo'))).code"), 1006)
        self.assertEqual(service.metric("ashlar_websocket_opened_total"), 0)


class ServerSentEvents(InABrowser):
    def goes_on(self, service):
        """Answers that end in order, and others that are broken off: nothing is lost or comes twice."""
        run = self.page(service)
        for broken_off in ("false", "true"):
            self.assertEqual(run(f"""
              const source = new EventSource("/ticks?count=3&ms=2&retry_ms=10&broken_off={broken_off}")
              const got = [], ids = []
              let connections = 0
              source.onopen = () => ++connections
              await new Promise(resolve => source.onmessage = event => {{
                got.push(JSON.parse(event.data))
                ids.push(event.lastEventId)
                if (got.length === 8) resolve()
              }})
              source.close()
              return [got, ids, connections >= 3, source.readyState]"""),
                             [list(range(1, 9)), [str(i) for i in range(1, 9)], True, EVENT_SOURCE_CLOSED])
        run("""
          const source = new EventSource("/ticks?ms=1")
          await new Promise(resolve => source.onmessage = event => event.lastEventId === "20" && resolve())
          source.close()""")
        eventually(lambda: service.metric("ashlar_http_streams") == 0, "the service ends what the browser has closed")

    def test_come_and_go_on_where_they_were_cut_off(self):
        self.goes_on(self.service())

    def test_over_http2(self):
        self.goes_on(self.service("--tls-dev", tls=ssl._create_unverified_context()))

    def test_a_service_that_starts_again_is_found_again(self):
        service = self.service("--drain-grace", "0.1")
        run = self.page(service)
        run("""
          window.got = []
          window.source = new EventSource("/ticks?ms=1&retry_ms=50")
          await new Promise(resolve => source.onmessage = event => got.push(+event.data) === 10 && resolve())""")
        self.assertEqual(service.stop(), 0)
        again = harness.Service(self.folder, "--threads", "1", port=service.address[1],
                                environment={"SERVICE_FILES": str(self.folder / "files")})
        self.addCleanup(again.destroy)
        self.assertTrue(run("""
          const before = got.length
          await new Promise(resolve => source.onmessage = event => got.push(+event.data) === before + 10 && resolve())
          source.close()
          return got.every((number, i) => number === i + 1)"""))


class Http2(InABrowser):
    def test_is_what_a_browser_speaks_over_tls_and_many_fetches_share_a_connection(self):
        service = self.service("--tls-dev", tls=ssl._create_unverified_context())
        run = self.page(service)
        self.assertEqual(run("return performance.getEntriesByType('navigation')[0].nextHopProtocol"), "h2")
        before = service.metric("ashlar_http_http2_accepted_total")
        self.assertEqual(run("""
          const answers = await Promise.all(Array.from({length: 50}, async (_, i) => (await fetch(`/slow?ms=20&i=${i}`)).text()))
          const protocols = performance.getEntriesByType("resource").filter(entry => entry.name.includes("/slow"))
            .map(entry => entry.nextHopProtocol)
          return [answers.length, [...new Set(answers)], protocols.length, [...new Set(protocols)]]"""),
                         [50, ["slow\n"], 50, ["h2"]])
        self.assertEqual(service.metric("ashlar_http_http2_accepted_total"), before)
        self.assertGreaterEqual(service.metric("ashlar_http_requests_by_protocol_total", protocol="http2"), 51)

    def test_large_bodies_go_both_ways_at_once(self):
        run = self.page(self.service("--tls-dev", tls=ssl._create_unverified_context()))
        self.assertEqual(run("""
          const put = async () => (await fetch("/count", {method: "PUT", body: new Blob([bytes(5_000_000)])})).text()
          const get = async () => (await (await fetch("/big?bytes=3000000")).text()).length
          return Promise.all([put(), get(), put(), get()])"""), ["5000000 true", 3_000_000, "5000000 true", 3_000_000])

    def test_answers_nobody_waits_for_are_given_up(self):
        service = self.service("--tls-dev", tls=ssl._create_unverified_context())
        run = self.page(service)
        run("""
          const leave = new AbortController()
          const answer = await fetch("/ticks?ms=1", {signal: leave.signal})
          await answer.body.getReader().read()
          leave.abort()""")
        self.journaled(service, "ticks ended")
        self.assertEqual(run("return (await fetch('/items/7')).json()"), 7)


if __name__ == "__main__":
    main()
