// SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), by OpenSSL.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace ashlar::detail {

/// 32 bytes of the parts, each with its length before it, so that no two lists give the same text.
[[nodiscard]] std::string sha256_of(std::initializer_list<std::string_view> parts);
/// 32 bytes.
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view text);

}  // namespace ashlar::detail
