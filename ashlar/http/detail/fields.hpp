// The field lines of RFC 9112 §5, as requests and responses share them.
#pragma once

#include <cstdint>
#include <span>

#include <ashlar/http/detail/line_scan.hpp>
#include <ashlar/http/request_parser.hpp>

namespace ashlar::http::detail {

enum class FieldsStep : std::uint8_t { end, more, refused };

/// Why the line where the scan stopped is refused: FieldsEnd::Why::name or value.
[[nodiscard]] Refusal refuse_line(const FieldsEnd& stop) noexcept;

/// Reads the field lines from `at` on, as many at a time as `lines` has room for, and calls take(line, known) for each,
/// until it returns false; moves `at` behind the empty line that ends them. `more`: the bytes end before it. `refused`:
/// with the refusal set, unless take() returned false. `begin` is the start of the buffer.
template <class Take>
[[nodiscard]] FieldsStep read_fields(const char*& at, const char* begin, const char* end, Refusal& refusal,
                                     std::span<Header> lines, Take&& take) {
  const LineScan& scan = line_scan();
  while (true) {
    const FieldsEnd stop = scan.fields(at, begin, end, lines.data(), lines.size());
    for (const Header& line : lines.first(stop.lines)) {
      if (!take(line, find_known_header(line.name))) return FieldsStep::refused;
    }
    at = stop.at;
    switch (stop.why) {
      case FieldsEnd::Why::full:
        continue;
      case FieldsEnd::Why::end:
        return FieldsStep::end;
      case FieldsEnd::Why::more:
        return FieldsStep::more;
      case FieldsEnd::Why::name:
      case FieldsEnd::Why::value:
        refusal = refuse_line(stop);
        return FieldsStep::refused;
    }
  }
}

}  // namespace ashlar::http::detail
