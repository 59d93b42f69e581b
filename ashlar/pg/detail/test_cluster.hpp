// For tests: a primary with standbys, on unix sockets in temporary folders, on this machine and without fsync.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/process.hpp>
#include <ashlar/pg/detail/test_folder.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/private_server.hpp>

namespace ashlar::pg::test {

/// Waits for it by asking again; fails the test after half a minute.
inline Task<bool> eventually(std::function<bool()> what) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!what()) {
    if (std::chrono::steady_clock::now() > give_up) {
      ADD_FAILURE() << "it has not come in 30 s";
      co_return false;
    }
    co_await async::sleep(std::chrono::milliseconds{5});
  }
  co_return true;
}

class TestCluster {
 public:
  struct Server {
    std::string name;
    std::filesystem::path folder;  // of a standby: to be removed
    std::unique_ptr<PrivateServer> server;
  };

  explicit TestCluster(std::size_t standbys) {
    primary_ = PrivateServer::start({.data = {}, .binaries = {}, .settings = settings("primary")});
    for (std::size_t i = 0; i < standbys; ++i) add_standby("standby" + std::to_string(i + 1), *primary_);
  }
  ~TestCluster() {
    for (Server& one : standbys_) {
      one.server->kill();
      one.server.reset();
      std::error_code ignored;
      std::filesystem::remove_all(one.folder, ignored);
    }
  }
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  [[nodiscard]] PrivateServer& primary() { return *primary_; }
  [[nodiscard]] PrivateServer& standby(std::size_t index = 0) { return *standbys_.at(index).server; }

  /// All of them, the primary first, and writes to whichever takes them.
  [[nodiscard]] std::string url() const {
    std::string hosts = primary_->socket_folder();
    for (const Server& one : standbys_) hosts += "," + one.server->socket_folder();
    return "postgresql:///ashlar?host=" + hosts + "&user=ashlar&target_session_attrs=read-write";
  }

  static void run(PrivateServer& server, std::string_view sql) { server.run_sql("ashlar", sql); }
  static std::string ask(PrivateServer& server, std::string_view sql) { return server.run_sql("ashlar", sql); }
  static void promote(PrivateServer& standby) { run(standby, "select pg_promote(true, 30)"); }
  static void pause_replay(PrivateServer& standby) {
    run(standby, "select pg_wal_replay_pause()");
    while (ask(standby, "select pg_get_wal_replay_pause_state()") != "paused") ::usleep(1000);
  }
  static void resume_replay(PrivateServer& standby) { run(standby, "select pg_wal_replay_resume()"); }

  /// Gives a server that is dead the data of another one, and starts it as its standby at its old address.
  void rejoin(PrivateServer& dead, PrivateServer& primary, const std::string& name) {
    std::filesystem::remove_all(dead.data());
    copy(primary, dead.data(), name);
    dead.restart();
  }

 private:
  static std::vector<std::pair<std::string, std::string>> settings(const std::string& name) {
    return {{"wal_level", "replica"},
            {"max_wal_senders", "10"},
            {"wal_keep_size", "64MB"},
            {"hot_standby", "on"},
            {"cluster_name", name},
            {"fsync", "off"},
            {"synchronous_commit", "on"},
            {"shared_buffers", "16MB"},
            {"wal_retrieve_retry_interval", "100ms"},
            {"wal_receiver_status_interval", "1s"}};
  }

  static void copy(PrivateServer& from, const std::filesystem::path& to, const std::string& name) {
    const auto user = detail::unprivileged_user();
    detail::Spawn spawn;
    spawn.arguments = {(PrivateServer::find_binaries() / "pg_basebackup").string(),
                       "--pgdata=" + to.string(),
                       "--dbname=host=" + from.socket_folder() + " user=ashlar application_name=" + name,
                       "--write-recovery-conf",
                       "--wal-method=stream",
                       "--checkpoint=fast",
                       "--no-sync"};
    spawn.environment = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"};
    spawn.user = user;
    spawn.output_file = to.string() + ".log";
    const int status = detail::wait_for(detail::spawn(spawn));
    if (status != 0) throw Internal("pg_basebackup failed: " + detail::describe_exit(status));
  }

  void add_standby(const std::string& name, PrivateServer& from) {
    const std::filesystem::path folder = make_test_folder();
    const auto user = detail::unprivileged_user();
    if (user && ::chown(folder.c_str(), user->uid, user->gid) != 0) throw Internal("cannot give the folder away");
    Server& one = standbys_.emplace_back(Server{name, folder, nullptr});
    copy(from, one.folder / "data", name);
    one.server = PrivateServer::start({.data = one.folder / "data", .binaries = {}, .settings = settings(name)});
  }

  std::unique_ptr<PrivateServer> primary_;
  std::vector<Server> standbys_;
};

}  // namespace ashlar::pg::test
