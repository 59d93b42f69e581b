// PrivateServer: a PostgreSQL of the program's own, so that nothing has to be set up to begin: the installed binaries,
// data in one folder, reachable by a unix socket only, run as an unprivileged user even when the program is root.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::pg {

namespace detail {
class BlockingClient;
struct Spawn;
}  // namespace detail

struct PrivateServerOptions {
  /// Where the data lives. Empty: a throwaway server in a temporary folder, made for tests (no fsync; gone at the end).
  /// What initdb makes for it is kept in ASHLAR_CACHE_DIR (~/.cache/ashlar; set and empty: nowhere) and copied the next
  /// time.
  std::filesystem::path data;
  /// Folder of `postgres` and `initdb`; empty: the newest of /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, then PATH.
  std::filesystem::path binaries;
  /// More server settings, for example {{"max_connections", "200"}}.
  std::vector<std::pair<std::string, std::string>> settings;
  /// Database made when the data folder is made.
  std::string database = "ashlar";
};

/// All functions block (start takes 0.1 … 2 s): call them at start-up or through async::offload. Thread-safe after
/// start.
class PrivateServer {
 public:
  using Options = PrivateServerOptions;

  /// Starts the server, making its data folder first if needed, and waits until it accepts connections. When a server
  /// already runs on this data folder (another program's), attaches to it; `owned()` is then false. An owned server
  /// that ends by itself later is started again, at the same address, until stop() or kill(). Throws Unavailable or
  /// Internal with what to do: no binaries, folder not writable, version mismatch, not ready in 30 s (with the log's
  /// end).
  static std::unique_ptr<PrivateServer> start(Options options = {});
  /// stop()
  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  /// Fast shutdown: ends connections, writes a checkpoint, waits; after 10 s an immediate one. Throwaway data is
  /// removed.
  void stop() noexcept;
  /// Kills it at once, as a crash does; the data stays. For tests of recovery.
  void kill() noexcept;
  /// Starts it again on the same data and socket after stop() or kill().
  void restart();

  /// postgresql:///database?host=/socket/dir&user=ashlar
  [[nodiscard]] std::string url(std::string_view database = {}) const;
  [[nodiscard]] const std::filesystem::path& data() const noexcept { return data_; }
  [[nodiscard]] const std::string& socket_folder() const noexcept { return socket_folder_; }
  [[nodiscard]] std::filesystem::path log_file() const { return data_ / "postgresql.log"; }
  [[nodiscard]] int pid() const noexcept { return pid_.load(); }
  [[nodiscard]] bool owned() const noexcept { return owned_; }
  /// Attached to a server that our parent process owns: a supervisor of workers.
  [[nodiscard]] bool of_parent() const noexcept { return of_parent_; }
  [[nodiscard]] bool running() const noexcept { return running_.load(); }
  [[nodiscard]] const std::string& database() const noexcept { return options_.database; }
  /// Decisions worth telling the user, such as data that had to be put elsewhere.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// `create database name template …`; the template must have no connections. 10 … 40 ms for a small one.
  void create_database(std::string_view name, std::string_view from_template = {});
  /// Drops it, ending its connections.
  void drop_database(std::string_view name);
  [[nodiscard]] bool database_exists(std::string_view name);
  /// Runs SQL in a database by the simple protocol and gives the first column of the first row, or "".
  std::string run_sql(std::string_view database, std::string_view sql);

  /// The folder with `postgres` and `initdb`, or empty.
  [[nodiscard]] static std::filesystem::path find_binaries();

 private:
  explicit PrivateServer(Options options);
  void prepare_folder();
  /// True: from an image.
  bool initialise(bool from_image);
  bool attach();
  void launch();
  void wait_ready();
  std::string administer(std::string_view sql);
  void end(int signal) noexcept;
  [[nodiscard]] std::string socket_path() const;
  [[nodiscard]] std::string port() const;
  [[nodiscard]] std::string log_end() const;

  static constexpr std::string_view kUser = "ashlar";
  struct Child;
  void keep(Child& child, const detail::Spawn& spawn);
  Options options_;
  bool throwaway_ = false;
  bool owned_ = true;
  bool of_parent_ = false;
  std::filesystem::path data_;
  std::string socket_folder_;
  std::vector<std::string> notes_;
  std::atomic<int> pid_{0};
  std::atomic<bool> running_{false};
  std::shared_ptr<Child> child_;
  std::mutex administering_;
  std::unique_ptr<detail::BlockingClient> administrator_;  // of a throwaway server, for the next one
};

/// A database of one's own for a test: a copy of a template database, dropped at the end.
class TestDatabase {
 public:
  TestDatabase(std::shared_ptr<PrivateServer> server, std::string_view from_template);
  TestDatabase(TestDatabase&& other) noexcept = default;
  TestDatabase& operator=(TestDatabase&& other) noexcept = default;
  ~TestDatabase();
  [[nodiscard]] std::string url() const { return server_->url(name_); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  std::shared_ptr<PrivateServer> server_;
  std::string name_;
};

}  // namespace ashlar::pg
