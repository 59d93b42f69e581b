#include <ashlar/net/detail/tickets.hpp>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <cstring>

#include <ashlar/base/bytes.hpp>
#include <ashlar/net/detail/openssl.hpp>

namespace ashlar::net::detail {
namespace {

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
              int encrypt) noexcept {
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

TicketKeys::~TicketKeys() {
  for (auto* key : {&current_, &last_}) {
    if (*key) ::OPENSSL_cleanse(&**key, sizeof **key);
  }
}

void TicketKeys::rotate(Clock::time_point now) {
  if (current_ && now - current_->made >= lifetime_) {
    if (last_) ::OPENSSL_cleanse(&*last_, sizeof *last_);
    last_ = current_;
    ::OPENSSL_cleanse(&*current_, sizeof *current_);
    current_.reset();
  }
  if (last_ && now - last_->made >= 2 * lifetime_) {
    ::OPENSSL_cleanse(&*last_, sizeof *last_);
    last_.reset();
  }
}

TicketKeys::Key TicketKeys::current(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  rotate(now);
  if (!current_) {
    Key& made = current_.emplace();
    random_bytes(made.name.data(), made.name.size());
    random_bytes(made.cipher.data(), made.cipher.size());
    random_bytes(made.mac.data(), made.mac.size());
    made.made = now;
  }
  return *current_;
}

std::optional<TicketKeys::Key> TicketKeys::find(const unsigned char* name, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  rotate(now);
  for (const auto* key : {&current_, &last_}) {
    if (*key && std::memcmp((*key)->name.data(), name, (*key)->name.size()) == 0) return *key;
  }
  return std::nullopt;
}

void use_tickets(ssl_ctx_st* context, TicketKeys& keys) {
  ::SSL_CTX_set_ex_data(context, keys_index(), &keys);
  ::SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &on_ticket);
  ::SSL_CTX_set_session_ticket_cb(context, nullptr, &on_ticket_read, nullptr);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // the client keeps it
  ::SSL_CTX_set_timeout(context, static_cast<long>(keys.lifetime().count()));
}

}  // namespace ashlar::net::detail
