// Backups by pgBackRest, where it is installed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/process.hpp>
#include <ashlar/pg/detail/test_backup_server.hpp>

namespace ashlar::pg {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class PgBackRestTest : public test::BackupTest {
 protected:
  void SetUp() override {
    if (detail::find_program("pgbackrest").empty())
      GTEST_SKIP() << "pgbackrest is not installed: apt-get install pgbackrest";
    settings_.passphrase = Secret<>("correct horse battery staple");
    set_up(BackupTool::pgbackrest);
  }
  [[nodiscard]] fs::path configuration() const { return *settings_.dir + ".pgbackrest.conf"; }
  void change_key(const std::string& from, const std::string& to) const {
    std::string text = detail::read_text(configuration());
    text.replace(text.find(from), from.size(), to);
    std::ofstream(configuration(), std::ios::trunc) << text;
  }
  /// As archive_all, where names have a sum behind them.
  void archive_all_by_pgbackrest() {
    sql("select pg_create_restore_point('before the switch')");  // a piece with nothing in it is not ended
    const std::string piece = sql("select pg_walfile_name(pg_current_wal_insert_lsn())");
    sql("select pg_switch_wal()");
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (check().newest_log < piece) ASSERT_LT(std::chrono::steady_clock::now(), give_up) << piece;
  }
};

TEST_F(PgBackRestTest, RestoresToTheMomentBeforeADropTableOutOfFullAndIncrementalBackups) {
  sql("create table orders as select generate_series(1, 1000) n");
  const Backup first = back_up();
  EXPECT_EQ(first.kind, BackupKind::full);
  sql("insert into orders select generate_series(1001, 1500)");
  const Backup second = back_up(BackupKind::incremental);
  EXPECT_EQ(second.kind, BackupKind::incremental);
  EXPECT_LT(second.stored_bytes, first.stored_bytes);
  sql("insert into orders select generate_series(1501, 1600)");
  const std::string moment =
      sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
  sql("drop table orders");
  archive_all_by_pgbackrest();
  const Restored restored = restore({.to = RestoreTarget::parse(moment), .into = folder_ / "restored"});
  EXPECT_EQ(start_on(folder_ / "restored")->run_sql("ashlar", "select count(*) from orders"), "1600");
  EXPECT_THAT(check(true).problems, IsEmpty());
}

TEST_F(PgBackRestTest, NothingCanBeReadWithAnotherKey) {
  back_up();
  EXPECT_EQ(detail::read_text(configuration()).find("correct horse"),
            detail::read_text(configuration()).rfind("correct horse"));
  change_key("correct horse", "another horse");
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a"}); }), HasSubstr("the key in"));
  EXPECT_THAT(check().problems, Contains(HasSubstr("key")));
  EXPECT_FALSE(fs::exists(folder_ / "a"));
  change_key("another horse", "correct horse");
  restore({.into = folder_ / "a"});
}

TEST_F(PgBackRestTest, ADrillPassesAndKeepsItsHandsOffTheServer) {
  sql("create table t as select generate_series(1, 100) n");
  back_up();
  archive_all_by_pgbackrest();
  const DrillReport report = drill();
  for (const DrillStep& step : report.steps) EXPECT_TRUE(step.passed) << step.name << ": " << step.detail;
  EXPECT_EQ(report.rows, 100);
  EXPECT_EQ(report.lost_transactions, 0);
  EXPECT_EQ(sql("select count(*) from t"), "100");
}

TEST_F(PgBackRestTest, AnotherPassphraseIsRefusedForWhatIsKeptAlready) {
  settings_.passphrase = Secret<>("another");
  EXPECT_THAT(failure([&] { return with_backups([](Backups& b) { return b.set_up(); }); }),
              AllOf(HasSubstr("another key"), Not(HasSubstr("correct horse"))));
  settings_.passphrase.reset();
  (void)with_backups([](Backups& b) { return b.set_up(); });
  back_up();
}

TEST_F(PgBackRestTest, DamageIsFound) {
  std::ofstream(configuration(), std::ios::app) << "\n[global]\njob-retry=0\n";  // the second retry waits 15 s
  sql("create table t as select md5(i::text) from generate_series(1, 20000) i");
  back_up();
  EXPECT_THAT(check(true).problems, IsEmpty());
  fs::path largest;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(*settings_.dir) / "pgbackrest" / "backup")) {
    if (entry.is_regular_file() && !entry.is_symlink() &&
        (largest.empty() || entry.file_size() > fs::file_size(largest)))
      largest = entry.path();
  }
  std::fstream file(largest, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::fstream::off_type>(fs::file_size(largest) / 2));
  file.write("damage", 6);
  file.close();
  EXPECT_THAT(check(true).problems, Not(IsEmpty())) << largest;
  EXPECT_NE(failure([&] { return restore({.into = folder_ / "a"}); }), "");
}

// To PostgreSQL a piece that cannot be had is the end of the log.
TEST_F(PgBackRestTest, ADamagedPieceOfTheLogIsNotTakenForItsEnd) {
  back_up();
  std::vector<std::string> pieces;
  for (int i = 0; i < 2; ++i) {
    sql(fmt::format("create table t{} as select md5(i::text) from generate_series(1, 1000) i", i));
    pieces.push_back(sql("select pg_walfile_name(pg_current_wal_insert_lsn())"));
    archive_all_by_pgbackrest();
  }
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(*settings_.dir) / "pgbackrest" / "archive")) {
    if (!entry.path().filename().string().starts_with(pieces[0])) continue;
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::fstream::off_type>(entry.file_size() / 2));
    file.write("damage", 6);
  }
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a"}); }), HasSubstr(pieces[0] + " is damaged"));
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

TEST_F(PgBackRestTest, RestoresIntoAFolderWithAnyName) {
  sql("create table t as select generate_series(1, 10) n");
  back_up();
  sql("insert into t values (11)");
  archive_all_by_pgbackrest();
  const fs::path into = folder_ / "it's 100% \"mine\"";
  restore({.into = into});
  EXPECT_EQ(start_on(into)->run_sql("ashlar", "select count(*) from t"), "11");
}

TEST_F(PgBackRestTest, ARestoreThatFailsLeavesTheTablespacesOfOneBefore) {
  const fs::path space = folder_ / "space";
  detail::make_folder(space, detail::unprivileged_user());
  sql(fmt::format("create tablespace fast location '{}'", space.string()));
  sql("create table t tablespace fast as select generate_series(1, 10) n");
  back_up();
  archive_all_by_pgbackrest();
  const fs::path into = folder_ / "restored";
  restore({.into = into});
  EXPECT_EQ(start_on(into)->run_sql("ashlar", "select count(*) from t"), "10");
  EXPECT_NE(failure([&] {
              return restore({.to = RestoreTarget::parse("2099-01-01T00:00:00Z"), .into = into, .replace = true});
            }),
            "");
  EXPECT_EQ(start_on(into)->run_sql("ashlar", "select count(*) from t"), "10") << "it is back, with all its files";
  const Restored again = restore({.into = into, .replace = true});
  EXPECT_EQ(start_on(into)->run_sql("ashlar", "select count(*) from t"), "10");
  EXPECT_EQ(start_on(again.put_aside)->run_sql("ashlar", "select count(*) from t"), "10");
}

TEST_F(PgBackRestTest, KeepsAsManyAsItIsTold) {
  settings_.keep = 1;
  back_up();
  const Backup second = back_up();
  const auto left = with_backups([](Backups& backups) { return backups.list(); });
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].id, second.id);
}

TEST_F(PgBackRestTest, ThePlainToolRefusesAPassphrase) {
  settings_.dir = (folder_ / "plain").string();
  EXPECT_THAT(failure([&] { return with_backups([](Backups& b) { return b.set_up(BackupTool::plain); }); }),
              HasSubstr("only pgBackRest encrypts"));
  EXPECT_FALSE(fs::exists(*settings_.dir));
}

}  // namespace
}  // namespace ashlar::pg
