// BackupWatch: the state of the backups as metrics of the service, so that an alert can be made of it.
//
//   pg::Db db;  pg::BackupWatch backups{db};
//   app.provide(db).provide(backups);
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include <ashlar/async/component.hpp>
#include <ashlar/pg/backup.hpp>

namespace ashlar::pg {

struct BackupWatchOptions {
  std::chrono::milliseconds every = std::chrono::minutes{5};
  BackupSettings settings = BackupSettings::from_environment();
};

/// Does what `backup check` does, again and again on one loop, and exposes it: pg_backup_age_seconds,
/// pg_backup_log_age_seconds, pg_backup_drill_age_seconds, pg_backup_drill_passed, pg_backup_archive_failures,
/// pg_backup_problems. What is not known has no value but NaN. Problems are logged, once until they change. Makes no
/// backups and no drills: timers of the machine do, once for all processes.
class BackupWatch final : public async::Component {
 public:
  /// `db` is started before it. Throws Invalid when `every` is not above 0.
  explicit BackupWatch(Db& db, BackupWatchOptions options = {});
  ~BackupWatch() override;

  /// Looks now.
  Task<BackupHealth> look();

  [[nodiscard]] std::string_view name() const noexcept override { return "backups"; }
  Task<void> start_loop(async::Loop& loop) override;
  Task<void> stop_loop(async::Loop& loop) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::pg
