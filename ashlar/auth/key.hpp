// Keys of tokens. A key knows the one algorithm it is for; no other is ever used with it (RFC 8725 §3.1).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/secret.hpp>

namespace ashlar::auth {

// RFC 7518 §3.1 and RFC 8037. "none" is not among them.
enum class Algorithm : std::uint8_t { hs256, rs256, es256, eddsa };
// "HS256", "RS256", "ES256", "EdDSA".
[[nodiscard]] std::string_view to_string(Algorithm algorithm) noexcept;

namespace detail {
class KeyMaterial;
}

// A secret, a private or a public key. Immutable and cheap to copy; any thread.
// Making one throws Invalid, with a message that never holds key material, when it cannot be read or is too weak.
class Key {
 public:
  // At least 32 bytes (RFC 7518 §3.2) of good randomness: `openssl rand -base64 32`. Both signs and verifies, so only
  // for tokens that one service issues to itself.
  [[nodiscard]] static Key hs256(const Secret<>& secret, std::string id = {});
  // PKCS #8, PKCS #1, SEC1 or SubjectPublicKeyInfo, not encrypted. RSA of 2048…8192 bits → RS256, P-256 → ES256,
  // Ed25519 → EdDSA.
  [[nodiscard]] static Key from_pem(std::string_view pem, std::string id = {});
  // RFC 7517. Its `kid` is the id; an `alg`, `use` or `key_ops` that does not fit is refused.
  [[nodiscard]] static Key from_jwk(std::string_view json);
  // The usable signature keys of a JWKS, for example of an identity provider; others in it are left out (RFC 7517 §5).
  // Two keys with one id: Invalid.
  [[nodiscard]] static std::vector<Key> from_jwks(std::string_view json);
  // A fresh one, for tests and for `keys generate`.
  [[nodiscard]] static Key generate(Algorithm algorithm, std::string id = {});

  [[nodiscard]] Algorithm algorithm() const noexcept;
  // Goes into tokens as `kid`. Unless given: the thumbprint of the public key (RFC 7638); for a secret, none.
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] bool can_sign() const noexcept;
  // Without its private part. Throws Invalid for a secret, which has no public part.
  [[nodiscard]] Key public_key() const;
  // The public part as a JWK, with kid, alg and use. Throws Invalid for a secret.
  [[nodiscard]] std::string to_jwk() const;
  // PKCS #8, to be kept. Throws Invalid for a secret and for a public key.
  [[nodiscard]] Secret<> to_private_pem() const;

  // A signature as JWS wants it (ES256: r and s, 64 bytes). Throws Invalid when the key cannot sign.
  [[nodiscard]] std::string sign(std::string_view message) const;
  [[nodiscard]] bool verify(std::string_view message, std::string_view signature) const;

 private:
  Key(std::shared_ptr<const detail::KeyMaterial> material, std::string id);
  std::shared_ptr<const detail::KeyMaterial> material_;
  std::string id_;
};

// {"keys":[...]} of the public parts, for /.well-known/jwks.json. Secrets are left out.
[[nodiscard]] std::string jwks(std::span<const Key> keys);

}  // namespace ashlar::auth
