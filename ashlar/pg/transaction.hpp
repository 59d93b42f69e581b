// Tx: a transaction. See Db::transaction for how one begins, ends and is repeated.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/pg/executor.hpp>

namespace ashlar::pg {

enum class Isolation : std::uint8_t { read_committed, repeatable_read, serializable };

/// Combine with `|`: `pg::serializable | pg::read_only | pg::deferrable`.
struct TransactionOptions {
  Isolation isolation = Isolation::read_committed;
  bool read_only = false;
  bool deferrable = false;
  /// How often the function is run before a serialization failure or deadlock becomes an error.
  unsigned max_attempts = 8;
  /// Longest wait for a lock, then LockNotAvailable; zero: nine tenths of the time that the deadline leaves, so that a
  /// lock that does not come is told from a statement that is slow.
  std::chrono::milliseconds lock_timeout{0};

  friend constexpr TransactionOptions operator|(TransactionOptions a, const TransactionOptions& b) {
    a.isolation = std::max(a.isolation, b.isolation);
    a.read_only |= b.read_only;
    a.deferrable |= b.deferrable;
    a.max_attempts = std::max(a.max_attempts, b.max_attempts);
    a.lock_timeout = std::max(a.lock_timeout, b.lock_timeout);
    return a;
  }
};
inline constexpr TransactionOptions read_committed{};
inline constexpr TransactionOptions repeatable_read{.isolation = Isolation::repeatable_read};
inline constexpr TransactionOptions serializable{.isolation = Isolation::serializable};
inline constexpr TransactionOptions read_only{.read_only = true};
inline constexpr TransactionOptions deferrable{.deferrable = true};

class Tx final : public Executor {
 public:
  /// `begun`: the place that a deadlock is reported with.
  explicit Tx(detail::Connection& connection, std::source_location begun = std::source_location::current())
      : connection_(connection), journal_(connection.begin_journal(begun)) {}
  ~Tx() { connection_.end_journal(); }
  Tx(const Tx&) = delete;
  Tx& operator=(const Tx&) = delete;

  /// Runs a part that may fail without losing the whole: `co_await tx.savepoint([&]() -> Task<void> { … });` When it
  /// throws, what it did is undone and the exception goes on; catch it outside. May be nested.
  template <class F>
  auto savepoint(F body) -> decltype(body()) {
    using T = typename decltype(body())::value_type;
    const std::uint32_t number = ++savepoints_;
    const std::size_t hooks = hooks_.size();
    co_await begin_savepoint(number);
    std::exception_ptr error;
    std::optional<async::detail::Stored<T>> result;
    try {
      co_await async::detail::store(body(), result);
    } catch (...) {
      error = std::current_exception();
    }
    if (error) {
      hooks_.erase(hooks_.begin() + static_cast<std::ptrdiff_t>(hooks), hooks_.end());
      co_await async::shield(undo_savepoint(number));
      std::rethrow_exception(error);
    }
    co_await release_savepoint(number);
    if constexpr (!std::is_void_v<T>) co_return std::move(*result);
  }

  /// Runs `hook` once after the commit, on this loop, never after a rollback, be it only of the savepoint it was given
  /// in: mails, events, cache invalidation. It runs even when the request is cancelled meanwhile, for 30 seconds at
  /// most. An exception of it is logged; the transaction stays committed, and the other hooks run.
  void after_commit(std::function<Task<void>()> hook) { hooks_.push_back(std::move(hook)); }

  /// Waits for an advisory lock that is held to the end of the transaction.
  [[nodiscard]] Task<void> lock(std::int64_t key);
  /// False when somebody else holds it.
  [[nodiscard]] Task<bool> try_lock(std::int64_t key);
  /// The same by a name, whose key is `hashtextextended(name, 0)` for everybody who uses the database.
  [[nodiscard]] Task<void> lock(std::string name);
  [[nodiscard]] Task<bool> try_lock(std::string name);
  /// Which attempt this is, from 1.
  [[nodiscard]] unsigned attempt() const noexcept { return attempt_; }
  [[nodiscard]] detail::Connection& connection() noexcept { return connection_; }

 private:
  friend class Db;
  detail::Target target() override;
  Task<void> begin(TransactionOptions options);
  Task<void> commit();
  Task<void> rollback();
  Task<void> begin_savepoint(std::uint32_t number);
  Task<void> release_savepoint(std::uint32_t number);
  Task<void> undo_savepoint(std::uint32_t number);
  static Task<void> run_hooks(std::vector<std::function<Task<void>()>> hooks);

  detail::Connection& connection_;
  detail::TransactionJournal& journal_;
  std::vector<std::function<Task<void>()>> hooks_;
  std::uint32_t savepoints_ = 0;
  unsigned attempt_ = 1;
  bool ended_ = false;
};

}  // namespace ashlar::pg
