#include <gtest/gtest.h>

#include <string>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http {
namespace {

using State = HeadResult::State;

HeadResult parse(std::string_view bytes, Request& request, const HeadLimits& limits = {}) {
  return parse_request_head(bytes, limits, request);
}

TEST(RequestParser, ReadsARequestLineAndItsHeadersInPlace) {
  const std::string_view bytes =
      "GET /articles/a%20b?limit=20&x=? HTTP/1.1\r\nHost: api.example:8080\r\nAccept:  */* \t\r\nX-Own:\r\n\r\nrest";
  Request request;
  const HeadResult result = parse(bytes, request);
  ASSERT_EQ(result.state, State::complete);
  EXPECT_EQ(bytes.substr(result.head_size), "rest");
  EXPECT_EQ(result.body_kind, BodyKind::none);
  EXPECT_EQ(request.method, Method::get);
  EXPECT_EQ(request.method_text, "GET");
  EXPECT_EQ(request.target, "/articles/a%20b?limit=20&x=?");
  EXPECT_EQ(request.path, "/articles/a%20b");
  EXPECT_EQ(request.query, "limit=20&x=?");
  EXPECT_EQ(request.authority, "api.example:8080");
  EXPECT_EQ(request.version, Version::http11);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(request.headers().size(), 3u);
  EXPECT_EQ(request.header(KnownHeader::accept), "*/*");
  EXPECT_EQ(request.header("ACCEPT"), "*/*");
  EXPECT_EQ(request.header("x-own"), "");
  EXPECT_EQ(request.header("x-other"), std::nullopt);
  EXPECT_EQ(request.header(KnownHeader::cookie), std::nullopt);
  EXPECT_GE(request.path.data(), bytes.data());
  EXPECT_LE(request.path.data(), bytes.data() + bytes.size());
}

TEST(RequestParser, KnowsTheMethods) {
  const std::pair<std::string_view, Method> methods[] = {
      {"GET", Method::get},        {"HEAD", Method::head},   {"POST", Method::post},   {"PUT", Method::put},
      {"DELETE", Method::del},     {"TRACE", Method::trace}, {"PATCH", Method::patch}, {"OPTIONS", Method::options},
      {"PROPFIND", Method::other}, {"get", Method::other},   {"P", Method::other},     {"PUTS", Method::other},
      {"GE", Method::other},
  };
  for (const auto& [text, method] : methods) {
    Request request;
    ASSERT_EQ(parse(std::string(text) + " / HTTP/1.1\r\nHost: a\r\n\r\n", request).state, State::complete) << text;
    EXPECT_EQ(request.method, method) << text;
  }
}

TEST(RequestParser, TellsHowTheBodyIsFramed) {
  Request request;
  HeadResult result = parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0012\r\n\r\n", request);
  EXPECT_EQ(result.state, State::complete);
  EXPECT_EQ(result.body_kind, BodyKind::length);
  EXPECT_EQ(result.content_length, 12u);
  result = parse("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n", request);
  EXPECT_EQ(result.state, State::complete);
  EXPECT_EQ(result.body_kind, BodyKind::chunked);
  result = parse("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", request);
  EXPECT_TRUE(request.expects_continue);
}

TEST(RequestParser, KeepsAConnectionAsItsVersionAndTokensSay) {
  const std::tuple<std::string_view, std::string_view, bool> cases[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: x, Close\r\n", false},
      {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.9", "", true},
  };
  for (const auto& [version, header, keep] : cases) {
    Request request;
    const std::string bytes = "GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + std::string(header) + "\r\n";
    ASSERT_EQ(parse(bytes, request).state, State::complete) << bytes;
    EXPECT_EQ(request.keep_alive, keep) << bytes;
  }
}

TEST(RequestParser, TakesTheFourFormsOfATarget) {
  Request request;
  ASSERT_EQ(parse("GET http://Example.org:80?q HTTP/1.1\r\nHost: other\r\n\r\n", request).state, State::complete);
  EXPECT_EQ(request.authority, "Example.org:80");
  EXPECT_EQ(request.path, "/");
  EXPECT_EQ(request.query, "q");
  ASSERT_EQ(parse("GET HTTPS://[::1]/a/b?c HTTP/1.1\r\nHost: [::1]\r\n\r\n", request).state, State::complete);
  EXPECT_EQ(request.authority, "[::1]");
  EXPECT_EQ(request.path, "/a/b");
  ASSERT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", request).state, State::complete);
  EXPECT_EQ(request.path, "*");
}

TEST(RequestParser, TakesAHostlessRequestOfHttp10AndAnEmptyLineBefore) {
  Request request;
  ASSERT_EQ(parse("\r\nGET / HTTP/1.0\r\n\r\n", request).state, State::complete);
  EXPECT_EQ(request.version, Version::http10);
  EXPECT_TRUE(request.authority.empty());
}

TEST(RequestParser, SaysIncompleteForEveryProperPrefix) {
  const std::string bytes =
      "\r\nPOST /a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nCookie: a=b; c=dddddddddddddddddddd\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);  // a block of its own: a read past the end shows under asan
    Request request;
    EXPECT_EQ(parse(part, request).state, State::incomplete) << size;
  }
  Request request;
  EXPECT_EQ(parse(bytes, request).state, State::complete);
}

struct RefusalCase {
  std::string_view name;
  std::string_view bytes;
  int status;
  std::string_view section;
};

class RequestParserRefusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(RequestParserRefusal, WithItsStatusAndParagraph) {
  Request request;
  const HeadResult result = parse(GetParam().bytes, request);
  ASSERT_EQ(result.state, State::refused);
  EXPECT_EQ(result.refusal.status, GetParam().status) << result.refusal.detail;
  EXPECT_EQ(result.refusal.section, GetParam().section) << result.refusal.detail;
  EXPECT_FALSE(result.refusal.detail.empty());
}

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"
constexpr RefusalCase kRefusals[] = {
    // Request smuggling: everything two readers could frame in two ways.
    {"LengthAndCoding", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "RFC 9112 §6.1"},
    {"CodingAndLength", HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "RFC 9112 §6.1"},
    {"DifferingLengths", HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"RepeatedLength", HEAD "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"ListedLength", HEAD "Content-Length: 5, 5\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"SignedLength", HEAD "Content-Length: +5\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"NegativeLength", HEAD "Content-Length: -1\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"HexLength", HEAD "Content-Length: 0x5\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"SpacedLength", HEAD "Content-Length: 1 2\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"EmptyLength", HEAD "Content-Length:\r\n\r\n", 400, "RFC 9112 §6.3"},
    {"HugeLength", HEAD "Content-Length: 99999999999999999999\r\n\r\n", 413, "RFC 9110 §15.5.14"},
    {"ChunkedNotLast", HEAD "Transfer-Encoding: chunked, gzip\r\n\r\n", 400, "RFC 9112 §6.1"},
    {"ChunkedTwice", HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n", 400, "RFC 9112 §7.1"},
    {"ChunkedTwiceInTwoFields", HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     "RFC 9112 §7.1"},
    {"IdentityAfterChunked", HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400,
     "RFC 9112 §6.1"},
    {"UnknownCoding", HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "RFC 9112 §6.1"},
    {"AlmostChunked", HEAD "Transfer-Encoding: xchunked\r\n\r\n", 501, "RFC 9112 §6.1"},
    {"ChunkedWithParameter", HEAD "Transfer-Encoding: chunked;q=1\r\n\r\n", 501, "RFC 9112 §6.1"},
    {"EmptyCoding", HEAD "Transfer-Encoding:\r\n\r\n", 400, "RFC 9112 §6.1"},
    {"CodingInHttp10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "RFC 9112 §6.1"},
    {"FoldedHeader", HEAD "X: a\r\n b\r\n\r\n", 400, "RFC 9112 §5.2"},
    {"SpaceBeforeFirstHeader", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "RFC 9112 §5.2"},
    {"SpaceBeforeColon", HEAD "Content-Length : 5\r\n\r\n", 400, "RFC 9112 §5.1"},
    {"TabBeforeColon", HEAD "X\t: 5\r\n\r\n", 400, "RFC 9112 §5.1"},
    {"BareCrInValue", HEAD "X: a\rb\r\n\r\n", 400, "RFC 9112 §2.2"},
    {"BareLfInValue", HEAD "X: a\nY: b\r\n\r\n", 400, "RFC 9112 §2.2"},
    {"BareLfAtTheEnd", "GET / HTTP/1.1\r\nHost: a\r\nX: y\n", 400, "RFC 9112 §2.2"},
    {"BareLfAfterRequestLine", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "RFC 9112 §3"},
    {"BareCrForTheEmptyLine", HEAD "\rX", 400, "RFC 9112 §2.2"},
    {"NulInValue", {HEAD "X: a\0b\r\n\r\n", sizeof(HEAD "X: a\0b\r\n\r\n") - 1}, 400, "RFC 9110 §5.5"},
    {"ControlInLongValue", HEAD "X: 0123456789abcdef0123456\x01 89\r\n\r\n", 400, "RFC 9110 §5.5"},
    {"DelInValue", HEAD "X: a\x7f\r\n\r\n", 400, "RFC 9110 §5.5"},
    {"EmptyName", HEAD ": a\r\n\r\n", 400, "RFC 9110 §5.1"},
    {"NoColon", HEAD "abc\r\n\r\n", 400, "RFC 9110 §5.1"},
    {"ForeignCharInName", HEAD "a(b: c\r\n\r\n", 400, "RFC 9110 §5.1"},
    {"HighByteInName", HEAD "\xc3\xa4: c\r\n\r\n", 400, "RFC 9110 §5.1"},
    // Host.
    {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"HostList", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"HostWithUser", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"HostWithBadPort", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"HostWithOpenBracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "RFC 9112 §3.2"},
    // Request line.
    {"NoMethod", " / HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.1"},
    {"MethodWithForeignChar", "G(T / HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.1"},
    {"TlsHello", "\x16\x03\x01\x02", 400, "RFC 9112 §3.1"},
    {"TwoEmptyLines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.1"},
    {"NoTarget", "GET  HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"TwoSpaces", "GET  / HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"ControlInTarget", "GET /\x01 HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"HighByteInTarget", "GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"FragmentInTarget", "GET /#a HTTP/1.1\r\n\r\n", 400, "RFC 9112 §3.2"},
    {"Http09", "GET /\r\n", 400, "RFC 9112 §3.2"},
    {"SpaceInTarget", "GET /a b HTTP/1.1\r\n\r\n", 400, "RFC 9112 §2.3"},
    {"LowerCaseVersion", "GET / http/1.1\r\n\r\n", 400, "RFC 9112 §2.3"},
    {"VersionWithoutDot", "GET / HTTP/11\r\n\r\n\r\n", 400, "RFC 9112 §2.3"},
    {"SpaceAfterVersion", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "RFC 9112 §3"},
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "RFC 9110 §15.6.6"},
    {"HttpZero", "GET / HTTP/0.9\r\n\r\n", 505, "RFC 9110 §15.6.6"},
    {"RelativeTarget", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2.2"},
    {"ForeignScheme", "GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2.2"},
    {"AbsoluteWithoutHost", "GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9110 §4.2.1"},
    {"AbsoluteWithUser", "GET http://u:p@a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9110 §4.2.1"},
    {"StarForGet", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RFC 9112 §3.2.4"},
    {"Connect", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "RFC 9110 §9.3.6"},
    {"UnknownExpectation", HEAD "Expect: miracles\r\n\r\n", 417, "RFC 9110 §10.1.1"},
};
#undef HEAD

INSTANTIATE_TEST_SUITE_P(All, RequestParserRefusal, testing::ValuesIn(kRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(RequestParser, RefusesATargetThatIsTooLongBeforeItIsComplete) {
  Request request;
  const HeadLimits limits{.max_head = 1024, .max_target = 100};
  EXPECT_EQ(parse("GET /" + std::string(99, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", request, limits).state,
            State::complete);
  const HeadResult whole = parse("GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", request, limits);
  EXPECT_EQ(whole.refusal.status, 414);
  EXPECT_EQ(parse("GET /" + std::string(150, 'a'), request, limits).refusal.status, 414);
}

TEST(RequestParser, RefusesAHeadThatIsTooLargeBeforeItIsComplete) {
  Request request;
  const HeadLimits limits{.max_head = 256, .max_target = 100};
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string fits = start + std::string(256 - start.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(parse(fits + "more", request, limits).state, State::complete);
  const std::string one_more = start + std::string(256 - start.size() - 3, 'x') + "\r\n\r\n";
  EXPECT_EQ(parse(one_more, request, limits).refusal.status, 431);
  EXPECT_EQ(parse(start + std::string(1000, 'x'), request, limits).refusal.status, 431);
}

TEST(RequestParser, RefusesTooManyHeaders) {
  Request request;
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 99; ++i) bytes += "X: y\r\n";
  EXPECT_EQ(parse(bytes + "\r\n", request).state, State::complete);
  EXPECT_EQ(parse(bytes + "X: y\r\n\r\n", request).refusal.status, 431);
}

TEST(HeadScanner, AsksForAParseOnlyWhenTheEndMayBeThere) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  HeadScanner scanner;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_EQ(scanner.worth_parsing(std::string_view(bytes).substr(0, size)), size == bytes.size()) << size;
  }
}

TEST(HeadScanner, AsksForAParseAtABareLf) {
  HeadScanner scanner;
  EXPECT_FALSE(scanner.worth_parsing("GET / HTTP/1.1\r\nHost: a"));
  EXPECT_TRUE(scanner.worth_parsing("GET / HTTP/1.1\r\nHost: a\n"));
}

TEST(KnownHeader, IsFoundByEveryNameInAnyCase) {
  for (std::size_t i = 1; i < kKnownHeaderCount; ++i) {
    const auto known = static_cast<KnownHeader>(i);
    std::string name(to_string(known));
    EXPECT_EQ(find_known_header(name), known) << name;
    for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    EXPECT_EQ(find_known_header(name), known) << name;
    name.back() = '!';
    EXPECT_EQ(find_known_header(name), KnownHeader::other) << name;
  }
  EXPECT_EQ(find_known_header(""), KnownHeader::other);
  EXPECT_EQ(find_known_header("x"), KnownHeader::other);
}

TEST(Request, FollowsItsBytesWhenTheyMove) {
  const std::string here = "GET /a?b HTTP/1.1\r\nHost: example.org\r\nX-Y: z\r\n\r\n";
  Request request;
  ASSERT_EQ(parse(here, request).state, State::complete);
  const std::string there = here;
  request.rebase(there.data() - here.data());
  EXPECT_EQ(request.path.data() - there.data(), 4);
  EXPECT_EQ(request.query, "b");
  EXPECT_EQ(request.header("x-y")->data() - there.data(), 43);
  EXPECT_TRUE(request.body.data() == nullptr);
}

}  // namespace
}  // namespace ashlar::http
