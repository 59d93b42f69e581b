#include <ashlar/pg/executor.hpp>

#include <fmt/format.h>

namespace ashlar::pg {
namespace {
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
