// Byte ranges (RFC 9110 §14).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::http {

/// Bytes from `first` on, `length` of them; at least one.
struct ByteRange {
  std::uint64_t first;
  std::uint64_t length;
  bool operator==(const ByteRange&) const = default;
};

/// So many ranges, and so many that overlap, are answered. More are for nobody but attackers (RFC 9110 §17.15): the
/// whole representation is sent then.
inline constexpr std::size_t kMostRanges = 16;
inline constexpr std::size_t kMostOverlaps = 2;

struct RangeChoice {
  enum class Kind : std::uint8_t {
    whole,          ///< 200: no range is asked for, it cannot be read, or it is of another unit
    parts,          ///< 206
    unsatisfiable,  ///< 416, with Content-Range: bytes */SIZE
  };
  Kind kind = Kind::whole;
  std::vector<ByteRange> ranges = {};  ///< those that can be satisfied, in the order asked for
};

/// Reads a Range header for a representation of `size` bytes.
[[nodiscard]] RangeChoice choose_ranges(std::string_view header, std::uint64_t size);

/// "bytes 0-499/1234"
[[nodiscard]] std::string content_range(const ByteRange& range, std::uint64_t size);

}  // namespace ashlar::http
