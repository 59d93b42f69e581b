#include <ashlar/pg/executor.hpp>

#include <fmt/format.h>

#include <chrono>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/retries.hpp>
#include <ashlar/pg/detail/transaction_journal.hpp>
#include <ashlar/pg/transaction.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {
// Others wait behind a batch that shares their connection.
constexpr std::size_t kLongBatch = 64;
// The log may know less; a batch that runs again does not wait longer for it.
constexpr std::chrono::milliseconds kAsking{100};
const log::Logger logger{"pg.batch"};

Task<void> note_disturbed(Pool& pool, std::exception_ptr error, unsigned attempt, bool again) {
  Deadlock* deadlock = nullptr;
  try {
    std::rethrow_exception(error);
  } catch (Deadlock& one) {
    deadlock = &one;  // in `error`
  } catch (...) {
    // a serialization failure
  }
  detail::count_disturbed(deadlock != nullptr ? "deadlock" : "serialization", again);
  if (deadlock == nullptr) co_return;
  try {
    co_await async::timeout(kAsking, [](Pool& of, Deadlock& what) -> Task<void> {
      const Lease lease = co_await of.acquire();
      co_await detail::name_other_sides(lease.connection(), what);
    }(pool, *deadlock));
  } catch (const Error&) {
    // no connection is free for it
  }
  logger.warn(again ? "transactions waited for each other: this batch runs again"
                    : "transactions waited for each other: this batch has failed",
              {{"attempt", attempt}, {"query", deadlock->query}, {"detail", deadlock->detail}});
}

Task<void> run_batch_alone(Pool& pool, detail::BatchList& parts) {
  if (pool.sandboxed()) pool.count_query();
  const Lease lease = co_await pool.acquire();
  lease.connection().begin_journal(parts.front()->statement().where());
  std::exception_ptr error;
  try {
    co_await detail::Batch(lease.connection(), parts);
  } catch (...) {
    error = std::current_exception();
  }
  lease.connection().end_journal();
  if (error) std::rethrow_exception(error);
  co_await lease.check_deferred();
}

inline const Query<void(std::string, std::string)> notify_channel{"select pg_notify($1, $2)",
                                                                  {.name = "ashlar.notify"}};
}  // namespace

namespace detail {
void throw_no_row(const Statement&) { throw NoRow("not found"); }
void throw_too_many(const Statement& statement) {
  throw TooManyRows(fmt::format("{} gave more than one row: add `limit 1` or a unique condition, or use all()",
                                statement.describe()));
}
}  // namespace detail

Task<std::uint64_t> Executor::run_alone(Pool& pool, const Statement& statement, Params params, detail::RowSink& sink) {
  if (pool.sandboxed()) pool.count_query();  // else it would be taken for one that a shared connection has answered
  const Lease lease = co_await pool.acquire();
  const std::uint64_t affected = co_await detail::Execution(lease.connection(), statement, std::move(params), &sink);
  co_await lease.check_deferred();
  co_return affected;
}

Task<void> Executor::run_batch(Executor& self, detail::BatchList& parts) {
  for (unsigned attempt = 1;; ++attempt) {
    const detail::Target target = self.target();
    std::exception_ptr error;
    try {
      if (target.connection != nullptr) {
        co_await detail::Batch(*target.connection, parts);
      } else if (!parts.slow() && parts.size() <= kLongBatch && !target.pool->sandboxed()) {
        co_await detail::Batch(*target.pool, parts);
      } else {
        co_await run_batch_alone(*target.pool, parts);
      }
      co_return;
    } catch (...) {
      if (target.connection != nullptr) throw;  // it is for the transaction to run again
      error = std::current_exception();
    }
    if (!detail::may_run_again(error)) std::rethrow_exception(error);
    const bool again = attempt < TransactionOptions{}.max_attempts;
    co_await note_disturbed(*target.pool, error, attempt, again);
    if (!again) std::rethrow_exception(error);
    co_await async::sleep(detail::retry_pause(attempt));
    parts.restart();
  }
}

Task<void> Executor::use(Executor& self, detail::StreamState& state) {
  const detail::Target target = self.target();
  if (target.connection != nullptr) {
    state.use(*target.connection);
  } else {
    state.use(co_await target.pool->acquire());
  }
}

Task<std::uint64_t> Executor::copy_source(Executor& self, const Statement& statement, std::string sql,
                                          detail::RowSource& source) {
  const detail::Target target = self.target();
  if (target.connection != nullptr)
    co_return co_await detail::copy_rows(*target.connection, statement, std::move(sql), source);
  const Lease lease = co_await target.pool->acquire();
  const std::uint64_t rows = co_await detail::copy_rows(lease.connection(), statement, std::move(sql), source);
  co_await lease.check_deferred();
  co_return rows;
}

Task<std::uint64_t> Executor::copy_raw(Executor& self, std::string sql, Generator<std::string> chunks) {
  const detail::Target target = self.target();
  if (target.connection != nullptr)
    co_return co_await detail::copy_bytes(*target.connection, std::move(sql), std::move(chunks));
  const Lease lease = co_await target.pool->acquire();
  const std::uint64_t rows = co_await detail::copy_bytes(lease.connection(), std::move(sql), std::move(chunks));
  co_await lease.check_deferred();
  co_return rows;
}

Task<std::uint64_t> Executor::copy_in(SqlLiteral copy_from_stdin, Generator<std::string> chunks) {
  return copy_raw(*this, std::string(copy_from_stdin.text()), std::move(chunks));
}

Generator<std::string> Executor::copy_out_of(Executor& self, std::string sql) {
  auto state = std::make_shared<detail::ByteStream>();
  co_await use(self, *state);
  state->connection().background().start(detail::drive_copy_out(state, std::move(sql)));
  auto chunks = detail::items_of<detail::ByteStream, std::string>(state);
  while (auto chunk = co_await chunks.next()) co_yield std::move(*chunk);
}

Generator<std::string> Executor::copy_out(SqlLiteral copy_to_stdout) {
  return copy_out_of(*this, std::string(copy_to_stdout.text()));
}

Task<void> Executor::notify(std::string channel, std::string payload) {
  co_await exec(notify_channel, channel, payload);
}

}  // namespace ashlar::pg
