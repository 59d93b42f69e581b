// One request and its answer under way: what a server gives to its handler.
#pragma once

#include <cstdint>

#include <ashlar/async/context.hpp>
#include <ashlar/http/request.hpp>
#include <ashlar/http/request_body.hpp>
#include <ashlar/http/response.hpp>
#include <ashlar/http/scratch.hpp>

namespace ashlar::http {

class ConnectionValues;
class WebSocket;
struct WebSocketHandshake;
struct WebSocketOptions;

/// The server makes it and keeps it until finish(); the base class of the server's and of the in-process test client's.
/// Everything happens on the loop that called Handler::handle.
class Exchange {
 public:
  Request request;
  /// Set when the handler asked for it (BodyPlan::stream): request.body is empty, read it here.
  RequestBody* body = nullptr;
  Response response;
  /// Deadline, cancel scope (&scope), trace. Run the handler's tasks under it; it outlives them when they end before
  /// finish(), or in the response's stream.
  async::Context context;
  /// Cancelled when the client leaves, when the deadline passes, or when a drain loses patience.
  async::CancelScope scope;
  /// Memory for this request; gone after finish().
  Scratch scratch;
  async::TimePoint started{};  ///< when the head was complete

  /// What those around the handler (middleware, limits) keep for when the answer is there. In `scratch`; found by
  /// `key`, the address of something of theirs. Empty when handle() begins.
  struct Note {
    const void* key = nullptr;
    Note* next = nullptr;
  };
  Note* notes = nullptr;

  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// The answer is complete: send it. Exactly once, on the loop of handle(), inside handle() or later. Touch neither
  /// the exchange nor anything that its request's views point to afterwards.
  void finish() noexcept { on_finish(); }

  /// Answers 101, with the headers of `response`: the connection is a WebSocket from now on, and stays one until
  /// finish(), which closes it (1000) if nobody has. Request, scratch and scope live on until then; there is no
  /// deadline any more. The scope is cancelled some time after the peer is gone (WebSocketLimits::close_timeout). At
  /// most once, and before finish(). `options` must outlive the exchange. Throws Unavailable while the server drains,
  /// Cancelled when the client has left, Unsupported where there is no connection to take over: answer then as ever.
  /// Over HTTP/2 (RFC 8441) it is the stream that becomes one, with a 200.
  WebSocket& accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options);
  /// Throws now what accept_websocket() would: for who adds to the answer what belongs to a 101 alone.
  void require_websocket() { on_require_websocket(); }

  /// What is kept as long as the connection that this came on. Null: it came on none.
  [[nodiscard]] ConnectionValues* connection_values() noexcept { return on_connection_values(); }

 protected:
  ~Exchange() = default;

 private:
  virtual void on_finish() noexcept = 0;
  virtual WebSocket& on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options);
  virtual void on_require_websocket();
  virtual ConnectionValues* on_connection_values() noexcept { return nullptr; }
};

/// What a handler wants done with the body of a request.
struct BodyPlan {
  std::uint64_t limit;  ///< bytes; a larger one is answered with 413
  bool stream = false;  ///< handle() is called with the head alone, and reads Exchange::body
};

/// What answers requests. One object serves all loops at the same time: its state must be immutable or per loop.
class Handler {
 public:
  /// Fills in exchange.response and calls exchange.finish(), at once or later on the same loop.
  virtual void handle(Exchange& exchange) noexcept = 0;

  /// Asked when the head of a request with a body is there (no body, nothing else set). `standard` is
  /// ServerOptions::max_body.
  virtual BodyPlan plan_body(const Request& head, std::uint64_t standard) noexcept {
    static_cast<void>(head);
    return {.limit = standard};
  }

 protected:
  ~Handler() = default;
};

}  // namespace ashlar::http
