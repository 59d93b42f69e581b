#include <ashlar/http/detail/fields.hpp>

namespace ashlar::http::detail {

FieldStep refuse_name(const char* name_start, const char* at, Refusal& refusal) noexcept {
  const char* const token_end = skip(name_start, at, kToken);
  if (token_end != at) {
    refusal = {400, "A header name is malformed.", "RFC 9110 §5.1"};
  } else if (at == name_start && *at == '\r') {
    refusal = {400, "A CR without a LF is not allowed.", "RFC 9112 §2.2"};
  } else if (at == name_start && (*at == ' ' || *at == '\t')) {
    refusal = {400, "A header continued on the next line is not allowed.", "RFC 9112 §5.2"};
  } else if (*at == ' ' || *at == '\t') {
    refusal = {400, "White space between a header's name and its colon is not allowed.", "RFC 9112 §5.1"};
  } else {
    refusal = {400, "A header name is malformed.", "RFC 9110 §5.1"};
  }
  return FieldStep::refused;
}

FieldStep refuse_value(const char* at, Refusal& refusal) noexcept {
  if (*at == '\r') {
    refusal = {400, "A CR without a LF is not allowed.", "RFC 9112 §2.2"};
  } else if (*at == '\n') {
    refusal = {400, "A LF without a CR is not allowed.", "RFC 9112 §2.2"};
  } else {
    refusal = {400, "A header value has a control character.", "RFC 9110 §5.5"};
  }
  return FieldStep::refused;
}

}  // namespace ashlar::http::detail
