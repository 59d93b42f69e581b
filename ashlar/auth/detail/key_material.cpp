#include <ashlar/auth/detail/key_material.hpp>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <array>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::auth::detail {
namespace {

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// OpenSSL's own words may hold input, so they go nowhere.
[[noreturn]] void fail(const char* what) {
  ::ERR_clear_error();
  throw Internal(fmt::format("OpenSSL could not {}", what));
}

constexpr std::size_t kMacBytes = 32;

class SecretMaterial final : public KeyMaterial {
 public:
  explicit SecretMaterial(std::string_view secret) {
    Mac mac(::EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    keyed_.reset(::EVP_MAC_CTX_new(mac.get()));
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    if (!keyed_ || ::EVP_MAC_init(keyed_.get(), bytes(secret), secret.size(), params) != 1) fail("prepare HMAC");
  }
  Algorithm algorithm() const noexcept override { return Algorithm::hs256; }
  bool can_sign() const noexcept override { return true; }
  std::string sign(std::string_view message) const override {
    // The copy has the key's inner and outer hash states ready: no key schedule a token.
    MacContext context(::EVP_MAC_CTX_dup(keyed_.get()));
    std::string mac(kMacBytes, '\0');
    std::size_t size = 0;
    if (!context || ::EVP_MAC_update(context.get(), bytes(message), message.size()) != 1 ||
        ::EVP_MAC_final(context.get(), bytes(mac), &size, mac.size()) != 1 || size != kMacBytes) {
      fail("compute an HMAC");
    }
    return mac;
  }
  bool verify(std::string_view message, std::string_view signature) const override {
    return signature.size() == kMacBytes && equals_constant_time(sign(message), signature);
  }

 private:
  MacContext keyed_;
};

Number number_of(const EVP_PKEY& pair, const char* name) {
  BIGNUM* number = nullptr;
  if (::EVP_PKEY_get_bn_param(&pair, name, &number) != 1) fail("read a key");
  return Number(number);
}

std::string number_bytes(const BIGNUM& number) {
  std::string text(static_cast<std::size_t>(BN_num_bytes(&number)), '\0');
  ::BN_bn2bin(&number, bytes(text));
  return text;
}

constexpr std::size_t kP256Bytes = 32;

// The order of P-256's group (FIPS 186-5; SEC 2 §2.4.2): a signature's r and s are in 1…n-1.
constexpr std::array<unsigned char, kP256Bytes> kP256Order{
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

bool in_group(std::string_view number) {
  std::string_view order(reinterpret_cast<const char*>(kP256Order.data()), kP256Order.size());
  return number.find_first_not_of('\0') != number.npos && number < order;  // compares as unsigned bytes
}

// JWS carries r and s side by side (RFC 7518 §3.4), OpenSSL wants DER.
std::string to_der(std::string_view raw) {
  EcdsaSignature signature(::ECDSA_SIG_new());
  Number r(::BN_bin2bn(bytes(raw), kP256Bytes, nullptr));
  Number s(::BN_bin2bn(bytes(raw) + kP256Bytes, kP256Bytes, nullptr));
  if (!signature || !r || !s) fail("convert a signature");
  // Takes both, and fails only without them.
  ::ECDSA_SIG_set0(signature.get(), r.release(), s.release());
  unsigned char* der = nullptr;
  int size = ::i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) fail("convert a signature");
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return text;
}

std::string from_der(std::string_view der) {
  const unsigned char* at = bytes(der);
  EcdsaSignature signature(::d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::string raw(2 * kP256Bytes, '\0');
  if (!signature || ::BN_bn2binpad(::ECDSA_SIG_get0_r(signature.get()), bytes(raw), kP256Bytes) != kP256Bytes ||
      ::BN_bn2binpad(::ECDSA_SIG_get0_s(signature.get()), bytes(raw) + kP256Bytes, kP256Bytes) != kP256Bytes) {
    fail("convert a signature");
  }
  return raw;
}

class PairMaterial final : public KeyMaterial {
 public:
  PairMaterial(Pkey pair, Algorithm algorithm, bool can_sign)
      : pair_(std::move(pair)), algorithm_(algorithm), can_sign_(can_sign) {}
  Algorithm algorithm() const noexcept override { return algorithm_; }
  bool can_sign() const noexcept override { return can_sign_; }
  const EVP_PKEY* pair() const noexcept override { return pair_.get(); }

  std::string sign(std::string_view message) const override {
    if (!can_sign_) throw Invalid("a public key cannot sign");
    DigestContext context(::EVP_MD_CTX_new());
    std::size_t size = 0;
    if (!context ||
        ::EVP_DigestSignInit_ex(context.get(), nullptr, digest(), nullptr, nullptr, pair_.get(), nullptr) != 1 ||
        ::EVP_DigestSign(context.get(), nullptr, &size, bytes(message), message.size()) != 1) {
      fail("sign");
    }
    std::string signature(size, '\0');
    if (::EVP_DigestSign(context.get(), bytes(signature), &size, bytes(message), message.size()) != 1) fail("sign");
    signature.resize(size);
    return algorithm_ == Algorithm::es256 ? from_der(signature) : signature;
  }

  bool verify(std::string_view message, std::string_view signature) const override {
    std::string der;
    if (algorithm_ == Algorithm::es256) {
      if (signature.size() != 2 * kP256Bytes || !in_group(signature.substr(0, kP256Bytes)) ||
          !in_group(signature.substr(kP256Bytes))) {
        return false;
      }
      der = to_der(signature);
      signature = der;
    } else if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(pair_.get()))) {
      return false;  // RFC 8017 §8.2.2 step 1; Ed25519: 64 bytes
    }
    DigestContext context(::EVP_MD_CTX_new());
    if (!context ||
        ::EVP_DigestVerifyInit_ex(context.get(), nullptr, digest(), nullptr, nullptr, pair_.get(), nullptr) != 1) {
      fail("verify");
    }
    bool good =
        ::EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message), message.size()) == 1;
    if (!good) ::ERR_clear_error();
    return good;
  }

 private:
  const char* digest() const { return algorithm_ == Algorithm::eddsa ? nullptr : "SHA256"; }
  Pkey pair_;
  Algorithm algorithm_;
  bool can_sign_;
};

}  // namespace

std::shared_ptr<const KeyMaterial> make_secret(std::string_view secret) {
  if (secret.size() < kMacBytes) {
    throw Invalid(fmt::format("an HS256 secret has {} bytes and needs at least {}: openssl rand -base64 32",
                              secret.size(), kMacBytes));
  }
  return std::make_shared<SecretMaterial>(secret);
}

std::shared_ptr<const KeyMaterial> make_pair(Pkey pair, bool can_sign) {
  int type = EVP_PKEY_get_base_id(pair.get());
  int bits = EVP_PKEY_get_bits(pair.get());
  if (type == EVP_PKEY_RSA) {
    if (bits < 2048 || bits > 8192) throw Invalid(fmt::format("an RSA key has {} bits and needs 2048 to 8192", bits));
    Number exponent = number_of(*pair, OSSL_PKEY_PARAM_RSA_E);
    if (BN_is_odd(exponent.get()) != 1 || BN_is_one(exponent.get()) == 1 || ::BN_num_bits(exponent.get()) > 64) {
      throw Invalid("an RSA key has an exponent that is not safe");
    }
    return std::make_shared<PairMaterial>(std::move(pair), Algorithm::rs256, can_sign);
  }
  if (type == EVP_PKEY_EC) {
    char curve[32] = {};
    std::size_t size = 0;
    ::EVP_PKEY_get_group_name(pair.get(), curve, sizeof curve, &size);
    if (std::string_view(curve, size) != "prime256v1") throw Invalid("an EC key is on a curve other than P-256");
    return std::make_shared<PairMaterial>(std::move(pair), Algorithm::es256, can_sign);
  }
  if (type == EVP_PKEY_ED25519) return std::make_shared<PairMaterial>(std::move(pair), Algorithm::eddsa, can_sign);
  throw Invalid("a key is neither RSA, P-256 nor Ed25519");
}

std::string public_members(const EVP_PKEY& pair) {
  switch (EVP_PKEY_get_base_id(&pair)) {
    case EVP_PKEY_RSA:
      return fmt::format(R"("e":"{}","kty":"RSA","n":"{}")",
                         base64url_encode(number_bytes(*number_of(pair, OSSL_PKEY_PARAM_RSA_E))),
                         base64url_encode(number_bytes(*number_of(pair, OSSL_PKEY_PARAM_RSA_N))));
    case EVP_PKEY_EC: {
      std::string x(kP256Bytes, '\0');
      std::string y(kP256Bytes, '\0');
      ::BN_bn2binpad(number_of(pair, OSSL_PKEY_PARAM_EC_PUB_X).get(), bytes(x), kP256Bytes);
      ::BN_bn2binpad(number_of(pair, OSSL_PKEY_PARAM_EC_PUB_Y).get(), bytes(y), kP256Bytes);
      return fmt::format(R"("crv":"P-256","kty":"EC","x":"{}","y":"{}")", base64url_encode(x), base64url_encode(y));
    }
    default: {
      std::string x(32, '\0');
      std::size_t size = x.size();
      if (::EVP_PKEY_get_raw_public_key(&pair, bytes(x), &size) != 1 || size != x.size()) fail("read a key");
      return fmt::format(R"("crv":"Ed25519","kty":"OKP","x":"{}")", base64url_encode(x));
    }
  }
}

std::string thumbprint(const EVP_PKEY& pair) {
  std::string json = "{" + public_members(pair) + "}";
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = 0;
  if (::EVP_Digest(json.data(), json.size(), bytes(digest), &size, ::EVP_sha256(), nullptr) != 1) fail("hash a key");
  return base64url_encode(digest);
}

}  // namespace ashlar::auth::detail
