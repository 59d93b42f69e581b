// Executor: what runs queries, be it a Db (each query by itself) or a Tx (inside a transaction). Take a `pg::Executor&`
// in a function that should work in both.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/bound_query.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/copy.hpp>
#include <ashlar/pg/detail/batch.hpp>
#include <ashlar/pg/detail/row_sinks.hpp>
#include <ashlar/pg/pool.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/pg/stream.hpp>

namespace ashlar::pg {

namespace detail {

struct Target {
  Pool* pool = nullptr;
  Connection* connection = nullptr;
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
    return run<detail::OneSink<R>>(*this, query, detail::encode_arguments<A...>(arguments...));
  }
  /// One row or none. Throws TooManyRows.
  template <class R, class... A>
  [[nodiscard]] Task<std::optional<R>> maybe(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::MaybeSink<R>>(*this, query, detail::encode_arguments<A...>(arguments...));
  }
  template <class R, class... A>
  [[nodiscard]] Task<std::vector<R>> all(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::AllSink<R>>(*this, query, detail::encode_arguments<A...>(arguments...));
  }
  /// The number of rows affected; rows that come back are dropped.
  template <class R, class... A>
  [[nodiscard]] Task<std::uint64_t> exec(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return run<detail::ExecSink>(*this, query, detail::encode_arguments<A...>(arguments...));
  }

  /// Several queries in one round trip, as one transaction: all are done, or none and the error is that of the first
  /// that failed. `auto [book, reviews] = co_await db.batch(pg::one(book_by_id, id), pg::all(reviews_of_book, id));`
  /// gives their results as a tuple. Those that do not fit what was asked for, by NoRow, TooManyRows or QueryMismatch,
  /// are noticed when the server has done them all.
  ///
  /// On a Db it is repeated after a serialization failure or a deadlock, as Db::transaction is, and takes a connection
  /// of its own when a query of it is slow or there are more than 64; in a Tx it is a part of that transaction.
  template <class... S>
    requires(sizeof...(S) > 0)
  [[nodiscard]] Task<std::tuple<typename S::Result...>> batch(BoundQuery<S>... queries) {
    return run_batch_of(*this, std::tuple<BoundQuery<S>...>(std::move(queries)...));
  }
  /// The same for as many of one kind as a vector or view gives: `co_await db.batch(ids | std::views::transform([](int
  /// id) { return pg::one(book_by_id, id); }))` gives a vector of their results. Of none, it asks nobody.
  template <class S>
  [[nodiscard]] Task<std::vector<typename S::Result>> batch(std::vector<BoundQuery<S>> queries) {
    return run_batch_of(*this, std::move(queries));
  }
  template <detail::BoundQueries Queries>
  [[nodiscard]] auto batch(Queries&& queries) {  // NOLINT(*-missing-std-forward): its elements are what moves
    std::vector<std::ranges::range_value_t<Queries>> parts;
    if constexpr (std::ranges::sized_range<Queries>) parts.reserve(std::ranges::size(queries));
    for (auto&& query : queries) parts.push_back(std::forward<decltype(query)>(query));
    return run_batch_of(*this, std::move(parts));
  }

  /// Rows one at a time, for results that should not be in memory at once: `while (auto row = co_await rows.next())`.
  /// On a Db it takes a connection of its own until the end, or until the generator is destroyed. A slow consumer slows
  /// the server down; statement_timeout counts that time too.
  template <class R, class... A>
  [[nodiscard]] Generator<R> stream(const Query<R(A...)>& query, const std::type_identity_t<A>&... arguments) {
    return stream_rows<R>(*this, query, detail::encode_arguments<A...>(arguments...));
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
  static Task<void> run_batch(Executor& self, detail::BatchList& parts);
  template <class... S>
  static Task<std::tuple<typename S::Result...>> run_batch_of(Executor& self, std::tuple<BoundQuery<S>...> queries) {
    detail::BatchList parts;
    std::apply([&](auto&... query) { (parts.push_back(query), ...); }, queries);
    co_await run_batch(self, parts);
    co_return std::apply([](auto&... query) { return std::tuple<typename S::Result...>{query.finish()...}; }, queries);
  }
  template <class S>
  static Task<std::vector<typename S::Result>> run_batch_of(Executor& self, std::vector<BoundQuery<S>> queries) {
    std::vector<typename S::Result> results;
    if (queries.empty()) co_return results;
    detail::BatchList parts;
    for (auto& query : queries) parts.push_back(query);
    co_await run_batch(self, parts);
    results.reserve(queries.size());
    for (auto& query : queries) results.push_back(query.finish());
    co_return results;
  }
  template <class Source>
  static Task<std::uint64_t> copy_from(Executor& self, const Statement& statement, std::string sql, Source source) {
    co_return co_await copy_source(self, statement, std::move(sql), source);
  }
  static Task<std::uint64_t> copy_source(Executor& self, const Statement& statement, std::string sql,
                                         detail::RowSource& source);
  static Task<std::uint64_t> copy_raw(Executor& self, std::string sql, Generator<std::string> chunks);
  static Generator<std::string> copy_out_of(Executor& self, std::string sql);

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
