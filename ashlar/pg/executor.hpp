// Executor: what runs queries, be it a Db (each query by itself) or a Tx (inside a transaction). Take a `pg::Executor&`
// in a function that should work in both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/copy.hpp>
#include <ashlar/pg/pool.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/pg/stream.hpp>

namespace ashlar::pg {

namespace detail {

struct Target {
  Pool* pool = nullptr;
  Connection* connection = nullptr;
};

[[noreturn]] void throw_no_row(const Statement& statement);
[[noreturn]] void throw_too_many(const Statement& statement);

template <class R>
class OneSink final : public RowSink {
 public:
  using Result = R;
  Result finish(const Statement& statement, std::uint64_t) {
    if (!row_) throw_no_row(statement);
    if (many_) throw_too_many(statement);
    return std::move(*row_);
  }

 private:
  void on_row(RowReader& in) override {
    if (row_) {
      many_ = true;
    } else {
      read_row(in, row_.emplace());
    }
  }
  std::optional<R> row_;
  bool many_ = false;
};

template <class R>
class MaybeSink final : public RowSink {
 public:
  using Result = std::optional<R>;
  Result finish(const Statement& statement, std::uint64_t) {
    if (many_) throw_too_many(statement);
    return std::move(row_);
  }

 private:
  void on_row(RowReader& in) override {
    if (row_) {
      many_ = true;
    } else {
      read_row(in, row_.emplace());
    }
  }
  std::optional<R> row_;
  bool many_ = false;
};

template <class R>
class AllSink final : public RowSink {
 public:
  using Result = std::vector<R>;
  Result finish(const Statement&, std::uint64_t) { return std::move(rows_); }

 private:
  void on_row(RowReader& in) override {
    // Growing from one by doubling moves the first rows over and over.
    if (rows_.capacity() == 0) rows_.reserve(std::clamp<std::size_t>(4096 / sizeof(R), 1, 32));
    if constexpr (std::is_same_v<R, bool>) {  // a vector of them has no place of its own for each
      bool value = false;
      read_row(in, value);
      rows_.push_back(value);
    } else {
      read_row(in, rows_.emplace_back());
    }
  }
  std::vector<R> rows_;
};

class ExecSink final : public RowSink {
 public:
  using Result = std::uint64_t;
  Result finish(const Statement&, std::uint64_t affected) const noexcept { return affected; }

 private:
  void on_row(RowReader&) override {}
};

}  // namespace detail

/// Each function encodes its arguments at once: nothing that is passed needs to live longer than the call. The query
/// must live until the task has ended; queries are constants.
///
/// All throw: the errors of error.hpp by SQLSTATE; QueryMismatch when the query does not fit its types; BadArgument
/// when a value does not fit its parameter; ConnectionLost, PoolExhausted (503); Cancelled, DeadlineExceeded. A
/// cancelled query on a shared connection runs to its end on the server, its rows are dropped.
class Executor {
 public:
  /// Exactly one row. Throws NoRow (404) or TooManyRows.
  template <class R, class... A>
  [[nodiscard]] Task<R> one(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::OneSink<R>>(*this, query, encode<A...>(arguments...));
  }
  /// One row or none. Throws TooManyRows.
  template <class R, class... A>
  [[nodiscard]] Task<std::optional<R>> maybe(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::MaybeSink<R>>(*this, query, encode<A...>(arguments...));
  }
  template <class R, class... A>
  [[nodiscard]] Task<std::vector<R>> all(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::AllSink<R>>(*this, query, encode<A...>(arguments...));
  }
  /// The number of rows affected; rows that come back are dropped.
  template <class R, class... A>
  [[nodiscard]] Task<std::uint64_t> exec(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::ExecSink>(*this, query, encode<A...>(arguments...));
  }

  /// Rows one at a time, for results that should not be in memory at once: `while (auto row = co_await rows.next())`.
  /// On a Db it takes a connection of its own until the end, or until the generator is destroyed. A slow consumer slows
  /// the server down; statement_timeout counts that time too.
  template <class R, class... A>
  [[nodiscard]] Generator<R> stream(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return stream_rows<R>(*this, query, encode<A...>(arguments...));
  }

  /// Copies rows into a table, in binary: the fastest way in. All or nothing; gives their number. From a vector, a view
  /// or a Generator of rows, or a function `Task<void>(pg::CopyRows<Row>&)` that adds them: then they are never all in
  /// memory, and members may be a std::string_view. A source that throws ends the COPY, and leaves the connection, if
  /// not a transaction, as good as it was. Of what the server refuses, ErrorFields::context names the row.
  template <class Row, class Source>
  [[nodiscard]] Task<std::uint64_t> copy_in(const CopyInto<Row>& into, Source source) {
    return copy_from(*this, into, detail::copy_sql_of(into.table(), schema::kMemberNames<Row>),
                     detail::RowSourceOf<Row, Source>(std::move(source)));
  }
  template <class Row>
  [[nodiscard]] Task<std::uint64_t> copy_in(const CopyInto<Row>& into, std::vector<Row> rows) {
    return copy_from(*this, into, detail::copy_sql_of(into.table(), schema::kMemberNames<Row>),
                     detail::RowSourceOf<Row, std::vector<Row>>(std::move(rows)));
  }
  /// `copy … from stdin` in the format its SQL says, for example a CSV file in chunks of any size.
  [[nodiscard]] Task<std::uint64_t> copy_in(SqlLiteral copy_from_stdin, Generator<std::string> chunks);
  /// `copy … to stdout`: the bytes as they come.
  [[nodiscard]] Generator<std::string> copy_out(SqlLiteral copy_to_stdout);

  /// Wakes listeners of the channel when the transaction commits. The payload has at most 7999 bytes. Commits that
  /// notify wait for each other on the whole server: send a hint, not every row.
  [[nodiscard]] Task<void> notify(std::string channel, std::string payload = {});

 protected:
  ~Executor() = default;
  virtual detail::Target target() = 0;

  template <class R>
  static Generator<R> stream_rows(Executor& self, const Statement& statement, Params params) {
    auto state = std::make_shared<detail::RowStream<R>>();
    co_await use(self, *state);
    state->connection().background().start(detail::drive_rows(state, statement, std::move(params)));
    auto rows = detail::items_of<detail::RowStream<R>, R>(state);
    while (auto row = co_await rows.next()) co_yield std::move(*row);
  }
  /// On a connection of its own.
  static Task<std::uint64_t> run_alone(Pool& pool, const Statement& statement, Params params, detail::RowSink& sink);
  static Task<void> use(Executor& self, detail::StreamState& state);
  template <class Source>
  static Task<std::uint64_t> copy_from(Executor& self, const Statement& statement, std::string sql, Source source) {
    co_return co_await copy_source(self, statement, std::move(sql), source);
  }
  static Task<std::uint64_t> copy_source(Executor& self, const Statement& statement, std::string sql,
                                         detail::RowSource& source);
  static Task<std::uint64_t> copy_raw(Executor& self, std::string sql, Generator<std::string> chunks);
  static Generator<std::string> copy_out_of(Executor& self, std::string sql);

  template <class... A>
  static Params encode(const A&... arguments) {
    Params params;
    (encode_value(params, static_cast<const std::remove_cvref_t<A>&>(arguments)), ...);
    return params;
  }

  template <class Sink>
  static Task<typename Sink::Result> run(Executor& self, const Statement& statement, Params params) {
    Sink sink;
    const detail::Target target = self.target();
    std::uint64_t affected = 0;
    if (target.connection != nullptr) {
      affected = co_await detail::Execution(*target.connection, statement, std::move(params), &sink);
    } else if (!statement.options().slow && !target.pool->sandboxed()) [[likely]] {
      affected = co_await detail::Execution(*target.pool, statement, std::move(params), &sink);
    } else {
      affected = co_await run_alone(*target.pool, statement, std::move(params), sink);
    }
    co_return sink.finish(statement, affected);
  }
};

}  // namespace ashlar::pg
