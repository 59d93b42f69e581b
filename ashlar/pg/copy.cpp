#include <ashlar/pg/copy.hpp>

#include <fmt/format.h>

#include <algorithm>
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

BinaryRows::Form form_of_column(Oid base) {
  switch (base) {
    case oid::boolean:
      return BinaryRows::Form::boolean;
    case oid::int2:
      return BinaryRows::Form::int2;
    case oid::int4:
      return BinaryRows::Form::int4;
    case oid::int8:
      return BinaryRows::Form::int8;
    case oid::float4:
      return BinaryRows::Form::float4;
    case oid::float8:
      return BinaryRows::Form::float8;
    case oid::uuid:
      return BinaryRows::Form::uuid;
    case oid::timestamptz:
      return BinaryRows::Form::timestamptz;
    case oid::timestamp:
      return BinaryRows::Form::timestamp;
    case oid::text:
    case oid::varchar:
    case oid::bpchar:
    case oid::json:
      return BinaryRows::Form::text;
    default:
      return BinaryRows::Form::other;
  }
}

class ByteChunks final : public CopySource {
 public:
  explicit ByteChunks(Generator<std::string> chunks) noexcept : chunks_(std::move(chunks)) {}
  Task<void> feed(CopyIn& copy) override {
    while (const auto chunk = co_await chunks_.next()) {
      for (std::string_view rest = *chunk; !rest.empty();) {
        Buffer& piece = copy.piece();
        const std::string_view part = rest.substr(0, CopyIn::kPiece - std::min(piece.size(), CopyIn::kPiece - 1));
        piece.append(part);
        rest.remove_prefix(part.size());
        co_await copy.room();
      }
    }
  }

 private:
  Generator<std::string> chunks_;
};

class BinaryRowSource final : public CopySource {
 public:
  BinaryRowSource(const TypeMap& types, std::span<const wire::Field> columns, RowSource& source) noexcept
      : types_(types), columns_(columns), source_(source) {}
  Task<void> feed(CopyIn& copy) override {
    BinaryRows rows(copy, types_, columns_);
    co_await source_.feed(rows);
    rows.write_end();
  }

 private:
  const TypeMap& types_;
  std::span<const wire::Field> columns_;
  RowSource& source_;
};

// The server sends a message a row. What has not been taken yet gets the next one behind it: nothing waits for more.
class CopyOut final : public async::Waiter, public Operation {
 public:
  /// Of rows that are joined: StreamState::kHigh of them, 4 MiB, are held for who is slow.
  static constexpr std::size_t kJoined = 16 * 1024;

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
  void on_copy_data(Connection&, std::string_view bytes) override {
    auto& waiting = stream_.items;
    if (waiting.empty() || waiting.back().size() + bytes.size() > kJoined) return stream_.push(bytes);
    waiting.back() += bytes;
  }
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
                              RowSource& source) {
  Description description(connection, statement.sql());
  co_await description;
  if (description.error) std::rethrow_exception(make_error(std::move(*description.error)));
  const auto unknown = unknown_types(connection.types(), {}, description.fields);
  if (!unknown.empty()) {
    const std::string sql = type_lookup_sql(unknown);
    for (const auto& row : co_await TextQuery(connection, sql)) add_type(connection.types(), row);
  }
  BinaryRowSource binary(connection.types(), description.fields, source);
  co_return co_await CopyIn::run(connection, &statement, std::move(copy_sql), binary);
}

Task<std::uint64_t> copy_bytes(Connection& connection, std::string sql, Generator<std::string> chunks) {
  ByteChunks source(std::move(chunks));
  co_return co_await CopyIn::run(connection, nullptr, std::move(sql), source);
}

BinaryRows::BinaryRows(CopyIn& copy, const TypeMap& types, std::span<const wire::Field> columns)
    : copy_(copy), types_(types) {
  columns_.reserve(columns.size());
  for (const wire::Field& column : columns) {
    columns_.push_back({form_of_column(types.base(column.type)), column.type, column.name});
  }
  // https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
  copy.piece().append(std::string_view("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19));
}

void BinaryRows::write_end() { wire::put<std::int16_t>(copy_.piece(), -1); }

bool BinaryRows::columns_fit(std::initializer_list<Form> members) const noexcept {
  return std::ranges::equal(columns_, members, {}, &Column::form) &&
         std::ranges::find(members, Form::other) == members.end();
}

char* BinaryRows::other(Buffer& out, const char* to, const Column& column, void (*encode)(Params&, const void*),
                        const void* member, std::size_t most) {
  out.commit(static_cast<std::size_t>(to - (out.data() + out.size())));
  try {
    scratch_.clear();
    encode(scratch_, member);
    write_param(out, types_, column.type, scratch_);
  } catch (const BadArgument& bad) {
    throw BadArgument(fmt::format("row {}, column `{}`: {}", row_, column.name, bad.message()));
  }
  return out.reserve(most);
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
