#include <ashlar/pg/backup_watch.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

struct Gauges {
  metrics::Gauge age, log_age, drill_age, drill_passed, failures, problems;

  Gauges() {
    metrics::Registry& registry = metrics::default_registry();
    age = registry.gauge({.name = "pg.backup.age", .help = "Since the newest backup.", .unit = "s"});
    log_age = registry.gauge({.name = "pg.backup.log.age", .help = "Since log was archived last.", .unit = "s"});
    drill_age = registry.gauge({.name = "pg.backup.drill.age", .help = "Since the last restore drill.", .unit = "s"});
    drill_passed =
        registry.gauge({.name = "pg.backup.drill.passed", .help = "1: the last drill passed; 0: it failed."});
    failures =
        registry.gauge({.name = "pg.backup.archive.failures", .help = "Pieces of log that could not be archived."});
    problems = registry.gauge({.name = "pg.backup.problems", .help = "What `backup check` finds fault with."});
  }

  void set(const BackupHealth& health) {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    age.set(health.backup_age_seconds.value_or(kUnknown));
    log_age.set(health.log_age_seconds.value_or(kUnknown));
    drill_age.set(health.drill_age_seconds.value_or(kUnknown));
    drill_passed.set(health.drill_passed ? (*health.drill_passed ? 1 : 0) : kUnknown);
    failures.set(static_cast<double>(health.archive_failures));
    problems.set(static_cast<double>(health.problems.size()));
  }
};

}  // namespace

struct BackupWatch::Impl {
  Impl(Db& db, BackupWatchOptions the_options) : options(std::move(the_options)), backups(db, options.settings) {}

  const BackupWatchOptions options;
  Backups backups;
  Gauges gauges;
  std::vector<std::string> told;
  std::mutex mutex;
  const async::Loop* home = nullptr;  // the loop that looks
  detail::Background background;

  Task<BackupHealth> look() {
    BackupHealth health = co_await backups.check();
    gauges.set(health);
    co_return health;
  }

  Task<void> look_for_ever() {
    for (;;) {
      try {
        tell((co_await look()).problems);
      } catch (const Cancelled&) {
        throw;
      } catch (const std::exception& error) {
        tell({error.what()});
        gauges.problems.set(1);
      }
      co_await async::sleep(options.every);
    }
  }

  void tell(std::vector<std::string> problems) {
    if (problems == told) return;
    told = std::move(problems);
    if (told.empty()) {
      log::info("the backups are well again");
    } else {
      log::warn("the backups need somebody", {{"problems", fmt::format("{}", fmt::join(told, "; "))}});
    }
  }
};

BackupWatch::BackupWatch(Db& db, BackupWatchOptions options) : impl_(std::make_unique<Impl>(db, std::move(options))) {
  if (impl_->options.every.count() <= 0) throw Invalid("watch over backups: every is above 0");
}
BackupWatch::~BackupWatch() = default;

Task<BackupHealth> BackupWatch::look() { return impl_->look(); }

Task<void> BackupWatch::start_loop(async::Loop& loop) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->home != nullptr) co_return;
  impl_->home = &loop;
  impl_->background.start(impl_->look_for_ever());
}

Task<void> BackupWatch::stop_loop(async::Loop& loop) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->home != &loop) co_return;
    impl_->home = nullptr;
  }
  co_await impl_->background.stop();
}

}  // namespace ashlar::pg
