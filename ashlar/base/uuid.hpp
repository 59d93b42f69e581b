// Universally unique identifiers (RFC 9562).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ashlar {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// Random.
  [[nodiscard]] static Uuid v4();
  /// Time-ordered: good as a primary key. Strictly increasing within a thread.
  [[nodiscard]] static Uuid v7();
  /// 36 characters with hyphens, or 32 without; any case; braces and "urn:uuid:" are accepted too.
  [[nodiscard]] static std::optional<Uuid> parse(std::string_view text) noexcept;
  /// Lower case with hyphens.
  [[nodiscard]] std::string to_string() const;
  /// The same, into memory of the caller's.
  void write_to(std::span<char, 36> out) const noexcept;
  void append_to(std::string& out) const;
  [[nodiscard]] int version() const noexcept { return bytes[6] >> 4; }

  auto operator<=>(const Uuid&) const = default;
};

}  // namespace ashlar

template <>
struct std::hash<ashlar::Uuid> {
  std::size_t operator()(const ashlar::Uuid& id) const noexcept {
    // The last eight bytes of every generated version are random.
    std::size_t value;
    __builtin_memcpy(&value, id.bytes.data() + 8, sizeof value);
    return value;
  }
};
