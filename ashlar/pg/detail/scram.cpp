#include <ashlar/pg/detail/scram.hpp>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <utility>

#include <ashlar/pg/error.hpp>

namespace ashlar::pg::detail {
namespace {

std::string digest(const EVP_MD* method, std::string_view bytes) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &length, method, nullptr) !=
      1)
    throw Internal("OpenSSL cannot hash");
  out.resize(length);
  return out;
}

std::string hmac(std::string_view key, std::string_view bytes) {
  std::string out(32, '\0');
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()),
           bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &length) == nullptr)
    throw Internal("OpenSSL cannot compute an HMAC");
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

/// The value of "k=value" at the front of a SCRAM message; advances past the comma.
std::string_view attribute(std::string_view& message, char key) {
  if (message.size() < 2 || message[0] != key || message[1] != '=')
    throw ProtocolError(fmt::format("SCRAM: the server's message lacks '{}='", key));
  const std::size_t comma = message.find(',');
  const std::string_view value = message.substr(2, comma == std::string_view::npos ? comma : comma - 2);
  message.remove_prefix(comma == std::string_view::npos ? message.size() : comma + 1);
  return value;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

std::string from_base64(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  const int n = text.size() % 4 != 0 ? -1
                                     : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                       reinterpret_cast<const unsigned char*>(text.data()),
                                                       static_cast<int>(text.size()));
  if (n < 0) throw ProtocolError("SCRAM: bad base64 from the server");
  std::size_t length = static_cast<std::size_t>(n);
  if (text.ends_with("==")) {
    length -= 2;
  } else if (text.ends_with('=')) {
    length -= 1;
  }
  out.resize(length);
  return out;
}

std::string sha256_hex(std::string_view bytes) { return hex(digest(EVP_sha256(), bytes)); }

std::string md5_password(std::string_view user, std::string_view password, std::string_view salt) {
  const std::string inner = hex(digest(EVP_md5(), std::string(password) + std::string(user)));
  return "md5" + hex(digest(EVP_md5(), inner + std::string(salt)));
}

Scram::Scram(std::string_view password, std::string channel_binding, bool binding_possible, std::string nonce)
    : header_(!channel_binding.empty() ? "p=tls-server-end-point,,"
              : binding_possible       ? "y,,"
                                       : "n,,"),
      binding_(std::move(channel_binding)),
      password_(
          password),  // SASLprep of a password in ASCII or in normal form is the identity, and servers accept raw bytes
      nonce_(std::move(nonce)) {
  if (!nonce_.empty()) return;
  std::array<unsigned char, 18> random{};
  if (RAND_bytes(random.data(), random.size()) != 1) throw Internal("OpenSSL has no random bytes");
  nonce_ = base64({reinterpret_cast<const char*>(random.data()), random.size()});
}

std::string Scram::first() const { return header_ + "n=,r=" + nonce_; }

std::string Scram::final(std::string_view server_first) {
  std::string_view rest = server_first;
  const std::string_view nonce = attribute(rest, 'r');
  const std::string salt = from_base64(attribute(rest, 's'));
  const std::string_view count = attribute(rest, 'i');
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size())
    throw ProtocolError("SCRAM: the server did not extend our nonce");
  unsigned iterations = 0;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), iterations);
  if (error != std::errc{} || end != count.data() + count.size() || iterations == 0 || iterations > 10'000'000)
    throw ProtocolError("SCRAM: the server's iteration count is impossible");

  std::string salted(32, '\0');
  if (PKCS5_PBKDF2_HMAC(password_.data(), static_cast<int>(password_.size()),
                        reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                        static_cast<int>(iterations), EVP_sha256(), 32,
                        reinterpret_cast<unsigned char*>(salted.data())) != 1)
    throw Internal("OpenSSL cannot derive the SCRAM key");
  const std::string client_key = hmac(salted, "Client Key");
  const std::string stored_key = digest(EVP_sha256(), client_key);
  const std::string without_proof = fmt::format("c={},r={}", base64(header_ + binding_), nonce);
  const std::string signed_text = fmt::format("n=,r={},{},{}", nonce_, server_first, without_proof);
  std::string proof = hmac(stored_key, signed_text);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
  server_signature_ = hmac(hmac(salted, "Server Key"), signed_text);
  return fmt::format("{},p={}", without_proof, base64(proof));
}

void Scram::verify(std::string_view server_final) const {
  std::string_view rest = server_final;
  if (rest.starts_with("e=")) throw ProtocolError(fmt::format("SCRAM: the server refuses: {}", rest.substr(2)));
  const std::string signature = from_base64(attribute(rest, 'v'));
  if (server_signature_.empty() || signature.size() != server_signature_.size() ||
      CRYPTO_memcmp(signature.data(), server_signature_.data(), signature.size()) != 0)
    throw ProtocolError(
        "SCRAM: the server did not prove that it knows the password; somebody else may answer in its place");
}

}  // namespace ashlar::pg::detail
