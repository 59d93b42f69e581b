#include <ashlar/async/combinators.hpp>

namespace ashlar::async::detail {

Children::Children(Scope scope, OnError on_error)
    : scope_(scope == Scope::inherit && async::context() != nullptr ? async::context()->scope : nullptr),
      on_error_(on_error) {
  if (const Context* current = async::context(); current != nullptr) context_ = *current;
  context_.scope = &scope_;
}

void Children::start(Task<void> task) {
  ++running_;
  const ContextGuard guard{&context_};
  launch(std::move(task), *this);
}

void Children::on_complete(std::exception_ptr error) noexcept {
  if (error && !first_error_) {
    first_error_ = std::move(error);
    if (on_error_ == OnError::cancel_siblings) scope_.cancel();
  }
  if (--running_ == 0 && joining_) wake();
}

}  // namespace ashlar::async::detail
