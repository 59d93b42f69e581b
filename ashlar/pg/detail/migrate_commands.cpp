#include <ashlar/pg/detail/migrate_commands.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/scratch.hpp>
#include <ashlar/pg/drift.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/migration_diff.hpp>
#include <ashlar/pg/migration_lint.hpp>
#include <ashlar/pg/migrations.hpp>
#include <ashlar/pg/old_program.hpp>
#include <ashlar/pg/query_snapshot.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::pg::detail {
namespace {

using Words = std::vector<std::string>;

std::uint64_t number(const std::string& word, std::string_view usage) {
  std::uint64_t out = 0;
  const auto [end, bad] = std::from_chars(word.data(), word.data() + word.size(), out);
  if (bad != std::errc{} || end != word.data() + word.size() || out == 0)
    throw Invalid(fmt::format("`{}` is no number from 1: {}", word, usage));
  return out;
}

void take_none(const Words& words, std::string_view usage) {
  if (!words.empty()) throw Invalid(fmt::format("`{}` is unknown: {}", words.front(), usage));
}

/// What a word that stands alone says; the rest is unknown.
bool take_flag(Words& words, std::string_view flag) { return std::erase(words, flag) > 0; }

class Migrate {
 public:
  explicit Migrate(Db& db) : db_(db), files_(load_migrations(db.options().migrations)) {}

  Task<int> run(std::string verb, Words words) {
    if (verb == "up") return up(std::move(words));
    if (verb == "status") return status(std::move(words));
    if (verb == "--dry-run" || verb == "dry-run") return dry_run(std::move(words));
    if (verb == "down") return down(std::move(words));
    if (verb == "baseline") return baseline(std::move(words));
    if (verb == "lint") return lint(std::move(words));
    if (verb == "drift") return drift(std::move(words));
    if (verb == "diff") return diff(std::move(words));
    if (verb == "check-old") return check_old(std::move(words));
    throw Invalid(fmt::format(
        "migrate {}: unknown; use up, status, --dry-run, down [n], baseline VERSION, lint, drift, diff or check-old "
        "FILE",
        verb));
  }

 private:
  template <class F>
  Task<void> with_migrator(F body) {
    co_await Scratch::session(db_, [this, &body](Connection& connection) -> Task<void> {
      Migrator migrator(
          connection, files_,
          {.lock_timeout = db_.options().migration_lock_timeout, .retry_for = db_.options().migration_retry_for});
      co_await body(migrator);
    });
  }

  /// A new database has no rows and no readers: there is nothing to warn of.
  Task<void> warn(Migrator& migrator) {
    std::optional<std::uint64_t> newest;
    for (const MigrationStatus& migration : co_await migrator.status()) {
      if (migration.state == MigrationState::applied) newest = std::max(newest.value_or(0), migration.version);
    }
    if (!newest) co_return;
    const auto findings = lint_migrations(files_, {.after = *newest, .together = true});
    if (!findings.empty())
      fmt::print(stderr, "{}{} warning{}: `migrate lint` looks closer\n\n", to_text(findings), findings.size(),
                 findings.size() == 1 ? "" : "s");
  }

  Task<int> up(Words words) {
    take_none(words, "migrate up");
    co_await with_migrator([this](Migrator& migrator) -> Task<void> {
      co_await warn(migrator);
      const auto done = co_await migrator.up();
      for (const std::string& name : done) fmt::print("applied {}\n", name);
      if (done.empty()) fmt::print("nothing to do: the database is up to date\n");
    });
    co_return 0;
  }

  Task<int> status(Words words) {
    take_none(words, "migrate status");
    int code = 0;
    co_await with_migrator([&code](Migrator& migrator) -> Task<void> {
      for (const MigrationStatus& migration : co_await migrator.status()) {
        fmt::print("{:<8} {:04}_{}{}\n", to_string(migration.state), migration.version, migration.name,
                   migration.applied_at.empty() ? "" : "  " + migration.applied_at);
        if (migration.state == MigrationState::changed || migration.state == MigrationState::missing) code = 1;
      }
    });
    co_return code;
  }

  Task<int> dry_run(Words words) {
    take_none(words, "migrate --dry-run");
    co_await with_migrator([this](Migrator& migrator) -> Task<void> {
      const auto pending = co_await migrator.pending();
      co_await warn(migrator);
      for (const Migration* migration : pending)
        fmt::print("-- {}{}\n{}\n\n", migration->file.string(), migration->transactional ? "" : " (no transaction)",
                   migration->up);
    });
    co_return 0;
  }

  Task<int> down(Words words) {
    constexpr std::string_view kUsage = "migrate down [n]";
    const std::uint64_t count = words.empty() ? 1 : number(words[0], kUsage);
    if (!words.empty()) words.erase(words.begin());
    take_none(words, kUsage);
    co_await with_migrator([count](Migrator& migrator) -> Task<void> {
      for (const std::string& name :
           co_await migrator.down(static_cast<unsigned>(std::min<std::uint64_t>(count, 1U << 20))))
        fmt::print("took back {}\n", name);
    });
    co_return 0;
  }

  Task<int> baseline(Words words) {
    constexpr std::string_view kUsage = "migrate baseline VERSION";
    if (words.size() != 1) throw Invalid(fmt::format("one number is needed: {}", kUsage));
    const std::uint64_t version = number(words[0], kUsage);
    co_await with_migrator([version](Migrator& migrator) -> Task<void> {
      for (const std::string& name : co_await migrator.baseline(version)) fmt::print("recorded {}\n", name);
    });
    fmt::print("nothing was run; `migrate drift` compares the database with what these migrations make\n");
    co_return 0;
  }

  Task<int> lint(Words words) {
    constexpr std::string_view kUsage = "migrate lint [--all | --since VERSION] [--json]";
    const bool json = take_flag(words, "--json");
    std::optional<std::uint64_t> after;
    if (take_flag(words, "--all")) after = 0;
    if (const auto since = std::ranges::find(words, "--since"); since != words.end()) {
      if (after || since + 1 == words.end())
        throw Invalid(fmt::format("--since needs a number, and no --all: {}", kUsage));
      after = number(since[1], kUsage);
      words.erase(since, since + 2);
    }
    take_none(words, kUsage);
    if (!after) {
      co_await with_migrator([&after](Migrator& migrator) -> Task<void> {
        for (const MigrationStatus& migration : co_await migrator.status()) {
          if (migration.state == MigrationState::applied) after = std::max(after.value_or(0), migration.version);
        }
      });
    }
    LintOptions options{.after = after.value_or(0)};
    options.facts = co_await measure_migrations(db_, files_);
    const auto findings = lint_migrations(files_, std::move(options));
    if (json) {
      fmt::print("{}\n", findings_json(findings));
    } else {
      fmt::print("{}{} finding{} in {} migration{}\n", to_text(findings), findings.size(),
                 findings.size() == 1 ? "" : "s", count_after(after.value_or(0)),
                 count_after(after.value_or(0)) == 1 ? "" : "s");
    }
    co_return findings.empty() ? 0 : 1;
  }

  [[nodiscard]] std::size_t count_after(std::uint64_t version) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(files_, [version](const Migration& file) { return file.version > version; }));
  }

  struct JsonFinding {
    std::string rule, file;
    std::uint32_t line;
    std::string why, safer;
  };
  static std::string findings_json(const std::vector<LintFinding>& findings) {
    std::vector<JsonFinding> out;
    for (const LintFinding& finding : findings)
      out.push_back({finding.rule, finding.file.string(), finding.line, finding.why, finding.safer});
    return schema::to_json(out);
  }

  Task<int> drift(Words words) {
    const bool json = take_flag(words, "--json");
    take_none(words, "migrate drift [--json]");
    const auto differences = co_await find_drift(db_);
    if (json) {
      fmt::print("{}\n", schema::to_json(differences));
    } else {
      fmt::print("{}{}\n", to_text(differences),
                 differences.empty()
                     ? "the database is what its migrations make"
                     : fmt::format("{} difference{}", differences.size(), differences.size() == 1 ? "" : "s"));
    }
    co_return differences.empty() ? 0 : 1;
  }

  Task<int> diff(Words words) {
    const bool check = take_flag(words, "--check");
    if (const auto flag = std::ranges::find_if(words, [](const std::string& word) { return word.starts_with('-'); });
        flag != words.end())
      throw Invalid(fmt::format("`{}` is unknown: migrate diff [--check] [TABLE...]", *flag));
    const MigrationProposal proposal = co_await propose_migrations(db_, declared_tables(words));
    for (const std::string& note : proposal.notes) fmt::print("note: {}\n", note);
    if (proposal.files.empty()) {
      fmt::print("the migrations make the tables that the program declares\n");
    } else if (check) {
      for (const ProposedMigration& file : proposal.files) fmt::print("-- {}\n{}\n", file.name, file.text);
    } else {
      for (const auto& file : write_migrations(db_.options().migrations, proposal))
        fmt::print("written: {}\n", file.string());
      fmt::print("nothing was applied: read them, then `migrate`\n");
    }
    co_return check && !proposal.files.empty() ? 1 : 0;
  }

  Task<int> check_old(Words words) {
    if (words.size() != 1)
      throw Invalid(
          "one file is needed: migrate check-old FILE, which `queries --write FILE` of the old program wrote");
    std::ifstream in(words[0], std::ios::binary);
    if (!in) throw Invalid(fmt::format("cannot read {}", words[0]));
    const std::string json{std::istreambuf_iterator<char>(in), {}};
    const auto problems = co_await check_old_program(db_, snapshot_from_json(json));
    for (const std::string& problem : problems) fmt::print("{}\n", problem);
    if (problems.empty()) fmt::print("the queries of {} do what they did\n", words[0]);
    co_return problems.empty() ? 0 : 1;
  }

  Db& db_;
  std::vector<Migration> files_;
};

Task<int> migrate_command(Db& db, Words words) {
  if (db.options().migrations.empty()) {
    fmt::print(stderr, "this program has no migrations: give pg::Options a folder in .migrations\n");
    co_return 2;
  }
  std::string verb = "up";
  if (!words.empty()) {
    verb = words[0];
    words.erase(words.begin());
  }
  int code = 1;
  std::exception_ptr error;
  try {
    Migrate migrate(db);
    code = co_await migrate.run(std::move(verb), std::move(words));
  } catch (...) {
    error = std::current_exception();
  }
  if (error) fmt::print(stderr, "{}\n", explain(error));
  co_await db.stop();
  co_return error ? 1 : code;
}

}  // namespace

std::vector<async::Command> migrate_commands(Db& db) {
  return {{.name = "migrate",
           .help =
               "apply pending migrations; `migrate status` lists them, `migrate --dry-run` prints what would run, "
               "`migrate down [n]` takes the last n back, `migrate lint` finds what would stop a service, `migrate "
               "drift` compares the database with its migrations, `migrate baseline VERSION` adopts one that was made "
               "without, `migrate diff` writes the migrations that the declared tables lack, "
               "`migrate check-old FILE` looks whether the queries of the program that still runs fit",
           .run = [&db](Words words) { return migrate_command(db, std::move(words)); },
           .needs_start = false}};
}

}  // namespace ashlar::pg::detail
