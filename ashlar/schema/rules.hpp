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

// Numbers: int, double, Decimal; Duration, in seconds.
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

// Decimal: digits in all, and after the point. Zeros at the end do not count: 1.50 has one place.
struct max_digits {
  std::int64_t count;
};
struct decimal_places {
  std::int64_t count;
};

/// Uuid: of this version only.
struct uuid_version {
  std::int64_t version;
};

// Text and Url (in characters, not bytes), Bytes (in bytes).
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
  not_null,
  strict,
  past,
  future,
  with_offset,
  rest
};
template <Flag F>
struct FlagRule {
  static constexpr Flag kFlag = F;
};

// Several literals, each with its null at the end.
template <std::size_t... N>
struct Texts {
  char text[(N + ... + 0)]{};
  consteval Texts(const char (&... literals)[N]) {  // NOLINT: literals are meant to convert
    char* to = text;
    const auto add = [&to](const char* from, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i) *to++ = from[i];
    };
    (add(literals, N), ...);
  }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return {text, sizeof text}; }
};

/// Calls f(text) with each of the literals.
template <class F>
constexpr void each_text(std::string_view texts, F&& f) {
  while (!texts.empty()) {
    const std::size_t end = texts.find('\0');
    f(texts.substr(0, end));
    texts.remove_prefix(end + 1);
  }
}
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
/// JSON: no "5" for 5, no 5.0 for 5, no 1 for true, no number for a DateTime. For all members: SchemaOptions::strict.
struct strict : schema::detail::FlagRule<schema::detail::Flag::strict> {};
/// DateTime and Date: before now, after now (of a Date: before and after today, in UTC).
struct past : schema::detail::FlagRule<schema::detail::Flag::past> {};
struct future : schema::detail::FlagRule<schema::detail::Flag::future> {};
/// DateTime: the text must say its offset or Z; without this, none means UTC.
struct with_offset : schema::detail::FlagRule<schema::detail::Flag::with_offset> {};
/// Of a map from text: takes the members that the struct does not know, and writes them beside the others.
///   Annotated<std::map<std::string, Json>, rest{}> more;
struct rest : schema::detail::FlagRule<schema::detail::Flag::rest> {};

/// The name on the wire.
template <std::size_t N>
struct alias {
  FixedString<N> text;
  consteval alias(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
/// Other names that are read too, as `also{"old_name", "older"}`; written is the one name.
template <std::size_t... N>
struct also : schema::detail::Texts<N...> {
  consteval also(const char (&... literals)[N]) : schema::detail::Texts<N...>(literals...) {}  // NOLINT
};
/// Url: `schemes{"http", "https"}` and no other.
template <std::size_t... N>
struct schemes : schema::detail::Texts<N...> {
  consteval schemes(const char (&... literals)[N]) : schema::detail::Texts<N...>(literals...) {}  // NOLINT
};
/// Date, DateTime, TimeOfDay: bounds as text, `not_before{"2020-01-01"}`.
template <std::size_t N>
struct not_before {
  FixedString<N> text;
  consteval not_before(const char (&literal)[N]) : text(literal) {}  // NOLINT
};
template <std::size_t N>
struct not_after {
  FixedString<N> text;
  consteval not_after(const char (&literal)[N]) : text(literal) {}  // NOLINT
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
/// Examples as text; for a type that is not text in JSON, their JSON: `example{"42", "43"}`.
template <std::size_t... N>
struct example : schema::detail::Texts<N...> {
  consteval example(const char (&... literals)[N]) : schema::detail::Texts<N...>(literals...) {}  // NOLINT
};
/// The member of a variant's alternatives that tells which one it is.
template <std::size_t N>
struct discriminator {
  FixedString<N> text;
  consteval discriminator(const char (&literal)[N]) : text(literal) {}  // NOLINT
};

/// A rule of your own: a function that says whether the value is good, and what to say when it is not.
///   Annotated<std::string, check{+[](const std::string& s) { return s != "admin"; }, "is reserved"}> name;
/// The error's type is "value_error" and its message "Value error, is reserved"; with a type of your own,
/// `check{…, "This name is reserved", "name_reserved"}`, the message is yours alone.
template <class Argument, std::size_t N, std::size_t M = 1>
struct check {
  bool (*passes)(Argument);
  FixedString<N> message;
  FixedString<M> type;
  consteval check(bool (*function)(Argument), const char (&text)[N]) : passes(function), message(text), type("") {}
  consteval check(bool (*function)(Argument), const char (&text)[N], const char (&name)[M])
      : passes(function), message(text), type(name) {}
};
template <class Argument, std::size_t N>
check(bool (*)(Argument), const char (&)[N]) -> check<Argument, N, 1>;

/// A function that changes the value after it was read and before any other rule is checked.
///   Annotated<std::string, transform{+[](std::string& s) { std::erase(s, ' '); }}> iban;
template <class T>
struct transform {
  void (*apply)(T& value);
  consteval transform(void (*function)(T&)) : apply(function) {}  // NOLINT
};

namespace schema {

namespace detail {
class Regex;
}

/// All rules of one type as readers, writers and JSON Schema use them.
struct Rules {
  Bound ge, gt, le, lt, multiple_of;
  std::int64_t min_length = -1, max_length = -1;  // of text, bytes or lists
  std::int64_t max_digits = -1, decimal_places = -1, uuid_version = -1;
  std::string_view pattern, alias, title, description, format, discriminator, not_before, not_after;
  std::string_view also, schemes, examples;  // several texts, each with a null at its end (detail::each_text)
  bool unique_items = false, strip = false, to_lower = false, to_upper = false;
  bool deprecated = false, read_only = false, write_only = false, required = false, defaulted = false;
  bool not_null = false, strict = false, past = false, future = false, with_offset = false, rest = false;
  struct Check {
    bool (*passes)(const void* value);
    std::string_view message, type;
  };
  const Check* checks = nullptr;
  std::size_t check_count = 0;
  void (*const* transforms)(void* value) = nullptr;
  std::size_t transform_count = 0;
  std::uint32_t uses = 0;  // detail::Use: what kind of rules these are
  bool plain = false;      // nothing is changed, and nothing is checked but bounds and lengths
  std::atomic<const detail::Regex*>* regex = nullptr;  // of `pattern`, compiled at first use
};

namespace detail {

/// Kinds of rules, each with the types it makes sense for (rules_fit.hpp).
enum Use : std::uint32_t {
  kUsesBounds = 1U << 0,
  kUsesLength = 1U << 1,
  kUsesItems = 1U << 2,
  kUsesText = 1U << 3,
  kUsesUnique = 1U << 4,
  kUsesDigits = 1U << 5,
  kUsesVersion = 1U << 6,
  kUsesSchemes = 1U << 7,
  kUsesNow = 1U << 8,
  kUsesOffset = 1U << 9,
  kUsesDates = 1U << 10,
  kUsesRest = 1U << 11,
  kUsesDiscriminator = 1U << 12,
  kUsesStrict = 1U << 13,
  kUsesMultiple = 1U << 14,
};

// A rule's text must outlive the table: it stays in the static object of the template argument.
template <auto Rule>
inline constexpr auto kRule = Rule;

constexpr void add_flag(Rules& rules, Flag flag) {
  const auto set = [&rules](bool& member, std::uint32_t use = 0) {
    member = true;
    rules.uses |= use;
  };
  switch (flag) {
    case Flag::unique_items:
      return set(rules.unique_items, kUsesUnique);
    case Flag::strip:
      return set(rules.strip, kUsesText);
    case Flag::to_lower:
      return set(rules.to_lower, kUsesText);
    case Flag::to_upper:
      return set(rules.to_upper, kUsesText);
    case Flag::deprecated:
      return set(rules.deprecated);
    case Flag::read_only:
      return set(rules.read_only);
    case Flag::write_only:
      return set(rules.write_only);
    case Flag::required:
      return set(rules.required);
    case Flag::defaulted:
      return set(rules.defaulted);
    case Flag::not_null:
      return set(rules.not_null);
    case Flag::strict:
      return set(rules.strict, kUsesStrict);
    case Flag::past:
      return set(rules.past, kUsesNow);
    case Flag::future:
      return set(rules.future, kUsesNow);
    case Flag::with_offset:
      return set(rules.with_offset, kUsesOffset);
    case Flag::rest:
      return set(rules.rest, kUsesRest);
  }
}

template <auto Rule>
constexpr void add_rule(Rules& rules) {
  const auto& rule = kRule<Rule>;
  using R = std::remove_cvref_t<decltype(rule)>;
  const auto set = [&rules](auto& member, const auto& value, Use use) {
    member = value;
    rules.uses |= use;
  };
  if constexpr (std::is_same_v<R, ashlar::ge>)
    set(rules.ge, rule.bound, kUsesBounds);
  else if constexpr (std::is_same_v<R, ashlar::gt>)
    set(rules.gt, rule.bound, kUsesBounds);
  else if constexpr (std::is_same_v<R, ashlar::le>)
    set(rules.le, rule.bound, kUsesBounds);
  else if constexpr (std::is_same_v<R, ashlar::lt>)
    set(rules.lt, rule.bound, kUsesBounds);
  else if constexpr (std::is_same_v<R, ashlar::multiple_of>)
    set(rules.multiple_of, rule.bound, kUsesMultiple);
  else if constexpr (std::is_same_v<R, ashlar::min_length>)
    set(rules.min_length, rule.count, kUsesLength);
  else if constexpr (std::is_same_v<R, ashlar::max_length>)
    set(rules.max_length, rule.count, kUsesLength);
  else if constexpr (std::is_same_v<R, ashlar::min_items>)
    set(rules.min_length, rule.count, kUsesItems);
  else if constexpr (std::is_same_v<R, ashlar::max_items>)
    set(rules.max_length, rule.count, kUsesItems);
  else if constexpr (std::is_same_v<R, ashlar::max_digits>)
    set(rules.max_digits, rule.count, kUsesDigits);
  else if constexpr (std::is_same_v<R, ashlar::decimal_places>)
    set(rules.decimal_places, rule.count, kUsesDigits);
  else if constexpr (std::is_same_v<R, ashlar::uuid_version>)
    set(rules.uuid_version, rule.version, kUsesVersion);
  else if constexpr (requires { R::kFlag; })
    add_flag(rules, R::kFlag);
}

template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::pattern<N>&) {
  r.pattern = kRule<Rule>.text;
  r.uses |= kUsesText;
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
template <auto Rule, std::size_t... N>
constexpr void add_text(Rules& r, const ashlar::example<N...>&) {
  r.examples = kRule<Rule>.view();
}
template <auto Rule, std::size_t... N>
constexpr void add_text(Rules& r, const ashlar::also<N...>&) {
  r.also = kRule<Rule>.view();
}
template <auto Rule, std::size_t... N>
constexpr void add_text(Rules& r, const ashlar::schemes<N...>&) {
  r.schemes = kRule<Rule>.view();
  r.uses |= kUsesSchemes;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::not_before<N>&) {
  r.not_before = kRule<Rule>.text;
  r.uses |= kUsesDates;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::not_after<N>&) {
  r.not_after = kRule<Rule>.text;
  r.uses |= kUsesDates;
}
template <auto Rule, std::size_t N>
constexpr void add_text(Rules& r, const ashlar::discriminator<N>&) {
  r.discriminator = kRule<Rule>.text;
  r.uses |= kUsesDiscriminator;
}
template <auto Rule>
constexpr void add_text(Rules&, const auto&) {}

template <class T>
inline constexpr bool kIsCheck = false;
template <class Argument, std::size_t N, std::size_t M>
inline constexpr bool kIsCheck<ashlar::check<Argument, N, M>> = true;
template <class T>
inline constexpr bool kIsTransform = false;
template <class T>
inline constexpr bool kIsTransform<ashlar::transform<T>> = true;

template <auto Rule, class T>
bool passes(const void* value) {
  if constexpr (requires(const T& v) { kRule<Rule>.passes(v); }) {
    return kRule<Rule>.passes(*static_cast<const T*>(value));
  } else {
    static_assert(
        requires(const T& v) { kRule<Rule>.passes(v); },
        "the function of check{…} must take the annotated type, by value or by const reference");
    return false;
  }
}
template <auto Rule, class T>
void apply(void* value) {
  if constexpr (requires(T& v) { kRule<Rule>.apply(v); }) {
    kRule<Rule>.apply(*static_cast<T*>(value));
  } else {
    static_assert(
        requires(T& v) { kRule<Rule>.apply(v); },
        "the function of transform{…} must take a reference to the annotated type");
  }
}

template <std::size_t Checks, std::size_t Transforms>
struct FunctionTable {
  Rules::Check checks[Checks == 0 ? 1 : Checks]{};
  void (*transforms[Transforms == 0 ? 1 : Transforms])(void*) = {};
};
template <auto Rule, class T, class Table>
constexpr void add_function(Table& table, std::size_t& check, std::size_t& transform) {
  using R = std::remove_cvref_t<decltype(kRule<Rule>)>;
  if constexpr (kIsCheck<R>) {
    table.checks[check++] = {&passes<Rule, T>, kRule<Rule>.message, kRule<Rule>.type};
  } else if constexpr (kIsTransform<R>) {
    table.transforms[transform++] = &apply<Rule, T>;
  }
}

/// The rules of a T.
template <class T, auto... Values>
struct RuleSet {
  static constexpr std::size_t kChecks = (std::size_t{kIsCheck<std::remove_cvref_t<decltype(Values)>>} + ... + 0);
  static constexpr std::size_t kTransforms =
      (std::size_t{kIsTransform<std::remove_cvref_t<decltype(Values)>>} + ... + 0);
  static constexpr FunctionTable<kChecks, kTransforms> functions = [] {
    FunctionTable<kChecks, kTransforms> all{};
    if constexpr (kChecks + kTransforms > 0) {
      std::size_t check = 0, transform = 0;
      (add_function<Values, T>(all, check, transform), ...);
    }
    return all;
  }();
  static constinit inline std::atomic<const Regex*> regex{nullptr};
  static constexpr Rules table = [] {
    Rules rules;
    (add_rule<Values>(rules), ...);
    (add_text<Values>(rules, kRule<Values>), ...);
    rules.checks = functions.checks;
    rules.check_count = kChecks;
    rules.transforms = functions.transforms;
    rules.transform_count = kTransforms;
    if (!rules.pattern.empty()) rules.regex = &regex;
    // These are looked at on the way of every value; what is left out of them is done by check_rules.
    constexpr std::uint32_t kPlain = kUsesBounds | kUsesLength | kUsesItems | kUsesStrict | kUsesRest;
    rules.plain = (rules.uses & ~kPlain) == 0 && kChecks + kTransforms == 0;
    return rules;
  }();
};

}  // namespace detail
}  // namespace schema
}  // namespace ashlar
