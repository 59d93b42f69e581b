#include <ashlar/app/uploads.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include <ashlar/app/call.hpp>
#include <ashlar/app/detail/form.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
const std::string kNone;

[[noreturn]] void throw_no_room() {
  Problem problem;
  problem.status = 507;
  problem.detail = "there is no room left to keep this file";
  throw problem;
}

// With errno.
[[noreturn]] void throw_failed(std::string_view what, const std::string& where) {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) throw_no_room();
  throw Internal(fmt::format("{} {}: {}", what, where, std::strerror(error)));
}

std::string random_name() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("{:016x}", random());
}

void write_all(int fd, std::string_view bytes, const std::string& where) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_failed("cannot write an upload to", where);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

std::string temporary_directory() {
  const char* const set = std::getenv("TMPDIR");
  return set != nullptr && *set != '\0' ? set : "/tmp";
}

// A file without a name, that is gone with its descriptor.
net::Fd open_nameless(const std::string& directory) {
  net::Fd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
  if (fd) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_failed("cannot keep uploads in", directory);
  const std::string name = directory + "/.upload-" + random_name();
  fd = net::Fd(::open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) throw_failed("cannot keep uploads in", directory);
  ::unlink(name.c_str());
  return fd;
}

/// A name beside the target, removed unless it became the target.
class Beside {
 public:
  explicit Beside(std::string target)
      : target_(std::move(target)), directory_(target_.substr(0, target_.rfind('/') + 1)) {
    if (directory_.empty()) directory_ = "./";
    name_ = directory_ + ".upload-" + random_name();
  }
  ~Beside() {
    if (made_) ::unlink(name_.c_str());
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  // Gives a name to a file that has none.
  bool link(int fd) {
    const std::string from = fmt::format("/proc/self/fd/{}", fd);
    made_ = ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name_.c_str(), AT_SYMLINK_FOLLOW) == 0;
    return made_;
  }
  net::Fd create() {
    net::Fd fd(::open(name_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    if (!fd) throw_failed("cannot save an upload as", target_);
    made_ = true;
    return fd;
  }
  void become_target(int fd) {
    if (::fsync(fd) != 0 || ::rename(name_.c_str(), target_.c_str()) != 0) {
      throw_failed("cannot save an upload as", target_);
    }
    made_ = false;
    const net::Fd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) ::fsync(directory.get());
  }

 private:
  std::string target_;
  std::string directory_;
  std::string name_;
  bool made_ = false;
};

}  // namespace

namespace detail {

void SpooledFile::spool(std::string_view bytes, const std::string& directory) {
  const std::string where = directory.empty() ? temporary_directory() : directory;
  if (!fd_) {
    fd_ = open_nameless(where);
    write_all(fd_.get(), memory_, where);
    std::string().swap(memory_);
  }
  write_all(fd_.get(), bytes, where);
}

Task<void> SpooledFile::write(std::string_view bytes, const UploadOptions& options) {
  if (!fd_ && memory_.size() + bytes.size() <= options.in_memory) {
    memory_ += bytes;
  } else {
    co_await async::offload([&] { spool(bytes, options.directory); });
  }
  size_ += bytes.size();
}

void SpooledFile::read(std::uint64_t at, std::size_t size, std::string& out) const {
  const std::size_t had = out.size();
  std::size_t got = 0;
  out.resize_and_overwrite(had + size, [&](char* data, std::size_t) {
    while (got < size) {
      const ssize_t bytes = ::pread(fd_.get(), data + had + got, size - got, static_cast<off_t>(at + got));
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0) break;
      got += static_cast<std::size_t>(bytes);
    }
    return had + got;
  });
  if (got != size) throw Internal("an upload that was kept on disk cannot be read");
}

void SpooledFile::save_as(const std::string& path) const {
  Beside beside(path);
  if (fd_ && beside.link(fd_.get())) return beside.become_target(fd_.get());
  const net::Fd to = beside.create();
  if (!fd_) write_all(to.get(), memory_, path);
  for (std::uint64_t at = 0; fd_ && at < size_;) {
    std::string piece;
    read(at, std::min<std::uint64_t>(kPiece, size_ - at), piece);
    write_all(to.get(), piece, path);
    at += piece.size();
  }
  beside.become_target(to.get());
}

}  // namespace detail

namespace {

Generator<std::string> file_pieces(std::shared_ptr<const detail::SpooledFile> file) {
  for (std::uint64_t at = 0; file != nullptr && at < file->size();) {
    std::string piece;
    const std::size_t size = std::min<std::uint64_t>(kPiece, file->size() - at);
    if (file->in_memory()) {
      piece = file->memory().substr(at, size);
    } else {
      co_await async::offload([&] { file->read(at, size, piece); });
    }
    at += piece.size();
    co_yield std::move(piece);
  }
}

Task<std::string> read_file(std::shared_ptr<const detail::SpooledFile> file, std::uint64_t most) {
  std::string content;
  if (file == nullptr) co_return content;
  if (file->size() > most) throw TooLarge(fmt::format("the file {} is larger than {} bytes", file->filename, most));
  if (file->in_memory()) co_return file->memory();
  co_await async::offload([&] { file->read(0, file->size(), content); });
  co_return content;
}

Task<void> save_file(std::shared_ptr<const detail::SpooledFile> file, std::string path) {
  if (file == nullptr) throw Internal("there is no upload to save: the member is empty");
  co_await async::offload([&] { file->save_as(path); });
}

}  // namespace

const std::string& UploadedFile::filename() const noexcept { return file_ != nullptr ? file_->filename : kNone; }
const std::string& UploadedFile::content_type() const noexcept {
  return file_ != nullptr ? file_->content_type : kNone;
}
std::uint64_t UploadedFile::size() const noexcept { return file_ != nullptr ? file_->size() : 0; }
Task<std::string> UploadedFile::read(std::uint64_t most) const { return read_file(file_, most); }
Generator<std::string> UploadedFile::pieces() const { return file_pieces(file_); }
Task<void> UploadedFile::save_as(std::string path) const { return save_file(file_, std::move(path)); }

// ---- bodies as they come

Task<std::string_view> BodyStream::next() {
  if (body_ == nullptr) co_return std::string_view();
  co_return co_await body_->next();
}
std::optional<std::uint64_t> BodyStream::length() const noexcept {
  return body_ != nullptr ? body_->length() : std::optional<std::uint64_t>(0);
}

struct MultipartStream::Impl {
  detail::PartReader reader;
  bool in_part = false;
};

MultipartStream::MultipartStream() noexcept = default;
MultipartStream::MultipartStream(detail::Call& call) : impl_(new Impl{detail::PartReader(call)}) {}
MultipartStream::~MultipartStream() = default;
MultipartStream::MultipartStream(MultipartStream&&) noexcept = default;
MultipartStream& MultipartStream::operator=(MultipartStream&&) noexcept = default;

Task<bool> MultipartStream::next() {
  using Event = http::MultipartParser::Event;
  while (true) {
    const Event event = co_await impl_->reader.next();
    impl_->in_part = event == Event::part;
    if (event == Event::part || event == Event::end) co_return event == Event::part;
  }
}
Task<std::string_view> MultipartStream::read() {
  using Event = http::MultipartParser::Event;
  if (!impl_->in_part) co_return std::string_view();
  if (co_await impl_->reader.next() == Event::data) co_return impl_->reader.data();
  impl_->in_part = false;
  co_return std::string_view();
}
std::string_view MultipartStream::name() const noexcept { return impl_->reader.part().name; }
std::optional<std::string_view> MultipartStream::filename() const noexcept { return impl_->reader.part().filename; }
std::string_view MultipartStream::content_type() const noexcept { return impl_->reader.part().content_type; }

}  // namespace ashlar
