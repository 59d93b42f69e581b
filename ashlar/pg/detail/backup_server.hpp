// What backups ask of the server that runs.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::pg::detail {

struct ServerFacts {
  std::int32_t version = 0;
  std::string system_identifier;
  std::string data_folder;  ///< "": we may not know
  std::string sockets;      ///< folders, with commas
  std::string superuser;    ///< the one that initdb made
  std::string database;
  bool is_superuser = false;
  bool in_recovery = false;
  std::int64_t segment_bytes = 0;
  std::string wal_level;
  std::string archive_mode;
  std::string archive_command;
  std::int32_t archive_timeout = 0;
  std::string lsn;
  std::string piece;  ///< of the log that is written now; "" on a standby
  std::int32_t timeline = 0;
  std::string next_transaction;
  std::int64_t data_bytes = 0;
  std::int32_t tablespaces = 0;  ///< beside the two that every cluster has
  std::int32_t receivers = 0;    ///< pg_receivewal of ours
  std::int64_t failures = 0;     ///< of archiving
  std::string archived;
  std::string failed;
  std::optional<DateTime> archived_at;
  std::optional<DateTime> failed_at;
};

[[nodiscard]] Task<ServerFacts> ask_server(Db& db);
/// The number that the next transaction which writes will have.
[[nodiscard]] Task<std::uint64_t> next_transaction(Db& db);
/// `alter system set NAME = 'VALUE'`; the setting is one of ours.
[[nodiscard]] Task<void> alter_system(Db& db, std::string_view name, std::string_view value);
[[nodiscard]] Task<void> reload(Db& db);

/// Whether the database serves this loop.
[[nodiscard]] bool is_started(Db& db);

/// Runs `body()` with connections of this loop: those of a service that runs, else some for the time being.
template <class F>
Task<void> with_server(Db& db, F body) {
  if (is_started(db)) co_return co_await body();
  async::Loop& loop = async::Loop::current();
  std::exception_ptr error;
  co_await db.start_loop(loop);
  try {
    co_await body();
  } catch (...) {
    error = std::current_exception();
  }
  co_await async::shield(db.stop_loop(loop));
  if (error) std::rethrow_exception(error);
}

}  // namespace ashlar::pg::detail
