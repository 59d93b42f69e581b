// Listing<Row(Args...), Model, Key...>: a list that clients filter, sort and page through, from one SQL constant.
//
//   inline const pg::Listing<Product(std::int64_t), ProductList, "id"> products{
//       "select id, name, price, created_at from products where shop = $1"};
//
//   co_await products.page(db, query, shop);                // by limit and offset, with the number of all
//   co_await products.after(db, query, position, shop);     // by keyset: any page costs the same
//
// Model (schema/filter.hpp) says what may be asked. What runs is put together from this constant, the names of Row's
// members and the comparisons of FilterOp; what a client sends goes through parameters alone. Start-up and `check`
// compare the widest of all these statements, with every filter and every order in it, with the live schema.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/schema/filter.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::pg {

/// A part of a list, and how many there are in all.
template <class R>
struct Slice {
  std::vector<R> items;
  std::int64_t total = 0;
  std::int64_t limit = 0;
  std::int64_t offset = 0;
};

/// A part of a list, and the positions of those beside it; nullopt: there is none. A position is not for clients as it
/// is: it holds values of the row (see Cursors of app).
template <class R>
struct KeysetSlice {
  std::vector<R> items;
  std::optional<std::string> next, previous;
};

/// A position that is none of this list, or of another order.
class BadPosition : public Invalid {
 public:
  using Invalid::Invalid;
};

namespace detail {

struct ListColumn {
  std::string_view name;
  const schema::TypeInfo* type = nullptr;
  std::uint32_t offset = 0;
  bool nullable = false;
  bool is_value = false;  ///< one column, not a struct of several
  bool (*encode_json)(Params&, std::string_view json) = nullptr;
  ParameterSpec parameter{};
};

/// A comparison that the model may ask for.
struct ListCondition {
  std::uint8_t column = 0;
  FilterOp op = FilterOp::eq;
  std::uint32_t offset = 0;  ///< of its value, from the model
  bool (*is_set)(const void* at) = nullptr;
  void (*encode)(Params&, const void* at) = nullptr;  ///< of `null`: tells nothing, see is_set
  ParameterSpec parameter{};
};

struct ListSpec {
  std::span<const ListColumn> columns;
  std::span<const ListCondition> conditions;
  std::span<const std::uint8_t> sorts;  ///< columns of SortBy's fields
  std::span<const std::uint8_t> key;    ///< columns that tell rows apart
  void (*verify_row)(RowVerifier&) = nullptr;
  std::span<const ParameterSpec> arguments;
  bool has_offset = false, has_cursor = false;
};

/// One statement of the list.
class ListStatement final : public Statement {
 public:
  ListStatement(std::string_view sql, const StatementSpec& spec, QueryOptions options, std::source_location where,
                bool registered)
      : Statement(sql, spec, options, where, registered ? Registered::yes : Registered::no) {}
};

struct ListShape;

/// What is to be run: the statement, kept or of its own, and its arguments.
struct ListQuery {
  const Statement* statement = nullptr;
  std::shared_ptr<const ListShape> owner;  ///< of a statement for one run
  Params params;
};

enum class ListPart : std::uint8_t { rows, count };

/// Everything about a list that does not depend on its types. Lives for ever, as its statements do.
class ListCore {
 public:
  ListCore(std::string_view sql, const ListSpec& spec, QueryOptions options, std::source_location where);

  struct Asked {
    const void* model = nullptr;
    std::span<const SortKey> sort;
    std::int64_t limit = 0;
    std::int64_t offset = 0;
    const std::string* position = nullptr;  ///< after() alone
    bool keyset = false;
  };
  /// `params` holds the arguments of the SQL. Throws BadPosition.
  ListQuery make(ListPart part, const Asked& asked, Params params) const;
  /// Whether the rows come in reverse.
  [[nodiscard]] static bool is_backward(const std::string* position);
  /// The position of a row, for what comes after it (or before).
  [[nodiscard]] std::string position_of(const void* row, std::span<const SortKey> sort, bool backward) const;

 private:
  struct Shapes;
  std::string_view sql_;
  const ListSpec& spec_;
  QueryOptions options_;
  std::source_location where_;
  Shapes* shapes_;
};

/// Never freed, and always reachable: statements are kept by address.
ListCore& make_list_core(std::string_view sql, const ListSpec& spec, QueryOptions options, std::source_location where);

/// For ilike: the text anywhere, or at the beginning, with nothing in it that means something.
std::string like_pattern(std::string_view text, bool anywhere);

// ---- from types to tables

template <class M>
bool encode_from_json(Params& params, std::string_view json) {
  M value{};
  schema::Errors errors;
  if (!schema::parse_json(json, value, errors)) return false;
  encode_value(params, value);
  return true;
}

// What is compared and sorted is one column, and text in a position.
template <class V>
inline constexpr bool kIsListValue =
    HasCodec<V> &&
    (std::is_arithmetic_v<schema::unannotated_t<V>> || std::is_enum_v<schema::unannotated_t<V>> ||
     std::is_base_of_v<std::string, schema::unannotated_t<V>> || schema::kIsValue<schema::unannotated_t<V>>);

template <class M>
constexpr ListColumn list_column(std::string_view name, std::size_t offset) {
  using Value = schema::detail::filter_value_t<M>;
  ListColumn column{name,    nullptr, static_cast<std::uint32_t>(offset), schema::detail::kIsNullable<M>, false,
                    nullptr, {}};
  if constexpr (kIsListValue<Value>) {
    column.is_value = true;
    column.type = &schema::TypeOf<M>::info;
    column.encode_json = &encode_from_json<M>;
    column.parameter = {&accepts_argument<Value>, &cpp_type_name<Value>};
  }
  return column;
}
template <class R, class... M>
constexpr std::array<ListColumn, sizeof...(M)> list_columns(schema::detail::TypeList<M...>) {
  std::size_t i = 0;
  const auto next = [&i]<class One>(std::type_identity<One>) {
    const ListColumn column = list_column<One>(schema::kMemberNames<R>[i], schema::kMemberOffsets<R>[i]);
    ++i;
    return column;
  };
  return {next(std::type_identity<M>{})...};
}
template <class R>
inline constexpr auto kListColumns = list_columns<R>(schema::detail::MemberTypes<R>{});

// "createdAt" is the column of created_at.
constexpr bool same_field(std::string_view field, std::string_view member) {
  std::size_t i = 0, j = 0;
  while (true) {
    while (i < field.size() && field[i] == '_') ++i;
    while (j < member.size() && member[j] == '_') ++j;
    if (i == field.size() || j == member.size()) return i == field.size() && j == member.size();
    if (to_lower_ascii(field[i++]) != to_lower_ascii(member[j++])) return false;
  }
}
inline constexpr std::uint8_t kNoColumn = 255;
template <class R>
constexpr std::uint8_t column_of(std::string_view field) {
  const auto& columns = kListColumns<R>;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].is_value && columns[i].name == field) return static_cast<std::uint8_t>(i);
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].is_value && same_field(field, columns[i].name)) return static_cast<std::uint8_t>(i);
  }
  return kNoColumn;
}

template <class V>
struct FilterValue {  // std::optional<V>
  static bool is_set(const void* at) { return static_cast<const std::optional<V>*>(at)->has_value(); }
  static void encode(Params& params, const void* at) {
    encode_value(params, **static_cast<const std::optional<V>*>(at));
  }
};
template <class V>
struct FilterChoices {  // of std::vector<V>
  static bool is_set(const void* at) { return !static_cast<const std::vector<V>*>(at)->empty(); }
  static void encode(Params& params, const void* at) { encode_value(params, *static_cast<const std::vector<V>*>(at)); }
};
template <class Text, bool Anywhere>
struct FilterText {
  static bool is_set(const void* at) { return static_cast<const std::optional<Text>*>(at)->has_value(); }
  static void encode(Params& params, const void* at) {
    params.text(like_pattern(**static_cast<const std::optional<Text>*>(at), Anywhere));
  }
};

template <class F>
constexpr ListCondition list_condition(std::uint8_t column, FilterOp op, std::size_t offset) {
  using V = typename F::Value;
  ListCondition out{
      column,  op,      static_cast<std::uint32_t>(offset + schema::kMemberOffsets<F>[static_cast<std::size_t>(op)]),
      nullptr, nullptr, {}};
  const auto set = [&out]<class Value>(std::type_identity<Value>) {
    out.is_set = &Value::is_set;
    out.encode = &Value::encode;
  };
  if (op == FilterOp::in) {
    set(std::type_identity<FilterChoices<V>>{});
    out.parameter = {&accepts_argument<std::vector<V>>, &cpp_type_name<std::vector<V>>};
  } else if (op == FilterOp::contains || op == FilterOp::starts_with) {
    if (op == FilterOp::contains) {
      set(std::type_identity<FilterText<typename F::Text, true>>{});
    } else {
      set(std::type_identity<FilterText<typename F::Text, false>>{});
    }
    out.parameter = {&accepts_argument<std::string>, &cpp_type_name<std::string>};
  } else if (op == FilterOp::null) {
    out.is_set = &FilterValue<bool>::is_set;
  } else {
    set(std::type_identity<FilterValue<V>>{});
    out.parameter = {&accepts_argument<V>, &cpp_type_name<V>};
  }
  return out;
}

template <class M>
consteval std::size_t condition_count() {
  if constexpr (schema::kIsFilterBy<M>) {
    return schema::unannotated_t<M>::kOps.size();
  } else {
    return 0;
  }
}
template <class Model, class R, class... M>
constexpr auto list_conditions(schema::detail::TypeList<M...>) {
  std::array<ListCondition, (condition_count<M>() + ... + 0)> out{};
  std::size_t member = 0, at = 0;
  const auto add = [&]<class One>(std::type_identity<One>) {
    if constexpr (schema::kIsFilterBy<One>) {
      using F = schema::unannotated_t<One>;
      const std::uint8_t column = column_of<R>(schema::kMemberNames<Model>[member]);
      for (const FilterOp op : F::kOps)
        out[at++] = list_condition<F>(column, op, schema::kMemberOffsets<Model>[member]);
    }
    ++member;
  };
  (add(std::type_identity<M>{}), ...);
  return out;
}
template <class Model, class R>
inline constexpr auto kListConditions = list_conditions<Model, R>(schema::detail::MemberTypes<Model>{});

// The SortBy of the model; nothing: it has none.
struct NoSort {
  static constexpr std::array<std::string_view, 0> kFields{};
  [[nodiscard]] static std::span<const SortKey> keys() noexcept { return {}; }
};
template <class M>
struct SortOf {
  using type = NoSort;
};
template <class... M>
consteval auto find_sort(schema::detail::TypeList<M...>) {
  constexpr std::size_t count = (std::size_t{schema::kIsSortBy<M>} + ... + 0);
  static_assert(count <= 1, "a list has one order: one SortBy in the model");
  if constexpr (count == 0) {
    return std::type_identity<NoSort>{};
  } else {
    constexpr auto pick = []<class First, class... Rest>(auto self, schema::detail::TypeList<First, Rest...>) {
      if constexpr (schema::kIsSortBy<First>) {
        return std::type_identity<schema::unannotated_t<First>>{};
      } else {
        return self(self, schema::detail::TypeList<Rest...>{});
      }
    };
    return pick(pick, schema::detail::TypeList<M...>{});
  }
}
template <class Model>
using sort_of_t = typename decltype(find_sort(schema::detail::MemberTypes<Model>{}))::type;

template <class R, std::size_t N>
consteval std::array<std::uint8_t, N> columns_of(const std::array<std::string_view, N>& fields) {
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = column_of<R>(fields[i]);
  return out;
}
template <std::size_t N>
consteval bool all_known(const std::array<std::uint8_t, N>& columns) {
  for (const std::uint8_t one : columns) {
    if (one == kNoColumn) return false;
  }
  return true;
}
template <class R, std::size_t N>
consteval bool none_nullable(const std::array<std::uint8_t, N>& columns) {
  for (const std::uint8_t one : columns) {
    if (one != kNoColumn && kListColumns<R>[one].nullable) return false;
  }
  return true;
}
template <std::size_t N>
consteval bool all_known(const std::array<ListCondition, N>& conditions) {
  for (const ListCondition& one : conditions) {
    if (one.column == kNoColumn) return false;
  }
  return true;
}

template <class Model>
concept HasOffset = requires(const Model& m) {
  static_cast<std::int64_t>(m.limit);
  static_cast<std::int64_t>(m.offset);
};
template <class Model>
concept HasCursor = requires(const Model& m) {
  static_cast<std::int64_t>(m.limit);
  m.cursor;
};

template <class Model>
std::span<const SortKey> sort_keys(const Model& model) {
  std::span<const SortKey> keys;
  schema::visit_members(model, [&keys](const auto&... m) {
    const auto look = [&keys](const auto& one) {
      if constexpr (schema::kIsSortBy<std::remove_cvref_t<decltype(one)>>) keys = one.keys();
    };
    (look(m), ...);
  });
  return keys;
}

template <class R, class Model, class Arguments, FixedString... Key>
struct ListSpecOf;
template <class R, class Model, class... A, FixedString... Key>
struct ListSpecOf<R, Model, void(A...), Key...> {
  static constexpr auto kSorts = columns_of<R>(sort_of_t<Model>::kFields);
  static constexpr auto kKey = columns_of<R>(std::array<std::string_view, sizeof...(Key)>{Key.view()...});
  static constexpr ParameterSpec kArguments[sizeof...(A) + 1] = {{&accepts_argument<A>, &cpp_type_name<A>}..., {}};
  static constexpr ListSpec kSpec{kListColumns<R>, kListConditions<Model, R>,  kSorts,           kKey,
                                  &verify_row<R>,  {kArguments, sizeof...(A)}, HasOffset<Model>, HasCursor<Model>};
};

// Runs statements that are no Query: the protected half of Executor.
struct ListRunner : Executor {
  template <class Sink>
  static Task<typename Sink::Result> go(Executor& db, ListQuery query) {
    co_return co_await Executor::run<Sink>(db, *query.statement, std::move(query.params));
  }
  template <class... A>
  static Params encode_all(const A&... arguments) {
    return encode_arguments<A...>(arguments...);
  }

 protected:
  ~ListRunner() = default;  // there is none: it is a way in
};

}  // namespace detail

template <class Signature, class Model, FixedString... Key>
class Listing;

/// Row: a struct whose members are named as the columns are. Model: what may be asked; its FilterBy members and SortBy
/// fields are named like members of Row. Key: the members that tell rows apart, each NOT NULL: the last word of every
/// order, so that no row is on two pages or on none. The SQL brings no order of its own. A constant: never destroyed
/// while anything runs.
///
/// The statements differ by what is asked; the first 64 of them are prepared once a connection, as those of Query are,
/// others for each run.
template <class R, class... A, class Model, FixedString... Key>
class Listing<R(A...), Model, Key...> {
  static_assert(schema::ListModel<Model>, "the model of a Listing is a struct with a FilterBy or a SortBy in it");
  static_assert(sizeof...(Key) > 0, "a Listing needs the members that tell rows apart: Listing<Row(), Model, \"id\">");
  using Spec = detail::ListSpecOf<R, Model, void(std::remove_cvref_t<A>...), Key...>;
  static_assert(detail::all_known(detail::kListConditions<Model, R>),
                "a FilterBy of the model is named like no member of the row that is one column");
  static_assert(detail::all_known(Spec::kSorts),
                "a field of SortBy is named like no member of the row that is one column");
  static_assert(detail::all_known(Spec::kKey) && detail::none_nullable<R>(Spec::kKey),
                "a key of a Listing is a member of the row that is one column and never NULL");

 public:
  explicit(false)
      Listing(SqlLiteral sql, QueryOptions options = {}, std::source_location where = std::source_location::current())
      : core_(&detail::make_list_core(sql.text(), Spec::kSpec, options, where)) {}

  /// The rows from `query.offset`, at most `query.limit`, and how many there are in all: two statements, sent together.
  [[nodiscard]] Task<Slice<R>> page(Executor& db, const Model& query, const std::type_identity_t<A>&... arguments) const
    requires detail::HasOffset<Model>
  {
    detail::ListCore::Asked asked{.model = &query,
                                  .sort = detail::sort_keys(query),
                                  .limit = static_cast<std::int64_t>(query.limit),
                                  .offset = static_cast<std::int64_t>(query.offset)};
    return run_page(db, core_->make(detail::ListPart::rows, asked, encode(arguments...)),
                    core_->make(detail::ListPart::count, asked, encode(arguments...)), asked.limit, asked.offset);
  }

  /// At most `query.limit` rows after a position, or before it: the first ones for nullopt. Its cost does not grow with
  /// the distance. `position` is one that a KeysetSlice of this listing named; of another order: BadPosition.
  [[nodiscard]] Task<KeysetSlice<R>> after(Executor& db, const Model& query, const std::optional<std::string>& position,
                                           const std::type_identity_t<A>&... arguments) const
    requires detail::HasCursor<Model>
  {
    static_assert(detail::none_nullable<R>(Spec::kSorts),
                  "this list is read by keyset, but a field of its SortBy may be NULL, which comes neither before nor "
                  "after anything: leave it out of SortBy, or read the list by offset");
    const auto keys = detail::sort_keys(query);
    detail::ListCore::Asked asked{.model = &query,
                                  .sort = keys,
                                  .limit = static_cast<std::int64_t>(query.limit),
                                  .position = position ? &*position : nullptr,
                                  .keyset = true};
    return run_after(db, *core_, core_->make(detail::ListPart::rows, asked, encode(arguments...)), asked.limit,
                     {keys.begin(), keys.end()}, position.has_value(), detail::ListCore::is_backward(asked.position));
  }

  /// How many rows the filters leave.
  [[nodiscard]] Task<std::int64_t> count(Executor& db, const Model& query,
                                         const std::type_identity_t<A>&... arguments) const {
    return detail::ListRunner::go<detail::OneSink<std::int64_t>>(
        db, core_->make(detail::ListPart::count, {.model = &query}, encode(arguments...)));
  }

 private:
  static Params encode(const A&... arguments) { return detail::ListRunner::encode_all<A...>(arguments...); }

  static Task<Slice<R>> run_page(Executor& db, detail::ListQuery rows, detail::ListQuery count, std::int64_t limit,
                                 std::int64_t offset) {
    auto [items, total] =
        co_await async::all(detail::ListRunner::go<detail::AllSink<R>>(db, std::move(rows)),
                            detail::ListRunner::go<detail::OneSink<std::int64_t>>(db, std::move(count)));
    co_return Slice<R>{std::move(items), total, limit, offset};
  }

  static Task<KeysetSlice<R>> run_after(Executor& db, const detail::ListCore& core, detail::ListQuery query,
                                        std::int64_t limit, std::vector<SortKey> sort, bool has_position,
                                        bool backward) {
    KeysetSlice<R> out;
    out.items = co_await detail::ListRunner::go<detail::AllSink<R>>(db, std::move(query));
    // One more row than is given says whether there is another page.
    const bool more = static_cast<std::int64_t>(out.items.size()) > limit;
    if (more) out.items.pop_back();
    if (backward) std::reverse(out.items.begin(), out.items.end());
    if (out.items.empty()) co_return out;
    if (backward || more) out.next = core.position_of(&out.items.back(), sort, false);
    if (backward ? more : has_position) out.previous = core.position_of(&out.items.front(), sort, true);
    co_return out;
  }

  const detail::ListCore* core_;
};

}  // namespace ashlar::pg
