#include <ashlar/async/context.hpp>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::async {

void CancelScope::attach(CancelScope* parent) noexcept {
  parent_ = parent;
  if (parent == nullptr) return;
  next_ = parent->children_;
  if (next_ != nullptr) next_->previous_ = this;
  parent->children_ = this;
  reason_ = parent->reason_;
}

CancelScope::~CancelScope() {
  while (waiters_ != nullptr) waiters_->unlink_from_scope();
  for (CancelScope* child = children_; child != nullptr;) {
    CancelScope* next = child->next_;
    child->parent_ = child->next_ = child->previous_ = nullptr;
    child = next;
  }
  if (parent_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : parent_->children_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void CancelScope::cancel(CancelReason reason) noexcept {
  if (cancelled()) return;
  reason_ = reason;
  // Waking only queues the coroutines, so no user code runs in these loops and the lists cannot grow under us.
  while (waiters_ != nullptr) {
    Waiter* waiter = waiters_;
    waiter->unlink_from_scope();
    waiter->on_cancel();
  }
  for (CancelScope* child = children_; child != nullptr; child = child->next_) child->cancel(reason);
}

void Waiter::suspend(std::coroutine_handle<> handle, Cancellable cancellable) noexcept {
  handle_ = handle;
  context_ = async::context();
  loop_ = &Loop::current();
  cancelled_ = false;
  if (cancellable == Cancellable::no || context_ == nullptr || context_->scope == nullptr) return;
  scope_ = context_->scope;
  scope_previous_ = nullptr;
  scope_next_ = scope_->waiters_;
  if (scope_next_ != nullptr) scope_next_->scope_previous_ = this;
  scope_->waiters_ = this;
}

void Waiter::unlink_from_scope() noexcept {
  if (scope_ == nullptr) return;
  (scope_previous_ != nullptr ? scope_previous_->scope_next_ : scope_->waiters_) = scope_next_;
  if (scope_next_ != nullptr) scope_next_->scope_previous_ = scope_previous_;
  scope_ = nullptr;
}

void Waiter::wake() noexcept {
  unlink_from_scope();
  loop_->make_ready(*this);
}

void Waiter::wake_from_any_thread() noexcept {
  if (Loop::current_or_null() == loop_) return wake();
  loop_->post_wake(*this);
}

void Waiter::throw_cancelled() {
  const Context* context = async::context();
  const auto reason =
      context != nullptr && context->scope != nullptr ? context->scope->reason() : CancelReason::cancelled;
  if (reason == CancelReason::deadline) throw DeadlineExceeded("the deadline has passed");
  if (reason == CancelReason::shutdown) throw Cancelled("the service is shutting down");
  throw Cancelled("the operation was cancelled");
}

}  // namespace ashlar::async
