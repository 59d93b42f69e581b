// The statements of a repository: put together from the declaration of a table and the members of a struct.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/listing.hpp>
#include <ashlar/pg/table.hpp>

namespace ashlar::pg::detail {

enum class RowVerb : std::uint8_t {
  get,
  lock,
  exists,
  keys,
  by,
  in,
  count,
  insert,
  insert_all,
  upsert,
  upsert_all,
  update,
  remove,
  remove_version,
  restore,
  purge,
  version,
};

/// A member of a struct that is a column of the table.
struct RowMember {
  std::size_t column = 0;  ///< its place in the table
  std::uint32_t offset = 0;
  void (*encode)(Params&, const void* at) = nullptr;
  ParameterSpec one{};   ///< as a parameter
  ParameterSpec many{};  ///< as a parameter that is an array of them
};

/// What its SQL, its parameters and what they are encoded from come from. `named`: columns of `by`, `in`, `upsert`.
struct RowPlan {
  RowPlan(const TableSpec& table, RowVerb verb, void (*verify)(RowVerifier&), std::span<const RowMember> members,
          std::span<const std::size_t> named);

  std::vector<RowMember> encoded;
  std::vector<ParameterSpec> parameters;
  std::string_view text;  ///< its SQL, kept for ever
  const char* label;      ///< "books.insert", kept for ever
  StatementSpec types;
};

class RowStatement final : private RowPlan, public Statement {
 public:
  RowStatement(const TableSpec& table, RowVerb verb, void (*verify)(RowVerifier&), std::span<const RowMember> members,
               std::span<const std::size_t> named)
      : RowPlan(table, verb, verify, members, named),
        Statement(text, types, {.name = label}, std::source_location::current(), Registered::yes) {}

  [[nodiscard]] std::span<const RowMember> encoded() const noexcept { return RowPlan::encoded; }
};

/// The members of a row as parameters, in the order of the statement.
Params encode_row(const RowStatement& statement, const void* row);
/// Each parameter an array of the members of all rows.
Params encode_rows(const RowStatement& statement, const void* first, std::size_t count, std::size_t stride);
/// Throws Invalid.
void check_row_count(const RowStatement& statement, std::size_t count, std::size_t most);

/// What to ask for when a statement has changed no row. Without `version`: it is not there.
struct MissingRow {
  const RowStatement* version = nullptr;
  Params params;
  std::int64_t expected = 0;
  ErrorKind kind = ErrorKind::conflict;
};
/// Throws NoRow, StaleVersion.
Task<void> explain_missing(Executor& db, MissingRow missing);

/// "books.page", kept for ever.
const char* row_list_name(std::string_view table);

struct RowRunner : Executor {
  template <class Sink>
  static Task<typename Sink::Result> go(Executor& db, const Statement& statement, Params params) {
    return Executor::run<Sink>(db, statement, std::move(params));
  }

 protected:
  ~RowRunner() = default;  // there is none: it is a way in
};

// ---- from types to tables

// The type at a place of a list, without recursion.
template <std::size_t I, class T>
struct AtPlace {};
template <class Places, class... M>
struct ByPlace;
template <std::size_t... I, class... M>
struct ByPlace<std::index_sequence<I...>, M...> : AtPlace<I, M>... {};
template <std::size_t I, class T>
std::type_identity<T> at_place(const AtPlace<I, T>&);
template <std::size_t I, class... M>
auto member_at(schema::detail::TypeList<M...>) -> decltype(at_place<I>(ByPlace<std::index_sequence_for<M...>, M...>{}));

// A value of a column, as an argument: not of std::optional, for nothing equals NULL.
template <class T, std::size_t I>
using column_at_t = schema::unannotated_t<typename Bare<schema::unannotated_t<typename decltype(member_at<I>(
    schema::detail::MemberTypes<typename T::Row>{}))::type>>::type>;

template <class T, std::size_t... I>
auto key_types(std::index_sequence<I...>) -> schema::detail::TypeList<column_at_t<T, T::kKey[I]>...>;
template <class T>
using key_types_t = decltype(key_types<T>(std::make_index_sequence<T::kKey.size()>{}));

template <class T>
consteval std::size_t place_of(std::string_view column) {
  return column_index(T::kColumns, column);
}
template <class T, FixedString Column>
consteval std::size_t known_place() {
  constexpr std::size_t place = place_of<T>(Column.view());
  static_assert(place < T::kColumns.size(), "the name is no column of the table: no member of its row is called so");
  return place;
}
template <class T, FixedString Column>
using column_t = column_at_t<T, known_place<T, Column>()>;

/// The member of a row that a column comes from; null: it is NULL.
template <class T, FixedString Column>
const column_t<T, Column>* value_of(const typename T::Row& row) {
  constexpr std::size_t place = known_place<T, Column>();
  using Member = typename decltype(member_at<place>(schema::detail::MemberTypes<typename T::Row>{}))::type;
  const auto* const member = reinterpret_cast<const Member*>(reinterpret_cast<const char*>(&row) +
                                                             schema::kMemberOffsets<typename T::Row>[place]);
  if constexpr (kIsOptional<Member>) {
    return member->has_value() ? &**member : nullptr;
  } else {
    return member;
  }
}

template <class M>
void encode_member(Params& params, const void* at) {
  encode_value(params, *static_cast<const M*>(at));
}
template <class M>
bool accepts_elements(const TypeMap& types, Oid type) {
  type = types.base(type);
  return types.kind(type) == TypeKind::array && accepts_argument<M>(types, types.element(type));
}
template <class M>
std::string elements_type_name() {
  return cpp_type_name<std::vector<M>>();
}

template <class T, class S, class... M>
constexpr auto row_members(schema::detail::TypeList<M...>) {
  std::size_t i = 0;
  const auto next = [&i]<class One>(std::type_identity<One>) {
    RowMember out{.column = column_index(T::kColumns, schema::kMemberNames<S>[i]),
                  .offset = static_cast<std::uint32_t>(schema::kMemberOffsets<S>[i]),
                  .encode = &encode_member<One>,
                  .one = {&accepts_argument<One>, &cpp_type_name<One>},
                  .many = {&accepts_elements<One>, &elements_type_name<One>}};
    ++i;
    return out;
  };
  return std::array<RowMember, sizeof...(M)>{next(std::type_identity<M>{})...};
}
template <class T, class S>
inline constexpr auto kRowMembers = row_members<T, S>(schema::detail::MemberTypes<S>{});

template <class M>
consteval bool is_array_column() {
  using Value = schema::unannotated_t<typename Bare<schema::unannotated_t<M>>::type>;
  return kIsVector<Value> && HasCodec<Value> && !kTakesJson<Value>;
}
template <class... M>
consteval bool no_arrays(schema::detail::TypeList<M...>) {
  return (!is_array_column<M>() && ...);
}
template <class S>
inline constexpr bool kNoArrays = no_arrays(schema::detail::MemberTypes<S>{});

template <class T>
constexpr std::size_t place_of_version() {
  return T::kVersion ? *T::kVersion : T::kColumns.size();
}
template <class T, class S>
std::int64_t version_of(const S& row) {
  for (const RowMember& member : kRowMembers<T, S>) {
    if (member.column != place_of_version<T>()) continue;
    // Whatever its width: a whole number.
    std::int64_t out = 0;
    schema::visit_members(row, [&](const auto&... m) {
      const auto look = [&](const auto& one) {
        if constexpr (std::is_integral_v<schema::unannotated_t<std::remove_cvref_t<decltype(one)>>>) {
          if (reinterpret_cast<const char*>(&one) - reinterpret_cast<const char*>(&row) ==
              static_cast<std::ptrdiff_t>(member.offset))
            out = static_cast<std::int64_t>(schema::unannotated(one));
        }
      };
      (look(m), ...);
    });
    return out;
  }
  return 0;
}

/// What a struct can be used for.
template <class T>
struct RowSets {
  static constexpr std::size_t kNone = T::kColumns.size();

  template <class S>
  static consteval bool has(std::size_t column) {
    for (const RowMember& member : kRowMembers<T, S>) {
      if (member.column == column) return true;
    }
    return false;
  }
  template <class S>
  static consteval bool all_columns() {
    return !has<S>(kNone);
  }
  static consteval bool server_gives(std::size_t column) {
    return T::kColumns[column].identity || T::kVersion == column || T::kSoftDelete == column;
  }
  static consteval bool in_key(std::size_t column) {
    for (const std::size_t one : T::kKey) {
      if (one == column) return true;
    }
    return false;
  }
  template <class S>
  static consteval bool can_insert() {
    if (!all_columns<S>()) return false;
    bool any = false;
    for (const RowMember& member : kRowMembers<T, S>) {
      const bool given = server_gives(member.column);
      if (given && !std::is_same_v<S, typename T::Row>) return false;  // named for nothing
      any = any || !given;
    }
    return any;
  }
  template <class S, FixedString... Unique>
  static consteval bool can_upsert() {
    if (!can_insert<S>()) return false;
    const std::array<std::size_t, sizeof...(Unique) + 1> unique{known_place<T, Unique>()..., kNone};
    const auto is_unique = [&](std::size_t column) {
      if (sizeof...(Unique) == 0) return in_key(column);
      for (const std::size_t one : unique) {
        if (one == column) return true;
      }
      return false;
    };
    bool more = false;
    for (std::size_t i = 0; i < kNone; ++i) {
      if (is_unique(i) && (!has<S>(i) || server_gives(i))) return false;
      more = more || (!is_unique(i) && !in_key(i) && has<S>(i) && !server_gives(i));
    }
    return more;
  }
  template <class S>
  static consteval bool can_update() {
    if (!all_columns<S>()) return false;
    bool more = false;
    for (std::size_t i = 0; i < kNone; ++i) {
      if ((in_key(i) || T::kVersion == i) && !has<S>(i)) return false;
      more = more || (has<S>(i) && !in_key(i) && !server_gives(i));
    }
    return more;
  }
  template <class S>
  static constexpr bool kCanInsert = can_insert<S>();
  template <class S, FixedString... Unique>
  static constexpr bool kCanUpsert = can_upsert<S, Unique...>();
  template <class S>
  static constexpr bool kCanUpdate = can_update<S>();
};

template <class T, RowVerb Verb>
constexpr auto row_verifier() -> void (*)(RowVerifier&) {
  switch (Verb) {
    case RowVerb::exists:
      return &verify_row<bool>;
    case RowVerb::count:
    case RowVerb::version:
      return &verify_row<std::int64_t>;
    case RowVerb::remove:
    case RowVerb::remove_version:
    case RowVerb::purge:
      return nullptr;
    default:
      return &verify_row<typename T::Row>;
  }
}

template <class T, FixedString... Columns>
inline constexpr std::array<std::size_t, sizeof...(Columns)> kNamedColumns{known_place<T, Columns>()...};

/// One a table, a verb and a struct; made before main(), where it is used at all.
template <class T, RowVerb Verb, class S, FixedString... Columns>
inline const RowStatement row_statement{T::kSpec, Verb, row_verifier<T, Verb>(), kRowMembers<T, S>,
                                        kNamedColumns<T, Columns...>};

// "select "a", "b" from "books" where "deleted_at" is null", for a Listing, which takes a literal.
template <class T>
struct RowsText {
  static constexpr std::string_view kAlive = " where \"";
  static constexpr std::string_view kIsNull = "\" is null";
  static consteval std::size_t length() {
    std::size_t n = std::string_view("select  from \"\"").size() + T::kName.size();
    if (T::kName.contains('.')) n += 2;
    for (const TableColumn& column : T::kColumns) n += column.name.size() + 4;
    n -= 2;
    if (T::kSoftDelete) n += kAlive.size() + T::kColumns[*T::kSoftDelete].name.size() + kIsNull.size();
    return n;
  }
  char text[length() + 1]{};

  consteval RowsText() {
    std::size_t at = 0;
    const auto add = [&](std::string_view part) {
      for (const char c : part) text[at++] = c;
    };
    add("select ");
    for (std::size_t i = 0; i < T::kColumns.size(); ++i) {
      add(i == 0 ? "\"" : ", \"");
      add(T::kColumns[i].name);
      add("\"");
    }
    add(" from \"");
    for (const char c : T::kName) add(c == '.' ? "\".\"" : std::string_view(&c, 1));
    add("\"");
    if (T::kSoftDelete) {
      add(kAlive);
      add(T::kColumns[*T::kSoftDelete].name);
      add(kIsNull);
    }
  }
};
template <class T>
inline constexpr RowsText<T> kRowsText{};

template <class T, std::size_t I>
consteval auto key_name() {
  constexpr std::string_view name = T::kColumns[T::kKey[I]].name;
  char text[name.size() + 1]{};
  for (std::size_t i = 0; i < name.size(); ++i) text[i] = name[i];
  return FixedString<name.size() + 1>(text);
}
template <class T, class Model, std::size_t... I>
auto listing_type(std::index_sequence<I...>) -> Listing<typename T::Row(), Model, key_name<T, I>()...>;

template <class T, class Model>
inline const decltype(listing_type<T, Model>(std::make_index_sequence<T::kKey.size()>{})) row_listing{
    SqlLiteral(kRowsText<T>.text), {.name = row_list_name(T::kName)}};

}  // namespace ashlar::pg::detail
