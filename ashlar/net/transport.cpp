#include <ashlar/net/transport.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <ashlar/base/error.hpp>

namespace ashlar::net {
namespace {

std::string reason(unsigned long code) {
  if (code == 0) return "the connection was closed";
  std::array<char, 256> text{};
  ::ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

SSL_CTX* make_context(const SSL_METHOD* method) {
  SSL_CTX* context = ::SSL_CTX_new(method);
  if (context == nullptr) throw Internal("OpenSSL gives no context: " + reason(::ERR_get_error()));
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  return context;
}

void use_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  if (::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    throw Invalid(fmt::format("cannot use the certificate {}: {}", certificate, reason(::ERR_get_error())));
  }
  if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      ::SSL_CTX_check_private_key(context) != 1) {
    throw Invalid(fmt::format("cannot use the key {} with that certificate: {}", key, reason(::ERR_get_error())));
  }
}

}  // namespace

std::shared_ptr<TlsContext> TlsContext::client(ClientOptions options) {
  auto made = std::make_shared<TlsContext>(make_context(::TLS_client_method()), options.verify);
  SSL_CTX* context = made->native();
  if (options.verify == ClientOptions::Verify::none) {
    ::SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  } else {
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    const int loaded = options.ca_file.empty() ? ::SSL_CTX_set_default_verify_paths(context)
                                               : ::SSL_CTX_load_verify_file(context, options.ca_file.c_str());
    if (loaded != 1) {
      throw Invalid(fmt::format("cannot use the certificate authorities in {}: {}",
                                options.ca_file.empty() ? "the system's store" : options.ca_file,
                                reason(::ERR_get_error())));
    }
  }
  if (!options.certificate_file.empty()) use_certificate(context, options.certificate_file, options.key_file);
  return made;
}

std::shared_ptr<TlsContext> TlsContext::server(ServerOptions options) {
  auto made = std::make_shared<TlsContext>(make_context(::TLS_server_method()), ClientOptions::Verify::none);
  use_certificate(made->native(), options.certificate_file, options.key_file);
  return made;
}

TlsContext::~TlsContext() { ::SSL_CTX_free(context_); }

Transport::~Transport() { close(); }

void Transport::end_writing() noexcept {
  if (ssl_ != nullptr) {
    ::SSL_shutdown(ssl_);  // best effort, as in close()
    ::ERR_clear_error();
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

void Transport::close() noexcept {
  if (ssl_ != nullptr) {
    ::SSL_shutdown(ssl_);  // best effort: one try to send close_notify
    ::SSL_free(ssl_);
    ssl_ = nullptr;
    ::ERR_clear_error();
  }
  fd_.reset();
}

Task<void> Transport::start_tls_client(std::shared_ptr<TlsContext> context, std::string host) {
  context_ = std::move(context);
  ssl_ = ::SSL_new(context_->native());
  ::SSL_set_fd(ssl_, fd_.get());
  const bool numeric = Address::ip(host, 0).has_value();
  if (!numeric) ::SSL_set_tlsext_host_name(ssl_, host.c_str());
  if (context_->verify() == TlsContext::ClientOptions::Verify::full) {
    X509_VERIFY_PARAM* parameters = ::SSL_get0_param(ssl_);
    if (numeric) {
      ::X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str());
    } else {
      ::X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      ::X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
    }
  }
  co_await handshake(false);
}

Task<void> Transport::start_tls_server(std::shared_ptr<TlsContext> context) {
  context_ = std::move(context);
  ssl_ = ::SSL_new(context_->native());
  ::SSL_set_fd(ssl_, fd_.get());
  co_await handshake(true);
}

Task<void> Transport::handshake(bool server) {
  for (;;) {
    ::ERR_clear_error();
    const int result = server ? ::SSL_accept(ssl_) : ::SSL_connect(ssl_);
    if (result == 1) co_return;
    const int error = ::SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ) {
      co_await ready(fd_.get(), EPOLLIN);
    } else if (error == SSL_ERROR_WANT_WRITE) {
      co_await ready(fd_.get(), EPOLLOUT);
    } else {
      const long verified = ::SSL_get_verify_result(ssl_);
      std::string why = verified != X509_V_OK ? ::X509_verify_cert_error_string(verified) : reason(::ERR_get_error());
      throw Unavailable("the TLS handshake failed: " + why);
    }
  }
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

Io Transport::read(std::span<char> buffer) noexcept {
  if (ssl_ != nullptr) {
    ::ERR_clear_error();
    std::size_t got = 0;
    const int result = ::SSL_read_ex(ssl_, buffer.data(), buffer.size(), &got);
    return result == 1 ? Io{Io::State::done, got} : tls_result(result, true);
  }
  wants_write_ = false;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) return {Io::State::done, static_cast<std::size_t>(got)};
    if (got == 0) return {Io::State::closed};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {Io::State::would_block};
    error_ = errno;
    return {Io::State::failed};
  }
}

Io Transport::write(std::string_view bytes) noexcept {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return write(std::span{&part, 1});
}

Io Transport::write(std::span<const iovec> parts) noexcept {
  if (ssl_ != nullptr) {
    std::size_t total = 0;
    for (const iovec& part : parts) {
      std::size_t done = 0;
      while (done < part.iov_len) {
        ::ERR_clear_error();
        std::size_t put = 0;
        const int result =
            ::SSL_write_ex(ssl_, static_cast<const char*>(part.iov_base) + done, part.iov_len - done, &put);
        if (result != 1) return total > 0 ? Io{Io::State::done, total} : tls_result(result, false);
        done += put;
        total += put;
      }
    }
    return {Io::State::done, total};
  }
  wants_write_ = true;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  for (;;) {
    // Most answers are one part; send spares the kernel the copying and checking of the message and its list.
    const ssize_t put = parts.size() == 1 ? ::send(fd_.get(), parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                          : ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (put >= 0) return {Io::State::done, static_cast<std::size_t>(put)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {Io::State::would_block};
    error_ = errno;
    return {errno == EPIPE || errno == ECONNRESET ? Io::State::closed : Io::State::failed};
  }
}

bool Transport::has_pending() const noexcept { return ssl_ != nullptr && ::SSL_pending(ssl_) > 0; }

std::string Transport::server_end_point() const {
  if (ssl_ == nullptr) return {};
  X509* certificate = ::SSL_get1_peer_certificate(ssl_);
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
  ::X509_free(certificate);
  value.resize(made ? size : 0);
  return value;
}

std::string Transport::error() const {
  if (tls_error_ != 0) return reason(tls_error_);
  return error_ != 0 ? std::strerror(error_) : "the connection was closed";
}

}  // namespace ashlar::net
