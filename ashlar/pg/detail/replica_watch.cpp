// Who the servers are, and how each is: one loop of the process asks them, all loops act on it.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <span>
#include <sstream>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/pg/detail/replica_set.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

inline log::Logger logger{"pg.replicas"};

// Each CASE is decided when it runs, so no function is called where the server's role forbids it.
constexpr std::string_view kSample =
    "with s as materialized (select pg_is_in_recovery() as standby),"
    " l as materialized (select standby, case when standby then pg_last_wal_replay_lsn()"
    "  else pg_current_wal_insert_lsn() end as lsn from s)"
    " select standby, (lsn - '0/0'::pg_lsn)::int8,"
    " case when not standby then (pg_walfile_name_offset(lsn)).file_name end,"
    " case when not standby then (pg_walfile_name_offset(lsn)).file_offset end,"
    " current_setting('wal_block_size'),"
    " (select system_identifier from pg_control_system()),"
    " exists (select from pg_stat_wal_receiver),"
    " (select received_tli from pg_stat_wal_receiver) from l";

std::uint64_t number(const std::optional<std::string>& text, int base = 10) {
  std::uint64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value, base);
  return value;
}

/// For sessions that only read, with one of the hosts.
std::string url_of(const ConnectOptions& options, const ConnectOptions::Host& host) {
  std::string url = "postgresql://" + percent_encode(options.user);
  if (!options.password.empty()) url += ":" + percent_encode(options.password);
  url += fmt::format("@/{}?host={}&port={}&sslmode={}&connect_timeout={}", percent_encode(options.database),
                     percent_encode(host.host), host.port, to_string(options.ssl_mode),
                     std::chrono::ceil<std::chrono::seconds>(options.connect_timeout).count());
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) url += fmt::format("&{}={}", percent_encode(name), percent_encode(value));
  };
  add("application_name", options.application_name);
  add("sslrootcert", options.ssl_root_cert);
  add("sslcert", options.ssl_cert);
  add("sslkey", options.ssl_key);
  for (const auto& [name, value] : options.parameters) {
    if (name != "default_transaction_read_only") add(name, value);
  }
  add("default_transaction_read_only", "on");
  return url;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  std::istringstream in{std::string(text)};
  for (std::string word; in >> word;) out.push_back(std::move(word));
  return out;
}

}  // namespace

namespace detail {

Position written_position(std::uint64_t lsn, std::string_view wal_file, std::uint64_t offset, std::uint64_t block) {
  constexpr std::uint64_t kPageHead = 24;
  constexpr std::uint64_t kSegmentHead = 40;
  Position out{.timeline = 0, .lsn = lsn};
  if (wal_file.size() >= 8) std::from_chars(wal_file.data(), wal_file.data() + 8, out.timeline, 16);
  if (offset == kSegmentHead) {
    out.lsn -= kSegmentHead;
  } else if (block != 0 && offset % block == kPageHead) {
    out.lsn -= kPageHead;
  }
  return out;
}

}  // namespace detail

void Replicas::Impl::add_servers() {
  const std::string primary_url = db.url();
  if (primary_url.empty())
    throw Internal("pg::Replicas is started before its Db: provide the Db first, app.provide(db).provide(replicas)");
  const ConnectOptions of_db = ConnectOptions::parse(primary_url);
  if (of_db.hosts.size() > 1 && of_db.session != SessionAttributes::read_write &&
      of_db.session != SessionAttributes::primary)
    throw Invalid(
        fmt::format("the database's URL names {} servers ({}): add target_session_attrs=read-write, so that writes "
                    "find the primary",
                    of_db.hosts.size(), of_db.to_string()));
  const auto add = [&](const ConnectOptions& named, bool is_of_db) {
    for (std::size_t i = 0; i < named.hosts.size(); ++i) {
      const std::string name = fmt::format("{}:{}", named.hosts[i].host, named.hosts[i].port);
      if (std::ranges::any_of(servers, [&](const detail::ReplicaServer& one) { return one.name == name; })) continue;
      detail::ReplicaServer& server = servers.emplace_back();
      server.name = name;
      Options reading = db.options();
      reading.url = url_of(named, named.hosts[i]);
      reading.migrations.clear();
      reading.migrate = false;
      reading.check_queries = false;
      reading.warn_after_repeats = 0;
      reading.statistics_interval = std::chrono::milliseconds{0};  // the Db's own are those on /metrics
      server.db = std::make_unique<Db>(std::move(reading));
      if (is_of_db) server.of_db = i;
    }
  };
  servers.clear();
  add(of_db, true);
  std::vector<std::string> urls = options.urls;
  if (urls.empty()) {
    const char* const given = std::getenv("DATABASE_REPLICA_URLS");
    if (given != nullptr) urls = words(given);
  }
  for (const std::string& url : urls) add(ConnectOptions::parse(url), false);
}

Task<void> Replicas::Impl::read_system() {
  co_await db.with_session([this](detail::Connection& connection) -> Task<void> {
    const auto rows = co_await detail::TextQuery(connection, "select system_identifier from pg_control_system()");
    system = rows.at(0).at(0).value_or("");
  });
}

Task<void> Replicas::Impl::watch(std::size_t server) {
  for (;;) {
    std::exception_ptr error;
    try {
      co_await servers[server].db->with_session([&](detail::Connection& connection) -> Task<void> {
        for (;;) {
          co_await async::timeout(options.patience, ask(server, connection));
          co_await async::sleep(options.poll);
        }
      });
    } catch (const Cancelled&) {
      co_return;
    } catch (...) {
      error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex);
      view->lost(server, explain(error));
    }
    publish();
    note_tried(server);
    co_await async::sleep(options.poll);
  }
}

Task<void> Replicas::Impl::ask(std::size_t server, detail::Connection& connection) {
  detail::ServerSample sample;
  sample.sent = async::Clock::now();
  const auto rows = co_await detail::TextQuery(connection, kSample);
  sample.received = async::Clock::now();
  const auto& row = rows.at(0);
  sample.standby = row.at(0) == "t";
  sample.system = row.at(5).value_or("");
  if (sample.standby) {
    sample.position = {static_cast<std::uint32_t>(number(row.at(7))), number(row.at(1))};
    sample.receiving = row.at(6) == "t";
  } else {
    sample.position =
        detail::written_position(number(row.at(1)), row.at(2).value_or(""), number(row.at(3)), number(row.at(4)));
  }
  {
    const std::lock_guard lock(mutex);
    view->note(server, sample);
  }
  publish();
  note_tried(server);
}

void Replicas::Impl::note_tried(std::size_t server) {
  if (std::exchange(tried[server], 1) == 0 && --untried == 0) all_tried.set();
}

// On the home loop.
void Replicas::Impl::publish() {
  const async::TimePoint now = async::Clock::now();
  std::uint64_t changes = 0;
  {
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < servers.size(); ++i) {
      const detail::ClusterView::Server& seen = view->servers()[i];
      detail::ReplicaServer& server = servers[i];
      server.lsn.store(seen.position.lsn, std::memory_order_relaxed);
      server.behind.store(seen.behind, std::memory_order_relaxed);
      server.as_of.store(
          seen.as_of == async::TimePoint::min() ? INT64_MIN : async::Nanoseconds(seen.as_of.time_since_epoch()).count(),
          std::memory_order_relaxed);
      const ServerRole before = server.role.exchange(seen.role, std::memory_order_relaxed);
      const bool serves = fresh(server, now);
      if (before != seen.role || serves != server.served) {
        server.served = serves;
        const bool well = serves || seen.role == ServerRole::primary;
        logger.write(well ? log::Level::info : log::Level::warn, "a server of the database is another than before",
                     {{"server", server.name},
                      {"role", to_string(seen.role)},
                      {"serves_reads", serves},
                      {"behind", seen.behind},
                      {"reason", seen.trouble}});
      }
    }
    primary.store(view->primary() ? static_cast<std::int64_t>(*view->primary()) : -1);
    timeline.store(view->timeline_start().timeline);
    timeline_start.store(view->timeline_start().lsn);
    changes = view->changes();
  }
  if (changes == led) return;
  led = changes;
  if (const std::int64_t index = primary.load(); index >= 0) {
    const std::int64_t before = std::exchange(last_primary, index);
    if (before >= 0 && before != index) instruments.failovers.add();
  }
  lead_writes();
}

// Every loop's pool of the Db connects to the primary that was found, and lets go of the others: a server that hangs,
// or that has not noticed that another one was promoted, would get writes that are lost.
void Replicas::Impl::lead_writes() {
  const std::int64_t index = primary.load();
  if (index < 0) return;
  const detail::ReplicaServer& leader = servers[static_cast<std::size_t>(index)];
  const std::vector<ConnectOptions::Host>& hosts = db.config_->options.hosts;
  if (!leader.of_db) {
    logger.error("the primary is a server that DATABASE_URL does not name: writes cannot reach it",
                 {{"server", leader.name}});
    return;
  }
  if (hosts.size() < 2) return;
  auto config = std::make_shared<detail::ConnectionConfig>(*db.config_);
  config->options.hosts = {hosts[*leader.of_db]};
  for (const detail::ReplicaServer& other : servers) {
    if (other.of_db && &other != &leader && other.role.load() != ServerRole::rival)
      config->options.hosts.push_back(hosts[*other.of_db]);
  }
  const std::lock_guard lock(mutex);
  leading = std::move(config);
  for (const auto& one : loops) one->changed.set();
}

Task<void> Replicas::Impl::follow_primary(detail::ReplicaLoop& here) {
  for (;;) {
    std::shared_ptr<const detail::ConnectionConfig> config;
    {
      const std::lock_guard lock(mutex);
      here.changed.reset();
      config = leading;
    }
    if (config != nullptr) db.pool().use(std::move(config));
    co_await here.changed.wait();
  }
}

Task<void> Replicas::Impl::attach(detail::ReplicaLoop& here, std::size_t server) {
  for (bool first = true;; first = false) {
    bool done = false;
    try {
      co_await servers[server].db->start_loop(here.loop);
      done = true;
    } catch (const Cancelled&) {
      co_return;
    } catch (const std::exception& error) {
      logger.debug("a server of the database cannot be reached", {{"server", servers[server].name}, {"error", error}});
    }
    here.attached[server] = done ? 1 : 0;
    if (first && --here.untried == 0) here.tried.set();
    if (done) co_return;
    co_await async::sleep(options.poll);
  }
}

void Replicas::Impl::collect(metrics::Collector& to) const {
  const async::TimePoint now = async::Clock::now();
  const metrics::Description age{
      .name = "pg.replicas.age", .help = "Age of a server's data; a replica's lag.", .unit = "s"};
  const metrics::Description behind{
      .name = "pg.replicas.behind", .help = "Bytes of the log that a replica has not replayed.", .unit = "By"};
  const metrics::Description serves{
      .name = "pg.replicas.serves", .help = "1 when reads go to the replica.", .unit = "{replica}"};
  for (const detail::ReplicaServer& server : servers) {
    const std::int64_t as_of = server.as_of.load();
    const metrics::Label name{"server", server.name};
    const metrics::Labels labels{std::span<const metrics::Label>(&name, 1)};  // a view: a braced list would be gone
    if (as_of != INT64_MIN) {
      const std::chrono::duration<double> seconds = now.time_since_epoch() - async::Nanoseconds(as_of);
      to.gauge(age, seconds.count(), labels);
    }
    to.gauge(behind, static_cast<double>(server.behind.load()), labels);
    to.gauge(serves, fresh(server, now) ? 1 : 0, labels);
  }
}

}  // namespace ashlar::pg
