#include <ashlar/pg/backup.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/test_backup_server.hpp>

namespace ashlar::pg {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

DateTime time_of(const std::string& text) { return DateTime::parse(text).value(); }

class BackupTest : public test::BackupTest {
 protected:
  std::string now() {
    return sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
  }
};

void flip_a_byte_of(const fs::path& file) {
  std::fstream in(file, std::ios::binary | std::ios::in | std::ios::out);
  in.seekg(static_cast<std::fstream::off_type>(fs::file_size(file) / 2));
  const int byte = in.get();
  in.seekp(-1, std::ios::cur);
  in.put(static_cast<char>(byte ^ 0x55));
}

// Rows are written without a pause for more than a second, then their table is dropped, and others are written.
TEST_F(BackupTest, RestoresToOneSecondBeforeADropTableAndLosesNothingElse) {
  set_up();
  sql("create table orders (id int primary key); create table kept (id int primary key)");
  sql("insert into kept select generate_series(1, 1000)");
  back_up();
  struct Written {
    DateTime before, after;
  };
  std::vector<Written> written;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds{1400}) {
    const DateTime before = time_of(now());
    sql(fmt::format("insert into orders values ({})", written.size()));
    written.push_back({before, time_of(now())});
  }
  const DateTime dropped = time_of(now());
  sql("drop table orders");
  sql("insert into kept values (2000)");
  archive_all();

  const DateTime target = dropped - Duration(std::chrono::seconds{1});
  const Restored restored = restore({.to = RestoreTarget::parse(target.to_string()), .into = folder_ / "restored"});
  EXPECT_LE(restored.last_transaction_at.value(), target);
  auto copy = start_on(folder_ / "restored");
  EXPECT_EQ(copy->run_sql("ashlar", "select count(*) from kept"), "1000");
  const auto surely = std::ranges::count_if(written, [&](const Written& one) { return one.after <= target; });
  const auto perhaps = std::ranges::count_if(written, [&](const Written& one) { return one.before <= target; });
  const long long found = std::stoll(copy->run_sql("ashlar", "select count(*) from orders"));
  EXPECT_GE(found, surely);
  EXPECT_LE(found, perhaps);
  EXPECT_EQ(copy->run_sql("ashlar", "select max(id) + 1 from orders"), std::to_string(found)) << "without a gap";
  EXPECT_GT(found, 0);
  EXPECT_LT(found, static_cast<long long>(written.size()));
  EXPECT_EQ(copy->run_sql("ashlar", "show archive_mode"), "off") << "a copy must not archive among the original's log";
}

TEST_F(BackupTest, RestoresAllThatIsArchived) {
  set_up();
  sql("create table t as select generate_series(1, 10) n");
  const Backup backup = back_up();
  sql("insert into t select generate_series(11, 500)");
  archive_all();
  const Restored restored = restore({.into = folder_ / "restored"});
  EXPECT_EQ(restored.backup, backup.id);
  EXPECT_EQ(restored.timeline, 2U);
  EXPECT_EQ(start_on(folder_ / "restored")->run_sql("ashlar", "select count(*) from t"), "500");
}

TEST_F(BackupTest, RestoresToAnLsnAndToATransaction) {
  set_up();
  sql("create table t (n int)");
  back_up();
  sql("insert into t values (1)");
  const std::string lsn = sql("select pg_current_wal_insert_lsn()");
  const std::string transaction = sql("insert into t values (2) returning pg_current_xact_id()");
  sql("insert into t values (3)");
  archive_all();
  restore({.to = RestoreTarget::parse(lsn), .into = folder_ / "lsn"});
  EXPECT_EQ(start_on(folder_ / "lsn")->run_sql("ashlar", "select max(n) from t"), "1");
  restore({.to = RestoreTarget::parse("xid:" + transaction), .into = folder_ / "xid"});
  EXPECT_EQ(start_on(folder_ / "xid")->run_sql("ashlar", "select max(n) from t"), "2");
}

TEST_F(BackupTest, ABackupBeforeTheTargetIsTaken) {
  set_up();
  sql("create table t (n int)");
  const Backup first = back_up();
  sql("insert into t values (1)");
  const std::string between = now();
  sql("insert into t values (2)");
  const Backup second = back_up();
  EXPECT_EQ(restore({.to = RestoreTarget::parse(between), .into = folder_ / "a"}).backup, first.id);
  EXPECT_THAT(
      failure([&] { return restore({.to = RestoreTarget::parse("2020-01-01T00:00:00Z"), .into = folder_ / "b"}); }),
      AllOf(HasSubstr("no backup ends before 2020"), HasSubstr(first.id)));
  EXPECT_THAT(failure([&] {
                return restore({.to = RestoreTarget::parse(between), .into = folder_ / "b", .backup = second.id});
              }),
              HasSubstr("take an earlier one"));
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "b", .backup = "19990101T000000"}); }),
              HasSubstr("there is no backup 19990101T000000"));
  EXPECT_FALSE(fs::exists(folder_ / "b"));
}

TEST_F(BackupTest, ATargetThatTheLogDoesNotReachIsNamedAndLeavesNothing) {
  set_up();
  back_up();
  sql("create table t as select 1");
  archive_all();
  EXPECT_THAT(
      failure([&] { return restore({.to = RestoreTarget::parse("2099-01-01T00:00:00Z"), .into = folder_ / "a"}); }),
      AllOf(HasSubstr("recovery ended before configured recovery target was reached"),
            HasSubstr("the last transaction of the log that is there was at")));
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

TEST_F(BackupTest, NeverRestoresOverARunningServerOrOverFiles) {
  set_up();
  back_up();
  EXPECT_THAT(failure([&] { return restore({.into = server_->data(), .replace = true}); }),
              HasSubstr("a server runs on"));
  fs::create_directory(folder_ / "mine");
  std::ofstream(folder_ / "mine" / "thesis.txt") << "years of work";
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "mine"}); }), HasSubstr("is not empty"));
  EXPECT_TRUE(fs::exists(folder_ / "mine" / "thesis.txt"));
  const Restored restored = restore({.into = folder_ / "mine", .replace = true});
  EXPECT_TRUE(fs::exists(fs::path(restored.put_aside) / "thesis.txt"));
  EXPECT_TRUE(fs::exists(folder_ / "mine" / "PG_VERSION"));
}

TEST_F(BackupTest, WhatWasPutAsideComesBackWhenTheRestoreFails) {
  set_up();
  const Backup backup = back_up();
  fs::create_directory(folder_ / "mine");
  std::ofstream(folder_ / "mine" / "thesis.txt") << "years of work";
  flip_a_byte_of(full(backup) / "base.tar.gz");
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "mine", .replace = true}); }),
              AllOf(HasSubstr("base.tar.gz is damaged"), HasSubstr(backup.id)));
  EXPECT_TRUE(fs::exists(folder_ / "mine" / "thesis.txt"));
}

TEST_F(BackupTest, AMissingPieceOfTheLogIsNamed) {
  set_up();
  back_up();
  std::vector<std::string> pieces;
  for (int i = 0; i < 3; ++i) {
    sql(fmt::format("create table t{} as select 1", i));
    pieces.push_back(sql("select pg_walfile_name(pg_current_wal_insert_lsn())"));
    archive_all();
  }
  EXPECT_THAT(check().problems, IsEmpty());
  fs::remove(log() / (pieces[1] + ".gz"));
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a"}); }),
              AllOf(HasSubstr("gap"), HasSubstr(pieces[1] + " is missing")));
  EXPECT_THAT(check().problems, Contains(HasSubstr(pieces[1] + " is not in")));
  EXPECT_FALSE(drill({.quick = true}).passed);
  EXPECT_THAT(check().problems, Contains(HasSubstr("the last drill")));
}

TEST_F(BackupTest, DamageIsFoundAndNamed) {
  set_up();
  const Backup backup = back_up();
  sql("create table t as select generate_series(1, 1000)");
  const std::string piece = sql("select pg_walfile_name(pg_current_wal_insert_lsn())");
  archive_all();
  EXPECT_THAT(check(true).problems, IsEmpty());
  flip_a_byte_of(log() / (piece + ".gz"));
  EXPECT_THAT(check(true).problems, Contains(HasSubstr(piece + ".gz")));
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a"}); }), HasSubstr(piece + ".gz is damaged"));
  flip_a_byte_of(full(backup) / "pg_wal.tar.gz");
  EXPECT_THAT(check(true).problems, Contains(HasSubstr("pg_wal.tar.gz is damaged")));
  fs::remove(full(backup) / "base.tar.gz");
  EXPECT_THAT(check(true).problems, Contains(HasSubstr("base.tar.gz is missing")));
}

// Which has no sum of its own.
TEST_F(BackupTest, DamageInAPieceThatWasReceivedIsNotTakenForTheEndOfTheLog) {
  set_up();
  back_up();
  std::vector<std::string> pieces;
  for (int i = 0; i < 2; ++i) {
    sql(fmt::format("create table t{} as select md5(i::text) from generate_series(1, 1000) i", i));
    pieces.push_back(sql("select pg_walfile_name(pg_current_wal_insert_lsn())"));
    archive_all();
  }
  const fs::path piece = log() / pieces[0];
  ASSERT_EQ(std::system(fmt::format("gzip -d {}.gz", piece.string()).c_str()), 0);
  std::fstream file(piece, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(20'000);
  file.write("damage", 6);
  file.close();
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a"}); }),
              AllOf(HasSubstr("the log is damaged at"), HasSubstr("goes on to " + pieces[1])));
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

// What the process does that the next test kills.
TEST(BackupProgram, DISABLED_MakesABackup) {
  const char* const url = std::getenv("ASHLAR_TEST_URL");
  ASSERT_NE(url, nullptr);
  async::run([](std::string at) -> Task<void> {
    Db db({.url = std::move(at), .check_queries = false});
    (void)co_await Backups(db).make();
  }(url));
}

TEST_F(BackupTest, ABackupThatIsInterruptedIsNone) {
  set_up();
  sql("create table t as select md5(i::text) || md5((-i)::text) from generate_series(1, 300000) i");
  const fs::path kept = fs::path(*settings_.dir) / "full";
  detail::Spawn program;
  program.arguments = {"/proc/self/exe", "--gtest_filter=BackupProgram.DISABLED_MakesABackup",
                       "--gtest_also_run_disabled_tests"};
  program.environment = {"PATH=/usr/bin:/bin", "ASHLAR_TEST_URL=" + server_->url(),
                         "ASHLAR_BACKUP_DIR=" + *settings_.dir};
  program.output_file = (folder_ / "program.log").string();
  const pid_t pid = detail::spawn(program);
  const auto begun = [&] {
    return std::ranges::any_of(fs::directory_iterator(kept),
                               [](const auto& entry) { return fs::exists(entry.path() / "base.tar.gz"); });
  };
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (!begun() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_TRUE(begun()) << detail::read_text(program.output_file);
  ::kill(pid, SIGKILL);
  detail::wait_for(pid);
  // One that had come to its end before the signal is whole.
  const detail::BackupRepository repository(*settings_.dir);
  for (const Backup& backup : repository.backups()) EXPECT_THAT(repository.damage_of(backup), IsEmpty());
  const Backup whole = back_up();
  for (const auto& entry : fs::directory_iterator(kept))
    EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
  restore({.into = folder_ / "a", .backup = whole.id});
}

// A disk of a few megabytes, where we may make one.
TEST_F(BackupTest, AFullDiskIsNamedAndLeavesNothingThatLooksWhole) {
  set_up();
  back_up();
  sql("create table t as select md5(i::text) || md5((-i)::text) from generate_series(1, 100000) i");
  const fs::path small = folder_ / "small";
  fs::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m,mode=0777") != 0)
    GTEST_SKIP() << "a small disk can only be made by root, outside of a container";
  fs::create_directory(small / "full");
  fs::permissions(small / "full", fs::perms::all);
  const std::string before = *settings_.dir;
  fs::copy(fs::path(before) / "backup.json", small / "backup.json");
  settings_.dir = small.string();
  EXPECT_THAT(failure([&] { return with_backups([](Backups& b) { return b.make(); }); }),
              AllOf(HasSubstr("no backup was made"), HasSubstr("No space left on device")));
  EXPECT_THAT(with_backups([](Backups& b) { return b.list(); }), IsEmpty());
  EXPECT_TRUE(fs::is_empty(small / "full"));
  settings_.dir = before;
  EXPECT_THAT(failure([&] { return restore({.into = small / "data"}); }), HasSubstr("has room for 1 MB"));
  EXPECT_EQ(::umount(small.c_str()), 0);
}

TEST_F(BackupTest, TheLogOfAServerElsewhereIsReceivedUpToItsLastTransaction) {
  (void)with_backups(
      [](Backups& backups) { return backups.set_up(BackupTool::plain); });  // and no restart: archiving is off
  std::string ended;
  std::jthread receiver([&] {
    try {
      (void)with_backups([](Backups& backups) -> Task<int> {
        co_await backups.receive();
        co_return 0;
      });
    } catch (const Error& error) {
      ended = error.message();
    }
  });
  const auto wait_until = [&](const std::string& condition) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (sql("select 1 from pg_stat_replication where application_name = 'ashlar_backup' and " + condition) != "1") {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << condition;
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  };
  wait_until("state = 'streaming'");
  sql("create table t as select generate_series(1, 10) n");
  back_up();
  sql("insert into t values (11)");
  wait_until(fmt::format("flush_lsn >= '{}'", sql("select pg_current_wal_insert_lsn()")));
  EXPECT_THAT(check().problems, IsEmpty());
  const DrillReport report = drill({.quick = true});
  EXPECT_TRUE(report.passed);
  EXPECT_EQ(report.lost_transactions, 0) << "without waiting for a piece to be full";
  const std::string parent = fmt::format(" {} ", ::getpid());
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string number = entry.path().filename().string();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = detail::read_text(entry.path() / "stat");
    const std::size_t name = stat.find("(pg_receivewal) ");  // and its state, a letter, and its parent
    if (name != std::string::npos && stat.compare(name + 17, parent.size(), parent) == 0)
      ::kill(std::stoi(number), SIGKILL);
  }
  receiver.join();
  EXPECT_THAT(ended, HasSubstr("the log is not received any more"));
}

TEST_F(BackupTest, ADrillVerifiesAndMeasures) {
  set_up();
  sql("create table t as select generate_series(1, 100) n; create index on t (n)");
  back_up();
  sql("insert into t values (101)");
  archive_all();
  const DrillReport all = drill();
  for (const DrillStep& step : all.steps) EXPECT_TRUE(step.passed) << step.name << ": " << step.detail;
  EXPECT_TRUE(all.passed);
  EXPECT_EQ(all.tables, 1);
  EXPECT_EQ(all.rows, 101);
  EXPECT_EQ(all.lost_transactions, 0);
  EXPECT_EQ(all.rpo_seconds, 0);
  EXPECT_GT(all.rto_seconds, 0);
  EXPECT_LT(all.rto_seconds, 120);
  EXPECT_THAT(all.steps, Contains(::testing::Field(&DrillStep::name, "amcheck")));

  sql("set synchronous_commit = on; insert into t values (102)");
  sql("insert into t values (103)");
  const DrillReport some = drill({.quick = true});
  EXPECT_TRUE(some.passed);
  EXPECT_EQ(some.lost_transactions, 2) << "they are not archived yet";
  EXPECT_GT(some.rpo_seconds.value(), 0);
  EXPECT_LT(some.rpo_seconds.value(), 600);
  EXPECT_GT(some.lost_log_bytes.value(), 0);

  EXPECT_TRUE(check().drill_passed.value());
  for (const auto& entry : fs::directory_iterator(*settings_.dir))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".drill")) << "the scratch cluster is removed";
  EXPECT_EQ(sql("select count(*) from t"), "103");
}

TEST_F(BackupTest, ADrillGoesOnWhenTheServerIsGone) {
  set_up();
  sql("create table t as select 1");
  back_up();
  server_->stop();
  const DrillReport report = drill({.quick = true});
  EXPECT_TRUE(report.passed);
  EXPECT_FALSE(report.rpo_seconds.has_value());
  server_->restart();
}

TEST_F(BackupTest, CheckFindsWhatIsWrong) {
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("nothing is set up")));
  (void)with_backups([](Backups& backups) { return backups.set_up(BackupTool::plain); });
  EXPECT_THAT(check().problems,
              AllOf(Contains(HasSubstr("there is no backup")), Contains(HasSubstr("restart the server"))));
  server_->restart();
  back_up();
  EXPECT_THAT(check().problems, IsEmpty());
  settings_.max_age = Duration(std::chrono::microseconds{1});
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("the newest backup is 0 minutes old")));
  settings_.max_age = std::chrono::hours{1};
  settings_.max_drill_age = std::chrono::hours{1};
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("nobody has tried")));
  server_->stop();
  EXPECT_THAT(check().problems, Contains(HasSubstr("the server cannot be asked")));
  server_->restart();
}

TEST_F(BackupTest, CheckFindsThatArchivingFails) {
  set_up();
  back_up();
  // A name that is taken, by something else.
  sql("create table t as select 1");
  const std::string piece = sql("select pg_walfile_name(pg_current_wal_insert_lsn())");
  std::ofstream(log() / (piece + ".gz")) << "not what PostgreSQL writes";
  sql("select pg_switch_wal()");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (sql("select failed_count from pg_stat_archiver") == "0" && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  const BackupHealth health = check();
  EXPECT_THAT(health.problems, Contains(AllOf(HasSubstr("archiving fails"), HasSubstr(piece))));
  EXPECT_GT(health.archive_failures, 0);
  EXPECT_EQ(detail::read_text(log() / (piece + ".gz")), "not what PostgreSQL writes") << "never overwritten";
}

TEST_F(BackupTest, KeepsAsManyAsItIsTold) {
  settings_.keep = 2;
  set_up();
  const Backup first = back_up();
  const Backup second = back_up();
  sql("create table t as select 1");
  const auto third = with_backups([](Backups& backups) { return backups.make(); });
  EXPECT_THAT(third.expired, ElementsAre(first.id));
  EXPECT_FALSE(fs::exists(full(first)));
  EXPECT_THAT(with_backups([](Backups& backups) { return backups.list(); }), SizeIs(2));
  EXPECT_THAT(check().problems, IsEmpty()) << "the log that the others need is still there";
  const auto pieces = detail::BackupRepository(*settings_.dir).pieces(1 << 20);
  ASSERT_FALSE(pieces.empty());
  EXPECT_EQ(pieces.front().number, detail::parse_lsn(second.first_lsn).value() >> 20) << "and no older one";
  restore({.into = folder_ / "a", .backup = second.id});
}

// A backup of a day when the clock was wrong is the oldest all the same.
TEST_F(BackupTest, TheOldestGoesWhateverTheClockSaid) {
  settings_.keep = 1;
  set_up();
  const Backup first = back_up();
  fs::rename(full(first), full(first).parent_path() / "29991231T235959");
  const auto second = with_backups([](Backups& backups) { return backups.make(); });
  EXPECT_THAT(second.expired, ElementsAre("29991231T235959"));
  EXPECT_TRUE(fs::exists(full(second.backup)));
  EXPECT_EQ(check().newest_backup, second.backup.id);
}

TEST_F(BackupTest, CheckFindsThatTheLogIsArchivedElsewhere) {
  set_up();
  back_up();
  sql("alter system set archive_command = '/bin/true'");
  sql("select pg_reload_conf()");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  std::string piece;
  do {
    sql("create table if not exists t (n int); insert into t values (1)");
    piece = sql("select pg_walfile_name(pg_current_wal_insert_lsn())");
    sql("select pg_switch_wal()");
    while (sql("select last_archived_wal from pg_stat_archiver") != piece && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
  } while (fs::exists(log() / (piece + ".gz")) && std::chrono::steady_clock::now() < give_up);
  EXPECT_THAT(check().problems, Contains(AllOf(HasSubstr(piece), HasSubstr("keeps it elsewhere"))));
}

TEST_F(BackupTest, ADrillWithoutAnyLogCountsAllSinceTheBackupAsLost) {
  (void)with_backups([](Backups& backups) { return backups.set_up(BackupTool::plain); });  // and no restart
  const auto made = with_backups([](Backups& backups) { return backups.make(); });
  sql("create table t as select 1");
  const DrillReport report = drill({.quick = true});
  EXPECT_TRUE(report.passed);
  EXPECT_GT(report.lost_transactions.value(), 0);
  ASSERT_TRUE(report.rpo_seconds.has_value());
  EXPECT_DOUBLE_EQ(*report.rpo_seconds, static_cast<double>((report.began - made.backup.finished).micros) / 1e6);
}

TEST_F(BackupTest, AFolderBelongsToOneServer) {
  set_up();
  back_up();
  server_ = PrivateServer::start({.data = folder_ / "other", .settings = {{"fsync", "off"}}});
  for (const std::string& message : {failure([&] { return with_backups([](Backups& b) { return b.set_up(); }); }),
                                     failure([&] { return with_backups([](Backups& b) { return b.make(); }); })})
    EXPECT_THAT(message, HasSubstr("another server"));
  EXPECT_THAT(check().problems, Contains(HasSubstr("another server")));
}

TEST_F(BackupTest, TwoDoNotWorkInOneFolderAtATime) {
  set_up();
  back_up();
  const detail::BackupRepository repository(*settings_.dir);
  const detail::FolderLock lock(*settings_.dir, detail::FolderLock::Mode::alone, repository.user());
  EXPECT_THAT(failure([&] { return with_backups([](Backups& b) { return b.make(); }); }), HasSubstr("somebody else"));
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a"}); }), HasSubstr("somebody else"));
}

TEST_F(BackupTest, WithoutArchivingABackupIsMadeAndTheProblemSaid) {
  (void)with_backups([](Backups& backups) { return backups.set_up(BackupTool::plain); });
  EXPECT_THAT(failure([&] { return with_backups([](Backups& b) { return b.make(BackupKind::incremental); }); }),
              HasSubstr("full backups only"));
  sql("create table t as select 1");
  const auto made = with_backups([](Backups& backups) { return backups.make(); });
  EXPECT_THAT(made.problems, ElementsAre(HasSubstr("to no later moment")));
  EXPECT_THAT(check().problems,
              AllOf(Contains(HasSubstr("archive_mode is off")), Contains(HasSubstr("no later moment"))));
  restore({.into = folder_ / "a"});
  EXPECT_EQ(start_on(folder_ / "a")->run_sql("ashlar", "select count(*) from t"), "1");
}

}  // namespace
}  // namespace ashlar::pg
