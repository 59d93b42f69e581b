#include <ashlar/pg/migrations.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <random>
#include <ranges>
#include <sstream>
#include <system_error>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/scram.hpp>
#include <ashlar/pg/detail/sql_statements.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg {
namespace {

constexpr std::int64_t kLock = 0x6173'686c'6172;  // "ashlar"; advisory locks are a database's own
constexpr std::string_view kDown = "-- migrate:down";
constexpr std::string_view kNoTransaction = "-- migrate:no-transaction";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Invalid(fmt::format("cannot read the migration {}", path.string()));
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::string_view trimmed(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

/// Line of a character position that the server reports (from 1, in characters, not bytes).
std::uint32_t line_at(std::string_view sql, std::uint32_t position) {
  std::uint32_t line = 1;
  std::uint32_t characters = 0;
  for (const char c : sql) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++characters >= position) break;
    if (c == '\n') ++line;
  }
  return line;
}

/// The start of the line "-- migrate:down", or npos.
std::size_t find_down(std::string_view text) {
  for (std::size_t at = text.find(kDown); at != std::string_view::npos; at = text.find(kDown, at + 1)) {
    if (at == 0 || text[at - 1] == '\n') return at;
  }
  return std::string_view::npos;
}

std::string name_of(const Migration& migration) { return fmt::format("{:04}_{}", migration.version, migration.name); }

/// Others had the lock, or had it first: another try may do.
bool is_held_up(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ErrorFields& fields) {
    return fields.code == "55P03" || fields.code == "40P01";
  } catch (...) {
    return false;
  }
}

std::chrono::milliseconds pause_after(unsigned tries) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const unsigned longest = std::min(10'000U, 100U << std::min(tries, 10U));
  return std::chrono::milliseconds(std::uniform_int_distribution<unsigned>(longest / 2, longest)(random));
}

/// Names the file and the line of what the server refused; what is no error of the server goes on as it is.
[[noreturn]] void throw_failure(const Migration& migration, std::string_view sql, std::uint32_t first_line,
                                const std::exception_ptr& error, const std::string& holders) {
  try {
    std::rethrow_exception(error);
  } catch (const ErrorFields& fields) {
    const std::uint32_t line = fields.position == 0 ? 0 : first_line + line_at(sql, fields.position) - 1;
    throw Invalid(fmt::format(
        "migration {}{} failed{}: {} {}{}{}{}{}", migration.file.string(), line == 0 ? "" : fmt::format(":{}", line),
        migration.transactional ? " and was rolled back" : " (outside a transaction: what it did before stays)",
        fields.severity, fields.code + ": " + fields.primary, fields.detail.empty() ? "" : "; " + fields.detail,
        fields.hint.empty() ? "" : "; hint: " + fields.hint, fields.context.empty() ? "" : "; in " + fields.context,
        holders.empty() ? "" : "; " + holders));
  }
}

/// `a.b` for to_regclass.
std::string regclass_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return detail::quote_identifier(name);
  return detail::quote_identifier(name.substr(0, dot)) + "." + detail::quote_identifier(name.substr(dot + 1));
}

}  // namespace

std::string_view to_string(MigrationState state) noexcept {
  switch (state) {
    case MigrationState::applied:
      return "applied";
    case MigrationState::pending:
      return "pending";
    case MigrationState::changed:
      return "changed";
    case MigrationState::missing:
      return "missing";
  }
  return "?";
}

std::vector<Migration> load_migrations(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Invalid(fmt::format("there is no folder of migrations at {}", fs::absolute(folder).string()));
  std::map<std::uint64_t, Migration> by_version;
  std::map<std::uint64_t, fs::path> downs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".sql") || file.starts_with('.')) continue;
    std::uint64_t version = 0;
    const auto [end, bad] = std::from_chars(file.data(), file.data() + file.size(), version);
    const bool is_down = file.ends_with(".down.sql");
    const std::size_t suffix = is_down ? 9 : 4;
    if (bad != std::errc{} || *end != '_' || static_cast<std::size_t>(end - file.data()) + 1 + suffix >= file.size())
      throw Invalid(fmt::format("{} is no name for a migration: write 0001_what_it_does.sql", entry.path().string()));
    if (is_down) {
      if (!downs.emplace(version, entry.path()).second)
        throw Invalid(fmt::format("two files go back from migration {}: {} and {}", version, downs[version].string(),
                                  entry.path().string()));
      continue;
    }
    Migration migration;
    migration.version = version;
    migration.name = std::string(end + 1, file.size() - suffix - static_cast<std::size_t>(end + 1 - file.data()));
    migration.file = entry.path();
    std::string text = read_file(entry.path());
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    if (const std::size_t at = find_down(text); at != std::string::npos) {
      migration.down = text.substr(at);
      migration.down_line = static_cast<std::uint32_t>(
          std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1);
      text.resize(at);
    }
    migration.transactional = !text.starts_with(kNoTransaction);
    migration.up = std::string(trimmed(text));
    migration.checksum = detail::sha256_hex(migration.up);
    const auto [it, fresh] = by_version.emplace(version, std::move(migration));
    if (!fresh)
      throw Invalid(fmt::format("two migrations have the number {}: {} and {}", version, it->second.file.string(),
                                entry.path().string()));
  }
  for (const auto& [version, path] : downs) {
    const auto it = by_version.find(version);
    if (it == by_version.end())
      throw Invalid(fmt::format("{} goes back from a migration that is not there", path.string()));
    if (it->second.down)
      throw Invalid(fmt::format("{} has a section `{}` and a file {}", it->second.file.string(), kDown, path.string()));
    it->second.down = read_file(path);
  }
  std::vector<Migration> out;
  for (auto& [version, migration] : by_version) out.push_back(std::move(migration));
  return out;
}

std::vector<MigrationStatus> compare_migrations(const std::vector<Migration>& files,
                                                const std::vector<AppliedMigration>& applied) {
  std::map<std::uint64_t, MigrationStatus> out;
  std::map<std::uint64_t, const AppliedMigration*> done;
  for (const AppliedMigration& migration : applied) {
    out[migration.version] = {migration.version, migration.name, MigrationState::missing, migration.applied_at};
    done[migration.version] = &migration;
  }
  for (const Migration& file : files) {
    MigrationStatus& status = out[file.version];
    status.version = file.version;
    status.name = file.name;
    const auto it = done.find(file.version);
    status.state = it == done.end()                        ? MigrationState::pending
                   : it->second->checksum != file.checksum ? MigrationState::changed
                                                           : MigrationState::applied;
  }
  std::vector<MigrationStatus> list;
  for (auto& [version, status] : out) list.push_back(std::move(status));
  return list;
}

void Migrator::refuse_drift(const std::vector<MigrationStatus>& status) {
  std::uint64_t newest_applied = 0;
  for (const MigrationStatus& migration : status) {
    if (migration.state != MigrationState::pending) newest_applied = std::max(newest_applied, migration.version);
  }
  for (const MigrationStatus& migration : status) {
    const std::string what = fmt::format("migration {:04}_{}", migration.version, migration.name);
    switch (migration.state) {
      case MigrationState::changed:
        throw Invalid(fmt::format(
            "{} was changed after it had been applied on {}: put the file back as it was, and write the change as a "
            "new migration",
            what, migration.applied_at));
      case MigrationState::missing:
        throw Invalid(fmt::format(
            "{} was applied on {}, but its file is missing: is this an older version of the program, or was the "
            "file deleted?",
            what, migration.applied_at));
      case MigrationState::pending:
        if (migration.version < newest_applied)
          throw Invalid(fmt::format("{} is new but older than {:04}, which is applied already: give it a higher number",
                                    what, newest_applied));
        break;
      case MigrationState::applied:
        break;
    }
  }
}

// Asking again and again holds no snapshot meanwhile; waiting inside pg_advisory_lock would, and `create index
// concurrently` of the other runner would wait for us for ever.
Task<void> Migrator::lock() {
  const std::string sql = fmt::format("select pg_try_advisory_lock({})", kLock);
  bool told = false;
  for (;;) {
    const auto rows = co_await detail::TextQuery(connection_, sql);
    if (rows.at(0).at(0) == "t") break;
    if (!told) log::info("waiting for another program that migrates the database");
    told = true;
    co_await async::sleep(std::chrono::milliseconds{50});
  }
}

Task<void> Migrator::unlock() {
  if (!connection_.open_now()) co_return;
  const std::string sql = fmt::format("select pg_advisory_unlock({})", kLock);
  co_await detail::TextQuery(connection_, sql);
}

Task<std::vector<AppliedMigration>> Migrator::applied() {
  const auto exists = co_await detail::TextQuery(connection_, "select to_regclass('ashlar_migrations') is not null");
  std::vector<AppliedMigration> out;
  if (exists.at(0).at(0) != "t") co_return out;
  const auto rows = co_await detail::TextQuery(
      connection_,
      "select version, name, checksum, to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') "
      "from ashlar_migrations order by version");
  for (const auto& row : rows) {
    AppliedMigration& migration = out.emplace_back();
    const std::string version = row.at(0).value_or("0");
    std::from_chars(version.data(), version.data() + version.size(), migration.version);
    migration.name = row.at(1).value_or("");
    migration.checksum = row.at(2).value_or("");
    migration.applied_at = row.at(3).value_or("");
  }
  co_return out;
}

Task<std::vector<MigrationStatus>> Migrator::status() { co_return compare_migrations(files_, co_await applied()); }

Task<std::vector<const Migration*>> Migrator::pending() {
  const auto status = compare_migrations(files_, co_await applied());
  refuse_drift(status);
  std::vector<const Migration*> out;
  for (const MigrationStatus& migration : status) {
    if (migration.state != MigrationState::pending) continue;
    for (const Migration& file : files_) {
      if (file.version == migration.version) out.push_back(&file);
    }
  }
  co_return out;
}

template <class F>
Task<std::vector<std::string>> Migrator::alone(F work) {
  co_await lock();
  std::exception_ptr error;
  std::vector<std::string> done;
  try {
    done = co_await work();
  } catch (...) {
    error = std::current_exception();
  }
  co_await async::shield(unlock());
  if (error) std::rethrow_exception(error);
  co_return done;
}

Task<std::vector<std::string>> Migrator::up(std::optional<std::uint64_t> target) {
  return alone([this, target] { return up_locked(target); });
}

Task<std::vector<std::string>> Migrator::down(unsigned count) {
  return alone([this, count] { return down_locked(count); });
}

Task<std::vector<std::string>> Migrator::baseline(std::uint64_t version) {
  return alone([this, version] { return baseline_locked(version); });
}

Task<void> Migrator::make_table() {
  co_await detail::TextQuery(connection_,
                             "set client_min_messages = warning; create table if not exists ashlar_migrations ("
                             "version bigint primary key, name text not null, checksum text not null, "
                             "applied_at timestamptz not null default now(), duration_ms integer not null)");
}

Task<std::vector<std::string>> Migrator::up_locked(std::optional<std::uint64_t> target) {
  co_await make_table();
  std::vector<std::string> done;
  const auto todo = co_await pending();
  for (const Migration* migration : todo) {
    if (target && migration->version > *target) break;
    const auto start = async::Clock::now();
    const std::string record = fmt::format(
        "insert into ashlar_migrations (version, name, checksum, duration_ms) values ({}, {}, {}, "
        "greatest(0, (extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000)::integer))",
        migration->version, detail::quote_literal(migration->name), detail::quote_literal(migration->checksum));
    co_await run({*migration, migration->up, record, 1});
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(async::Clock::now() - start);
    done.push_back(name_of(*migration));
    if (options_.announce) log::info("migration applied", {{"migration", done.back()}, {"took", took}});
  }
  co_return done;
}

Task<std::vector<std::string>> Migrator::baseline_locked(std::uint64_t version) {
  if (std::ranges::find(files_, version, &Migration::version) == files_.end())
    throw Invalid(fmt::format("baseline {}: no file has this number", version));
  co_await make_table();
  const auto recorded = co_await applied();
  if (!recorded.empty())
    throw Invalid(fmt::format(
        "baseline {}: this database has recorded {} migrations, the first as {:04}_{}; `migrate` goes on from there",
        version, recorded.size(), recorded.front().version, recorded.front().name));
  std::string rows;
  std::vector<std::string> done;
  for (const Migration& file : files_) {
    if (file.version > version) break;
    rows += fmt::format("{}({}, {}, {}, 0)", rows.empty() ? "" : ", ", file.version, detail::quote_literal(file.name),
                        detail::quote_literal(file.checksum));
    done.push_back(name_of(file));
  }
  const std::string sql =
      fmt::format("insert into ashlar_migrations (version, name, checksum, duration_ms) values {}", rows);
  co_await detail::TextQuery(connection_, sql);
  log::info("migrations recorded without running them", {{"up to", version}, {"count", done.size()}});
  co_return done;
}

Task<std::vector<std::string>> Migrator::down_locked(unsigned count) {
  auto list = co_await applied();
  std::vector<std::string> done;
  for (; count > 0 && !list.empty(); --count, list.pop_back()) {
    const AppliedMigration& last = list.back();
    const auto file =
        std::find_if(files_.begin(), files_.end(), [&](const Migration& m) { return m.version == last.version; });
    const std::string what = fmt::format("{:04}_{}", last.version, last.name);
    if (file == files_.end())
      throw Invalid(fmt::format("migration {} cannot be taken back: its file is missing", what));
    if (!file->down)
      throw Invalid(fmt::format("migration {} cannot be taken back: {} has no section `{}` and there is no .down.sql",
                                what, file->file.string(), kDown));
    co_await run({*file, *file->down, fmt::format("delete from ashlar_migrations where version = {}", last.version),
                  file->down_line});
    log::info("migration taken back", {{"migration", what}});
    done.push_back(what);
  }
  co_return done;
}

Task<void> Migrator::run(Part part) {
  if (part.migration.transactional)
    return with_patience(part, part.sql, part.first_line, [this, part] { return run_in_transaction(part); });
  return run_statements(part);
}

template <class F>
Task<void> Migrator::with_patience(Part part, std::string sql, std::uint32_t first_line, F attempt) {
  const auto give_up = async::Clock::now() + options_.retry_for;
  for (unsigned tries = 1;; ++tries) {
    std::exception_ptr error;
    try {
      co_await attempt();
    } catch (...) {
      error = std::current_exception();
    }
    if (!error) co_return;
    if (connection_.open_now() && connection_.transaction_status() != 'I')
      co_await async::shield([](detail::Connection& connection) -> Task<void> {
        co_await detail::TextQuery(connection, "rollback");
      }(connection_));
    const std::string holders = is_held_up(error) ? co_await long_transactions() : std::string();
    if (!is_held_up(error) || async::Clock::now() >= give_up)
      throw_failure(part.migration, sql, first_line, error, holders);
    const auto pause = pause_after(tries);
    log::warn("a migration steps back: others hold a lock that it needs",
              {{"migration", name_of(part.migration)}, {"attempt", tries}, {"next in", pause}, {"open", holders}});
    co_await async::sleep(pause);
  }
}

/// Sessions of this database in whose way it may have been.
Task<std::string> Migrator::long_transactions() {
  const std::string sql = fmt::format(
      "select pid, application_name, usename, state, greatest(0, extract(epoch from clock_timestamp() - xact_start))"
      "::bigint from pg_catalog.pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and "
      "xact_start < clock_timestamp() - interval '{} ms' order by xact_start limit 3",
      options_.lock_timeout.count());
  std::string out;
  for (const auto& row : co_await detail::TextQuery(connection_, sql))
    out += fmt::format("{}process {} of {}{} ({}) has a transaction open for {} s", out.empty() ? "" : "; ",
                       row[0].value_or(""), row[2].value_or("?"),
                       row[1].value_or("").empty() ? std::string() : " by " + *row[1], row[3].value_or("?"),
                       row[4].value_or("0"));
  co_return out;
}

Task<void> Migrator::run_in_transaction(Part part) {
  const std::string begin = fmt::format("begin; set local lock_timeout = {}", options_.lock_timeout.count());
  co_await detail::TextQuery(connection_, begin);
  if (!part.sql.empty()) co_await detail::TextQuery(connection_, part.sql);
  co_await detail::TextQuery(connection_, part.record);
  co_await detail::TextQuery(connection_, "commit");
}

// One by one: several in one message would be a transaction.
Task<void> Migrator::run_statements(Part part) {
  for (const detail::SqlStatement& statement : detail::sql_statements(part.sql)) {
    if (const auto index = detail::concurrent_index(statement.tokens)) co_await remove_invalid_index(*index);
    // Waits for the transactions that are open, and hinders none of them: to give up would leave half an index.
    const bool patient = detail::contains_words(statement.tokens, "concurrently");
    const std::string timeout = fmt::format("set lock_timeout = {}", patient ? 0 : options_.lock_timeout.count());
    co_await detail::TextQuery(connection_, timeout);
    const std::string sql(statement.text);
    co_await with_patience(part, sql, part.first_line + statement.line - 1,
                           [this, &sql]() -> Task<void> { co_await detail::TextQuery(connection_, sql); });
  }
  co_await detail::TextQuery(connection_, "set lock_timeout = 0");
  co_await detail::TextQuery(connection_, part.record);
}

/// What a run that was killed has left of `create index concurrently` is in the way of the next one. It is ours: nobody
/// else migrates now.
Task<void> Migrator::remove_invalid_index(std::string name) {
  const std::string find = fmt::format(
      "select i.indexrelid::regclass::text from pg_catalog.pg_index i where i.indexrelid = to_regclass({}) and not "
      "i.indisvalid and not exists (select from pg_catalog.pg_stat_progress_create_index p where p.index_relid = "
      "i.indexrelid)",
      detail::quote_literal(regclass_name(name)));
  const auto rows = co_await detail::TextQuery(connection_, find);
  if (rows.empty()) co_return;
  const std::string drop = fmt::format("drop index concurrently {}", rows.at(0).at(0).value_or(""));
  co_await detail::TextQuery(connection_, drop);
  log::warn("dropped an index that an earlier run had not finished", {{"index", name}});
}

}  // namespace ashlar::pg
