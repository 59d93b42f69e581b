// The rules of one value, and what a struct says about its members.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/bounds.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/regex.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/detail/values.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema::detail {
namespace {

// value <=> bound, for integer and number kinds. long double holds every 64-bit integer on x86-64; whole bounds are
// compared as integers wherever they are.
int compare_number(const TypeInfo& type, const void* value, const Bound& bound) {
  if (type.kind == Kind::integer) {
    if (bound.kind == Bound::Kind::integer) {
      if (type.is_signed) {
        const std::int64_t v = load_signed(type, value);
        return v < bound.integer ? -1 : v > bound.integer;
      }
      const std::uint64_t v = load_unsigned(type, value);
      if (bound.integer < 0) return 1;
      const auto b = static_cast<std::uint64_t>(bound.integer);
      return v < b ? -1 : v > b;
    }
    const long double v = type.is_signed ? static_cast<long double>(load_signed(type, value))
                                         : static_cast<long double>(load_unsigned(type, value));
    return v < bound.number ? -1 : v > bound.number;
  }
  const double v = load_double(type, value);
  const double b = bound.kind == Bound::Kind::integer ? static_cast<double>(bound.integer) : bound.number;
  return v < b ? -1 : v > b;
}

bool is_number_multiple(const TypeInfo& type, const void* value, const Bound& step) {
  if (type.kind == Kind::integer && step.kind == Bound::Kind::integer) {
    if (step.integer == 0) return true;
    if (type.is_signed) {
      return step.integer == -1 || load_signed(type, value) % step.integer == 0;
    }
    const std::uint64_t s =
        step.integer < 0 ? 0 - static_cast<std::uint64_t>(step.integer) : static_cast<std::uint64_t>(step.integer);
    return load_unsigned(type, value) % s == 0;
  }
  const double v = type.kind == Kind::integer ? (type.is_signed ? static_cast<double>(load_signed(type, value))
                                                                : static_cast<double>(load_unsigned(type, value)))
                                              : load_double(type, value);
  const double s = step.kind == Bound::Kind::integer ? static_cast<double>(step.integer) : step.number;
  if (s == 0) return true;
  const double rest = std::fabs(std::remainder(v, s));
  return rest <= std::fabs(v) * 1e-9 || rest <= std::fabs(s) * 1e-9;  // 0.3 is a multiple of 0.1 to people
}

const Regex& regex_of(const Rules& rules) {
  if (const Regex* regex = rules.regex->load(std::memory_order_acquire)) return *regex;
  auto* made = new Regex(rules.pattern);
  const Regex* expected = nullptr;
  if (!rules.regex->compare_exchange_strong(expected, made, std::memory_order_acq_rel)) {
    delete made;
    return *expected;
  }
  return *made;
}

std::string pattern_ctx(std::string_view pattern) {
  std::string out = "{\"pattern\":";
  append_json_string(pattern, out);
  return out + '}';
}

std::optional<Failure> check_text(const Rules& r, std::string& text) {
  if (r.strip) {
    const std::string_view trimmed = trim(text);
    if (trimmed.size() != text.size()) text = std::string(trimmed);
  }
  if (r.to_lower) {
    for (char& c : text) c = to_lower_ascii(c);
  }
  if (r.to_upper) {
    for (char& c : text) c = to_upper_ascii(c);
  }
  if (r.min_length >= 0 || r.max_length >= 0) {
    const auto length = static_cast<std::int64_t>(utf8_length(text));
    if (length < r.min_length) {
      return Failure{
          "string_too_short",
          fmt::format("String should have at least {} character{}", r.min_length, r.min_length == 1 ? "" : "s"),
          fmt::format("{{\"min_length\":{}}}", r.min_length)};
    }
    if (r.max_length >= 0 && length > r.max_length) {
      return Failure{
          "string_too_long",
          fmt::format("String should have at most {} character{}", r.max_length, r.max_length == 1 ? "" : "s"),
          fmt::format("{{\"max_length\":{}}}", r.max_length)};
    }
  }
  if (r.regex && !regex_of(r).found_in(text)) {
    return Failure{"string_pattern_mismatch", fmt::format("String should match pattern '{}'", r.pattern),
                   pattern_ctx(r.pattern)};
  }
  return std::nullopt;
}

std::optional<Failure> check_size(const Rules& r, std::string_view what, std::int64_t size, bool is_set = false) {
  if (r.min_length >= 0 && size < r.min_length) {
    return Failure{
        "too_short",
        fmt::format("{} should have at least {} item{} after validation, not {}", what, r.min_length,
                    r.min_length == 1 ? "" : "s", size),
        fmt::format("{{\"field_type\":\"{}\",\"min_length\":{},\"actual_length\":{}}}", what, r.min_length, size)};
  }
  if (r.max_length >= 0 && size > r.max_length) {
    if (is_set) {  // how many there are is known of the distinct ones only; Pydantic stops at the first too many
      return Failure{"too_long",
                     fmt::format("Set should have at most {} item{} after validation, not more", r.max_length,
                                 r.max_length == 1 ? "" : "s"),
                     fmt::format("{{\"field_type\":\"Set\",\"max_length\":{},\"actual_length\":null}}", r.max_length)};
    }
    return Failure{
        "too_long",
        fmt::format("{} should have at most {} item{} after validation, not {}", what, r.max_length,
                    r.max_length == 1 ? "" : "s", size),
        fmt::format("{{\"field_type\":\"{}\",\"max_length\":{},\"actual_length\":{}}}", what, r.max_length, size)};
  }
  return std::nullopt;
}

bool has_equal_items(const TypeInfo& type, const void* list) {
  struct Texts {
    const TypeInfo* type;
    std::vector<std::string> all;
  } texts{type.inner, {}};
  type.list->each(list, &texts, [](void* context, const void* element) {
    auto& t = *static_cast<Texts*>(context);
    write_json(*t.type, element, t.all.emplace_back());
  });
  std::sort(texts.all.begin(), texts.all.end());
  return std::adjacent_find(texts.all.begin(), texts.all.end()) != texts.all.end();
}

}  // namespace

static std::string bound_text(const Bound& bound) {
  return bound.kind == Bound::Kind::integer ? fmt::format("{}", bound.integer) : fmt::format("{}", bound.number);
}

Failure bound_failure(std::string_view type, std::string_view words, std::string_view key, const Bound& bound,
                      std::string_view unit) {
  const std::string text = bound_text(bound);
  return {std::string(type),
          fmt::format("Input should be {} {}{}{}", words, text, unit, unit.empty() || text == "1" ? "" : "s"),
          fmt::format("{{\"{}\":{}}}", key, text)};
}

void compile_pattern(const Rules& rules) {
  if (rules.regex) (void)regex_of(rules);
}

bool passes_plainly(const TypeInfo& type, const void* value) noexcept {
  const Rules& r = *type.rules;
  if (!r.plain) return false;
  const auto within = [&](auto v) {
    using V = decltype(v);
    const auto of = [](const Bound& bound) {
      return bound.kind == Bound::Kind::integer ? static_cast<V>(bound.integer) : static_cast<V>(bound.number);
    };
    return (!r.ge || v >= of(r.ge)) && (!r.le || v <= of(r.le)) && (!r.gt || v > of(r.gt)) && (!r.lt || v < of(r.lt));
  };
  const auto whole = [](const Bound& bound) { return bound.kind != Bound::Kind::number; };
  switch (type.kind) {
    case Kind::string:
      return passes_plainly(r, *static_cast<const std::string*>(value));
    case Kind::integer:
      return type.is_signed && whole(r.ge) && whole(r.le) && whole(r.gt) && whole(r.lt) &&
             within(load_signed(type, value));
    case Kind::number:
      return within(load_double(type, value));
    case Kind::list: {
      const auto size = static_cast<std::int64_t>(type.list->size(value));
      return size >= r.min_length && (r.max_length < 0 || size <= r.max_length);
    }
    default:
      return false;
  }
}

Limits limits_of(const TypeInfo& type) noexcept {
  static constexpr Rules kNone;
  const Rules& r = type.rules != nullptr ? *type.rules : kNone;
  if (type.rules != nullptr && !r.plain) return {};
  Limits within;
  if (type.kind == Kind::string) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    if (r.min_length > kMost / 4) return {};
    within.least = static_cast<std::uint32_t>(std::max<std::int64_t>(r.min_length, 0));
    within.sure = within.least == 0 ? 0 : within.least * 4 - 3;  // a character takes up to four bytes
    within.most = static_cast<std::uint32_t>(r.max_length < 0 ? kMost : std::min(r.max_length, kMost));
  } else if (type.kind == Kind::integer) {
    for (const Bound* bound : {&r.ge, &r.gt, &r.le, &r.lt}) {
      if (bound->kind == Bound::Kind::number) return {};
    }
    constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
    const unsigned dropped = 64 - type.size * 8;
    std::int64_t lowest = type.is_signed ? kLowest >> dropped : 0;
    std::int64_t highest =
        type.is_signed || dropped == 0 ? kHighest >> dropped : static_cast<std::int64_t>(~std::uint64_t{0} >> dropped);
    if (r.ge) lowest = std::max(lowest, r.ge.integer);
    if (r.le) highest = std::min(highest, r.le.integer);
    if ((r.gt && r.gt.integer == kHighest) || (r.lt && r.lt.integer == kLowest)) return {};
    if (r.gt) lowest = std::max(lowest, r.gt.integer + 1);
    if (r.lt) highest = std::min(highest, r.lt.integer - 1);
    within.lowest = lowest;
    within.highest = highest;
  } else if (type.kind == Kind::number) {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    const auto of = [](const Bound& bound) {
      return bound.kind == Bound::Kind::integer ? static_cast<double>(bound.integer) : bound.number;
    };
    within.low = std::numeric_limits<double>::lowest();
    within.high = std::numeric_limits<double>::max();
    if (r.ge) within.low = std::max(within.low, of(r.ge));
    if (r.le) within.high = std::min(within.high, of(r.le));
    if (r.gt) within.low = std::max(within.low, std::nextafter(of(r.gt), kInfinite));
    if (r.lt) within.high = std::min(within.high, std::nextafter(of(r.lt), -kInfinite));
  }
  return within;
}

bool passes_counted(const Rules& r, std::string_view text) noexcept {
  if (!r.plain) return false;
  const auto length = static_cast<std::int64_t>(utf8_length(text));
  return length >= r.min_length && (r.max_length < 0 || length <= r.max_length);
}

std::optional<Failure> check_rules(const TypeInfo& type, void* value) {
  if (!type.rules) return std::nullopt;
  const Rules& r = *type.rules;
  std::optional<Failure> failure;
  // A nullable value's rules are those of what it holds, which has been read with them.
  if (type.kind == Kind::optional || type.kind == Kind::patch || type.kind == Kind::secret) return std::nullopt;
  for (std::size_t i = 0; i < r.transform_count; ++i) r.transforms[i](value);
  switch (type.kind) {
    case Kind::integer:
    case Kind::number:
      failure = check_bounds(
          r, [&](const Bound& bound) { return compare_number(type, value, bound); },
          [&](const Bound& step) { return is_number_multiple(type, value, step); });
      break;
    case Kind::string:
      failure = check_text(r, *static_cast<std::string*>(value));
      break;
    case Kind::value:
      failure = check_value(type, value);
      break;
    case Kind::list:
      failure = check_size(r, type.list->is_set ? "Set" : "List", static_cast<std::int64_t>(type.list->size(value)),
                           type.list->is_set);
      if (!failure && r.unique_items && !type.list->is_set && has_equal_items(type, value)) {
        failure = Failure{"unique_items", "List items should be unique", ""};
      }
      break;
    case Kind::map:
      failure = check_size(r, "Dictionary", static_cast<std::int64_t>(type.map->size(value)));
      break;
    default:
      break;
  }
  for (std::size_t i = 0; !failure && i < r.check_count; ++i) {
    const Rules::Check& check = r.checks[i];
    if (check.passes(value)) continue;
    failure = check.type.empty() ? Failure{"value_error", fmt::format("Value error, {}", check.message), ""}
                                 : Failure{std::string(check.type), std::string(check.message), ""};
  }
  return failure;
}

std::vector<Violation> violations_of(const TypeInfo& type, const void* value) {
  if (!type.object->validate) return {};
  Violations found;
  type.object->validate(value, found);
  std::vector<Violation> all = found.items();
  for (Violation& v : all) {
    if (v.type.empty()) {
      v.type = "value_error";
      v.message.insert(0, "Value error, ");
    }
    auto* name = v.loc.empty() ? nullptr : std::get_if<std::string>(&v.loc.front());
    if (!name) continue;
    for (const MemberState& m : object_state_of(type).members) {
      if (m.name == *name) {
        *name = m.wire;
        break;
      }
    }
  }
  return all;
}

}  // namespace ashlar::schema::detail
