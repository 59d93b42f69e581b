#include <ashlar/pg/copy.hpp>

#include <fmt/format.h>

#include <mutex>
#include <set>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/statement_observer.hpp>
#include <ashlar/pg/stream.hpp>

namespace ashlar::pg::detail {
namespace {

std::string list_of(std::span<const std::string_view> columns) {
  std::string out;
  for (const std::string_view column : columns)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", quote_identifier(column));
  return out;
}

/// One COPY FROM STDIN: wait until the server wants data, send, wait for its verdict.
class CopyIn final : public async::Waiter, public Operation {
 public:
  explicit CopyIn(Connection& connection) noexcept : connection_(connection) {}
  ~CopyIn() = default;

  enum class Until : std::uint8_t { wanted, drained, ended };
  struct Step {
    CopyIn& copy;
    Until until;
    bool await_ready() noexcept {
      if (until != Until::ended && cancelled_already()) {
        copy.mark_cancelled();
        return true;
      }
      return copy.done(until);
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      copy.until_ = until;
      copy.waiting_ = true;
      copy.suspend(handle, until == Until::ended ? async::Cancellable::no : async::Cancellable::yes);
    }
    void await_resume() const { copy.check_cancelled(); }
  };
  Step step(Until until) noexcept { return {*this, until}; }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  void rethrow() {
    if (error) std::rethrow_exception(make_error(std::move(*error)));
    if (lost_) std::rethrow_exception(lost_);
  }

 private:
  [[nodiscard]] bool done(Until until) const noexcept {
    return ended_ || (until == Until::wanted && wanted_) || (until == Until::drained && connection_.unsent() < kEnough);
  }
  void progress() noexcept {
    if (!waiting_ || !done(until_)) return;
    waiting_ = false;
    wake();
  }
  void on_copy_start(Connection& connection, char direction) override {
    if (direction == 'G') {
      wanted_ = true;
      progress();
    } else {
      Operation::on_copy_start(connection, direction);
    }
  }
  void on_drained() noexcept override { progress(); }
  void on_end(Connection&) noexcept override {
    ended_ = true;
    progress();
  }
  void on_lost(const std::string& reason) noexcept override {
    lost_ = std::make_exception_ptr(ConnectionLost(reason, true));
    ended_ = true;
    progress();
  }
  void on_cancel() noexcept override {
    waiting_ = false;
    mark_cancelled();
    wake();
  }

  static constexpr std::size_t kEnough = 256 * 1024;
  Connection& connection_;
  std::exception_ptr lost_;
  Until until_ = Until::wanted;
  bool waiting_ = false;
  bool wanted_ = false;
  bool ended_ = false;
};

template <class Next>
Task<std::uint64_t> run_copy_in(Connection& connection, std::string sql, Next next) {
  CopyIn copy(connection);
  if (statement_observer != nullptr) statement_observer->on_statement(nullptr, sql);
  connection.submit_simple(copy, sql);
  connection.set_drain(&copy);
  std::exception_ptr error;
  try {
    co_await copy.step(CopyIn::Until::wanted);
    while (!copy.ended()) {
      if (!co_await next()) break;
      co_await copy.step(CopyIn::Until::drained);
    }
  } catch (...) {
    error = std::current_exception();
  }
  connection.set_drain(nullptr);
  if (!copy.ended()) {
    if (error) {
      connection.copy_fail("the program gave up");
    } else {
      connection.copy_done();
    }
    co_await copy.step(CopyIn::Until::ended);
  }
  if (error) std::rethrow_exception(error);
  copy.rethrow();
  co_return copy.affected;
}

class CopyOut final : public async::Waiter, public Operation {
 public:
  CopyOut(Connection& connection, std::string_view sql, ByteStream& stream)
      : connection_(connection), sql_(sql), stream_(stream) {}
  ~CopyOut() = default;
  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    suspend(handle, async::Cancellable::no);
    if (statement_observer != nullptr) statement_observer->on_statement(nullptr, sql_);
    connection_.submit_simple(*this, sql_);
  }
  void await_resume() {
    if (error) std::rethrow_exception(make_error(std::move(*error)));
    if (lost_) std::rethrow_exception(lost_);
  }

 private:
  void on_copy_data(Connection&, std::string_view bytes) override { stream_.push(bytes); }
  void on_end(Connection&) noexcept override { wake(); }
  void on_lost(const std::string& reason) noexcept override {
    lost_ = std::make_exception_ptr(ConnectionLost(reason, true));
    wake();
  }
  void on_cancel() noexcept override {}
  Connection& connection_;
  std::string_view sql_;
  ByteStream& stream_;
  std::exception_ptr lost_;
};

}  // namespace

std::string_view select_of(std::string_view table, std::span<const std::string_view> columns) {
  static std::mutex mutex;
  static auto* kept = new std::set<std::string, std::less<>>;
  const std::lock_guard lock(mutex);
  return *kept->insert(fmt::format("select {} from {}", list_of(columns), table)).first;
}

std::string copy_sql_of(std::string_view table, std::span<const std::string_view> columns) {
  return fmt::format("copy {} ({}) from stdin (format binary)", table, list_of(columns));
}

Task<std::uint64_t> copy_rows(Connection& connection, const Statement& statement, std::string copy_sql,
                              Generator<Params> rows) {
  Description description(connection, statement.sql());
  co_await description;
  if (description.error) std::rethrow_exception(make_error(std::move(*description.error)));
  const auto unknown = unknown_types(connection.types(), {}, description.fields);
  if (!unknown.empty()) {
    const std::string sql = type_lookup_sql(unknown);
    for (const auto& row : co_await TextQuery(connection, sql)) add_type(connection.types(), row);
  }
  std::vector<Oid> types;
  for (const wire::Field& field : description.fields) types.push_back(field.type);

  // https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
  Buffer buffer;
  buffer.append(std::string_view("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19));
  bool more = true;
  const auto next = [&]() -> Task<bool> {
    if (!more) co_return false;
    while (more && buffer.size() < 32 * 1024) {
      const auto row = co_await rows.next();
      if (!row) {
        more = false;
        wire::put<std::int16_t>(buffer, -1);
        break;
      }
      write_params(buffer, connection.types(), types.data(), types.size(), *row);
    }
    connection.copy_data(buffer.view());
    buffer.clear();
    co_return true;
  };
  co_return co_await run_copy_in(connection, std::move(copy_sql), [&] { return next(); });
}

Task<std::uint64_t> copy_bytes(Connection& connection, std::string sql, Generator<std::string> chunks) {
  const auto next = [&]() -> Task<bool> {
    const auto chunk = co_await chunks.next();
    if (chunk) connection.copy_data(*chunk);
    co_return chunk.has_value();
  };
  co_return co_await run_copy_in(connection, std::move(sql), [&] { return next(); });
}

void StreamState::abandon() noexcept {
  if (abandoned_) return;
  abandoned_ = true;
  if (ended_ || connection_ == nullptr) return;
  connection_->pause(false);
  if (lease_) connection_->request_cancel();
}

void StreamState::end(std::exception_ptr error) noexcept {
  error_ = std::move(error);
  ended_ = true;
  lease_ = Lease{};
  wake();
}

Task<void> drive_rows(std::shared_ptr<StreamState> state, const Statement& statement, Params params) {
  std::exception_ptr error;
  try {
    co_await Execution(state->connection(), statement, std::move(params), state.get());
  } catch (...) {
    error = std::current_exception();
  }
  state->end(std::move(error));
}

Task<void> drive_copy_out(std::shared_ptr<ByteStream> state, std::string sql) {
  std::exception_ptr error;
  try {
    co_await CopyOut(state->connection(), sql, *state);
  } catch (...) {
    error = std::current_exception();
  }
  state->end(std::move(error));
}

}  // namespace ashlar::pg::detail
