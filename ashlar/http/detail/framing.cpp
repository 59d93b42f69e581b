#include <ashlar/http/detail/framing.hpp>

#include <algorithm>
#include <cstring>

#include <ashlar/base/ip_address.hpp>
#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http::detail {
namespace {

bool hex_digit(char c) noexcept { return is(c, kDigit) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

// The end of a reg-name (RFC 3986 §3.2.2), in which a percent sign begins an encoded byte.
const char* skip_name(const char* at, const char* end) noexcept {
  while (true) {
    at = skip(at, end, kHostChar);
    if (end - at < 3 || *at != '%' || !hex_digit(at[1]) || !hex_digit(at[2])) return at;
    at += 3;
  }
}

bool valid_port(std::string_view digits) noexcept {
  if (digits.size() > 5) return false;
  unsigned port = 0;
  for (const char c : digits) {
    if (!is(c, kDigit)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= 65535;
}

}  // namespace

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
  while (true) {
    const std::size_t comma = value.find(',');
    const std::string_view coding = trim(value.substr(0, comma));
    chunked_last_ = equal_ignoring_case(coding, "chunked");
    if (coding.empty()) {
      empty_ = true;
    } else {
      chunked_last_ ? ++chunked_ : other_ = true;
    }
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

Refusal TransferCodings::check() const noexcept {
  // RFC 9110 §5.6.1 would have empty elements ignored. Nobody means any, but to hide a coding from another reader.
  if (empty_) return {400, "The Transfer-Encoding has an empty element.", "RFC 9112 §6.1"};
  if (chunked_ == 1 && chunked_last_ && !other_) return {};
  if (chunked_ > 1) return {400, "A body must not be chunked twice.", "RFC 9112 §7.1"};
  if (!chunked_last_ && chunked_ == 1) return {400, "chunked must be the last transfer coding.", "RFC 9112 §6.1"};
  return {501, "The only transfer coding supported is chunked.", "RFC 9112 §6.1"};
}

namespace {

bool is_host(std::string_view host) noexcept {
  const char* at = host.data();
  const char* const end = at + host.size();
  if (host.starts_with('[')) {
    const std::size_t close = host.find(']');
    if (close == std::string_view::npos) return false;
    const std::string_view inner = host.substr(1, close - 1);
    const auto address = IpAddress::parse(inner);
    if (!address || address->family != IpAddress::Family::v6 || inner.find('/') != std::string_view::npos) return false;
    at += close + 1;
  } else {
    at = skip_name(at, end);
    if (at == host.data()) return false;
  }
  return at == end || (*at == ':' && valid_port({at + 1, end}));
}

}  // namespace

// Most requests name the host that the one before has named.
bool valid_host(std::string_view host) noexcept {
  struct Known {
    std::size_t size;
    char text[64];
  };
  static constinit thread_local Known last{};
  if (!host.empty() && host.size() == last.size && std::memcmp(host.data(), last.text, last.size) == 0) [[likely]]
    return true;
  if (!is_host(host)) return false;
  if (host.size() <= sizeof last.text) {
    last.size = host.size();
    std::memcpy(last.text, host.data(), host.size());
  }
  return true;
}

// Every field that the server knows is about the message, its way or its sender, and was needed when the head was read.
// Of the others, those that the RFCs forbid by kind: content processing, authentication, modifiers of request and
// response.
bool allowed_trailer(std::string_view name) noexcept {
  constexpr std::string_view kForbidden[] = {"age",         "content-range", "expires", "location", "max-forwards",
                                             "retry-after", "set-cookie",    "vary",    "warning",  "www-authenticate"};
  if (find_known_header(name) != KnownHeader::other) return false;
  const auto begins = [name](std::string_view prefix) {
    return name.size() >= prefix.size() && equal_ignoring_case(name.substr(0, prefix.size()), prefix);
  };
  if (begins("if-") || begins("proxy-") || begins("sec-")) return false;
  return std::ranges::none_of(kForbidden, [name](std::string_view other) { return equal_ignoring_case(name, other); });
}

}  // namespace ashlar::http::detail
