#!/usr/bin/env python3
"""HTTP/2, as other programs speak it: curl, nghttp and h2load, in the clear and over TLS; and its end under load."""
import re
import shutil
import signal
import ssl
import subprocess
import threading
import unittest

import harness
from harness import eventually, main


def needs(program, package):
    return unittest.skipUnless(shutil.which(program), f"{program} is not there: apt-get install {package}")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)


class Http2(harness.Case):
    def https(self, *flags):
        return self.service("--tls-dev", *flags, tls=ssl._create_unverified_context())

    def url(self, service, target="/", scheme="http"):
        return f"{scheme}://127.0.0.1:{service.address[1]}{target}"


@needs("curl", "curl")
class Curl(Http2):
    SAID = "%{http_version} %{http_code} %{size_download}"

    def curl(self, service, target, *arguments, scheme="http"):
        done = run("curl", "-sS", "-o", self.folder / "body", "-w", self.SAID, *arguments, self.url(service, target, scheme))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_with_prior_knowledge(self):
        service = self.service()
        self.assertEqual(self.curl(service, "/", "--http2-prior-knowledge")[:5], "2 200")
        self.assertEqual(self.curl(service, "/big?bytes=3000000", "--http2-prior-knowledge"), "2 200 3000000")
        self.assertEqual(self.curl(service, "/nowhere", "--http2-prior-knowledge")[:5], "2 404")
        order = '{"customer": "a", "address": {"street": "b", "zip": "12345"}, "lines": [{"product": "t", "amount": 1, "price": 2}]}'
        self.assertEqual(self.curl(service, "/orders", "--http2-prior-knowledge", "--json", order)[:5], "2 200")
        self.assertGreaterEqual(service.metric("ashlar_http_requests_by_protocol_total", protocol="http2"), 4)

    def test_an_upgrade_is_not_taken_up(self):
        service = self.service()
        self.assertEqual(self.curl(service, "/", "--http2")[:7], "1.1 200")

    def test_over_tls_it_is_what_curl_gets_unless_it_is_off(self):
        service = self.https()
        self.assertEqual(self.curl(service, "/", "-k", scheme="https")[:5], "2 200")
        self.assertEqual(self.curl(service, "/stream?pieces=50&bytes=2000", "-k", scheme="https"), "2 200 100000")
        self.assertEqual(self.curl(service, "/", "-k", "--http1.1", scheme="https")[:7], "1.1 200")
        without = self.https("--http2", "off")
        self.assertEqual(self.curl(without, "/", "-k", scheme="https")[:7], "1.1 200")


@needs("nghttp", "nghttp2-client")
class Nghttp(Http2):
    def test_gets_and_posts_with_trailers(self):
        service = self.service()
        body = self.folder / "body"
        body.write_text('{"customer": "a"}')
        said = run("nghttp", "-v", "--trailer", "x-checksum: 1", "-d", body, "-H", "content-type: application/json",
                   self.url(service, "/orders")).stdout
        self.assertIn(":status: 422", said)
        self.assertNotRegex(said, "(?<!NO_)ERROR")
        # An answer before the end of the request, and then RST_STREAM with NO_ERROR (RFC 9113 §8.1), which curl 7.88 takes
        # for a failure.
        body.write_bytes(b"x" * 3_000_000)
        said = run("nghttp", "-v", "-d", body, self.url(service, "/orders")).stdout
        self.assertIn(":status: 413", said)
        self.assertNotRegex(said, "(?<!NO_)ERROR")
        said = run("nghttp", "-nv", "-m", 20, "-w", 10, self.url(service, "/big?bytes=300000")).stdout
        self.assertEqual(said.count(":status: 200"), 20)


@needs("h2load", "nghttp2-client")
class H2load(Http2):
    def load(self, *arguments):
        said = run("h2load", *arguments).stdout
        found = re.search(r"(\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", said)
        self.assertTrue(found, said)
        return [int(number) for number in found.groups()]

    def test_answers_everything(self):
        service = self.service("--threads", "2")
        targets = [self.url(service, target) for target in ("/", "/items/7", "/slow?ms=1", "/big?bytes=30000")]
        self.assertEqual(self.load("-n", 4000, "-c", 8, "-m", 50, *targets), [4000, 4000, 4000, 0, 0])

    def test_answers_everything_over_tls(self):
        service = self.https()
        self.assertEqual(self.load("-n", 1000, "-c", 4, "-m", 20, self.url(service, "/items/7", "https")),
                         [1000, 1000, 1000, 0, 0])

    def test_sigterm_drops_nothing_that_was_taken(self):
        service = self.service("--threads", "2", "--drain-grace", "5")
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(self.load(
            "-n", 1_000_000, "-c", 4, "-m", 10, self.url(service)))) for _ in range(2)]
        for client in clients:
            client.start()
        looks = 0

        def loaded():
            nonlocal looks
            looks += 1
            return service.metric("ashlar_http_requests_by_protocol_total", protocol="http2") > 500

        eventually(loaded, "the load is on")
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(), 0, service.text)
        for client in clients:
            client.join(60)
        # What the service has handled is what the clients were answered; what they asked for later, they were told, was not.
        succeeded = sum(answer[2] for answer in answers)
        self.assertIn(f"stopped after {succeeded + looks} requests", service.journal)


if __name__ == "__main__":
    main()
