#include <ashlar/pg/detail/backup_commands.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/settings.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr std::string_view kBackupHelp =
    "backup [--incremental] [--json] | backup setup [--tool plain|pgbackrest] | backup list [--json] | backup check "
    "[--verify] [--json] | backup expire | backup receive";
constexpr std::string_view kRestoreHelp =
    "restore --to TIME|LSN|xid:NUMBER|latest --into FOLDER [--replace] [--backup ID] [--timeline latest|NUMBER] "
    "[--json]";
constexpr std::string_view kDrillHelp = "restore-drill [--quick] [--scratch FOLDER] [--json]";

/// Words of a command line: flags, and options with a value behind them.
class Words {
 public:
  Words(std::vector<std::string> words, std::string_view help) : words_(std::move(words)), help_(help) {}
  bool flag(std::string_view name) {
    const bool there = std::erase(words_, name) > 0;
    return there;
  }
  std::optional<std::string> option(std::string_view name) {
    for (auto word = words_.begin(); word != words_.end(); ++word) {
      std::string value;
      if (*word == name) {
        if (word + 1 == words_.end()) throw Invalid(fmt::format("{} needs a value: {}", name, help_));
        value = *(word + 1);
        words_.erase(word, word + 2);
      } else if (word->starts_with(fmt::format("{}=", name))) {
        value = word->substr(name.size() + 1);
        words_.erase(word);
      } else {
        continue;
      }
      if (value.empty()) throw Invalid(fmt::format("{} is empty: {}", name, help_));
      return value;
    }
    return std::nullopt;
  }
  std::string first() {
    if (words_.empty() || words_[0].starts_with('-')) return {};
    std::string word = std::move(words_[0]);
    words_.erase(words_.begin());
    return word;
  }
  void end() const {
    if (!words_.empty()) throw Invalid(fmt::format("`{}` is unknown: {}", words_[0], help_));
  }

 private:
  std::vector<std::string> words_;
  std::string_view help_;
};

template <class T>
void print_json(const T& value) {
  fmt::print("{}\n", schema::to_json(value));
}

std::string size(std::int64_t bytes) {
  if (bytes < 10'000'000) return fmt::format("{} kB", (bytes + 999) / 1000);
  if (bytes < 10'000'000'000) return fmt::format("{} MB", bytes / 1'000'000);
  return fmt::format("{} GB", bytes / 1'000'000'000);
}

void print_backup(const Backup& backup) {
  fmt::print("{}  {:<11}  {}  {:>8} of {:>8}  {} .. {}\n", backup.id,
             backup.kind == BackupKind::full ? "full" : "incremental", backup.finished.to_string(),
             size(backup.stored_bytes), size(backup.data_bytes), backup.first_lsn, backup.last_lsn);
}

Task<int> make(Backups& backups, BackupKind kind, bool json) {
  const Backups::Made made = co_await backups.make(kind);
  if (json) {
    print_json(made);
  } else {
    print_backup(made.backup);
    for (const std::string& id : made.expired) fmt::print("removed {}, for {} are kept\n", id, backups.settings().keep);
  }
  for (const std::string& problem : made.problems) fmt::print(stderr, "{}\n", problem);
  co_return made.problems.empty() ? 0 : 1;
}

Task<int> check(Backups& backups, bool verify, bool json) {
  const BackupHealth health = co_await backups.check(verify);
  if (json) {
    print_json(health);
  } else {
    for (const std::string& problem : health.problems) fmt::print("{}\n", problem);
    if (health.problems.empty())
      fmt::print("all is well: {} backups, the newest of {:.0f} minutes ago; log up to {}{}\n", health.backups,
                 health.backup_age_seconds.value_or(0) / 60, health.newest_log.empty() ? "?" : health.newest_log,
                 health.drill_age_seconds
                     ? fmt::format("; last drill {:.1f} days ago", *health.drill_age_seconds / 86400)
                     : "; no drill yet");
  }
  co_return health.problems.empty() ? 0 : 1;
}

Task<int> backup_now(Db& db, Words words) {
  Backups backups(db);
  const std::string verb = words.first();
  const bool json = words.flag("--json");
  if (verb.empty()) {
    const BackupKind kind = words.flag("--incremental") ? BackupKind::incremental : BackupKind::full;
    words.end();
    co_return co_await make(backups, kind, json);
  }
  if (verb == "check") {
    const bool verify = words.flag("--verify");
    words.end();
    co_return co_await check(backups, verify, json);
  }
  if (verb == "list") {
    words.end();
    const auto all = co_await backups.list();
    if (json) print_json(all);
    if (!json) {
      for (const Backup& backup : all) print_backup(backup);
    }
    co_return 0;
  }
  if (json)
    throw Invalid(fmt::format("`--json` goes with `backup`, `backup list` and `backup check`: {}", kBackupHelp));
  if (verb == "setup") {
    std::optional<BackupTool> tool;
    if (const auto name = words.option("--tool")) {
      if (*name != "plain" && *name != "pgbackrest")
        throw Invalid(fmt::format("there is no tool `{}`: {}", *name, kBackupHelp));
      tool = *name == "plain" ? BackupTool::plain : BackupTool::pgbackrest;
    }
    words.end();
    const auto left = co_await backups.set_up(tool);
    fmt::print("backups are kept in {}\n", backups.folder().string());
    for (const std::string& one : left) fmt::print("{}\n", one);
  } else if (verb == "expire") {
    words.end();
    for (const std::string& id : co_await backups.expire()) fmt::print("removed {}\n", id);
  } else if (verb == "receive") {
    words.end();
    co_await backups.receive();
  } else {
    throw Invalid(fmt::format("`{}` is unknown: {}", verb, kBackupHelp));
  }
  co_return 0;
}

Task<int> restore_now(Db& db, Words words) {
  Backups backups(db);
  const auto to = words.option("--to");
  const auto into = words.option("--into");
  if (!to || !into) throw Invalid(fmt::format("{} is wanted: {}", to ? "--into" : "--to", kRestoreHelp));
  RestoreOptions options{.to = RestoreTarget::parse(*to), .into = *into};
  options.replace = words.flag("--replace");
  options.backup = words.option("--backup").value_or("");
  options.timeline = words.option("--timeline").value_or("");
  const bool json = words.flag("--json");
  words.end();
  const Restored restored = co_await backups.restore(options);
  for (const std::string& problem : restored.problems) fmt::print(stderr, "{}\n", problem);
  if (json) {
    print_json(restored);
    co_return 0;
  }
  fmt::print("{} holds the server as it was at {}{}\n", restored.folder, restored.reached_lsn,
             restored.last_transaction_at
                 ? fmt::format("; its last transaction is of {}", restored.last_transaction_at->to_string())
                 : "");
  if (!restored.put_aside.empty()) fmt::print("what was there is in {}\n", restored.put_aside);
  fmt::print(
      "backup {} taken out and verified in {:.1f} s, log replayed in {:.1f} s\n"
      "It is stopped, and archives nothing. To go on with it: start it, then `backup setup`, restart, and `backup`.\n",
      restored.backup, restored.fetch_seconds, restored.recovery_seconds);
  co_return 0;
}

void print_drill(const DrillReport& report) {
  for (const DrillStep& step : report.steps) {
    fmt::print("{:<8} {:<10} {:>7.1f} s  {}\n",
               step.skipped  ? "left out"
               : step.passed ? "passed"
                             : "FAILED",
               step.name, step.seconds, step.detail);
  }
  if (report.rto_seconds > 0)
    fmt::print("RTO {:.1f} s: from the backup to a server that answers\n", report.rto_seconds);
  if (report.rpo_seconds) {
    fmt::print("RPO {:.1f} s: {} transactions, {} of log would have been lost at {}\n", *report.rpo_seconds,
               report.lost_transactions.value_or(0), size(report.lost_log_bytes.value_or(0)), report.began.to_string());
  } else if (report.rto_seconds > 0) {
    fmt::print("RPO unknown: the server could not be asked; the last transaction that is there is of {}\n",
               report.last_transaction_at ? report.last_transaction_at->to_string() : "the backup itself");
  }
}

Task<int> drill_now(Db& db, Words words) {
  Backups backups(db);
  DrillOptions options;
  options.quick = words.flag("--quick");
  options.scratch = words.option("--scratch").value_or("");
  const bool json = words.flag("--json");
  words.end();
  const DrillReport report = co_await backups.drill(options);
  if (json) {
    print_json(report);
  } else {
    print_drill(report);
  }
  co_return report.passed ? 0 : 1;
}

/// What failed goes to standard error; the server that was started for the command is stopped.
Task<int> run_and_stop(Db& db, Words words, Task<int> (*work)(Db&, Words)) {
  int code = 2;
  std::exception_ptr error;
  try {
    code = co_await work(db, std::move(words));
  } catch (...) {
    error = std::current_exception();
  }
  if (error) fmt::print(stderr, "{}\n", explain(error));
  co_await db.stop();
  co_return code;
}

}  // namespace

std::vector<async::Command> backup_commands(Db& db) {
  for (std::string& variable : schema::setting_variables(schema::type_info<BackupSettings>(), "ASHLAR_BACKUP"))
    schema::know_variable(std::move(variable));
  const auto command = [&db](std::string_view help, Task<int> (*work)(Db&, Words)) {
    return [&db, help, work](std::vector<std::string> words) {
      return run_and_stop(db, Words(std::move(words), help), work);
    };
  };
  std::vector<async::Command> out;
  out.push_back({.name = "backup",
                 .help = "make a backup of the whole server (--incremental where the tool can); `backup setup` once "
                         "before; `backup list`, `backup check` (exit code 1 when something is wrong; --verify reads "
                         "every byte), `backup expire`, `backup receive` (log of a server elsewhere); --json",
                 .run = command(kBackupHelp, &backup_now),
                 .needs_start = false});
  out.push_back({.name = "restore",
                 .help = "restore the server into a folder, as it was: --to TIME|LSN|xid:NUMBER|latest --into FOLDER; "
                         "--replace puts what is there aside; --backup ID; --timeline latest|NUMBER; --json",
                 .run = command(kRestoreHelp, &restore_now),
                 .needs_start = false});
  out.push_back({.name = "restore-drill",
                 .help = "restore the newest backup to a scratch server, verify it, and report what a loss would cost "
                         "(RPO, RTO); exit code 1 when it fails; --quick reads no tables; --scratch FOLDER; --json",
                 .run = command(kDrillHelp, &drill_now),
                 .needs_start = false});
  return out;
}

}  // namespace ashlar::pg::detail
