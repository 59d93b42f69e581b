#include <ashlar/net/ticket_keys.hpp>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <cstring>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/openssl.hpp>

namespace ashlar::net {
namespace {

constexpr std::size_t kSeedHead = 2 * sizeof(std::int64_t);  // lifetime in seconds, beginning on the steady clock
constexpr std::chrono::seconds kMostLifetime = std::chrono::days{7};  // RFC 8446 §4.6.1

// HMAC as a function of which nobody knows the inverse (NIST SP 800-108, counter mode with one block).
template <std::size_t N, std::size_t S>
std::array<unsigned char, N> derive(const std::array<unsigned char, S>& secret, std::string_view what) {
  static_assert(N <= 32);
  unsigned char made[32];
  std::size_t size = 0;
  if (::EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, secret.data(), secret.size(),
                  reinterpret_cast<const unsigned char*>(what.data()), what.size(), made, sizeof made,
                  &size) == nullptr) {
    throw Internal("OpenSSL cannot derive the keys of session tickets: " + detail::take_reason());
  }
  std::array<unsigned char, N> out;
  std::memcpy(out.data(), made, N);
  ::OPENSSL_cleanse(made, sizeof made);
  return out;
}

template <std::size_t S>
TicketKeys::Key key_of(const std::array<unsigned char, S>& secret, TicketKeys::Clock::time_point made) {
  return {.name = derive<16>(secret, "name"),
          .cipher = derive<32>(secret, "cipher"),
          .mac = derive<32>(secret, "mac"),
          .made = made};
}

template <class T>
void forget(std::optional<T>& secret) noexcept {
  if (secret) ::OPENSSL_cleanse(&*secret, sizeof(T));
  secret.reset();
}

int keys_index() noexcept {
  static const int kIndex = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

bool set_up(EVP_MAC_CTX* mac, TicketKeys::Key& key) noexcept {
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      ::OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      ::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), ::OSSL_PARAM_construct_end()};
  return ::EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 done, 0 another key's, 2 done and time for a new ticket, below 0 failed.
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int encrypt) noexcept try {
  auto& keys = *static_cast<TicketKeys*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(ssl), keys_index()));
  const auto now = TicketKeys::Clock::now();
  if (encrypt != 0) {
    TicketKeys::Key key = keys.current(now);
    std::memcpy(name, key.name.data(), key.name.size());
    const bool done = ::RAND_bytes(iv, ::EVP_CIPHER_get_iv_length(::EVP_aes_256_cbc())) == 1 &&
                      ::EVP_EncryptInit_ex(cipher, ::EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv) == 1 &&
                      set_up(mac, key);
    ::OPENSSL_cleanse(&key, sizeof key);
    return done ? 1 : -1;
  }
  std::optional<TicketKeys::Key> key = keys.find(name, now);
  if (!key) return 0;
  // A ticket of TLS 1.3 is used once (RFC 8446 §C.4), so each resumption gives the next.
  const bool renew = ::SSL_version(ssl) >= TLS1_3_VERSION || now - key->made >= keys.lifetime();
  const bool done =
      set_up(mac, *key) && ::EVP_DecryptInit_ex(cipher, ::EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv) == 1;
  ::OPENSSL_cleanse(&*key, sizeof *key);
  return done ? (renew ? 2 : 1) : -1;
} catch (const Error&) {
  return -1;
}

// A session outlives neither its client's certificate nor the ticket's own integrity.
SSL_TICKET_RETURN on_ticket_read(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                                 SSL_TICKET_STATUS status, void*) noexcept {
  switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW: {
      const X509* const client = ::SSL_SESSION_get0_peer(session);
      if (client != nullptr && ::X509_cmp_current_time(::X509_get0_notAfter(client)) < 0) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
      }
      return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
    }
    default:
      return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
}

}  // namespace

TicketKeys::TicketKeys(std::chrono::seconds lifetime, Clock::time_point now) : lifetime_(lifetime), began_(now) {
  random_bytes(secret_.data(), secret_.size());
  current_ = key_of(secret_, began_);
}

TicketKeys::TicketKeys(std::string_view seed) {
  std::int64_t lifetime = 0;
  std::int64_t began = 0;
  const bool with_last = seed.size() == kSeedHead + 2 * kSecret;
  if (with_last || seed.size() == kSeedHead + kSecret) {
    std::memcpy(&lifetime, seed.data(), sizeof lifetime);
    std::memcpy(&began, seed.data() + sizeof lifetime, sizeof began);
  }
  lifetime_ = std::chrono::seconds{lifetime};
  began_ = Clock::time_point{std::chrono::nanoseconds{began}};
  if (lifetime <= 0 || lifetime > kMostLifetime.count() || began_ > Clock::now()) {
    throw Invalid("these are no seeds of TLS session tickets, or of another machine");
  }
  seed.remove_prefix(kSeedHead);
  std::memcpy(secret_.data(), seed.data(), kSecret);
  current_ = key_of(secret_, began_);
  if (with_last) {
    std::memcpy(last_secret_.emplace().data(), seed.data() + kSecret, kSecret);
    last_ = key_of(*last_secret_, began_ - lifetime_);
  }
}

TicketKeys::~TicketKeys() {
  ::OPENSSL_cleanse(&secret_, sizeof secret_);
  ::OPENSSL_cleanse(&current_, sizeof current_);
  forget(last_secret_);
  forget(last_);
}

void TicketKeys::advance(Clock::time_point now) {
  while (now - began_ >= lifetime_) {
    last_secret_ = secret_;
    last_ = current_;
    secret_ = derive<kSecret>(secret_, "next secret");
    began_ += lifetime_;
    current_ = key_of(secret_, began_);
  }
}

TicketKeys::Key TicketKeys::current(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  advance(now);
  return current_;
}

std::optional<TicketKeys::Key> TicketKeys::find(const unsigned char* name, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  advance(now);
  for (const Key* key : {&current_, last_ ? &*last_ : nullptr}) {
    if (key != nullptr && std::memcmp(key->name.data(), name, key->name.size()) == 0) return *key;
  }
  return std::nullopt;
}

std::string TicketKeys::seed(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  advance(now);
  const std::int64_t lifetime = lifetime_.count();
  const std::int64_t began = std::chrono::nanoseconds(began_.time_since_epoch()).count();
  std::string out(reinterpret_cast<const char*>(&lifetime), sizeof lifetime);
  out.append(reinterpret_cast<const char*>(&began), sizeof began);
  out.append(reinterpret_cast<const char*>(secret_.data()), kSecret);
  if (last_secret_) out.append(reinterpret_cast<const char*>(last_secret_->data()), kSecret);
  return out;
}

namespace detail {

void use_tickets(ssl_ctx_st* context, TicketKeys& keys) {
  ::SSL_CTX_set_ex_data(context, keys_index(), &keys);
  ::SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &on_ticket);
  ::SSL_CTX_set_session_ticket_cb(context, nullptr, &on_ticket_read, nullptr);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // the client keeps it
  ::SSL_CTX_set_timeout(context, static_cast<long>(keys.lifetime().count()));
}

}  // namespace detail

}  // namespace ashlar::net
