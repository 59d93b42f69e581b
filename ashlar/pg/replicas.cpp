#include <ashlar/pg/replicas.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/replica_set.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using detail::ReplicaLoop;
using detail::ReplicaServer;

constexpr auto kFirstAnswers = 1s;

struct Written {
  std::int64_t lsn;
  std::string file_name;
  std::int32_t file_offset;
  std::int32_t block;
};
inline const Query<Written()> written{
    "select (l - '0/0'::pg_lsn)::int8 as lsn, (pg_walfile_name_offset(l)).file_name, "
    "(pg_walfile_name_offset(l)).file_offset, current_setting('wal_block_size')::int4 as block "
    "from pg_current_wal_insert_lsn() l",
    {.name = "ashlar.position"}};
inline const Query<std::optional<std::int64_t>()> replayed{"select (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::int8",
                                                           {.name = "ashlar.replayed"}};

/// Says that somebody is here, until the end of the scope.
template <class T>
class Counted {
 public:
  explicit Counted(T& count) noexcept : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  T& count_;
};

}  // namespace

std::string_view to_string(ServerRole role) noexcept {
  switch (role) {
    case ServerRole::unreachable:
      return "unreachable";
    case ServerRole::primary:
      return "primary";
    case ServerRole::replica:
      return "replica";
    case ServerRole::detached:
      return "detached";
    case ServerRole::diverged:
      return "diverged";
    case ServerRole::rival:
      return "rival";
    case ServerRole::foreign:
      return "foreign";
  }
  return "unreachable";
}

Replicas::Impl::Instruments::Instruments() {
  metrics::Registry& registry = metrics::default_registry();
  const metrics::Description reads{
      .name = "pg.replicas.reads", .help = "Where reads that a replica may serve went.", .unit = "{read}"};
  replica = registry.counter(reads, {{"server", "replica"}});
  primary = registry.counter(reads, {{"server", "primary"}});
  const metrics::Description fallbacks{
      .name = "pg.replicas.fallbacks", .help = "Why the primary served what a replica may serve.", .unit = "{read}"};
  none_fresh = registry.counter(fallbacks, {{"reason", "none_fresh"}});
  not_reached = registry.counter(fallbacks, {{"reason", "not_reached"}});
  too_many_wait = registry.counter(fallbacks, {{"reason", "too_many_wait"}});
  failovers = registry.counter(
      {.name = "pg.replicas.failovers", .help = "How often another server became the primary.", .unit = "{failover}"});
}

Replicas::Replicas(Db& db, ReplicasOptions options) : db_(db), impl_(std::make_unique<Impl>(db, std::move(options))) {
  const ReplicasOptions& given = impl_->options;
  if (given.poll <= 0ms || given.patience <= 0ms || given.max_lag <= 0ms || given.wait < 0ms)
    throw Invalid("pg::ReplicasOptions: poll, patience and max_lag must be more than zero, and wait not less");
}

Replicas::~Replicas() = default;

// ------------------------------------------------------------------------------------------------------- its life

Task<void> Replicas::start() {
  impl_->add_servers();
  co_await impl_->read_system();
  impl_->view.emplace(impl_->servers.size(), impl_->system, impl_->options.max_lag);
}

Task<void> Replicas::stop() {
  impl_->collection = {};
  const std::lock_guard lock(impl_->mutex);
  impl_->view.reset();
  impl_->servers.clear();
  impl_->primary = -1;
  co_return;
}

Task<void> Replicas::start_loop(async::Loop& loop) {
  Impl& impl = *impl_;
  if (!impl.view) throw Internal("pg::Replicas::start_loop before start");
  auto owned = std::make_unique<ReplicaLoop>(loop, impl.servers.size());
  ReplicaLoop& here = *owned;
  bool first = false;
  {
    const std::lock_guard lock(impl.mutex);
    impl.loops.push_back(std::move(owned));
    if (loop.index() < Impl::kDirect) impl.direct[loop.index()].store(&here, std::memory_order_release);
    first = std::exchange(impl.home, impl.home == nullptr ? &loop : impl.home) == nullptr;
  }
  here.untried = impl.servers.size();
  here.background.start(impl.follow_primary(here));
  for (std::size_t i = 0; i < impl.servers.size(); ++i) here.background.start(impl.attach(here, i));
  if (first) {
    impl.tried.assign(impl.servers.size(), 0);
    impl.untried = impl.servers.size();
    impl.all_tried.reset();
    impl.collection = metrics::default_registry().collect([&impl](metrics::Collector& to) { impl.collect(to); });
    for (std::size_t i = 0; i < impl.servers.size(); ++i) here.background.start(impl.watch(i));
  }
  const auto answers = [](ReplicaLoop& at, async::Event& all) -> Task<void> {
    co_await at.tried.wait();
    co_await all.wait();
  };
  try {
    co_await async::timeout(kFirstAnswers, answers(here, impl.all_tried));
  } catch (const DeadlineExceeded&) {
    // the primary serves until they answer
  }
}

Task<void> Replicas::stop_loop(async::Loop& loop) {
  Impl& impl = *impl_;
  std::unique_ptr<ReplicaLoop> here;
  {
    const std::lock_guard lock(impl.mutex);
    const auto it = std::ranges::find_if(impl.loops, [&](const auto& one) { return &one->loop == &loop; });
    if (it == impl.loops.end()) co_return;
    here = std::move(*it);
    impl.loops.erase(it);
    if (impl.home == &loop) impl.home = nullptr;
    if (loop.index() < Impl::kDirect) {
      ReplicaLoop* expected = here.get();
      impl.direct[loop.index()].compare_exchange_strong(expected, nullptr);
    }
  }
  co_await here->background.stop();
  for (ReplicaServer& server : impl.servers) co_await server.db->stop_loop(loop);
}

Task<std::optional<std::string>> Replicas::unhealthy() {
  ReplicaLoop& here = impl_->here();
  const async::TimePoint now = here.loop.now();
  for (std::size_t i = 0; i < impl_->servers.size(); ++i) {
    if (impl_->may_read(here, i, now)) co_return std::nullopt;
  }
  const std::int64_t primary = impl_->primary.load();
  if (primary < 0) co_return "no server of the database is its primary, and no replica is fresh";
  const auto at = static_cast<std::size_t>(primary);
  if (here.attached[at] != 0 && impl_->servers[at].db->pool().connected()) co_return std::nullopt;
  co_return fmt::format("no replica is fresh, and the primary {} cannot be reached", impl_->servers[at].name);
}

std::vector<std::pair<std::string, std::string>> Replicas::settings() {
  std::string urls;
  for (const std::string& url : impl_->options.urls) {
    if (!urls.empty()) urls += " ";
    try {
      urls += ConnectOptions::parse(url).to_string();
    } catch (const Error& error) {
      urls += error.message();
    }
  }
  return {{"pg.replicas.urls", urls.empty() ? "DATABASE_REPLICA_URLS" : urls},
          {"pg.replicas.max_lag", fmt::format("{} ms", impl_->options.max_lag.count())},
          {"pg.replicas.max_lag_bytes", std::to_string(impl_->options.max_lag_bytes)},
          {"pg.replicas.wait", fmt::format("{} ms", impl_->options.wait.count())}};
}

std::vector<async::Command> Replicas::commands() {
  std::vector<async::Command> out;
  out.push_back({.name = "replicas",
                 .help = "the servers of the database: role, whether reads go there, how far behind; exit code 1 when "
                         "one of them is of no use",
                 .run = [this](std::vector<std::string>) -> Task<int> {
                   int code = 0;
                   fmt::print("{:<40} {:<11} {:<5} {:>16} {:>12} {:>9}\n", "server", "role", "reads", "position",
                              "behind", "age");
                   for (const ServerStatus& one : servers()) {
                     fmt::print("{:<40} {:<11} {:<5} {:>16} {:>12} {:>9}\n", one.name, to_string(one.role),
                                one.serves_reads ? "yes" : "no", one.position.to_string(), one.behind,
                                one.age ? fmt::format("{} ms", one.age->count()) : "-");
                     if (one.trouble.empty()) continue;
                     fmt::print("  {}\n", one.trouble);
                     code = 1;
                   }
                   co_return code;
                 }});
  return out;
}

// ----------------------------------------------------------------------------------------------- where a read goes

ReplicaLoop& Replicas::Impl::here() {
  async::Loop& loop = async::Loop::current();
  if (loop.index() < kDirect) {
    ReplicaLoop* const found = direct[loop.index()].load(std::memory_order_acquire);
    if (found != nullptr && &found->loop == &loop) [[likely]]
      return *found;
  }
  const std::lock_guard lock(mutex);
  for (const auto& one : loops) {
    if (&one->loop == &loop) return *one;
  }
  throw Internal("pg::Replicas is used on a loop on which it was not started");
}

bool Replicas::Impl::fresh(const ReplicaServer& server, async::TimePoint now) const noexcept {
  const ServerRole role = server.role.load(std::memory_order_relaxed);
  if (role != ServerRole::replica && role != ServerRole::detached) return false;
  const std::int64_t as_of = server.as_of.load(std::memory_order_relaxed);
  if (as_of == INT64_MIN) return false;
  const auto age = now.time_since_epoch() - async::Nanoseconds(as_of);
  return age <= options.max_lag && server.behind.load(std::memory_order_relaxed) <= options.max_lag_bytes;
}

bool Replicas::Impl::may_read(ReplicaLoop& at, std::size_t server, async::TimePoint now) {
  return at.attached[server] != 0 && fresh(servers[server], now) && servers[server].db->pool().connected();
}

// The fewest on their way; among equals, each in its turn.
std::optional<std::size_t> Replicas::Impl::choose(ReplicaLoop& at, std::uint64_t lsn) {
  const async::TimePoint now = at.loop.now();
  std::uint64_t least = UINT64_MAX;
  at.equals.clear();
  for (std::size_t server = 0; server < servers.size(); ++server) {
    if (servers[server].lsn.load(std::memory_order_relaxed) < lsn || !may_read(at, server, now)) continue;
    const PoolStats stats = servers[server].db->pool().stats();
    const std::uint64_t load = stats.in_flight + stats.waiting + stats.exclusive_used;
    if (load > least) continue;
    if (load < least) at.equals.clear();
    at.equals.push_back(server);
    least = load;
  }
  if (at.equals.empty()) return std::nullopt;
  return at.equals[at.turn++ % at.equals.size()];
}

std::optional<std::size_t> Replicas::Impl::furthest(ReplicaLoop& at) {
  const async::TimePoint now = at.loop.now();
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (may_read(at, i, now) && (!best || servers[i].lsn.load() > servers[*best].lsn.load())) best = i;
  }
  return best;
}

Db& Replicas::Impl::count_replica(ReplicaLoop& at, std::size_t server) {
  ++at.stats.replica;
  instruments.replica.add();
  return *servers[server].db;
}

Db& Replicas::Impl::fall_back(ReplicaLoop& at) {
  const std::int64_t index = primary.load(std::memory_order_relaxed);
  const auto server = static_cast<std::size_t>(index);
  if (index < 0 || at.attached[server] == 0)
    throw ConnectionLost("no replica is fresh enough, and the primary cannot be reached", false);
  ++at.stats.primary;
  instruments.primary.add();
  return *servers[server].db;
}

Db& Replicas::reader() {
  ReplicaLoop& here = impl_->here();
  if (const auto server = impl_->choose(here, 0)) [[likely]]
    return impl_->count_replica(here, *server);
  ++here.stats.none_fresh;
  impl_->instruments.none_fresh.add();
  return impl_->fall_back(here);
}

detail::Target Replicas::target() { return {&reader().pool(), nullptr}; }

// A position that a failover has cut off will never be reached; what the new timeline began with is all there is of it.
Task<std::optional<std::size_t>> Replicas::Impl::reach(Position position) {
  ReplicaLoop& at = here();
  std::uint64_t lsn = position.lsn;
  if (const std::uint64_t start = timeline_start.load(); start != 0 && position.timeline < timeline.load())
    lsn = std::min(lsn, start);
  // What was written after a failover that this process has not noticed is on none of the servers that it trusts,
  // however far they are.
  const auto reached_by = [&]() -> std::optional<std::size_t> {
    return position.timeline > timeline.load() ? std::nullopt : choose(at, lsn);
  };
  if (const auto server = reached_by()) co_return server;
  if (!choose(at, 0)) {
    ++at.stats.none_fresh;
    instruments.none_fresh.add();
    co_return std::nullopt;
  }
  if (at.waiting >= options.max_waiting) {
    ++at.stats.too_many_wait;
    instruments.too_many_wait.add();
    co_return std::nullopt;
  }
  const Counted waiting(at.waiting);
  const async::TimePoint until = async::Clock::now() + options.wait;
  for (auto pause = 1ms;; pause = std::min<std::chrono::milliseconds>(pause * 2, 8ms)) {
    const auto left = until - async::Clock::now();
    const auto server = furthest(at);
    if (left <= 0ms || !server) break;
    if (at.asking[*server] == 0) {
      // One question a server and loop is on its way: the others look at what it brings.
      const Counted asking(at.asking[*server]);
      try {
        const auto ask = [](Db& of) -> Task<std::optional<std::int64_t>> { co_return co_await of.one(replayed); };
        const auto now = co_await async::timeout(left, ask(*servers[*server].db));
        if (now) servers[*server].lsn.store(static_cast<std::uint64_t>(*now), std::memory_order_relaxed);
      } catch (const Cancelled&) {
        throw;
      } catch (const Error&) {
        // it does not answer in time, or is gone: another one, or the primary
      }
    }
    if (const auto reached = reached_by()) co_return reached;
    co_await async::sleep(std::min<async::Nanoseconds>(pause, left));
    if (const auto reached = reached_by()) co_return reached;
  }
  ++at.stats.not_reached;
  instruments.not_reached.add();
  co_return std::nullopt;
}

Task<ReadYourWrites> Replicas::read_your_writes(Position seen) {
  if (!seen.empty()) co_return ReadYourWrites(*this, co_await impl_->reach(seen), seen);
  ReplicaLoop& here = impl_->here();
  const auto server = impl_->choose(here, 0);
  if (!server) {
    ++here.stats.none_fresh;
    impl_->instruments.none_fresh.add();
  }
  co_return ReadYourWrites(*this, server, seen);
}

Task<Position> Replicas::position() {
  const Written now = co_await db_.one(written);
  co_return detail::written_position(static_cast<std::uint64_t>(now.lsn), now.file_name,
                                     static_cast<std::uint64_t>(now.file_offset),
                                     static_cast<std::uint64_t>(now.block));
}

std::vector<ServerStatus> Replicas::servers() const {
  std::vector<ServerStatus> out;
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->view) return out;
  const async::TimePoint now = async::Clock::now();
  for (std::size_t i = 0; i < impl_->servers.size(); ++i) {
    const detail::ClusterView::Server& seen = impl_->view->servers()[i];
    ServerStatus one{.name = impl_->servers[i].name,
                     .role = seen.role,
                     .serves_reads = impl_->fresh(impl_->servers[i], now),
                     .position = seen.position,
                     .behind = seen.behind,
                     .age = std::nullopt,
                     .trouble = seen.trouble};
    if (seen.as_of != async::TimePoint::min()) one.age = std::chrono::ceil<std::chrono::milliseconds>(now - seen.as_of);
    if (one.trouble.empty() && seen.role == ServerRole::replica && !one.serves_reads)
      one.trouble = "its data is older than reads may see";
    out.push_back(std::move(one));
  }
  return out;
}

ReplicaStats Replicas::stats() const { return impl_->here().stats; }

// ------------------------------------------------------------------------------------------------- ReadYourWrites

Db& ReadYourWrites::reader() {
  Replicas::Impl& impl = *replicas_->impl_;
  ReplicaLoop& here = impl.here();
  if (!wrote_ && server_ && impl.may_read(here, *server_, here.loop.now())) return impl.count_replica(here, *server_);
  return impl.fall_back(here);
}

detail::Target ReadYourWrites::target() { return {&reader().pool(), nullptr}; }

Task<Position> ReadYourWrites::position() {
  if (wrote_) seen_ = std::max(seen_, co_await replicas_->position());
  co_return seen_;
}

}  // namespace ashlar::pg
