// The scans over a message's head that look at every byte, by the widest vectors that the processor has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <ashlar/http/request.hpp>

namespace ashlar::http::detail {

/// Where a scan over field lines (RFC 9112 §5) stopped, and why.
struct FieldsEnd {
  enum class Why : std::uint8_t {
    full,   // another line, which `at` begins, is good, and there is no room for it
    end,    // `at` is behind the empty line
    more,   // the bytes end within the line that begins at `at`, or right behind the last
    name,   // `at` is where the name of the line at `line` should have ended with a colon
    value,  // `at` is a byte in the line at `line` that no value may have, or a CR without its LF
  };
  Why why;
  std::size_t lines;  // complete and good
  const char* at;
  const char* line;
};

/// One set of scans. All sets give the same for the same bytes. None reads outside [begin, end); `begin` is the start
/// of the buffer, not later than `at`: what is before `at` may be read, and does not count.
struct LineScan {
  std::string_view name;
  /// The first byte from `at` that a request-target may not hold; `end` if there is none.
  const char* (*target)(const char* at, const char* begin, const char* end) noexcept;
  /// Splits lines into names, which are tokens, and values without the white space around them, until `room` are
  /// filled.
  FieldsEnd (*fields)(const char* at, const char* begin, const char* end, Header* lines, std::size_t room) noexcept;
};

/// The set for this processor.
[[nodiscard]] const LineScan& line_scan() noexcept;
/// Every set that this processor can run, the plainest first: for tests.
[[nodiscard]] std::span<const LineScan> line_scans() noexcept;

}  // namespace ashlar::http::detail
