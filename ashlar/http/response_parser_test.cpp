#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include <ashlar/http/response_parser.hpp>

namespace ashlar::http {
namespace {

using State = ResponseHead::State;

TEST(ResponseParser, ReadsAStatusAndItsHeaders) {
  const std::string bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello";
  const ResponseHead head = parse_response_head(bytes, 1000, false);
  ASSERT_EQ(head.state, State::complete);
  EXPECT_EQ(head.status, 404);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.framing, ResponseFraming::length);
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_EQ(bytes.substr(head.head_size), "hello");
  ASSERT_EQ(head.headers.size(), 2u);
  EXPECT_EQ(head.headers[1].value, "b");
}

TEST(ResponseParser, TellsTheFramingByStatusAndRequest) {
  const std::tuple<std::string_view, bool, ResponseFraming, bool> cases[] = {
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, ResponseFraming::chunked, true},
      {"HTTP/1.1 200\r\n\r\n", false, ResponseFraming::until_close, false},
      {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", true, ResponseFraming::none, true},
      {"HTTP/1.1 204 No Content\r\n\r\n", false, ResponseFraming::none, true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, ResponseFraming::none, true},
      {"HTTP/1.1 100 Continue\r\n\r\n", false, ResponseFraming::none, true},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, ResponseFraming::none, true},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, ResponseFraming::none, false},
      {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, ResponseFraming::none, false},
      {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, ResponseFraming::none, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, ResponseFraming::length, false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, ResponseFraming::length, false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false, ResponseFraming::length, true},
  };
  for (const auto& [bytes, to_head, framing, keep_alive] : cases) {
    const ResponseHead head = parse_response_head(bytes, 1000, to_head);
    ASSERT_EQ(head.state, State::complete) << bytes;
    EXPECT_EQ(head.framing, framing) << bytes;
    EXPECT_EQ(head.keep_alive, keep_alive) << bytes;
  }
}

TEST(ResponseParser, SaysIncompleteForEveryProperPrefix) {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    EXPECT_EQ(parse_response_head(part, 1000, false).state, State::incomplete) << size;
  }
}

TEST(ResponseParser, RefusesWhatIsMalformed) {
  const std::string_view cases[] = {
      "HTTP/2 200 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 200 OK\nX: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\n\r\n",
      " HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1\t200 OK\r\n\r\n",
      "HTTP/1.1 200\tOK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/1.1 200 O\x01K\r\n\r\n",
      "HTTP/1.1 200 OK\rX: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
  };
  for (const std::string_view bytes : cases) {
    EXPECT_EQ(parse_response_head(bytes, 1000, false).state, State::refused) << bytes;
  }
  EXPECT_EQ(parse_response_head("HTTP/1.1 200 OK\r\nX: " + std::string(1000, 'x'), 1000, false).state, State::refused);
}

}  // namespace
}  // namespace ashlar::http
