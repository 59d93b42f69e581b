// Transport: bytes over a non-blocking socket, in the clear or through TLS, with one interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/net/socket.hpp>

struct ssl_st;
struct ssl_ctx_st;

namespace ashlar::net {

/// What a read or write came to.
struct Io {
  enum class State : std::uint8_t {
    done,         ///< `bytes` were moved (at least one)
    would_block,  ///< try again when epoll says so (see Transport::wants_write)
    closed,       ///< the peer has ended its side (read), or is gone (write)
    failed,       ///< reset, or a TLS error: Transport::error() says which
  };
  State state;
  std::size_t bytes = 0;
};

/// How TLS is done; shared by many connections. Thread-safe once made.
class TlsContext {
 public:
  struct ClientOptions {
    enum class Verify : std::uint8_t { none, certificate, full };  ///< full: also the host name
    Verify verify = Verify::full;
    std::string ca_file{};  ///< PEM; empty: the system's store
    std::string certificate_file{};
    std::string key_file{};
  };
  /// Throws Invalid naming the file that cannot be used.
  static std::shared_ptr<TlsContext> client(ClientOptions options);
  struct ServerOptions {
    std::string certificate_file;  ///< PEM chain
    std::string key_file;
  };
  static std::shared_ptr<TlsContext> server(ServerOptions options);

  TlsContext(ssl_ctx_st* context, ClientOptions::Verify verify) noexcept : context_(context), verify_(verify) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_; }
  [[nodiscard]] ClientOptions::Verify verify() const noexcept { return verify_; }

 private:
  ssl_ctx_st* context_;
  ClientOptions::Verify verify_;
};

class Transport {
 public:
  Transport() noexcept = default;
  explicit Transport(Fd fd) noexcept : fd_(std::move(fd)) {}
  Transport(Transport&& other) noexcept : fd_(std::move(other.fd_)), ssl_(std::exchange(other.ssl_, nullptr)) {}
  Transport& operator=(Transport&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(ssl_, other.ssl_);
    return *this;
  }
  ~Transport();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  [[nodiscard]] bool secure() const noexcept { return ssl_ != nullptr; }

  /// Turns TLS on and shakes hands, as client of `host` (checked against the certificate as the context says) or as
  /// server. Throws Unavailable with OpenSSL's reason. The descriptor must not be watched by the loop meanwhile.
  Task<void> start_tls_client(std::shared_ptr<TlsContext> context, std::string host);
  Task<void> start_tls_server(std::shared_ptr<TlsContext> context);

  [[nodiscard]] Io read(std::span<char> buffer) noexcept;
  [[nodiscard]] Io write(std::string_view bytes) noexcept;
  /// Writes the parts in order, as many as go.
  [[nodiscard]] Io write(std::span<const iovec> parts) noexcept;
  /// After would_block: TLS may need the socket writable to read, and the reverse.
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }
  /// Decrypted bytes that epoll does not know about.
  [[nodiscard]] bool has_pending() const noexcept;

  /// RFC 5929 tls-server-end-point: the hash of the server's certificate, for SCRAM-SHA-256-PLUS; empty without TLS.
  [[nodiscard]] std::string server_end_point() const;
  /// Why the last operation failed.
  [[nodiscard]] std::string error() const;

  /// Says that nothing more will be written (TLS: close_notify), and leaves the other direction open.
  void end_writing() noexcept;
  void close() noexcept;

 private:
  Task<void> handshake(bool server);
  Io tls_result(int result, bool reading) noexcept;

  Fd fd_;
  ssl_st* ssl_ = nullptr;
  std::shared_ptr<TlsContext> context_;
  bool wants_write_ = false;
  int error_ = 0;
  unsigned long tls_error_ = 0;
};

}  // namespace ashlar::net
