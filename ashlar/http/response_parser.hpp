// The strict parser for the head of an HTTP/1.1 or 1.0 response (RFC 9112), in place; the client's half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http {

enum class ResponseFraming : std::uint8_t { none, length, chunked, until_close };

struct ResponseHead {
  enum class State : std::uint8_t { complete, incomplete, refused };
  State state = State::incomplete;
  int status = 0;
  bool keep_alive = false;
  ResponseFraming framing = ResponseFraming::none;
  std::uint64_t content_length = 0;
  std::size_t head_size = 0;    ///< complete: bytes of the head, the empty line included
  std::vector<Header> headers;  ///< views into the bytes
  Refusal refusal;              ///< refused: `detail` says why; the connection cannot be used any more
};

/// Parses the response head at the start of `bytes`. `to_head`: it answers a HEAD request, so it has no body. As strict
/// as the request's parser: two readings of one message are refused, whoever sends it.
[[nodiscard]] ResponseHead parse_response_head(std::string_view bytes, std::size_t max_head, bool to_head);

}  // namespace ashlar::http
