// Types that few programs have, with their codecs: macaddr, bit and varbit, point, and hstore and vector of the
// extensions of these names. Include it where you use one.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/codec_schema.hpp>

namespace ashlar::pg {

/// `macaddr`. Text: `08:00:2b:01:02:03`; read in either case, with `-` or `:`.
struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  [[nodiscard]] static std::optional<MacAddress> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const MacAddress&) const = default;
};

/// `macaddr8`: EUI-64. Text: `08:00:2b:01:02:03:04:05`.
struct MacAddress8 {
  std::array<std::uint8_t, 8> bytes{};
  [[nodiscard]] static std::optional<MacAddress8> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const MacAddress8&) const = default;
};

/// `bit(n)` and `varbit`. Text: `0110`.
class BitString {
 public:
  BitString() = default;
  /// All zero.
  explicit BitString(std::size_t size) : bytes_((size + 7) / 8, 0), size_(size) {}

  [[nodiscard]] static std::optional<BitString> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  /// The first bit is the leftmost of the text. The index must be smaller than size().
  [[nodiscard]] bool operator[](std::size_t index) const noexcept {
    return (bytes_[index / 8] & (0x80U >> (index % 8))) != 0;
  }
  void set(std::size_t index, bool value) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Eight bits a byte, the first one highest; the rest of the last byte is zero.
  [[nodiscard]] std::string_view bytes() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  bool operator==(const BitString&) const = default;

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t size_ = 0;
};

/// `point`.
struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

/// `hstore`: keys with texts, or NULL. (https://www.postgresql.org/docs/current/hstore.html)
struct Hstore {
  std::map<std::string, std::optional<std::string>> values;
  bool operator==(const Hstore&) const = default;
};

/// `vector` of the extension pgvector: at most 16 000 numbers.
struct Vector {
  std::vector<float> values;
  bool operator==(const Vector&) const = default;
};

template <>
struct Codec<MacAddress> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::macaddr; }
  static void encode(Params& out, const MacAddress& value) { out.bytes(value.bytes.data(), 6); }
  static void decode(Oid type, std::string_view bytes, MacAddress& out);
};
template <>
struct Codec<MacAddress8> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::macaddr8; }
  static void encode(Params& out, const MacAddress8& value) { out.bytes(value.bytes.data(), 8); }
  static void decode(Oid type, std::string_view bytes, MacAddress8& out);
};
template <>
struct Codec<BitString> {
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    return type == oid::bit || type == oid::varbit;
  }
  static void encode(Params& out, const BitString& value);
  static void decode(Oid type, std::string_view bytes, BitString& out);
};
template <>
struct Codec<Point> {
  static bool accepts(const TypeMap& types, Oid type) { return types.base(type) == oid::point; }
  static void encode(Params& out, Point value);
  static void decode(Oid type, std::string_view bytes, Point& out);
};
/// The numbers of the types of extensions differ from database to database: they are known by name.
template <>
struct Codec<Hstore> {
  static bool accepts(const TypeMap& types, Oid type) { return types.name(types.base(type)) == "hstore"; }
  static void encode(Params& out, const Hstore& value);
  static void decode(Oid type, std::string_view bytes, Hstore& out);
};
template <>
struct Codec<Vector> {
  static bool accepts(const TypeMap& types, Oid type) { return types.name(types.base(type)) == "vector"; }
  static void encode(Params& out, const Vector& value);
  static void decode(Oid type, std::string_view bytes, Vector& out);
};

}  // namespace ashlar::pg
