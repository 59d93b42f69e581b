// What each open transaction of this process has run, so that a deadlock is told with the names of both sides.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar::net {
class Address;
}
namespace ashlar::pg {
class Statement;
struct ErrorFields;
}  // namespace ashlar::pg

namespace ashlar::pg::detail {

class Connection;

/// Of the transaction that runs on a connection, or was the last to. Written by its loop, read by the loop of a
/// transaction that it was in a deadlock with.
class TransactionJournal {
 public:
  explicit TransactionJournal(const Connection& connection);
  ~TransactionJournal();
  TransactionJournal(const TransactionJournal&) = delete;
  TransactionJournal& operator=(const TransactionJournal&) = delete;

  /// Forgets the transaction before.
  void begin(std::source_location begun) noexcept;
  /// A statement is about to be sent.
  void note(const Statement& statement) noexcept {
    const std::uint32_t count = count_.load(std::memory_order_relaxed);
    ids_[count % kKept].store(id_of(statement), std::memory_order_relaxed);
    count_.store(count + 1, std::memory_order_release);
  }
  [[nodiscard]] std::source_location begun() const noexcept { return begun_; }

  /// "transaction begun at src/orders.cpp:41; statements, the last one first: query take (src/orders.cpp:12), …" of the
  /// server's process; empty: it is not connected to this one.
  [[nodiscard]] static std::string describe(const net::Address& server, std::int32_t pid);

 private:
  static constexpr std::size_t kKept = 4;
  static std::uint32_t id_of(const Statement& statement) noexcept;

  const net::Address* server_;  // of the connection, which is open as long
  std::int32_t pid_;
  std::source_location begun_;
  std::array<std::atomic<std::uint32_t>, kKept> ids_{};  // of statements; a query may be gone before they are read
  std::atomic<std::uint32_t> count_{0};
  TransactionJournal* next_ = nullptr;
  TransactionJournal** link_ = nullptr;
};

/// The processes that `detail` of a deadlock names, each once: the first number of every line.
[[nodiscard]] std::vector<std::int32_t> deadlocked_processes(std::string_view detail);

/// Who a deadlock's sides are is told in its `detail`, a line each: "Process 4711 is transaction begun at …". At once,
/// while they are where they were, for they go on: those of this process. `own`: what the connection's is, if not what
/// its journal says.
void name_known_sides(const Connection& connection, ErrorFields& deadlock, std::string_view own = {});
/// Asks the server for the others, on a connection that is free for it. An error leaves them unknown.
[[nodiscard]] Task<void> name_other_sides(Connection& connection, ErrorFields& deadlock);

/// A transaction that has failed. Made at once.
class FailedTransaction {
 public:
  FailedTransaction(Connection& connection, const TransactionJournal& journal, std::exception_ptr error);

  /// After the rollback: counts it, and writes a deadlock to the log; `again`: it will be run once more.
  Task<void> report(unsigned attempt, bool again);

 private:
  Connection& connection_;
  const TransactionJournal& journal_;
  std::exception_ptr error_;
  ErrorFields* deadlock_ = nullptr;  // in error_
};

}  // namespace ashlar::pg::detail
