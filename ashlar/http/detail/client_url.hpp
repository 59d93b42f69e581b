// The parts of an http or https URL that a client needs (RFC 9110 §4.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ashlar::http::detail {

struct ClientUrl {
  bool secure = false;
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string authority;  ///< as written: for the Host header
  std::string target;     ///< path and query, at least "/"

  /// Throws Invalid for anything that is not an absolute http or https URL, has a user in it, or has characters that
  /// must be percent-encoded. The fragment is dropped.
  static ClientUrl parse(std::string_view url);

  /// "http://host:80": what a connection can be shared by.
  [[nodiscard]] std::string origin() const;
  /// The URL that a Location header names, seen from this one (RFC 3986 §5.2, without dot segments: servers take them).
  [[nodiscard]] std::string resolve(std::string_view location) const;
};

}  // namespace ashlar::http::detail
