// Codec<T>: how a C++ type travels to and from PostgreSQL, in binary. One specialisation a type, and nothing else to
// touch.
//
//   template <> struct pg::Codec<Point> {
//     static bool accepts(const TypeMap& types, Oid type);             // columns and parameters that it fits
//     static void encode(Params& out, const Point& value);             // one call of Params
//     static void decode(Oid type, std::string_view bytes, Point& out);  // throws pg::BadValue
//   };
//
// Optional: `accepts_parameter` where parameters differ from columns. NULL is std::optional's, never a codec's.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/type_map.hpp>
#include <ashlar/pg/values.hpp>

namespace ashlar::pg {

template <class T>
struct Codec;

template <class T>
concept HasCodec = requires(const TypeMap& types, Params& params, const T& value, T& out, std::string_view bytes) {
  Codec<T>::accepts(types, Oid{});
  Codec<T>::encode(params, value);
};

/// A value that its C++ type cannot hold. The reader of the row adds query, column and place.
class BadValue : public Internal {
 public:
  using Internal::Internal;
};

namespace detail {

[[noreturn]] void bad_length(std::string_view bytes, std::size_t expected);
[[noreturn]] void bad_value(std::string_view what);
[[noreturn]] void bad_type(Oid type);
[[noreturn]] void out_of_range(std::int64_t value, std::size_t bits);

template <class Int>
Int load(std::string_view bytes) {
  if (bytes.size() != sizeof(Int)) [[unlikely]]
    bad_length(bytes, sizeof(Int));
  Int value;
  __builtin_memcpy(&value, bytes.data(), sizeof value);
  if constexpr (sizeof(Int) > 1) value = std::byteswap(value);
  return value;
}

/// Any PostgreSQL integer.
inline std::int64_t load_integer(Oid type, std::string_view bytes) {
  switch (bytes.size()) {
    case 8:
      return load<std::int64_t>(bytes);
    case 4:
      return type == oid::oid ? static_cast<std::int64_t>(load<std::uint32_t>(bytes)) : load<std::int32_t>(bytes);
    case 2:
      return load<std::int16_t>(bytes);
    default:
      bad_length(bytes, 8);
  }
}

inline bool is_text(const TypeMap& types, Oid type) {
  type = types.base(type);
  return type == oid::text || type == oid::varchar || type == oid::bpchar || type == oid::name ||
         type == oid::character || type == oid::unknown || type == oid::xml ||
         types.kind(type) == TypeKind::enumeration || types.name(type) == "citext";
}
inline bool is_json(Oid type) noexcept { return type == oid::json || type == oid::jsonb; }
/// Text of a text or json value; drops jsonb's version byte, and the zero byte that is the empty value of "char".
std::string_view text_of(Oid type, std::string_view bytes);

/// Microseconds from 1970, where DateTime counts from, to 2000, where PostgreSQL does.
inline constexpr std::int64_t kPgEpochMicros = 946'684'800'000'000;
/// Microseconds since 2000 to microseconds since 1970; infinities stay the ends of the range. Throw BadValue and
/// BadArgument beyond the years that the other side can hold.
std::int64_t from_pg_micros(std::int64_t micros);
std::int64_t to_pg_micros(std::int64_t micros);

/// Walks the elements of a one-dimensional array on the wire.
class ArrayReader {
 public:
  explicit ArrayReader(std::string_view bytes);
  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  [[nodiscard]] Oid element() const noexcept { return element_; }
  /// The next element; nullopt: NULL.
  std::optional<std::string_view> next();

 private:
  std::string_view rest_;
  std::uint32_t count_ = 0;
  Oid element_ = 0;
};

}  // namespace detail

template <>
struct Codec<bool> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::boolean; }
  static void encode(Params& out, bool value) {
    const char byte = value ? 1 : 0;
    out.bytes(&byte, 1);
  }
  static void decode(Oid, std::string_view bytes, bool& out) { out = detail::load<std::uint8_t>(bytes) != 0; }
};

/// Columns must fit without loss: int4 into std::int64_t, not the other way. An argument may have any integer type; its
/// value is checked.
template <class T>
  requires(std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>)
struct Codec<T> {
  static constexpr unsigned kBits = sizeof(T) * 8 - (std::is_unsigned_v<T> ? 1 : 0);
  static bool accepts(const TypeMap& types, Oid type) {
    switch (types.base(type)) {
      case oid::int2:
        return kBits >= 15;
      case oid::int4:
        return kBits >= 31;
      case oid::int8:
        return kBits >= 63;
      case oid::oid:
        return kBits >= 33 || std::is_same_v<T, std::uint32_t>;
      default:
        return false;
    }
  }
  static bool accepts_parameter(const TypeMap& types, Oid type) {
    type = types.base(type);
    return type == oid::int2 || type == oid::int4 || type == oid::int8 || type == oid::oid || type == oid::numeric ||
           type == oid::float8;
  }
  static void encode(Params& out, T value) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8) {
      if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max()))
        return out.numeric(std::to_string(value));  // fits numeric only
    }
    out.integer(static_cast<std::int64_t>(value));
  }
  static void decode(Oid type, std::string_view bytes, T& out) {
    const std::int64_t value = detail::load_integer(type, bytes);
    if constexpr (sizeof(T) < 8 || std::is_unsigned_v<T>) {
      if (!std::in_range<T>(value)) [[unlikely]]
        detail::out_of_range(value, sizeof(T) * 8);
    }
    out = static_cast<T>(value);
  }
};

template <std::floating_point T>
struct Codec<T> {
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    return type == oid::float4 || (type == oid::float8 && sizeof(T) >= 8);
  }
  static bool accepts_parameter(const TypeMap& types, Oid type) {
    type = types.base(type);
    return type == oid::float4 || type == oid::float8;
  }
  static void encode(Params& out, T value) { out.real(static_cast<double>(value)); }
  static void decode(Oid, std::string_view bytes, T& out) {
    out = bytes.size() == 4 ? static_cast<T>(std::bit_cast<float>(detail::load<std::uint32_t>(bytes)))
                            : static_cast<T>(std::bit_cast<double>(detail::load<std::uint64_t>(bytes)));
  }
};

/// Text types, enums and JSON as its text.
template <>
struct Codec<std::string> {
  static bool accepts(const TypeMap& types, Oid type) {
    return detail::is_text(types, type) || detail::is_json(types.base(type));
  }
  static void encode(Params& out, std::string_view value) { out.text(value); }
  static void decode(Oid type, std::string_view bytes, std::string& out);
};
/// Arguments only.
template <>
struct Codec<std::string_view> {
  static bool accepts(const TypeMap& types, Oid type) { return Codec<std::string>::accepts(types, type); }
  static void encode(Params& out, std::string_view value) { out.text(value); }
};

template <>
struct Codec<Bytes> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::bytea; }
  static void encode(Params& out, const Bytes& value) { out.bytes(value.data(), value.size()); }
  static void decode(Oid, std::string_view bytes, Bytes& out) { out = Bytes::copy_of(bytes); }
};

template <>
struct Codec<Uuid> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::uuid; }
  static void encode(Params& out, const Uuid& value) { out.bytes(value.bytes.data(), 16); }
  static void decode(Oid, std::string_view bytes, Uuid& out) {
    if (bytes.size() != 16) detail::bad_length(bytes, 16);
    __builtin_memcpy(out.bytes.data(), bytes.data(), 16);
  }
};

/// Exact, with the scale of the column. NaN and infinities have no Decimal: BadValue.
template <>
struct Codec<Decimal> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::numeric; }
  static void encode(Params& out, const Decimal& value) { out.numeric(value.to_string()); }
  static void decode(Oid, std::string_view bytes, Decimal& out);
};

template <>
struct Codec<Date> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::date; }
  static void encode(Params& out, Date value);
  static void decode(Oid, std::string_view bytes, Date& out);
};
template <>
struct Codec<TimeOfDay> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::time; }
  static void encode(Params& out, TimeOfDay value);
  static void decode(Oid, std::string_view bytes, TimeOfDay& out) { out.micros = detail::load<std::int64_t>(bytes); }
};
template <>
struct Codec<TimeWithZone> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::timetz; }
  static void encode(Params& out, TimeWithZone value);
  static void decode(Oid, std::string_view bytes, TimeWithZone& out);
};
/// timestamptz. A timestamp without time zone is no point in time: see LocalDateTime.
template <>
struct Codec<DateTime> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::timestamptz; }
  static void encode(Params& out, DateTime value);
  static void decode(Oid, std::string_view bytes, DateTime& out) {
    out.micros = detail::from_pg_micros(detail::load<std::int64_t>(bytes));
  }
};
template <>
struct Codec<LocalDateTime> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::timestamp; }
  static void encode(Params& out, LocalDateTime value);
  static void decode(Oid, std::string_view bytes, LocalDateTime& out) {
    out.micros = detail::from_pg_micros(detail::load<std::int64_t>(bytes));
  }
};
template <>
struct Codec<Interval> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::interval; }
  static void encode(Params& out, Interval value);
  static void decode(Oid, std::string_view bytes, Interval& out);
};
/// An interval; one that has months is BadValue: they have no fixed length. A day counts 24 hours.
template <>
struct Codec<Duration> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::interval; }
  static void encode(Params& out, Duration value) { Codec<Interval>::encode(out, {.micros = value.micros}); }
  static void decode(Oid, std::string_view bytes, Duration& out);
};
template <>
struct Codec<IpAddress> {
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    return type == oid::inet || type == oid::cidr;
  }
  static void encode(Params& out, const IpAddress& value);
  static void decode(Oid, std::string_view bytes, IpAddress& out);
};

template <class T>
struct Codec<Secret<T>> {
  static bool accepts(const TypeMap& types, Oid type) { return Codec<T>::accepts(types, type); }
  static void encode(Params& out, const Secret<T>& value) { Codec<T>::encode(out, value.reveal()); }
  static void decode(Oid type, std::string_view bytes, Secret<T>& out) {
    T value{};
    Codec<T>::decode(type, bytes, value);
    out = Secret<T>(std::move(value));
  }
};

/// A struct as an argument travels as JSON; see codec_schema.hpp.
template <class T>
struct StructArgument;

template <class T>
void encode_value(Params& out, const T& value) {
  if constexpr (HasCodec<T>) {
    Codec<T>::encode(out, value);
  } else {
    StructArgument<T>::encode(out, value);
  }
}
template <class T>
void encode_value(Params& out, const std::optional<T>& value) {
  if (value) {
    encode_value(out, *value);
  } else {
    out.null();
  }
}

template <class T>
bool accepts_parameter(const TypeMap& types, Oid type) {
  if constexpr (requires { Codec<T>::accepts_parameter(types, type); }) {
    return Codec<T>::accepts_parameter(types, type);
  } else if constexpr (HasCodec<T>) {
    return Codec<T>::accepts(types, type);
  } else {
    return detail::is_json(types.base(type));
  }
}

template <class T>
struct Codec<Range<T>> {
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    return types.kind(type) == TypeKind::range && Codec<T>::accepts(types, types.element(type));
  }
  static bool accepts_parameter(const TypeMap& types, Oid type) {
    type = types.base(type);
    return types.kind(type) == TypeKind::range && pg::accepts_parameter<T>(types, types.element(type));
  }
  static void encode(Params& out, const Range<T>& value) {
    out.begin_range(value.flags());
    if (value.empty) return;
    if (value.lower) Codec<T>::encode(out, *value.lower);
    if (value.upper) Codec<T>::encode(out, *value.upper);
  }
  static void decode(Oid type, std::string_view bytes, Range<T>& out) {
    const RangeBounds bounds = range_bounds(type, bytes);
    out = Range<T>{};
    out.empty = bounds.empty;
    out.lower_inclusive = bounds.lower_inclusive;
    out.upper_inclusive = bounds.upper_inclusive;
    if (bounds.lower) Codec<T>::decode(bounds.element, *bounds.lower, out.lower.emplace());
    if (bounds.upper) Codec<T>::decode(bounds.element, *bounds.upper, out.upper.emplace());
  }
};

// The element of a vector: T, or optional<T> where elements may be NULL.
template <class T>
struct ElementCodec {
  using Inner = T;
  static void decode(Oid type, std::optional<std::string_view> bytes, T& out) {
    if (!bytes) detail::bad_value("a NULL inside the array (use std::vector<std::optional<…>>)");
    Codec<T>::decode(type, *bytes, out);
  }
};
template <class T>
struct ElementCodec<std::optional<T>> {
  using Inner = T;
  static void decode(Oid type, std::optional<std::string_view> bytes, std::optional<T>& out) {
    if (bytes) Codec<T>::decode(type, *bytes, out.emplace());
  }
};

template <class T>
  requires HasCodec<typename ElementCodec<T>::Inner>
struct Codec<std::vector<T>> {
  using Inner = typename ElementCodec<T>::Inner;
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    return types.kind(type) == TypeKind::array && Codec<Inner>::accepts(types, types.element(type));
  }
  static bool accepts_parameter(const TypeMap& types, Oid type) {
    type = types.base(type);
    return types.kind(type) == TypeKind::array && pg::accepts_parameter<Inner>(types, types.element(type));
  }
  static void encode(Params& out, const std::vector<T>& value) {
    out.begin_array(static_cast<std::uint32_t>(value.size()));
    for (const auto& element : value) encode_value(out, static_cast<const T&>(element));
  }
  static void decode(Oid, std::string_view bytes, std::vector<T>& out) {
    detail::ArrayReader in(bytes);
    out.clear();
    out.reserve(in.size());
    for (std::uint32_t i = 0; i < in.size(); ++i) {
      T element{};
      ElementCodec<T>::decode(in.element(), in.next(), element);
      out.push_back(std::move(element));
    }
  }
};

}  // namespace ashlar::pg
