// Transport: bytes over a non-blocking socket, in the clear or through TLS, with one interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/net/peer_identity.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/tls_context.hpp>

struct ssl_st;

namespace ashlar::net {

/// What a read or write came to.
struct Io {
  enum class State : std::uint8_t {
    done,         ///< `bytes` were moved (at least one)
    would_block,  ///< try again when epoll says so (see Transport::wants_write)
    closed,       ///< the peer has ended its side (read; see Transport::cut_off), or is gone (write)
    failed,       ///< reset, or a TLS error: Transport::error() says which
  };
  State state;
  std::size_t bytes = 0;
};

class Transport {
 public:
  Transport() noexcept = default;
  explicit Transport(Fd fd) noexcept : fd_(std::move(fd)) {}
  Transport(Transport&& other) noexcept : Transport() { swap(other); }
  Transport& operator=(Transport&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Transport();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  [[nodiscard]] bool secure() const noexcept { return ssl_ != nullptr; }

  /// Turns TLS on and shakes hands, as client of `host` (checked against the certificate as the context says) or as
  /// server. Throws Unavailable with OpenSSL's reason; handshake_failure() then says of what kind it is. The descriptor
  /// must not be watched by the loop meanwhile. `alpn`: protocols offered, the best first, where the context's options
  /// name none.
  Task<void> start_tls_client(std::shared_ptr<TlsContext> context, std::string host,
                              std::vector<std::string> alpn = {});
  Task<void> start_tls_server(std::shared_ptr<TlsContext> context);
  [[nodiscard]] TlsFailure handshake_failure() const noexcept { return failure_; }
  /// After a handshake that failed: back to the clear, for an answer to who speaks no TLS (TlsFailure::plain_http).
  void drop_tls() noexcept;

  // What the handshake agreed on; empty, false and null without TLS. Views live until the transport is closed.
  [[nodiscard]] std::string_view alpn() const noexcept;         ///< "h2"; empty: the peer offered nothing, or we do not
  [[nodiscard]] std::string_view server_name() const noexcept;  ///< of a server: the name that the client asked for
  [[nodiscard]] std::string_view tls_version() const noexcept;  ///< "TLSv1.3"
  [[nodiscard]] bool resumed() const noexcept;
  /// Who the peer is, if it showed a certificate and the context's authorities vouch for it; else null. Not for two
  /// threads at once. Lives as long as the transport, and moves with it.
  [[nodiscard]] const PeerIdentity* peer_certificate();

  [[nodiscard]] Io read(std::span<char> buffer) noexcept;
  [[nodiscard]] Io write(std::string_view bytes) noexcept;
  /// Writes the parts in order, as many as go. TLS: small parts share a record. After would_block, what comes next must
  /// begin with the same bytes, and be no less.
  [[nodiscard]] Io write(std::span<const iovec> parts) noexcept;
  /// After would_block: TLS may need the socket writable to read, and the reverse.
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }
  /// Bytes that were taken from the socket and not read yet, so that epoll does not know about them. They need not be
  /// a whole record: reading may still say would_block.
  [[nodiscard]] bool has_pending() const noexcept;
  /// After `closed`: TLS, and the end came without the word that it is one (close_notify). Whoever is in between may
  /// have cut the bytes short; what is delimited by the end of the connection is not complete (RFC 9112 §9.8).
  [[nodiscard]] bool cut_off() const noexcept;

  /// RFC 5929 tls-server-end-point: the hash of the server's certificate, for SCRAM-SHA-256-PLUS; empty without TLS.
  [[nodiscard]] std::string server_end_point() const;
  /// Why the last operation failed.
  [[nodiscard]] std::string error() const;

  /// Says that nothing more will be written (TLS: close_notify), and leaves the other direction open.
  void end_writing() noexcept;
  void close() noexcept;

 private:
  void swap(Transport& other) noexcept;
  void begin_tls(std::shared_ptr<TlsContext> context);
  Task<void> handshake(bool server);
  [[noreturn]] void fail_handshake(int error);
  Io write_records(std::span<const iovec> parts) noexcept;
  Io tls_result(int result, bool reading) noexcept;

  Fd fd_;
  ssl_st* ssl_ = nullptr;
  std::shared_ptr<TlsContext> context_;  // outlives ssl_
  std::unique_ptr<PeerIdentity> peer_;
  unsigned long tls_error_ = 0;
  int error_ = 0;
  bool wants_write_ = false;
  bool asked_peer_ = false;
  TlsFailure failure_ = TlsFailure::none;
};

}  // namespace ashlar::net
