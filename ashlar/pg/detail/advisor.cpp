// Where the advisor works: on the database itself, or on a copy of it.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <random>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg {
namespace detail {
namespace {

constexpr std::int64_t kLock = 0x6173'6861'6476;  // of those who make copies on this server
constexpr std::string_view kMark = "a copy that `advise` made and will drop";
constexpr std::chrono::seconds kGoing{2};
constexpr std::int64_t kLargeBytes = 256 << 20;

}  // namespace

class Advisor {
 public:
  Advisor(Db& db, AdviseOptions options) : db_(db), options_(options) {}

  Task<std::vector<ExplainedQuery>> explain(Explain how, std::string only) {
    runs_ = how == Explain::run;
    only_ = std::move(only);
    co_await look();
    if (!runs_) {
      co_await db_.with_session(
          [this](Connection& connection) -> Task<void> { co_await plan_all(connection, study_); });
      co_return explained(study_);
    }
    co_await on_copy();
    if (!worked_)
      throw Invalid(fmt::format("queries are run on a copy only: {}", fmt::join(study_.advice.notes, "; ")));
    auto queries = explained(study_);
    add_runs(study_, queries);
    co_return queries;
  }

  Task<Advice> advise() {
    co_await look();
    if (options_.copy) co_await on_copy();
    if (!worked_)
      co_await db_.with_session([this](Connection& connection) -> Task<void> { co_await work(connection, false); });
    report_indexes(study_);
    report_schema(study_);
    explain_limits();
    co_return std::move(study_.advice);
  }

 private:
  void note(std::string text) { study_.advice.notes.push_back(std::move(text)); }

  Task<void> look() {
    co_await db_.with_session([this](Connection& connection) -> Task<void> {
      co_await look_around(connection, study_);
      std::erase_if(study_.subjects, [this](const Subject& subject) { return !subject.name.contains(only_); });
      const auto rows =
          co_await TextQuery(connection, "select current_database(), pg_database_size(current_database())");
      database_ = rows.at(0).at(0).value_or("");
      bytes_ = std::strtoll(rows.at(0).at(1).value_or("0").c_str(), nullptr, 10);
    });
  }

  /// The session that makes the copy stays until the end: its lock tells others that the copy is in use.
  Task<void> on_copy() {
    if (bytes_ > options_.max_copy_bytes)
      co_return note(fmt::format("the database was not copied: it has {} MB, more than the {} MB that are allowed",
                                 bytes_ >> 20, options_.max_copy_bytes >> 20));
    std::exception_ptr error;
    bool made = false;
    try {
      co_await db_.with_session(
          [this, &made, &error](Connection& keeper) -> Task<void> {
            const std::string copy = co_await make(keeper);
            if (copy.empty()) co_return;
            made = true;
            try {
              co_await db_.with_session(
                  [this](Connection& connection) -> Task<void> { co_await work(connection, true); }, copy);
            } catch (...) {
              error = std::current_exception();
            }
            co_await async::shield(drop(keeper, copy));
          },
          "postgres");
    } catch (const ErrorFields& refused) {
      if (made) throw;
      note(fmt::format("the database was not copied: {}", refused.primary));
    } catch (const ConnectionLost& lost) {
      if (made) throw;
      note(fmt::format("the database was not copied: {}", lost.reason()));
    }
    if (error) std::rethrow_exception(error);
  }

  Task<std::string> make(Connection& keeper) {
    const std::string lock = fmt::format("select pg_try_advisory_lock({})", kLock);
    const auto locked = co_await TextQuery(keeper, lock);
    if (locked.at(0).at(0) != "t") {
      note("the database was not copied: another `advise` works on this server");
      co_return std::string();
    }
    if (!co_await is_alone(keeper)) {
      note(
          "the database was not copied: other programs are connected to it; stop them, or name an idle copy in "
          "DATABASE_URL");
      co_return std::string();
    }
    // Left over by one that was killed: with the lock ours, nobody else's is in use.
    const std::string left = fmt::format(
        "select datname from pg_catalog.pg_database where starts_with(datname, 'ashlar_advise_') and "
        "shobj_description(oid, 'pg_database') = {}",
        quote_literal(kMark));
    for (const auto& row : co_await TextQuery(keeper, left)) {
      const std::string name = row.at(0).value_or("");
      co_await drop(keeper, name);
    }
    std::string copy = fmt::format("ashlar_advise_{}_{:08x}", ::getpid(), std::random_device{}());
    const bool by_files = study_.server_version >= 15 && bytes_ > kLargeBytes;
    const std::string create = fmt::format("create database {} template {}{}", quote_identifier(copy),
                                           quote_identifier(database_), by_files ? " strategy file_copy" : "");
    std::string refused;
    try {
      co_await TextQuery(keeper, create);
    } catch (const ErrorFields& error) {
      refused = error.primary;
    }
    if (!refused.empty()) {
      note(fmt::format("the database was not copied: {}", refused));
      co_return std::string();
    }
    const std::string mark = fmt::format("comment on database {} is {}", quote_identifier(copy), quote_literal(kMark));
    co_await TextQuery(keeper, mark);
    co_return copy;
  }

  /// A session that has just ended, such as our own, takes a moment to go.
  Task<bool> is_alone(Connection& keeper) {
    const std::string others = fmt::format(
        "select count(*) from pg_catalog.pg_stat_activity where datname = {} and backend_type = 'client backend'",
        quote_literal(database_));
    const auto until = async::Clock::now() + kGoing;
    for (;;) {
      const auto rows = co_await TextQuery(keeper, others);
      if (rows.at(0).at(0) == "0") co_return true;
      if (async::Clock::now() >= until) co_return false;
      co_await async::sleep(std::chrono::milliseconds{20});
    }
  }

  static Task<void> drop(Connection& keeper, std::string copy) {
    const std::string sql = fmt::format("drop database if exists {} with (force)", quote_identifier(copy));
    co_await TextQuery(keeper, sql);
  }

  Task<void> work(Connection& connection, bool is_copy) {
    worked_ = true;
    is_copy_ = is_copy;
    if (is_copy) co_await refresh(connection);
    co_await plan_all(connection, study_);
    if (runs_) co_return co_await run_all(connection, study_);
    propose(study_);
    bool hypothetical = co_await hypopg(connection);
    if (hypothetical) {
      co_await try_candidates(connection, study_, true);
      if (is_copy) {  // where indexes can be had, the last word is theirs
        co_await TextQuery(connection, "rollback; deallocate all");
        hypothetical = false;
      }
    }
    if (is_copy) co_await try_candidates(connection, study_, false);
    choose(study_);
    co_await try_together(connection, study_, hypothetical);
    if (hypothetical) co_await TextQuery(connection, "rollback");
    if (is_copy) co_await report_statistics(connection, study_);
  }

  /// Costs that come out of old statistics prove nothing.
  Task<void> refresh(Connection& connection) {
    bool any = false;
    for (auto& [name, table] : study_.catalog.tables) {
      if (!is_stale(table)) continue;
      const std::string sql = fmt::format("analyze {}; select reltuples from pg_catalog.pg_class where oid = {}",
                                          table.qualified(), table.id);
      const auto rows = co_await TextQuery(connection, sql);
      table.rows_found = std::strtod(rows.at(0).at(0).value_or("-1").c_str(), nullptr);
      any = true;
    }
    if (any) co_await load_columns(connection, study_.catalog);
  }

  /// Begins a transaction in which hypopg is there.
  Task<bool> hypopg(Connection& connection) {
    if (!study_.has_hypopg) co_return false;
    std::string refused;
    try {
      co_await TextQuery(connection, "begin");
      co_await TextQuery(connection, "create extension if not exists hypopg");
    } catch (const ErrorFields& error) {
      refused = error.primary;
    }
    if (refused.empty()) {
      const auto found = co_await TextQuery(connection, "select to_regprocedure('hypopg_reset()') is not null");
      if (found.at(0).at(0) == "t") co_return true;
      refused = "it is installed in a schema that is not in the search_path";
    }
    co_await TextQuery(connection, "rollback");
    note(fmt::format("hypopg could not be used: {}", refused));
    study_.has_hypopg = false;
    co_return false;
  }

  void explain_limits() {
    if (!is_copy_ && !study_.has_hypopg)
      note(
          "no index was proved: there is neither a copy of the database nor hypopg (Debian: postgresql-NN-hypopg) on "
          "its server");
    if (is_copy_) return;
    for (const auto& [name, table] : study_.catalog.tables) {
      if (is_stale(table))
        note(fmt::format("costs of queries on {} come out of old statistics: analyze it, then ask again",
                         table.qualified()));
    }
  }

  Db& db_;
  AdviseOptions options_;
  Study study_;
  std::string database_;
  std::int64_t bytes_ = 0;
  bool runs_ = false;
  std::string only_;
  bool worked_ = false;
  bool is_copy_ = false;
};

}  // namespace detail

Task<std::vector<ExplainedQuery>> explain_queries(Db& db, Explain how, std::string only) {
  detail::Advisor advisor(db, {});
  co_return co_await advisor.explain(how, std::move(only));
}

Task<Advice> advise(Db& db, AdviseOptions options) {
  detail::Advisor advisor(db, options);
  co_return co_await advisor.advise();
}

}  // namespace ashlar::pg
