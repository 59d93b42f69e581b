#include <ashlar/http/refusals_test.hpp>

#include <memory>
#include <string>

#include <ashlar/http/chunked.hpp>
#include <ashlar/http/request_parser.hpp>
#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {
namespace {

constexpr HeadLimits kLimits{.max_head = 1024, .max_target = 128, .max_headers = 8};
constexpr std::uint64_t kMaxBody = 64;

// ---- The parsers alone.

// What head parser and decoder say; detail is empty when the request is complete or could be.
Refusal judge(std::string_view bytes) {
  const auto block = std::make_unique<char[]>(bytes.size());  // of its size: asan finds a read past the end
  std::ranges::copy(bytes, block.get());
  Request request;
  const HeadResult head = parse_request_head({block.get(), bytes.size()}, kLimits, request);
  if (head.state == HeadResult::State::refused) return head.refusal;
  if (head.state == HeadResult::State::incomplete) return {};
  if (head.body_kind == BodyKind::length && head.content_length > kMaxBody)
    return {413, "The body is too large.", "RFC 9110 §15.5.14"};
  if (head.body_kind != BodyKind::chunked) return {};
  ChunkedDecoder decoder;
  std::string body;
  std::string_view rest = bytes.substr(head.head_size);
  return decoder.feed(rest, body, kMaxBody) == ChunkedDecoder::State::refused ? decoder.refusal() : Refusal();
}

TEST(ParserRefusals, HaveTheirStatusAndParagraph) {
  for (const WireCase& wire : kWireCases) {
    SCOPED_TRACE(wire.name);
    const Refusal refusal = judge(wire.bytes);
    if (wire.status < 400 || wire.to != To::usual) {
      EXPECT_EQ(refusal.detail, "");
      continue;
    }
    EXPECT_NE(refusal.detail, "");
    EXPECT_EQ(refusal.status, wire.status) << refusal.detail;
    EXPECT_EQ(refusal.section, wire.section) << refusal.detail;
  }
}

TEST(ParserRefusals, AreTheSameForWhatHasComeSoFar) {
  for (const WireCase& wire : kWireCases) {
    SCOPED_TRACE(wire.name);
    for (std::size_t size = 0; size < wire.bytes.size(); ++size) {
      const Refusal refusal = judge(wire.bytes.substr(0, size));
      if (!refusal.detail.empty()) EXPECT_EQ(refusal.status, wire.status) << refusal.detail << " after " << size;
    }
  }
}

// ---- A server, over a socket.

ServerOptions options_for(To to) {
  ServerOptions options{.head = kLimits, .max_body = kMaxBody};
  if (to == To::impatient) {
    options.header_timeout = options.body_timeout = 50ms;
    options.min_body_rate = 1'000'000;
  }
  if (to == To::full) options.max_connections_per_loop = 1;
  return options;
}

std::uint64_t refusals(const ServerStats& stats) {
  std::uint64_t sum = 0;
  for (const StatNumber* number :
       {&stats.malformed, &stats.heads_too_large, &stats.targets_too_long, &stats.bodies_too_large,
        &stats.header_timeouts, &stats.body_timeouts, &stats.refused_connections}) {
    sum += number->get();
  }
  return sum;
}

// Sends the case in pieces of `step` bytes, with a request behind it, and looks at the answers.
void ask(RunningServer& server, const WireCase& wire, std::size_t step) {
  SCOPED_TRACE(wire.name);
  const int handled = server.handler.handled.load();
  const std::uint64_t refused = refusals(server.stats());

  TestClient client(server.address());
  // The next request comes with the end of this one: who said that this is the last must not send it later.
  const std::string next = wire.to == To::usual ? get("/second") : "";
  std::string_view rest = wire.bytes;
  bool open = true;  // a refusal may come, and the connection end, before all is sent
  for (; open && rest.size() > step; rest.remove_prefix(step)) open = client.try_send(rest.substr(0, step));
  if (open) client.try_send(std::string(rest) + next);
  Answer answer = client.answer(wire.bytes.starts_with("HEAD"));
  // 100 comes before what is taken only: what is refused is refused without it (RFC 9110 §10.1.1).
  if (answer.status == 100 && wire.status < 400) answer = client.answer();
  EXPECT_EQ(answer.status, wire.status) << answer.head << answer.body;
  if (wire.status >= 400) {
    EXPECT_TRUE(answer.has("Content-Type: application/problem+json\r\n")) << answer.head;
    EXPECT_NE(answer.body.find("\"status\":" + std::to_string(wire.status)), std::string::npos) << answer.body;
  }
  EXPECT_EQ(answer.has("Retry-After: "), wire.status == 503);
  if (wire.after == After::closed) {
    EXPECT_TRUE(answer.has("Connection: close\r\n")) << answer.head;
    EXPECT_TRUE(client.ended());
  } else {
    const Answer second = client.answer();
    EXPECT_EQ(second.status, 200);
    EXPECT_TRUE(second.has("X-Path: /second\r\n")) << second.head;
  }
  EXPECT_EQ(server.handler.handled.load() - handled, (wire.status < 400 ? 1 : 0) + (wire.after == After::kept ? 1 : 0));
  EXPECT_EQ(refusals(server.stats()) - refused, wire.status < 400 ? 0u : 1u);
}

void ask_all(To to, std::size_t step) {
  RunningServer server(options_for(to));
  std::unique_ptr<TestClient> only;
  if (to == To::full) {
    only = std::make_unique<TestClient>(server.address());
    EXPECT_EQ(only->ask(get("/")).status, 200);
  }
  for (const WireCase& wire : kWireCases) {
    if (wire.to == to) ask(server, wire, step);
  }
}

TEST(ServerRefusals, AreAnsweredAndCounted) { ask_all(To::usual, 1 << 20); }
TEST(ServerRefusals, AreTheSameByteByByte) { ask_all(To::usual, 1); }
TEST(ServerRefusals, OfWhatMustBeSecureAreAnsweredAndCounted) { ask_all(To::clear, 1 << 20); }
TEST(ServerRefusals, OfTheSlowAreAnsweredAndCounted) { ask_all(To::impatient, 1 << 20); }
TEST(ServerRefusals, OfConnectionsAreAnsweredAndCounted) { ask_all(To::full, 1 << 20); }

}  // namespace
}  // namespace ashlar::http::test
