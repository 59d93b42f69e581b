// Query<Row(Args...)>: a typed SQL constant.
//
//   inline const pg::Query<Article(std::string)> article_by_slug{"select id, slug, title from articles where slug =
//   $1"};
//
// Row: a struct (columns in order to members, see row.hpp), a single value, or void for statements without rows. Args:
// any types with a Codec, std::optional for NULL. Declared queries register themselves; start-up and `check` compare
// every one with the live schema.
#pragma once

#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg {

namespace detail {

template <class T>
struct Bare {
  using type = T;
};
template <class T>
struct Bare<std::optional<T>> {
  using type = T;
};

template <class T>
bool accepts_argument(const TypeMap& types, Oid type) {
  using Inner = typename Bare<T>::type;
  static_assert(HasCodec<Inner> || schema::Reflected<Inner>,
                "no pg::Codec for this argument's type: see ashlar/pg/codec.hpp");
  return pg::accepts_parameter<Inner>(types, type);
}

template <class R, class... A>
struct SpecOf {
  static constexpr ParameterSpec kParameters[sizeof...(A) + 1] = {{&accepts_argument<A>, &cpp_type_name<A>}..., {}};
  static constexpr auto row() -> void (*)(RowVerifier&) {
    if constexpr (std::is_void_v<R>) {
      return nullptr;
    } else {
      return &verify_row<R>;
    }
  }
  static constexpr StatementSpec kSpec{row(), {kParameters, sizeof...(A)}};
};

}  // namespace detail

template <class Signature>
class Query;

template <class R, class... A>
class Query<R(A...)> : public Statement {
 public:
  using Row = R;
  explicit(false)
      Query(SqlLiteral sql, QueryOptions options = {}, std::source_location where = std::source_location::current())
      : Statement(sql.text(), detail::SpecOf<R, std::remove_cvref_t<A>...>::kSpec, options, where, Registered::yes) {}

 protected:
  Query(std::string_view sql, QueryOptions options, std::source_location where, Registered registered)
      : Statement(sql, detail::SpecOf<R, std::remove_cvref_t<A>...>::kSpec, options, where, registered) {}
};

/// SQL made at run time: the caller answers for what is in it. Values still go through parameters.
struct UnsafeSql {
  std::string text;
};
[[nodiscard]] inline UnsafeSql unsafe_sql(std::string text) { return {std::move(text)}; }

/// A query of dynamic SQL. Prepared for each run (one more round trip), checked against its types when it runs.
template <class Signature>
class DynamicQuery;

template <class R, class... A>
class DynamicQuery<R(A...)> : private UnsafeSql, public Query<R(A...)> {
 public:
  explicit DynamicQuery(UnsafeSql sql, QueryOptions options = {},
                        std::source_location where = std::source_location::current())
      : UnsafeSql(std::move(sql)), Query<R(A...)>(UnsafeSql::text, options, where, Statement::Registered::no) {}
};

}  // namespace ashlar::pg
