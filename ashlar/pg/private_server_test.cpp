#include <ashlar/pg/private_server.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_folder.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg {
namespace {

namespace fs = std::filesystem;

class PrivateServerTest : public ::testing::Test {
 protected:
  ~PrivateServerTest() override { fs::remove_all(folder_); }
  [[nodiscard]] PrivateServerOptions options() const { return {.data = folder_ / "postgres"}; }
  const fs::path folder_ = test::make_test_folder();
};

TEST_F(PrivateServerTest, KeepsItsDataAndStartsQuicklyTheSecondTime) {
  {
    auto server = PrivateServer::start(options());
    server->run_sql("ashlar", "create table kept as select 42 as n");
    EXPECT_LT(server->url().size(), 100U);
  }
  const auto begin = std::chrono::steady_clock::now();
  auto server = PrivateServer::start(options());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{2});
  EXPECT_EQ(server->run_sql("ashlar", "select n from kept"), "42");
}

TEST_F(PrivateServerTest, OfADatabaseThatIsThrownAwayKeepsNothing) {
  fs::path data;
  async::run([](const fs::path& kept, fs::path& used) -> Task<void> {
    Db db(Options{.url = "postgresql://nobody.invalid/elsewhere", .data = kept, .check_queries = false});
    EXPECT_TRUE(db.use_throwaway());
    co_await db.start();
    used = db.private_server()->data();
    EXPECT_EQ(db.private_server()->run_sql("ashlar", "show fsync"), "off");
    co_await db.stop();
  }(folder_ / "postgres", data));
  EXPECT_FALSE(data.empty());
  EXPECT_FALSE(fs::exists(data));
  EXPECT_FALSE(fs::exists(folder_ / "postgres"));
}

TEST_F(PrivateServerTest, CountsWhatStatementsCostWithoutATraceInTheDatabaseOfTheProgram) {
  static const Query<std::int64_t()> extensions{"select count(*) from pg_extension where extname <> 'plpgsql'"};
  async::run([](const fs::path& data) -> Task<void> {
    using namespace std::chrono_literals;
    Db db(Options{.data = data, .check_queries = false, .statistics_interval = 0ms});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    EXPECT_EQ(co_await db.one(extensions), 0);
    const Statistics found = co_await statistics(db, "top");
    EXPECT_THAT(found.notes, ::testing::IsEmpty());
    EXPECT_FALSE(found.tables.empty());
    EXPECT_EQ(co_await db.one(extensions), 0);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(folder_ / "postgres"));
}

TEST_F(PrivateServerTest, ASecondProgramAttachesAndLeavesItRunning) {
  auto first = PrivateServer::start(options());
  {
    auto second = PrivateServer::start(options());
    EXPECT_FALSE(second->owned());
    EXPECT_EQ(second->pid(), first->pid());
    EXPECT_EQ(second->run_sql("ashlar", "select 1"), "1");
  }
  EXPECT_EQ(first->run_sql("ashlar", "select 1"), "1");
}

TEST_F(PrivateServerTest, ComesBackAfterAKill) {
  auto server = PrivateServer::start(options());
  server->run_sql("ashlar", "create table kept as select 42 as n");
  server->kill();
  server.reset();
  server = PrivateServer::start(options());
  EXPECT_EQ(server->run_sql("ashlar", "select n from kept"), "42");
}

TEST_F(PrivateServerTest, DoesNotOutliveItsProgram) {
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "ThreadSanitizer allows no threads after a fork";
#endif
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const pid_t program = ::fork();
  if (program == 0) {
    int server_pid = 0;
    try {
      auto server = PrivateServer::start(options());
      server_pid = server->pid();
      [[maybe_unused]] const auto n = ::write(report[1], &server_pid, sizeof server_pid);
      ::raise(SIGKILL);
    } catch (...) {
    }
    ::_exit(1);
  }
  ::close(report[1]);
  int server_pid = 0;
  ASSERT_EQ(::read(report[0], &server_pid, sizeof server_pid), static_cast<ssize_t>(sizeof server_pid));
  ::close(report[0]);
  int status = 0;
  ::waitpid(program, &status, 0);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  const auto alive = [&] {
    if (::kill(server_pid, 0) != 0) return false;
    std::ifstream stat("/proc/" + std::to_string(server_pid) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(stat)), {});
    return text.find(") Z") == std::string::npos;
  };
  while (alive() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_FALSE(alive());
  auto server = PrivateServer::start(options());
  EXPECT_TRUE(server->owned());
}

TEST_F(PrivateServerTest, StartsAgainAtTheSameAddressWhenItCrashes) {
  auto server = PrivateServer::start(options());
  const std::string url = server->url();
  server->run_sql("ashlar", "create table kept as select 42 as n");
  const int crashed = server->pid();
  ::kill(crashed, SIGKILL);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  std::string kept;
  while (kept.empty() && std::chrono::steady_clock::now() < give_up) {
    try {
      kept = server->run_sql("ashlar", "select n from kept");
    } catch (const Unavailable&) {
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(kept, "42");
  EXPECT_NE(server->pid(), crashed);
  EXPECT_EQ(server->url(), url);
  server->stop();
  EXPECT_FALSE(server->running());
  EXPECT_EQ(PrivateServer::start(options())->url(), url);
}

TEST_F(PrivateServerTest, ProgramsThatStartAtTheSameTimeShareOne) {
  std::vector<std::unique_ptr<PrivateServer>> servers(3);
  {
    std::vector<std::jthread> threads;
    for (auto& server : servers) threads.emplace_back([&] { server = PrivateServer::start(options()); });
  }
  EXPECT_EQ(std::ranges::count_if(servers, [](const auto& server) { return server->owned(); }), 1);
  for (const auto& server : servers) EXPECT_EQ(server->run_sql("ashlar", "select 1"), "1");
}

TEST_F(PrivateServerTest, AFolderWithOtherThingsIsLeftAlone) {
  fs::create_directories(folder_ / "postgres");
  std::ofstream(folder_ / "postgres" / "thesis.txt") << "years of work";
  EXPECT_THROW(PrivateServer::start(options()), Internal);
  EXPECT_TRUE(fs::exists(folder_ / "postgres" / "thesis.txt"));
}

// Throwaway servers with a cache of their own.
class ThrowawayServer : public PrivateServerTest {
 protected:
  ThrowawayServer() {
    if (const char* const before = std::getenv("ASHLAR_CACHE_DIR"); before != nullptr) before_ = before;
    ::setenv("ASHLAR_CACHE_DIR", cache_.c_str(), 1);
  }
  ~ThrowawayServer() override {
    if (before_) {
      ::setenv("ASHLAR_CACHE_DIR", before_->c_str(), 1);
    } else {
      ::unsetenv("ASHLAR_CACHE_DIR");
    }
  }
  [[nodiscard]] std::vector<fs::path> images() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(cache_)) all.push_back(entry.path());
    return all;
  }
  static std::string one(PrivateServer& server) { return server.run_sql("ashlar", "select 1"); }

  const fs::path cache_ = folder_ / "cache";
  std::optional<std::string> before_;
};

TEST_F(ThrowawayServer, BeginsWithACopyOfWhatInitdbMadeTheFirstTime) {
  EXPECT_EQ(one(*PrivateServer::start()), "1");
  ASSERT_EQ(images().size(), 1U);
  EXPECT_FALSE(fs::exists(images()[0] / "postmaster.pid")) << "as initdb leaves it";
  std::ofstream(images()[0] / "mark") << "of the image";
  auto server = PrivateServer::start();
  EXPECT_TRUE(fs::exists(server->data() / "mark"));
  EXPECT_EQ(one(*server), "1");
  EXPECT_EQ(images().size(), 1U);
}

TEST_F(ThrowawayServer, IsGoneWithItsDataAtItsEnd) {
  auto server = PrivateServer::start();
  const fs::path data = server->data();
  const int pid = server->pid();
  server->run_sql("ashlar", "create table t as select generate_series(1, 10000)");
  server.reset();
  EXPECT_FALSE(fs::exists(data.parent_path()));
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(ThrowawayServer, DoesWithoutAnImageThatIsBrokenAndLeavesAWholeOne) {
  PrivateServer::start().reset();
  ASSERT_EQ(images().size(), 1U);
  fs::remove(images()[0] / "global" / "pg_control");
  EXPECT_EQ(one(*PrivateServer::start()), "1");
  ASSERT_EQ(images().size(), 1U);
  EXPECT_TRUE(fs::exists(images()[0] / "global" / "pg_control"));
  EXPECT_EQ(one(*PrivateServer::start()), "1");
}

TEST_F(ThrowawayServer, TakesNoImageFromAFolderThatOthersMayWriteIn) {
  fs::create_directory(cache_);
  fs::permissions(cache_, fs::perms::all);
  EXPECT_EQ(one(*PrivateServer::start()), "1");
  EXPECT_TRUE(images().empty());
}

TEST_F(ThrowawayServer, RemovesImagesThatNobodyHasUsedForAMonth) {
  fs::create_directory(cache_);
  fs::permissions(cache_, fs::perms::owner_all);
  for (const char* const name : {"postgres-old", "postgres-new", "other"}) fs::create_directory(cache_ / name);
  const auto month_ago = fs::file_time_type::clock::now() - std::chrono::hours{24 * 31};
  fs::last_write_time(cache_ / "postgres-old", month_ago);
  fs::last_write_time(cache_ / "other", month_ago);
  PrivateServer::start().reset();
  EXPECT_FALSE(fs::exists(cache_ / "postgres-old"));
  EXPECT_TRUE(fs::exists(cache_ / "postgres-new"));
  EXPECT_TRUE(fs::exists(cache_ / "other"));
  EXPECT_EQ(images().size(), 3U);
}

TEST(TestDatabase, IsACopyAndGoesAway) {
  auto server = test::server();
  server->create_database("prepared");
  server->run_sql("prepared", "create table t as select 7 as n");
  std::string name;
  {
    const TestDatabase database(server, "prepared");
    name = database.name();
    EXPECT_EQ(server->run_sql(name, "select n from t"), "7");
  }
  EXPECT_FALSE(server->database_exists(name));
  server->drop_database("prepared");
}

}  // namespace
}  // namespace ashlar::pg
