#include <ashlar/pg/detail/cluster_view.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <utility>

namespace ashlar::pg::detail {
namespace {

constexpr std::size_t kMostMarks = 4096;

}  // namespace

ClusterView::ClusterView(std::size_t servers, std::string system, async::Nanoseconds remember)
    : servers_(servers), system_(std::move(system)), remember_(remember) {}

void ClusterView::set_role(Server& server, ServerRole role, std::string trouble) {
  if (server.role != role && (role == ServerRole::rival || server.role == ServerRole::rival)) ++changes_;
  server.role = role;
  server.trouble = std::move(trouble);
}

void ClusterView::lost(std::size_t server, std::string why) {
  set_role(servers_[server], ServerRole::unreachable, std::move(why));
}

void ClusterView::note(std::size_t server, const ServerSample& sample) {
  Server& one = servers_[server];
  if (!system_.empty() && sample.system != system_) {
    one.as_of = async::TimePoint::min();
    return set_role(
        one, ServerRole::foreign,
        fmt::format("it belongs to another cluster: its system identifier is {}, not {}", sample.system, system_));
  }
  one.standby = sample.standby;
  one.receiving = sample.receiving;
  if (!sample.standby) return note_primary(server, sample);
  if (primary_ == server) primary_.reset();
  one.position = sample.position;
  one.sampled = sample.received;
  set_role(one, ServerRole::replica);
  judge(one);
}

void ClusterView::note_primary(std::size_t server, const ServerSample& sample) {
  Server& one = servers_[server];
  if (primary_ && primary_ != server) {
    Server& current = servers_[*primary_];
    if (sample.position.timeline <= current.position.timeline) {
      one.position = sample.position;
      one.sampled = sample.received;
      one.as_of = async::TimePoint::min();
      return set_role(
          one, ServerRole::rival,
          "it takes writes, but another server does so on a newer timeline: stop it, and make it a standby");
    }
    // A failover that the old primary has not noticed: it is none any more, whether it can be reached or not.
    if (current.role == ServerRole::primary) {
      current.as_of = async::TimePoint::min();
      set_role(current, ServerRole::rival,
               "it takes writes, but another server does so on a newer timeline: stop it, and make it a standby");
    }
  }
  const bool new_timeline = sample.position.timeline != timeline_start_.timeline;
  if (new_timeline) {
    timeline_start_ = sample.position;
    marks_.clear();
  }
  if (primary_ != server || new_timeline) ++changes_;
  primary_ = server;
  one.position = sample.position;
  one.sampled = sample.received;
  one.as_of = sample.sent;
  one.behind = 0;
  set_role(one, ServerRole::primary);

  if (!marks_.empty() && marks_.back().lsn == sample.position.lsn) {
    marks_.back().at = sample.sent;
  } else {
    marks_.push_back({sample.sent, sample.position.lsn});
  }
  while (marks_.size() > kMostMarks || (marks_.size() > 1 && marks_.front().at + remember_ < sample.sent))
    marks_.pop_front();
  for (Server& other : servers_) {
    if (other.role == ServerRole::replica || other.role == ServerRole::detached || other.role == ServerRole::diverged)
      judge(other);
  }
}

// A standby that follows the primary has replayed what the primary had written, and never more. One that follows
// another timeline, or nobody, may have replayed as many bytes, but of another story.
void ClusterView::judge(Server& standby) const {
  if (marks_.empty()) return;  // no primary has been seen
  const std::uint64_t newest = marks_.back().lsn;
  standby.behind = newest > standby.position.lsn ? newest - standby.position.lsn : 0;
  const std::uint32_t timeline = standby.position.timeline;
  if (timeline != 0 && timeline != timeline_start_.timeline) {
    standby.role = ServerRole::diverged;
    standby.trouble =
        fmt::format("it receives the timeline {}, the primary writes {}", timeline, timeline_start_.timeline);
    return;
  }
  if (standby.sampled < marks_.back().at && standby.position.lsn > newest) {
    standby.role = ServerRole::diverged;
    standby.trouble = "it has replayed more than the primary has written";
    return;
  }
  const auto newest_first = marks_ | std::views::reverse;
  const auto mark = std::ranges::find_if(newest_first, [&](const Mark& m) { return m.lsn <= standby.position.lsn; });
  const auto reached = mark == newest_first.end() ? async::TimePoint::min() : mark->at;
  if (!standby.receiving) {  // what it has may be of another story from here on; it does not become younger
    standby.as_of = std::min(standby.as_of, reached);
    standby.role = ServerRole::detached;
    standby.trouble = "it receives nothing from a primary";
    return;
  }
  standby.as_of = reached;
  standby.role = ServerRole::replica;
  standby.trouble.clear();
}

}  // namespace ashlar::pg::detail
