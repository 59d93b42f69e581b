#include <ashlar/schema/detail/scalar.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/regex.hpp>
#include <ashlar/schema/value_words.hpp>

namespace ashlar::schema::detail {
namespace {

std::string bound_text(const Bound& bound) {
  return bound.kind == Bound::Kind::integer ? fmt::format("{}", bound.integer) : fmt::format("{}", bound.number);
}

Failure bound_failure(std::string_view type, std::string_view words, std::string_view key, const Bound& bound) {
  const std::string text = bound_text(bound);
  return {std::string(type), fmt::format("Input should be {} {}", words, text),
          fmt::format("{{\"{}\":{}}}", key, text)};
}

Failure too_large(const TypeInfo& type) {
  const int bits = static_cast<int>(type.size) * 8;
  const std::string limit = type.is_signed ? fmt::format("{}", (std::uint64_t{1} << (bits - 1)) - 1)
                                           : fmt::format("{}", ~std::uint64_t{0} >> (64 - bits));
  return {"less_than_equal", "Input should be less than or equal to " + limit, "{\"le\":" + limit + "}"};
}
Failure too_small(const TypeInfo& type) {
  const std::string limit = type.is_signed ? fmt::format("-{}", std::uint64_t{1} << (type.size * 8 - 1)) : "0";
  return {"greater_than_equal", "Input should be greater than or equal to " + limit, "{\"ge\":" + limit + "}"};
}
Failure beyond_64_bits() {
  return {"int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size", ""};
}

std::optional<Failure> store_whole(const TypeInfo& type, bool negative, std::uint64_t magnitude, void* into) {
  if (store_if_it_fits(type, negative, magnitude, into)) return std::nullopt;
  if (type.is_signed && type.size == 8) return beyond_64_bits();
  return negative ? too_small(type) : too_large(type);
}

std::optional<Failure> store_double(const TypeInfo& type, double value, void* into) {
  if (type.size == sizeof(float)) {
    const auto narrow = static_cast<float>(value);
    if (!std::isfinite(narrow)) return Failure{"finite_number", "Input should be a finite number", ""};
    std::memcpy(into, &narrow, sizeof narrow);
    return std::nullopt;
  }
  if (!std::isfinite(value)) return Failure{"finite_number", "Input should be a finite number", ""};
  std::memcpy(into, &value, sizeof value);
  return std::nullopt;
}

double load_double(const TypeInfo& type, const void* value) {
  if (type.size == sizeof(float)) {
    float narrow;
    std::memcpy(&narrow, value, sizeof narrow);
    return static_cast<double>(narrow);
  }
  double number;
  std::memcpy(&number, value, sizeof number);
  return number;
}

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

template <class Compare, class Multiple>
std::optional<Failure> check_bounds(const Rules& r, Compare compare, Multiple is_multiple) {
  if (r.multiple_of && !is_multiple(r.multiple_of)) {
    return bound_failure("multiple_of", "a multiple of", "multiple_of", r.multiple_of);
  }
  if (r.le && compare(r.le) > 0) return bound_failure("less_than_equal", "less than or equal to", "le", r.le);
  if (r.lt && compare(r.lt) >= 0) return bound_failure("less_than", "less than", "lt", r.lt);
  if (r.ge && compare(r.ge) < 0) return bound_failure("greater_than_equal", "greater than or equal to", "ge", r.ge);
  if (r.gt && compare(r.gt) <= 0) return bound_failure("greater_than", "greater than", "gt", r.gt);
  return std::nullopt;
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
    return Failure{"string_pattern_mismatch", fmt::format("String should match pattern '{}'", r.pattern), ""};
  }
  return std::nullopt;
}

std::optional<Failure> check_size(const Rules& r, std::string_view what, std::int64_t size) {
  if (r.min_length >= 0 && size < r.min_length) {
    return Failure{
        "too_short",
        fmt::format("{} should have at least {} item{} after validation, not {}", what, r.min_length,
                    r.min_length == 1 ? "" : "s", size),
        fmt::format("{{\"field_type\":\"{}\",\"min_length\":{},\"actual_length\":{}}}", what, r.min_length, size)};
  }
  if (r.max_length >= 0 && size > r.max_length) {
    return Failure{
        "too_long",
        fmt::format("{} should have at most {} item{} after validation, not {}", what, r.max_length,
                    r.max_length == 1 ? "" : "s", size),
        fmt::format("{{\"field_type\":\"{}\",\"max_length\":{},\"actual_length\":{}}}", what, r.max_length, size)};
  }
  return std::nullopt;
}

std::optional<Failure> check_bytes(const Rules& r, std::int64_t size) {
  if (r.min_length >= 0 && size < r.min_length) {
    return Failure{"bytes_too_short", fmt::format("Data should have at least {} bytes", r.min_length),
                   fmt::format("{{\"min_length\":{}}}", r.min_length)};
  }
  if (r.max_length >= 0 && size > r.max_length) {
    return Failure{"bytes_too_long", fmt::format("Data should have at most {} bytes", r.max_length),
                   fmt::format("{{\"max_length\":{}}}", r.max_length)};
  }
  return std::nullopt;
}

std::string replaced(std::string_view words, std::string_view reason) {
  std::string out(words);
  if (const auto at = out.find("{error}"); at != std::string::npos) out.replace(at, 7, reason);
  return out;
}

std::optional<Failure> parse_whole(const TypeInfo& type, std::string_view text, void* into) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  std::size_t zeros = 0;
  while (zeros + 1 < digits.size() && digits[zeros] == '0' && is_digit_ascii(digits[zeros + 1])) ++zeros;
  const std::string canonical = (text.starts_with('-') ? "-" : "") + std::string(digits.substr(zeros));
  JsonScanner scanner(canonical);
  Number number;
  if (scanner.read_number(number) && scanner.p == scanner.end) {
    if (auto failure = store_number(type, number, into, false); !failure || failure->type != "int_from_float") {
      return failure;
    }
  }
  return Failure{"int_parsing", "Input should be a valid integer, unable to parse string as an integer", ""};
}

std::optional<Failure> parse_double(const TypeInfo& type, std::string_view text, void* into) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || rest != text.data() + text.size() || error == std::errc::invalid_argument) {
    return Failure{"float_parsing", "Input should be a valid number, unable to parse string as a number", ""};
  }
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(text).c_str(), nullptr);
  return store_double(type, value, into);
}

}  // namespace

void compile_pattern(const Rules& rules) {
  if (rules.regex) (void)regex_of(rules);
}

bool is_scalar(const TypeInfo& type) noexcept {
  switch (type.kind) {
    case Kind::boolean:
    case Kind::integer:
    case Kind::number:
    case Kind::string:
    case Kind::enumeration:
    case Kind::value:
    case Kind::literal:
      return true;
    case Kind::optional:
    case Kind::patch:
    case Kind::secret:
      return is_scalar(*type.inner);
    default:
      return false;
  }
}

std::int64_t load_signed(const TypeInfo& type, const void* value) noexcept {
  switch (type.size) {
    case 1:
      return *static_cast<const std::int8_t*>(value);
    case 2:
      return *static_cast<const std::int16_t*>(value);
    case 4:
      return *static_cast<const std::int32_t*>(value);
    default: {
      std::int64_t wide;
      std::memcpy(&wide, value, sizeof wide);
      return wide;
    }
  }
}

std::uint64_t load_unsigned(const TypeInfo& type, const void* value) noexcept {
  std::uint64_t wide = 0;
  std::memcpy(&wide, value, type.size);  // little-endian
  return wide;
}

std::optional<Failure> store_number(const TypeInfo& type, const Number& number, void* into, bool strict) {
  if (type.kind == Kind::number) return store_double(type, number.to_double(), into);
  if (number.whole && !number.large) [[likely]] {
    return store_whole(type, number.negative, number.digits, into);
  }
  if (number.whole) {
    std::uint64_t magnitude = 0;
    const std::string_view digits = number.text.substr(number.negative);
    const auto [_, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude);
    if (error != std::errc()) return beyond_64_bits();
    return store_whole(type, number.negative, magnitude, into);
  }
  if (strict) return Failure{"int_type", "Input should be a valid integer", ""};
  const double value = number.to_double();
  if (!std::isfinite(value)) return Failure{"finite_number", "Input should be a finite number", ""};
  if (value != std::trunc(value)) {
    return Failure{"int_from_float", "Input should be a valid integer, got a number with a fractional part", ""};
  }
  if (std::fabs(value) >= 18446744073709551616.0) return beyond_64_bits();
  return store_whole(type, value < 0, static_cast<std::uint64_t>(std::fabs(value)), into);
}

Failure enum_failure(const TypeInfo& type) {
  std::string expected;
  for (std::size_t i = 0; i < type.enumeration->count; ++i) {
    if (i > 0) expected += i + 1 == type.enumeration->count ? " or " : ", ";
    expected += fmt::format("'{}'", type.enumeration->enumerators[i].name);
  }
  return {"enum", "Input should be " + expected, fmt::format("{{\"expected\":\"{}\"}}", expected)};
}

Failure type_failure(const TypeInfo& type) {
  switch (type.kind) {
    case Kind::boolean:
      return {"bool_type", "Input should be a valid boolean", ""};
    case Kind::integer:
      return {"int_type", "Input should be a valid integer", ""};
    case Kind::number:
      return {"float_type", "Input should be a valid number", ""};
    case Kind::string:
      return {"string_type", "Input should be a valid string", ""};
    case Kind::enumeration:
      return enum_failure(type);
    case Kind::value:
      return {std::string(type.value->type_error), std::string(type.value->type_message), ""};
    case Kind::literal:
      return {"literal_error", fmt::format("Input should be '{}'", type.text),
              fmt::format("{{\"expected\":\"'{}'\"}}", type.text)};
    case Kind::list:
      return type.list->is_set ? Failure{"set_type", "Input should be a valid set", ""}
                               : Failure{"list_type", "Input should be a valid list", ""};
    case Kind::array:
    case Kind::tuple:
      return {"tuple_type", "Input should be a valid tuple", ""};
    case Kind::map:
      return {"dict_type", "Input should be a valid dictionary", ""};
    case Kind::object:
    case Kind::variant:
      return {"model_attributes_type", "Input should be a valid dictionary or object to extract fields from", ""};
    case Kind::optional:
    case Kind::patch:
    case Kind::secret:
      return type_failure(*type.inner);
    case Kind::json:
    case Kind::string_view:
      break;
  }
  return {"value_error", "Value error, this type cannot be read", ""};
}

std::optional<Failure> parse_scalar(const TypeInfo& type, std::string_view text, void* into) {
  switch (type.kind) {
    case Kind::string:
      if (!is_utf8(text)) {
        return Failure{"string_unicode", "Input should be a valid string, unable to parse raw data as a unicode string",
                       ""};
      }
      static_cast<std::string*>(into)->assign(text);
      return std::nullopt;
    case Kind::boolean: {
      const auto is_one_of = [text](std::initializer_list<std::string_view> words) {
        for (const std::string_view word : words) {
          if (equals_ignore_case(word, text)) return true;
        }
        return false;
      };
      if (is_one_of({"true", "1", "t", "yes", "y", "on"})) {
        *static_cast<bool*>(into) = true;
      } else if (is_one_of({"false", "0", "f", "no", "n", "off"})) {
        *static_cast<bool*>(into) = false;
      } else {
        return Failure{"bool_parsing", "Input should be a valid boolean, unable to interpret input", ""};
      }
      return std::nullopt;
    }
    case Kind::integer:
      return parse_whole(type, text, into);
    case Kind::number:
      return parse_double(type, text, into);
    case Kind::enumeration:
      for (std::size_t i = 0; i < type.enumeration->count; ++i) {
        const Enumerator& e = type.enumeration->enumerators[i];
        if (e.name == text) {
          store_integer(type, static_cast<std::uint64_t>(e.value), into);
          return std::nullopt;
        }
      }
      return enum_failure(type);
    case Kind::value: {
      std::string_view reason;
      if (type.value->parse(text, into, reason)) return std::nullopt;
      if (reason.empty()) reason = type.value->reason;
      return Failure{std::string(type.value->parse_error), replaced(type.value->parse_message, reason),
                     reason.empty() ? "" : fmt::format("{{\"error\":\"{}\"}}", reason)};
    }
    case Kind::literal:
      if (text == type.text) return std::nullopt;
      return type_failure(type);
    case Kind::optional:
    case Kind::patch:
    case Kind::secret: {
      void* inner = type.optional->emplace(into);
      auto failure = parse_scalar(*type.inner, text, inner);
      return failure ? failure : check_rules(*type.inner, inner);
    }
    default:
      return type_failure(type);
  }
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

bool passes_counted(const Rules& r, std::string_view text) noexcept {
  if (!r.plain) return false;
  const auto length = static_cast<std::int64_t>(utf8_length(text));
  return length >= r.min_length && (r.max_length < 0 || length <= r.max_length);
}

std::optional<Failure> check_rules(const TypeInfo& type, void* value) {
  if (!type.rules) return std::nullopt;
  const Rules& r = *type.rules;
  std::optional<Failure> failure;
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
      if (type.value->compare) {
        failure = check_bounds(
            r, [&](const Bound& bound) { return type.value->compare(value, bound); },
            [&](const Bound& step) { return type.value->is_multiple(value, step); });
      } else if (type.value->length) {
        failure = check_bytes(r, static_cast<std::int64_t>(type.value->length(value)));
      }
      break;
    case Kind::list:
      failure = check_size(r, type.list->is_set ? "Set" : "List", static_cast<std::int64_t>(type.list->size(value)));
      break;
    case Kind::map:
      failure = check_size(r, "Dictionary", static_cast<std::int64_t>(type.map->size(value)));
      break;
    case Kind::optional:
    case Kind::patch:
    case Kind::secret:
      return std::nullopt;  // their inner value carries the rules
    default:
      break;
  }
  for (std::size_t i = 0; !failure && i < r.check_count; ++i) {
    if (!r.checks[i].passes(value)) {
      failure = Failure{"value_error", fmt::format("Value error, {}", r.checks[i].message), ""};
    }
  }
  return failure;
}

void append_scalar(const TypeInfo& type, const void* value, std::string& out) {
  switch (type.kind) {
    case Kind::string:
      out += *static_cast<const std::string*>(value);
      break;
    case Kind::boolean:
      out += *static_cast<const bool*>(value) ? "true" : "false";
      break;
    case Kind::integer:
      if (type.is_signed) {
        out += std::to_string(load_signed(type, value));
      } else {
        out += std::to_string(load_unsigned(type, value));
      }
      break;
    case Kind::number:
      out += fmt::format("{}", load_double(type, value));
      break;
    case Kind::enumeration: {
      const auto bits =
          type.is_signed ? load_signed(type, value) : static_cast<std::int64_t>(load_unsigned(type, value));
      for (std::size_t i = 0; i < type.enumeration->count; ++i) {
        if (type.enumeration->enumerators[i].value == bits) out += type.enumeration->enumerators[i].name;
      }
      break;
    }
    case Kind::value:
      type.value->append(value, out);
      break;
    case Kind::literal:
      out += type.text;
      break;
    case Kind::secret:
      out += "**********";
      break;
    case Kind::optional:
    case Kind::patch:
      if (const void* inner = type.optional->get(value)) append_scalar(*type.inner, inner, out);
      break;
    default:
      break;
  }
}

int compare_decimal(const void* decimal, const Bound& bound) {
  const auto& value = *static_cast<const Decimal*>(decimal);
  const Decimal other = bound.kind == Bound::Kind::integer ? Decimal(bound.integer)
                                                           : Decimal::parse(bound_text(bound)).value_or(Decimal());
  const auto order = value <=> other;
  return order < 0 ? -1 : order > 0;
}

bool is_decimal_multiple(const void* decimal, const Bound& step) {
  const Decimal by =
      step.kind == Bound::Kind::integer ? Decimal(step.integer) : Decimal::parse(bound_text(step)).value_or(Decimal());
  return by.is_zero() || static_cast<const Decimal*>(decimal)->is_multiple_of(by);
}

}  // namespace ashlar::schema::detail
