#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>

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

TEST(Request, FollowsItsBytesWhenTheyMoveFromAnAbsoluteFormWithoutPath) {
  const std::string here = "GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n";
  Request request;
  ASSERT_EQ(parse(here, request).state, State::complete);
  ASSERT_EQ(request.path, "/");
  const std::string there = here;
  request.rebase(there.data() - here.data());
  EXPECT_GE(request.path.data(), there.data());
  EXPECT_LT(request.path.data(), there.data() + there.size());
  EXPECT_EQ(request.path, "/");
}

TEST(RequestParser, IgnoresAnUpgradeInHttp10) {
  Request request;
  ASSERT_EQ(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", request).state,
            State::complete);
  EXPECT_TRUE(request.upgrade);
  ASSERT_EQ(parse("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", request).state, State::complete);
  EXPECT_FALSE(request.upgrade);
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
