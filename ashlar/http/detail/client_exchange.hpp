// One request and its answer on a connection, whatever version of the protocol that speaks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/response_parser.hpp>

namespace ashlar::http::detail {

/// What goes out. Outlives the exchange's ask().
struct ClientMessage {
  std::string head;  // without the line that ends it
  bool to_head = false;
  std::string_view body;
  const std::function<Generator<std::string>()>* stream = nullptr;
  std::optional<std::uint64_t> stream_length;
  bool expect_continue = false;
};

/// A kept connection was dead, and nothing of an answer had come.
struct Stale {};

/// Another try would end the same way: the server breaks the protocol, or a limit was met.
class Hopeless : public Unavailable {
 public:
  using Unavailable::Unavailable;
};

/// Gives the connection back when the whole answer was read, and closes it otherwise.
class ClientExchange {
 public:
  ClientExchange() = default;
  virtual ~ClientExchange() = default;
  ClientExchange(const ClientExchange&) = delete;
  ClientExchange& operator=(const ClientExchange&) = delete;

  /// Sends, and ends when the head of the final answer is there. Throws Stale, Unavailable, Hopeless, what the stream
  /// throws, Cancelled, DeadlineExceeded.
  virtual Task<void> ask(const ClientMessage& message) = 0;
  /// Appends what has come of the body, waiting for some if need be. At most `most` bytes may be in `out` then.
  /// Precondition: not complete.
  virtual Task<void> read_body(std::string& out, std::uint64_t most) = 0;

  [[nodiscard]] bool complete() const noexcept { return complete_; }
  /// Its views are into head_text().
  [[nodiscard]] const ResponseHead& head() const noexcept { return head_; }
  [[nodiscard]] const std::string& head_text() const noexcept { return head_text_; }
  /// The peer's address is one of the open Internet.
  [[nodiscard]] virtual bool global_peer() const noexcept = 0;

 protected:
  ResponseHead head_;
  std::string head_text_;
  bool complete_ = false;
};

}  // namespace ashlar::http::detail
