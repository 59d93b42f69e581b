// For the tests of backups: a server of a test's own, small and without fsync, and folders that its user may enter.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_folder.hpp>
#include <ashlar/pg/private_server.hpp>

namespace ashlar::pg::test {

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    settings_.dir = (folder_ / "backups").string();
    server_ = start_server();
  }
  ~BackupTest() override {
    server_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  static std::unique_ptr<PrivateServer> start_server() {
    return PrivateServer::start({.settings = {{"wal_level", "replica"}, {"max_wal_senders", "4"}}});
  }
  /// On a restored folder, as a program would.
  static std::unique_ptr<PrivateServer> start_on(const std::filesystem::path& data) {
    return PrivateServer::start({.data = data, .settings = {{"fsync", "off"}, {"shared_buffers", "16MB"}}});
  }

  /// `function(backups)` against the server, on a loop of its own.
  template <class F>
  auto with_backups(F function) {
    std::optional<typename decltype(function(std::declval<Backups&>()))::value_type> result;
    async::run([](std::string url, BackupSettings settings, F& f, auto& out) -> Task<void> {
      Db db({.url = std::move(url), .check_queries = false});
      Backups backups(db, std::move(settings));
      out = co_await f(backups);
      co_await db.stop();
    }(server_->url(), settings_, function, result));
    return std::move(*result);
  }
  void set_up(std::optional<BackupTool> tool = BackupTool::plain) {
    (void)with_backups([&](Backups& backups) { return backups.set_up(tool); });
    server_->restart();
  }
  Backup back_up(BackupKind kind = BackupKind::full) {
    Backups::Made made = with_backups([&](Backups& backups) { return backups.make(kind); });
    EXPECT_TRUE(made.problems.empty()) << made.problems.front();
    return std::move(made.backup);
  }
  Restored restore(RestoreOptions options) {
    return with_backups([&](Backups& backups) { return backups.restore(options); });
  }
  BackupHealth check(bool verify = false) {
    return with_backups([&](Backups& backups) { return backups.check(verify); });
  }
  DrillReport drill(DrillOptions options = {}) {
    return with_backups([&](Backups& backups) { return backups.drill(options); });
  }
  /// What `function` throws, as text; "" and a failure when it does not.
  template <class F>
  static std::string failure(F function) {
    try {
      (void)function();
    } catch (const Error& error) {
      return error.message();
    }
    ADD_FAILURE() << "expected an error";
    return {};
  }

  std::string sql(std::string_view text) { return server_->run_sql("ashlar", text); }
  /// All that is committed is in the archive when it returns.
  void archive_all() {
    sql("select pg_create_restore_point('before the switch')");  // a piece with nothing in it is not ended
    const std::string piece = sql("select pg_walfile_name(pg_current_wal_insert_lsn())");
    sql("select pg_switch_wal()");
    wait_for_piece(piece);
  }
  void wait_for_piece(const std::string& piece) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!std::filesystem::exists(log() / (piece + ".gz")) && !std::filesystem::exists(log() / piece)) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << piece << " is not archived";
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
  [[nodiscard]] std::filesystem::path log() const { return std::filesystem::path(*settings_.dir) / "wal"; }
  [[nodiscard]] std::filesystem::path full(const Backup& backup) const {
    return std::filesystem::path(*settings_.dir) / "full" / backup.id;
  }

  const std::filesystem::path folder_ = make_test_folder();
  BackupSettings settings_;
  std::unique_ptr<PrivateServer> server_;
};

}  // namespace ashlar::pg::test
