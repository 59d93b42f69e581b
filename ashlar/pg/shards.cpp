#include <ashlar/pg/shards.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>

#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/citus.hpp>
#include <ashlar/pg/detail/shard_rules.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

struct Routes {
  std::mutex mutex;
  std::map<const Statement*, std::size_t> key_of;
};
Routes& routes() {
  static auto* instance = new Routes;  // queries are globals, too: it must outlive them
  return *instance;
}

std::vector<std::string> words(const char* text) {
  std::vector<std::string> out;
  std::istringstream in{text == nullptr ? "" : text};
  for (std::string word; in >> word;) out.push_back(std::move(word));
  return out;
}

/// What a shard keeps of itself.
struct Kept {
  std::size_t shard;
  std::string map;
};

constexpr std::string_view kMake =
    "select pg_advisory_lock(hashtextextended('ashlar_shard', 0));"
    "create table if not exists ashlar_shard (only_row boolean primary key default true check (only_row),"
    " shard integer not null, map text not null);";

std::string keep_sql(std::size_t shard, const ShardMap& map) {
  return fmt::format("insert into ashlar_shard (shard, map) values ({}, {}) on conflict do nothing", shard,
                     detail::quote_literal(map.to_string()));
}

}  // namespace

namespace detail {

ShardRoute::ShardRoute(const Statement& statement, std::size_t key_at) : statement_(&statement) {
  const std::lock_guard lock(routes().mutex);
  routes().key_of.emplace(&statement, key_at);
}
ShardRoute::~ShardRoute() {
  const std::lock_guard lock(routes().mutex);
  routes().key_of.erase(statement_);
}
std::optional<std::size_t> ShardRoute::of(const Statement& statement) {
  const std::lock_guard lock(routes().mutex);
  const auto it = routes().key_of.find(&statement);
  return it == routes().key_of.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace detail

ShardFailed::ShardFailed(std::string shard, const std::exception_ptr& cause)
    : Unavailable("a part of the data is not available at the moment"),
      shard_(std::move(shard)),
      reason_(explain(cause)) {}

void ShardTx::check_shard(const Statement& statement, std::uint64_t hash) const {
  const std::size_t there = shards_.shard_of(hash);
  if (there == shard_) return;
  throw CrossShard(fmt::format(
      "{} belongs to shard {}, and the transaction is on shard {}: a transaction stays on the shard of its key",
      statement.describe(), shards_.describe(there), shards_.describe(shard_)));
}

struct Shards::Impl {
  explicit Impl(ShardsOptions given) : options(std::move(given)) {
    if (options.urls.empty()) options.urls = words(std::getenv("DATABASE_SHARD_URLS"));
    for (const std::string& url : options.urls) {
      Options each = options.each;
      each.url = url;
      each.statistics_interval = std::chrono::milliseconds{0};  // their series would be the same
      dbs.push_back(std::make_unique<Db>(std::move(each)));
    }
  }

  ShardsOptions options;
  std::vector<std::unique_ptr<Db>> dbs;
  std::optional<ShardMap> map;
  std::atomic<std::size_t> turn{0};
  std::size_t started = 0;

  [[nodiscard]] std::string describe(std::size_t shard) const {
    std::string where;
    try {
      const ConnectOptions at = ConnectOptions::parse(options.urls.at(shard));
      where = fmt::format("{}:{}/{}", at.hosts[0].host, at.hosts[0].port, at.database);
    } catch (const Error& error) {
      where = error.message();
    }
    return fmt::format("{} ({})", shard, where);
  }

  template <class F>
  Task<void> on(std::size_t shard, F body) {
    return dbs[shard]->with_session(std::move(body));
  }
  Task<std::optional<Kept>> kept(std::size_t shard) {
    std::optional<Kept> out;
    co_await on(shard, [&](detail::Connection& connection) -> Task<void> {
      const auto there = co_await detail::TextQuery(connection, "select to_regclass('ashlar_shard')");
      if (!there.at(0).at(0)) co_return;
      const auto rows = co_await detail::TextQuery(connection, "select shard, map from ashlar_shard");
      if (!rows.empty()) out = Kept{std::stoul(rows[0].at(0).value_or("0")), rows[0].at(1).value_or("")};
    });
    co_return out;
  }
  Task<void> keep(std::size_t shard, const ShardMap& of) {
    const std::string insert = keep_sql(shard, of);
    co_await on(shard, [&](detail::Connection& connection) -> Task<void> {
      co_await detail::TextQuery(connection, kMake);
      co_await detail::TextQuery(connection, insert);
    });
  }
  /// The map that all shards agree on; nullopt when none has one.
  Task<std::optional<ShardMap>> agreed(bool complete) {
    if (dbs.empty())
      throw Invalid("there are no shards: give pg::ShardsOptions their .urls, or set DATABASE_SHARD_URLS");
    std::vector<std::optional<Kept>> all;
    for (std::size_t shard = 0; shard < dbs.size(); ++shard) all.push_back(co_await kept(shard));
    const auto first = std::ranges::find_if(all, [](const auto& one) { return one.has_value(); });
    if (first == all.end()) co_return std::nullopt;
    for (std::size_t shard = 0; shard < all.size(); ++shard) {
      if (!all[shard]) {
        if (!complete) continue;
        throw Unavailable(fmt::format(
            "shard {} keeps no map, and others do: is it the right database? After an interrupted `shards init`, run "
            "that again",
            describe(shard)));
      }
      if (all[shard]->shard != shard)
        throw Invalid(
            fmt::format("the database given as shard {} is shard {}: the URLs stand in another order than "
                        "when it was filled",
                        describe(shard), all[shard]->shard));
      if (all[shard]->map != (*first)->map)
        throw Unavailable(fmt::format("shard {} keeps the map `{}`, and shard {} keeps `{}`: finish what was begun",
                                      describe(shard), all[shard]->map,
                                      describe(static_cast<std::size_t>(first - all.begin())), (*first)->map));
    }
    ShardMap out = ShardMap::parse((*first)->map);
    if (out.shards() != dbs.size())
      throw Invalid(
          fmt::format("the map is of {} shards, and there are {} URLs: `shards plan {}` says what has to move",
                      out.shards(), dbs.size(), dbs.size()));
    if (out.buckets() != options.buckets)
      throw Invalid(fmt::format("the map has {} buckets, and the program says {}: that cannot change", out.buckets(),
                                options.buckets));
    co_return out;
  }
  Task<std::vector<std::string>> citus_steps(std::size_t shard) {
    std::vector<std::string> steps;
    co_await on(shard, [&](detail::Connection& connection) -> Task<void> {
      steps = co_await detail::citus_steps(connection, options.tables, options.reference_tables);
    });
    co_return steps;
  }
  Task<void> distribute(std::size_t shard);
  Task<int> status();
  Task<int> citus();
  Task<int> init();
  Task<int> plan(const std::string& count);
};

Shards::Shards(ShardsOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
  const ShardsOptions& given = impl_->options;
  if (given.at_a_time == 0 || given.every_timeout.count() <= 0)
    throw Invalid("pg::ShardsOptions: at_a_time and every_timeout must be more than zero");
  (void)ShardMap::even(1, given.buckets);  // throws when that is no power of two
}
Shards::~Shards() = default;

// A shard may be the coordinator of a Citus cluster: its tables are distributed after they were made.
Task<void> Shards::Impl::distribute(std::size_t shard) {
  std::string failed;
  try {
    if (options.each.migrate) {
      co_await on(shard, [&](detail::Connection& connection) -> Task<void> {
        co_await detail::distribute_by_citus(connection, options.tables, options.reference_tables);
      });
    } else if (const auto steps = co_await citus_steps(shard); !steps.empty()) {
      failed = fmt::format("Citus does not distribute {} tables yet: run what the command `shards citus` says",
                           steps.size());
    }
  } catch (const Error& error) {
    failed = error.message();
  }
  if (!failed.empty()) throw Unavailable(fmt::format("shard {}: {}", describe(shard), failed));
}

bool Shards::use_throwaway() {
  for (const auto& db : impl_->dbs) db->use_throwaway();
  return !impl_->dbs.empty();
}

Task<void> Shards::start() {
  Impl& impl = *impl_;
  for (; impl.started < impl.dbs.size(); ++impl.started) {
    std::string failed;
    try {
      co_await impl.dbs[impl.started]->start();
    } catch (const Unavailable& error) {
      failed = error.message();
    }
    if (!failed.empty()) throw Unavailable(fmt::format("shard {}: {}", describe(impl.started), failed));
  }
  for (std::size_t shard = 0; shard < impl.dbs.size(); ++shard) co_await impl.distribute(shard);
  impl.map = co_await impl.agreed(true);
  if (!impl.map) {
    if (!impl.options.each.migrate) throw Unavailable("no shard keeps a map yet: run the command `shards init`");
    const ShardMap fresh = ShardMap::even(impl.dbs.size(), impl.options.buckets);
    for (std::size_t shard = 0; shard < impl.dbs.size(); ++shard) co_await impl.keep(shard, fresh);
    impl.map = co_await impl.agreed(true);
    log::info("the shards have a map now", {{"map", impl.map->to_string()}});
  }
  if (!impl.options.each.check_queries) co_return;
  const auto problems = detail::shard_problems(impl.options.tables, impl.options.reference_tables);
  if (problems.empty()) co_return;
  std::string text =
      fmt::format("{} quer{} not fit the shards:", problems.size(), problems.size() == 1 ? "y does" : "ies do");
  for (const std::string& problem : problems) text += "\n" + problem;
  throw QueryMismatch(std::move(text));
}

Task<void> Shards::stop() {
  for (; impl_->started > 0; --impl_->started) co_await impl_->dbs[impl_->started - 1]->stop();
}

Task<void> Shards::start_loop(async::Loop& loop) {
  for (const auto& db : impl_->dbs) co_await db->start_loop(loop);
}
Task<void> Shards::stop_loop(async::Loop& loop) {
  for (const auto& db : impl_->dbs) co_await db->stop_loop(loop);
}

Task<std::optional<std::string>> Shards::unhealthy() {
  for (std::size_t shard = 0; shard < size(); ++shard) {
    if (auto trouble = co_await impl_->dbs[shard]->unhealthy())
      co_return fmt::format("shard {}: {}", describe(shard), *trouble);
  }
  co_return std::nullopt;
}

Task<std::vector<std::string>> Shards::check() {
  std::vector<std::string> out = detail::shard_problems(impl_->options.tables, impl_->options.reference_tables);
  for (std::size_t shard = 0; shard < size(); ++shard) {
    for (const std::string& problem : co_await impl_->dbs[shard]->check())
      out.push_back(fmt::format("shard {}: {}", describe(shard), problem));
  }
  co_return out;
}

std::vector<std::pair<std::string, std::string>> Shards::settings() {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t shard = 0; shard < size(); ++shard)
    out.emplace_back(fmt::format("pg.shards.{}", shard), describe(shard));
  out.emplace_back("pg.shards.buckets", std::to_string(impl_->options.buckets));
  return out;
}

std::vector<async::Command> Shards::commands() {
  std::vector<async::Command> out;
  out.push_back({.name = "shards",
                 .help = "the map of the shards; `shards plan N` says what moves when there are N, `shards init` makes "
                         "the first map, `shards citus` says what is to be distributed where the extension is",

                 .run = [this](std::vector<std::string> arguments) -> Task<int> {
                   std::exception_ptr error;
                   try {
                     if (arguments.empty()) co_return co_await impl_->status();
                     if (arguments.size() == 1 && arguments[0] == "init") co_return co_await impl_->init();
                     if (arguments.size() == 1 && arguments[0] == "citus") co_return co_await impl_->citus();
                     if (arguments.size() == 2 && arguments[0] == "plan") co_return co_await impl_->plan(arguments[1]);
                     throw Invalid("shards: nothing, `plan N`, `init` or `citus` is expected");
                   } catch (...) {
                     error = std::current_exception();
                   }
                   fmt::print(stderr, "{}\n", explain(error));
                   co_return 2;
                 },
                 .needs_start = false});
  return out;
}

Task<int> Shards::Impl::status() {
  const auto found = co_await agreed(true);
  if (!found) throw Unavailable("no shard keeps a map yet: run the command `shards init`");
  fmt::print("version {}, {} buckets\n", found->version(), found->buckets());
  std::vector<std::size_t> held(found->shards(), 0);
  for (std::size_t bucket = 0; bucket < found->buckets(); ++bucket) ++held[found->shard_of(bucket)];
  for (std::size_t shard = 0; shard < held.size(); ++shard)
    fmt::print("{:<60} {:>6} buckets\n", describe(shard), held[shard]);
  co_return 0;
}

Task<int> Shards::Impl::citus() {
  for (std::size_t shard = 0; shard < dbs.size(); ++shard) {
    const auto steps = co_await citus_steps(shard);
    fmt::print("-- shard {}{}\n", describe(shard), steps.empty() ? ": nothing is to be distributed" : "");
    for (const std::string& step : steps) fmt::print("{};\n", step);
  }
  co_return 0;
}

Task<int> Shards::Impl::init() {
  const auto found = co_await agreed(false);
  const ShardMap fresh = found ? *found : ShardMap::even(dbs.size(), options.buckets);
  for (std::size_t shard = 0; shard < dbs.size(); ++shard) co_await keep(shard, fresh);
  co_return co_await status();
}

// A bucket that is written while it is copied would need its changes carried over, and writers that look at the map of
// the other side: that is not done here, so the plan says where writes stop.
Task<int> Shards::Impl::plan(const std::string& count) {
  std::size_t shards = 0;
  std::istringstream in(count);
  if (!(in >> shards) || !in.eof()) throw Invalid(fmt::format("shards plan {}: a number of shards is expected", count));
  const auto now = co_await agreed(true);
  if (!now) throw Unavailable("no shard keeps a map yet: run the command `shards init`");
  const ShardMap next = now->spread_over(shards);
  const auto moves = now->moves_to(next);
  std::size_t buckets = 0;
  for (const ShardMap::Move& move : moves) buckets += move.last - move.first + 1;
  fmt::print("-- {} of {} buckets move; from version {} to {}\n", buckets, now->buckets(), now->version(),
             next.version());
  if (now->shards() < shards)
    fmt::print("-- 1. make {} databases; give each the migrations and a copy of the reference tables\n",
               shards - now->shards());
  fmt::print("-- 2. stop all writes (app.use(Maintenance…)), and the programs that make them\n-- 3. copy the rows:\n");
  for (const ShardMap::Move& move : moves) {
    for (const auto& [table, key] : options.tables) {
      fmt::print(
          "--    from shard {} to shard {}:\ncopy (select * from {} where hashtextextended({}::text, 0) & {} "
          "between {} and {}) to stdout (format binary);\n",
          move.from, move.to, detail::quote_identifier(table), detail::quote_identifier(key), now->buckets() - 1,
          move.first, move.last);
    }
  }
  fmt::print("-- 4. on each shard that there is:\nupdate ashlar_shard set map = {};\n",
             detail::quote_literal(next.to_string()));
  for (std::size_t shard = now->shards(); shard < shards; ++shard)
    fmt::print("--    on the new shard {}:\n{}\n{};\n", shard, kMake, keep_sql(shard, next));
  fmt::print("-- 5. start the programs with {} URLs, in the same order, new ones at the end\n", shards);
  fmt::print("-- 6. delete what was copied from where it was:\n");
  for (const ShardMap::Move& move : moves) {
    for (const auto& [table, key] : options.tables) {
      fmt::print("--    on shard {}:\ndelete from {} where hashtextextended({}::text, 0) & {} between {} and {};\n",
                 move.from, detail::quote_identifier(table), detail::quote_identifier(key), now->buckets() - 1,
                 move.first, move.last);
    }
  }
  co_return 0;
}

Db& Shards::any() { return db(impl_->turn.fetch_add(1, std::memory_order_relaxed) % size()); }
Db& Shards::db(std::size_t shard) { return *impl_->dbs.at(shard); }
std::size_t Shards::size() const noexcept { return impl_->dbs.size(); }
const ShardMap& Shards::map() const {
  if (!impl_->map) throw Internal("pg::Shards is used before its start");
  return *impl_->map;
}
std::string Shards::describe(std::size_t shard) const { return impl_->describe(shard); }
std::size_t Shards::at_a_time() const noexcept { return impl_->options.at_a_time; }
std::chrono::milliseconds Shards::every_timeout() const noexcept { return impl_->options.every_timeout; }

void Shards::count_rows(const Statement& statement, std::size_t rows) const {
  if (rows > impl_->options.max_rows)
    throw TooManyRows(fmt::format("{} gave more than {} rows of all shards: give it a `limit`", statement.describe(),
                                  impl_->options.max_rows));
}
void Shards::throw_failed(std::size_t shard, const std::exception_ptr& cause) const {
  ShardFailed failed(describe(shard), cause);
  log::warn("a shard failed in a call to all of them", {{"shard", failed.shard()}, {"reason", failed.reason()}});
  throw std::move(failed);
}
void Shards::throw_unordered(const Statement& statement, std::size_t shard) const {
  throw Internal(
      fmt::format("{} does not order its rows as they are merged (seen on shard {}): add `order by`, of text "
                  "with `collate \"C\"`, and of what may be NULL with `nulls first` (falling: `nulls last`)",
                  statement.describe(), describe(shard)));
}

}  // namespace ashlar::pg
