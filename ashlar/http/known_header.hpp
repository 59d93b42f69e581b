// The header fields that the server itself or most programs read, resolved to a number while a head is parsed, so that
// looking one up is an array access.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ashlar::http {

enum class KnownHeader : std::uint8_t {
  other,  // not in this list: look it up by name
  host,
  connection,
  content_length,
  transfer_encoding,
  content_type,
  content_encoding,
  authorization,
  accept,
  accept_encoding,
  accept_language,
  cookie,
  expect,
  origin,
  referer,
  user_agent,
  upgrade,
  if_match,
  if_none_match,
  if_modified_since,
  if_unmodified_since,
  if_range,
  range,
  cache_control,
  te,
  trailer,
  date,
  forwarded,
  x_forwarded_for,
  x_forwarded_proto,
  x_forwarded_host,
  x_real_ip,
  x_request_id,
  traceparent,
  tracestate,
  baggage,
  idempotency_key,
  sec_websocket_key,
  sec_websocket_version,
  sec_websocket_protocol,
  sec_websocket_extensions,
  access_control_request_method,
  access_control_request_headers,
  last_event_id,
  x_csrf_token,
  x_api_key,
  sec_fetch_site,
  sec_fetch_mode,
  sec_fetch_dest,
  x_requested_with,
  prefer,
  keep_alive,
  proxy_connection,
  via,
  pragma,
  x_request_timeout_ms,
};

inline constexpr std::size_t kKnownHeaderCount = 56;  ///< `other` included
static_assert(static_cast<std::size_t>(KnownHeader::x_request_timeout_ms) + 1 == kKnownHeaderCount);
static_assert(kKnownHeaderCount <= 64, "the parser keeps which headers it saw in one word");

/// The header with this name in any case, or `other`. Expects a token (RFC 9110 §5.6.2); about 15 instructions.
[[nodiscard]] KnownHeader find_known_header(std::string_view name) noexcept;

/// The lower-case name; empty for `other`.
[[nodiscard]] std::string_view to_string(KnownHeader header) noexcept;

/// ASCII case-insensitive equality, as field names compare (RFC 9110 §5.1).
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace ashlar::http
