// ClusterView: what is known of the servers of a cluster, from what each has said of itself. No I/O, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/async/context.hpp>
#include <ashlar/pg/position.hpp>
#include <ashlar/pg/replicas.hpp>

namespace ashlar::pg::detail {

/// What a server answered.
struct ServerSample {
  async::TimePoint sent;      ///< when it was asked
  async::TimePoint received;  ///< when the answer was there
  bool standby = false;
  /// Of a primary: how far it has written. Of a standby: what it has replayed, and the timeline that it receives; 0
  /// when the role may not see that (it is not in pg_monitor).
  Position position;
  bool receiving = false;  ///< a standby that a WAL receiver feeds
  std::string system;      ///< system identifier: the same on all servers of a cluster
};

/// How old the data of a standby is, is reckoned by our own clock alone: it has replayed what the primary had written
/// when we asked it then. So the clocks of the servers do not matter, an idle cluster is not behind, and a primary that
/// nobody reaches makes every standby older.
class ClusterView {
 public:
  struct Server {
    ServerRole role = ServerRole::unreachable;
    Position position;
    async::TimePoint sampled{};                        ///< when `position` was received
    async::TimePoint as_of = async::TimePoint::min();  ///< it has what was committed before; min(): not known
    std::uint64_t behind = 0;                          ///< bytes of the log that it has not replayed
    std::string trouble = "it has not answered yet";   ///< why it is of no use
    bool standby = false;                              ///< as of its last answer
    bool receiving = false;
  };

  /// `remember`: how old data may be and still be of interest.
  ClusterView(std::size_t servers, std::string system, async::Nanoseconds remember);

  void note(std::size_t server, const ServerSample& sample);
  void lost(std::size_t server, std::string why);

  /// The one that takes writes, be it reachable or not. The newest timeline wins: a primary that was left behind by a
  /// failover is a rival.
  [[nodiscard]] std::optional<std::size_t> primary() const noexcept { return primary_; }
  /// Grows when the primary, or the rivals, are others than before.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  /// The first position that was seen on the newest timeline: what an older one has beyond it is lost.
  [[nodiscard]] Position timeline_start() const noexcept { return timeline_start_; }
  [[nodiscard]] const std::vector<Server>& servers() const noexcept { return servers_; }

 private:
  struct Mark {
    async::TimePoint at;
    std::uint64_t lsn;
  };
  void note_primary(std::size_t server, const ServerSample& sample);
  void judge(Server& standby) const;
  void set_role(Server& server, ServerRole role, std::string trouble = {});

  std::vector<Server> servers_;
  std::string system_;
  async::Nanoseconds remember_;
  std::deque<Mark> marks_;  // of the primary, oldest first
  std::optional<std::size_t> primary_;
  Position timeline_start_;
  std::uint64_t changes_ = 0;
};

}  // namespace ashlar::pg::detail
