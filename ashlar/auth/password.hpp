// Passwords: argon2id (RFC 9106) off the loop, a bounded number at a time.
//
//   auth::Passwords passwords;
//   std::string stored = co_await passwords.hash(input.password);            // "$argon2id$v=19$m=19456,t=2,p=1$..."
//   auto user = co_await db.maybe(user_by_email, input.email);
//   bool right = co_await passwords.verify(input.password, user ? std::optional(user->password_hash) : std::nullopt);
//
// Length and breach rules (NIST SP 800-63B §5.1.1.2) belong to the program; here only a bound that keeps work finite.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::auth {

// The defaults are what OWASP asks for at least:
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
struct PasswordOptions {
  std::uint32_t memory_kib = 19 * 1024;
  std::uint32_t iterations = 2;
  std::uint32_t parallelism = 1;
  std::size_t max_concurrent = 0;  // hashes at a time in the process; 0: half the cores, at least one
  std::size_t max_waiting = 64;    // further ones waiting; beyond that: Unavailable
  std::size_t max_length = 4096;   // bytes of a password; longer: Invalid

  // For tests: a hash in well under a millisecond. Never for real passwords.
  [[nodiscard]] static PasswordOptions cheap() { return {.memory_kib = 8, .iterations = 1}; }
};

// Hashes and checks passwords. Any loop may use it; it must outlive the tasks it gave.
class Passwords {
 public:
  // Throws Invalid when argon2 does not take the parameters.
  explicit Passwords(PasswordOptions options = {});
  Passwords(const Passwords&) = delete;
  Passwords& operator=(const Passwords&) = delete;

  // The hash of a new password with a random salt, as a PHC string (at most 128 characters) to be stored.
  // Throws Invalid (too long), Unavailable (too many at once), Cancelled or DeadlineExceeded while it waits its turn.
  Task<std::string> hash(Secret<> password);
  Task<std::string> hash(std::string password) { return hash(Secret<>(std::move(password))); }

  // Whether the password is the one that was hashed. Give nullopt for a user that does not exist: it takes as long and
  // gives false, so nobody learns who has an account. A stored text that is no argon2id hash is never right, and as
  // slow. Throws like hash(), except that a password that is too long is just wrong.
  Task<bool> verify(Secret<> password, std::optional<std::string> stored);
  Task<bool> verify(std::string password, std::optional<std::string> stored) {
    return verify(Secret<>(std::move(password)), std::move(stored));
  }

  // Whether a hash should be made anew now that the right password is at hand: it was made with other parameters or
  // another algorithm.
  [[nodiscard]] bool needs_rehash(std::string_view stored) const noexcept;

 private:
  class Place;
  PasswordOptions options_;
  async::Semaphore running_;
  std::atomic<std::size_t> in_line_{0};
  metrics::Histogram duration_;
  metrics::Counter refused_;
};

}  // namespace ashlar::auth
