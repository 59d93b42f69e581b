// Transfer: a request that is under way while the test goes on, and its answer read as it comes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <ashlar/schema/json.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar::testing {

/// A server-sent event as a browser has it (WHATWG HTML, 9.2.6).
struct ServerEvent {
  std::string event = "message";  ///< its type
  std::string data;
  std::string id;  ///< of this event, or of the last one that had any
  std::optional<std::chrono::milliseconds> retry = {};

  template <class T>
  [[nodiscard]] T json() const {
    return schema::parse_json<T>(data);
  }
};

/// `auto events = client.get("/prices").begin(); clock.advance(1s); events.event()->data`. The handler, and then the
/// generator of a stream, run as under a server: on their own whenever the application's loop runs, the generator up to
/// 64 pieces or 64 KiB ahead of what has been read. A call that waits runs the loop until it has what it waits for, at
/// most ten seconds; then it throws DeadlineExceeded. What a generator throws is thrown where its end would have been
/// read. Goes before its Client; then it leaves.
class [[nodiscard("it leaves when it goes")]] Transfer {
 public:
  Transfer(Transfer&&) noexcept;
  Transfer& operator=(Transfer&&) noexcept;
  ~Transfer();

  /// Whether status and headers have come.
  [[nodiscard]] bool answered() const noexcept;
  /// Waits for status and headers; the body is empty.
  const Answer& head();
  /// Waits for the rest of the body: all of it, when nothing has been read yet.
  Answer answer();
  /// What the handler sent next, as it sent it, or what a line() has left of it. nullopt: that was all.
  std::optional<std::string> piece();
  /// The next line of the body without its end; nullopt: there is none.
  std::optional<std::string> line();
  /// The same, read: of JSON Lines. Throws ValidationError naming what does not fit.
  template <class T>
  std::optional<T> json_line() {
    auto text = line();
    if (!text) return std::nullopt;
    return schema::parse_json<T>(*text);
  }
  /// The next event; comments, such as heartbeats, are none. One that the body's end cuts short is none either.
  std::optional<ServerEvent> event();
  /// As a client that closes its connection: what still runs is cancelled, and has ended when this returns. A handler
  /// that catches its cancellation and goes on is waited for.
  void leave();

 private:
  friend class Request;
  struct Impl;
  explicit Transfer(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::testing
