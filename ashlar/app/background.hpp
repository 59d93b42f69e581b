// Background: work that a handler leaves behind for after the answer.
#pragma once

#include <ashlar/app/call.hpp>
#include <ashlar/async/task.hpp>

namespace ashlar {

/// `[](Background background) { background.add(send_mail(address)); }` The task starts when the answer is on its way,
/// on the same loop, with the request's trace but without its deadline; the client's leaving does not cancel it.
/// Shutdown waits for it. Errors are logged. Parameters of the task must be values: the request is gone when it runs. A
/// request that fails starts none.
class Background {
 public:
  explicit Background(detail::Call& call) noexcept : call_(&call) {}
  void add(Task<void> task);

 private:
  detail::Call* call_;
};

}  // namespace ashlar
