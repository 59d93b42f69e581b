// The constraints and descriptions that `Annotated<T, rules...>` takes: values, so that they are spelled like code.
//
//   Annotated<std::string, strip{}, min_length{1}, max_length{200}, description{"Shown in lists"}> title;
//   Annotated<int, ge{1}, le{100}> limit = 20;
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ashlar/schema/fixed_string.hpp>

namespace ashlar {

namespace schema {

/// A bound of a number. Whole numbers stay whole, so that every 64-bit bound is exact.
struct Bound {
  enum class Kind : std::uint8_t { none, integer, number };
  Kind kind = Kind::none;
  std::int64_t integer = 0;
  double number = 0;

  constexpr Bound() = default;
  template <std::integral T>
  consteval Bound(T value) : kind(Kind::integer), integer(static_cast<std::int64_t>(value)) {  // NOLINT
    if (!std::in_range<std::int64_t>(value)) throw "a bound must fit in 64 bits, signed";
  }
  template <std::floating_point T>
  consteval Bound(T value) : kind(Kind::number), number(static_cast<double>(value)) {}  // NOLINT
  [[nodiscard]] constexpr explicit operator bool() const { return kind != Kind::none; }
};

}  // namespace schema

// Numbers: int, double, Decimal.
struct ge {
  schema::Bound bound;
};
struct gt {
  schema::Bound bound;
};
struct le {
  schema::Bound bound;
};
struct lt {
  schema::Bound bound;
};
struct multiple_of {
  schema::Bound bound;
};

// Text (in characters, not bytes), Bytes (in bytes).
struct min_length {
  std::int64_t count;
};
struct max_length {
  std::int64_t count;
};

/// A regular expression that must be found in the text (anchor it with ^ and $). Syntax: that of JSON Schema (ECMA-262)
/// without look-around and back-references; matching takes linear time whatever the input.
template <std::size_t N>
struct pattern {
  FixedString<N> text;
  consteval pattern(const char (&literal)[N]) : text(literal) {}  // NOLINT
};

// Lists, sets, maps.
struct min_items {
  std::int64_t count;
};
struct max_items {
  std::int64_t count;
};

namespace schema::detail {
enum class Flag : std::uint8_t {
  unique_items,
  strip,
  to_lower,
  to_upper,
  deprecated,
  read_only,
  write_only,
  required,
  defaulted,
  not_null
};
template <Flag F>
struct FlagRule {
  static constexpr Flag kFlag = F;
};
}  // namespace schema::detail

/// All elements differ.
struct unique_items : schema::detail::FlagRule<schema::detail::Flag::unique_items> {};
/// Text: white space at both ends is dropped before anything is checked.
struct strip : schema::detail::FlagRule<schema::detail::Flag::strip> {};
/// Text: ASCII letters become lower case before anything is checked.
struct to_lower : schema::detail::FlagRule<schema::detail::Flag::to_lower> {};
struct to_upper : schema::detail::FlagRule<schema::detail::Flag::to_upper> {};
/// Marked as deprecated in the schema.
struct deprecated : schema::detail::FlagRule<schema::detail::Flag::deprecated> {};
/// The server sets it: ignored when read, written always.
struct read_only : schema::detail::FlagRule<schema::detail::Flag::read_only> {};
/// The client sets it: read, never written.
struct write_only : schema::detail::FlagRule<schema::detail::Flag::write_only> {};
/// The member must be there, though its type has a natural empty value.
struct required : schema::detail::FlagRule<schema::detail::Flag::required> {};
/// The member may be missing; it then keeps the value of `T{}`.
struct defaulted : schema::detail::FlagRule<schema::detail::Flag::defaulted> {};
/// Of a Patch or std::optional: the member may be missing, but null is refused. `Annotated<Patch<std::string>,
/// not_null{}> title;`
struct not_null : schema::detail::FlagRule<schema::detail::Flag::not_null> {};

/// The name on the wire.
template <std::size_t N>
struct alias {
  FixedString<N> text;
  consteval alias(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
template <std::size_t N>
struct title {
  FixedString<N> text;
  consteval title(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
template <std::size_t N>
struct description {
  FixedString<N> text;
  consteval description(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
/// The `format` keyword of JSON Schema: it describes, it does not check.
template <std::size_t N>
struct format {
  FixedString<N> text;
  consteval format(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
/// An example as text; for a type that is not text in JSON, its JSON: `example{"42"}`.
template <std::size_t N>
struct example {
  FixedString<N> text;
  consteval example(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
/// The member of a variant's alternatives that tells which one it is.
template <std::size_t N>
struct discriminator {
  FixedString<N> text;
  consteval discriminator(const char (&literal)[N]) : text(literal) {}  // NOLINT
};

/// A rule of your own: a function that says whether the value is good, and what to say when it is not.
///   Annotated<std::string, check{+[](const std::string& s) { return s != "admin"; }, "is reserved"}> name;
template <class Argument, std::size_t N>
struct check {
  bool (*passes)(Argument);
  FixedString<N> message;
  consteval check(bool (*function)(Argument), const char (&text)[N]) : passes(function), message(text) {}
};

namespace schema {

namespace detail {
class Regex;
}

/// All rules of one type as readers, writers and JSON Schema use them.
struct Rules {
  Bound ge, gt, le, lt, multiple_of;
  std::int64_t min_length = -1, max_length = -1;  // of text, bytes or lists
  std::string_view pattern, alias, title, description, format, example, discriminator;
  bool unique_items = false, strip = false, to_lower = false, to_upper = false;
  bool deprecated = false, read_only = false, write_only = false, required = false, defaulted = false;
  bool not_null = false;
  struct Check {
    bool (*passes)(const void* value);
    std::string_view message;
  };
  const Check* checks = nullptr;
  std::size_t check_count = 0;
  bool plain = false;  // nothing is changed, and nothing is checked but bounds and lengths
  std::atomic<const detail::Regex*>* regex = nullptr;  // of `pattern`, compiled at first use
};

namespace detail {

// A rule's text must outlive the table: it stays in the static object of the template argument.
template <auto Rule>
inline constexpr auto kRule = Rule;

template <auto Rule>
constexpr void add_rule(Rules& rules) {
  const auto& rule = kRule<Rule>;
  using R = std::remove_cvref_t<decltype(rule)>;
  if constexpr (std::is_same_v<R, ashlar::ge>)
    rules.ge = rule.bound;
  else if constexpr (std::is_same_v<R, ashlar::gt>)
    rules.gt = rule.bound;
  else if constexpr (std::is_same_v<R, ashlar::le>)
    rules.le = rule.bound;
  else if constexpr (std::is_same_v<R, ashlar::lt>)
    rules.lt = rule.bound;
  else if constexpr (std::is_same_v<R, ashlar::multiple_of>)
    rules.multiple_of = rule.bound;
  else if constexpr (std::is_same_v<R, ashlar::min_length> || std::is_same_v<R, ashlar::min_items>)
    rules.min_length = rule.count;
  else if constexpr (std::is_same_v<R, ashlar::max_length> || std::is_same_v<R, ashlar::max_items>)
    rules.max_length = rule.count;
  else if constexpr (requires { R::kFlag; }) {
    switch (R::kFlag) {
      case Flag::unique_items:
        rules.unique_items = true;
        break;
      case Flag::strip:
        rules.strip = true;
        break;
      case Flag::to_lower:
        rules.to_lower = true;
        break;
      case Flag::to_upper:
        rules.to_upper = true;
        break;
      case Flag::deprecated:
        rules.deprecated = true;
        break;
      case Flag::read_only:
        rules.read_only = true;
        break;
      case Flag::write_only:
        rules.write_only = true;
        break;
      case Flag::required:
        rules.required = true;
        break;
      case Flag::defaulted:
        rules.defaulted = true;
        break;
      case Flag::not_null:
        rules.not_null = true;
        break;
    }
  }
}

template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::pattern<N>&) {
  r.pattern = kRule<Rule>.text;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::alias<N>&) {
  r.alias = kRule<Rule>.text;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::title<N>&) {
  r.title = kRule<Rule>.text;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::description<N>&) {
  r.description = kRule<Rule>.text;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::format<N>&) {
  r.format = kRule<Rule>.text;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::example<N>&) {
  r.example = kRule<Rule>.text;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::discriminator<N>&) {
  r.discriminator = kRule<Rule>.text;
}
template <auto Rule>
constexpr void add_text(Rules&, const auto&) {}

template <class T>
inline constexpr bool kIsCheck = false;
template <class Argument, std::size_t N>
inline constexpr bool kIsCheck<ashlar::check<Argument, N>> = true;

template <auto Rule, class T>
bool passes(const void* value) {
  return kRule<Rule>.passes(*static_cast<const T*>(value));
}

template <std::size_t N>
struct CheckTable {
  Rules::Check at[N == 0 ? 1 : N]{};
};
template <auto Rule, class T, std::size_t N>
constexpr void add_check(CheckTable<N>& table, std::size_t& i) {
  if constexpr (kIsCheck<std::remove_cvref_t<decltype(kRule<Rule>)>>) {
    table.at[i++] = {&passes<Rule, T>, kRule<Rule>.message};
  }
}

/// The rules of a T.
template <class T, auto... Values>
struct RuleSet {
  static constexpr std::size_t kChecks = (std::size_t{kIsCheck<std::remove_cvref_t<decltype(Values)>>} + ... + 0);
  static constexpr CheckTable<kChecks> checks = [] {
    CheckTable<kChecks> table{};
    [[maybe_unused]] std::size_t i = 0;
    (add_check<Values, T>(table, i), ...);
    return table;
  }();
  static constinit inline std::atomic<const Regex*> regex{nullptr};
  static constexpr Rules table = [] {
    Rules rules;
    (add_rule<Values>(rules), ...);
    (add_text<Values>(rules, kRule<Values>), ...);
    if (kChecks > 0) {
      rules.checks = checks.at;
      rules.check_count = kChecks;
    }
    if (!rules.pattern.empty()) rules.regex = &regex;
    rules.plain = !rules.strip && !rules.to_lower && !rules.to_upper && !rules.unique_items && !rules.multiple_of &&
                  rules.pattern.empty() && kChecks == 0;
    return rules;
  }();
};

}  // namespace detail
}  // namespace schema
}  // namespace ashlar
