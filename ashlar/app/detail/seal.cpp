#include <ashlar/app/detail/seal.hpp>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cstddef>
#include <memory>

#include <ashlar/app/detail/digest.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::detail {
namespace {

constexpr std::size_t kTag = 16;
constexpr std::size_t kLeastSecret = 32;

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const EVP_CIPHER* siv() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr);
  if (cipher == nullptr) throw Internal("this OpenSSL has no AES-SIV");
  return cipher;
}

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

Secret<> sealing_key(const Secret<>& secret, std::string_view purpose, std::string_view whose) {
  if (secret.reveal().size() < kLeastSecret) {
    throw Invalid(fmt::format("the secret of {} has {} bytes and needs {}: `openssl rand -base64 32`", whose,
                              secret.reveal().size(), kLeastSecret));
  }
  // AES-256-SIV takes two keys of 32 bytes. The same secret may sign other things.
  return Secret<>(hmac_sha256(secret.reveal(), fmt::format("{}, S2V", purpose)) +
                  hmac_sha256(secret.reveal(), fmt::format("{}, CTR", purpose)));
}

// The tag, then the text, enciphered.
std::string seal(const Secret<>& key, std::string_view purpose, std::string_view text) {
  const Context context{EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free};
  std::string out(kTag + text.size(), '\0');
  int length = 0;
  const bool good =
      context != nullptr && EVP_EncryptInit_ex2(context.get(), siv(), bytes_of(key.reveal()), nullptr, nullptr) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, bytes_of(purpose), static_cast<int>(purpose.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), bytes_of(out) + kTag, &length, bytes_of(text), static_cast<int>(text.size())) ==
          1 &&
      EVP_EncryptFinal_ex(context.get(), bytes_of(out) + kTag + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTag, out.data()) == 1;
  if (!good) throw Internal("OpenSSL cannot encipher");
  return out;
}

std::optional<std::string> unseal(const Secret<>& key, std::string_view purpose, std::string sealed) {
  if (sealed.size() <= kTag) return std::nullopt;
  const Context context{EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free};
  std::string out(sealed.size() - kTag, '\0');
  int length = 0;
  const bool good =
      context != nullptr && EVP_DecryptInit_ex2(context.get(), siv(), bytes_of(key.reveal()), nullptr, nullptr) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTag, sealed.data()) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, bytes_of(purpose), static_cast<int>(purpose.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes_of(out), &length, bytes_of(sealed) + kTag, static_cast<int>(out.size())) ==
          1 &&
      EVP_DecryptFinal_ex(context.get(), bytes_of(out) + length, &length) == 1;
  return good ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace ashlar::detail
