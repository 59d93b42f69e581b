// Db: the database of a program. One object for all loops; every loop has its own connections.
//
//   Article a = co_await db.one(article_by_slug, slug);
//   co_await db.transaction(pg::serializable, [&](pg::Tx& tx) -> Task<void> { … });
//
// Without settings it starts a private PostgreSQL (see private_server.hpp); DATABASE_URL names another one.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/component.hpp>
#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/pool.hpp>
#include <ashlar/pg/private_server.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/pg/transaction.hpp>

namespace ashlar::pg {

namespace detail {
class Advisor;
class RepeatWarnings;
class Scratch;
class StatisticsReader;
class StatisticsSampler;
}  // namespace detail
struct QuerySnapshot;

struct Options {
  /// postgresql://… Empty: DATABASE_URL from the environment; neither: a private server.
  std::string url = {};
  /// Folder of migrations (see migrations.hpp), applied by start(). Empty: none.
  std::filesystem::path migrations = {};
  /// Data of the private server. Empty: ASHLAR_DATA_DIR/postgres, or .ashlar/postgres.
  std::filesystem::path data = {};
  /// Connections of each loop: shared by single queries, and for transactions, streams and slow queries.
  unsigned shared_connections = 2;
  /// While queries queue up on all of those, more are tried, and used as long as more is answered. 0: twice as many.
  unsigned shared_connections_most = 0;
  unsigned exclusive_connections = 4;
  std::size_t max_in_flight = 256;
  std::size_t max_waiting = 8192;
  std::chrono::milliseconds acquire_timeout = std::chrono::seconds{5};
  /// The server's own limit for a statement; zero: none. Sent when connecting (pgbouncer: set 0, or list it in
  /// ignore_startup_parameters). Transactions get the deadline of their request too.
  std::chrono::milliseconds statement_timeout = std::chrono::seconds{30};
  /// Off for a pooler that gives each transaction another session of the server and does not know prepared statements:
  /// pgbouncer before 1.21 in its transaction mode. Every run then sends and parses its SQL.
  bool prepared_statements = true;
  /// Compare every query of the program with the schema in start(), and refuse to start when one does not fit.
  bool check_queries = true;
  /// Apply migrations in start(). Off: start() refuses when some are missing.
  bool migrate = true;
  /// How long a migration waits for a lock before it lets the others go first (zero: for ever), and for how long it is
  /// tried again.
  std::chrono::milliseconds migration_lock_timeout = std::chrono::seconds{2};
  std::chrono::milliseconds migration_retry_for = std::chrono::minutes{2};
  /// For development: warn when one request runs the same query so often that it should be one (N+1). Zero: nobody
  /// counts.
  std::size_t warn_after_repeats = 0;
  /// How often the state of the database is read for /metrics, over a connection of its own, by one of all the
  /// processes that use it. Zero: never.
  std::chrono::milliseconds statistics_interval = std::chrono::seconds{30};
  /// Work in its transaction, which is never committed. Made by Sandbox::options(). Null: no.
  Sandbox* sandbox = nullptr;
};

struct Notification {
  std::string channel;
  std::string payload;
  std::int32_t pid = 0;  ///< of the session that sent it
};

class Db final : public async::Component, public Executor {
 public:
  explicit Db(Options options = {});
  ~Db() override;
  /// What the application provides when it is asked for a Db and has none.
  static std::unique_ptr<Db> make_default() { return std::make_unique<Db>(); }

  /// Runs `body` in a transaction and commits; when it throws, rolls back and rethrows. On a serialization failure
  /// (40001) or a deadlock (40P01) the whole body runs again, after a growing, jittered pause: it must have no effects
  /// outside the database (for those: Tx::after_commit). The commit is not repeated when the connection breaks in it:
  /// nobody knows.
  template <class F>
  auto transaction(TransactionOptions options, F body, std::source_location begun = std::source_location::current())
      -> decltype(body(std::declval<Tx&>())) {
    using T = typename decltype(body(std::declval<Tx&>()))::value_type;
    BodyOf<F, T> holder(std::move(body));
    co_await run_transaction(options, holder, begun);
    if constexpr (!std::is_void_v<T>) co_return std::move(*holder.result);
  }
  template <class F>
  auto transaction(F body, std::source_location begun = std::source_location::current())
      -> decltype(body(std::declval<Tx&>())) {
    return transaction(TransactionOptions{}, std::move(body), begun);
  }

  /// What others notify on the channel, from now on, over a connection of its own. When that breaks it connects again
  /// by itself; notifications in between are lost, so look at the data, too, when it matters. Ends when it is
  /// destroyed.
  [[nodiscard]] Generator<Notification> listen(std::string channel);

  // async::Component
  [[nodiscard]] std::string_view name() const noexcept override { return "postgres"; }
  /// A private server without fsync, in memory where there is room: the one that tests have.
  bool use_throwaway() override;
  /// Starts the private server if there is to be one, migrates, checks all queries. Throws with what to do.
  Task<void> start() override;
  Task<void> stop() override;
  /// The private server, if there is to be one: it outlives every worker.
  Task<void> start_shared() override;
  Task<void> stop_shared() override;
  Task<void> start_loop(async::Loop& loop) override;
  Task<void> stop_loop(async::Loop& loop) override;
  Task<std::optional<std::string>> unhealthy() override;
  std::vector<async::Command> commands() override;
  /// Every query of the program that does not fit the schema, one message each.
  Task<std::vector<std::string>> check() override;
  std::vector<std::pair<std::string, std::string>> settings() override;

  /// Of this loop.
  [[nodiscard]] PoolStats stats();
  [[nodiscard]] const Options& options() const noexcept { return options_; }
  /// Where it connects to; with the password. Valid after start() or connect_settings().
  [[nodiscard]] std::string url() const;
  [[nodiscard]] PrivateServer* private_server() noexcept { return server_.get(); }

 private:
  struct Body {
    virtual Task<void> run(Tx& tx) = 0;

   protected:
    ~Body() = default;
  };
  template <class F, class T>
  struct BodyOf final : Body {
    explicit BodyOf(F f) : function(std::move(f)) {}
    Task<void> run(Tx& tx) override {
      result.reset();
      return async::detail::store(function(tx), result);
    }
    F function;
    std::optional<async::detail::Stored<T>> result;
  };

  friend class NotifyBackplane;
  friend class Replicas;
  friend class ReadYourWrites;
  friend class Shards;
  friend class AdvisoryLock;
  friend class detail::Advisor;
  friend class detail::Scratch;
  friend class detail::StatisticsReader;
  friend class detail::StatisticsSampler;
  detail::Target target() override { return {&pool(), nullptr}; }
  Pool& pool() {
    async::Loop& loop = async::Loop::current();
    if (loop.index() < kDirect) {
      Pool* const pool = direct_[loop.index()].load(std::memory_order_acquire);
      if (pool != nullptr && &pool->loop() == &loop) [[likely]]
        return *pool;
    }
    return find_pool(loop);
  }
  Pool& find_pool(async::Loop& loop);
  Task<void> run_transaction(TransactionOptions options, Body& body, std::source_location begun);
  Task<void> ensure_config();
  Task<void> ensure_url();
  Task<void> stop_private_server();
  struct Session {
    virtual Task<void> run(detail::Connection& connection) = 0;

   protected:
    ~Session() = default;
  };
  /// A connection of its own without a limit of time; to another database of the server, if one is named.
  Task<void> with_session(Session& session, std::string database = {});
  template <class F>
  Task<void> with_session(F body, std::string database = {}) {
    struct Holder final : Session {
      explicit Holder(F& f) : function(f) {}
      Task<void> run(detail::Connection& connection) override { return function(connection); }
      F& function;
    } holder(body);
    co_await with_session(static_cast<Session&>(holder), std::move(database));
  }
  Task<QuerySnapshot> snapshot();
  Task<int> psql_command(std::vector<std::string> arguments);

  static constexpr std::size_t kDirect = 64;
  Options options_;
  bool throwaway_ = false;
  std::shared_ptr<const detail::ConnectionConfig> config_;
  std::unique_ptr<PrivateServer> server_;
  std::shared_ptr<detail::RepeatWarnings> warnings_;
  std::unique_ptr<detail::StatisticsSampler> sampler_;
  std::string url_;
  std::array<std::atomic<Pool*>, kDirect> direct_{};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Pool>> pools_;
};

}  // namespace ashlar::pg
