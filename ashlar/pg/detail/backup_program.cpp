#include <ashlar/pg/detail/backup_program.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/private_server.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

constexpr std::int64_t kOutputKept = 16 << 10;

/// A file of ours alone that a child's output goes to.
class OutputFile {
 public:
  OutputFile() {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) throw Internal(fmt::format("cannot make a file in /tmp: {}", std::strerror(errno)));
    ::close(fd);
  }
  ~OutputFile() { ::unlink(path_.c_str()); }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string end() const {
    std::ifstream in(path_, std::ios::binary | std::ios::ate);
    const auto size = static_cast<std::int64_t>(in.tellg());
    in.seekg(std::max<std::int64_t>(0, size - kOutputKept));
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::string path_ = "/tmp/ashlar-backup-XXXXXX";
};

Spawn spawn_of(const Program& program, const OutputFile& output) {
  Spawn spawn;
  spawn.arguments = program.arguments;
  spawn.environment = {
      fmt::format("PATH={}:/usr/local/bin:/usr/bin:/bin", fs::path(program.arguments[0]).parent_path().string()),
      "LC_ALL=C.UTF-8", "LANGUAGE=C", "TZ=UTC"};
  spawn.environment.insert(spawn.environment.end(), program.environment.begin(), program.environment.end());
  spawn.user = program.user;
  if (!program.inherits_output) spawn.output_file = output.path();
  spawn.death_signal = SIGTERM;
  return spawn;
}

}  // namespace

Ended run_program(const Program& program) {
  const OutputFile output;
  const int status = wait_for(spawn(spawn_of(program, output)));
  return {status, output.end()};
}

std::string must_run(const Program& program, std::string_view what) {
  Ended ended = run_program(program);
  if (ended.well()) return std::move(ended.output);
  throw Internal(fmt::format("{}: {} ended with {}:\n{}", what, fs::path(program.arguments[0]).filename().string(),
                             describe_exit(ended.status), last_lines(ended.output)));
}

fs::path server_programs(int major) {
  if (major == 0) {
    fs::path any = PrivateServer::find_binaries();
    if (any.empty()) throw Unavailable("no PostgreSQL is installed: `apt-get install postgresql`");
    return any;
  }
  for (const std::string& folder :
       {fmt::format("/usr/lib/postgresql/{}/bin", major), fmt::format("/usr/pgsql-{}/bin", major)}) {
    if (::access((fs::path(folder) / "postgres").c_str(), X_OK) == 0) return folder;
  }
  const fs::path any = PrivateServer::find_binaries();
  if (!any.empty()) {
    const Ended ended = run_program({{(any / "postgres").string(), "--version"}, {}, {}});
    if (ended.output.find(fmt::format(" {}.", major)) != std::string::npos) return any;
  }
  throw Unavailable(fmt::format(
      "this is of PostgreSQL {0}, whose programs are not on this machine: `apt-get install postgresql-{0}`", major));
}

fs::path find_program(std::string_view name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    fs::path file = fs::path(folder) / name;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

std::vector<std::string> libpq_environment(const ConnectOptions& options) {
  constexpr const char* kSystemCertificates = "/etc/ssl/certs/ca-certificates.crt";
  std::string hosts;
  std::string ports;
  for (const auto& [host, port] : options.hosts) {
    hosts += (hosts.empty() ? "" : ",") + host;
    ports += (ports.empty() ? "" : ",") + std::to_string(port);
  }
  std::vector<std::string> out{"PGHOST=" + hosts,
                               "PGPORT=" + ports,
                               "PGUSER=" + options.user,
                               "PGDATABASE=" + options.database,
                               "PGAPPNAME=ashlar_backup",
                               fmt::format("PGSSLMODE={}", to_string(options.ssl_mode)),
                               fmt::format("PGTARGETSESSIONATTRS={}", to_string(options.session))};
  if (!options.password.empty()) out.push_back("PGPASSWORD=" + options.password);
  const bool verifies = options.ssl_mode == SslMode::verify_ca || options.ssl_mode == SslMode::verify_full;
  if (!options.ssl_root_cert.empty()) {
    out.push_back("PGSSLROOTCERT=" + options.ssl_root_cert);
  } else if (verifies && ::access(kSystemCertificates, R_OK) == 0) {
    out.push_back(fmt::format("PGSSLROOTCERT={}", kSystemCertificates));  // where our own connections look, too
  }
  if (!options.ssl_cert.empty()) out.push_back("PGSSLCERT=" + options.ssl_cert);
  if (!options.ssl_key.empty()) out.push_back("PGSSLKEY=" + options.ssl_key);
  return out;
}

std::map<std::string, std::string, std::less<>> control_data(const fs::path& programs, const fs::path& data,
                                                             const std::optional<User>& user) {
  std::istringstream lines(must_run({{(programs / "pg_controldata").string(), data.string()}, {}, user},
                                    fmt::format("{} is no whole cluster", data.string())));
  std::map<std::string, std::string, std::less<>> out;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    out.emplace(line.substr(0, colon), value == std::string::npos ? "" : line.substr(value));
  }
  return out;
}

void make_folder(const fs::path& folder, const std::optional<User>& user) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  if (folder.has_parent_path() && folder.parent_path() != folder) make_folder(folder.parent_path(), user);
  if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST)
    throw Invalid(fmt::format("cannot make the folder {}: {}", folder.string(), std::strerror(errno)));
  if (user && ::lchown(folder.c_str(), user->uid, user->gid) != 0)
    throw Invalid(fmt::format("cannot give {} to {}: {}", folder.string(), user->name, std::strerror(errno)));
}

void sync_path(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!done) throw Internal(fmt::format("cannot bring {} to the disk: {}", path.string(), std::strerror(error)));
}

void write_durably(const fs::path& file, std::string_view text, const std::optional<User>& user, unsigned mode) {
  const fs::path fresh = file.parent_path() / fmt::format(".{}.{}", file.filename().string(), ::getpid());
  const auto fail = [&](const char* what) {
    const int error = errno;
    ::unlink(fresh.c_str());
    throw Internal(fmt::format("cannot {} {}: {}", what, file.string(), std::strerror(error)));
  };
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) fail("write");
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(fd, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    written += static_cast<std::size_t>(n);
  }
  const bool whole = written == text.size() && ::fchmod(fd, mode) == 0 &&
                     (!user || ::fchown(fd, user->uid, user->gid) == 0) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  if (!whole) fail("write");
  if (::rename(fresh.c_str(), file.c_str()) != 0) fail("name");
  sync_path(file.parent_path());
}

std::string sha256_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(), &::EVP_MD_CTX_free);
  if (!in) throw Internal(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
  if (context == nullptr || ::EVP_DigestInit_ex(context.get(), ::EVP_sha256(), nullptr) != 1)
    throw Internal("OpenSSL has no SHA-256");
  constexpr int kBlock = 1 << 20;
  std::vector<char> buffer(kBlock);
  while (in.read(buffer.data(), kBlock), in.gcount() > 0)
    ::EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(in.gcount()));
  if (in.bad()) throw Internal(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  ::EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::error_code ignored;
  // It must not be taken for one that is not there: a new one would be put in its place.
  if (!in && fs::exists(file, ignored)) throw Unavailable(fmt::format("{} cannot be read", file.string()));
  return {std::istreambuf_iterator<char>(in), {}};
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string last_lines(const std::string& text, std::size_t count) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  std::string out;
  for (std::size_t i = lines.size() > count ? lines.size() - count : 0; i < lines.size(); ++i)
    out += (out.empty() ? "  " : "\n  ") + lines[i];
  return out;
}

}  // namespace ashlar::pg::detail
