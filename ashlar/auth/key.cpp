#include <ashlar/auth/key.hpp>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <ashlar/auth/detail/key_material.hpp>
#include <ashlar/auth/detail/strict_json.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::auth {
namespace {

using detail::member;
using detail::Number;
using detail::Pkey;
using detail::text_member;
using simdjson::dom::object;

constexpr std::size_t kMaxIdBytes = 256;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

[[noreturn]] void refuse(std::string_view why) {
  ::ERR_clear_error();
  throw Invalid(fmt::format("a token key {}", why));
}

// An id goes into headers, logs and lookups as it is.
void check_id(std::string_view id) {
  bool plain = id.size() <= kMaxIdBytes && std::ranges::all_of(id, [](char c) {
                 return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
               });
  if (!plain) refuse("has an id that is longer than 256 bytes or not plain text");
}

int no_passphrase(char*, int, int, void*) { return -1; }  // else OpenSSL asks the terminal

std::string decoded(const object& jwk, std::string_view name) {
  auto text = text_member(jwk, name);
  if (!text) refuse(fmt::format("has no \"{}\"", name));
  // RFC 7515 §2: base64url without padding.
  auto value = text->find('=') == text->npos ? base64url_decode(*text) : std::nullopt;
  if (!value || value->empty()) refuse(fmt::format("has a \"{}\" that is not base64url", name));
  return std::move(*value);
}

Pkey pair_from(const char* type, const OSSL_PARAM_BLD* builder, bool is_private) {
  detail::Params params(::OSSL_PARAM_BLD_to_param(const_cast<OSSL_PARAM_BLD*>(builder)));
  detail::PkeyContext context(::EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* pair = nullptr;
  int selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  if (!params || !context || ::EVP_PKEY_fromdata_init(context.get()) != 1 ||
      ::EVP_PKEY_fromdata(context.get(), &pair, selection, params.get()) != 1) {
    refuse("has values that make no key");
  }
  return Pkey(pair);
}

void check_pair(const Pkey& pair) {
  detail::PkeyContext context(::EVP_PKEY_CTX_new_from_pkey(nullptr, pair.get(), nullptr));
  if (!context || ::EVP_PKEY_pairwise_check(context.get()) != 1) refuse("has a private part of another key");
}

Pkey rsa_from_jwk(const object& jwk, bool is_private) {
  struct Part {
    const char* jwk;
    const char* openssl;
  };
  constexpr Part kPublic[] = {{"n", OSSL_PKEY_PARAM_RSA_N}, {"e", OSSL_PKEY_PARAM_RSA_E}};
  constexpr Part kPrivate[] = {{"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
                               {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
                               {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
  if (member(jwk, "oth")) refuse("has more than two primes");
  detail::ParamBuilder builder(::OSSL_PARAM_BLD_new());
  std::vector<Number> numbers;
  auto push = [&](const Part& part) {
    std::string value = decoded(jwk, part.jwk);
    numbers.emplace_back(::BN_bin2bn(bytes(value), static_cast<int>(value.size()), nullptr));
    ::OSSL_PARAM_BLD_push_BN(builder.get(), part.openssl, numbers.back().get());
  };
  for (const Part& part : kPublic) push(part);
  if (is_private) {
    for (const Part& part : kPrivate) push(part);
  }
  Pkey pair = pair_from("RSA", builder.get(), is_private);
  if (is_private) check_pair(pair);
  return pair;
}

Pkey ec_from_jwk(const object& jwk, bool is_private) {
  if (text_member(jwk, "crv") != "P-256") refuse("is on a curve other than P-256");
  std::string x = decoded(jwk, "x");
  std::string y = decoded(jwk, "y");
  if (x.size() != 32 || y.size() != 32) refuse("has coordinates that are not 32 bytes");  // RFC 7518 §6.2.1.2
  std::string point = "\x04" + x + y;
  detail::ParamBuilder builder(::OSSL_PARAM_BLD_new());
  ::OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  ::OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  Number secret;
  if (is_private) {
    std::string d = decoded(jwk, "d");
    if (d.size() != 32) refuse("has a private part that is not 32 bytes");
    secret.reset(::BN_bin2bn(bytes(d), static_cast<int>(d.size()), nullptr));
    ::OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get());
  }
  Pkey pair = pair_from("EC", builder.get(), is_private);
  detail::PkeyContext context(::EVP_PKEY_CTX_new_from_pkey(nullptr, pair.get(), nullptr));
  if (!context || ::EVP_PKEY_public_check(context.get()) != 1) refuse("is no point of its curve");
  if (is_private) check_pair(pair);
  return pair;
}

Pkey okp_from_jwk(const object& jwk, bool is_private) {
  if (text_member(jwk, "crv") != "Ed25519") refuse("is on a curve other than Ed25519");
  std::string x = decoded(jwk, "x");
  Pkey pair(::EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(x), x.size()));
  if (!pair) refuse("has a public part that is not 32 bytes");
  if (!is_private) return pair;
  std::string d = decoded(jwk, "d");
  Pkey whole(::EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(d), d.size()));
  if (!whole) refuse("has a private part that is not 32 bytes");
  if (::EVP_PKEY_eq(whole.get(), pair.get()) != 1) refuse("has a private part of another key");
  return whole;
}

// RFC 7517 §4.2, §4.3: what the key may be used for, where it says so.
void check_use(const object& jwk) {
  if (member(jwk, "use") && text_member(jwk, "use") != "sig") refuse("is not for signatures");
  auto operations = member(jwk, "key_ops");
  if (!operations) return;
  simdjson::dom::array list;
  if (operations->get_array().get(list) != simdjson::SUCCESS) refuse("has \"key_ops\" that are no list");
  for (simdjson::dom::element operation : list) {
    std::string_view name;
    if (operation.get_string().get(name) == simdjson::SUCCESS && (name == "sign" || name == "verify")) return;
  }
  refuse("is not for signatures");
}

}  // namespace

std::string_view to_string(Algorithm algorithm) noexcept {
  constexpr std::string_view kNames[] = {"HS256", "RS256", "ES256", "EdDSA"};
  return kNames[static_cast<std::size_t>(algorithm)];
}

Key::Key(std::shared_ptr<const detail::KeyMaterial> material, std::string id)
    : material_(std::move(material)), id_(std::move(id)) {
  check_id(id_);
  if (id_.empty() && material_->pair() != nullptr) id_ = detail::thumbprint(*material_->pair());
}

Key Key::hs256(const Secret<>& secret, std::string id) {
  return Key(detail::make_secret(secret.reveal()), std::move(id));
}

Key Key::from_pem(std::string_view pem, std::string id) {
  if (pem.size() > 64 * 1024) refuse("is longer than a key can be");
  bool is_private = pem.find("PRIVATE KEY-----") != pem.npos;
  detail::Bio bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Pkey pair(is_private ? ::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                       : ::PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!pair) refuse("cannot be read as PEM; give an unencrypted PRIVATE KEY or PUBLIC KEY");
  return Key(detail::make_pair(std::move(pair), is_private), std::move(id));
}

namespace {

struct ReadJwk {
  std::shared_ptr<const detail::KeyMaterial> material;
  std::string id;
};

ReadJwk read_jwk(const object& jwk) {
  check_use(jwk);
  ReadJwk read;
  if (member(jwk, "kid")) {
    auto id = text_member(jwk, "kid");
    if (!id) refuse("has a \"kid\" that is no text");
    read.id = *id;
  }
  auto type = text_member(jwk, "kty");
  bool is_private = member(jwk, "d").has_value();
  if (type == "oct") {
    Secret<> secret(decoded(jwk, "k"));
    read.material = detail::make_secret(secret.reveal());
  } else if (type == "RSA") {
    read.material = detail::make_pair(rsa_from_jwk(jwk, is_private), is_private);
  } else if (type == "EC") {
    read.material = detail::make_pair(ec_from_jwk(jwk, is_private), is_private);
  } else if (type == "OKP") {
    read.material = detail::make_pair(okp_from_jwk(jwk, is_private), is_private);
  } else {
    refuse("has a type other than oct, RSA, EC and OKP");
  }
  if (member(jwk, "alg") && text_member(jwk, "alg") != to_string(read.material->algorithm())) {
    refuse(fmt::format("is for another algorithm than {}", to_string(read.material->algorithm())));
  }
  return read;
}

}  // namespace

Key Key::from_jwk(std::string_view json) {
  auto jwk = detail::parse_strict_object(json);
  if (!jwk) refuse("is not a JSON object with distinct members");
  ReadJwk read = read_jwk(*jwk);
  return Key(std::move(read.material), std::move(read.id));
}

std::vector<Key> Key::from_jwks(std::string_view json) {
  auto set = detail::parse_strict_object(json);
  simdjson::dom::array list;
  if (!set || set->at_key("keys").get_array().get(list) != simdjson::SUCCESS) {
    throw Invalid("a key set is not a JSON object with a list of \"keys\"");
  }
  std::vector<Key> keys;
  for (simdjson::dom::element element : list) {
    object jwk;
    if (element.get_object().get(jwk) != simdjson::SUCCESS || text_member(jwk, "kty") == "oct") continue;
    std::optional<Key> key;
    try {
      ReadJwk read = read_jwk(jwk);
      key.emplace(Key(std::move(read.material), std::move(read.id)));
    } catch (const Invalid&) {
      continue;  // a set may hold keys for other uses and of types to come
    }
    if (std::ranges::any_of(keys, [&](const Key& known) { return known.id() == key->id(); })) {
      throw Invalid("a key set has two keys with one \"kid\"");
    }
    keys.push_back(std::move(*key));
  }
  return keys;
}

Key Key::generate(Algorithm algorithm, std::string id) {
  EVP_PKEY* pair = nullptr;
  switch (algorithm) {
    case Algorithm::hs256:
      return hs256(Secret<>(random_bytes(32)), std::move(id));
    case Algorithm::rs256:
      pair = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048});
      break;
    case Algorithm::es256:
      pair = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
      break;
    case Algorithm::eddsa:
      pair = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  if (pair == nullptr) throw Internal("OpenSSL could not make a key");
  return Key(detail::make_pair(Pkey(pair), true), std::move(id));
}

Algorithm Key::algorithm() const noexcept { return material_->algorithm(); }
bool Key::can_sign() const noexcept { return material_->can_sign(); }

Key Key::public_key() const {
  const EVP_PKEY* pair = material_->pair();
  if (pair == nullptr) refuse("is a secret and has no public part");
  unsigned char* der = nullptr;
  int size = ::i2d_PUBKEY(pair, &der);
  const unsigned char* at = der;
  Pkey half(size > 0 ? ::d2i_PUBKEY(nullptr, &at, size) : nullptr);
  OPENSSL_free(der);
  if (!half) throw Internal("OpenSSL could not copy a public key");
  return Key(detail::make_pair(std::move(half), false), id_);
}

std::string Key::to_jwk() const {
  const EVP_PKEY* pair = material_->pair();
  if (pair == nullptr) refuse("is a secret and has no public part");
  return fmt::format(R"({{{},"kid":"{}","alg":"{}","use":"sig"}})", detail::public_members(*pair), id_,
                     to_string(algorithm()));
}

Secret<> Key::to_private_pem() const {
  if (material_->pair() == nullptr || !can_sign()) refuse("has no private part to write");
  detail::Bio bio(::BIO_new(::BIO_s_secmem()));
  if (!bio || ::PEM_write_bio_PKCS8PrivateKey(bio.get(), const_cast<EVP_PKEY*>(material_->pair()), nullptr, nullptr, 0,
                                              nullptr, nullptr) != 1) {
    throw Internal("OpenSSL could not write a key");
  }
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return Secret<>(std::string(data, static_cast<std::size_t>(size)));
}

std::string Key::sign(std::string_view message) const { return material_->sign(message); }
bool Key::verify(std::string_view message, std::string_view signature) const {
  return material_->verify(message, signature);
}

std::string jwks(std::span<const Key> keys) {
  std::string json = R"({"keys":[)";
  bool first = true;
  for (const Key& key : keys) {
    if (key.algorithm() == Algorithm::hs256) continue;
    if (!std::exchange(first, false)) json.push_back(',');
    json += key.to_jwk();
  }
  json += "]}";
  return json;
}

}  // namespace ashlar::auth
