#include <ashlar/auth/local_secret.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/small_file.hpp>
#include <ashlar/schema/settings.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::auth {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& variable, int error) {
  throw Internal(
      fmt::format("cannot keep a secret in {}: {}; set {} instead", path.string(), std::strerror(error), variable));
}

std::string random_text() {
  std::string bytes(32, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1) {
    throw Internal("OpenSSL has no random bytes");
  }
  return base64url_encode(bytes);
}

// The file appears whole or not at all, so that nobody reads half a secret.
void make(const std::filesystem::path& path, const std::string& variable) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);  // open() reports what is wrong
  std::string draft = path.string() + ".XXXXXX";
  const int fd = ::mkstemp(draft.data());  // of mode 0600
  if (fd < 0) fail(path, variable, errno);
  const std::string text = random_text();
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  int error = written ? 0 : errno;
  ::close(fd);
  // Whoever comes first has made it.
  if (error == 0 && ::link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST) error = errno;
  ::unlink(draft.c_str());
  if (error != 0) fail(path, variable, error);
}

Secret<> from_file(const std::string& variable, const char* path) {
  std::string text = read_small_file(path, variable);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) throw Invalid(fmt::format("{}: {} is empty; it should hold the secret", variable, path));
  return Secret<>(std::move(text));
}

}  // namespace

Secret<> local_secret(const std::string& variable, std::filesystem::path folder) {
  schema::know_variable(variable);
  if (const char* value = std::getenv(variable.c_str())) {
    if (*value == '\0') throw Invalid(variable + " is set to nothing; unset it, or give it a secret");
    return Secret<>(value);
  }
  if (const char* path = std::getenv((variable + "_FILE").c_str())) return from_file(variable + "_FILE", path);
  if (folder.empty()) {
    const char* data = std::getenv("ASHLAR_DATA_DIR");
    folder = data != nullptr && *data != '\0' ? data : ".ashlar";
  }
  const std::filesystem::path path = folder / variable;
  const bool made = !std::filesystem::exists(path);
  if (made) make(path, variable);
  std::string text;
  errno = 0;
  if (!(std::ifstream(path) >> text)) fail(path, variable, errno != 0 ? errno : ENODATA);
  if (made) {
    log::warn("made a secret for this machine: set the variable where the program is deployed",
              {{"variable", variable}, {"path", path.string()}});
  }
  return Secret<>(std::move(text));
}

}  // namespace ashlar::auth
