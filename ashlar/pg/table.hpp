// Table<Row, "name", rules…>: which table of the database a struct is a row of. One declaration, for what is written
// out of it: repositories, and the migration that `migrate diff` proposes.
//
//   struct Product { std::int64_t id; std::int64_t shop_id; std::string sku; Decimal price; DateTime created_at; };
//
//   inline const pg::Table<Product, "products", pg::primary_key{"id"}, pg::identity{"id"}, pg::unique{"shop_id",
//   "sku"},
//                          pg::references{"shop_id", "shops(id) on delete cascade"},
//                          pg::column_type{"price", "numeric(12,2)"}, pg::default_value{"created_at", "now()"}>
//       products;
//
// Columns are the members, by name and in order; std::optional is a column that may be NULL, a struct or a list of
// structs is jsonb. A rule that names no member does not compile. Declared tables register themselves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/type_map.hpp>
#include <ashlar/pg/values.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/enums.hpp>
#include <ashlar/schema/fixed_string.hpp>
#include <ashlar/schema/reflect.hpp>
#include <ashlar/schema/rules.hpp>

namespace ashlar::pg {

enum class TableRuleKind : std::uint8_t {
  primary_key,
  unique,
  index,
  identity,
  version,
  soft_delete,
  references,
  column_type,
  default_value,
  constraint
};

namespace detail {

template <TableRuleKind Kind, std::size_t... N>
struct ColumnsRule : schema::detail::Texts<N...> {
  static constexpr TableRuleKind kKind = Kind;
  consteval ColumnsRule(const char (&... columns)[N]) : schema::detail::Texts<N...>(columns...) {}  // NOLINT
};
template <TableRuleKind Kind, std::size_t N, std::size_t M>
struct SqlRule {
  static constexpr TableRuleKind kKind = Kind;
  FixedString<N> name;
  FixedString<M> sql;
  consteval SqlRule(const char (&of)[N], const char (&text)[M]) : name(of), sql(text) {}
};

}  // namespace detail

// Rules of one or more columns.
template <std::size_t... N>
struct primary_key : detail::ColumnsRule<TableRuleKind::primary_key, N...> {
  consteval primary_key(const char (&... columns)[N])  // NOLINT: literals are meant to convert
      : detail::ColumnsRule<TableRuleKind::primary_key, N...>(columns...) {}
};
template <std::size_t... N>
struct unique : detail::ColumnsRule<TableRuleKind::unique, N...> {
  consteval unique(const char (&... columns)[N])  // NOLINT
      : detail::ColumnsRule<TableRuleKind::unique, N...>(columns...) {}
};
/// A B-tree. Other indexes are written in a migration: nothing here ever takes one away.
template <std::size_t... N>
struct index : detail::ColumnsRule<TableRuleKind::index, N...> {
  consteval index(const char (&... columns)[N])  // NOLINT
      : detail::ColumnsRule<TableRuleKind::index, N...>(columns...) {}
};

// Rules of one column.
/// `generated always as identity`: the server gives the value, an insert leaves the column out.
template <std::size_t N>
struct identity : detail::ColumnsRule<TableRuleKind::identity, N> {
  consteval identity(const char (&column)[N]) : detail::ColumnsRule<TableRuleKind::identity, N>(column) {}  // NOLINT
};
/// Counts the changes of a row, for optimistic locking. A whole number.
template <std::size_t N>
struct version : detail::ColumnsRule<TableRuleKind::version, N> {
  consteval version(const char (&column)[N]) : detail::ColumnsRule<TableRuleKind::version, N>(column) {}  // NOLINT
};
/// When the row was deleted; the row stays. A std::optional<DateTime>.
template <std::size_t N>
struct soft_delete : detail::ColumnsRule<TableRuleKind::soft_delete, N> {
  consteval soft_delete(const char (&column)[N])  // NOLINT
      : detail::ColumnsRule<TableRuleKind::soft_delete, N>(column) {}
};

// A column, and SQL as it stands in `create table`.
/// A foreign key: `references{"shop_id", "shops(id) on delete cascade"}`.
template <std::size_t N, std::size_t M>
struct references : detail::SqlRule<TableRuleKind::references, N, M> {
  consteval references(const char (&column)[N], const char (&target)[M])
      : detail::SqlRule<TableRuleKind::references, N, M>(column, target) {}
};
/// Where the type that belongs to the member's is not the one wanted: `column_type{"price", "numeric(12,2)"}`.
template <std::size_t N, std::size_t M>
struct column_type : detail::SqlRule<TableRuleKind::column_type, N, M> {
  consteval column_type(const char (&column)[N], const char (&type)[M])
      : detail::SqlRule<TableRuleKind::column_type, N, M>(column, type) {}
};
/// `default_value{"created_at", "now()"}`
template <std::size_t N, std::size_t M>
struct default_value : detail::SqlRule<TableRuleKind::default_value, N, M> {
  consteval default_value(const char (&column)[N], const char (&expression)[M])
      : detail::SqlRule<TableRuleKind::default_value, N, M>(column, expression) {}
};
/// Any other constraint, by its name: `constraint{"products_price", "check (price >= 0)"}`.
template <std::size_t N, std::size_t M>
struct constraint : detail::SqlRule<TableRuleKind::constraint, N, M> {
  consteval constraint(const char (&name)[N], const char (&definition)[M])
      : detail::SqlRule<TableRuleKind::constraint, N, M>(name, definition) {}
};

struct TableColumn {
  std::string_view name;
  std::string_view type;  ///< SQL: "bigint"; of an element, when it is an array
  bool is_array = false;
  bool nullable = false;
  bool identity = false;
  bool type_is_given = false;      ///< by column_type
  std::string_view default_value;  ///< SQL; empty: none
  /// Whether the member can hold what such a column gives.
  bool (*accepts)(const TypeMap&, Oid) = nullptr;
  std::string (*cpp_type)() = nullptr;
  std::span<const schema::Enumerator> values;  ///< of an enum

  [[nodiscard]] std::string sql_type() const { return std::string(type) + (is_array ? "[]" : ""); }
};

struct TableRule {
  TableRuleKind kind = TableRuleKind::index;
  std::string_view names;  ///< columns, each with a null at its end; the name of a constraint
  std::string_view sql;

  [[nodiscard]] std::vector<std::string_view> columns() const {
    std::vector<std::string_view> out;
    schema::detail::each_text(names, [&](std::string_view name) { out.push_back(name); });
    return out;
  }
};

struct TableSpec {
  std::string_view name;  ///< "products", "stock.products"
  std::span<const TableColumn> columns;
  std::span<const std::size_t> key;  ///< columns of the primary key, in its order; empty: none
  std::span<const TableRule> rules;
  std::string (*cpp_type)() = nullptr;
};

/// A table that the program declares, and the list of all of them.
class TableDeclaration {
 public:
  TableDeclaration(const TableDeclaration&) = delete;
  TableDeclaration& operator=(const TableDeclaration&) = delete;

  [[nodiscard]] const TableSpec& spec() const noexcept { return *spec_; }
  [[nodiscard]] const char* file() const noexcept { return where_.file_name(); }
  [[nodiscard]] std::uint32_t line() const noexcept { return where_.line(); }
  /// Calls f for every table that is declared now. Holds the registry's lock.
  static void for_each(const std::function<void(const TableDeclaration&)>& f);

 protected:
  TableDeclaration(const TableSpec& spec, std::source_location where);
  ~TableDeclaration();

 private:
  const TableSpec* spec_;
  std::source_location where_;
  TableDeclaration* next_ = nullptr;
  TableDeclaration** link_ = nullptr;
};

namespace detail {

struct SqlTypeName {
  std::string_view name;
  bool is_array = false;
};

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
struct OfOptional {
  using type = T;
};
template <class T>
struct OfOptional<std::optional<T>> {
  using type = T;
};
template <class T>
struct OfSecret {
  using type = T;
};
template <class T>
struct OfSecret<Secret<T>> {
  using type = T;
};
template <class T>
inline constexpr std::string_view kRangeName = {};
template <>
inline constexpr std::string_view kRangeName<Range<std::int32_t>> = "int4range";
template <>
inline constexpr std::string_view kRangeName<Range<std::int64_t>> = "int8range";
template <>
inline constexpr std::string_view kRangeName<Range<Decimal>> = "numrange";
template <>
inline constexpr std::string_view kRangeName<Range<LocalDateTime>> = "tsrange";
template <>
inline constexpr std::string_view kRangeName<Range<DateTime>> = "tstzrange";
template <>
inline constexpr std::string_view kRangeName<Range<Date>> = "daterange";

/// The type that a column for this member gets; a codec of your own says it as `static constexpr std::string_view
/// kSqlType`. Empty: none by itself.
template <class T>
consteval SqlTypeName sql_type_of() {
  if constexpr (requires { Codec<T>::kSqlType; }) {
    return {Codec<T>::kSqlType};
  } else if constexpr (schema::kIsAnnotated<T>) {
    return sql_type_of<schema::unannotated_t<T>>();
  } else if constexpr (!std::is_same_v<typename OfSecret<T>::type, T>) {
    return sql_type_of<typename OfSecret<T>::type>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return {"boolean"};
  } else if constexpr (std::is_enum_v<T> || std::is_same_v<T, std::string>) {
    return {"text"};
  } else if constexpr (std::is_integral_v<T>) {  // all values of the C++ type fit; 2^63 and above are refused when
                                                 // bound
    constexpr unsigned bits = sizeof(T) * 8 - (std::is_unsigned_v<T> ? 0 : 1);
    return {bits <= 15 ? "smallint" : bits <= 31 ? "integer" : "bigint"};
  } else if constexpr (std::is_floating_point_v<T>) {
    return {sizeof(T) == 4 ? "real" : "double precision"};
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return {"bytea"};
  } else if constexpr (std::is_same_v<T, Uuid>) {
    return {"uuid"};
  } else if constexpr (std::is_same_v<T, Decimal>) {
    return {"numeric"};
  } else if constexpr (std::is_same_v<T, Date>) {
    return {"date"};
  } else if constexpr (std::is_same_v<T, TimeOfDay>) {
    return {"time"};
  } else if constexpr (std::is_same_v<T, TimeWithZone>) {
    return {"timetz"};
  } else if constexpr (std::is_same_v<T, DateTime>) {
    return {"timestamptz"};
  } else if constexpr (std::is_same_v<T, LocalDateTime>) {
    return {"timestamp"};
  } else if constexpr (std::is_same_v<T, Interval> || std::is_same_v<T, Duration>) {
    return {"interval"};
  } else if constexpr (std::is_same_v<T, IpAddress>) {
    return {"inet"};
  } else if constexpr (!kRangeName<T>.empty()) {
    return {kRangeName<T>};
  } else if constexpr (kTakesJson<T> || !HasCodec<T>) {
    return {"jsonb"};
  } else if constexpr (kIsVector<T>) {
    using Inner = typename ElementCodec<typename T::value_type>::Inner;
    constexpr SqlTypeName inner = sql_type_of<Inner>();
    return inner.is_array ? SqlTypeName{} : SqlTypeName{inner.name, true};
  } else if constexpr (schema::kIsValue<T>) {
    return {"text"};
  } else {
    return {};
  }
}

template <class T>
bool accepts_column(const TypeMap& types, Oid type) {
  if constexpr (HasCodec<T>) {
    return Codec<T>::accepts(types, type);
  } else {
    type = types.base(type);
    return is_json(type) || types.kind(type) == TypeKind::composite;
  }
}

template <class M>
constexpr TableColumn table_column(std::string_view name) {
  using Plain = schema::unannotated_t<M>;
  constexpr bool nullable = kIsOptional<Plain>;
  using Value = schema::unannotated_t<typename OfOptional<Plain>::type>;
  if constexpr (!HasCodec<Value>)
    static_assert(schema::Reflected<Value> && !first_takes_json<Value>(),
                  "a member of a table's struct is one column: this one has no pg::Codec, and is no struct that goes "
                  "into one (its first member wants the jsonb for itself)");
  constexpr SqlTypeName type = sql_type_of<Value>();
  TableColumn column{.name = name,
                     .type = type.name,
                     .is_array = type.is_array,
                     .nullable = nullable,
                     .accepts = &accepts_column<Value>,
                     .cpp_type = &cpp_type_name<M>};
  if constexpr (std::is_enum_v<Value>) column.values = schema::kEnumerators<Value>;
  return column;
}

template <class Rule>
constexpr TableRule table_rule(const Rule& rule) {
  if constexpr (requires { rule.sql; }) {
    return {Rule::kKind, {rule.name.text, sizeof rule.name.text}, rule.sql.view()};
  } else {
    return {Rule::kKind, rule.view(), {}};
  }
}

constexpr std::size_t column_index(std::span<const TableColumn> columns, std::string_view name) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == name) return i;
  }
  return columns.size();
}

/// The names that a rule gives as columns are members of the struct.
constexpr bool names_columns(const TableRule& rule, std::span<const TableColumn> columns) {
  if (rule.kind == TableRuleKind::constraint) return true;
  bool all = true;
  schema::detail::each_text(rule.names, [&](std::string_view name) {
    if (column_index(columns, name) == columns.size()) all = false;
  });
  return all;
}

constexpr std::optional<std::size_t> first_of(std::span<const std::size_t> places) {
  if (places.empty()) return std::nullopt;
  return places.front();
}

constexpr bool is_whole_number(const TableColumn& column) {
  return !column.nullable && !column.is_array &&
         (column.type == "smallint" || column.type == "integer" || column.type == "bigint");
}

constexpr bool is_table_name(std::string_view name) {
  bool at_start = true;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || c == '_';
    if (!letter && (at_start || !((c >= '0' && c <= '9') || c == '.'))) return false;
    at_start = c == '.';
  }
  return !at_start;
}

// Variables and functions of their own, not members of a class: they use each other while the compiler still reads.
template <auto... Rules>
inline constexpr std::array<TableRule, sizeof...(Rules)> kTableRules{table_rule(Rules)...};

constexpr std::size_t count_rules(std::span<const TableRule> rules, TableRuleKind kind) {
  std::size_t n = 0;
  for (const TableRule& rule : rules) n += rule.kind == kind ? 1 : 0;
  return n;
}

constexpr void apply_rules(std::span<TableColumn> columns, std::span<const TableRule> rules) {
  for (const TableRule& rule : rules) {
    schema::detail::each_text(rule.names, [&](std::string_view name) {
      const std::size_t at = column_index(columns, name);
      if (at == columns.size()) return;
      if (rule.kind == TableRuleKind::identity) columns[at].identity = true;
      if (rule.kind == TableRuleKind::default_value) columns[at].default_value = rule.sql;
      if (rule.kind == TableRuleKind::column_type) {
        columns[at].type = rule.sql;
        columns[at].is_array = false;
        columns[at].type_is_given = true;
      }
    });
  }
}

template <class Row, class... M>
constexpr auto columns_of_members(Pack<M...>*) {
  std::size_t i = 0;
  return std::array<TableColumn, sizeof...(M)>{table_column<M>(schema::member_name<Row>(i++))...};
}
template <class Row, auto... Rules>
inline constexpr auto kTableColumns = [] {
  using Members = decltype(schema::visit_members(std::declval<Row&>(), [](auto&... m) {
    return static_cast<Pack<std::remove_reference_t<decltype(m)>...>*>(nullptr);
  }));
  auto columns = columns_of_members<Row>(Members{});
  apply_rules(columns, kTableRules<Rules...>);
  return columns;
}();

/// The places of the columns that rules of this kind name.
template <class Row, TableRuleKind Kind, auto... Rules>
inline constexpr auto kColumnsOfRule = [] {
  constexpr std::size_t count = [] {
    std::size_t n = 0;
    for (const TableRule& rule : kTableRules<Rules...>) {
      if (rule.kind == Kind) schema::detail::each_text(rule.names, [&](std::string_view) { ++n; });
    }
    return n;
  }();
  std::array<std::size_t, count> out{};
  std::size_t n = 0;
  for (const TableRule& rule : kTableRules<Rules...>) {
    if (rule.kind != Kind) continue;
    schema::detail::each_text(
        rule.names, [&](std::string_view name) { out[n++] = column_index(kTableColumns<Row, Rules...>, name); });
  }
  return out;
}();

}  // namespace detail

template <class R, FixedString Name, auto... Rules>
class Table final : public TableDeclaration {
  static constexpr std::span<const TableRule> kRules = detail::kTableRules<Rules...>;
  static constexpr auto& kVersions = detail::kColumnsOfRule<R, TableRuleKind::version, Rules...>;
  static constexpr auto& kSoftDeletes = detail::kColumnsOfRule<R, TableRuleKind::soft_delete, Rules...>;

 public:
  using Row = R;
  static_assert(schema::Reflected<R>, "a table's row is a struct: its members are the columns");
  static_assert(detail::is_table_name(Name.view()),
                "the name of a table is in lower case, perhaps after its schema and a dot: \"products\"");
  static_assert((detail::names_columns(detail::table_rule(Rules), detail::kTableColumns<R, Rules...>) && ...),
                "a rule names a column that is no member of the struct");
  static_assert(detail::count_rules(kRules, TableRuleKind::primary_key) <= 1,
                "a table has one primary key, of one or more columns");
  static_assert(kVersions.size() <= 1 && kSoftDeletes.size() <= 1,
                "a table has one version, and one column that says when a row was deleted");

  static constexpr std::string_view kName = Name.view();
  static constexpr auto& kColumns = detail::kTableColumns<R, Rules...>;
  /// Columns of the primary key, by their places in kColumns; empty: there is none.
  static constexpr auto& kKey = detail::kColumnsOfRule<R, TableRuleKind::primary_key, Rules...>;
  /// The place of the column that counts changes, and of the one that says when a row was deleted. nullopt: none.
  static constexpr std::optional<std::size_t> kVersion = detail::first_of(kVersions);
  static constexpr std::optional<std::size_t> kSoftDelete = detail::first_of(kSoftDeletes);
  static_assert(!kVersion || detail::is_whole_number(kColumns[kVersion.value_or(0)]),
                "the version of a row is a whole number");
  static_assert(!kSoftDelete || (kColumns[kSoftDelete.value_or(0)].nullable &&
                                 kColumns[kSoftDelete.value_or(0)].type == "timestamptz"),
                "when a row was deleted is a std::optional<DateTime>");

  static constexpr TableSpec kSpec{
      .name = kName, .columns = kColumns, .key = kKey, .rules = kRules, .cpp_type = &detail::cpp_type_name<R>};

  explicit Table(std::source_location where = std::source_location::current()) : TableDeclaration(kSpec, where) {}
};

}  // namespace ashlar::pg
