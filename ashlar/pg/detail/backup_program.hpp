// Programs that backups are made with: PostgreSQL's own, tar, gzip, pgBackRest.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/detail/process.hpp>

namespace ashlar::pg::detail {

struct Program {
  std::vector<std::string> arguments;    ///< [0] is the full path
  std::vector<std::string> environment;  ///< beside PATH and the locale
  std::optional<User> user;
  bool inherits_output = false;  ///< it speaks where we do, and `Ended` has nothing of it
};

struct Ended {
  int status = 0;
  std::string output;  ///< both streams; the last 16 kB
  [[nodiscard]] bool well() const noexcept { return status == 0; }
};

/// Runs a program to its end; blocks. Throws Internal when it cannot be started. It ends when this process does.
Ended run_program(const Program& program);
/// The same, and throws Internal, "WHAT: what the program said", when it fails.
std::string must_run(const Program& program, std::string_view what);

/// The folder of `postgres` of a major version; any that is there for 0. Throws Unavailable with the package's name.
std::filesystem::path server_programs(int major);
/// /usr/bin/NAME, by PATH; empty: not installed.
std::filesystem::path find_program(std::string_view name);

/// How libpq's programs reach the server: PGHOST, PGPASSWORD, …; nothing of it is on a command line.
std::vector<std::string> libpq_environment(const ConnectOptions& options);

/// For programs that wait for the server: a host that has gone without a word is noticed within a minute, and nobody
/// holds the repository for it. (PostgreSQL's manual, 34.1.2: the user's own settings come from the environment.)
inline constexpr std::string_view kNoticeLostHosts =
    "--dbname=keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=60000";

/// What pg_controldata says of a cluster, by its English names.
std::map<std::string, std::string, std::less<>> control_data(const std::filesystem::path& programs,
                                                             const std::filesystem::path& data,
                                                             const std::optional<User>& user);

/// Makes a folder with all above it, for the user servers run as. Throws Invalid.
void make_folder(const std::filesystem::path& folder, const std::optional<User>& user);
/// Writes a file whole, with a name only once it is on the disk. Throws Internal.
void write_durably(const std::filesystem::path& file, std::string_view text, const std::optional<User>& user,
                   unsigned mode = 0640);
/// fsync of a file or folder. Throws Internal.
void sync_path(const std::filesystem::path& path);
/// Throws Internal when it cannot be read.
std::string sha256_of(const std::filesystem::path& file);
/// Everything in a file, or "" when there is none.
std::string read_text(const std::filesystem::path& file);
[[nodiscard]] double seconds_since(std::chrono::steady_clock::time_point begin);
/// Its last lines, indented.
std::string last_lines(const std::string& text, std::size_t count = 15);

}  // namespace ashlar::pg::detail
