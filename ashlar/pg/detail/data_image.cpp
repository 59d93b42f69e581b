#include <ashlar/pg/detail/data_image.hpp>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <system_error>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

constexpr std::chrono::hours kUnused{24 * 30};
constexpr std::string_view kPrefix = "postgres-";

// FNV-1a: the same in every build.
class Digest {
 public:
  void add(std::string_view text) noexcept {
    for (const char c : text) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    value_ = (value_ ^ 0x100) * 0x100000001B3;  // an end, which is no byte
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325;
};

fs::path cache_folder() {
  if (const char* const named = std::getenv("ASHLAR_CACHE_DIR"); named != nullptr) return named;
  if (const char* const cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return fs::path(cache) / "ashlar";
  if (const char* const home = std::getenv("HOME"); home != nullptr && *home == '/')
    return fs::path(home) / ".cache" / "ashlar";
  return {};
}

// A server runs what is in it: nobody else may write there.
bool is_ours_alone(const fs::path& folder) {
  struct stat info{};
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
         (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

void empty(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) fs::remove_all(entry.path(), ignored);
}

void remove_unused(const fs::path& folder) {
  const auto long_ago = fs::file_time_type::clock::now() - kUnused;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::error_code error;
    const auto used = entry.last_write_time(error);
    if (!error && used < long_ago && entry.path().filename().string().starts_with(kPrefix))
      fs::remove_all(entry.path(), error);
  }
}

}  // namespace

fs::path image_of(const fs::path& binaries, const std::vector<std::string>& arguments) {
  const fs::path folder = cache_folder();
  if (folder.empty()) return {};
  std::error_code error;
  if (fs::create_directories(folder, error)) ::chmod(folder.c_str(), 0700);
  if (!is_ours_alone(folder)) return {};
  Digest digest;
  for (const char* const program : {"postgres", "initdb"}) {
    struct stat info{};
    const fs::path path = binaries / program;
    if (::stat(path.c_str(), &info) != 0) return {};
    digest.add(fmt::format("{} {} {}.{}", path.string(), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec));
  }
  for (const std::string& one : arguments) digest.add(one);
  return folder / fmt::format("{}{:016x}", kPrefix, digest.value());
}

bool copy_image(const fs::path& image, const fs::path& data, const std::optional<User>& user) {
  if (image.empty() || !is_ours_alone(image)) return false;
  try {
    fs::copy(image, data, fs::copy_options::recursive);
    if (user) {
      for (const auto& entry : fs::recursive_directory_iterator(data)) {
        if (::lchown(entry.path().c_str(), user->uid, user->gid) != 0)
          throw fs::filesystem_error("chown", std::error_code(errno, std::system_category()));
      }
    }
    std::error_code ignored;
    fs::last_write_time(image, fs::file_time_type::clock::now(), ignored);
    return true;
  } catch (const std::exception&) {  // removed meanwhile, or no room: initdb says what is wrong
    empty(data);
    return false;
  }
}

void keep_image(const fs::path& image, const fs::path& data) noexcept {
  if (image.empty()) return;
  std::string fresh;
  std::error_code error;
  try {
    fresh = image.string() + ".XXXXXX";
    if (::mkdtemp(fresh.data()) == nullptr) return;
    fs::copy(data, fresh, fs::copy_options::recursive);
    fs::rename(fresh, image);
    remove_unused(image.parent_path());
  } catch (const std::exception&) {  // another program was faster, or there is no room
    fs::remove_all(fresh, error);
  }
}

void drop_image(const fs::path& image) noexcept {
  std::error_code ignored;
  if (!image.empty()) fs::remove_all(image, ignored);
}

}  // namespace ashlar::pg::detail
