// Backups by pgBackRest: https://pgbackrest.org/configuration.html
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/backup_server.hpp>

namespace ashlar::pg::detail {

class PgBackRest {
 public:
  explicit PgBackRest(const BackupRepository& repository) : repository_(repository) {}

  /// Beside the folder of the backups and not in it: it holds their key.
  [[nodiscard]] std::filesystem::path configuration() const;
  /// Writes the configuration and makes the stanza; what is kept already keeps its key. Throws Invalid when another one
  /// is given, Internal with what pgBackRest said.
  void set_up(const BackupSettings& settings, const ServerFacts& server, const ConnectOptions& connect) const;

  [[nodiscard]] std::string archive_command() const;
  [[nodiscard]] std::string restore_command(const std::filesystem::path& data) const;

  /// Makes one and removes what is beyond `keep`. Gives the newest.
  [[nodiscard]] Backup make(BackupKind kind, const BackupSettings& settings, const ServerFacts& server,
                            const ConnectOptions& connect) const;
  void expire(unsigned keep) const;
  /// Oldest first. Throws Internal when they cannot be read, as with a wrong key.
  [[nodiscard]] std::vector<Backup> backups() const;
  /// Takes it out into an empty folder, every file compared with its sum; tablespaces into another.
  void fetch(const Backup& backup, const std::filesystem::path& into, const std::filesystem::path& tablespaces) const;
  /// Takes a history out into a file. Throws Internal.
  void fetch_history(const std::filesystem::path& data, std::string_view name, const std::filesystem::path& file) const;
  /// Keeps the history of a timeline that was begun in a restored cluster.
  void keep_history(const std::filesystem::path& data, const std::filesystem::path& file) const;
  /// What differs from what was written.
  [[nodiscard]] std::vector<std::string> damage() const;

 private:
  [[nodiscard]] std::string wrong_key() const;
  [[nodiscard]] std::string run(std::vector<std::string> arguments, std::string_view what,
                                std::vector<std::string> environment = {}) const;
  const BackupRepository& repository_;
};

}  // namespace ashlar::pg::detail
