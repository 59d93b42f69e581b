// Backups in a folder that can be read and not written: a mounted snapshot, another machine's share.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/process.hpp>
#include <ashlar/pg/detail/test_backup_server.hpp>

namespace ashlar::pg {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BackupReadOnly : public test::BackupTest {
 protected:
  ~BackupReadOnly() override {
    if (mounted_) ::umount(*settings_.dir == kept_ ? (folder_ / "seen").c_str() : settings_.dir->c_str());
    if (taken_) set_writable(true);
  }

  /// From now on the backups are seen in a folder of another name, in which nothing can be written.
  [[nodiscard]] bool make_read_only() {
    kept_ = *settings_.dir;
    if (::geteuid() != 0) {
      taken_ = true;
      set_writable(false);
      return true;
    }
    const fs::path seen = folder_ / "seen";
    fs::create_directory(seen);
    mounted_ = ::mount(kept_.c_str(), seen.c_str(), nullptr, MS_BIND, nullptr) == 0;
    if (!mounted_ || ::mount(nullptr, seen.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return false;
    settings_.dir = seen.string();
    return true;
  }

 private:
  void set_writable(bool writable) const {
    const auto set = [&](const fs::path& path) {
      fs::permissions(path, fs::perms::owner_write, writable ? fs::perm_options::add : fs::perm_options::remove);
    };
    set(kept_);
    for (const auto& entry : fs::recursive_directory_iterator(kept_)) set(entry.path());
  }

  std::string kept_;
  bool mounted_ = false;
  bool taken_ = false;
};

constexpr const char* kNoMount = "a folder can be mounted for reading only by root alone, outside of a container";

TEST_F(BackupReadOnly, IsRestoredFrom) {
  set_up();
  sql("create table t as select generate_series(1, 10) n");
  const Backup backup = back_up();
  sql("insert into t values (11)");
  archive_all();
  if (!make_read_only()) GTEST_SKIP() << kNoMount;

  EXPECT_THAT(with_backups([](Backups& backups) { return backups.list(); }),
              ElementsAre(Field(&Backup::id, backup.id)));
  EXPECT_THAT(check(true).problems, IsEmpty());
  const Restored restored = restore({.into = folder_ / "restored"});
  EXPECT_THAT(restored.problems, ElementsAre(AllOf(HasSubstr("cannot be written"), HasSubstr("00000002.history"))));
  EXPECT_EQ(start_on(folder_ / "restored")->run_sql("ashlar", "select count(*) from t"), "11");
}

TEST_F(BackupReadOnly, IsDrilledFromWithAScratchFolderElsewhere) {
  set_up();
  sql("create table t as select generate_series(1, 10) n");
  back_up();
  if (!make_read_only()) GTEST_SKIP() << kNoMount;

  EXPECT_THAT(failure([&] { return drill({.quick = true}); }),
              AllOf(HasSubstr("cannot make a folder"), HasSubstr("--scratch FOLDER")));
  const DrillReport report = drill({.scratch = folder_ / "scratch", .quick = true});
  EXPECT_TRUE(report.passed);
  EXPECT_THAT(report.steps, Contains(AllOf(Field(&DrillStep::name, "report"), Field(&DrillStep::skipped, true),
                                           Field(&DrillStep::detail, HasSubstr("drill.json")))));
  EXPECT_FALSE(check().drill_passed.has_value());
}

TEST_F(BackupReadOnly, IsRestoredFromByPgBackRest) {
  if (detail::find_program("pgbackrest").empty())
    GTEST_SKIP() << "pgbackrest is not installed: apt-get install pgbackrest";
  set_up(BackupTool::pgbackrest);
  sql("create table t as select generate_series(1, 10) n");
  back_up();
  if (!make_read_only()) GTEST_SKIP() << kNoMount;
  // Its configuration names the folder, and is beside it.
  const fs::path from = folder_ / "backups.pgbackrest.conf";
  if (fs::path(*settings_.dir).filename() == "seen") {
    std::string text = detail::read_text(from);
    for (std::size_t at = 0; (at = text.find("/backups/", at)) != std::string::npos;) text.replace(at, 9, "/seen/");
    fs::copy(from, folder_ / "seen.pgbackrest.conf");
    std::ofstream(folder_ / "seen.pgbackrest.conf", std::ios::trunc) << text;
    const auto user = detail::unprivileged_user();
    ASSERT_TRUE(!user || ::chown((folder_ / "seen.pgbackrest.conf").c_str(), user->uid, user->gid) == 0);
  }
  EXPECT_THAT(check(true).problems, IsEmpty());
  const Restored restored = restore({.into = folder_ / "restored"});
  EXPECT_THAT(restored.problems, ElementsAre(AllOf(HasSubstr("cannot be written"), HasSubstr("archive-push"))));
  EXPECT_EQ(start_on(folder_ / "restored")->run_sql("ashlar", "select count(*) from t"), "10");
}

// As somebody who may read the folder and not write into it.
TEST(FolderLock, IsSharedByWhoMayOnlyRead) {
  const fs::path folder = test::make_test_folder();
  constexpr auto kReadByAll = fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read;
  fs::permissions(folder, kReadByAll | fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  using detail::FolderLock;
  const auto as_reader = [&](auto work) {
    const auto user = detail::unprivileged_user();
    if (user) {
      ::setfsuid(user->uid);  // of this thread alone, with what root may do to files
    } else {
      fs::permissions(folder, fs::perms::owner_write, fs::perm_options::remove);
      if (fs::exists(folder / "lock")) fs::permissions(folder / "lock", fs::perms::owner_read);
    }
    EXPECT_NO_THROW(work());
    if (user) ::setfsuid(0);
    if (!user) fs::permissions(folder, fs::perms::owner_write, fs::perm_options::add);
  };
  as_reader([&] {
    const FolderLock one(folder, FolderLock::Mode::shared, {});
    const FolderLock other(folder, FolderLock::Mode::shared, {});
    EXPECT_THROW(FolderLock(folder, FolderLock::Mode::alone, {}), Invalid);
  });
  EXPECT_FALSE(fs::exists(folder / "lock"));
  {
    const FolderLock writer(folder, FolderLock::Mode::alone, {});
    fs::permissions(folder / "lock", kReadByAll | fs::perms::owner_write);
    as_reader([&] { EXPECT_THROW(FolderLock(folder, FolderLock::Mode::shared, {}), Conflict); });
  }
  as_reader([&] {
    const FolderLock reader(folder, FolderLock::Mode::shared, {});
    const int writer = ::open((folder / "lock").c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_NE(::flock(writer, LOCK_EX | LOCK_NB), 0) << "it is seen by who writes";
    ::close(writer);
  });
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ashlar::pg
