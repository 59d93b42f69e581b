#include <ashlar/pg/detail/backup_server.hpp>

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <system_error>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg::detail {
namespace {

// Dynamic, for these are no queries of the program, which `check` and `explain` look at.
constexpr const char* kFacts =
    "select current_setting('server_version_num')::int4 as version, "
    "coalesce((select system_identifier::text from pg_control_system()), '') as system_identifier, "
    "coalesce((select setting from pg_settings where name = 'data_directory'), '') as data_folder, "
    "coalesce((select setting from pg_settings where name = 'unix_socket_directories'), '') as sockets, "
    "coalesce((select rolname::text from pg_roles where oid = 10), '') as superuser, "
    "coalesce(current_database()::text, '') as database, "
    "coalesce((select rolsuper from pg_roles where rolname = current_user), false) as is_superuser, "
    "coalesce(pg_is_in_recovery(), false) as in_recovery, "
    "coalesce((select bytes_per_wal_segment::int8 from pg_control_init()), 0) as segment_bytes, "
    "coalesce(current_setting('wal_level'), '') as wal_level, "
    "coalesce(current_setting('archive_mode'), '') as archive_mode, "
    "coalesce((select setting from pg_settings where name = 'archive_command'), '') as archive_command, "
    "coalesce((select setting::int4 from pg_settings where name = 'archive_timeout'), 0) as archive_timeout, "
    "coalesce(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text, '') as "
    "lsn, "
    "coalesce(case when pg_is_in_recovery() then '' else pg_walfile_name(pg_current_wal_lsn()) end, '') as piece, "
    "coalesce((select timeline_id from pg_control_checkpoint()), 0) as timeline, "
    "coalesce(pg_snapshot_xmax(pg_current_snapshot())::text, '') as next_transaction, "
    "coalesce((select sum(pg_database_size(oid))::int8 from pg_database where datallowconn and "
    "has_database_privilege(oid, 'connect')), 0) as data_bytes, "
    "coalesce((select count(*)::int4 from pg_tablespace where oid >= 16384), 0) as tablespaces, "
    "coalesce((select count(*)::int4 from pg_stat_replication where application_name = 'ashlar_backup'), 0) as "
    "receivers, "
    "coalesce(a.failed_count, 0) as failures, coalesce(a.last_archived_wal, '') as archived, "
    "coalesce(a.last_failed_wal, '') as failed, a.last_archived_time as archived_at, a.last_failed_time as failed_at "
    "from pg_stat_archiver a";

}  // namespace

bool is_started(Db& db) {
  try {
    (void)db.stats();
    return true;
  } catch (const Internal&) {
    return false;
  }
}

Task<ServerFacts> ask_server(Db& db) {
  const DynamicQuery<ServerFacts()> query{unsafe_sql(kFacts)};
  co_return co_await db.one(query);
}

Task<std::uint64_t> next_transaction(Db& db) {
  const DynamicQuery<std::string()> query{
      unsafe_sql("select coalesce(pg_snapshot_xmax(pg_current_snapshot())::text, '')")};
  const std::string text = co_await db.one(query);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  co_return value;
}

Task<void> alter_system(Db& db, std::string_view name, std::string_view value) {
  const DynamicQuery<void()> query{unsafe_sql(fmt::format("alter system set {} = {}", name, quote_literal(value)))};
  co_await db.exec(query);
}

Task<void> reload(Db& db) {
  const DynamicQuery<bool()> query{unsafe_sql("select coalesce(pg_reload_conf(), false)")};
  co_await db.one(query);
}

}  // namespace ashlar::pg::detail
