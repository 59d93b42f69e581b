#include <ashlar/http/detail/framing.hpp>

#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http::detail {

Refusal parse_length(std::string_view value, std::uint64_t& length) noexcept {
  constexpr std::size_t kMostDigits = 18;  // less than 2^63, so that sums with it do not overflow
  if (value.empty()) return {400, "The Content-Length is empty.", "RFC 9112 §6.3"};
  std::uint64_t sum = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return {400, "The Content-Length must be one decimal number.", "RFC 9112 §6.3"};
    if (value.size() <= kMostDigits) sum = sum * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value.size() > kMostDigits) return {413, "The body is larger than this server allows.", "RFC 9110 §15.5.14"};
  length = sum;
  return {};
}

void TransferCodings::add(std::string_view value) noexcept {
  for_each_element(value, [this](std::string_view coding) {
    chunked_last_ = equal_ignoring_case(coding, "chunked");
    chunked_last_ ? ++chunked_ : other_ = true;
  });
}

Refusal TransferCodings::check() const noexcept {
  if (chunked_ == 1 && chunked_last_ && !other_) return {};
  if (chunked_ > 1) return {400, "A body must not be chunked twice.", "RFC 9112 §7.1"};
  if (!chunked_last_ && chunked_ == 1) return {400, "chunked must be the last transfer coding.", "RFC 9112 §6.1"};
  if (!other_) return {400, "The Transfer-Encoding is empty.", "RFC 9112 §6.1"};
  return {501, "The only transfer coding supported is chunked.", "RFC 9112 §6.1"};
}

bool valid_host(std::string_view host) noexcept {
  if (host.empty()) return true;
  const char* at = host.data();
  const char* const end = at + host.size();
  if (*at == '[') {
    const std::size_t close = host.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    for (const char c : host.substr(1, close - 1)) {
      const bool hex = is(c, kDigit) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
      if (!hex && c != ':' && c != '.') return false;
    }
    at += close + 1;
  } else {
    at = skip(at, end, kHostChar);
    if (at == host.data()) return false;
  }
  if (at == end) return true;
  return *at == ':' && end - at <= 6 && skip(at + 1, end, kDigit) == end;
}

}  // namespace ashlar::http::detail
