// Damage in the last piece of the log, which has no sum of its own, and the end of the log: one is not the other.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <ashlar/pg/detail/backup_piece.hpp>
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

constexpr std::int64_t kSegment = 1 << 20;
constexpr std::size_t kPage = 8192;

class BackupPiece : public test::BackupTest {
 protected:
  /// The piece that the server writes now, as pg_receivewal gets it.
  fs::path receive(const fs::path& into) {
    const std::string flush = "set synchronous_commit = on; create table if not exists flushed (); ";
    const std::string end = sql(flush + "insert into flushed default values; select pg_current_wal_insert_lsn()");
    sql(flush + "insert into flushed default values");  // pg_receivewal ends behind it
    const std::string name = sql(fmt::format("select pg_walfile_name('{}')", end));
    const auto programs = detail::server_programs(std::stoi(sql("show server_version_num")) / 10000);
    detail::make_folder(into, detail::unprivileged_user());
    detail::must_run(
        {{(programs / "pg_receivewal").string(), "--directory=" + into.string(), "--no-loop", "--endpos=" + end},
         detail::libpq_environment(ConnectOptions::parse(server_->url())),
         detail::unprivileged_user()},
        "nothing was received");
    return into / (name + ".partial");
  }
  std::string received() {
    const fs::path file = receive(folder_ / "received");
    piece_ = detail::parse_log_name(file.filename().string(), kSegment).value();
    return detail::read_text(file);
  }
  /// Of a piece with these bytes.
  [[nodiscard]] std::string damage_of(const std::string& bytes, std::string_view end = ".partial") const {
    const fs::path file = folder_ / fmt::format("{}{}", piece_.name, end);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    return detail::damage_of_piece(file, piece_, kSegment);
  }
  void write_log() {
    sql("create table t (n bigint, text text)");
    sql("select pg_switch_wal()");
    for (int i = 0; i < 40; ++i)
      sql(fmt::format("insert into t select i, repeat('x', (i % 900)::int) from generate_series({}, {}) i", i * 13,
                      i * 13 + 11 + i % 7));
  }
  void write_rows_of_the_end() {
    for (int i = 0; i < 30; ++i) sql(fmt::format("insert into t values ({}, repeat('x', 1900))", i));
  }
  static std::size_t written(const std::string& bytes) { return bytes.find_last_not_of('\0') + 1; }

  detail::LogPiece piece_;
};

TEST_F(BackupPiece, LogMayEndAnywhere) {
  write_log();
  const std::string bytes = received();
  const std::size_t end = written(bytes);
  ASSERT_GT(end, 20 * kPage);
  ASSERT_EQ(bytes.size(), static_cast<std::size_t>(kSegment));
  EXPECT_EQ(damage_of(bytes), "");
  EXPECT_EQ(damage_of(std::string(kSegment, '\0')), "") << "made, and nothing has come yet";
  EXPECT_EQ(damage_of(bytes.substr(0, end)), "") << "its zeros are not written yet";
  EXPECT_EQ(damage_of(""), "");
  std::minstd_rand random{7};  // NOLINT(cert-msc51-cpp): the same each time
  std::vector<std::size_t> cuts;
  for (std::size_t at = kPage; at < end; at += kPage)
    for (const std::size_t offset : {0, 1, 23, 24, 25, 32}) cuts.push_back(at + offset);
  for (int i = 0; i < 60; ++i) cuts.push_back(std::uniform_int_distribution<std::size_t>(0, end)(random));
  for (const std::size_t cut : cuts) {
    std::string part = bytes.substr(0, cut);
    part.resize(bytes.size());
    ASSERT_EQ(damage_of(part), "") << cut;
    // A server's own file, used again: behind the end, pages of an older piece.
    const std::size_t whole = cut / kPage * kPage;
    for (std::size_t at = whole; at < bytes.size(); at += kPage) {
      std::string page = bytes.substr(0, kPage);
      const std::uint64_t address = piece_.number * kSegment - 3 * kSegment + at;
      std::memcpy(page.data() + 8, &address, sizeof address);
      part.replace(at, kPage, page);
    }
    ASSERT_EQ(damage_of(part, ""), "") << cut;
  }
}

TEST_F(BackupPiece, LogThatIsBeingReceivedIsNotDamaged) {
  write_log();
  const auto programs = detail::server_programs(std::stoi(sql("show server_version_num")) / 10000);
  const fs::path into = folder_ / "received";
  detail::make_folder(into, detail::unprivileged_user());
  detail::Spawn receiver;
  receiver.arguments = {(programs / "pg_receivewal").string(), "--directory=" + into.string(), "--no-loop"};
  receiver.environment = detail::libpq_environment(ConnectOptions::parse(server_->url()));
  receiver.user = detail::unprivileged_user();
  receiver.output_file = (folder_ / "receiver.log").string();
  const pid_t pid = detail::spawn(receiver);
  std::size_t longest = 0;
  int whole = 0;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  for (int i = 0; whole < 2 && std::chrono::steady_clock::now() < give_up; ++i) {
    sql("insert into t select i, repeat('x', 1900) from generate_series(1, 25) i");
    whole = 0;
    for (const auto& entry : fs::directory_iterator(into)) {
      const auto piece = detail::parse_log_name(entry.path().filename().string(), kSegment);
      if (!piece) continue;
      whole += piece->partial ? 0 : 1;
      if (!piece->partial && i % 50 != 0) continue;
      std::error_code renamed;
      try {
        EXPECT_EQ(detail::damage_of_piece(entry.path(), *piece, kSegment), "");
        if (piece->partial) longest = std::max(longest, written(detail::read_text(entry.path())));
      } catch (const Error& error) {
        EXPECT_FALSE(fs::exists(entry.path(), renamed)) << error.message();
      }
    }
  }
  ::kill(pid, SIGKILL);
  detail::wait_for(pid);
  EXPECT_EQ(whole, 2) << detail::read_text(receiver.output_file);
  EXPECT_GT(longest, 10 * kPage);
}

// After a crash in the middle of a record that goes on on the next page, that page begins anew and says so.
TEST_F(BackupPiece, ARecordThatACrashHasCutOffIsNoDamage) {
  write_log();
  std::string bytes = received();
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  std::string record;  // some short one
  for (std::size_t at = kPage; record.empty() && at < written(bytes) - kPage; at += kPage) {
    const std::size_t begin = at + 24 + ((bytes[at + 2] & 1) != 0 ? (number(at + 16) + 7) / 8 * 8 : 0);
    if (begin + 24 < at + kPage && number(begin) >= 24 && begin + number(begin) < at + kPage)
      record = bytes.substr(begin, number(begin));
  }
  ASSERT_FALSE(record.empty());
  std::size_t page = 5 * kPage;
  while ((bytes[page + 2] & 1) == 0) page += kPage;
  bytes.replace(page + 24, std::string::npos, bytes.size() - page - 24, '\0');
  bytes.replace(page + 24, record.size(), record);
  const std::string unmarked = bytes;
  bytes[page + 2] = 8;
  bytes.replace(page + 16, 4, 4, '\0');
  EXPECT_EQ(damage_of(bytes), "");
  EXPECT_EQ(damage_of(bytes, ""), "");
  EXPECT_THAT(damage_of(bytes.replace(page + 16 + record.size(), 1, "?")), Not(HasSubstr("damaged"))) << "the last";
  EXPECT_THAT(damage_of(bytes.replace(page + 24 + record.size() + 40, 1, "?")), HasSubstr("is damaged at"));
  EXPECT_THAT(damage_of(std::string(unmarked).replace(page + 16, 4, 4, '\1')), HasSubstr("is damaged at"));
}

// The server's own files, as somebody would copy them from its disk.
TEST_F(BackupPiece, ACrashIsNoDamage) {
  write_log();
  const auto look = [&] {
    int looked = 0;
    for (const auto& entry : fs::directory_iterator(server_->data() / "pg_wal")) {
      const auto piece = detail::parse_log_name(entry.path().filename().string(), kSegment);
      if (!piece) continue;
      ++looked;
      EXPECT_EQ(detail::damage_of_piece(entry.path(), *piece, kSegment), "");
    }
    return looked;
  };
  for (int i = 0; i < 5; ++i) {
    sql(fmt::format("begin; insert into t select i, repeat('x', 1900) from generate_series(1, {}) i", 30 + i * 17));
    server_->kill();
    EXPECT_GT(look(), 0);
    server_->restart();
    EXPECT_GT(look(), 0);
  }
}

// What PostgreSQL reads of it is the judge.
TEST_F(BackupPiece, DamageIsFoundWherePostgresqlStops) {
  write_log();
  const std::string bytes = received();
  const std::size_t end = written(bytes);
  const auto programs = detail::server_programs(std::stoi(sql("show server_version_num")) / 10000);
  const fs::path judged = folder_ / "judged" / piece_.name;
  fs::create_directory(judged.parent_path());
  const auto last_read = [&](const std::string& content) {
    std::ofstream(judged, std::ios::binary | std::ios::trunc) << content;
    const std::string output =
        detail::run_program({{(programs / "pg_waldump").string(), judged.string()}, {}, {}}).output;
    const std::size_t at = output.rfind("lsn: ");
    return at == std::string::npos ? std::string() : output.substr(at + 5, output.find(',', at) - at - 5);
  };
  const std::string whole = last_read(bytes);
  ASSERT_NE(whole, "");
  std::minstd_rand random{11};  // NOLINT(cert-msc51-cpp): the same each time
  int stopped = 0;
  for (int i = 0; i < 60; ++i) {
    const std::size_t at = std::uniform_int_distribution<std::size_t>(0, end - 2 * kPage)(random);
    std::string damaged = bytes;
    if (i % 3 == 0) {
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    } else if (i % 3 == 1) {
      damaged.replace(at / 512 * 512, 512, 512, '\0');  // a sector of the disk
    } else {
      damaged.replace(at / kPage * kPage, kPage, kPage, '\0');
    }
    if (damaged == bytes) continue;
    const std::string read = last_read(damaged);
    if (read == whole) continue;  // of bytes that nobody reads
    ++stopped;
    for (const std::string_view name : {".partial", ""}) {
      const std::string found = damage_of(damaged, name);
      ASSERT_THAT(found, HasSubstr(" is damaged at ")) << at << " " << read;
      if (read.empty()) continue;
      const std::uint64_t lsn = detail::parse_lsn(read).value();
      EXPECT_THAT(found, HasSubstr(fmt::format("before it is at {:X}/{:X})", lsn >> 32, lsn & 0xffffffffU))) << at;
    }
  }
  EXPECT_GT(stopped, 30);
  // In the last page, zeros behind the end tell it from the end.
  std::string last_page = bytes;
  last_page[end - 400] = static_cast<char>(last_page[end - 400] ^ 0x10);
  ASSERT_NE(last_read(last_page), whole);
  EXPECT_THAT(damage_of(last_page), HasSubstr(" is damaged at "));
  last_page.replace(end / kPage * kPage, 512, 512, '\0');
  EXPECT_THAT(damage_of(last_page), HasSubstr(" is damaged at "));
}

TEST_F(BackupPiece, DamageInTheLastOneIsNotTakenForTheEndOfTheLog) {
  set_up();
  sql("create table t (n bigint, text text)");
  back_up();
  archive_all();
  write_rows_of_the_end();
  const fs::path file = receive(log());
  EXPECT_THAT(check(true).problems, IsEmpty());
  restore({.into = folder_ / "whole"});
  EXPECT_EQ(start_on(folder_ / "whole")->run_sql("ashlar", "select count(*) from t"), "30");

  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(static_cast<std::fstream::off_type>(written(detail::read_text(file)) / 2));
  out.write("damage", 6);
  out.close();
  EXPECT_THAT(check(true).problems, Contains(AllOf(HasSubstr(file.string()), HasSubstr("is damaged at"))));
  const std::string said = failure([&] { return restore({.into = folder_ / "a"}); });
  EXPECT_THAT(said, AllOf(HasSubstr("the log is damaged"), HasSubstr(file.string()), HasSubstr("name a target")));
  EXPECT_FALSE(fs::exists(folder_ / "a"));
  EXPECT_FALSE(drill({.quick = true}).passed);
  EXPECT_THAT(
      failure([&] { return restore({.to = RestoreTarget::parse("2099-01-01T00:00:00Z"), .into = folder_ / "a"}); }),
      HasSubstr("is damaged at"));
  // What it names is there to the last.
  const std::string_view words = "the last record before it is at ";
  const std::size_t from = said.find(words) + words.size();
  const std::string target = said.substr(from, said.find(')', from) - from);
  restore({.to = RestoreTarget::parse(target), .into = folder_ / "before"});
  const int rows = std::stoi(start_on(folder_ / "before")->run_sql("ashlar", "select count(*) from t"));
  EXPECT_GT(rows, 0);
  EXPECT_LT(rows, 30);
}

}  // namespace
}  // namespace ashlar::pg
