#include <ashlar/http/file_cache.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::http {
namespace {

// Without O_NONBLOCK a pipe would hold the thread up until somebody writes to it.
constexpr int kRead = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

std::string key_of(const FilePlace& place) {
  std::string key;
  key.reserve(place.root.size() + place.path.size() + 2);
  key.append(place.root).push_back('\0');
  key.append(place.path).push_back(place.siblings ? '+' : '-');
  return key;
}

[[noreturn]] void throw_exhausted(int error) {
  throw Unavailable(fmt::format("a file cannot be opened now: {}", std::strerror(error)));
}

// For kernels before 5.6, and where a sandbox forbids openat2: every component for itself, no link followed.
int open_step_by_step(int root, std::string_view path) {
  net::Fd at(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  while (at) {
    const std::size_t slash = path.find('/');
    const std::string name(path.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    if (name.empty() || name == "." || name == "..") return errno = EXDEV, -1;
    net::Fd next(::openat(at.get(), name.c_str(), O_NOFOLLOW | (last ? kRead : O_PATH | O_DIRECTORY | O_CLOEXEC)));
    if (last) return next.release();
    at = std::move(next);
    path.remove_prefix(slash + 1);
  }
  return -1;
}

int open_beneath(int root, const std::string& path) {
  open_how how{};
  how.flags = kRead;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int turn = 0; turn < 8; ++turn) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno == ENOSYS || errno == EPERM) return open_step_by_step(root, path);
    if (errno != EAGAIN && errno != EINTR) return -1;  // EAGAIN: something was renamed on the way
  }
  return -1;
}

void read_whole(int fd, OpenFile& file) {
  std::size_t got = 0;
  file.bytes.resize_and_overwrite(file.size, [&](char* data, std::size_t size) {
    while (got < size) {
      const ssize_t bytes = ::pread(fd, data + got, size - got, static_cast<off_t>(got));
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0) break;
      got += static_cast<std::size_t>(bytes);
    }
    return got;
  });
  file.size = got;  // it may have become shorter since
}

bool same(const timespec& a, const timespec& b) noexcept { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }
bool older(const timespec& a, const timespec& b) noexcept {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// What a descriptor from open() is; a file that is as it was `before` is not read again.
OpenFile examine(net::Fd fd, const OpenFile* before, std::size_t small_file, std::string_view suffix = {}) {
  OpenFile file;
  if (!fd) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) throw_exhausted(errno);
    return file;
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return file;
  if (S_ISDIR(status.st_mode)) {
    file.kind = OpenFile::Kind::directory;
    return file;
  }
  if (!S_ISREG(status.st_mode)) return file;
  file.kind = OpenFile::Kind::file;
  file.size = static_cast<std::uint64_t>(status.st_size);
  file.modified = status.st_mtim;
  file.changed = status.st_ctim;
  file.inode = status.st_ino;
  if (before != nullptr && before->kind == file.kind && before->inode == file.inode && before->size == file.size &&
      same(before->modified, file.modified) && same(before->changed, file.changed)) {
    return *before;
  }
  if (file.size <= small_file) {
    read_whole(fd.get(), file);
  } else {
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    ::posix_fadvise(fd.get(), 0, 1024 * 1024, POSIX_FADV_WILLNEED);
    file.fd = std::make_shared<const net::Fd>(std::move(fd));
  }
  file.etag = fmt::format("\"{:x}-{:x}{}\"", file.size,
                          static_cast<std::uint64_t>(file.modified.tv_sec) * 1'000'000'000 +
                              static_cast<std::uint64_t>(file.modified.tv_nsec),
                          suffix);
  return file;
}

constexpr std::string_view suffix_of(ContentCoding coding) noexcept {
  return coding == ContentCoding::br ? ".br" : coding == ContentCoding::zstd ? ".zst" : ".gz";
}

std::size_t memory_of(const FileSet& files) noexcept {
  std::size_t bytes = files.plain.bytes.size();
  for (const auto& [coding, file] : files.encoded) bytes += file.bytes.size();
  return bytes;
}

}  // namespace

FileCache& FileCache::shared() {
  static FileCache cache;
  return cache;
}

FileSet FileCache::look(const FilePlace& place, const FileSet* before) const {
  FileSet found;
  if (place.path.find('\0') != std::string::npos) return found;
  net::Fd root;
  if (!place.root.empty()) {
    root = net::Fd(::open(place.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) throw_exhausted(errno);
      return found;
    }
  }
  const auto open = [&](const std::string& path) {
    if (!root) return net::Fd(::open(path.c_str(), kRead));
    return net::Fd(options_.follow_links ? open_beneath(root.get(), path) : open_step_by_step(root.get(), path));
  };
  found.plain = examine(open(place.path), before != nullptr ? &before->plain : nullptr, options_.small_file);
  if (!place.siblings || found.plain.kind != OpenFile::Kind::file) return found;
  for (std::size_t i = 0; i < found.encoded.size(); ++i) {
    auto& [coding, file] = found.encoded[i];
    file = examine(open(place.path + std::string(suffix_of(coding))),
                   before != nullptr ? &before->encoded[i].second : nullptr, options_.small_file, suffix_of(coding));
    if (file.kind != OpenFile::Kind::file || older(file.modified, found.plain.modified)) file = OpenFile{};
  }
  return found;
}

std::shared_ptr<const FileSet> FileCache::known(const FilePlace& place, async::TimePoint asked) {
  const std::string key = key_of(place);
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(std::string_view(key));
  if (found == by_key_.end() || found->second->checked + options_.recheck < asked) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->files;
}

Task<std::shared_ptr<const FileSet>> FileCache::find(FilePlace place) {
  const async::TimePoint asked = async::Clock::now();
  if (auto files = known(place, asked)) co_return files;
  std::string key = key_of(place);
  std::shared_ptr<const FileSet> before;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(std::string_view(key));
    if (found != by_key_.end()) before = found->second->files;
  }
  auto files = co_await async::offload([&] { return std::make_shared<const FileSet>(look(place, before.get())); });
  keep(std::move(key), files, async::Clock::now());
  co_return files;
}

void FileCache::keep(std::string key, std::shared_ptr<const FileSet> files, async::TimePoint checked) {
  const std::size_t memory = memory_of(*files);
  std::list<Entry> gone;  // closed after the lock
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(std::string_view(key)); found != by_key_.end()) {
    const auto at = found->second;
    by_key_.erase(found);
    memory_ -= at->memory;
    gone.splice(gone.begin(), entries_, at);
  }
  entries_.push_front({std::move(key), std::move(files), checked, memory});
  by_key_.emplace(entries_.front().key, entries_.begin());
  memory_ += memory;
  while (entries_.size() > 1 && (entries_.size() > options_.entries || memory_ > options_.memory)) {
    by_key_.erase(std::string_view(entries_.back().key));
    memory_ -= entries_.back().memory;
    gone.splice(gone.begin(), entries_, std::prev(entries_.end()));
  }
}

void FileCache::clear() {
  const std::lock_guard lock(mutex_);
  by_key_.clear();
  entries_.clear();
  memory_ = 0;
}

std::pair<std::size_t, std::size_t> FileCache::size() const {
  const std::lock_guard lock(mutex_);
  return {entries_.size(), memory_};
}

Representation represent(const std::shared_ptr<const FileSet>& files, const OpenFile& which,
                         std::string_view content_type) {
  Representation made;
  made.content_type = content_type;
  made.etag = which.etag;
  made.last_modified = which.modified.tv_sec;
  if (which.fd != nullptr) {
    made.file.emplace(which.fd, 0, which.size);
  } else {
    made.bytes = which.bytes;
    made.owner = files;
  }
  return made;
}

}  // namespace ashlar::http
