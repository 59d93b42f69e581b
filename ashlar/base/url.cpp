#include <ashlar/base/url.hpp>

#include <algorithm>
#include <utility>

#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar {
namespace {

constexpr std::size_t kMaxLength = 65536;

bool is_hex(char c) { return is_digit_ascii(c) || (to_lower_ascii(c) >= 'a' && to_lower_ascii(c) <= 'f'); }

// Unreserved, sub-delims, percent-encoded, and what `extra` adds. Bytes above ASCII are let through in path, query and
// fragment: people paste them, and every client encodes them the same way.
bool is_allowed(std::string_view text, std::string_view extra, bool beyond_ascii) {
  constexpr std::string_view kAlways = "-._~!$&'()*+,;=";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
      i += 2;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      if (!beyond_ascii) return false;
    } else if (!is_alpha_ascii(c) && !is_digit_ascii(c) && kAlways.find(c) == std::string_view::npos &&
               extra.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_host_name(std::string_view host) {
  if (host.size() > 253) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i < host.size(); ++i) {
    const char c = host[i];
    if (c == '.') {
      if (label == 0 || host[i - 1] == '-') return false;
      label = 0;
      continue;
    }
    if (!is_alpha_ascii(c) && !is_digit_ascii(c) && c != '_' && (c != '-' || label == 0)) return false;
    if (++label > 63) return false;
  }
  return host.back() != '-';
}

std::uint16_t default_port(std::string_view scheme) {
  if (scheme == "http" || scheme == "ws") return 80;
  if (scheme == "https" || scheme == "wss") return 443;
  return 0;
}

}  // namespace

std::expected<Url, std::string_view> Url::parse_or_reason(std::string_view text) {
  const auto fail = [](std::string_view why) { return std::unexpected(why); };
  if (text.empty()) return fail("input is empty");
  if (text.size() > kMaxLength) return fail("input is too long");
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !is_alpha_ascii(text[0])) {
    return fail("relative URL without a base");
  }
  Url url;
  url.text_.reserve(text.size() + 1);
  for (const char c : text.substr(0, colon)) {
    if (!is_alpha_ascii(c) && !is_digit_ascii(c) && c != '+' && c != '-' && c != '.') {
      return fail("relative URL without a base");
    }
    url.text_ += to_lower_ascii(c);
  }
  url.scheme_end_ = static_cast<std::uint32_t>(colon);
  if (text.substr(colon, 3) != "://") return fail("expected `://` after the scheme");
  url.text_ += "://";

  const auto authority_begin = colon + 3;
  const auto authority_end = std::min(text.find_first_of("/?#", authority_begin), text.size());
  std::string_view authority = text.substr(authority_begin, authority_end - authority_begin);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    if (!is_allowed(authority.substr(0, at), ":", false)) return fail("invalid character in user name or password");
    url.text_ += authority.substr(0, at);
    url.userinfo_end_ = static_cast<std::uint32_t>(url.text_.size());
    url.text_ += '@';
    authority.remove_prefix(at + 1);
  } else {
    url.userinfo_end_ = static_cast<std::uint32_t>(url.text_.size());
  }
  std::string_view host = authority, port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return fail("invalid IPv6 address");
    host = authority.substr(1, close - 1);
    const auto address = IpAddress::parse(host);
    if (!address || address->family != IpAddress::Family::v6 || host.find('/') != std::string_view::npos) {
      return fail("invalid IPv6 address");
    }
    std::string_view rest = authority.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return fail("invalid port number");
    if (!rest.empty()) {
      has_port = true;
      port = rest.substr(1);
    }
    url.text_ += '[';
    url.host_begin_ = static_cast<std::uint32_t>(url.text_.size());
    url.text_ += to_lower_ascii(host);
    url.host_end_ = static_cast<std::uint32_t>(url.text_.size());
    url.text_ += ']';
  } else {
    if (const auto at = authority.rfind(':'); at != std::string_view::npos) {
      host = authority.substr(0, at);
      port = authority.substr(at + 1);
      has_port = true;
    }
    const std::string_view scheme = url.scheme();
    if (host.empty() && (default_port(scheme) != 0 || has_port || url.userinfo_end_ > url.scheme_end_ + 3)) {
      return fail("empty host");
    }
    if (!host.empty() && !is_host_name(host)) {
      return fail(is_utf8(host) && utf8_length(host) != host.size() ? "invalid international domain name"
                                                                    : "invalid domain character");
    }
    url.host_begin_ = static_cast<std::uint32_t>(url.text_.size());
    url.text_ += to_lower_ascii(host);
    url.host_end_ = static_cast<std::uint32_t>(url.text_.size());
  }
  if (has_port) {
    unsigned value = 0;
    if (port.size() > 5) return fail("invalid port number");
    for (const char c : port) {
      if (!is_digit_ascii(c)) return fail("invalid port number");
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 65535) return fail("invalid port number");
    url.port_ = static_cast<std::uint16_t>(value);
    if (!port.empty()) {
      url.text_ += ':';
      url.text_ += port;
    }
  }
  url.authority_end_ = static_cast<std::uint32_t>(url.text_.size());

  const auto path_end = std::min(text.find_first_of("?#", authority_end), text.size());
  const std::string_view path = text.substr(authority_end, path_end - authority_end);
  const auto query_end = std::min(text.find('#', path_end), text.size());
  const std::string_view query = text.substr(path_end, query_end - path_end), fragment = text.substr(query_end);
  if (!is_utf8(text)) return fail("input is not valid UTF-8");
  if (!is_allowed(path, ":@/", true)) return fail("invalid character in path");
  if (!is_allowed(query, ":@/?[]", true)) return fail("invalid character in query");
  if (!is_allowed(fragment.substr(fragment.empty() ? 0 : 1), ":@/?[]", true)) {
    return fail("invalid character in fragment");
  }
  if (path.empty() && default_port(url.scheme()) != 0) {
    url.text_ += '/';
  } else {
    url.text_ += path;
  }
  url.path_end_ = static_cast<std::uint32_t>(url.text_.size());
  url.text_ += query;
  url.query_end_ = static_cast<std::uint32_t>(url.text_.size());
  url.text_ += fragment;
  return url;
}

std::optional<Url> Url::parse(std::string_view text) {
  auto url = parse_or_reason(text);
  if (!url) return std::nullopt;
  return std::move(*url);
}

std::string_view Url::host() const noexcept { return part(host_begin_, host_end_); }
std::uint16_t Url::port() const noexcept { return port_ != 0 ? port_ : default_port(scheme()); }
std::string_view Url::query() const noexcept { return part(path_end_ + 1, query_end_); }
std::string_view Url::fragment() const noexcept {
  return part(query_end_ + 1, static_cast<std::uint32_t>(text_.size()));
}

}  // namespace ashlar
