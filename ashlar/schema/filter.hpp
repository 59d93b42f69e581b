// What a client may ask of a list, as a struct: FilterBy<T> of its fields, SortBy<"field"…> of its order.
//
//   struct ProductList {
//     FilterBy<std::string> name;                                // ?name=ash, ?name__contains=a, …
//     FilterBy<Decimal, FilterOp::gte, FilterOp::lte> price;     // ?price__gte=5, and no other comparison
//     SortBy<"name", "price", "created_at"> sort = "-created_at";  // ?sort=-price,name
//     Annotated<int, ge{1}, le{100}> limit = 20;                 // any other member: one parameter, as ever
//   };
//
// It is read by ListQuery<T> (app) and becomes SQL in pg::Listing; both check their fields while they compile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/fixed_string.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar {

/// How a field is compared. On the wire `price__gte=5`; `eq` is the name alone, `in` comes once for each value.
enum class FilterOp : std::uint8_t { eq, ne, lt, lte, gt, gte, in, contains, starts_with, null };

namespace schema::detail {

/// Values of one `in`.
inline constexpr std::int64_t kMostChoices = 100;

template <class T>
inline constexpr bool kIsNullable = kIs<unannotated_t<T>, std::optional>;

template <class T>
consteval auto inner_value() {
  if constexpr (kIsNullable<T>) {
    return std::type_identity<typename unannotated_t<T>::value_type>{};
  } else {
    return std::type_identity<T>{};
  }
}
template <class T>
using filter_value_t = typename decltype(inner_value<T>())::type;

template <class T>
consteval bool is_filter_text() {
  return std::is_base_of_v<std::string, unannotated_t<filter_value_t<T>>>;
}

// What makes sense of a field when the struct does not say.
template <class T>
consteval auto usual_ops() {
  using V = unannotated_t<filter_value_t<T>>;
  using enum FilterOp;
  constexpr bool nulls = kIsNullable<T>;
  const auto list = []<std::size_t N>(const FilterOp(&ops)[N]) {
    std::array<FilterOp, N + (nulls ? 1 : 0)> all{};
    for (std::size_t i = 0; i < N; ++i) all[i] = ops[i];
    if constexpr (nulls) all[N] = null;
    return all;
  };
  if constexpr (std::is_same_v<V, bool>) {
    return list({eq});
  } else if constexpr (std::is_enum_v<V>) {
    return list({eq, ne, in});
  } else if constexpr (is_filter_text<T>()) {
    return list({eq, ne, in, contains, starts_with});
  } else {
    return list({eq, ne, lt, lte, gt, gte, in});
  }
}

template <class T, FilterOp... Ops>
consteval auto filter_ops() {
  if constexpr (sizeof...(Ops) == 0) {
    return usual_ops<T>();
  } else {
    return std::array{Ops...};
  }
}

template <std::size_t N>
consteval bool has_op(const std::array<FilterOp, N>& ops, FilterOp op) {
  for (const FilterOp one : ops) {
    if (one == op) return true;
  }
  return false;
}

}  // namespace schema::detail

/// What is asked of one field: all that is set holds. Without Ops: what makes sense for the type; text by `contains`
/// and `starts_with` (in any case), an std::optional also by `null`.
template <class T, FilterOp... Ops>
struct FilterBy {
  using Field = T;
  using Value = schema::detail::filter_value_t<T>;
  using Text = Annotated<std::string, min_length{1}, max_length{200}>;
  /// The comparisons that a client may ask for.
  static constexpr auto kOps = schema::detail::filter_ops<T, Ops...>();
  static_assert(schema::detail::is_filter_text<T>() || (!schema::detail::has_op(kOps, FilterOp::contains) &&
                                                        !schema::detail::has_op(kOps, FilterOp::starts_with)),
                "contains and starts_with are for text");
  static_assert(schema::detail::kIsNullable<T> || !schema::detail::has_op(kOps, FilterOp::null),
                "null is for std::optional: FilterBy<std::optional<T>>");

  // In the order of FilterOp.
  std::optional<Value> eq, ne, lt, lte, gt, gte;
  Annotated<std::vector<Value>, max_items{schema::detail::kMostChoices}> in;
  std::optional<Text> contains, starts_with;
  std::optional<bool> null;  ///< true: there is none
};

/// One of the fields that a list is ordered by.
struct SortKey {
  std::uint8_t field = 0;  ///< position in SortBy<…>
  bool descending = false;
  friend bool operator==(const SortKey&, const SortKey&) = default;
};

namespace schema::detail {

/// Reads "-created_at,name" into `keys` (room for one of each field) and gives their number; a field that comes again
/// is left out. Npos: a part is no field.
constexpr std::size_t read_sort(std::string_view text, std::span<const std::string_view> fields,
                                std::span<SortKey> keys) {
  std::size_t count = 0;
  for (bool more = true; more;) {
    const std::size_t end = text.find(',');
    more = end != std::string_view::npos;
    std::string_view part = text.substr(0, end);
    if (more) text.remove_prefix(end + 1);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    const bool descending = !part.empty() && part.front() == '-';
    if (descending) part.remove_prefix(1);
    std::size_t field = 0;
    while (field < fields.size() && fields[field] != part) ++field;
    if (field == fields.size()) return std::string_view::npos;
    bool known = false;
    for (std::size_t i = 0; i < count; ++i) known = known || keys[i].field == field;
    if (!known) keys[count++] = {static_cast<std::uint8_t>(field), descending};
  }
  return count;
}
std::string unknown_sort(std::span<const std::string_view> fields);
std::string sort_text(std::span<const SortKey> keys, std::span<const std::string_view> fields);

}  // namespace schema::detail

/// The order of a list: some of these fields, the first one first. `sort = "-created_at"` in the struct is checked
/// while it compiles; without one the order is left to the list.
template <FixedString... Fields>
class SortBy {
 public:
  static_assert(sizeof...(Fields) > 0 && sizeof...(Fields) < 64,
                "a list is sorted by one field at least: SortBy<\"name\">");
  static constexpr std::array<std::string_view, sizeof...(Fields)> kFields{Fields.view()...};

  constexpr SortBy() = default;
  template <std::size_t N>
  consteval SortBy(const char (&order)[N]) {  // NOLINT: a literal is meant to convert
    const std::size_t count = schema::detail::read_sort({order, N - 1}, kFields, keys_);
    if (count == std::string_view::npos) throw "this order names a field that is not in SortBy<…>";
    count_ = static_cast<std::uint8_t>(count);
  }
  /// The reason has static storage.
  [[nodiscard]] static std::expected<SortBy, std::string_view> parse_or_reason(std::string_view text) {
    static const std::string reason = schema::detail::unknown_sort(kFields);
    SortBy out;
    const std::size_t count = schema::detail::read_sort(text, kFields, out.keys_);
    if (count == std::string_view::npos) return std::unexpected<std::string_view>(reason);
    out.count_ = static_cast<std::uint8_t>(count);
    return out;
  }
  [[nodiscard]] static std::optional<SortBy> parse(std::string_view text) {
    auto out = parse_or_reason(text);
    return out ? std::optional(*out) : std::nullopt;
  }
  [[nodiscard]] std::string to_string() const { return schema::detail::sort_text(keys(), kFields); }
  [[nodiscard]] std::span<const SortKey> keys() const noexcept { return {keys_.data(), count_}; }
  friend bool operator==(const SortBy&, const SortBy&) = default;

 private:
  std::array<SortKey, sizeof...(Fields)> keys_{};
  std::uint8_t count_ = 0;
};

namespace schema {

namespace detail {

template <class T>
struct FilterTraits {
  static constexpr bool kFilter = false;
};
template <class T, FilterOp... Ops>
struct FilterTraits<FilterBy<T, Ops...>> {
  static constexpr bool kFilter = true;
};
template <class T>
struct SortTraits {
  static constexpr bool kSort = false;
};
template <FixedString... Fields>
struct SortTraits<SortBy<Fields...>> {
  static constexpr bool kSort = true;
};

}  // namespace detail

template <class M>
inline constexpr bool kIsFilterBy = detail::FilterTraits<unannotated_t<M>>::kFilter;
template <class M>
inline constexpr bool kIsSortBy = detail::SortTraits<unannotated_t<M>>::kSort;

namespace detail {

// What stands beside a member of a struct for lists.
struct ListPart {
  std::span<const FilterOp> ops = {};             // of a FilterBy
  const Member* parts = nullptr;                  // its members, by FilterOp
  std::span<const std::string_view> fields = {};  // of a SortBy
};

template <class M>
constexpr ListPart list_part() {
  using Plain = unannotated_t<M>;
  if constexpr (kIsFilterBy<M>) {
    return {Plain::kOps, kMembers<Plain>.data(), {}};
  } else if constexpr (kIsSortBy<M>) {
    return {{}, nullptr, Plain::kFields};
  } else {
    return {};
  }
}
template <class... M>
constexpr std::array<ListPart, sizeof...(M)> list_parts(TypeList<M...>) {
  return {list_part<M>()...};
}
template <class T>
inline constexpr auto kListParts = list_parts(MemberTypes<T>{});

template <class... M>
consteval bool any_list_part(TypeList<M...>) {
  return ((kIsFilterBy<M> || kIsSortBy<M>) || ...);
}

const TypeInfo& make_list_type(const TypeInfo& type, std::span<const ListPart> parts);

}  // namespace detail

/// A struct with a FilterBy or a SortBy in it.
template <class T>
concept ListModel = Reflected<T> && detail::any_list_part(detail::MemberTypes<T>{});

/// T as it is read from a query string: a struct with a member for every parameter, which refuses all others. Objects
/// of it are a T. Throws Internal when two parameters have one name, or there are more than 128.
template <ListModel T>
const TypeInfo& list_type() {
  static const TypeInfo& type = detail::make_list_type(type_info<T>(), detail::kListParts<T>);
  return type;
}

/// Whether a struct that is read from pairs reads one with this name.
[[nodiscard]] bool reads_parameter(const TypeInfo& object, std::string_view name);

/// "" of eq, else "__gte".
[[nodiscard]] std::string_view suffix_of(FilterOp op) noexcept;

}  // namespace schema
}  // namespace ashlar
