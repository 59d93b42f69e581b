// The field lines of RFC 9112 §5, as requests and responses share them.
#pragma once

#include <cstdint>
#include <string_view>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/request_parser.hpp>

namespace ashlar::http::detail {

enum class FieldStep : std::uint8_t { field, end, more, refused };

[[nodiscard]] Refusal why_not_a_name(const char* name_start, const char* at) noexcept;
[[nodiscard]] Refusal why_not_a_value(const char* at) noexcept;

/// Reads the line at `at` and moves past it: `field` (name and value set), `end` (the empty line), `more` (the bytes
/// end within it), `refused` (refusal set).
[[nodiscard]] inline FieldStep read_field(const char*& at, const char* end, Header& header, Refusal& refusal) noexcept {
  const char* const name_start = at;
  at = skip(at, end, kToken);
  if (at == end) [[unlikely]]
    return FieldStep::more;
  if (*at != ':' || at == name_start) [[unlikely]] {
    if (at == name_start && *at == '\r') {
      if (end - at < 2) return FieldStep::more;
      if (at[1] == '\n') {
        at += 2;
        return FieldStep::end;
      }
    }
    refusal = why_not_a_name(name_start, at);
    return FieldStep::refused;
  }
  header.name = {name_start, at};
  ++at;
  while (at != end && (*at == ' ' || *at == '\t')) ++at;
  const char* const value_start = at;
  at = skip_field_chars(at, end);
  if (at == end || (end - at == 1 && *at == '\r')) [[unlikely]]
    return FieldStep::more;
  if (at[0] != '\r' || at[1] != '\n') [[unlikely]] {
    refusal = why_not_a_value(at);
    return FieldStep::refused;
  }
  const char* value_end = at;
  while (value_end != value_start && (value_end[-1] == ' ' || value_end[-1] == '\t')) --value_end;
  header.value = {value_start, value_end};
  at += 2;
  return FieldStep::field;
}

}  // namespace ashlar::http::detail
