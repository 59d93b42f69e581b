#!/usr/bin/env python3
"""https, as other programs see it: OpenSSL's s_client, curl and Python's ssl; certificates that change while it serves."""
import contextlib
import os
import re
import ssl
import subprocess
import threading

import harness
from harness import Ended, Wire, eventually, main, request

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=harness.PATIENCE,
                          **options)


class Tls(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.made = harness.tempfile.TemporaryDirectory(prefix="ashlar-e2e-tls-")
        cls.addClassCleanup(cls.made.cleanup)
        cls.certificates = harness.Path(cls.made.name)
        cls.ca, cls.ca_key = cls.certificates / "ca.pem", cls.certificates / "ca-key.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 30,
                "-subj", "/CN=Test authority", "-keyout", cls.ca_key, "-out", cls.ca)
        cls.localhost = cls.make(cls.certificates, "localhost", "DNS:localhost,IP:127.0.0.1")
        cls.shop = cls.make(cls.certificates, "shop", "DNS:*.shop.test")
        cls.billing = cls.make(cls.certificates, "billing", "URI:spiffe://example/billing")

    @classmethod
    def make(cls, folder, name, names):
        """The paths of a certificate, with its issuer behind it, and of its key."""
        certificate, key, asked = folder / f"{name}.pem", folder / f"{name}-key.pem", folder / f"{name}.csr"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={names}", "-keyout", key, "-out", asked)
        own = openssl("x509", "-req", "-in", asked, "-CA", cls.ca, "-CAkey", cls.ca_key, "-days", 20,
                      "-copy_extensions", "copyall").stdout
        certificate.write_bytes(own + cls.ca.read_bytes())
        return certificate, key

    def https(self, *flags, pair=None, shows=None, **options):
        """A service over TLS. `shows`: the certificate with which the test asks it."""
        certificate, key = pair or self.localhost
        tls = ssl.create_default_context(cafile=str(self.ca))
        if shows:
            tls.load_cert_chain(*map(str, shows))
        return self.service("--tls-cert", str(certificate), "--tls-key", str(key), *flags, tls=tls, **options)

    def connect(self, service, **options):
        return super().connect(service, tls=service.tls, **options)

    def s_client(self, service, *arguments, send=GET):
        """Everything that s_client prints; with nothing to send it leaves after the handshake."""
        host, port = service.address
        if send:
            arguments += ("-ign_eof",)
        done = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(self.ca),
                               *map(str, arguments)], input=send, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=harness.PATIENCE)
        return done.stdout.decode("latin-1")

    def curl(self, service, *arguments, scheme="https", target="/"):
        return subprocess.run(["curl", "-sS", "--max-time", str(int(harness.PATIENCE)), "--noproxy", "*",
                               "--cacert", str(self.ca), *map(str, arguments),
                               f"{scheme}://localhost:{service.address[1]}{target}", "--ipv4"],
                              capture_output=True, text=True)


class RedirectFromHttp(Tls):
    def redirecting(self, *flags):
        service = self.https("--redirect-http", "0", *flags)
        port = int(service.wait_for_log("redirecting to https")["url"].rpartition(":")[2])
        return service, ("127.0.0.1", port)

    def plain(self, address, *arguments, **options):
        with contextlib.closing(Wire(address)) as wire:
            wire.send(request(*arguments, **options))
            return wire.answer()

    def test_curl_follows_it(self):
        service, (_, port) = self.redirecting()
        order = '{"customer": "a", "address": {"street": "b", "zip": "12345"}, "lines": [{"product": "t", "amount": 1, "price": 2}]}'
        for arguments, target in (((), "/names/a%20b?x=%2F"), (("--json", order), "/orders")):
            done = subprocess.run(["curl", "-sSL", "--noproxy", "*", "--ipv4", "--cacert", str(self.ca), "-w",
                                   "\n%{http_code} %{num_redirects} %{url_effective}", *arguments,
                                   f"http://localhost:{port}{target}"], capture_output=True, text=True, timeout=harness.PATIENCE)
            body, _, said = done.stdout.rpartition("\n")
            self.assertEqual(said, f"200 1 https://localhost:{service.address[1]}{target}", done.stderr)
            self.assertIn(body[:5], ("a b", '{"cus'))
        self.assertEqual(service.metric("ashlar_http_redirected_to_https_total", result="redirected"), 2)

    def test_it_keeps_the_host_and_reads_no_body(self):
        _, address = self.redirecting("--redirect-to-port", "443", "--redirect-hosts", "example.com, *.example.com")
        for host in ("example.com", "www.example.com:8080"):
            answer = self.plain(address, "GET", "/a?b", headers=[("Host", host)])
            self.assertEqual((answer.status, answer.header("location")), (308, f"https://{host.split(':')[0]}/a?b"))
            self.assertIsNone(answer.header("strict-transport-security"))
        self.assertEqual(self.plain(address, "GET", "/", headers=[("Host", "evil.test")]).status, 421)
        with contextlib.closing(Wire(address)) as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1000000\r\n\r\n")
            self.assertEqual(wire.answer().status, 308)  # of a body of which nothing came

    def test_the_limits_are_those_of_the_server(self):
        _, address = self.redirecting("--header-timeout", "0.3")
        with contextlib.closing(Wire(address)) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: exam")
            self.assertEqual(wire.answer().status, 408)
        self.assertEqual(self.plain(address, "GET", "/" + "x" * 20_000).status, 414)
        self.assertEqual(self.plain(address, "POST", "/", body="x" * 2_000_000).status, 413)

    def test_workers_serve_it_and_a_rolling_restart_drops_nothing(self):
        service, address = self.redirecting("--workers", "2")
        enough, statuses = threading.Event(), []

        def ask():
            while not enough.is_set():
                statuses.append(self.plain(address, "GET", "/").status)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            service.replace_workers()
            eventually(lambda: len(statuses) > 50, "it goes on")
        finally:
            enough.set()
            asking.join(harness.PATIENCE)
        self.assertEqual(set(statuses), {308})
        self.assertEqual(service.stop(), 0)

    def test_what_comes_for_a_worker_that_is_gone_another_one_redirects(self):
        service, address = self.redirecting("--workers", "2", "--worker-backoff", "60", "--worker-backoff-most", "60")
        gone = service.worker(0)
        os.kill(gone, harness.signal.SIGKILL)
        eventually(lambda: service.metric("ashlar_worker_up") == 1, "one is left")
        self.assertEqual({self.plain(address, "GET", "/").status for _ in range(30)}, {308})
        self.assertEqual(service.workers().get(0), None)

    def test_without_https_there_is_nothing_to_redirect_to(self):
        service = self.service("--redirect-http", "0", start=False)
        self.assertNotEqual(service.wait(), 0)
        self.assertIn("--redirect-http sends clients to https, which is not served", service.text)
        supervised = self.service("--workers", "2", "--redirect-http", "0", start=False)
        self.assertNotEqual(supervised.wait(), 0)
        self.assertIn("--redirect-http sends clients to https, which is not served", supervised.text)


class Handshakes(Tls):
    def test_curl_is_served(self):
        service = self.https()
        self.assertTrue(service.find_log('"serving"')["url"].startswith("https://"))
        answer = self.curl(service, "-w", "%{http_code} %{ssl_verify_result}")
        self.assertEqual(answer.stdout, "hello\n200 0", answer.stderr)
        self.assertEqual(self.curl(service, target="/big?bytes=3000000").stdout, "x" * 3_000_000)

    def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(self):
        service = self.https()
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            said = self.s_client(service, version)
            self.assertIn(name, said)
            self.assertIn("Verify return code: 0 (ok)", said)
            self.assertIn("HTTP/1.1 200", said)
        for version in ("-tls1", "-tls1_1"):
            said = self.s_client(service, version, "-cipher", "ALL:@SECLEVEL=0")
            self.assertIn("alert protocol version", said)
        self.assertEqual(service.metric("ashlar_tls_failed_handshakes_total", reason="version"), 2)
        self.assertEqual(service.metric("ashlar_tls_handshakes_total", version="1.2"), 1)

    def test_the_least_version_can_be_raised(self):
        service = self.https("--tls-min-version", "1.3")
        self.assertIn("alert protocol version", self.s_client(service, "-tls1_2"))
        self.assertIn("HTTP/1.1 200", self.s_client(service))

    def test_tls_1_2_has_forward_secrecy_and_authenticated_ciphers_only(self):
        service = self.https()
        for cipher in ("ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA"):
            self.assertIn("handshake failure", self.s_client(service, "-tls1_2", "-cipher", cipher))
        self.assertIn("ECDHE-ECDSA-CHACHA20-POLY1305",
                      self.s_client(service, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"))

    def test_the_certificate_is_that_of_the_name_asked_for(self):
        certificate, key = self.shop
        service = self.https("--tls-cert", str(certificate), "--tls-key", str(key))
        for name, expected in (("localhost", "localhost"), ("a.shop.test", "shop"), ("A.SHOP.TEST", "shop"),
                               ("a.b.shop.test", "localhost"), ("elsewhere.test", "localhost")):
            self.assertRegex(self.s_client(service, "-servername", name), rf"subject=CN ?= ?{expected}\b", name)
        self.assertRegex(self.s_client(service, "-noservername"), r"subject=CN ?= ?localhost")

    def test_the_protocol_is_agreed_on_by_alpn(self):
        service = self.https()
        self.assertIn("ALPN protocol: http/1.1", self.s_client(service, "-alpn", "http/1.1"))
        self.assertIn("No ALPN negotiated", self.s_client(service))
        self.assertIn("no application protocol", self.s_client(service, "-alpn", "spdy/3"))

    def test_sessions_are_resumed(self):
        pair = self.make(self.folder, "served", "DNS:localhost,IP:127.0.0.1")
        service = self.https("--tls-reload", "0.05", pair=pair)
        self.assertEqual(self.s_client(service, "-tls1_2", "-reconnect", send=b"").count("Reused, TLSv1.2"), 5)
        kept = self.folder / "session"
        self.assertIn("New, TLSv1.3", self.s_client(service, "-sess_out", kept))
        os.utime(pair[0])
        eventually(lambda: service.metric("ashlar_tls_reloads_total", result="done"), "the files are read again")
        self.assertIn("Reused, TLSv1.3", self.s_client(service, "-sess_in", kept))
        self.assertEqual(service.metric("ashlar_tls_resumed_total"), 6)

    def test_sessions_are_resumed_by_all_workers_and_those_after_them(self):
        service = self.https("--workers", "2")
        kept = self.folder / "session"
        ask = GET.replace(b"GET / ", b"GET /pid ")

        def pid(expected, *arguments):
            said = self.s_client(service, "-sess_out", kept, *arguments, send=ask)
            self.assertIn(expected, said)
            return int(re.search(r"\r\n\r\n(\d+)", said)[1])

        def all_resume(version):
            """Each resumption gives the ticket for the next: from worker to worker, until each has had its turn."""
            served = set()
            eventually(lambda: served.add(pid("Reused, TLSv1", version, "-sess_in", kept)) or served >= self.pids(service),
                       "both serve")

        pid("New, TLSv1.3")
        all_resume("-tls1_3")
        service.replace_workers()
        all_resume("-tls1_3")
        pid("New, TLSv1.2", "-tls1_2")
        all_resume("-tls1_2")

    def pids(self, service):
        return {pid for pids in service.workers().values() for pid in pids}

    def test_renegotiation_is_refused(self):
        service = self.https()
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{service.address[1]}", "-tls1_2"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        client.stdin.write(b"R\n")
        client.stdin.flush()
        said = client.communicate(timeout=harness.PATIENCE)[0]
        self.assertIn(b"no renegotiation", said)

    def test_an_ocsp_answer_is_stapled(self):
        certificate, key = self.localhost
        serial = openssl("x509", "-in", certificate, "-noout", "-serial").stdout.decode().strip().split("=")[1]
        index = self.folder / "index.txt"
        index.write_text(f"V\t351231235959Z\t\t{serial}\tunknown\t/CN=localhost\n")
        asked, answer = self.folder / "asked.der", self.folder / "answer.der"
        openssl("ocsp", "-issuer", self.ca, "-cert", certificate, "-no_nonce", "-reqout", asked)
        openssl("ocsp", "-index", index, "-rsigner", self.ca, "-rkey", self.ca_key, "-CA", self.ca, "-reqin", asked,
                "-respout", answer, "-ndays", 1)
        service = self.https("--tls-ocsp", str(answer))
        said = self.s_client(service, "-status")
        self.assertIn("OCSP Response Status: successful", said)
        self.assertIn("Cert Status: good", said)


class Clients(Tls):
    def test_a_handler_knows_who_the_client_is(self):
        service = self.https("--tls-client-ca", str(self.ca), shows=self.billing)
        certificate, key = self.billing
        answer = self.curl(service, "--cert", certificate, "--key", key, target="/whoami")
        self.assertEqual(answer.stdout, "CN=billing", answer.stderr)

    def test_over_http_2_too(self):
        service = self.https("--tls-client-ca", str(self.ca), shows=self.billing)
        service.tls.set_alpn_protocols(["h2", "http/1.1"])
        wire = self.connect(service)
        settings, path, host = b"\0\0\0\4\0\0\0\0\0", b"/whoami", b"localhost"
        # GET and https from HPACK's static table, then :path and :authority as literals (RFC 7541).
        fields = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(host)]) + host
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings +
                  len(fields).to_bytes(3, "big") + b"\1\5\0\0\0\1" + fields)
        while True:
            head = wire._take(9)
            payload = wire._take(int.from_bytes(head[:3], "big"))
            if head[3] == 0:  # DATA
                break
        self.assertEqual(payload, b"CN=billing")

    def test_without_a_certificate_nobody_comes_in_where_it_is_required(self):
        service = self.https("--tls-client-ca", str(self.ca), shows=self.billing)
        self.assertNotEqual(self.curl(service).returncode, 0)
        self.assertEqual(service.metric("ashlar_tls_failed_handshakes_total", reason="certificate"), 1)

    def test_where_it_is_optional_the_route_decides(self):
        service = self.https("--tls-client-ca", str(self.ca), "--tls-client", "optional")
        certificate, key = self.billing
        self.assertEqual(service.ask(target="/maybe").text, "nobody")
        self.assertEqual(service.ask(target="/whoami").status, 403)
        self.assertEqual(self.curl(service, "--cert", certificate, "--key", key, target="/maybe").stdout, "CN=billing")

    def test_one_that_others_have_signed_is_refused(self):
        service = self.https("--tls-client-ca", str(self.ca), "--tls-client", "optional")
        pem, key = self.folder / "stranger.pem", self.folder / "stranger-key.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-subj", "/CN=billing", "-keyout", key, "-out", pem)
        self.assertNotEqual(self.curl(service, "--cert", pem, "--key", key).returncode, 0)
        self.assertEqual(service.metric("ashlar_tls_failed_handshakes_total", reason="certificate"), 1)


class Trouble(Tls):
    def test_plain_http_is_told_to_use_https(self):
        service = self.https()
        answer = self.curl(service, "-w", " %{http_code}", scheme="http")
        self.assertIn("write https:// in place of http://", answer.stdout)
        self.assertTrue(answer.stdout.endswith(" 400"), answer.stdout)
        self.assertEqual(service.metric("ashlar_tls_failed_handshakes_total", reason="plain_http"), 1)

    def test_handshakes_that_never_end_are_ended(self):
        service = self.https("--header-timeout", "0.5")
        silent, half = Wire(service.address), Wire(service.address)
        self.addCleanup(silent.close)
        self.addCleanup(half.close)
        half.send(b"\x16\x03\x01\x02\x00\x01\x00")
        self.assertTrue(silent.ended())
        self.assertTrue(half.ended())
        self.assertEqual(service.metric("ashlar_tls_failed_handshakes_total", reason="cancelled"), 2)

    def test_others_are_served_amid_half_open_handshakes_and_garbage(self):
        service = self.https()
        hanging = [Wire(service.address) for _ in range(300)]
        for index, wire in enumerate(hanging):
            self.addCleanup(wire.close)
            wire.try_send((b"\x16\x03\x01\x02\x00\x01", b"\x00" * 400, os.urandom(600))[index % 3])
        for wire in hanging[::5]:
            wire.reset()
        for _ in range(20):
            self.assertEqual(service.ask().status, 200)

    def test_a_client_that_leaves_in_the_middle_of_an_answer_harms_nobody(self):
        service = self.https()
        for _ in range(10):
            wire = self.connect(service)
            wire.send(request(target="/stream?pieces=1000&bytes=20000"))
            wire.socket.recv(1000)
            wire.reset()
        self.assertEqual(service.ask().status, 200)
        self.assertEqual(service.stop(), 0)

    def test_what_cannot_work_is_refused_before_it_serves(self):
        certificate, key = map(str, self.localhost)
        other_key = str(self.shop[1])
        for flags, words in (
                (["--tls-cert", "/no/such.pem"], ["cannot read the certificate /no/such.pem"]),
                (["--tls-cert", certificate], ["holds no private key"]),
                (["--tls-cert", certificate, "--tls-key", other_key], [other_key, "does not belong to", certificate]),
                (["--tls-cert", certificate, "--tls-key", key, "--tls-key", other_key], ["one key for each"]),
                (["--tls-key", key], ["--tls-cert"]),
                (["--tls-cert", certificate, "--tls-key", key, "--tls-dev"], ["choose one"]),
                (["--tls-cert", certificate, "--tls-key", key, "--unix-socket", "s"], ["without TLS"]),
                (["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", key], ["holds no certificate"])):
            service = self.service(*flags, start=False)
            self.assertEqual(service.wait(), 1, flags)
            for word in words:
                self.assertIn(word, service.text)


class Reload(Tls):
    def pair(self):
        return self.make(self.folder, "served", "DNS:localhost,IP:127.0.0.1")

    def shown(self, service):
        with contextlib.closing(Wire(service.address, tls=service.tls)) as wire:
            return wire.socket.getpeercert()["serialNumber"]

    def test_a_renewed_certificate_is_shown_without_a_restart_and_without_a_failed_request(self):
        service = self.https("--tls-reload", "0.05", pair=self.pair())
        before, kept = self.shown(service), self.connect(service)
        failed, served, stop = [], [], threading.Event()

        def load():
            while not stop.is_set():
                try:
                    served.append(service.ask().status)
                except (OSError, Ended) as error:
                    failed.append(error)

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        self.pair()
        eventually(lambda: self.shown(service) != before, "the new certificate is shown")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual((failed, set(served)), ([], {200}))
        self.assertTrue(kept.is_open())
        self.assertGreaterEqual(service.metric("ashlar_tls_reloads_total", result="done"), 1)
        self.assertGreater(service.metric("ashlar_tls_certificate_expiry_seconds"), 19 * 86400)

    def test_each_of_several_workers_takes_it_up(self):
        service = self.https("--tls-reload", "0.05", "--workers", "2", pair=self.pair())
        self.assertTrue(service.find_log('"serving"')["url"].startswith("https://"))
        before = self.shown(service)
        self.pair()
        eventually(lambda: all(self.shown(service) != before for _ in range(10)), "all show the new certificate")

    def test_a_broken_one_is_said_and_not_used(self):
        certificate, key = self.pair()
        service = self.https("--tls-reload", "0.05", pair=(certificate, key))
        before = self.shown(service)
        certificate.write_text("half a cert")
        self.assertIn("served.pem", service.wait_for_log("cannot be used")["error"])
        self.assertEqual(self.shown(service), before)
        self.pair()
        eventually(lambda: self.shown(service) != before, "the next good one is taken")

    def test_a_secret_that_kubernetes_renews_is_noticed(self):
        """There the files are links through a folder that is a link."""
        for version in ("one", "two"):
            (self.folder / version).mkdir()
            self.make(self.folder / version, "served", "DNS:localhost,IP:127.0.0.1")
        (self.folder / "data-link").symlink_to("one")
        for name in ("served.pem", "served-key.pem"):
            (self.folder / name).symlink_to(f"data-link/{name}")
        service = self.https("--tls-reload", "0.05", pair=(self.folder / "served.pem", self.folder / "served-key.pem"))
        before = self.shown(service)
        (self.folder / "next").symlink_to("two")
        (self.folder / "next").rename(self.folder / "data-link")
        eventually(lambda: self.shown(service) != before, "the new certificate is shown")


class Development(Tls):
    def test_it_makes_a_certificate_that_can_be_trusted(self):
        service = self.service("--tls-dev")
        folder = service.data / "tls"
        self.assertTrue(service.find_log('"serving"')["url"].startswith("https://"))
        trusted = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        with contextlib.closing(Wire(service.address, tls=trusted)) as wire:
            self.assertEqual(wire.ask().text, "hello\n")
        self.assertEqual((folder / "localhost-key.pem").stat().st_mode & 0o777, 0o600)
        self.assertEqual((folder / "authority-key.pem").stat().st_mode & 0o777, 0o600)
        self.assertEqual(service.stop(), 0)
        made = (folder / "localhost.pem").read_bytes()
        again = self.service("--tls-dev")
        self.assertEqual((folder / "localhost.pem").read_bytes(), made)
        self.assertEqual(again.stop(), 0)

    def test_people_are_told_how_to_trust_it(self):
        program = subprocess.Popen([harness.PROGRAM, "serve", "--port", "0", "--tls-dev", "--log-format", "human"],
                                   cwd=self.folder, env=os.environ | {"ASHLAR_DATA_DIR": "here"}, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.wait, harness.PATIENCE)
        self.addCleanup(program.terminate)
        text = ""
        for line in program.stdout:
            text += line
            if "Ctrl-C stops it" in line:
                break
        self.assertIn("https://127.0.0.1:", text)
        self.assertIn(f"--cacert {self.folder}/here/tls/authority.pem", text)


if __name__ == "__main__":
    main()
