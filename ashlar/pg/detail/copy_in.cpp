#include <ashlar/pg/detail/copy_in.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/statement_observer.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg::detail {

namespace {
constexpr std::chrono::milliseconds kLongestTurn{1};
}

Task<std::uint64_t> CopyIn::run(Connection& connection, const Statement* statement, std::string sql,
                                CopySource& source) {
  CopyIn copy(connection, statement, sql);
  std::exception_ptr failure;
  try {
    copy.start();
    co_await Step{copy, Until::wanted};
    if (!copy.ended_) co_await source.feed(copy);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure && !copy.ended_) {
    copy.finish();
    co_await Step{copy, Until::ended};
  } else if (!copy.ended_) {
    copy.fail();
    try {
      co_await Step{copy, Until::failed};
    } catch (...) {
      copy.abandon();  // whoever waits for what has failed already waits no longer
    }
  }
  connection.set_drain(nullptr);
  if (failure) std::rethrow_exception(failure);
  copy.rethrow();
  co_return copy.affected;
}

bool CopyIn::Step::await_ready() noexcept {
  if (copy.reached(until)) return true;
  if (until == Until::ended || !cancelled_already()) return false;
  copy.interrupted_ = true;
  return true;
}

void CopyIn::start() {
  if (statement_observer != nullptr) statement_observer->on_statement(nullptr, sql_);
  connection_.submit_simple(*this, sql_);
  connection_.set_drain(this);
}

void CopyIn::begin_piece() { wire::begin_copy_data(piece_); }

void CopyIn::make_room(std::size_t most) {
  Buffer& piece = this->piece();
  at_ = piece.reserve(std::max(most, kPiece - std::min(kPiece, piece.size())));
  limit_ = at_ + piece.room();
  full_ = piece.data() + kPiece;
}

void CopyIn::close_cursor() noexcept {
  piece_.commit(static_cast<std::size_t>(at_ - (piece_.data() + piece_.size())));
  at_ = limit_ = full_ = nullptr;
}

bool CopyIn::send_piece() {
  if (at_ != nullptr) close_cursor();
  if (ended_ || piece_.empty()) return true;
  if (waiting_)
    throw Internal("two coroutines feed one COPY at the same time: let one add the rows, or await them in turn");
  if (cancelled_already()) {
    interrupted_ = true;
    return true;
  }
  connection_.copy_piece(piece_);
  // A server that keeps up never makes the source wait: after a while it is the turn of others on the loop, and of what
  // the server says.
  return reached(Until::drained) && async::Clock::now() - connection_.loop().now() < kLongestTurn;
}

void CopyIn::finish() {
  if (at_ != nullptr) close_cursor();
  if (!piece_.empty()) connection_.copy_piece(piece_);
  connection_.copy_done();
}

void CopyIn::fail() {
  if (cancelled_already()) return abandon();
  connection_.copy_fail("the program gave up");
}

// The server may be waiting for a lock and read nothing: as with any other statement, it is asked to stop over another
// connection, and nobody waits until it has.
void CopyIn::abandon() noexcept {
  if (ended_) return;
  ended_ = true;
  try {
    if (wanted_) connection_.copy_fail("cancelled");  // else it is told when it wants data
  } catch (...) {
    // no memory for it: the request to cancel does without
  }
  connection_.abandon(*this);
}

void CopyIn::interrupt() {
  check_interrupted();
  rethrow();
  throw Internal("rows were added to a COPY that had ended");
}

void CopyIn::check_interrupted() {
  if (std::exchange(interrupted_, false)) throw_cancelled();
}

void CopyIn::rethrow() const {
  if (outcome_) std::rethrow_exception(outcome_);
}

void CopyIn::wait(std::coroutine_handle<> handle, Until until) noexcept {
  until_ = until;
  waiting_ = true;
  suspend(handle, until == Until::ended ? async::Cancellable::no : async::Cancellable::yes);
  progress();  // in the next tick, when there is nothing to wait for but one's turn
}

bool CopyIn::reached(Until until) const noexcept {
  return ended_ || (until == Until::wanted && wanted_) || (until == Until::drained && connection_.unsent() == 0);
}

void CopyIn::progress() noexcept {
  if (!waiting_ || !reached(until_)) return;
  waiting_ = false;
  wake();
}

void CopyIn::on_copy_start(Connection& connection, char direction) {
  if (direction != 'G') return Operation::on_copy_start(connection, direction);
  if (wanted_) return connection.copy_fail("copy_in runs one COPY at a time");
  wanted_ = true;
  progress();
}

void CopyIn::on_end(Connection&) noexcept {
  ended_ = true;
  if (error) {
    if (statement_ != nullptr) {
      error->query = statement_->name();
      error->file = statement_->file();
      error->line = statement_->line();
    } else {
      error->query = sql_.substr(0, 80);
    }
    outcome_ = make_error(std::move(*error));
  } else if (!wanted_) {
    outcome_ = std::make_exception_ptr(QueryMismatch(
        "copy_in takes `copy … from stdin`; this statement did not ask for rows: " + std::string(sql_.substr(0, 80))));
  }
  progress();
}

void CopyIn::on_lost(const std::string& reason) noexcept {
  ended_ = true;
  outcome_ = std::make_exception_ptr(ConnectionLost(reason, true));
  progress();
}

void CopyIn::on_cancel() noexcept {
  waiting_ = false;
  interrupted_ = true;
  wake();
}

}  // namespace ashlar::pg::detail
