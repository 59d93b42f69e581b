// A pool of one session for all: see Sandbox. It has a lease whenever something runs in it.
#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/pool.hpp>
#include <ashlar/pg/sandbox.hpp>

namespace ashlar::pg {

using detail::Connection;
using detail::Execution;

Task<void> Lease::check_deferred() const {
  if (connection_->checks_deferred()) co_await detail::Execution(*connection_, detail::kSandboxCheck);
}

Task<void> Pool::enter_sandbox() {
  if (exclusive_open_ != 0) co_return;
  idle_.push_back(co_await options_.sandbox->enter(*this, config_, background_));
  ++exclusive_open_;
  instruments_.exclusive.add();
  connected_.store(true, std::memory_order_relaxed);
}

Task<void> Pool::leave_sandbox() {
  if (idle_.empty()) co_return;  // lost, or leased: then it is closed when it comes back
  auto connection = std::move(idle_.back());
  idle_.clear();
  --exclusive_open_;
  instruments_.exclusive.sub();
  connected_.store(false, std::memory_order_relaxed);
  co_await options_.sandbox->leave(std::move(connection));
}

void Pool::lost_in_sandbox() noexcept {
  trouble_ = "the session of the sandbox was lost, and with it what was done in it";
  connected_.store(false, std::memory_order_relaxed);
  options_.sandbox->lost();
  wake_acquirers();
}

void Pool::end_in_sandbox(std::unique_ptr<Connection> connection) noexcept {
  if (!connection->open_now() || stopping_) {
    --exclusive_open_;
    instruments_.exclusive.sub();
    bury(std::move(connection));
    return lost_in_sandbox();
  }
  // Somebody has left before the answer came, which says whether there is something to be undone.
  if (connection->in_flight() > 0) return background_.start(end_in_sandbox_later(std::move(connection)));
  switch (connection->transaction_status()) {
    case 'E':
      connection->send_simple(detail::kSandboxRollback);
      [[fallthrough]];
    case 'T':
      connection->send_simple(detail::kSandboxRelease);
      break;
    default:
      options_.sandbox->committed();
  }
  offer(std::move(connection));
}

Task<void> Pool::end_in_sandbox_later(std::unique_ptr<Connection> connection) {
  try {
    Execution last(*connection, "");
    co_await last.to_the_end();  // of the program as well: it takes no longer than what went before it
  } catch (const Error&) {
    // the connection is lost
  }
  end_in_sandbox(std::move(connection));
}

}  // namespace ashlar::pg
