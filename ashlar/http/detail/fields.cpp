#include <ashlar/http/detail/fields.hpp>

namespace ashlar::http::detail {

Refusal refuse_line(const FieldsEnd& stop) noexcept {
  const char c = *stop.at;
  if (stop.why == FieldsEnd::Why::value) {
    if (c == '\r') return {400, "A CR without a LF is not allowed.", "RFC 9112 §2.2"};
    if (c == '\n') return {400, "A LF without a CR is not allowed.", "RFC 9112 §2.2"};
    return {400, "A header value has a control character.", "RFC 9110 §5.5"};
  }
  const bool first = stop.at == stop.line;
  if (first && c == '\r') return {400, "A CR without a LF is not allowed.", "RFC 9112 §2.2"};
  if (c == ' ' || c == '\t') {
    if (first) return {400, "A header continued on the next line is not allowed.", "RFC 9112 §5.2"};
    return {400, "White space between a header's name and its colon is not allowed.", "RFC 9112 §5.1"};
  }
  return {400, "A header name is malformed.", "RFC 9110 §5.1"};
}

}  // namespace ashlar::http::detail
