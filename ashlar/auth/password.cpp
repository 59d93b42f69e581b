#include <ashlar/auth/password.hpp>

#include <argon2.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include <ashlar/async/offload.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::auth {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
// A stored hash asking for more than this is not one of ours, and must not take the machine down.
constexpr std::uint32_t kMostMemoryKib = 1024 * 1024;
constexpr std::uint32_t kMostIterations = 64;
constexpr std::uint32_t kMostLanes = 64;

struct Parameters {
  std::uint32_t memory_kib = 0;
  std::uint32_t iterations = 0;
  std::uint32_t parallelism = 0;
  bool operator==(const Parameters&) const = default;
};

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_number(std::string_view& text, std::uint32_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
// https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md
std::optional<Parameters> read_parameters(std::string_view stored) {
  Parameters found;
  if (!take(stored, "$argon2id$v=19$m=") || !take_number(stored, found.memory_kib)) return std::nullopt;
  if (!take(stored, ",t=") || !take_number(stored, found.iterations)) return std::nullopt;
  if (!take(stored, ",p=") || !take_number(stored, found.parallelism)) return std::nullopt;
  if (!take(stored, "$")) return std::nullopt;
  if (found.memory_kib > kMostMemoryKib || found.iterations > kMostIterations || found.parallelism > kMostLanes) {
    return std::nullopt;
  }
  return found;
}

std::string make_hash(const PasswordOptions& options, std::string_view password) {
  std::string salt = random_bytes(kSaltBytes);
  char encoded[160];
  int result = ::argon2id_hash_encoded(options.iterations, options.memory_kib, options.parallelism, password.data(),
                                       password.size(), salt.data(), salt.size(), kHashBytes, encoded, sizeof encoded);
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR) throw Unavailable("no memory to hash a password; try again soon");
  if (result != ARGON2_OK) throw Internal(fmt::format("argon2id: {}", ::argon2_error_message(result)));
  return encoded;
}

bool check_hash(const PasswordOptions& options, std::string_view password, const std::optional<std::string>& stored) {
  if (!stored || !read_parameters(*stored)) {
    make_hash(options, password);  // as slow as a check
    return false;
  }
  int result = ::argon2id_verify(stored->c_str(), password.data(), password.size());
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR) throw Unavailable("no memory to check a password; try again soon");
  return result == ARGON2_OK;
}

std::size_t default_concurrency() { return std::max(1U, std::thread::hardware_concurrency() / 2); }

}  // namespace

// A place in the line, counted so that the line has an end.
class Passwords::Place {
 public:
  explicit Place(Passwords& owner) : owner_(owner) {
    if (owner_.in_line_.fetch_add(1, std::memory_order_relaxed) >=
        owner_.options_.max_concurrent + owner_.options_.max_waiting) {
      owner_.in_line_.fetch_sub(1, std::memory_order_relaxed);
      owner_.refused_.add();
      throw Unavailable("too many passwords are being checked; try again soon");
    }
  }
  ~Place() { owner_.in_line_.fetch_sub(1, std::memory_order_relaxed); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  Passwords& owner_;
};

Passwords::Passwords(PasswordOptions options)
    : options_([&] {
        if (options.max_concurrent == 0) options.max_concurrent = default_concurrency();
        return options;
      }()),
      running_(options_.max_concurrent) {
  if (options.parallelism < 1 || options.parallelism > kMostLanes || options.iterations < 1 ||
      options.iterations > kMostIterations || options.memory_kib < 8 * options.parallelism ||
      options.memory_kib > kMostMemoryKib) {
    throw Invalid(
        fmt::format("password options: argon2 takes 1…{} lanes, 1…{} iterations and 8 KiB a lane…1 GiB of memory",
                    kMostLanes, kMostIterations));
  }
  metrics::Registry& registry = metrics::default_registry();
  constexpr metrics::Description kDuration{"auth.password.duration",
                                           "Time to hash or check a password, without waiting.", "s"};
  constexpr metrics::Description kRefused{"auth.password.refused", "Passwords not checked: too many at once."};
  duration_ = registry.histogram(kDuration);
  refused_ = registry.counter(kRefused);
}

Task<std::string> Passwords::hash(Secret<> password) {
  if (password.reveal().size() > options_.max_length) {
    throw Invalid(fmt::format("a password may have at most {} bytes", options_.max_length));
  }
  Place place(*this);
  async::Permit permit = co_await running_.acquire();
  auto start = std::chrono::steady_clock::now();
  std::string stored = co_await async::offload([&] { return make_hash(options_, password.reveal()); });
  duration_.record(std::chrono::steady_clock::now() - start);
  co_return stored;
}

Task<bool> Passwords::verify(Secret<> password, std::optional<std::string> stored) {
  if (password.reveal().size() > options_.max_length) co_return false;
  Place place(*this);
  async::Permit permit = co_await running_.acquire();
  auto start = std::chrono::steady_clock::now();
  bool right = co_await async::offload([&] { return check_hash(options_, password.reveal(), stored); });
  duration_.record(std::chrono::steady_clock::now() - start);
  co_return right;
}

bool Passwords::needs_rehash(std::string_view stored) const noexcept {
  return read_parameters(stored) != Parameters{options_.memory_kib, options_.iterations, options_.parallelism};
}

}  // namespace ashlar::auth
