// TicketKeys: what servers remember so that they need not remember sessions (RFC 5077, RFC 8446 §4.6.1). Those with the
// same keys resume each other's sessions.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

struct ssl_ctx_st;

namespace ashlar::net {

/// Thread-safe. Shared by all loops, by the contexts before and after a reload, and, by way of seed(), by processes of
/// one machine. A key makes tickets for one lifetime, and reads them for one more; then it is erased, and with it the
/// way to read what was recorded of TLS 1.2 sessions.
///
/// Each key comes out of a secret, and so does the next secret, of which there is no way back; when, a clock says that
/// all processes of a machine share. So two that once had the same seed need not talk to each other again.
class TicketKeys {
 public:
  using Clock = std::chrono::steady_clock;
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;  // AES-256-CBC
    std::array<unsigned char, 32> mac;     // HMAC-SHA-256
    Clock::time_point made;
  };

  explicit TicketKeys(std::chrono::seconds lifetime, Clock::time_point now = Clock::now());
  /// Throws Invalid for what seed() has not made on this machine.
  explicit TicketKeys(std::string_view seed);
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  [[nodiscard]] std::chrono::seconds lifetime() const noexcept { return lifetime_; }
  /// The key for new tickets.
  [[nodiscard]] Key current(Clock::time_point now);
  /// The key of this name, while its tickets may be read.
  [[nodiscard]] std::optional<Key> find(const unsigned char* name, Clock::time_point now);
  /// Makes the same keys in another process, those whose tickets may still be read among them. A secret: whoever has it
  /// reads the sessions of two lifetimes, and all later ones.
  [[nodiscard]] std::string seed(Clock::time_point now);

 private:
  static constexpr std::size_t kSecret = 32;
  using Secret = std::array<unsigned char, kSecret>;

  void advance(Clock::time_point now);

  std::chrono::seconds lifetime_;
  std::mutex mutex_;
  Clock::time_point began_;  // the current period
  Secret secret_;            // of the current period
  std::optional<Secret> last_secret_;
  Key current_;
  std::optional<Key> last_;
};

namespace detail {
/// Makes a server's context write and read its tickets with them. They must outlive it.
void use_tickets(ssl_ctx_st* context, TicketKeys& keys);
}  // namespace detail

}  // namespace ashlar::net
