// A cluster out of a backup: log is replayed up to a target by a server on a socket of its own, which nobody else can
// reach and which archives nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/process.hpp>

namespace ashlar::pg::detail {

struct Recovery {
  std::filesystem::path data;
  std::filesystem::path programs;
  std::optional<User> user;
  std::string superuser;
  std::string restore_command;  ///< empty: pgBackRest has written one
  RestoreTarget target;
  std::string timeline;  ///< empty: that of the backup
  bool durable = true;
};

/// Of log that was replayed, as the server's own log tells it.
struct Replayed {
  std::string reached_lsn;
  std::string last_piece;  ///< of the log that was read out of the archive
  std::optional<DateTime> last_transaction_at;
  std::uint32_t timeline = 0;
  std::uint64_t next_transaction = 0;
};

/// Blocks; only one thread at a time.
class ScratchServer {
 public:
  /// Starts to replay. Throws Internal.
  explicit ScratchServer(Recovery recovery);
  /// Ends it at once.
  ~ScratchServer();
  ScratchServer(const ScratchServer&) = delete;
  ScratchServer& operator=(const ScratchServer&) = delete;

  /// Until it answers queries: as long as that takes, with a line in our log each ten seconds. Throws Internal with the
  /// reason that the server gave.
  Replayed wait();
  /// An orderly end. Throws Internal when there is none.
  void stop();

  [[nodiscard]] std::string url(std::string_view database) const;
  /// For libpq's programs.
  [[nodiscard]] std::vector<std::string> environment(std::string_view database) const;
  [[nodiscard]] std::vector<BlockingClient::Row> query(std::string_view database, std::string_view sql) const;
  [[nodiscard]] const std::filesystem::path& log_file() const noexcept { return log_file_; }

 private:
  void launch();
  [[nodiscard]] std::string socket() const { return folder_ + "/.s.PGSQL.5432"; }
  [[noreturn]] void fail(int status) const;
  [[nodiscard]] Replayed replayed() const;

  Recovery recovery_;
  std::string folder_;  // of the socket and the configuration
  std::filesystem::path log_file_;
  pid_t pid_ = 0;
};

}  // namespace ashlar::pg::detail
