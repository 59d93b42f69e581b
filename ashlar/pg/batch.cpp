#include <fmt/format.h>

#include <set>

#include <ashlar/pg/detail/batch.hpp>
#include <ashlar/pg/detail/query_watch.hpp>
#include <ashlar/pg/detail/transaction_journal.hpp>
#include <ashlar/pg/pool.hpp>
#include <ashlar/pg/statement_observer.hpp>

namespace ashlar::pg::detail {

void BatchList::restart() noexcept {
  for (BatchPart* part = front_; part != nullptr; part = part->next_) {
    part->affected_ = 0;
    part->restart();
  }
}

void Batch::await_suspend(std::coroutine_handle<> handle) {
  const bool watched = query_watchers.load(std::memory_order_relaxed) != 0;
  std::set<const Statement*> noted;  // each once: again and again in one round trip is not a query for each row
  for (const BatchPart* part = parts_.front(); part != nullptr; part = part->next_) {
    const Statement& statement = part->statement();
    if (watched && noted.insert(&statement).second) [[unlikely]]
      note_query(statement, async::context());
    if (pool_ == nullptr && connection_->noting_ != nullptr) connection_->noting_->note(statement);
  }
  begin(handle);
}

void Batch::submit_to(Connection& connection) { connection.submit(*this); }
void Batch::on_prepared(Connection& connection, Prepared&) { prepare_all(connection); }
void Batch::on_end(Connection& connection) noexcept { connection.ended(*this); }

std::string Batch::describe() const {
  if (current_ == nullptr) return fmt::format("batch of {} queries", parts_.size());
  return fmt::format("{} in a batch of {} queries", current_->statement().describe(), parts_.size());
}

void Batch::release_statements(bool drop) noexcept {
  prepared_ = nullptr;
  for (BatchPart* part = parts_.front(); part != nullptr; part = part->next_) {
    if (part->prepared_ != nullptr) connection_->release(*std::exchange(part->prepared_, nullptr), drop);
  }
}

void Batch::forget_statements() noexcept {
  prepared_ = nullptr;
  for (BatchPart* part = parts_.front(); part != nullptr; part = part->next_) part->prepared_ = nullptr;
}

// All are asked for at once, and waited for one after the other: what was ready may have been dropped meanwhile.
void Batch::prepare_all(Connection& connection) {
  prepared_ = nullptr;
  for (BatchPart* part = parts_.front(); part != nullptr; part = part->next_) {
    if (part->prepared_ != nullptr && part->prepared_->doomed)
      connection.release(*std::exchange(part->prepared_, nullptr), false);
    if (part->prepared_ != nullptr) continue;
    part->prepared_ = &connection.prepared_for(part->statement());
    ++part->prepared_->in_flight;
  }
  for (BatchPart* part = parts_.front(); part != nullptr; part = part->next_) {
    if (part->prepared_->state == Prepared::State::ready) continue;
    statement_ = part->statement_;
    return connection.wait_for(*part->prepared_, *this);
  }
  connection.bind(*this);
}

void Batch::take_up(BatchPart* part) noexcept {
  current_ = part;
  statement_ = part != nullptr ? part->statement_ : nullptr;
  prepared_ = part != nullptr ? part->prepared_ : nullptr;
  sink_ = failure_ == nullptr ? part : nullptr;
}

void Batch::on_complete(Connection& connection, std::uint64_t rows) {
  if (current_ == nullptr) return;
  current_->affected_ = rows;
  prepared_->duration.record(connection.loop().now() - started_);
  take_up(current_->next_);
}

void Connection::submit(Batch& batch) {
  batch.connection_ = this;
  if (!open_) return batch.fail(std::make_exception_ptr(ConnectionLost("the database connection is closed", false)));
  if (statement_observer != nullptr && !batch.retried_) [[unlikely]] {
    for (const BatchPart* part = batch.parts_.front(); part != nullptr; part = part->next_)
      statement_observer->on_statement(part->statement_, part->statement_->sql());
  }
  batch.prepare_all(*this);
}

void Connection::bind(Batch& batch) {
  const std::size_t start = out_.size();
  try {
    for (const BatchPart* part = batch.parts_.front(); part != nullptr; part = part->next_) {
      put_run(*part->statement_, part->params_, *part->prepared_, false);
      part->prepared_->last_used = ++uses_;
    }
  } catch (...) {
    out_.truncate(start);
    batch.release_statements(false);
    return batch.fail(std::current_exception());
  }
  wire::sync(out_);
  batch.take_up(batch.parts_.front());
  batch.stage_ = Request::Stage::sent;
  push(&batch);
}

void Connection::ended(Batch& batch) {
  const Statement* const failed = batch.statement_;
  const bool stale = batch.error && is_stale(*batch.error);
  batch.release_statements(stale || batch.changed_);
  if (stale && !batch.retried_ && transaction_status_ == 'I' && open_) {
    batch.retried_ = true;
    batch.error.reset();
    batch.failure_ = nullptr;
    batch.parts_.restart();
    return submit(batch);
  }
  if (batch.error && batch.error->code == "40P01") name_known_sides(*this, *batch.error, "batch");
  if (batch.error && failed != nullptr) {  // even after a row that could not be read: nothing was done
    batch.failure_ = error_of(std::move(*batch.error), *failed);
  } else if (batch.error) {  // a deferred constraint, or serializable: it is none of them in particular
    batch.error->query = batch.describe();
    batch.failure_ = make_error(std::move(*batch.error));
  } else if (batch.current_ != nullptr && !batch.failure_) {
    batch.failure_ = std::make_exception_ptr(
        ProtocolError(fmt::format("PostgreSQL was ready before it had answered {}", batch.describe())));
  }
  batch.done();
}

}  // namespace ashlar::pg::detail
