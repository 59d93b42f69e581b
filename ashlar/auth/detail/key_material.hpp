// What is behind a Key: one class for secrets, one for key pairs.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/auth/detail/openssl.hpp>
#include <ashlar/auth/key.hpp>

namespace ashlar::auth::detail {

class KeyMaterial {
 public:
  virtual ~KeyMaterial() = default;
  virtual Algorithm algorithm() const noexcept = 0;
  virtual bool can_sign() const noexcept = 0;
  virtual std::string sign(std::string_view message) const = 0;
  virtual bool verify(std::string_view message, std::string_view signature) const = 0;
  virtual const EVP_PKEY* pair() const noexcept { return nullptr; }  // nothing: a secret
};

std::shared_ptr<const KeyMaterial> make_secret(std::string_view secret);
// Decides the algorithm by the type of the key. Throws Invalid for types and sizes that are not taken.
std::shared_ptr<const KeyMaterial> make_pair(Pkey pair, bool can_sign);

// The members of the public JWK that make its thumbprint, in the order of RFC 7638 §3.2.
std::string public_members(const EVP_PKEY& pair);
std::string thumbprint(const EVP_PKEY& pair);

}  // namespace ashlar::auth::detail
