// The field lines of RFC 9112 §5, as requests and responses share them.
#pragma once

#include <cstdint>
#include <string_view>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/request_parser.hpp>

namespace ashlar::http::detail {

enum class FieldStep : std::uint8_t { field, end, more, refused };

/// `at`: where the name would have ended.
FieldStep refuse_name(const char* name_start, const char* at, Refusal& refusal) noexcept;
FieldStep refuse_value(const char* at, Refusal& refusal) noexcept;

/// Reads the line at `at` and moves past it: `field` (header and known set), `end` (the empty line), `more` (the bytes
/// end within it), `refused` (refusal set).
[[nodiscard]] inline FieldStep read_field(const char*& at, const char* end, Header& header, KnownHeader& known,
                                          Refusal& refusal) noexcept {
  const char* const name_start = at;
  at = find_name_end(at, end);
  if (at == end) [[unlikely]]
    return all({name_start, at}, kToken) ? FieldStep::more : refuse_name(name_start, at, refusal);
  if (*at != ':' || at == name_start) [[unlikely]] {
    if (at == name_start && *at == '\r') {
      if (end - at < 2) return FieldStep::more;
      if (at[1] == '\n') {
        at += 2;
        return FieldStep::end;
      }
    }
    return refuse_name(name_start, at, refusal);
  }
  header.name = {name_start, at};
  // A known name is a token: it has no control character before its colon, which is all that could deceive the lookup.
  known = find_known_header(header.name);
  if (known == KnownHeader::other && !all(header.name, kToken)) [[unlikely]]
    return refuse_name(name_start, at, refusal);
  ++at;
  while (at != end && (*at == ' ' || *at == '\t')) ++at;
  const char* const value_start = at;
  at = skip_field_chars(at, end);
  if (at == end || (end - at == 1 && *at == '\r')) [[unlikely]]
    return FieldStep::more;
  if (at[0] != '\r' || at[1] != '\n') [[unlikely]]
    return refuse_value(at, refusal);
  const char* value_end = at;
  while (value_end != value_start && (value_end[-1] == ' ' || value_end[-1] == '\t')) --value_end;
  header.value = {value_start, value_end};
  at += 2;
  return FieldStep::field;
}

}  // namespace ashlar::http::detail
