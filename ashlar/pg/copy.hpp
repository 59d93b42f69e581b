// COPY: many rows in, or out, at the speed of the wire.
//
//   inline const pg::CopyInto<NewItem> copy_items{"items"};     // columns: the struct's members, by name
//   co_await db.copy_in(copy_items, rows);
//   co_await db.copy_in(copy_items, [&](pg::CopyRows<NewItem>& out) -> Task<void> {
//     while (const auto line = co_await lines.next()) co_await out.add(parse(*line));
//   });
#pragma once

#include <concepts>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/copy_in.hpp>
#include <ashlar/pg/detail/copy_rows.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {

namespace detail {
/// "select a, b from table", kept for ever: the statement's identity.
std::string_view select_of(std::string_view table, std::span<const std::string_view> columns);

template <class Row, class... M>
void verify_written(RowVerifier& in, Pack<M...>*) {
  std::size_t i = 0;
  (in.written_column(schema::member_name<Row>(i++), &accepts_argument<M>, cpp_type_name<M>()), ...);
}
/// Each column takes its member, as a parameter takes an argument.
template <class Row>
void verify_copied(RowVerifier& in) {
  verify_written<Row>(in, MembersOf<Row>{});
  in.finish(cpp_type_name<Row>());
}
template <class Row>
struct CopySpecOf {
  static constexpr StatementSpec kSpec{&verify_copied<Row>, {}};
};
}  // namespace detail

/// A table that rows of this struct are copied into. Registered and checked as the arguments of a query are: a column
/// may be wider than its member, and may be NULL where its member never is.
template <class Row>
class CopyInto : public Statement {
 public:
  static_assert(schema::Reflected<Row>, "CopyInto takes a struct: its members are the columns");
  explicit CopyInto(SqlLiteral table, QueryOptions options = {},
                    std::source_location where = std::source_location::current())
      : Statement(detail::select_of(table.text(), schema::kMemberNames<Row>), detail::CopySpecOf<Row>::kSpec, options,
                  where, Statement::Registered::yes),
        table_(table.text()) {}
  [[nodiscard]] std::string_view table() const noexcept { return table_; }

 private:
  std::string_view table_;
};

/// Where a function puts the rows of one COPY. Lives until the function returns; for one coroutine at a time.
template <class Row>
class CopyRows {
 public:
  explicit CopyRows(detail::BinaryRows& rows) noexcept : rows_(rows) {}

  /// Writes the row at once, so that nothing it refers to must live longer, then waits while the server is behind: what
  /// is kept in memory is two pieces of 64 KiB, and the longest row. Throws BadArgument, which names row and column,
  /// when a value does not fit: the row is left out then, and others may follow. The wait throws what the server said,
  /// when it has ended the COPY; ConnectionLost; Cancelled, DeadlineExceeded.
  [[nodiscard]] detail::CopyIn::Room add(const Row& row) { return rows_.copy().room(rows_.write(row)); }

 private:
  detail::BinaryRows& rows_;
};

namespace detail {

/// COPY … FROM STDIN in binary; the types of the columns come from the statement. Gives the number of rows.
class RowSource {
 public:
  virtual Task<void> feed(BinaryRows& rows) = 0;

 protected:
  ~RowSource() = default;
};
Task<std::uint64_t> copy_rows(Connection& connection, const Statement& statement, std::string copy_sql,
                              RowSource& source);
/// COPY … FROM STDIN in whatever format the SQL says.
Task<std::uint64_t> copy_bytes(Connection& connection, std::string sql, Generator<std::string> chunks);
std::string copy_sql_of(std::string_view table, std::span<const std::string_view> columns);

template <class S, class Row>
concept FeedsRows = requires(S& source, CopyRows<Row>& rows) {
  { source(rows) } -> std::same_as<Task<void>>;
};
template <class S, class Row>
concept ListsRows = requires(S& source) {
  { *source.begin() } -> std::convertible_to<const Row&>;
  source.begin() != source.end();
};

template <class Row, class S>
class RowSourceOf final : public RowSource {
 public:
  static_assert(FeedsRows<S, Row> || std::same_as<S, Generator<Row>> || ListsRows<S, Row>,
                "copy_in takes the rows of its table: a vector, a view or a Generator of them, or a function "
                "Task<void>(pg::CopyRows<Row>&) that adds them");
  explicit RowSourceOf(S source) : source_(std::move(source)) {}

  Task<void> feed(BinaryRows& out) override {
    if constexpr (FeedsRows<S, Row>) {
      CopyRows<Row> rows(out);
      co_await source_(rows);
    } else if constexpr (std::same_as<S, Generator<Row>>) {
      while (const auto row = co_await source_.next()) co_await out.copy().room(out.write(*row));
    } else {
      const auto end = source_.end();
      for (auto at = source_.begin(); at != end;) {
        bool room = true;
        for (; at != end && room; ++at) room = out.template write<Row>(*at);
        co_await out.copy().room(room);
      }
    }
  }

 private:
  S source_;
};

}  // namespace detail
}  // namespace ashlar::pg
