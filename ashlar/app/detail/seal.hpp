// Texts that clients keep and can neither read nor change: AES-SIV (RFC 5297), by OpenSSL.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <ashlar/base/secret.hpp>

namespace ashlar::detail {

/// The key for one purpose, of a secret that may have others: what is sealed for one cannot be opened for another.
/// Throws Invalid for a secret of less than 32 bytes (`openssl rand -base64 32`); `whose`: "cursors".
[[nodiscard]] Secret<> sealing_key(const Secret<>& secret, std::string_view purpose, std::string_view whose);

/// Bytes. The same text gives the same bytes: put something random into it where that would tell.
[[nodiscard]] std::string seal(const Secret<>& key, std::string_view purpose, std::string_view text);
/// nullopt: it was not sealed with this key and for this purpose, or has been changed.
[[nodiscard]] std::optional<std::string> unseal(const Secret<>& key, std::string_view purpose, std::string sealed);

}  // namespace ashlar::detail
