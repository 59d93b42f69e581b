"""Input that is wrong: each kind is answered with the right status, and harms nobody else."""
import copy
import json
import tempfile

from harness import Case, Ended, Service, eventually, main, request

ORDER = {"customer": "Ann", "address": {"street": "Main Street 1", "zip": "12345"},
         "lines": [{"product": "tea", "amount": 2, "price": 3.5}], "note": "läuft", "extra": {"a": [1, {"b": None}]}}


def order(**changes):
    return {**copy.deepcopy(ORDER), **changes}


class OneService(Case):
    """All tests of a class talk to one service: whatever they send, it must still be there for the next."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.shared_folder = tempfile.TemporaryDirectory(prefix="ashlar-e2e-")
        cls.shared = Service(cls.shared_folder.name, "--threads", "1", *cls.flags)

    @classmethod
    def tearDownClass(cls):
        code = cls.shared.stop()
        cls.shared.destroy()
        cls.shared_folder.cleanup()
        assert code == 0, cls.shared.text

    def setUp(self):
        super().setUp()
        self.wire = self.connect(self.shared)
        self.bystander = self.connect(self.shared)

    def tearDown(self):
        self.assertTrue(self.bystander.is_open(), "others are served")

    def counts(self, limit):
        before = self.shared.limited(limit)
        return lambda: self.shared.limited(limit) - before

    def assert_kept(self, answer, status):
        """The request as a whole was understood: the connection goes on (RFC 9112 §9.3)."""
        self.assertEqual(answer.status, status, answer)
        self.assertFalse(answer.closes, answer)
        if status >= 400:
            self.assertEqual(answer.header("content-type"), "application/problem+json")
            self.assertEqual(answer.json["status"], status)
        self.assertTrue(self.wire.is_open())

    def assert_closed(self, status, wire=None):
        """Where the request ends is not known: nothing that follows may be taken for another (RFC 9112 §9.6)."""
        wire = wire or self.wire
        answer = wire.answer()
        self.assertEqual(answer.status, status, answer)
        self.assertTrue(answer.closes, answer)
        self.assertEqual(answer.header("content-type"), "application/problem+json")
        self.assertTrue(wire.ended())
        return answer


class Bodies(OneService):
    def post(self, body, **options):
        return self.wire.ask("POST", "/orders", body, **options)

    def assert_refused(self, answer, *errors):
        """422, and the client learns of each error where it is and what it is."""
        self.assert_kept(answer, 422)
        found = [(error["loc"], error["type"]) for error in answer.json["errors"]]
        for error in errors:
            self.assertIn(error, found)

    def test_a_good_one_is_taken(self):
        answer = self.post(ORDER)
        self.assert_kept(answer, 200)
        self.assertEqual(answer.json, ORDER)

    def test_malformed_json(self):
        good = json.dumps(ORDER)
        for bad in ("{", good[:-1], good + "}", "{'a':1}", "[1,]", '{"a" 1}', "nul", '"', "\x00", "{\"customer\":\"a\nb\"}",
                    '{"customer": NaN}', "{\"a\": 01}", "\ufeff{}", " ", "}{", '{"customer":"\\ud800"}', '"\\x41"'):
            with self.subTest(bad):
                answer = self.post(bad)
                self.assert_kept(answer, 422)
                self.assertTrue(answer.json["errors"])

    def test_wrong_types(self):
        for change, loc in (({"customer": 1}, ["customer"]), ({"customer": None}, ["customer"]),
                            ({"customer": ["a"]}, ["customer"]), ({"address": "here"}, ["address"]),
                            ({"address": None}, ["address"]), ({"lines": {}}, ["lines"]), ({"lines": [1]}, ["lines", 0]),
                            ({"lines": [{"product": "tea", "amount": "many", "price": 1}]}, ["lines", 0, "amount"]),
                            ({"lines": [{"product": "tea", "amount": 1.5, "price": 1}]}, ["lines", 0, "amount"]),
                            ({"lines": [{"product": "tea", "amount": 1, "price": True}]}, ["lines", 0, "price"]),
                            ({"extra": []}, ["extra"])):
            with self.subTest(change):
                answer = self.post(order(**change))
                self.assert_kept(answer, 422)
                self.assertEqual([error["loc"] for error in answer.json["errors"]], [["body", *loc]], answer)
        for whole in ("[]", "1", '"text"', "null", "true"):
            with self.subTest(whole):
                self.assert_kept(self.post(whole), 422)

    def test_missing_members_all_at_once(self):
        self.assert_refused(self.post("{}"), (["body", "customer"], "missing"), (["body", "address"], "missing"),
                            (["body", "lines"], "missing"))
        self.assert_refused(self.post(order(lines=[{}, {"product": "tea"}])), (["body", "lines", 0, "product"], "missing"),
                            (["body", "lines", 1, "amount"], "missing"))
        self.assert_refused(self.post(b""), (["body"], "missing"))

    def test_unknown_members_of_a_struct_that_forbids_them(self):
        self.assert_refused(self.post(order(admin=True)), (["body", "admin"], "extra_forbidden"))
        self.assert_refused(self.post(order(address={"street": "a", "zip": "12345", "city": "b"})),
                            (["body", "address", "city"], "extra_forbidden"))

    def test_rules_that_are_broken(self):
        self.assert_refused(self.post(order(customer="")), (["body", "customer"], "string_too_short"))
        self.assert_refused(self.post(order(lines=[])), (["body", "lines"], "too_short"))
        self.assert_refused(self.post(order(lines=ORDER["lines"] * 1001)), (["body", "lines"], "too_long"))
        self.assert_refused(self.post(order(address={"street": "a", "zip": "1"})),
                            (["body", "address", "zip"], "string_pattern_mismatch"))

    def test_deep_nesting(self):
        for deep in ("[" * 10_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000,
                     '{"customer":' + "[" * 10_000 + "]" * 10_000 + "}",
                     '{"extra":{"a":' + "[" * 10_000 + "]" * 10_000 + "}}",
                     '{"unknown":' + "[" * 10_000 + "]" * 10_000 + "}", "[" * 500_000):
            with self.subTest(deep[:20]):
                self.assert_kept(self.post(deep), 422)

    def test_huge_numbers(self):
        line = '{"customer":"a","address":{"street":"a","zip":"12345"},"lines":[{"product":"tea","amount":%s,"price":%s}]}'
        for amount, price in (("1e400", "1"), ("9" * 400, "1"), ("2147483648", "1"), ("-2147483649", "1"),
                              ("18446744073709551616", "1"), ("1", "1e400"), ("1", "-1e400"), ("1", "9" * 400)):
            with self.subTest(amount[:12] + " " + price[:12]):
                self.assert_kept(self.post(line % (amount, price)), 422)
        self.assert_kept(self.post(line % ("2147483647", "1e-400")), 200)
        self.assert_kept(self.post(line % ("1", "0." + "1" * 400)), 200)

    def test_numbers_that_are_only_passed_on_do_not_break_the_answer(self):
        for number in ("1e400", "9" * 400):
            with self.subTest(number[:12]):
                answer = self.post(json.dumps(order(extra={"n": 0})).replace('"n": 0', f'"n": {number}'))
                self.assertIn(answer.status, (200, 422), answer)
                json.loads(answer.body)

    def test_text_that_is_not_utf_8(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"):
            with self.subTest(bad):
                self.assert_kept(self.post(json.dumps(ORDER).replace("Ann", "?").encode().replace(b'"?"', b'"' + bad + b'"')),
                                 422)

    def test_another_content_type(self):
        self.assert_kept(self.post("{}", headers=[("Content-Type", "text/plain")]), 415)
        self.assert_kept(self.post("{}", headers=[("Content-Type", "application/x-www-form-urlencoded")]), 415)
        self.assert_kept(self.post("{}", headers=[("Content-Encoding", "gzip")]), 415)


class Targets(OneService):
    def test_path_parameters(self):
        for target, status in (("/items/1", 200), ("/items/x", 422), ("/items/2147483648", 422), ("/items/1e400", 422),
                               ("/items/" + "9" * 400, 422), ("/items/", 404), ("/names/%ff", 422), ("/names/%c0%af", 422),
                               ("/names/%zz", 400), ("/names/%", 400), ("/names/%00", 200), ("/names/a%2Fb", 200)):
            with self.subTest(target):
                self.assert_kept(self.wire.ask("GET", target), status)

    def test_query_parameters(self):
        for target, status in (("/pages?limit=5", 200), ("/pages?limit=x", 422), ("/pages?limit=1000", 422),
                               ("/pages?limit=" + "9" * 400, 422), ("/pages?limit=1&limit=2", 200), ("/pages?limit", 422),
                               ("/pages?name=%ff", 422), ("/pages?name=%c3%28", 422), ("/pages?name=%zz", 400),
                               ("/pages?" + "&" * 5000, 200), ("/pages?=&&=", 200)):
            with self.subTest(target[:40]):
                self.assert_kept(self.wire.ask("GET", target), status)

    def test_no_such_path_and_no_such_method(self):
        self.assert_kept(self.wire.ask("GET", "/nowhere"), 404)
        answer = self.wire.ask("PUT", "/orders", "{}")
        self.assert_kept(answer, 405)
        self.assertIn("POST", answer.header("allow"))
        self.assert_kept(self.wire.ask("BREW", "/orders"), 405)

    def test_bytes_that_no_target_has(self):
        for target in (b"/names/\xff", b"/names/\xc3\xa4", b"/na\x00me", b"/a b", b"nowhere", b"/\x7f"):
            with self.subTest(target):
                malformed = self.counts("malformed")
                wire = self.connect(self.shared)
                wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n")
                self.assert_closed(400, wire)
                self.assertEqual(malformed(), 1)


class Messages(OneService):
    flags = ("--max-body", "10000")

    def refused(self, data, status, limit):
        count = self.counts(limit)
        wire = self.connect(self.shared)
        wire.try_send(data)
        answer = self.assert_closed(status, wire)
        self.assertEqual(count(), 1)
        return answer

    def test_a_body_that_is_too_large_by_its_length(self):
        self.refused(request("POST", "/orders", b"x" * 10_001), 413, "body_size")
        self.refused(request("POST", "/orders", b"", [("Content-Length", "9" * 18)]), 413, "body_size")

    def test_a_length_that_is_no_number(self):
        for length in ("9" * 400, "-1", "+1", "1e3", "0x10", "1, 1", "", "1 1"):
            with self.subTest(length):
                wire = self.connect(self.shared)
                wire.send(request("POST", "/orders", b"{}", [("Content-Length", length)]))
                self.assertIn(wire.answer().status, (400, 413))
                self.assertTrue(wire.ended())

    def test_a_body_that_is_too_large_in_chunks(self):
        head = request("POST", "/orders", b"", [("Transfer-Encoding", "chunked")])
        self.refused(head + b"1000\r\n" + b"x" * 0x1000 + b"\r\n" + b"2000\r\n" + b"x" * 0x2000 + b"\r\n0\r\n\r\n", 413,
                     "body_size")
        self.refused(head + b"fffffffffffffff\r\n", 413, "body_size")
        self.refused(head + b"ffffffffffffffffffff\r\n", 400, "malformed")

    def test_a_body_may_be_as_large_as_allowed(self):
        self.assert_kept(self.wire.ask("POST", "/orders", b"x" * 10_000), 422)
        self.assert_kept(self.wire.ask("POST", "/orders", b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\n\r\n",
                                       [("Transfer-Encoding", "chunked")]), 422)

    def test_a_head_that_is_too_large(self):
        self.refused(request(headers=[("X-Long", "x" * 20_000)]), 431, "head_size")
        self.refused(request(headers=[("X" * 20_000, "x")]), 431, "head_size")

    def test_too_many_headers(self):
        self.refused(request(headers=[(f"X-{i}", "1") for i in range(200)]), 431, "head_size")

    def test_a_target_that_is_too_long(self):
        self.refused(request(target="/" + "x" * 9_000), 414, "target_length")

    def test_messages_that_two_readers_could_read_in_two_ways(self):
        for bad in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                    b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
                    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", b"\r\n \r\n\r\n", b"get\r\n\r\n"):
            with self.subTest(bad[:60]):
                self.refused(bad, 400, "malformed")
        self.assertIn(self.refused_status(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"), (400, 505))
        self.assertIn(self.refused_status(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), (400, 501))

    def refused_status(self, data):
        wire = self.connect(self.shared)
        wire.send(data)
        answer = wire.answer()
        self.assertTrue(wire.ended())
        return answer.status

    def test_nothing_behind_a_refused_message_is_taken_for_a_request(self):
        self.wire.send(b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"0\r\n\r\n" + request("GET", "/"))
        self.assert_closed(400)


class HalfRequests(OneService):
    """The client is gone in the middle: nobody waits for an answer, so the connection is closed, and that is all."""

    CUTS = {"request line": b"GET / HT", "head": b"GET / HTTP/1.1\r\nHost: te", "empty line": b"GET / HTTP/1.1\r\nHost: t\r\n",
            "body": b"POST /orders HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{\"customer\":",
            "chunk size": b"POST /orders HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1",
            "chunk": b"POST /orders HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
            "last chunk": b"POST /orders HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"}

    def open_connections(self):
        return self.shared.metric("ashlar_http_connections")

    def test_cut_and_ended(self):
        for where, data in self.CUTS.items():
            with self.subTest(where):
                wire = self.connect(self.shared)
                wire.send(data)
                wire.finish_sending()
                try:
                    self.assertEqual(wire.answer().status, 400)
                except Ended as ended:
                    self.assertFalse(ended.began)

    def test_cut_and_reset(self):
        before = self.open_connections()
        for data in self.CUTS.values():
            wire = self.connect(self.shared)
            wire.send(data)
            wire.reset()
        eventually(lambda: self.open_connections() <= before, "their connections are gone")

    def test_the_requests_before_the_cut_are_answered(self):
        self.wire.send(request() + request() + b"GET / HT")
        self.wire.finish_sending()
        self.assertEqual([self.wire.answer().status for _ in range(2)], [200, 200])
        with self.assertRaises(Ended):
            self.wire.answer()

    def test_a_whole_request_is_answered_though_its_client_ends_the_sending(self):
        self.wire.send(request())
        self.wire.finish_sending()
        self.assertEqual(self.wire.answer().status, 200)
        self.assertTrue(self.wire.ended())

    def test_a_client_that_leaves_in_the_middle_of_an_answer(self):
        for target in ("/big?bytes=20000000", "/stream?pieces=100000&bytes=10000"):
            with self.subTest(target):
                before = self.open_connections()
                streams = self.shared.metric("ashlar_http_streams")
                for leave in ("reset", "close"):
                    wire = self.connect(self.shared, receive_buffer=4096)
                    wire.send(request(target=target))
                    wire.socket.recv(100)
                    getattr(wire, leave)()
                eventually(lambda: self.open_connections() <= before, "their connections are gone")
                self.assertEqual(self.shared.metric("ashlar_http_streams"), streams)

    def test_a_client_that_leaves_before_its_answer(self):
        before = self.open_connections()
        for leave in ("reset", "close"):
            wire = self.connect(self.shared)
            wire.send(request(target="/slow?ms=600000"))
            getattr(wire, leave)()
        eventually(lambda: self.open_connections() <= before, "their handlers are cancelled")


if __name__ == "__main__":
    main()
