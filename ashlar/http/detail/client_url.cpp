#include <ashlar/http/detail/client_url.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/framing.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http::detail {

ClientUrl ClientUrl::parse(std::string_view url) {
  // The message does not repeat the URL, which may hold a secret.
  const auto refuse = [](std::string_view why) {
    throw Invalid(fmt::format("the client cannot use the URL: {}", why));
  };
  ClientUrl parts;
  std::string_view rest = url.substr(0, url.find('#'));
  const std::size_t colon = rest.find("://");
  const std::string_view scheme = rest.substr(0, std::min(colon, rest.size()));
  parts.secure = equal_ignoring_case(scheme, "https");
  if (colon == std::string_view::npos || (!parts.secure && !equal_ignoring_case(scheme, "http"))) {
    refuse("it must begin with http:// or https://");
  }
  rest.remove_prefix(colon + 3);
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  rest.remove_prefix(slash);
  if (!valid_host(authority)) refuse("its host is malformed, or it has a user in it");
  if (!all(rest, kTargetChar)) refuse("its path or query has a character that must be percent-encoded");

  parts.authority = authority;
  parts.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  parts.port = parts.secure ? 443 : 80;
  const std::size_t host_end =
      authority.front() == '[' ? authority.find(']') + 1 : std::min(authority.find(':'), authority.size());
  parts.host = authority.front() == '[' ? authority.substr(1, host_end - 2) : authority.substr(0, host_end);
  if (host_end + 1 < authority.size()) {
    const std::string_view digits = authority.substr(host_end + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parts.port);
    if (error != std::errc() || end != digits.data() + digits.size() || parts.port == 0) refuse("its port is not one");
  }
  std::ranges::transform(parts.host, parts.host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return parts;
}

std::string ClientUrl::origin() const {
  const bool brackets = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", secure ? "https" : "http", brackets ? "[" : "", host, brackets ? "]" : "", port);
}

std::string ClientUrl::resolve(std::string_view location) const {
  const std::string_view scheme = secure ? "https:" : "http:";
  if (location.find("://") != std::string_view::npos && location.find("://") < location.find_first_of("/?#")) {
    return std::string(location);
  }
  if (location.starts_with("//")) return fmt::format("{}{}", scheme, location);
  const std::string_view path = std::string_view(target).substr(0, target.find('?'));
  if (location.starts_with('/')) return fmt::format("{}//{}{}", scheme, authority, location);
  if (location.starts_with('?')) return fmt::format("{}//{}{}{}", scheme, authority, path, location);
  return fmt::format("{}//{}{}{}", scheme, authority, path.substr(0, path.rfind('/') + 1), location);
}

}  // namespace ashlar::http::detail
