#include <ashlar/pg/detail/backup_pgbackrest.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/schema/json.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

constexpr std::string_view kStanza = "ashlar";

// What `info --output=json` says, as far as it is used.
struct InfoRange {
  std::optional<std::string> start, stop;
};
struct InfoTime {
  std::int64_t start = 0, stop = 0;
};
struct InfoDelta {
  std::int64_t delta = 0;
};
struct InfoSize {
  std::int64_t size = 0;
  InfoDelta repository;
};
struct InfoBackup {
  std::string label;
  std::string type;
  std::optional<bool> error;
  InfoRange archive;
  std::optional<InfoRange> lsn;
  InfoTime timestamp;
  InfoSize info;
};
struct InfoStatus {
  int code = 0;
  std::string message;
};
struct InfoStanza {
  std::string name;
  std::vector<InfoBackup> backup;
  InfoStatus status;
};

std::string program() {
  const fs::path found = find_program("pgbackrest");
  if (found.empty())
    throw Unavailable("these backups are made by pgBackRest, which is not installed: `apt-get install pgbackrest`");
  return found.string();
}

DateTime of_seconds(std::int64_t seconds) { return DateTime{seconds * 1'000'000}; }

/// The value of a line "NAME=VALUE", or "".
std::string value_in(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == '=')
      return line.substr(name.size() + 1);
  }
  return {};
}

Backup backup_of(const InfoBackup& info, int server_version) {
  Backup out{.id = info.label,
             .kind = info.type == "full" ? BackupKind::full : BackupKind::incremental,
             .started = of_seconds(info.timestamp.start),
             .finished = of_seconds(info.timestamp.stop),
             .stored_bytes = info.info.repository.delta,
             .data_bytes = info.info.size,
             .server_version = server_version};
  if (info.lsn) {
    out.first_lsn = info.lsn->start.value_or("");
    out.last_lsn = info.lsn->stop.value_or("");
  }
  const std::string piece = info.archive.start.value_or("").substr(0, 8);
  std::from_chars(piece.data(), piece.data() + piece.size(), out.timeline, 16);
  return out;
}

/// For a command of PostgreSQL's settings: nothing in it is taken for anything else.
std::string word_of_shell(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += R"('\'')";
    } else {
      out += c;
    }
    if (c == '%') out += '%';
  }
  return out + "'";
}

/// Its user's password, if the socket wants one; where the server is, the configuration says.
std::vector<std::string> secrets_of(const ConnectOptions& connect) {
  if (connect.password.empty()) return {};
  return {"PGPASSWORD=" + connect.password};
}

}  // namespace

fs::path PgBackRest::configuration() const { return repository_.folder().string() + ".pgbackrest.conf"; }

std::string PgBackRest::run(std::vector<std::string> arguments, std::string_view what,
                            std::vector<std::string> environment) const {
  std::error_code error;
  if (!fs::exists(configuration(), error))
    throw NotFound(fmt::format("{} is missing, without which nobody can read {}: put it back, or run `backup setup`",
                               configuration().string(), repository_.folder().string()));
  std::vector<std::string> all{program(), fmt::format("--config={}", configuration().string()),
                               fmt::format("--stanza={}", kStanza)};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Ended ended = run_program({std::move(all), std::move(environment), repository_.user()});
  if (ended.well()) return ended.output;
  // Its words for a wrong key are of ciphers and formats.
  const bool key =
      ended.output.find("CryptoError") != std::string::npos || ended.output.find("cipher") != std::string::npos;
  throw Internal(fmt::format("{}: pgbackrest ended with {}{}:\n{}", what, describe_exit(ended.status),
                             key ? "; " + wrong_key() : "", last_lines(ended.output)));
}

std::string PgBackRest::wrong_key() const {
  return fmt::format("the key in {} (repo1-cipher-pass) is not the one that the backups were made with",
                     configuration().string());
}

void PgBackRest::set_up(const BackupSettings& settings, const ServerFacts& server,
                        const ConnectOptions& connect) const {
  (void)program();
  const std::string before = read_text(configuration());
  const std::string kept_key = value_in(before, "repo1-cipher-pass");
  std::string key = settings.passphrase ? settings.passphrase->reveal() : kept_key;
  if (!before.empty() && key != kept_key)
    throw Invalid(
        fmt::format("{} has another key than ASHLAR_BACKUP_PASSPHRASE, and what is kept already was made with "
                    "it: name another folder for new backups",
                    configuration().string()));
  if (key.find_first_of("\r\n") != std::string::npos) throw Invalid("ASHLAR_BACKUP_PASSPHRASE is one line");
  std::string text = fmt::format(
      "# Written by `backup setup`. It holds the key of the backups: keep a copy of it somewhere else.\n"
      "[global]\n"
      "repo1-path={0}/pgbackrest\n"
      "repo1-retention-full={1}\n"
      "lock-path={0}/pgbackrest-lock\n"
      "log-level-console=warn\n"
      "log-level-file=off\n"
      "compress-type=zst\n"
      "start-fast=y\n"
      "process-max=2\n",
      repository_.folder().string(), settings.keep);
  if (!key.empty()) text += fmt::format("repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass={}\n", key);
  text += fmt::format("\n[{}]\npg1-path={}\npg1-socket-path={}\npg1-port={}\npg1-user={}\npg1-database={}\n", kStanza,
                      server.data_folder, server.sockets.substr(0, server.sockets.find(',')),
                      connect.hosts.front().port, connect.user, connect.database);
  make_folder(repository_.folder() / "pgbackrest", repository_.user());
  make_folder(repository_.folder() / "pgbackrest-lock", repository_.user());
  write_durably(configuration(), text, repository_.user(), 0600);
  (void)run({"stanza-create"}, "pgBackRest could not be set up", secrets_of(connect));
}

std::string PgBackRest::archive_command() const {
  return fmt::format("{} --config={} --stanza={} archive-push \"%p\"", program(), configuration().string(), kStanza);
}
// PostgreSQL takes an exit code up to 125 for the end of the log, but pgBackRest says 1 when a piece is not there, and
// others when it cannot be read. That the bytes of a piece give the sum in its name it does not look at.
std::string PgBackRest::restore_command(const fs::path& data) const {
  return fmt::format(
      R"({} --config={} --stanza={} --pg1-path={} archive-get "%f" "%p"; s=$?; )"
      R"([ $s -eq 1 ] && exit 1; [ $s -eq 0 ] || exit 126; )"
      R"(set -- {}/pgbackrest/archive/{}/*/*/"%f"-*; [ -e "$1" ] || exit 0; )"
      R"(sum=$(sha1sum <"%p" | cut -c1-40); set -- {}/pgbackrest/archive/{}/*/*/"%f"-"$sum"*; [ -e "$1" ] && exit 0; )"
      R"(echo "restore-wal: %f is damaged" >&2; exit 126)",
      program(), configuration().string(), kStanza, word_of_shell(data.string()), repository_.folder().string(),
      kStanza, repository_.folder().string(), kStanza);
}

Backup PgBackRest::make(BackupKind kind, const BackupSettings& settings, const ServerFacts& server,
                        const ConnectOptions& connect) const {
  (void)run({fmt::format("--type={}", kind == BackupKind::full ? "full" : "incr"),
             fmt::format("--repo1-retention-full={}", settings.keep),
             fmt::format("--pg1-socket-path={}", server.sockets.substr(0, server.sockets.find(','))), "backup"},
            "no backup was made", secrets_of(connect));
  std::vector<Backup> all = backups();
  if (all.empty()) throw Internal("pgBackRest has made a backup, and does not list it");
  return std::move(all.back());
}

void PgBackRest::expire(unsigned keep) const {
  (void)run({fmt::format("--repo1-retention-full={}", keep), "expire"}, "nothing was removed");
}

std::vector<Backup> PgBackRest::backups() const {
  const std::string text = run({"--output=json", "info"}, "the backups cannot be listed");
  std::vector<InfoStanza> stanzas;
  schema::Errors errors;
  // With a wrong key it takes noise for text, and prints it.
  if (!schema::parse_json(text, stanzas, errors))
    throw Internal(fmt::format(
        "what pgBackRest says of {} cannot be read: {}", repository_.folder().string(),
        value_in(read_text(configuration()), "repo1-cipher-pass").empty() ? last_lines(text, 3) : wrong_key()));
  std::vector<Backup> out;
  const int version = repository_.identity().server_version;
  for (const InfoStanza& stanza : stanzas) {
    // 2: there are no backups yet.
    if (stanza.name == kStanza && stanza.status.code != 0 && stanza.status.code != 2)
      throw Internal(fmt::format("pgBackRest says of {}: {}{}", repository_.folder().string(), stanza.status.message,
                                 text.find("CryptoError") != std::string::npos ? "; " + wrong_key() : ""));
    for (const InfoBackup& backup : stanza.backup) {
      if (!backup.error.value_or(false)) out.push_back(backup_of(backup, version));
    }
  }
  std::ranges::sort(out, is_older);
  return out;
}

void PgBackRest::fetch(const Backup& backup, const fs::path& into, const fs::path& tablespaces) const {
  make_folder(tablespaces, repository_.user());  // which may not make it
  (void)run({"--set=" + backup.id, "--type=none", "--pg1-path=" + into.string(),
             "--tablespace-map-all=" + tablespaces.string(), "restore"},
            fmt::format("the backup {} could not be taken out", backup.id));
  std::error_code not_empty;
  fs::remove(tablespaces, not_empty);
}

void PgBackRest::fetch_history(const fs::path& data, std::string_view name, const fs::path& file) const {
  (void)run({"--pg1-path=" + data.string(), "archive-get", std::string(name), file.string()},
            fmt::format("{} cannot be read", name));
}

void PgBackRest::keep_history(const fs::path& data, const fs::path& file) const {
  (void)run({"--pg1-path=" + data.string(), "archive-push", file.string()}, "the new timeline cannot be kept");
}

std::vector<std::string> PgBackRest::damage() const {
  std::vector<std::string> out;
  try {
    std::istringstream lines(run({"--log-level-console=info", "verify"}, "damaged"));
    for (std::string line; std::getline(lines, line);) {
      const bool bad = line.find("invalid checksum") != std::string::npos || line.find("ERROR") != std::string::npos ||
                       line.find("missing") != std::string::npos;
      if (bad) out.push_back("damaged: " + line);
    }
  } catch (const Internal& error) {
    out.emplace_back(error.message());
  }
  return out;
}

}  // namespace ashlar::pg::detail
