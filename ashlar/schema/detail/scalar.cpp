#include <ashlar/schema/detail/scalar.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <mutex>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/values.hpp>

namespace ashlar::schema::detail {
namespace {

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

bool is_scalar(const TypeInfo& type) noexcept {
  switch (type.kind) {
    case Kind::null:
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

double load_double(const TypeInfo& type, const void* value) noexcept {
  if (type.size == sizeof(float)) {
    float narrow;
    std::memcpy(&narrow, value, sizeof narrow);
    return static_cast<double>(narrow);
  }
  double number;
  std::memcpy(&number, value, sizeof number);
  return number;
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
  Choices choices;
  for (std::size_t i = 0; i < type.enumeration->count; ++i) choices.add(type.enumeration->enumerators[i].name);
  const std::string expected = choices.text();
  return {"enum", "Input should be " + expected, fmt::format("{{\"expected\":\"{}\"}}", expected)};
}

Failure type_failure(const TypeInfo& type) {
  switch (type.kind) {
    case Kind::null:
      return {"none_required", "Input should be None", ""};
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
      return {"list_type", "Input should be a valid list", ""};
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

std::string type_label(const TypeInfo& type) {
  const auto joined = [](const TypeInfo* const* types) {
    std::string out;
    for (; *types; ++types) out += (out.empty() ? "" : ",") + type_label(**types);
    return out;
  };
  switch (type.kind) {
    case Kind::null:
      return "none";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::number:
      return "float";
    case Kind::string:
    case Kind::string_view:
      return "str";
    case Kind::optional:
    case Kind::patch:
    case Kind::secret:
      return type_label(*type.inner);
    case Kind::list:
    case Kind::array:
      return (type.kind == Kind::list && type.list->is_set ? "set[" : "list[") + type_label(*type.inner) + ']';
    case Kind::tuple:
      return "tuple[" + joined(type.tuple->types) + ']';
    case Kind::map:
      return "dict[" + type_label(*type.map->key) + ',' + type_label(*type.inner) + ']';
    case Kind::variant:
      return "union[" + joined(type.variant->types) + ']';
    case Kind::literal:
      return fmt::format("literal['{}']", type.text);
    case Kind::json:
      return "json";
    case Kind::value:
      switch (type.value->builtin) {
        case Builtin::bytes:
          return "bytes";
        case Builtin::date_time:
          return "datetime";
        case Builtin::duration:
          return "timedelta";
        case Builtin::url:
          return "url";
        default:
          return std::string(type.value->format.empty() ? "value" : type.value->format);
      }
    case Kind::enumeration:
    case Kind::object:
      break;
  }
  return component_name(type.name);
}

std::optional<Failure> parse_scalar(const TypeInfo& type, std::string_view text, void* into, bool strict) {
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
    case Kind::value:
      return parse_value(type, text, into, strict);
    case Kind::null:
      if (text.empty() || text == "null") return std::nullopt;
      return type_failure(type);
    case Kind::literal:
      if (text == type.text) return std::nullopt;
      return type_failure(type);
    case Kind::optional:
    case Kind::patch:
    case Kind::secret: {
      void* inner = type.optional->emplace(into);
      auto failure = parse_scalar(*type.inner, text, inner, strict);
      return failure ? failure : check_rules(*type.inner, inner);
    }
    default:
      return type_failure(type);
  }
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

}  // namespace ashlar::schema::detail
