// Pool: the connections of one loop. Single queries share a few, many on their way at once; a transaction, a stream or
// a slow query takes one for itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/async/timer.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/detail/shared_count.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {

class Sandbox;

struct PoolOptions {
  unsigned shared = 2;       ///< connections for single queries, each loop
  unsigned shared_most = 0;  ///< with those that are tried while queries queue up; 0: no more than `shared`
  std::chrono::milliseconds keep_extra = std::chrono::minutes{1};  ///< those, after the last queue
  unsigned exclusive = 4;           ///< connections for transactions, streams and slow queries, each loop
  std::size_t max_in_flight = 256;  ///< queries on their way on one shared connection; more wait
  std::size_t max_waiting = 8192;   ///< queries or transactions that wait; more are refused (503)
  std::chrono::milliseconds acquire_timeout = std::chrono::seconds{5};  ///< longest wait for a connection of one's own
  /// A shared connection whose oldest query is older than this, and on which nothing comes, is given up: the server, or
  /// the way to it, hangs. Zero: never.
  std::chrono::milliseconds answer_timeout{0};
  /// All that is done goes through its session, one after the other; the numbers of connections mean nothing.
  Sandbox* sandbox = nullptr;
};

struct PoolStats {
  std::uint64_t shared_open = 0;
  std::uint64_t exclusive_open = 0;
  std::uint64_t exclusive_used = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t waiting = 0;  ///< queries and transactions that wait for a connection
  std::uint64_t queries = 0;
  std::uint64_t acquired = 0;
  std::uint64_t refused = 0;  ///< shed: queue full, or no database
  std::uint64_t connects = 0;
  std::uint64_t lost = 0;
};

class Pool;

/// A connection of one's own; goes back to the pool by itself, or is closed if it is not as clean as it came.
class [[nodiscard]] Lease {
 public:
  Lease() noexcept = default;
  Lease(Pool& pool, std::unique_ptr<detail::Connection> connection) noexcept
      : pool_(&pool), connection_(std::move(connection)) {}
  Lease(Lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}
  Lease& operator=(Lease&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(connection_, other.connection_);
    return *this;
  }
  ~Lease();
  [[nodiscard]] detail::Connection& connection() const noexcept { return *connection_; }
  [[nodiscard]] explicit operator bool() const noexcept { return connection_ != nullptr; }
  /// In a sandbox, after a statement by itself: what its commit would check, it checks. Throws what that would.
  [[nodiscard]] Task<void> check_deferred() const;

 private:
  Pool* pool_ = nullptr;
  std::unique_ptr<detail::Connection> connection_;
};

/// Belongs to one loop, and so does every call. Reconnects by itself, with growing, jittered pauses.
class Pool final : public detail::ConnectionOwner {
 public:
  Pool(async::Loop& loop, std::shared_ptr<const detail::ConnectionConfig> config, PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Opens the first connection. Throws what the server, or the way to it, said.
  Task<void> start();
  /// Closes all connections; what still waits gets ConnectionLost.
  Task<void> stop();

  void submit(detail::Request& request);
  /// A single query that does not go through submit().
  void count_query() noexcept { ++stats_.queries; }
  void forget(detail::Request& request) noexcept;
  /// A connection of one's own. Throws PoolExhausted (none free within acquire_timeout), ConnectionLost, Cancelled,
  /// DeadlineExceeded.
  Task<Lease> acquire();

  /// For connections made from now on. Those to another server than its first host are closed: what is on its way there
  /// gets ConnectionLost, the transactions too.
  void use(std::shared_ptr<const detail::ConnectionConfig> config);

  [[nodiscard]] PoolStats stats() const noexcept;
  /// Why queries cannot be served now; empty: they can.
  [[nodiscard]] std::string trouble() const;
  /// From any thread: whether a shared connection is open.
  [[nodiscard]] bool connected() const noexcept { return connected_.load(std::memory_order_relaxed); }
  /// Single queries take a connection of their own as well.
  [[nodiscard]] bool sandboxed() const noexcept { return options_.sandbox != nullptr; }
  [[nodiscard]] async::Loop& loop() noexcept { return loop_; }
  [[nodiscard]] detail::Background& background() noexcept { return background_; }

 private:
  friend class Lease;
  struct Slot {
    std::unique_ptr<detail::Connection> connection;
    bool connecting = false;
    bool silent = false;         // as of the last look
    std::uint64_t received = 0;  // then
  };
  class Acquire;
  class Watch final : public async::Timer {
   public:
    explicit Watch(Pool& pool) noexcept : pool_(pool) {}
    ~Watch() = default;

   private:
    void on_timer() noexcept override { pool_.look_for_silence(); }
    Pool& pool_;
  };
  class Counting final : public async::Timer {
   public:
    explicit Counting(Pool& pool) noexcept : pool_(pool) {}
    ~Counting() = default;

   private:
    void on_timer() noexcept override { pool_.resting_ ? pool_.close_extra() : pool_.end_window(); }
    Pool& pool_;
  };

  void on_connection_lost(detail::Connection& connection, const std::string& reason) noexcept override;
  void on_connection_progress(detail::Connection& connection) noexcept override;

  void watch() noexcept;
  void look_for_silence() noexcept;
  detail::Connection* pick() noexcept;
  std::span<Slot> used_slots() noexcept { return {slots_.data(), count_.now()}; }
  /// Beyond PoolOptions::shared: done without where the server has none to spare.
  [[nodiscard]] bool is_extra(const Slot& slot) const noexcept;
  void note_queue() noexcept;
  void begin_window() noexcept;
  void end_window() noexcept;
  void close_extra() noexcept;
  [[nodiscard]] std::uint64_t answered() const noexcept;
  void note_connected() noexcept;
  void connect_in_background(Slot& slot);
  Task<void> connect(Slot& slot);
  void drain(detail::Connection& connection) noexcept;
  void refuse_all(const std::string& reason) noexcept;
  Lease lease(std::unique_ptr<detail::Connection> connection);
  void give_back(std::unique_ptr<detail::Connection> connection) noexcept;
  /// To who waits for one, or to those that are free.
  void offer(std::unique_ptr<detail::Connection> connection) noexcept;
  /// Those who wait look again.
  void wake_acquirers() noexcept;
  void bury(std::unique_ptr<detail::Connection> connection) noexcept;
  Task<void> enter_sandbox();
  Task<void> leave_sandbox();
  void end_in_sandbox(std::unique_ptr<detail::Connection> connection) noexcept;
  Task<void> end_in_sandbox_later(std::unique_ptr<detail::Connection> connection);
  void lost_in_sandbox() noexcept;
  std::unique_ptr<detail::Connection> make_connection();

  async::Loop& loop_;
  std::shared_ptr<const detail::ConnectionConfig> config_;
  PoolOptions options_;
  detail::Background background_;
  std::vector<Slot> slots_;
  std::vector<std::unique_ptr<detail::Connection>> idle_;
  std::vector<detail::Connection*> leased_;
  unsigned exclusive_open_ = 0;
  detail::Request* waiting_ = nullptr;
  detail::Request** waiting_tail_ = &waiting_;
  std::size_t waiting_count_ = 0;
  Acquire* acquiring_ = nullptr;
  Acquire* acquiring_last_ = nullptr;
  std::size_t acquiring_count_ = 0;
  std::string trouble_;
  struct Instruments {
    Instruments();
    metrics::UpDownCounter shared;
    metrics::UpDownCounter exclusive;
    metrics::UpDownCounter waiting;
    metrics::Counter acquired;
    metrics::Counter refused;
    metrics::Counter lost;
  } instruments_;
  PoolStats stats_;
  Watch watch_{*this};
  detail::SharedCount count_;
  Counting counting_{*this};
  async::TimePoint window_since_{};
  std::uint64_t window_answered_ = 0;  // of all, when it began
  std::uint64_t window_queries_ = 0;
  std::uint64_t queued_ = 0;  // in this window, behind others on every connection
  bool resting_ = false;      // counting_ runs until extra connections are closed
  unsigned failures_ = 0;
  std::atomic<bool> connected_{false};
  bool stopping_ = false;
};

}  // namespace ashlar::pg
