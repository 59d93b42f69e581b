// One request and its answer under way: what a server gives to its handler.
#pragma once

#include <cstdint>

#include <ashlar/async/context.hpp>
#include <ashlar/http/request.hpp>
#include <ashlar/http/request_body.hpp>
#include <ashlar/http/response.hpp>
#include <ashlar/http/scratch.hpp>

namespace ashlar::http {

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

 protected:
  ~Exchange() = default;

 private:
  virtual void on_finish() noexcept = 0;
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
