// Rules that cannot work do not compile: of another kind of type, or at odds with one another.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include <ashlar/schema/reflect.hpp>
#include <ashlar/schema/rules.hpp>
#include <ashlar/schema/value_words.hpp>

namespace ashlar::schema::detail {

template <class T>
inline constexpr bool is_text = std::is_base_of_v<std::string, T>;
template <class T>
inline constexpr bool is_number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;
template <class T>
inline constexpr bool is_builtin_value = kBuiltin<T> != Builtin::none;
template <class T>
inline constexpr bool has_items = !is_text<T> && !kIsValue<T> && requires(T& t) {
  typename T::value_type;
  t.clear();
  t.size();
};
template <class T>
inline constexpr bool is_map = has_items<T> && requires { typename T::mapped_type; };

// Bytes, a file, a value of the program's own that says how many bytes it has.
template <class T>
concept HasByteSize = kIsValue<T> && requires(const T& value, std::string_view text) {
  T::parse(text);
  { value.size() } -> std::convertible_to<std::size_t>;
};

template <class T>
inline constexpr bool takes_bounds =
    is_number<T> || kBuiltin<T> == Builtin::decimal || kBuiltin<T> == Builtin::duration;
template <class T>
inline constexpr bool takes_multiple_of = is_number<T> || kBuiltin<T> == Builtin::decimal;
template <class T>
inline constexpr bool takes_length = is_text<T> || HasByteSize<T> || kBuiltin<T> == Builtin::url;
template <class T>
inline constexpr bool takes_items = has_items<T>;
template <class T>
inline constexpr bool takes_text_rules = is_text<T>;
template <class T>
inline constexpr bool takes_unique_items = has_items<T> && !is_map<T>;
template <class T>
inline constexpr bool takes_digits = kBuiltin<T> == Builtin::decimal;
template <class T>
inline constexpr bool takes_uuid_version = kBuiltin<T> == Builtin::uuid;
template <class T>
inline constexpr bool takes_schemes = kBuiltin<T> == Builtin::url;
template <class T>
inline constexpr bool takes_past_and_future = kBuiltin<T> == Builtin::date || kBuiltin<T> == Builtin::date_time;
template <class T>
inline constexpr bool takes_with_offset = kBuiltin<T> == Builtin::date_time;
template <class T>
inline constexpr bool takes_dates = takes_past_and_future<T> || kBuiltin<T> == Builtin::time_of_day;
template <class T>
inline constexpr bool takes_rest = is_map<T> && requires(typename T::key_type key) { std::string(key); };
template <class T>
inline constexpr bool takes_discriminator = requires(const T& t) { t.valueless_by_exception(); };
template <class T>
inline constexpr bool takes_strict = std::is_arithmetic_v<T> || is_builtin_value<T>;

// One instantiation a type and set of kinds of rules, however many members have them.
template <class T, std::uint32_t Uses>
struct RulesFit {
  static consteval bool check() {
    if constexpr ((Uses & kUsesBounds) != 0) {
      static_assert(takes_bounds<T>,
                    "ge{}, gt{}, le{} and lt{} are for numbers, Decimal and Duration; for text write min_length{} or "
                    "max_length{}, for lists min_items{} or max_items{}, for dates not_before{\"…\"} or "
                    "not_after{\"…\"}");
    }
    if constexpr ((Uses & kUsesMultiple) != 0) {
      static_assert(takes_multiple_of<T>, "multiple_of{} is for numbers and Decimal");
    }
    if constexpr ((Uses & kUsesLength) != 0) {
      static_assert(takes_length<T>,
                    "min_length{} and max_length{} count the characters of text (or bytes of Bytes); for numbers write "
                    "ge{} or le{}, for lists, sets and maps min_items{} or max_items{}");
    }
    if constexpr ((Uses & kUsesItems) != 0) {
      static_assert(takes_items<T>,
                    "min_items{} and max_items{} are for lists, sets and maps; for text write min_length{} or "
                    "max_length{}");
    }
    if constexpr ((Uses & kUsesText) != 0) {
      static_assert(takes_text_rules<T>, "pattern{}, strip{}, to_lower{} and to_upper{} are for text");
    }
    if constexpr ((Uses & kUsesUnique) != 0) {
      static_assert(takes_unique_items<T>, "unique_items{} is for lists");
    }
    if constexpr ((Uses & kUsesDigits) != 0) {
      static_assert(takes_digits<T>,
                    "max_digits{} and decimal_places{} are for Decimal: a double has no decimal places to count");
    }
    if constexpr ((Uses & kUsesVersion) != 0) {
      static_assert(takes_uuid_version<T>, "uuid_version{} is for Uuid");
    }
    if constexpr ((Uses & kUsesSchemes) != 0) {
      static_assert(takes_schemes<T>, "schemes{} is for Url");
    }
    if constexpr ((Uses & kUsesNow) != 0) {
      static_assert(takes_past_and_future<T>, "past{} and future{} are for Date and DateTime");
    }
    if constexpr ((Uses & kUsesOffset) != 0) {
      static_assert(takes_with_offset<T>, "with_offset{} is for DateTime");
    }
    if constexpr ((Uses & kUsesDates) != 0) {
      static_assert(
          takes_dates<T>,
          "not_before{} and not_after{} are for Date, DateTime and TimeOfDay; for numbers write ge{} or le{}");
    }
    if constexpr ((Uses & kUsesRest) != 0) {
      static_assert(takes_rest<T>,
                    "rest{} is for a map from text, such as std::map<std::string, Json>: it takes the members that "
                    "the struct does not know");
    }
    if constexpr ((Uses & kUsesDiscriminator) != 0) {
      static_assert(takes_discriminator<T>, "discriminator{} is for std::variant");
    }
    if constexpr ((Uses & kUsesStrict) != 0) {
      static_assert(
          takes_strict<T>,
          "strict{} is for numbers, bool and dates: text and enums are strict always, and a struct says so by "
          "SchemaOptions{.strict = true}");
    }
    return true;
  }
};

constexpr bool are_in_order(const Bound& low, const Bound& high) {
  if (!low || !high) return true;
  const auto number = [](const Bound& b) {
    return b.kind == Bound::Kind::integer ? static_cast<double>(b.integer) : b.number;
  };
  return low.kind == Bound::Kind::integer && high.kind == Bound::Kind::integer ? low.integer <= high.integer
                                                                               : number(low) <= number(high);
}
constexpr bool is_zero(const Bound& b) {
  return b && (b.kind == Bound::Kind::integer ? b.integer == 0 : b.number == 0);
}

/// What a set of rules says against itself; by a constant of its own for each, so that the compiler's message shows it.
template <class Set>
struct RulesAgree {
  static constexpr const Rules& r = Set::table;
  static constexpr bool lengths_are_in_order = r.max_length < 0 || r.min_length <= r.max_length;
  static constexpr bool bounds_are_in_order =
      are_in_order(r.ge, r.le) && are_in_order(r.gt, r.lt) && are_in_order(r.ge, r.lt) && are_in_order(r.gt, r.le);
  static consteval bool check() {
    static_assert(lengths_are_in_order, "no value fits: min_length{} or min_items{} is larger than its max");
    static_assert(bounds_are_in_order, "no value fits: the lower bound is above the upper one");
    static_assert(!is_zero(r.multiple_of), "multiple_of{0}: nothing is a multiple of zero");
    static_assert(!(r.to_lower && r.to_upper), "to_lower{} and to_upper{} exclude each other");
    static_assert(!(r.read_only && r.write_only), "a member that is read_only{} and write_only{} is never there");
    static_assert(!(r.required && r.defaulted), "required{} and defaulted{} exclude each other");
    static_assert(!(r.past && r.future), "past{} and future{} exclude each other");
    return true;
  }
};

/// True, or no program.
template <class T, auto... Values>
consteval bool rules_fit() {
  using Set = RuleSet<T, Values...>;
  if constexpr (Set::table.uses != 0) (void)RulesFit<T, Set::table.uses>::check();
  return RulesAgree<Set>::check();
}

}  // namespace ashlar::schema::detail
