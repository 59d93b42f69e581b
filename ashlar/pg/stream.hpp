// Rows, or bytes of a COPY, one at a time: the server is read only as fast as they are taken.
#pragma once

#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <ashlar/async/generator.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/pool.hpp>

namespace ashlar::pg::detail {

/// Shared by the consumer, who may leave early, and the driver, who stays until the server is done.
class StreamState : public RowSink {
 public:
  static constexpr std::size_t kHigh = 256;  ///< items held before reading stops
  static constexpr std::size_t kLow = 64;

  virtual ~StreamState() = default;

  /// One more item is in the queue.
  void arrived() {
    if (++queued_ >= kHigh) connection_->pause(true);
    wake();
  }
  void taken() {
    if (--queued_ == kLow) connection_->pause(false);
  }
  /// The consumer leaves. What still comes is dropped; on a connection of its own the server is asked to stop.
  void abandon() noexcept;
  void end(std::exception_ptr error) noexcept;
  void use(Connection& connection) noexcept { connection_ = &connection; }
  void use(Lease lease) noexcept {
    lease_ = std::move(lease);
    connection_ = &lease_.connection();
  }
  [[nodiscard]] Connection& connection() noexcept { return *connection_; }
  [[nodiscard]] bool abandoned() const noexcept { return abandoned_; }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  /// Awaitable: until something arrives or it ends.
  class Wait final : public async::Waiter {
   public:
    explicit Wait(StreamState& state) noexcept : state_(state) {}
    ~Wait() = default;
    bool await_ready() noexcept {
      if (cancelled_already()) {
        mark_cancelled();
        return true;
      }
      return state_.queued_ > 0 || state_.ended_;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      suspend(handle);
      state_.waiting_ = this;
    }
    void await_resume() const { check_cancelled(); }

   private:
    friend class StreamState;
    void on_cancel() noexcept override {
      state_.waiting_ = nullptr;
      mark_cancelled();
      Waiter::wake();
    }
    void resume() noexcept { Waiter::wake(); }
    StreamState& state_;
  };

 private:
  void wake() noexcept {
    if (Wait* const waiting = std::exchange(waiting_, nullptr)) waiting->resume();
  }
  Lease lease_;
  Connection* connection_ = nullptr;
  Wait* waiting_ = nullptr;
  std::exception_ptr error_;
  std::size_t queued_ = 0;
  bool ended_ = false;
  bool abandoned_ = false;
};

template <class R>
class RowStream final : public StreamState {
 public:
  std::deque<R> items;

 private:
  void on_row(RowReader& row) override {
    if (abandoned()) return;
    read_row(row, items.emplace_back());
    arrived();
  }
};

class ByteStream final : public StreamState {
 public:
  std::deque<std::string> items;
  void push(std::string_view bytes) {
    if (abandoned()) return;
    items.emplace_back(bytes);
    arrived();
  }

 private:
  void on_row(RowReader&) override {}
};

struct StreamGuard {
  StreamState& state;
  ~StreamGuard() { state.abandon(); }
};

/// Runs the statement and feeds the state; keeps both alive.
Task<void> drive_rows(std::shared_ptr<StreamState> state, const Statement& statement, Params params);
Task<void> drive_copy_out(std::shared_ptr<ByteStream> state, std::string sql);

template <class State, class Item>
Generator<Item> items_of(std::shared_ptr<State> state) {
  const StreamGuard guard{*state};
  for (;;) {
    while (!state->items.empty()) {
      Item item = std::move(state->items.front());
      state->items.pop_front();
      state->taken();
      co_yield std::move(item);
    }
    if (state->ended()) break;
    co_await StreamState::Wait{*state};
  }
  state->rethrow();
}

}  // namespace ashlar::pg::detail
