#include <ashlar/http/detail/client_http1.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <ashlar/async/combinators.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kReadStep = 16 * 1024;

}  // namespace

Http1Exchange::~Http1Exchange() {
  if (!complete_ || unsent_ || !head_.keep_alive || peer_ended_ || !connection().unread().empty()) return;
  lease_.keep();
}

// Nothing of the answer has come: on a kept connection the server may just have closed it.
void Http1Exchange::fail_or_stale(std::string_view why) const {
  if (lease_.reused && !answer_began_) throw Stale{};
  fail(why);
}

Task<void> Http1Exchange::ask(const ClientMessage& message) {
  to_head_ = message.to_head;
  std::string head = message.head;
  const bool has_body = message.has_body();
  if (message.expect_continue && has_body) head += "Expect: 100-continue\r\n";
  head += "\r\n";

  Sent sent = Sent::whole;
  if (message.expect_continue && has_body) {
    sent = co_await write(head, {});
    if (sent == Sent::whole) co_await wait_for_continue();
    if (answered_) sent = Sent::cut_short;
    if (sent == Sent::whole && message.stream == nullptr) sent = co_await write({}, message.body);
  } else {
    sent = co_await write(head, message.body);
  }
  if (sent == Sent::whole && message.stream != nullptr) sent = co_await write_stream(message);
  unsent_ = sent == Sent::cut_short;

  while (!take_head()) {
    if (!co_await read_more()) fail_or_stale(kNotAnswered);
  }
}

// Until everything is written, or the server has answered, or it is gone: then reading tells.
Task<Http1Exchange::Sent> Http1Exchange::write(std::string_view first, std::string_view second) {
  while (!first.empty() || !second.empty()) {
    std::array<iovec, 2> parts;
    std::size_t count = 0;
    for (const std::string_view part : {first, second}) {
      if (!part.empty()) parts[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    const net::Io io = connection().transport().write(std::span(parts).first(count));
    if (io.state == net::Io::State::done) {
      const std::size_t of_first = std::min(io.bytes, first.size());
      first.remove_prefix(of_first);
      second.remove_prefix(io.bytes - of_first);
      continue;
    }
    if (io.state != net::Io::State::would_block) co_return Sent::cut_short;
    // A server that refuses a body answers without reading it, and may wait for its answer to be read.
    co_await connection().ready(peer_ended_ ? EPOLLOUT : EPOLLOUT | EPOLLIN);
    read_some();
    if (take_head()) co_return Sent::cut_short;
  }
  co_return Sent::whole;
}

Task<Http1Exchange::Sent> Http1Exchange::write_stream(const ClientMessage& message) {
  Generator<std::string> source = (*message.stream)();
  std::uint64_t done = 0;
  while (auto piece = co_await source.next()) {
    if (piece->empty()) continue;
    done += piece->size();
    Sent sent = Sent::whole;
    check_stream_length(message, done, false);
    if (message.stream_length) {
      sent = co_await write(*piece, {});
    } else {
      char digits[kMostChunkDigits];
      const std::string size = fmt::format("{}\r\n", format_chunk_size(piece->size(), digits));
      *piece += "\r\n";
      sent = co_await write(size, *piece);
    }
    if (sent == Sent::cut_short) co_return sent;
    // The answer may have come while the stream thought about its next piece.
    read_some();
    if (take_head()) co_return Sent::cut_short;
  }
  if (!message.stream_length) co_return co_await write(kLastChunk, {});
  check_stream_length(message, done, true);
  co_return Sent::whole;
}

Task<void> Http1Exchange::wait_for_continue() {
  const auto wait = [](Http1Exchange& self) -> Task<void> {
    while (!self.take_head() && !self.told_to_continue_) {
      if (!co_await self.read_more()) self.fail_or_stale(kNotAnswered);
    }
  };
  try {
    co_await async::timeout(kContinueWait, wait(*this));
  } catch (const DeadlineExceeded&) {  // says nothing; when it was the request's own deadline, the next wait tells
  }
}

// Without waiting.
net::Io::State Http1Exchange::read_some() {
  ClientConnection& from = connection();
  if (from.consumed == from.buffer.size()) {
    from.buffer.clear();
    from.consumed = 0;
  }
  net::Io io{};
  const std::size_t had = from.buffer.size();
  from.buffer.resize_and_overwrite(had + kReadStep, [&](char* data, std::size_t) {
    io = from.transport().read({data + had, kReadStep});
    return had + io.bytes;
  });
  if (io.state == net::Io::State::closed || io.state == net::Io::State::failed) peer_ended_ = true;
  return io.state;
}

/// Reads some bytes behind what the buffer has. False: the server has ended its side.
Task<bool> Http1Exchange::read_more() {
  for (;;) {
    switch (read_some()) {
      case net::Io::State::done:
        co_return true;
      case net::Io::State::closed:
        co_return false;
      case net::Io::State::failed:
        fail_or_stale(connection().transport().error());
      case net::Io::State::would_block:
        co_await connection().ready(connection().transport().wants_write() ? EPOLLOUT : EPOLLIN);
    }
  }
}

/// Takes the head of the final answer from what was read. False: it has not come yet.
bool Http1Exchange::take_head() {
  while (!answered_) {
    const std::string_view unread = connection().unread();
    if (unread.empty()) return false;
    answer_began_ = true;
    head_ = parse_response_head(unread, max_head_, to_head_);
    if (head_.state == ResponseHead::State::refused)
      fail_for_good(fmt::format("a bad answer: {}", head_.refusal.detail));
    if (head_.state == ResponseHead::State::incomplete) return false;
    if (head_.status == 101) fail_for_good("a bad answer: 101 without a request for it");
    if (head_.status < 200) {  // not for the caller (RFC 9110 §15.2)
      if (++interim_ > kMostInterim) fail_for_good(kEndlessInterim);
      told_to_continue_ = told_to_continue_ || head_.status == 100;
      connection().consumed += head_.head_size;
      continue;
    }
    answered_ = true;
    head_text_ = unread.substr(0, head_.head_size);
    for (Header& one : head_.headers) {
      one.name = std::string_view(head_text_)
                     .substr(static_cast<std::size_t>(one.name.data() - unread.data()), one.name.size());
      one.value = std::string_view(head_text_)
                      .substr(static_cast<std::size_t>(one.value.data() - unread.data()), one.value.size());
    }
    connection().consumed += head_.head_size;
    left_ = head_.content_length;
    complete_ = head_.framing == ResponseFraming::none || (head_.framing == ResponseFraming::length && left_ == 0);
  }
  return true;
}

Task<void> Http1Exchange::read_body(std::string& out, std::uint64_t most) {
  if (connection().unread().empty() && !co_await read_more()) {
    if (head_.framing != ResponseFraming::until_close || connection().transport().cut_off()) {
      fail(kBrokenOff);
    }
    complete_ = true;
    co_return;
  }
  std::string_view in = connection().unread();
  const std::size_t had = in.size();
  if (head_.framing == ResponseFraming::chunked) {
    const auto state = decoder_.feed(in, out, most);
    if (state == ChunkedDecoder::State::refused) {
      fail_for_good(decoder_.refusal().status == 413 ? kTooLarge : decoder_.refusal().detail);
    }
    complete_ = state == ChunkedDecoder::State::done;
    if (complete_) trailers_ = decoder_.trailers();
  } else {
    const std::string_view taken =
        head_.framing == ResponseFraming::length ? in.substr(0, std::min<std::uint64_t>(left_, in.size())) : in;
    if (taken.size() > most || out.size() > most - taken.size()) fail_for_good(kTooLarge);
    out.append(taken);
    in.remove_prefix(taken.size());
    if (head_.framing == ResponseFraming::length) complete_ = (left_ -= taken.size()) == 0;
  }
  connection().consumed += had - in.size();
}

}  // namespace ashlar::http::detail
