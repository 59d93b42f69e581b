// Tasks that nobody awaits by themselves, but that somebody waits for before leaving.
#pragma once

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>

namespace ashlar::pg::detail {

class Background {
 public:
  Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Starts a task outside any request's context; its error is dropped, so it must handle its own.
  void start(Task<void> task) {
    ++running_;
    const async::ContextGuard guard(&context_);
    async::launch(std::move(task), *new Node(*this));
  }
  /// Cancels what runs and waits for its end.
  Task<void> stop() {
    scope_.cancel(async::CancelReason::shutdown);
    while (running_ != 0) {
      idle_.reset();
      co_await idle_.wait();
    }
    scope_.reset();
  }
  [[nodiscard]] std::size_t running() const noexcept { return running_; }

 private:
  struct Node final : async::Completion {
    explicit Node(Background& owner) : owner_(owner) {}
    void on_complete(std::exception_ptr) noexcept override {
      if (--owner_.running_ == 0) owner_.idle_.set();
      delete this;
    }
    Background& owner_;
  };
  async::CancelScope scope_;
  async::Context context_ = make_context();
  async::Context make_context() {
    async::Context context;
    context.scope = &scope_;
    return context;
  }
  async::Event idle_;
  std::size_t running_ = 0;
};

}  // namespace ashlar::pg::detail
