// Keys of session tickets: what a server remembers so that it need not remember sessions (RFC 5077, RFC 8446 §4.6.1).
#pragma once

#include <array>
#include <chrono>
#include <mutex>
#include <optional>

struct ssl_ctx_st;

namespace ashlar::net::detail {

/// Shared by all loops, and by the contexts before and after a reload. A key makes tickets for one lifetime, and reads
/// them for one more; then it is erased, and with it the way to read what was recorded of TLS 1.2 sessions.
class TicketKeys {
 public:
  using Clock = std::chrono::steady_clock;
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;  // AES-256-CBC
    std::array<unsigned char, 32> mac;     // HMAC-SHA-256
    Clock::time_point made;
  };

  explicit TicketKeys(std::chrono::seconds lifetime) noexcept : lifetime_(lifetime) {}
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  [[nodiscard]] std::chrono::seconds lifetime() const noexcept { return lifetime_; }
  /// The key for new tickets.
  [[nodiscard]] Key current(Clock::time_point now);
  /// The key of this name, while its tickets may be read.
  [[nodiscard]] std::optional<Key> find(const unsigned char* name, Clock::time_point now);

 private:
  void rotate(Clock::time_point now);
  std::chrono::seconds lifetime_;
  std::mutex mutex_;
  std::optional<Key> current_;
  std::optional<Key> last_;
};

/// Makes a server's context write and read its tickets with them. They must outlive it.
void use_tickets(ssl_ctx_st* context, TicketKeys& keys);

}  // namespace ashlar::net::detail
