// One request and its answer on a connection, whatever version of the protocol that speaks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/response_parser.hpp>

namespace ashlar::http::detail {

/// What goes out. Outlives the exchange's ask().
struct ClientMessage {
  std::string head;  // as in HTTP/1.1, without the line that ends it
  bool to_head = false;
  std::string_view body;
  bool body_stays = false;  // until the whole answer was read
  const std::function<Generator<std::string>()>* stream = nullptr;
  std::optional<std::uint64_t> stream_length;
  bool expect_continue = false;

  [[nodiscard]] bool has_body() const noexcept { return stream != nullptr || !body.empty(); }
};

/// A kept connection was dead, and nothing of an answer had come.
struct Stale {};

/// The server says that it has not looked at the request (RFC 9113 §8.7): it may be sent again, whatever it is.
struct Refused {
  bool connection_ends = false;  // and takes no more; otherwise it is this request that the server does not want now
};

/// The server wants this request in HTTP/1.1 (RFC 9113 §7, HTTP_1_1_REQUIRED).
struct WantsHttp1 {};

/// Another try would end the same way: the server breaks the protocol, or a limit was met.
class Hopeless : public Unavailable {
 public:
  using Unavailable::Unavailable;
};

inline constexpr unsigned kMostInterim = 32;                    // answers before the final one
inline constexpr auto kContinueWait = std::chrono::seconds{1};  // RFC 9110 §10.1.1: not for ever
inline constexpr std::string_view kTooLarge = "the answer's body is larger than the client allows";
inline constexpr std::string_view kNotAnswered = "the server closed the connection before it answered";
inline constexpr std::string_view kBrokenOff = "the server broke the answer off";
inline constexpr std::string_view kEndlessInterim = "a bad answer: interim answers without end";

/// Gives the connection, or its place on one, back when the whole answer was read; otherwise closes it, or resets its
/// stream.
class ClientExchange {
 public:
  /// `where`: "GET http://host:80", for messages; without path and query, which may hold secrets.
  explicit ClientExchange(std::string where) : where_(std::move(where)) {}
  virtual ~ClientExchange() = default;
  ClientExchange(const ClientExchange&) = delete;
  ClientExchange& operator=(const ClientExchange&) = delete;

  /// Sends, and ends when the head of the final answer is there. Throws Stale, Refused, WantsHttp1, Unavailable,
  /// Hopeless, what the stream throws, Cancelled, DeadlineExceeded.
  virtual Task<void> ask(const ClientMessage& message) = 0;
  /// Appends what has come of the body, waiting for some if need be. At most `most` bytes may be in `out` then.
  /// Precondition: not complete.
  virtual Task<void> read_body(std::string& out, std::uint64_t most) = 0;

  [[nodiscard]] bool complete() const noexcept { return complete_; }
  /// Its views are into head_text().
  [[nodiscard]] const ResponseHead& head() const noexcept { return head_; }
  [[nodiscard]] const std::string& head_text() const noexcept { return head_text_; }
  /// Complete: what came behind the body and may (RFC 9110 §6.5.1), as find_trailer() reads it.
  [[nodiscard]] const std::string& trailers() const noexcept { return trailers_; }
  /// The peer's address is one of the open Internet.
  [[nodiscard]] virtual bool global_peer() const noexcept = 0;
  /// "1.1", "2"
  [[nodiscard]] virtual std::string_view version() const noexcept = 0;

 protected:
  [[noreturn]] void fail(std::string_view why) const;
  [[noreturn]] void fail_for_good(std::string_view why) const;
  /// Throws Invalid when a stream gives more than it said, or, `at_end`, less.
  void check_stream_length(const ClientMessage& message, std::uint64_t given, bool at_end) const;

  std::string where_;
  ResponseHead head_;
  std::string head_text_;
  std::string trailers_;
  bool complete_ = false;
};

}  // namespace ashlar::http::detail
