// Fields that HTTP/2 has no use for.
#pragma once

#include <ashlar/http/known_header.hpp>

namespace ashlar::http::detail {

/// Those of HTTP/1.1 that say something about its connection (RFC 9113 §8.2.2).
[[nodiscard]] constexpr bool about_the_connection(KnownHeader name) noexcept {
  switch (name) {
    case KnownHeader::connection:
    case KnownHeader::keep_alive:
    case KnownHeader::proxy_connection:
    case KnownHeader::transfer_encoding:
    case KnownHeader::upgrade:
      return true;
    default:
      return false;
  }
}

}  // namespace ashlar::http::detail
