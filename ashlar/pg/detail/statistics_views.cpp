#include <ashlar/pg/detail/statistics_views.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace ashlar::pg::detail {
namespace {

// NOLINTBEGIN(bugprone-suspicious-missing-comma): statements are several literals

// Sessions of programs. Who may not see others' sees no backend_type.
#define ASHLAR_CLIENTS                                                                                  \
  "a.datid is not null and coalesce(a.backend_type, 'client backend') = 'client backend' and a.pid <> " \
  "pg_backend_pid()"
#define ASHLAR_OURS "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'"
#define ASHLAR_TABLE "case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end"
#define ASHLAR_AGE(since) "extract(epoch from clock_timestamp() - " since ")"

constexpr std::array kSources = std::to_array<TableSource>({
    {.view = "overview",
     .name = "server",
     .title = "Server",
     .columns = "version database role up:seconds standby:yes_no size:bytes connections:number max_connections:number "
                "cache_hits:share commits:number rollbacks:number deadlocks:number temporary_files:bytes "
                "counted_since:seconds checksum_failures:number data_checksums:yes_no fsync:yes_no autovacuum:yes_no",
     .sql = "select current_setting('server_version'), current_database(), current_user, " ASHLAR_AGE(
         "pg_postmaster_start_time()") ", pg_is_in_recovery(), pg_database_size(d.datid), (select count(*) from "
                                       "pg_stat_activity a where " ASHLAR_CLIENTS
                                       ") + 1, current_setting('max_connections'), d.blks_hit::float8 / "
                                       "nullif(d.blks_hit + d.blks_read, 0), d.xact_commit, d.xact_rollback, "
                                       "d.deadlocks, d.temp_bytes, " ASHLAR_AGE(
                                           "d.stats_reset") ", "
                                                            "d.checksum_failures, current_setting('data_checksums'), "
                                                            "current_setting('fsync'), current_setting('autovacuum') "
                                                            "from "
                                                            "pg_stat_database d where d.datname = current_database()",
     .is_list = true},

    {.view = "top",
     .name = "queries",
     .title = "Queries, since their statistics were reset",
     .columns = "query calls:number total:seconds share:share mean:seconds max:seconds rows:number hits:share "
                "read:bytes temporary:bytes",
     .sql =
         "select min(s.query), sum(s.calls), sum(s.total_exec_time) / 1000, sum(s.total_exec_time) / "
         "nullif(sum(sum(s.total_exec_time)) over (), 0), sum(s.total_exec_time) / nullif(sum(s.calls), 0) / 1000, "
         "max(s.max_exec_time) / 1000, round(sum(s.rows) / nullif(sum(s.calls), 0), 1), sum(s.shared_blks_hit)::float8 "
         "/ nullif(sum(s.shared_blks_hit + s.shared_blks_read), 0), sum(s.shared_blks_read) * "
         "current_setting('block_size')::int, sum(s.temp_blks_written) * current_setting('block_size')::int from "
         "{statements} s join pg_database d on d.oid = s.dbid where d.datname = {database} and s.calls > 0 group by "
         "s.queryid order by {order} desc nulls last limit {rows}",
     .statements = "query"},

    {.view = "locks",
     .name = "sessions",
     .title = "Who waits for whom",
     .columns = "depth:number session:number waits:seconds state transaction:seconds wants user program statement "
                "blocked_by",
     .sql =
         "with waiting as (select distinct pid, pg_blocking_pids(pid) as blockers from pg_locks where not granted), "
         "involved as (select pid from waiting union select unnest(blockers) from waiting) select 0, i.pid, "
         "case when w.pid is not null then coalesce(" ASHLAR_AGE("l.since") ", " ASHLAR_AGE(
             "a.query_start") ") end, "
                              "case when a.pid is null then 'prepared transaction' else a.state end, " ASHLAR_AGE(
                                  "a.xact_start") ", l.wants, a.usename, a.application_name, a.query, "
                                                  "array_to_string(w.blockers, ' ') from involved i left "
                                                  "join pg_stat_activity a on a.pid = i.pid left join waiting w on "
                                                  "w.pid = i.pid left join lateral (select "
                                                  "x.mode || ' on ' || "
                                                  "coalesce(regexp_replace(x.relation::regclass::text, '^public[.]', "
                                                  "''), case when x.locktype = 'transactionid' then 'a "
                                                  "row' when x.locktype = 'virtualxid' then 'a transaction' else "
                                                  "x.locktype end) as wants, (to_jsonb(x) ->> "
                                                  "'waitstart')::timestamptz as since from pg_locks x where x.pid = "
                                                  "i.pid and not x.granted limit 1) l on "
                                                  "true order by i.pid",
     .statements = "statement"},

    {.view = "connections",
     .name = "use",
     .title = "Connections",
     .columns = "used:number max:number reserved:number share:share active:number idle:number in_transaction:number "
                "hidden:number",
     .sql = "select count(*) + 1, current_setting('max_connections')::int, "
            "current_setting('superuser_reserved_connections')::int, (count(*) + 1)::float8 / "
            "(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int), "
            "count(*) filter (where a.state = 'active') + 1, count(*) filter (where a.state = 'idle'), count(*) filter "
            "(where a.state like 'idle in transaction%'), count(*) filter (where a.query = '<insufficient privilege>') "
            "from pg_stat_activity a where " ASHLAR_CLIENTS,
     .is_list = true},
    {.view = "connections",
     .name = "programs",
     .title = "By program",
     .columns = "user program database client connections:number active:number idle:number in_transaction:number "
                "oldest:seconds",
     .sql =
         "select a.usename, a.application_name, a.datname, coalesce(host(a.client_addr), 'socket'), count(*), count(*) "
         "filter (where a.state = 'active'), count(*) filter (where a.state = 'idle'), count(*) filter (where "
         "a.state like 'idle in transaction%'), " ASHLAR_AGE(
             "min(a.backend_start)") " from pg_stat_activity a where " ASHLAR_CLIENTS
                                     " group by 1, 2, 3, 4 order by 5 desc, 1, 2 limit {rows}"},

    {.view = "long",
     .name = "transactions",
     .title = "Open transactions, the oldest first",
     .columns = "session:number transaction:seconds in_state:seconds state waits_for user program statement",
     .sql = "select a.pid, " ASHLAR_AGE("a.xact_start") ", " ASHLAR_AGE(
         "a.state_change") ", a.state, a.wait_event_type || ' ' || a.wait_event, a.usename, a.application_name, "
                           "a.query "
                           "from pg_stat_activity a where " ASHLAR_CLIENTS
                           " and a.xact_start is not null order by a.xact_start limit {rows}",
     .statements = "statement"},
    {.view = "long",
     .name = "prepared",
     .title = "Prepared transactions",
     .columns = "name age:seconds owner database",
     .sql = "select p.gid, " ASHLAR_AGE(
         "p.prepared") ", p.owner, p.database from pg_prepared_xacts p order by p.prepared limit {rows}"},

    {.view = "tables",
     .name = "tables",
     .title = "Tables, the largest first",
     .columns = "table total:bytes heap:bytes indexes:bytes rows:number whole_reads:number rows_read:number "
                "index_reads:number inserts:number updates:number deletes:number hot:share",
     .sql = "select " ASHLAR_TABLE
            ", pg_total_relation_size(c.oid), pg_table_size(c.oid), pg_indexes_size(c.oid), greatest(c.reltuples, "
            "0)::int8, s.seq_scan, s.seq_tup_read, coalesce(s.idx_scan, 0), s.n_tup_ins, s.n_tup_upd, s.n_tup_del, "
            "s.n_tup_hot_upd::float8 / nullif(s.n_tup_upd, 0) from pg_class c join pg_namespace n on n.oid = "
            "c.relnamespace join pg_stat_all_tables s on s.relid = c.oid where c.relkind in ('r', 'm') and " ASHLAR_OURS
            " order by 2 desc, 1 limit {rows}",
     .is_heavy = true},

    {.view = "indexes",
     .name = "indexes",
     .title = "Indexes, the largest first",
     .columns = "index table size:bytes reads:number rows_read:number unique:yes_no valid:yes_no hits:share",
     .sql = "select i.relname, " ASHLAR_TABLE
            ", pg_relation_size(i.oid), s.idx_scan, s.idx_tup_read, x.indisunique, x.indisvalid, "
            "o.idx_blks_hit::float8 / nullif(o.idx_blks_hit + o.idx_blks_read, 0) from pg_index x join pg_class i on "
            "i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace "
            "join pg_stat_all_indexes s on s.indexrelid = i.oid join pg_statio_all_indexes o on o.indexrelid = i.oid "
            "where " ASHLAR_OURS " order by x.indisvalid, 3 desc, 1 limit {rows}",
     .is_heavy = true},

    {.view = "cache",
     .name = "databases",
     .title = "Blocks found in shared_buffers, by database",
     .columns = "database hits:share read:bytes found:bytes reading:seconds",
     .sql = "select d.datname, d.blks_hit::float8 / nullif(d.blks_hit + d.blks_read, 0), d.blks_read * "
            "current_setting('block_size')::int8, d.blks_hit * current_setting('block_size')::int8, case when "
            "current_setting('track_io_timing')::bool then d.blk_read_time / 1000 end from pg_stat_database d where "
            "d.datname is not null order by d.datname = current_database() desc, d.blks_read desc limit {rows}"},
    {.view = "cache",
     .name = "tables",
     .title = "Tables, the most read from disk first",
     .columns = "table rows:share indexes:share read:bytes size:bytes",
     .sql = "select " ASHLAR_TABLE
            ", s.heap_blks_hit::float8 / nullif(s.heap_blks_hit + s.heap_blks_read, 0), s.idx_blks_hit::float8 / "
            "nullif(s.idx_blks_hit + s.idx_blks_read, 0), (s.heap_blks_read + coalesce(s.idx_blks_read, 0)) * "
            "current_setting('block_size')::int8, c.relpages * current_setting('block_size')::int8 from "
            "pg_statio_all_tables s join pg_class c on c.oid = s.relid join pg_namespace n on n.oid = c.relnamespace "
            "where " ASHLAR_OURS " order by 4 desc nulls last, 1 limit {rows}"},

    {.view = "vacuum",
     .name = "tables",
     .title = "Tables, the most dead rows first",
     .columns = "table rows:number dead:number dead_share:share threshold:number vacuumed:seconds analyzed:seconds "
                "changed_since:number autovacuum:yes_no",
     .sql =
         "select " ASHLAR_TABLE
         ", s.n_live_tup, s.n_dead_tup, s.n_dead_tup::float8 / nullif(s.n_live_tup + s.n_dead_tup, 0), "
         "(coalesce((select option_value from pg_options_to_table(c.reloptions) where option_name = "
         "'autovacuum_vacuum_threshold'), current_setting('autovacuum_vacuum_threshold'))::float8 + "
         "coalesce((select option_value from pg_options_to_table(c.reloptions) where option_name = "
         "'autovacuum_vacuum_scale_factor'), current_setting('autovacuum_vacuum_scale_factor'))::float8 * "
         "greatest(c.reltuples, 0))::int8, " ASHLAR_AGE("greatest(s.last_vacuum, s.last_autovacuum)") ", " ASHLAR_AGE(
             "greatest(s.last_analyze, s.last_autoanalyze)") ", s.n_mod_since_analyze, not exists (select from "
                                                             "pg_options_to_table(c.reloptions) where option_name = "
                                                             "'autovacuum_enabled' and option_value in ('off', "
                                                             "'false')) from pg_stat_all_tables s join pg_class c on "
                                                             "c.oid = s.relid join pg_namespace n on n.oid = "
                                                             "c.relnamespace where " ASHLAR_OURS
                                                             " order by s.n_dead_tup desc, 1 limit {rows}"},
    {.view = "vacuum",
     .name = "running",
     .title = "Running vacuums",
     .columns = "session:number table phase done:share since:seconds",
     .sql = "select p.pid, regexp_replace(p.relid::regclass::text, '^public[.]', ''), p.phase, "
            "p.heap_blks_scanned::float8 / nullif(p.heap_blks_total, "
            "0), " ASHLAR_AGE("a.xact_start") " from pg_stat_progress_vacuum p left join pg_stat_activity a on a.pid = "
                                              "p.pid where p.datname = current_database() order by p.pid limit {rows}"},

    // A row takes its columns' average width, 23 bytes of header and what aligns it, and a line pointer of 4; an entry
    // of a B-tree its columns, 8 bytes of header and the pointer. Statistics are those of the last analyze.
    // (https://www.postgresql.org/docs/current/storage-page-layout.html)
    {.view = "bloat",
     .name = "tables",
     .title = "Tables: estimated space that vacuum full would give back",
     .columns = "table size:bytes bloat:bytes share:share rows:number",
     .sql =
         "with b as (select current_setting('block_size')::float8 as size), t as (select c.oid, " ASHLAR_TABLE
         " as name, c.relpages, c.reltuples, coalesce((select option_value from pg_options_to_table(c.reloptions) "
         "where option_name = 'fillfactor')::float8, 100) / 100 as fill, (select sum((1 - w.null_frac) * w.avg_width) "
         "from pg_stats w where w.schemaname = n.nspname and w.tablename = c.relname and not w.inherited) as width "
         "from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm') and c.relpages "
         "> 0 and c.reltuples > 0 and " ASHLAR_OURS
         "), e as (select t.*, b.size, ceil(t.reltuples * (4 + 8 * ceil((24 + t.width) / 8)) / ((b.size - 24) * "
         "t.fill)) as pages from t, b where t.width is not null) select name, relpages * size, greatest(relpages - "
         "pages, 0) * size, greatest(relpages - pages, 0) / relpages, reltuples::int8 from e order by 3 desc, 1 limit "
         "{rows}",
     .is_heavy = true},
    {.view = "bloat",
     .name = "indexes",
     .title = "B-trees: estimated space that reindex would give back",
     .columns = "index table size:bytes bloat:bytes share:share",
     .sql =
         "with b as (select current_setting('block_size')::float8 as size), t as (select i.relname as "
         "name, " ASHLAR_TABLE " as table_name, i.relpages, i.reltuples, coalesce((select option_value from "
         "pg_options_to_table(i.reloptions) where option_name = 'fillfactor')::float8, 90) / 100 as fill, (select "
         "sum((1 - w.null_frac) * w.avg_width) from unnest(x.indkey) with ordinality k(attnum, i) left join "
         "pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum and k.attnum > 0 left join pg_attribute ia on "
         "ia.attrelid = i.oid and ia.attnum = k.i join pg_stats w on w.schemaname = n.nspname and not w.inherited and "
         "((k.attnum > 0 and w.tablename = c.relname and w.attname = a.attname) or (k.attnum = 0 and w.tablename = "
         "i.relname and w.attname = ia.attname))) as width from pg_index x join pg_class i on i.oid = x.indexrelid "
         "join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace join pg_am m on m.oid = "
         "i.relam where m.amname = 'btree' and i.relpages > 1 and i.reltuples > 0 and " ASHLAR_OURS
         "), e as (select t.*, b.size, 1 + ceil(t.reltuples * (4 + 8 * ceil((8 + t.width) / 8)) / ((b.size - 40) * "
         "t.fill)) as pages from t, b where t.width is not null) select name, table_name, relpages * size, "
         "greatest(relpages - pages, 0) * size, greatest(relpages - pages, 0) / relpages from e order by 4 desc, 1 "
         "limit {rows}",
     .is_heavy = true},

    {.view = "replication",
     .name = "replicas",
     .title = "Replicas",
     .columns = "replica client state sync sent:bytes replayed:bytes lag:seconds",
     .sql =
         "select r.application_name, host(r.client_addr), r.state, r.sync_state, pg_wal_lsn_diff(l.now, r.sent_lsn), "
         "pg_wal_lsn_diff(l.now, r.replay_lsn), extract(epoch from r.replay_lag) from pg_stat_replication r, (select "
         "case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end as now) l order "
         "by 6 desc nulls last limit {rows}"},
    {.view = "replication",
     .name = "slots",
     .title = "Replication slots",
     .columns = "slot kind database active:yes_no kept:bytes state",
     .sql =
         "select s.slot_name, s.slot_type, s.database, s.active, pg_wal_lsn_diff(l.now, s.restart_lsn), s.wal_status "
         "from pg_replication_slots s, (select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else "
         "pg_current_wal_lsn() end as now) l order by 5 desc nulls last limit {rows}"},
    {.view = "replication",
     .name = "standby",
     .title = "This standby",
     .columns = "behind:seconds not_replayed:bytes receiver",
     .sql = "select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 else " ASHLAR_AGE(
         "pg_last_xact_replay_timestamp()") " end, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), "
                                            "pg_last_wal_replay_lsn()), (select w.status from pg_stat_wal_receiver w) "
                                            "where pg_is_in_recovery()"},

    {.view = "sequences",
     .name = "sequences",
     .title = "Sequences, the fullest first",
     .columns = "sequence column type last:number limit:number used:share cycles:yes_no",
     .sql =
         "select case when q.schemaname = 'public' then q.sequencename else q.schemaname || '.' || q.sequencename end, "
         "u.name, coalesce(u.type, q.data_type::text), q.last_value, m.edge, case when q.last_value is not null then "
         "greatest((q.last_value::numeric - q.start_value) / nullif(m.edge::numeric - q.start_value, 0), 0) end, "
         "q.cycle from pg_sequences q join pg_namespace n on n.nspname = q.schemaname join pg_class c on "
         "c.relnamespace = n.oid and c.relname = q.sequencename left join lateral (select t.relname || '.' || "
         "a.attname as name, format_type(a.atttypid, null) as type from (select d.refobjid as relid, d.refobjsubid as "
         "attnum from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = "
         "'pg_class'::regclass and d.deptype in ('a', 'i') union all select f.adrelid, f.adnum from pg_depend d join "
         "pg_attrdef f on f.oid = d.objid where d.classid = 'pg_attrdef'::regclass and d.refclassid = "
         "'pg_class'::regclass and d.refobjid = c.oid) o join pg_attribute a on a.attrelid = o.relid and a.attnum = "
         "o.attnum join pg_class t on t.oid = o.relid order by case format_type(a.atttypid, null) when 'smallint' "
         "then 1 when 'integer' then 2 else 3 end limit 1) u on true cross join lateral (select case when "
         "q.increment_by < 0 then q.min_value else least(q.max_value, case u.type when 'smallint' then 32767 when "
         "'integer' then 2147483647 else q.max_value end) end as edge) m order by 6 desc nulls last, 1 limit {rows}",
     .is_heavy = true},

    {.view = "txid",
     .name = "databases",
     .title = "Databases: how far transaction numbers are used up",
     .columns = "database transactions:number used:share multixacts:number multixacts_used:share freeze_at:number",
     .sql = "select d.datname, age(d.datfrozenxid), age(d.datfrozenxid)::float8 / 2147483648, "
            "mxid_age(d.datminmxid), mxid_age(d.datminmxid)::float8 / 2147483648, "
            "current_setting('autovacuum_freeze_max_age')::int8 from pg_database d where d.datallowconn order by "
            "greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) desc, 1 limit {rows}"},
    {.view = "txid",
     .name = "tables",
     .title = "Tables, the longest not frozen first",
     .columns = "table transactions:number multixacts:number size:bytes",
     .sql =
         "select " ASHLAR_TABLE
         ", greatest(age(c.relfrozenxid), age(t.relfrozenxid)), greatest(mxid_age(c.relminmxid), "
         "mxid_age(t.relminmxid)), c.relpages * current_setting('block_size')::int8 from pg_class c join pg_namespace "
         "n on n.oid = c.relnamespace left join pg_class t on t.oid = c.reltoastrelid where c.relkind in ('r', 'm') "
         "and " ASHLAR_OURS " order by 2 desc, 1 limit {rows}"},
    {.view = "txid",
     .name = "holders",
     .title = "What keeps dead rows from being removed",
     .columns = "kind name transactions:number",
     .sql = "select * from (select 'session' as kind, a.pid || coalesce(' ' || nullif(a.application_name, ''), '') as "
            "name, age(a.backend_xmin) as held from pg_stat_activity a where a.backend_xmin is not null and a.pid <> "
            "pg_backend_pid() union all select 'replication slot', s.slot_name, greatest(age(s.xmin), "
            "age(s.catalog_xmin)) from pg_replication_slots s union all select 'prepared transaction', p.gid, "
            "age(p.transaction) from pg_prepared_xacts p) h where held is not null order by held desc limit {rows}"},
});

#undef ASHLAR_AGE
#undef ASHLAR_TABLE
#undef ASHLAR_OURS
#undef ASHLAR_CLIENTS
// NOLINTEND(bugprone-suspicious-missing-comma)

}  // namespace

std::span<const TableSource> table_sources() noexcept { return kSources; }

std::vector<StatisticsColumn> columns_of(const TableSource& source) {
  static constexpr auto kMeasures = std::to_array<std::pair<std::string_view, Measure>>({{"number", Measure::number},
                                                                                         {"bytes", Measure::bytes},
                                                                                         {"seconds", Measure::seconds},
                                                                                         {"share", Measure::share},
                                                                                         {"yes_no", Measure::yes_no}});
  std::vector<StatisticsColumn> out;
  std::string_view rest = source.columns;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const std::size_t colon = word.find(':');
    StatisticsColumn column{.name = std::string(word.substr(0, colon))};
    if (colon != std::string_view::npos) {
      for (const auto& [name, measure] : kMeasures) {
        if (name == word.substr(colon + 1)) column.measure = measure;
      }
    }
    out.push_back(std::move(column));
  }
  return out;
}

std::string_view order_of(std::string_view column) noexcept {
  static constexpr auto kOrders =
      std::to_array<std::pair<std::string_view, std::string_view>>({{"total", "sum(s.total_exec_time)"},
                                                                    {"mean", "sum(s.total_exec_time) / sum(s.calls)"},
                                                                    {"max", "max(s.max_exec_time)"},
                                                                    {"calls", "sum(s.calls)"},
                                                                    {"rows", "sum(s.rows)"},
                                                                    {"read", "sum(s.shared_blks_read)"}});
  for (const auto& [name, sql] : kOrders) {
    if (name == column) return sql;
  }
  return {};
}

}  // namespace ashlar::pg::detail
