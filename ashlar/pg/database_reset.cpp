// How a change is found. Whoever inserts or updates a row leaves the number of the transaction in it (xmin), and a
// deleted row is one less: a table holds what it held if it has as many rows, and none of a later transaction. That is
// so for catalogs as well, but for the few members of pg_class that are overwritten in place, which are compared by
// value. Nothing of this depends on triggers, settings or statistics, which a test could turn off.
#include <ashlar/pg/database_reset.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg {
namespace {

using Rows = std::vector<detail::BlockingClient::Row>;

constexpr int kOldest = 150000;                           // counters can be written at once from then on
constexpr std::uint64_t kMostCompared = 2 * 1024 * 1024;  // bytes of tables that are not empty

constexpr std::string_view kSessions =
    "prepare arriving as select from pg_locks where locktype = 'object' and classid = 'pg_database'::regclass and "
    "pid <> pg_backend_pid() and objid = (select oid from pg_database where datname = current_database()); "
    "prepare present as select from pg_stat_get_activity(null) where pid <> pg_backend_pid() and datid = (select oid "
    "from pg_database where datname = current_database())";

// Names are qualified, no trigger of the user's runs, and nobody is waited for.
constexpr std::string_view kSetUp =
    "set search_path = pg_catalog; set session_replication_role = replica; set lock_timeout = '1s'; "
    "set statement_timeout = '20s'; set client_min_messages = error; set plan_cache_mode = force_generic_plan";

constexpr std::string_view kTables =
    "select oid::regclass as name, oid, oid < 16384, pg_relation_size(oid) from pg_class "
    "where relkind in ('r', 'm') and relpersistence <> 't' and not relisshared order by oid";

// Those that a TRUNCATE runs even under session_replication_role.
constexpr std::string_view kTriggers =
    "select tgname from pg_trigger where not tgisinternal and tgtype & 32 <> 0 and tgenabled in ('A', 'R') limit 1";

constexpr std::string_view kSequences =
    "select oid::regclass as name, oid from pg_class where relkind = 'S' and relpersistence <> 't' order by oid";

// TRUNCATE writes "not known" where CREATE INDEX has counted.
constexpr std::string_view kEstimates =
    "select format('update pg_class as c set relpages = pages, reltuples = tuples, relallvisible = visible from "
    "unnest(%L::oid[], %L::int[], %L::float4[], %L::int[]) as t (id, pages, tuples, visible) where c.oid = id and "
    "(relpages, reltuples, relallvisible) <> (pages, tuples, visible)', array_agg(oid), array_agg(relpages), "
    "array_agg(reltuples), array_agg(relallvisible)) from pg_class where oid >= 16384 and relpersistence <> 't' and "
    "relkind in ('r', 'm', 'i', 't')";

// Of the relations of users; of all, what VACUUM and ANALYZE overwrite in place.
constexpr std::string_view kRelations =
    "select concat_ws(' ', sum(hashtextextended(concat_ws(' ', oid, relpages, reltuples, relallvisible, relhasindex, "
    "relhasrules, relhastriggers, case when relkind in ('r', 'm', 'i', 't', 'S') then pg_relation_size(oid) end), 0)) "
    "filter (where oid >= 16384), sum(relpages), sum(reltuples), sum(relallvisible) filter (where oid < 16384)) "
    "from pg_class where relpersistence <> 't'";

// What is kept outside of the database, and is about it. A copy has none of it, whatever its template has.
constexpr std::string_view kAround =
    "select case "
    "when datistemplate or not datallowconn or datconnlimit <> -1 or datacl is not null "
    "or datdba <> (select oid from pg_authid where rolname = session_user) "
    "or dattablespace <> (select dattablespace from pg_database where datname = 'postgres') then 'pg_database' "
    "when exists (select from pg_db_role_setting where setdatabase = d.oid) then 'settings of the database' "
    "when exists (select from pg_shdescription where classoid = 'pg_database'::regclass and objoid = d.oid) "
    "then 'a comment on the database' "
    "when exists (select from pg_shseclabel where classoid = 'pg_database'::regclass and objoid = d.oid) "
    "then 'a security label of the database' "
    "when exists (select from pg_subscription where subdbid = d.oid) then 'a subscription' "
    "when exists (select from pg_prepared_xacts where database = d.datname) then 'a prepared transaction' "
    "when exists (select from pg_replication_slots where database = d.datname) then 'a replication slot' end "
    "from pg_database d where datname = current_database()";

// Tables that grew though they are to be empty, with all that refer to them: TRUNCATE wants these named as well.
std::string grown_query(std::string_view seeded) {
  return fmt::format(
      "with recursive chosen(id) as (select oid from pg_class where oid >= 16384 and relkind = 'r' and relpersistence "
      "<> 't' and pg_relation_size(oid) > 0 and oid <> all ('{{{}}}'::oid[]) union select conrelid from chosen "
      "join pg_constraint on contype = 'f' and confrelid = id) select string_agg(case when relkind = 'r' then 'only ' "
      "else '' end || oid::regclass, ', ') from chosen join pg_class on oid = id",
      seeded);
}

std::string first_of(const Rows& rows) { return rows.empty() || !rows[0][0] ? std::string() : *rows[0][0]; }

std::unique_ptr<detail::BlockingClient> connect(PrivateServer& server, std::string_view name) {
  const ConnectOptions options = ConnectOptions::parse(server.url(name));
  const auto& host = options.hosts.front();
  auto session =
      std::make_unique<detail::BlockingClient>(fmt::format("{}/.s.PGSQL.{}", host.host, host.port), options.user, name);
  session->query(kSetUp);
  return session;
}

// One statement that counts the rows of many tables, and those that are of a later transaction: they are as old as
// `age`, or younger. Temporary schemas stay, empty, when the sessions that had them go.
std::string count_query(const std::vector<std::string>& names, std::string_view age) {
  std::string sql;
  for (const std::string& name : names) {
    sql += fmt::format("{}select count(*), count(*) filter (where age(xmin) <= {}) from only {}{}",
                       sql.empty() ? "" : " union all ", age, name,
                       name == "pg_namespace" ? " where nspname !~ '^pg_(toast_)?temp_'" : "");
  }
  return sql;
}

std::vector<std::string> names_of(const auto& tables) {
  std::vector<std::string> names;
  for (const auto& table : tables) names.push_back(table.name);
  return names;
}

}  // namespace

std::shared_ptr<const TemplateFacts> TemplateFacts::read(PrivateServer& server, std::string_view name) {
  auto facts = std::make_shared<TemplateFacts>();
  const auto session = connect(server, name);
  const auto number_of = [](const std::string& text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  };
  if (number_of(first_of(session->query("show server_version_num"))) < kOldest) {
    facts->obstacle_ = "PostgreSQL is older than 15";
  } else if (const std::string trigger = first_of(session->query(kTriggers)); !trigger.empty()) {
    facts->obstacle_ = fmt::format("the trigger {} runs whenever a table is truncated", trigger);
  }
  std::uint64_t size = 0;
  for (const auto& row : session->query(kTables)) {
    const bool is_catalog = row[2] == "t";
    const std::uint64_t bytes = number_of(*row[3]);
    if (!is_catalog) size += bytes;
    if (is_catalog || bytes > 0) (is_catalog ? facts->catalogs_ : facts->seeded_).push_back({*row[0], *row[1], {}});
  }
  if (facts->obstacle_.empty() && size > kMostCompared)
    facts->obstacle_ = fmt::format("{} KiB of rows are too much to compare them each time", size / 1024);
  if (facts->obstacle_.empty()) {
    for (auto* const tables : {&facts->catalogs_, &facts->seeded_}) {
      if (tables->empty()) continue;
      const Rows rows = session->query(count_query(names_of(*tables), "0"));
      for (std::size_t i = 0; i < tables->size(); ++i) (*tables)[i].rows = *rows[i][0];
    }
    facts->relations_ = first_of(session->query(kRelations));
    facts->estimates_ = first_of(session->query(kEstimates));
    for (const auto& row : session->query(kSequences)) {
      const Rows state = session->query(fmt::format("select last_value, is_called from {}", *row[0]));
      facts->rewind_ += fmt::format("{}setval('{}'::oid::regclass, {}, '{}')",
                                    facts->rewind_.empty() ? "select " : ", ", *row[1], *state[0][0], *state[0][1]);
    }
  }
  session->finish();
  return facts;
}

DatabaseReset::DatabaseReset(PrivateServer& server, std::string_view name, std::uint64_t since)
    : session_(connect(server, name)), since_(std::to_string(since & 0xFFFF'FFFF)) {
  session_->query(kSessions);
}

// Who drops the database now does not wait for the session.
DatabaseReset::~DatabaseReset() {
  try {
    session_->finish();
  } catch (const Error&) {  // it has gone already
  }
}

// ALTER DATABASE does not rename one that somebody is in, and we are. What it does besides, to wait for those who are
// about to connect, others() does.
void DatabaseReset::rename(std::string_view name) {
  session_->query(fmt::format("update pg_database set datname = {} where datname = current_database()",
                              detail::quote_literal(name)));
}

// A session holds a lock on the database from before it looks whether the name is still right until it is in the list
// of sessions: first the locks, then the list, and it cannot slip through between them.
std::size_t DatabaseReset::others() { return session_->query("execute arriving; execute present").size(); }

void DatabaseReset::prepare(const TemplateFacts& facts) {
  std::string seeded;
  for (const auto& table : facts.seeded_) seeded += (seeded.empty() ? "" : ",") + table.id;
  std::string sql = fmt::format(
      "prepare catalogs(int) as {}; prepare grown as {}; prepare relations as {}; prepare estimates as {}; "
      "prepare around as {}",
      count_query(names_of(facts.catalogs_), "$1"), grown_query(seeded), kRelations, facts.estimates_, kAround);
  if (!facts.seeded_.empty()) sql += "; prepare seeded(int) as " + count_query(names_of(facts.seeded_), "$1");
  if (!facts.rewind_.empty()) sql += "; prepare rewind as " + facts.rewind_;
  session_->query(sql);
  prepared_ = true;
}

std::optional<std::string> DatabaseReset::changed(std::string_view statement,
                                                  const std::vector<TemplateFacts::Table>& tables) {
  if (tables.empty()) return std::nullopt;
  const Rows rows = session_->query(fmt::format("execute {}(age('{}'::xid))", statement, since_));
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (rows[i][0] != tables[i].rows || rows[i][1] != "0") return tables[i].name;
  }
  return std::nullopt;
}

std::optional<std::string> DatabaseReset::restore(const TemplateFacts& facts) {
  try {
    if (!prepared_) prepare(facts);
    if (auto around = session_->query("execute around"); around[0][0]) return around[0][0];
    if (auto name = changed("catalogs", facts.catalogs_)) return name;
    std::string sql;
    if (const std::string grown = first_of(session_->query("execute grown")); !grown.empty())
      sql = "truncate " + grown + "; execute estimates; ";
    if (!facts.rewind_.empty()) sql += "execute rewind";
    if (!sql.empty()) session_->query(sql);
    if (auto name = changed("seeded", facts.seeded_)) return name;
    if (first_of(session_->query("execute relations")) != facts.relations_) return "sizes or statistics of relations";
    // Rows of pg_class are new where a table was emptied.
    since_ = first_of(session_->query("select pg_current_xact_id()::xid, pg_stat_force_next_flush()"));
    session_->query("select pg_stat_reset()");
    return std::nullopt;
  } catch (const ErrorFields& error) {
    return error.primary;
  }
}

}  // namespace ashlar::pg
