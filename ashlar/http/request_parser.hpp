// The strict parser for the head of an HTTP/1.1 or 1.0 request (RFC 9112), in place and without allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ashlar/http/request.hpp>

namespace ashlar::http {

/// Limits of a request head, in bytes.
struct HeadLimits {
  std::size_t max_head = 16 * 1024;   ///< request line and headers together: 431
  std::size_t max_target = 8 * 1024;  ///< request-target: 414
  std::size_t max_headers = 100;      ///< at most Request::kMaxHeaders: 431
};

/// Why a message was refused. `section` names the rule, for tests and logs.
struct Refusal {
  int status = 400;
  std::string_view detail;   ///< one sentence for the client; static storage
  std::string_view section;  ///< "RFC 9112 §6.1"
};

/// How the length of the body is told (RFC 9112 §6.3).
enum class BodyKind : std::uint8_t { none, length, chunked };

struct HeadResult {
  enum class State : std::uint8_t { complete, incomplete, refused };
  State state = State::incomplete;
  BodyKind body_kind = BodyKind::none;
  std::size_t head_size = 0;         ///< complete: bytes of the head, the empty line included
  std::uint64_t content_length = 0;  ///< complete, body_kind == length
  Refusal refusal;                   ///< refused; the connection cannot be used any more
};

/// Parses the request head at the start of `bytes` into `request` (cleared first), whose views point into `bytes`.
/// `incomplete` means that the bytes so far are the start of a head and none of the limits is passed; parse again from
/// the start with more (see HeadScanner for when that is worth it). Refuses everything that two readers could
/// understand in two ways: bare CR or LF, folded lines, space before a colon, control characters, Content-Length
/// together with Transfer-Encoding, repeated or listed lengths, codings other than a single chunked, a missing,
/// repeated or empty Host.
[[nodiscard]] HeadResult parse_request_head(std::string_view bytes, const HeadLimits& limits,
                                            Request& request) noexcept;

/// Tells when an incomplete head is worth parsing again, looking at each byte once: a slow sender of one byte at a time
/// costs linear, not quadratic, time.
class HeadScanner {
 public:
  /// Call with all bytes since the start of the head. True: its end is there, or a bare LF that the parser will refuse.
  [[nodiscard]] bool worth_parsing(std::string_view bytes) noexcept;
  void reset() noexcept { seen_ = 0; }

 private:
  std::size_t seen_ = 0;
};

}  // namespace ashlar::http
