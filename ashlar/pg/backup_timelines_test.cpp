// Backups of a server that was promoted, or restored, since.
#include <ashlar/pg/detail/backup_timelines.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_restore.hpp>
#include <ashlar/pg/detail/test_backup_server.hpp>

namespace ashlar::pg {
namespace {

namespace fs = std::filesystem;
using detail::LogPiece;
using detail::Timeline;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kSegment = 16 << 20;

std::vector<LogPiece> pieces(std::initializer_list<std::pair<std::uint32_t, std::uint64_t>> some) {
  std::vector<LogPiece> out;
  for (const auto& [timeline, number] : some)
    out.push_back({timeline, number, detail::log_name(timeline, number, kSegment), false});
  return out;
}

TEST(Timelines, AreReadFromTheirHistory) {
  const auto history =
      detail::parse_history(4, "# a copy\n1\t0/3000148\tno recovery target specified\n\n3\t1/A0\tbefore 2026\n");
  ASSERT_TRUE(history);
  EXPECT_THAT(*history,
              ElementsAre(Timeline{1, 0}, Timeline{3, 0x3000148}, Timeline{4, (std::uint64_t{1} << 32) + 0xA0}));
  for (const char* const damaged : {"", "1", "1 3000148", "4\t0/1\tits own", "2\t0/1\n1\t0/2\n", "x\t0/1\n"})
    EXPECT_FALSE(detail::parse_history(4, damaged)) << damaged;
}

TEST(Timelines, AGapIsFoundOnTheWayAndNotBesideIt) {
  const std::vector<Timeline> way{{1, 0}, {3, 5 * kSegment + 100}};
  const std::uint64_t first = 3 * kSegment + 40;
  EXPECT_EQ(detail::first_gap(pieces({{1, 3}, {1, 4}, {3, 5}, {3, 6}}), way, first, kSegment), "");
  // What the old server wrote after it was left is of another story, and what it lacks there does not matter.
  EXPECT_EQ(detail::first_gap(pieces({{1, 3}, {1, 4}, {1, 9}, {3, 5}, {2, 7}}), way, first, kSegment), "");
  EXPECT_EQ(detail::first_gap(pieces({{1, 3}, {3, 5}}), way, first, kSegment), "000000010000000000000004");
  EXPECT_EQ(detail::first_gap(pieces({{1, 3}, {1, 4}, {1, 5}, {3, 6}}), way, first, kSegment),
            "000000030000000000000005");
  EXPECT_EQ(detail::first_gap(pieces({{1, 3}, {1, 4}, {3, 5}, {3, 7}}), way, first, kSegment),
            "000000030000000000000006");
  EXPECT_EQ(detail::first_gap({}, std::vector<Timeline>{{1, 0}}, first, kSegment), "");
}

TEST(Timelines, AreLatestOrANumber) {
  for (const char* const good : {"", "latest", "2", "4294967295"})
    EXPECT_NO_THROW(detail::check_timeline(good)) << good;
  for (const char* const bad : {"newest", "0", "-1", "0x2", "2 ", "4294967296"})
    EXPECT_THROW(detail::check_timeline(bad), Invalid) << bad;
}

class TimelinesTest : public test::BackupTest {
 protected:
  /// As after the promotion of a standby: the server goes on in the next timeline.
  void promote() {
    sql("alter system set restore_command = 'false'");
    server_->stop();
    std::ofstream(server_->data() / "recovery.signal").flush();
    fs::permissions(server_->data() / "recovery.signal", fs::perms::all);
    server_->restart();
    sql("alter system reset restore_command");
  }
};

TEST_F(TimelinesTest, TheLatestIsFollowedPastThatOfTheBackup) {
  set_up();
  sql("create table t as select 1 n");
  back_up();
  sql("insert into t values (2)");
  archive_all();
  promote();
  sql("insert into t values (3)");
  archive_all();
  EXPECT_EQ(restore({.into = folder_ / "old"}).backup, restore({.into = folder_ / "new", .timeline = "latest"}).backup);
  EXPECT_EQ(start_on(folder_ / "old")->run_sql("ashlar", "select max(n) from t"), "2");
  EXPECT_EQ(start_on(folder_ / "new")->run_sql("ashlar", "select max(n) from t"), "3");
  restore({.into = folder_ / "two", .timeline = "2"});
  EXPECT_EQ(start_on(folder_ / "two")->run_sql("ashlar", "select max(n) from t"), "3");
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "nine", .timeline = "9"}); }),
              HasSubstr("there is no timeline 9"));
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "x", .timeline = "newest"}); }),
              HasSubstr("`newest` is no timeline"));
}

TEST_F(TimelinesTest, ACopyThatWasRestoredToLookAtIsNotTheLatest) {
  set_up();
  sql("create table t as select 1 n");
  back_up();
  const std::string transaction = sql("insert into t values (2) returning pg_current_xact_id()");
  sql("insert into t values (3)");
  archive_all();
  const Restored copy = restore({.to = RestoreTarget::parse("xid:" + transaction), .into = folder_ / "copy"});
  EXPECT_EQ(copy.timeline, 2U);
  const Restored restored = restore({.into = folder_ / "restored", .timeline = "latest"});
  EXPECT_EQ(start_on(folder_ / "restored")->run_sql("ashlar", "select max(n) from t"), "3");
  EXPECT_EQ(restored.timeline, 3U);
}

TEST_F(TimelinesTest, AMissingPieceOfALaterTimelineIsNamed) {
  set_up();
  sql("create table t as select 1 n");
  back_up();
  archive_all();
  promote();
  std::string piece;
  for (int i = 0; i < 3; ++i) {
    sql("insert into t values (2)");
    if (i == 1) piece = sql("select pg_walfile_name(pg_current_wal_insert_lsn())");
    archive_all();
  }
  fs::remove(log() / (piece + ".gz"));
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a", .timeline = "latest"}); }),
              AllOf(HasSubstr("gap"), HasSubstr(piece + " is missing")));
}

TEST_F(TimelinesTest, ABackupOfALaterTimelineDoesNotLeadBack) {
  set_up();
  sql("create table t as select 1 n");
  back_up();
  promote();
  const Backup second = back_up();
  EXPECT_EQ(second.timeline, 2U);
  EXPECT_THAT(failure([&] { return restore({.into = folder_ / "a", .timeline = "1"}); }),
              HasSubstr("there is no timeline 1"));
}

// A restore may be killed at any moment, and its folder be started by somebody.
TEST_F(TimelinesTest, ACopyArchivesNothingFromTheFirstMomentOn) {
  set_up();
  back_up();
  const detail::BackupRepository repository(*settings_.dir);
  detail::make_folder(folder_ / "copy", repository.user());
  fs::permissions(folder_ / "copy", fs::perms::owner_all);
  const auto recovered = detail::recover_into(repository, {.into = folder_ / "copy"}, folder_ / "tablespaces", false);
  EXPECT_THAT(detail::read_text(folder_ / "copy" / "postgresql.auto.conf"), HasSubstr("archive_mode = 'off'"));
}

}  // namespace
}  // namespace ashlar::pg
