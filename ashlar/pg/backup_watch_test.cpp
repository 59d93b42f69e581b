#include <ashlar/pg/backup_watch.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/detail/test_backup_server.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class BackupWatchTest : public test::BackupTest {
 protected:
  /// `function(watch)` beside a database that serves, as in a service.
  template <class F>
  void with_watch(F function) {
    async::run([](std::string url, BackupSettings settings, F& f) -> Task<void> {
      Db db({.url = std::move(url), .check_queries = false});
      co_await db.start_loop(async::Loop::current());
      std::exception_ptr error;
      {
        // sample: watch
        pg::BackupWatch watch{db, {.every = std::chrono::minutes{5}, .settings = settings}};  // app.provide(watch)
        // end of sample
        co_await watch.start_loop(async::Loop::current());
        try {
          co_await f(watch);
        } catch (...) {
          error = std::current_exception();
        }
        co_await watch.stop_loop(async::Loop::current());
      }
      co_await db.stop_loop(async::Loop::current());
      if (error) std::rethrow_exception(error);
    }(server_->url(), settings_, function));
  }
};

TEST_F(BackupWatchTest, ExposesTheStateOfTheBackups) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  set_up();
  sql("create table t as select 1");
  with_watch([&](BackupWatch& watch) -> Task<void> {
    EXPECT_FALSE((co_await watch.look()).problems.empty());
    EXPECT_THAT(registry.expose(), AllOf(HasSubstr("pg_backup_age_seconds NaN"), HasSubstr("pg_backup_problems 1")));
  });
  back_up();
  EXPECT_TRUE(drill({.quick = true}).passed);
  with_watch([&](BackupWatch& watch) -> Task<void> {
    const BackupHealth health = co_await watch.look();
    EXPECT_TRUE(health.problems.empty());
    EXPECT_LT(health.backup_age_seconds.value(), 600);
    EXPECT_THAT(registry.expose(), AllOf(HasSubstr("pg_backup_problems 0"), HasSubstr("pg_backup_drill_passed 1"),
                                         HasSubstr("pg_backup_archive_failures 0"),
                                         ::testing::Not(HasSubstr("pg_backup_age_seconds NaN"))));
  });
}

TEST_F(BackupWatchTest, TellsOfProblemsOnce) {
  const log::Capture capture;
  settings_.dir = (folder_ / "nothing").string();
  with_watch([&](BackupWatch& watch) -> Task<void> {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!capture.find("the backups need somebody") && std::chrono::steady_clock::now() < give_up)
      (void)co_await watch.look();
  });
  const auto line = capture.find("the backups need somebody");
  ASSERT_TRUE(line);
  EXPECT_THAT(line->field("problems"), HasSubstr("nothing is set up"));
}

}  // namespace
}  // namespace ashlar::pg
