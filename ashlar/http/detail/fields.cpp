#include <ashlar/http/detail/fields.hpp>

namespace ashlar::http::detail {

Refusal why_not_a_name(const char* name_start, const char* at) noexcept {
  if (at == name_start && *at == '\r') return {400, "A CR without a LF is not allowed.", "RFC 9112 §2.2"};
  if (at == name_start && (*at == ' ' || *at == '\t')) {
    return {400, "A header continued on the next line is not allowed.", "RFC 9112 §5.2"};
  }
  if (*at == ' ' || *at == '\t') {
    return {400, "White space between a header's name and its colon is not allowed.", "RFC 9112 §5.1"};
  }
  return {400, "A header name is malformed.", "RFC 9110 §5.1"};
}

Refusal why_not_a_value(const char* at) noexcept {
  if (*at == '\r') return {400, "A CR without a LF is not allowed.", "RFC 9112 §2.2"};
  if (*at == '\n') return {400, "A LF without a CR is not allowed.", "RFC 9112 §2.2"};
  return {400, "A header value has a control character.", "RFC 9110 §5.5"};
}

}  // namespace ashlar::http::detail
