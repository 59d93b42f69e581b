// The part of Transport that is TLS: handshakes, records, what they agreed on.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/context.hpp>
#include <ashlar/net/detail/identity.hpp>
#include <ashlar/net/detail/openssl.hpp>
#include <ashlar/net/detail/server_context.hpp>
#include <ashlar/net/detail/socket_bio.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::net {
namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;

TlsFailure failure_of(int error, unsigned long code, bool verified) noexcept {
  if (code == 0 || error == SSL_ERROR_ZERO_RETURN || ERR_SYSTEM_ERROR(code)) return TlsFailure::peer_gone;
  if (!verified) return TlsFailure::certificate;
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return TlsFailure::malformed;
  const int reason = ERR_GET_REASON(code);
  if (reason >= SSL_AD_REASON_OFFSET) return TlsFailure::refused_by_peer;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return TlsFailure::plain_http;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return TlsFailure::version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      return TlsFailure::cipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return TlsFailure::application_protocol;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return TlsFailure::certificate;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return TlsFailure::peer_gone;
    default:
      return TlsFailure::malformed;
  }
}

std::string name_of_server(const std::string& host, int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return host + ':' + std::to_string(Address(reinterpret_cast<const sockaddr*>(&storage), size).port());
}

}  // namespace

void Transport::begin_tls(std::shared_ptr<TlsContext> context) {
  context_ = std::move(context);
  const detail::ContextPtr native(context_->acquire());
  ssl_ = ::SSL_new(native.get());
  BIO* const socket = ssl_ != nullptr ? detail::make_socket_bio(fd_.get()) : nullptr;
  if (socket == nullptr) throw Internal("OpenSSL gives no connection: " + detail::take_reason());
  failure_ = TlsFailure::none;
  tls_error_ = 0;
  error_ = 0;
  peer_.reset();
  asked_peer_ = false;
  ::SSL_set_bio(ssl_, socket, socket);
}

Task<void> Transport::start_tls_client(std::shared_ptr<TlsContext> context, std::string host,
                                       std::vector<std::string> alpn) {
  begin_tls(std::move(context));
  if (!alpn.empty() && !context_->names_protocols()) {
    const std::string wire = detail::alpn_wire(alpn);
    ::SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(wire.data()),
                          static_cast<unsigned>(wire.size()));
  }
  const bool numeric = Address::ip(host, 0).has_value();
  if (!numeric) ::SSL_set_tlsext_host_name(ssl_, host.c_str());
  if (context_->verify() == TlsClientOptions::Verify::full) {
    X509_VERIFY_PARAM* parameters = ::SSL_get0_param(ssl_);
    if (numeric) {
      ::X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str());
    } else {
      ::X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      ::X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
    }
  }
  context_->begin_session(ssl_, name_of_server(host, fd_.get()));
  co_await handshake(false);
}

Task<void> Transport::start_tls_server(std::shared_ptr<TlsContext> context) {
  begin_tls(std::move(context));
  co_await handshake(true);
}

Task<void> Transport::handshake(bool server) {
  for (;;) {
    ::ERR_clear_error();
    const int result = server ? ::SSL_accept(ssl_) : ::SSL_connect(ssl_);
    if (result == 1) {
      context_->count_handshake(::SSL_version(ssl_), ::SSL_session_reused(ssl_) == 1);
      co_return;
    }
    const int error = ::SSL_get_error(ssl_, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) fail_handshake(error);
    try {
      co_await ready(fd_.get(), error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    } catch (...) {
      failure_ = TlsFailure::cancelled;
      context_->count_failure(failure_);
      throw;
    }
  }
}

void Transport::fail_handshake(int error) {
  const unsigned long code = ::ERR_get_error();
  const long verified =
      ::SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE ? ::SSL_get_verify_result(ssl_) : long{X509_V_OK};
  failure_ = failure_of(error, code, verified == X509_V_OK);
  context_->count_failure(failure_);
  ::ERR_clear_error();
  throw Unavailable("the TLS handshake failed: " +
                    (verified != X509_V_OK ? ::X509_verify_cert_error_string(verified) : detail::reason_of(code)));
}

void Transport::drop_tls() noexcept {
  if (ssl_ == nullptr) return;
  ::SSL_free(std::exchange(ssl_, nullptr));
  ::ERR_clear_error();
  context_.reset();
}

Io Transport::tls_result(int result, bool reading) noexcept {
  const int error = ::SSL_get_error(ssl_, result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return {Io::State::would_block};
  if (error == SSL_ERROR_ZERO_RETURN && reading) return {Io::State::closed};
  error_ = errno;
  tls_error_ = ::ERR_get_error();
  return {Io::State::failed};
}

// A record costs 22 to 29 bytes, two passes of a cipher's set-up, and a system call.
Io Transport::write_records(std::span<const iovec> parts) noexcept {
  static thread_local std::array<char, kRecord> gathered;
  std::size_t total = 0;
  std::size_t at = 0;    // the part
  std::size_t from = 0;  // in it
  const auto skip = [&](std::size_t bytes) {
    for (; at < parts.size() && bytes >= parts[at].iov_len - from; from = 0, ++at) bytes -= parts[at].iov_len - from;
    from += bytes;
  };
  for (skip(0); at < parts.size();) {
    std::string_view record(static_cast<const char*>(parts[at].iov_base) + from, parts[at].iov_len - from);
    if (record.size() < kRecord && at + 1 < parts.size()) {
      std::size_t size = 0;
      for (std::size_t i = at; i < parts.size() && size < kRecord; ++i) {
        const std::size_t begin = i == at ? from : 0;
        const std::size_t take = std::min(parts[i].iov_len - begin, kRecord - size);
        if (take == 0) continue;  // its base may be null, which memcpy does not take
        std::memcpy(gathered.data() + size, static_cast<const char*>(parts[i].iov_base) + begin, take);
        size += take;
      }
      record = {gathered.data(), size};
    }
    ::ERR_clear_error();
    std::size_t put = 0;
    const int result = ::SSL_write_ex(ssl_, record.data(), record.size(), &put);
    if (result != 1) return total > 0 ? Io{Io::State::done, total} : tls_result(result, false);
    total += put;
    skip(put);
  }
  return {Io::State::done, total};
}

bool Transport::has_pending() const noexcept { return ssl_ != nullptr && ::SSL_has_pending(ssl_) == 1; }

bool Transport::cut_off() const noexcept { return ssl_ != nullptr && !detail::has_ended_in_order(ssl_); }

std::string_view Transport::alpn() const noexcept {
  if (ssl_ == nullptr) return {};
  const unsigned char* name = nullptr;
  unsigned size = 0;
  ::SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view Transport::server_name() const noexcept {
  const char* const name = ssl_ != nullptr ? ::SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name) : nullptr;
  return name != nullptr ? std::string_view(name) : std::string_view();
}

std::string_view Transport::tls_version() const noexcept {
  return ssl_ != nullptr ? std::string_view(::SSL_get_version(ssl_)) : std::string_view();
}

bool Transport::resumed() const noexcept { return ssl_ != nullptr && ::SSL_session_reused(ssl_) == 1; }

const PeerIdentity* Transport::peer_certificate() {
  if (ssl_ == nullptr || std::exchange(asked_peer_, true)) return peer_.get();
  const X509* const certificate = ::SSL_get0_peer_certificate(ssl_);
  const bool verified = ::SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE && ::SSL_get_verify_result(ssl_) == X509_V_OK;
  if (certificate != nullptr && verified) peer_ = std::make_unique<PeerIdentity>(detail::identity_of(certificate));
  return peer_.get();
}

std::string Transport::server_end_point() const {
  if (ssl_ == nullptr) return {};
  const X509* const certificate = ::SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  // RFC 5929, 4.1: the signature's hash, but SHA-256 in place of MD5 and SHA-1.
  int digest = NID_undef;
  ::OBJ_find_sigid_algs(::X509_get_signature_nid(certificate), &digest, nullptr);
  const EVP_MD* hash =
      digest == NID_undef || digest == NID_md5 || digest == NID_sha1 ? ::EVP_sha256() : ::EVP_get_digestbynid(digest);
  std::string value(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  const bool made =
      hash != nullptr && ::X509_digest(certificate, hash, reinterpret_cast<unsigned char*>(value.data()), &size) == 1;
  value.resize(made ? size : 0);
  return value;
}

}  // namespace ashlar::net
