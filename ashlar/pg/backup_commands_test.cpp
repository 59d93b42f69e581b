// What is typed, and what is printed and given as the exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/test_backup_server.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

class BackupCommands : public test::BackupTest {
 protected:
  BackupCommands() { ::setenv("ASHLAR_BACKUP_DIR", settings_.dir->c_str(), 1); }
  ~BackupCommands() override { ::unsetenv("ASHLAR_BACKUP_DIR"); }

  struct Said {
    int code = 0;
    std::string out, err;
  };
  Said run(const std::string& name, std::vector<std::string> words) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Said said;
    async::run(
        [](std::string url, const std::string& wanted, std::vector<std::string> arguments, int& code) -> Task<void> {
          Db db({.url = std::move(url), .check_queries = false});
          auto commands = db.commands();
          const auto command = std::ranges::find(commands, wanted, &async::Command::name);
          code = co_await command->run(std::move(arguments));
        }(server_->url(), name, std::move(words), said.code));
    said.out = ::testing::internal::GetCapturedStdout();
    said.err = ::testing::internal::GetCapturedStderr();
    return said;
  }
};

TEST_F(BackupCommands, GoFromSetUpToADrillAndARestore) {
  EXPECT_EQ(run("backup", {}).code, 2);
  EXPECT_EQ(run("backup", {"check"}).code, 1);
  const Said setup = run("backup", {"setup", "--tool", "plain"});
  EXPECT_EQ(setup.code, 0);
  EXPECT_THAT(setup.out, AllOf(HasSubstr(*settings_.dir), HasSubstr("restart the server")));
  server_->restart();
  sql("create table t as select generate_series(1, 10) n");
  const Said made = run("backup", {});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("full"));
  EXPECT_THAT(run("backup", {"list"}).out, HasSubstr(made.out.substr(0, 15)));
  EXPECT_THAT(run("backup", {"check"}).out, HasSubstr("all is well: 1 backups"));
  const Said drilled = run("restore-drill", {"--json"});
  EXPECT_EQ(drilled.code, 0) << drilled.out;
  const auto report = schema::parse_json<DrillReport>(drilled.out);
  EXPECT_GT(report.rto_seconds, 0);
  EXPECT_EQ(report.rows, 10);
  const Said restored = run("restore", {"--to", "latest", "--into", (folder_ / "restored").string()});
  EXPECT_EQ(restored.code, 0) << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("archives nothing"));
  EXPECT_EQ(start_on(folder_ / "restored")->run_sql("ashlar", "select count(*) from t"), "10");
}

TEST_F(BackupCommands, RefuseWhatTheyDoNotKnow) {
  EXPECT_THAT(run("backup", {"chekc"}).err, HasSubstr("`chekc` is unknown: backup [--incremental]"));
  EXPECT_THAT(run("backup", {"setup", "--tool", "tar"}).err, HasSubstr("there is no tool `tar`"));
  EXPECT_THAT(run("backup", {"setup", "--tool"}).err, HasSubstr("--tool needs a value"));
  EXPECT_THAT(run("backup", {"expire", "--json"}).err, HasSubstr("`--json` goes with"));
  EXPECT_THAT(run("restore", {"--to", "latest"}).err, HasSubstr("--into is wanted"));
  EXPECT_THAT(run("restore", {"--into", "x"}).err, HasSubstr("--to is wanted"));
  EXPECT_THAT(run("restore", {"--to", "yesterday", "--into", "x"}).err, HasSubstr("`yesterday` is no target"));
  EXPECT_THAT(run("restore-drill", {"--fast"}).err, HasSubstr("`--fast` is unknown"));
  EXPECT_EQ(run("restore-drill", {"--fast"}).code, 2);
}

TEST(RestoreTarget, ATimeSaysItsOffset) {
  EXPECT_EQ(RestoreTarget::parse("2026-03-01T02:59:59+01:00").time, DateTime::parse("2026-03-01T01:59:59Z").value());
  EXPECT_EQ(RestoreTarget::parse("2026-03-01 02:59:59Z").time, DateTime::parse("2026-03-01T02:59:59Z").value());
  EXPECT_THROW((void)RestoreTarget::parse("2026-03-01 02:59:59"), Invalid);
  EXPECT_THROW((void)RestoreTarget::parse("2026-03-01"), Invalid);
  EXPECT_EQ(RestoreTarget::parse("0/3000148").kind, RestoreTarget::Kind::lsn);
  EXPECT_EQ(RestoreTarget::parse("xid:77").value, "77");
  EXPECT_EQ(RestoreTarget::parse("latest").kind, RestoreTarget::Kind::latest);
  for (const char* const wrong : {"", "now", "xid:", "xid:-1", "0/", "/3", "0/123456789", "3000148"})
    EXPECT_THROW((void)RestoreTarget::parse(wrong), Invalid) << wrong;
}

TEST(BackupRepository, KnowsNamesOfTheLog) {
  constexpr std::int64_t kSegment = 16 << 20;
  const auto piece = detail::parse_log_name("0000000200000001000000FF.gz", kSegment);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->timeline, 2U);
  EXPECT_EQ(piece->number, 511U);
  EXPECT_EQ(detail::log_name(2, 512, kSegment), "000000020000000200000000");
  EXPECT_TRUE(detail::parse_log_name("0000000200000001000000FF.partial", kSegment)->partial);
  for (const char* const none :
       {"00000002.history", "0000000200000001000001FF", ".0000000200000001000000FF.12", "x", ""})
    EXPECT_FALSE(detail::parse_log_name(none, kSegment)) << none;
  EXPECT_EQ(detail::parse_lsn("1/A0"), (std::uint64_t{1} << 32) + 0xA0);
}

TEST(BackupRepository, RefusesAFolderThatAShellWouldReadOtherwise) {
  EXPECT_THROW(detail::BackupRepository("/tmp/my backups; rm -rf").create({}), Invalid);
}

TEST(BackupProgram, APasswordIsInTheEnvironmentOnly) {
  const auto variables = detail::libpq_environment(ConnectOptions::parse(
      "postgresql://me:s3cret@a.example,b.example:6432/shop?sslmode=verify-full&sslrootcert=/ca.pem"));
  EXPECT_THAT(variables,
              AllOf(Contains("PGPASSWORD=s3cret"), Contains("PGHOST=a.example,b.example"), Contains("PGPORT=5432,6432"),
                    Contains("PGSSLMODE=verify-full"), Contains("PGSSLROOTCERT=/ca.pem"), Contains("PGUSER=me")));
}

}  // namespace
}  // namespace ashlar::pg
