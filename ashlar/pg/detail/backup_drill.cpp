#include <ashlar/pg/detail/backup_drill.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_restore.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

using Clock = std::chrono::steady_clock;

class ScratchFolder {
 public:
  ScratchFolder(const fs::path& parent, const std::optional<User>& user) {
    make_folder(parent, user);
    std::string pattern = (parent / ".drill-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr || (user && ::chown(pattern.c_str(), user->uid, user->gid) != 0))
      throw Invalid(fmt::format("cannot make a folder in {}: {}; name one on a disk with room: --scratch FOLDER",
                                parent.string(), std::strerror(errno)));
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

class Steps {
 public:
  explicit Steps(DrillReport& report) : report_(report) {}
  /// `work` gives a line for people; an exception is a failure. False: it failed.
  bool take(std::string name, const std::function<std::string()>& work) {
    DrillStep step{.name = std::move(name)};
    const auto begin = Clock::now();
    try {
      step.detail = work();
      step.passed = true;
    } catch (const std::exception& error) {
      step.detail = error.what();
    }
    step.seconds = seconds_since(begin);
    report_.steps.push_back(std::move(step));
    return report_.steps.back().passed;
  }
  void skip(std::string name, std::string why) {
    report_.steps.push_back({.name = std::move(name), .passed = true, .skipped = true, .detail = std::move(why)});
  }

 private:
  DrillReport& report_;
};

// Every query of the program, against the schema that was restored.
std::string check_queries_of_program(const std::string& url) {
  std::vector<std::string> problems;
  async::run([](const std::string& where, std::vector<std::string>& out) -> Task<void> {
    Db db({.url = where});
    out = co_await db.check();
    co_await db.stop();
  }(url, problems));
  if (!problems.empty()) throw Internal(fmt::format("{}", fmt::join(problems, "\n")));
  return "every query of the program fits the restored schema";
}

std::string amcheck(const ScratchServer& server, const fs::path& programs, const std::string& database,
                    const std::optional<User>& user) {
  must_run({{(programs / "pg_amcheck").string(), "--all", "--install-missing", "--no-password", "--jobs=2"},
            server.environment(database),
            user},
           "tables or indexes are damaged");
  return "all tables and B-trees of all databases";
}

std::string count_rows(const ScratchServer& server, const std::string& database, DrillReport& report) {
  const auto tables = server.query(
      database,
      "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
      "where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname not in ('pg_catalog', 'information_schema') "
      "order by 1");
  for (const auto& table : tables) {
    const auto counted = server.query(database, fmt::format("select count(*) from {}", table.at(0).value_or("")));
    const std::string text = counted.at(0).at(0).value_or("0");
    std::int64_t rows = 0;
    std::from_chars(text.data(), text.data() + text.size(), rows);
    ++report.tables;
    report.rows += rows;
  }
  return fmt::format("{} rows of {} tables of {} were read", report.rows, report.tables, database);
}

void measure_loss(DrillReport& report, const ServerFacts& server, const Recovered& recovered) {
  const Restored& restored = recovered.report;
  std::uint64_t next = 0;
  std::from_chars(server.next_transaction.data(), server.next_transaction.data() + server.next_transaction.size(),
                  next);
  const std::uint64_t lost = next > restored.next_transaction ? next - restored.next_transaction : 0;
  report.lost_transactions = static_cast<std::int64_t>(lost);
  const auto wrote = parse_lsn(server.lsn);
  const auto reached = parse_lsn(restored.reached_lsn);
  if (wrote && reached) report.lost_log_bytes = static_cast<std::int64_t>(*wrote > *reached ? *wrote - *reached : 0);
  if (lost == 0) {
    report.rpo_seconds = 0;
  } else {
    // Without any log of it, all since the backup is lost.
    const DateTime kept = restored.last_transaction_at.value_or(recovered.backup_finished);
    report.rpo_seconds = std::max(0.0, static_cast<double>((report.began - kept).micros) / 1e6);
  }
}

}  // namespace

DrillReport run_drill(const BackupRepository& repository, const DrillOptions& options,
                      const std::optional<ServerFacts>& server, bool check_queries, DateTime began) {
  const auto begin = Clock::now();
  const BackupIdentity identity = repository.identity();
  if (server && server->system_identifier != identity.system_identifier)
    throw Conflict(fmt::format("{} holds the backups of another server than this", repository.folder().string()));
  DrillReport report;
  report.began = began;
  {
    const FolderLock lock(repository.folder(), FolderLock::Mode::shared, repository.user());
    const ScratchFolder scratch(options.scratch.empty() ? repository.folder() : fs::absolute(options.scratch),
                                repository.user());
    const fs::path data = scratch.path() / "data";
    make_folder(data, repository.user());
    if (::chmod(data.c_str(), 0700) != 0) throw Invalid(fmt::format("cannot take {}", data.string()));
    Steps steps(report);
    Recovered recovered;
    const bool restored = steps.take("restore", [&] {
      recovered = recover_into(repository, {.into = data}, scratch.path() / "tablespaces", false);
      report.rto_seconds = seconds_since(begin);
      report.backup = recovered.report.backup;
      report.reached_lsn = recovered.report.reached_lsn;
      report.last_transaction_at = recovered.report.last_transaction_at;
      return fmt::format("backup {} taken out and verified in {:.1f} s, log replayed up to {} in {:.1f} s",
                         report.backup, recovered.report.fetch_seconds, report.reached_lsn,
                         recovered.report.recovery_seconds);
    });
    if (restored) {
      if (server) measure_loss(report, *server, recovered);
      const fs::path programs = server_programs(identity.server_version / 10000);
      if (check_queries) {
        steps.take("queries", [&] { return check_queries_of_program(recovered.server->url(identity.database)); });
      } else {
        steps.skip("queries", "the program does not check its queries: pg::Options::check_queries");
      }
      if (options.quick) {
        for (const char* const left_out : {"rows", "amcheck", "checksums"}) steps.skip(left_out, "not asked for");
      } else {
        steps.take("rows", [&] { return count_rows(*recovered.server, identity.database, report); });
        if (::access((programs / "pg_amcheck").c_str(), X_OK) == 0) {
          steps.take("amcheck",
                     [&] { return amcheck(*recovered.server, programs, identity.database, repository.user()); });
        } else {
          steps.skip("amcheck", fmt::format("there is no pg_amcheck in {}", programs.string()));
        }
        const bool stopped = steps.take("stop", [&] {
          recovered.server->stop();
          return std::string("the restored server ended in order");
        });
        const auto control = control_data(programs, data, repository.user());
        const auto version = control.find("Data page checksum version");
        if (!stopped || version == control.end() || version->second == "0") {
          steps.skip("checksums", "the cluster was made without data checksums: see initdb --data-checksums");
        } else {
          steps.take("checksums", [&] {
            must_run({{(programs / "pg_checksums").string(), "--check", data.string()}, {}, repository.user()},
                     "pages are damaged");
            return std::string("every page of every file");
          });
        }
      }
    }
    recovered.server.reset();
  }
  report.passed = std::ranges::all_of(report.steps, &DrillStep::passed);
  try {
    repository.keep_drill(report);
  } catch (const Internal& error) {
    report.steps.push_back(
        {.name = "report",
         .passed = true,
         .skipped = true,
         .detail = fmt::format("not kept, so that `backup check` does not know of this drill: {}", error.message())});
  }
  return report;
}

}  // namespace ashlar::pg::detail
