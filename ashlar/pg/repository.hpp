// Repository: the statements that every table needs, from its declaration.
//
//   inline const pg::Table<Book, "books", pg::primary_key{"id"}, pg::identity{"id"}, pg::version{"version"},
//                          pg::soft_delete{"deleted_at"}> book_table;
//   inline const pg::Repository books{book_table};
//
//   Book book = co_await books.get(db, id);                       // pg::NoRow, 404
//   book = co_await books.insert(db, NewBook{.title = "Walls"});  // what it does not name, the server gives
//   book = co_await books.update(tx, book);                       // pg::StaleVersion, 409: somebody was faster
//   co_await lines.attach<"book_id">(db, many, &Book::id, &Book::lines);  // one statement for all parents
//
// There is no session and no identity map: a row is a value, a write is a statement, and a transaction is the unit of
// work. The statements that a program uses are put together once from names of the declaration, registered as queries
// are, and compared with the schema by start-up and `check`; one that nobody calls is not there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/pg/detail/row_statement.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/listing.hpp>
#include <ashlar/pg/table.hpp>
#include <ashlar/pg/transaction.hpp>

namespace ashlar::pg {

/// The row is there, but in another version than the one that was to be changed: somebody was faster. 409; 412 when the
/// client had named the version itself (see Expected).
class StaleVersion : public Error {
 public:
  StaleVersion(ErrorKind kind, std::int64_t expected, std::int64_t found);
  [[nodiscard]] std::int64_t expected() const noexcept { return expected_; }
  [[nodiscard]] std::int64_t found() const noexcept { return found_; }

 private:
  std::int64_t expected_, found_;
};

/// Who says which version is to be changed: the program, from what it has read, or the client, by If-Match.
enum class Expected : std::uint8_t { by_program, by_client };

/// All functions: the statement runs on a Db or in a Tx. What is passed is encoded before they return, but for what
/// attach() fills. Rows that were deleted softly are seen by restore() and purge() alone. They throw what Executor's
/// do, and what is said here.
template <class T, class Keys = detail::key_types_t<T>>
class Repository;

template <class T, class... K>
class Repository<T, schema::detail::TypeList<K...>> {
  static_assert(sizeof...(K) > 0, "a repository needs the primary key of its table: pg::primary_key{\"id\"}");
  using Sets = detail::RowSets<T>;
  template <detail::RowVerb Verb, class S = typename T::Row, FixedString... Columns>
  static const detail::RowStatement& statement() noexcept {
    return detail::row_statement<T, Verb, S, Columns...>;
  }

 public:
  using Row = typename T::Row;
  explicit(false) Repository(const T&) noexcept {}

  // ---- one row

  /// Throws NoRow (404).
  [[nodiscard]] Task<Row> get(Executor& db, const K&... key) const {
    return run<detail::OneSink<Row>>(db, statement<detail::RowVerb::get>(), encode(key...));
  }
  [[nodiscard]] Task<std::optional<Row>> find(Executor& db, const K&... key) const {
    return run<detail::MaybeSink<Row>>(db, statement<detail::RowVerb::get>(), encode(key...));
  }
  /// As get(), and nobody else changes the row, nor locks it, before the transaction has ended.
  [[nodiscard]] Task<Row> lock(Tx& tx, const K&... key) const {
    return run<detail::OneSink<Row>>(tx, statement<detail::RowVerb::lock>(), encode(key...));
  }
  [[nodiscard]] Task<bool> exists(Executor& db, const K&... key) const {
    return run<detail::OneSink<bool>>(db, statement<detail::RowVerb::exists>(), encode(key...));
  }
  /// By other columns that tell rows apart: `find_by<"isbn">(db, isbn)`. More than one row: TooManyRows.
  template <FixedString... Columns>
  [[nodiscard]] Task<std::optional<Row>> find_by(Executor& db, const detail::column_t<T, Columns>&... values) const {
    return run<detail::MaybeSink<Row>>(db, statement<detail::RowVerb::by, Row, Columns...>(), encode(values...));
  }
  template <FixedString... Columns>
  [[nodiscard]] Task<Row> get_by(Executor& db, const detail::column_t<T, Columns>&... values) const {
    return run<detail::OneSink<Row>>(db, statement<detail::RowVerb::by, Row, Columns...>(), encode(values...));
  }

  // ---- several rows

  /// Those of these keys that are there, by key; the keys may be in any order.
  [[nodiscard]] Task<std::vector<Row>> all(Executor& db, const std::vector<K>&... keys) const
    requires(sizeof...(K) == 1)
  {
    return run<detail::AllSink<Row>>(db, statement<detail::RowVerb::keys>(), encode(keys...));
  }
  /// All rows with these values, by key: `all_by<"author_id">(db, ann)`. Where there may be many, page() or after().
  template <FixedString... Columns>
  [[nodiscard]] Task<std::vector<Row>> all_by(Executor& db, const detail::column_t<T, Columns>&... values) const {
    return run<detail::AllSink<Row>>(db, statement<detail::RowVerb::by, Row, Columns...>(), encode(values...));
  }
  /// The rows of many parents by one statement, by parent and key: `all_in<"book_id">(db, ids)`.
  template <FixedString Column>
  [[nodiscard]] Task<std::vector<Row>> all_in(Executor& db, const std::vector<detail::column_t<T, Column>>& any) const {
    return run<detail::AllSink<Row>>(db, statement<detail::RowVerb::in, Row, Column>(), encode(any));
  }
  /// Appends to each parent its rows, all by one statement: `lines.attach<"book_id">(db, books, &Book::id,
  /// &Book::lines)`. The parents live until it has ended.
  template <FixedString Column, class P, class Id>
  [[nodiscard]] Task<void> attach(Executor& db, std::vector<P>& parents, Id P::* id,
                                  std::vector<Row> P::* children) const {
    using Value = detail::column_t<T, Column>;
    std::multimap<Value, P*> by_id;
    std::vector<Value> ids;
    for (P& parent : parents) {
      if (!by_id.contains(parent.*id)) ids.push_back(parent.*id);
      by_id.emplace(parent.*id, &parent);
    }
    if (ids.empty()) co_return;
    std::vector<Row> rows = co_await all_in<Column>(db, ids);
    for (Row& row : rows) {
      const Value* const value = detail::value_of<T, Column>(row);
      auto [at, end] = by_id.equal_range(*value);
      while (at != end) {
        auto& list = at->second->*children;
        if (++at == end) {
          list.push_back(std::move(row));
        } else {
          list.push_back(row);
        }
      }
    }
  }
  [[nodiscard]] Task<std::int64_t> count(Executor& db) const {
    return run<detail::OneSink<std::int64_t>>(db, statement<detail::RowVerb::count>(), {});
  }

  // ---- lists that clients filter, sort and page through; see listing.hpp

  template <class Model>
  [[nodiscard]] Task<Slice<Row>> page(Executor& db, const Model& query) const {
    return detail::row_listing<T, Model>.page(db, query);
  }
  template <class Model>
  [[nodiscard]] Task<KeysetSlice<Row>> after(Executor& db, const Model& query,
                                             const std::optional<std::string>& position) const {
    return detail::row_listing<T, Model>.after(db, query, position);
  }

  // ---- writing. S is the row's struct, or any other whose members are columns of the table. All give the row as it is
  // ---- in the database now.

  /// The server gives identity columns and what S does not name; a version begins with 1.
  template <class S>
  [[nodiscard]] Task<Row> insert(Executor& db, const S& row) const {
    static_assert(Sets::template kCanInsert<S>,
                  "an insert takes a struct whose members are columns of the table, and not what the server gives: "
                  "an identity, the version, when a row was deleted");
    const auto& to_run = statement<detail::RowVerb::insert, S>();
    return run<detail::OneSink<Row>>(db, to_run, detail::encode_row(to_run, &row));
  }
  /// By one statement, all or nothing, in this order; at most kMostRows (Invalid). For more: Executor::copy_in.
  template <class S>
  [[nodiscard]] Task<std::vector<Row>> insert_all(Executor& db, const std::vector<S>& rows) const {
    static_assert(Sets::template kCanInsert<S>,
                  "an insert takes a struct whose members are columns of the table, and not what the server gives: "
                  "an identity, the version, when a row was deleted");
    static_assert(detail::kNoArrays<S>, "a column that is an array cannot be inserted many at once: use copy_in");
    return write_all<detail::RowVerb::insert_all, S>(db, rows);
  }
  /// Inserts the row, or gives the one with this key its values. The key is the primary one, or columns with a unique
  /// constraint: `upsert<"isbn">(db, book)`. A row that was deleted softly is back.
  template <FixedString... Unique, class S>
  [[nodiscard]] Task<Row> upsert(Executor& db, const S& row) const {
    static_assert(Sets::template kCanUpsert<S, Unique...>,
                  "an upsert needs its key and something else in the struct; a key that the server gives (identity) "
                  "meets no row: name unique columns, upsert<\"isbn\">(db, row)");
    const auto& to_run = statement<detail::RowVerb::upsert, S, Unique...>();
    return run<detail::OneSink<Row>>(db, to_run, detail::encode_row(to_run, &row));
  }
  /// No key twice in `rows`.
  template <FixedString... Unique, class S>
  [[nodiscard]] Task<std::vector<Row>> upsert_all(Executor& db, const std::vector<S>& rows) const {
    static_assert(Sets::template kCanUpsert<S, Unique...>,
                  "an upsert needs its key and something else in the struct; a key that the server gives (identity) "
                  "meets no row: name unique columns, upsert_all<\"isbn\">(db, rows)");
    static_assert(detail::kNoArrays<S>, "a column that is an array cannot be written many at once");
    return write_all<detail::RowVerb::upsert_all, S, Unique...>(db, rows);
  }
  /// Writes the members of S into the row with its key; with a version, only if the row still has that of S. Throws
  /// NoRow, StaleVersion.
  template <class S>
  [[nodiscard]] Task<Row> update(Executor& db, const S& row, Expected expected = Expected::by_program) const {
    static_assert(Sets::template kCanUpdate<S>,
                  "an update needs the primary key, the version if the table has one, and something else in the "
                  "struct, all of them columns of the table");
    const auto& to_run = statement<detail::RowVerb::update, S>();
    return changed(db, to_run, detail::encode_row(to_run, &row), missing<S>(row, expected));
  }

  // ---- deleting

  /// Whatever its version. Throws NoRow.
  [[nodiscard]] Task<void> remove(Executor& db, const K&... key) const {
    return removed(db, statement<detail::RowVerb::remove>(), encode(key...), {});
  }
  /// Only if it still has this version. Throws NoRow, StaleVersion.
  [[nodiscard]] Task<void> remove(Executor& db, const Row& row, Expected expected = Expected::by_program) const
    requires(T::kVersion.has_value())
  {
    const auto& to_run = statement<detail::RowVerb::remove_version>();
    return removed(db, to_run, detail::encode_row(to_run, &row), missing<Row>(row, expected));
  }
  /// Brings back what was deleted softly. Throws NoRow.
  [[nodiscard]] Task<Row> restore(Executor& db, const K&... key) const
    requires(T::kSoftDelete.has_value())
  {
    return run<detail::OneSink<Row>>(db, statement<detail::RowVerb::restore>(), encode(key...));
  }
  /// Deletes for good what was deleted softly before that time, at most `limit` rows; gives their number.
  [[nodiscard]] Task<std::uint64_t> purge(Executor& db, DateTime before, std::int64_t limit = 1000) const
    requires(T::kSoftDelete.has_value())
  {
    return run<detail::ExecSink>(db, statement<detail::RowVerb::purge>(), encode(before, limit));
  }

  static constexpr std::size_t kMostRows = 100'000;

 private:
  template <class Sink>
  static Task<typename Sink::Result> run(Executor& db, const Statement& to_run, Params params) {
    return detail::RowRunner::go<Sink>(db, to_run, std::move(params));
  }
  template <class... A>
  static Params encode(const A&... values) {
    Params params;
    (encode_value(params, values), ...);
    return params;
  }
  template <detail::RowVerb Verb, class S, FixedString... Columns>
  static Task<std::vector<Row>> write_all(Executor& db, const std::vector<S>& rows) {
    const auto& to_run = statement<Verb, S, Columns...>();
    detail::check_row_count(to_run, rows.size(), kMostRows);
    return written(db, to_run, detail::encode_rows(to_run, rows.data(), rows.size(), sizeof(S)), rows.empty());
  }
  static Task<std::vector<Row>> written(Executor& db, const Statement& to_run, Params params, bool nothing) {
    if (nothing) co_return std::vector<Row>{};
    co_return co_await run<detail::AllSink<Row>>(db, to_run, std::move(params));
  }
  // What is asked for when nothing was changed.
  template <class S>
  static detail::MissingRow missing(const S& row, Expected expected) {
    if constexpr (T::kVersion) {
      const auto& to_run = statement<detail::RowVerb::version, S>();
      return {&to_run, detail::encode_row(to_run, &row), detail::version_of<T>(row),
              expected == Expected::by_client ? ErrorKind::precondition_failed : ErrorKind::conflict};
    } else {
      return {};
    }
  }
  static Task<Row> changed(Executor& db, const Statement& to_run, Params params, detail::MissingRow missing) {
    auto row = co_await run<detail::MaybeSink<Row>>(db, to_run, std::move(params));
    if (!row) co_await detail::explain_missing(db, std::move(missing));
    co_return std::move(*row);
  }
  static Task<void> removed(Executor& db, const Statement& to_run, Params params, detail::MissingRow missing) {
    if (co_await run<detail::ExecSink>(db, to_run, std::move(params)) == 0)
      co_await detail::explain_missing(db, std::move(missing));
  }
};

template <class R, FixedString Name, auto... Rules>
Repository(const Table<R, Name, Rules...>&) -> Repository<Table<R, Name, Rules...>>;

}  // namespace ashlar::pg
