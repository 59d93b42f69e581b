// COPY: many rows in, or out, at the speed of the wire.
//
//   inline const pg::CopyInto<NewItem> copy_items{"items"};     // columns: the struct's members, by name
//   co_await db.copy_in(copy_items, rows);
#pragma once

#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/generator.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {

namespace detail {
/// "select a, b from table", kept for ever: the statement's identity.
std::string_view select_of(std::string_view table, std::span<const std::string_view> columns);
}  // namespace detail

/// A table that rows of this struct are copied into. Registered and checked like a query.
template <class Row>
class CopyInto : public Query<Row()> {
 public:
  static_assert(schema::Reflected<Row>, "CopyInto takes a struct: its members are the columns");
  explicit CopyInto(SqlLiteral table, QueryOptions options = {},
                    std::source_location where = std::source_location::current())
      : Query<Row()>(detail::select_of(table.text(), schema::kMemberNames<Row>), options, where,
                     Statement::Registered::yes),
        table_(table.text()) {}
  [[nodiscard]] std::string_view table() const noexcept { return table_; }

 private:
  std::string_view table_;
};

namespace detail {

/// COPY … FROM STDIN in binary; the types of the columns come from `select_sql`. Gives the number of rows.
Task<std::uint64_t> copy_rows(Connection& connection, const Statement& statement, std::string copy_sql,
                              Generator<Params> rows);
/// COPY … FROM STDIN in whatever format the SQL says.
Task<std::uint64_t> copy_bytes(Connection& connection, std::string sql, Generator<std::string> chunks);
std::string copy_sql_of(std::string_view table, std::span<const std::string_view> columns);

template <class Row>
Generator<Params> params_of(std::vector<Row> rows) {
  for (const Row& row : rows) {
    Params params;
    schema::visit_members(row, [&params](const auto&... m) { (encode_value(params, m), ...); });
    co_yield std::move(params);
  }
}
template <class Row>
Generator<Params> params_of(Generator<Row> rows) {
  while (const auto row = co_await rows.next()) {
    Params params;
    schema::visit_members(*row, [&params](const auto&... m) { (encode_value(params, m), ...); });
    co_yield std::move(params);
  }
}

}  // namespace detail
}  // namespace ashlar::pg
