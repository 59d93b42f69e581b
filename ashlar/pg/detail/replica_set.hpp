// ReplicaSet: the servers behind Replicas, who asks each how it is, and which one a read takes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/detail/cluster_view.hpp>
#include <ashlar/pg/replicas.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg::detail {

/// One server. The numbers are written by the loop that asks, and read by all.
struct ReplicaServer {
  std::string name;
  std::unique_ptr<Db> db;              ///< read-only sessions, with this server alone
  std::optional<std::size_t> of_db{};  ///< which host of the program's Db it is
  std::atomic<ServerRole> role{ServerRole::unreachable};
  std::atomic<std::uint64_t> lsn{0};
  std::atomic<std::int64_t> as_of{INT64_MIN};  ///< ns of the steady clock
  std::atomic<std::uint64_t> behind{0};
  bool served = false;  ///< as was logged last
};

/// What a loop knows for itself.
struct ReplicaLoop {
  explicit ReplicaLoop(async::Loop& of, std::size_t servers) : loop(of), attached(servers), asking(servers) {}
  async::Loop& loop;
  Background background;
  std::vector<char> attached;  // its pool has had a connection, and finds its way back by itself
  std::vector<char> asking;    // somebody asks it for its position
  std::size_t untried = 0;
  async::Event tried;  // each server once
  async::Event changed;
  std::vector<std::size_t> equals;  // of choose(), kept for its memory
  std::size_t turn = 0;
  std::size_t waiting = 0;
  ReplicaStats stats;
};

/// What the primary has written up to, as a standby that has replayed all of it says it: once a page is full, the
/// primary counts the header of the next one, which nobody replays before more is written.
[[nodiscard]] Position written_position(std::uint64_t lsn, std::string_view wal_file, std::uint64_t offset,
                                        std::uint64_t block);

}  // namespace ashlar::pg::detail

namespace ashlar::pg {

struct Replicas::Impl {
  Impl(Db& the_db, ReplicasOptions the_options) : db(the_db), options(std::move(the_options)) {}

  // -- servers: replica_watch.cpp
  void add_servers();
  Task<void> read_system();
  Task<void> watch(std::size_t server);
  Task<void> ask(std::size_t server, detail::Connection& connection);
  Task<void> attach(detail::ReplicaLoop& here, std::size_t server);
  Task<void> follow_primary(detail::ReplicaLoop& here);
  void lead_writes();
  void publish();
  void note_tried(std::size_t server);
  void collect(metrics::Collector& to) const;

  // -- choice: replicas.cpp
  [[nodiscard]] detail::ReplicaLoop& here();
  [[nodiscard]] bool fresh(const detail::ReplicaServer& server, async::TimePoint now) const noexcept;
  [[nodiscard]] bool may_read(detail::ReplicaLoop& at, std::size_t server, async::TimePoint now);
  [[nodiscard]] std::optional<std::size_t> choose(detail::ReplicaLoop& at, std::uint64_t lsn);
  [[nodiscard]] std::optional<std::size_t> furthest(detail::ReplicaLoop& at);
  [[nodiscard]] Task<std::optional<std::size_t>> reach(Position position);
  [[nodiscard]] Db& count_replica(detail::ReplicaLoop& at, std::size_t server);
  [[nodiscard]] Db& fall_back(detail::ReplicaLoop& at);

  Db& db;
  ReplicasOptions options;
  std::string system;
  std::deque<detail::ReplicaServer> servers;
  std::atomic<std::int64_t> primary{-1};
  std::atomic<std::uint32_t> timeline{0};
  std::atomic<std::uint64_t> timeline_start{0};

  mutable std::mutex mutex;  // for these
  std::optional<detail::ClusterView> view;
  std::vector<std::unique_ptr<detail::ReplicaLoop>> loops;
  async::Loop* home = nullptr;
  std::shared_ptr<const detail::ConnectionConfig> leading;  // where writes go; null: as the Db's URL says

  static constexpr std::size_t kDirect = 64;
  std::array<std::atomic<detail::ReplicaLoop*>, kDirect> direct{};
  // Of the home loop:
  std::uint64_t led = 0;  // changes of the view that were acted on
  std::int64_t last_primary = -1;
  std::vector<char> tried;
  std::size_t untried = 0;
  async::Event all_tried;
  metrics::Registry::Collection collection;
  struct Instruments {
    Instruments();
    metrics::Counter replica, primary, none_fresh, not_reached, too_many_wait, failovers;
  } instruments;
};

}  // namespace ashlar::pg
