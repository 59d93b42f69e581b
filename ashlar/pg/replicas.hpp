// Replicas: reads from standbys that are fresh enough, writes to the primary, whichever server that is by now.
//
//   pg::Db db;                      // DATABASE_URL=postgresql://…@a,b,c/shop?target_session_attrs=read-write
//   pg::Replicas replicas{db};      // the same three; more for reads in DATABASE_REPLICA_URLS
//   app.provide(db).provide(replicas);
//
//   app.get<"/books">([](pg::Replicas& db) -> Task<std::vector<Book>> { co_return co_await db.all(all_books); });
//
// The type of the parameter says where a handler reads: `pg::Db&` is the primary, `pg::Replicas&` a replica. Without
// replicas both are the same server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/component.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/position.hpp>
#include <ashlar/pg/transaction.hpp>

namespace ashlar::pg {

struct ReplicasOptions {
  /// Servers that only reads go to, beside those of the Db's own URL; each may have several hosts. Empty: those of
  /// DATABASE_REPLICA_URLS, with white space between them.
  std::vector<std::string> urls = {};
  /// A replica gets no reads while its data is older, or while it has more of the log still to replay. Age is known to
  /// within `poll`.
  std::chrono::milliseconds max_lag = std::chrono::seconds{10};
  std::uint64_t max_lag_bytes = 64 * 1024 * 1024;
  /// How often each server is asked for its role and its position. Each process has one connection to each for that.
  std::chrono::milliseconds poll{250};
  /// A server that has not answered for so long is not reachable.
  std::chrono::milliseconds patience = std::chrono::seconds{2};
  /// Longest wait of a read for a replica to come to a position; the primary serves it then.
  std::chrono::milliseconds wait{100};
  /// Reads that wait so on one loop; more are served by the primary at once.
  std::size_t max_waiting = 1024;
};

enum class ServerRole : std::uint8_t {
  unreachable,
  primary,
  replica,   ///< a standby that follows the primary; whether it is fresh enough is another question
  detached,  ///< a standby that receives nothing: it is served until its data is too old
  diverged,  ///< a standby of another timeline than the primary's: gets no reads
  rival,     ///< takes writes although another server does so on a newer timeline: gets nothing
  foreign,   ///< of another cluster: gets nothing
};
[[nodiscard]] std::string_view to_string(ServerRole role) noexcept;

/// One server as this process sees it.
struct ServerStatus {
  std::string name;  ///< host:port
  ServerRole role = ServerRole::unreachable;
  bool serves_reads = false;  ///< of those that ask for nothing but fresh data
  Position position;          ///< written by the primary, replayed by the others; as of the last answer
  std::uint64_t behind = 0;   ///< bytes of the log
  std::optional<std::chrono::milliseconds> age;  ///< of its data; empty: not known
  std::string trouble;                           ///< why it is of no use, in words
};

/// Where reads went, of one loop.
struct ReplicaStats {
  std::uint64_t replica = 0;
  std::uint64_t primary = 0;        ///< of them, for want of a replica:
  std::uint64_t none_fresh = 0;     ///< no replica was fresh enough
  std::uint64_t not_reached = 0;    ///< none came to the position in time
  std::uint64_t too_many_wait = 0;  ///< too many waited already
};

class ReadYourWrites;

/// As an Executor it reads: each query from the replica with the fewest queries on their way, among those that are
/// fresh enough; from the primary when there is none (counted). All its sessions are read-only, those with the primary
/// too: what writes fails with SQLSTATE 25006 wherever it lands, and never only sometimes.
///
/// Errors are those of Executor; ConnectionLost also when neither a fresh replica nor the primary can be reached. A
/// query that a replica cancels, because replay needed to go on, is a SerializationFailure: a transaction repeats it.
class Replicas final : public async::Component, public Executor {
 public:
  /// `db` is started before it, and lives longer.
  explicit Replicas(Db& db, ReplicasOptions options = {});
  ~Replicas() override;

  /// The primary.
  [[nodiscard]] Db& primary() noexcept { return db_; }

  /// A read-only transaction on one server. `pg::repeatable_read` makes its queries see one state.
  template <class F>
  auto transaction(TransactionOptions options, F body) -> decltype(body(std::declval<Tx&>())) {
    co_return co_await reader().transaction(options | read_only, std::move(body));
  }
  template <class F>
  auto transaction(F body) -> decltype(body(std::declval<Tx&>())) {
    return transaction(TransactionOptions{}, std::move(body));
  }

  /// Reads that see everything up to `seen`, and what is written through them: one for a chain of work, such as a
  /// request. Waits at most ReplicasOptions::wait for a replica to come there; else the primary serves.
  [[nodiscard]] Task<ReadYourWrites> read_your_writes(Position seen = {});

  /// Of the primary, now: whatever was committed before the call can be read where that is reached. One round trip.
  [[nodiscard]] Task<Position> position();

  /// All servers. From any thread.
  [[nodiscard]] std::vector<ServerStatus> servers() const;
  /// Of this loop.
  [[nodiscard]] ReplicaStats stats() const;

  // async::Component
  [[nodiscard]] std::string_view name() const noexcept override { return "postgres replicas"; }
  /// Throws Invalid for a URL that is none, and when the Db's has several hosts without
  /// target_session_attrs=read-write.
  Task<void> start() override;
  Task<void> stop() override;
  /// Waits at most a second for servers that do not answer: they are taken in when they do.
  Task<void> start_loop(async::Loop& loop) override;
  Task<void> stop_loop(async::Loop& loop) override;
  /// When neither a replica nor the primary can serve a read.
  Task<std::optional<std::string>> unhealthy() override;
  std::vector<async::Command> commands() override;
  std::vector<std::pair<std::string, std::string>> settings() override;

 private:
  friend class ReadYourWrites;
  struct Impl;
  detail::Target target() override;
  Db& reader();

  Db& db_;
  std::unique_ptr<Impl> impl_;
};

/// See Replicas::read_your_writes. Of one loop; must not outlive the Replicas.
///
///   auto reads = co_await replicas.read_your_writes(pg::Position::parse(header));
///   co_await reads.primary().exec(rename, id, name);
///   Book book = co_await reads.one(book_by_id, id);        // the new name, from the primary
///   response.header = (co_await reads.position()).to_string();
class ReadYourWrites final : public Executor {
 public:
  /// For writes. Once it was asked for, reads come from the primary, too.
  [[nodiscard]] Db& primary() noexcept {
    wrote_ = true;
    return replicas_->db_;
  }
  /// Read-only ones where the others read, the rest on the primary.
  template <class F>
  auto transaction(TransactionOptions options, F body) -> decltype(body(std::declval<Tx&>())) {
    if (options.read_only) co_return co_await reader().transaction(options, std::move(body));
    co_return co_await primary().transaction(options, std::move(body));
  }
  template <class F>
  auto transaction(F body) -> decltype(body(std::declval<Tx&>())) {
    return transaction(TransactionOptions{}, std::move(body));
  }
  /// What the next reader has to see: the position of the primary when something was written, which is one round trip;
  /// else the one that came in.
  [[nodiscard]] Task<Position> position();

 private:
  friend class Replicas;
  ReadYourWrites(Replicas& replicas, std::optional<std::size_t> server, Position seen) noexcept
      : replicas_(&replicas), server_(server), seen_(seen) {}
  detail::Target target() override;
  Db& reader();

  Replicas* replicas_;
  std::optional<std::size_t> server_;  // none: the primary
  Position seen_;
  bool wrote_ = false;
};

}  // namespace ashlar::pg
