#include <ashlar/telemetry/detail/log_writer.hpp>

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace ashlar::log::detail {
namespace {

std::uint64_t count_lines(std::string_view lines) {
  return static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
}

bool is_pipe(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

}  // namespace

Writer::Writer(int fd, std::size_t queue_bytes, ReportDropped report) : limit_(queue_bytes), report_(report), fd_(fd) {}

void Writer::set_target(int fd, std::size_t queue_bytes) {
  flush(std::chrono::seconds(2));
  std::lock_guard lock(mutex_);
  fd_ = fd;
  limit_ = queue_bytes;
}

void Writer::push(std::string_view line) {
  bool notify = false;
  {
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::direct) {
      std::uint64_t written = write_lines(fd_, line);
      written_ += written;
      dropped_ += 1 - written;
      return;
    }
    if (phase_ == Phase::stuck || pending_.size() + line.size() > limit_ || !start()) {
      ++dropped_;
      return;
    }
    pending_ += line;
    notify = waiting_;
    waiting_ = false;
  }
  if (notify) wake_.notify_one();
}

bool Writer::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [&] { return pending_.empty() && !busy_; });
}

Stats Writer::stats() const {
  std::lock_guard lock(mutex_);
  return {.written = written_, .dropped = dropped_};
}

void Writer::close(std::chrono::milliseconds timeout) {
  bool flushed = flush(timeout);
  ::signal(SIGPIPE, SIG_IGN);  // from here on other threads than ours write, and the process ends anyway
  std::lock_guard lock(mutex_);
  phase_ = flushed && !busy_ && pending_.empty() ? Phase::direct : Phase::stuck;
}

void Writer::after_fork_in_child() {
  // The parent's threads wait in these, ours do not.
  new (&wake_) std::condition_variable;
  new (&idle_) std::condition_variable;
  started_ = waiting_ = busy_ = false;
  pending_.clear();
  mutex_.unlock();
}

// Under mutex_.
bool Writer::start() {
  if (started_) return true;
  // Signals are for the threads that expect them, and a reader that went away is an error code, not a SIGPIPE.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // Detached: at exit nobody may wait for an output that is stuck. The writer is never destroyed.
  pthread_t thread;
  auto entry = [](void* writer) -> void* {
    static_cast<Writer*>(writer)->run();
    return nullptr;
  };
  started_ = ::pthread_create(&thread, nullptr, entry, this) == 0;
  if (started_) ::pthread_detach(thread);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started_;
}

void Writer::run() {
  std::string& batch = writing_;
  std::unique_lock lock(mutex_);
  while (true) {
    while (pending_.empty()) {
      waiting_ = true;
      wake_.wait(lock);
    }
    waiting_ = false;
    batch.clear();
    batch.swap(pending_);
    busy_ = true;
    if (std::uint64_t lost = dropped_ - reported_; lost != 0) {
      reported_ = dropped_;
      report_(lost, batch);
    }
    int fd = fd_;
    lock.unlock();
    std::uint64_t lines = count_lines(batch);
    std::uint64_t written = write_lines(fd, batch);
    lock.lock();
    written_ += written;
    dropped_ += lines - written;
    busy_ = false;
    if (pending_.empty()) idle_.notify_all();
  }
}

std::uint64_t Writer::write_lines(int fd, std::string_view lines) {
  // Up to PIPE_BUF bytes a write to a pipe is atomic: pipe(7).
  const std::size_t most = is_pipe(fd) ? PIPE_BUF : 64 * 1024;
  std::uint64_t written = 0;
  while (!lines.empty()) {
    std::size_t end = lines.size() <= most ? lines.size() : lines.rfind('\n', most - 1) + 1;
    if (end == 0) end = std::min(lines.find('\n'), lines.size() - 1) + 1;  // one long line
    std::string_view chunk = lines.substr(0, end);
    lines.remove_prefix(end);
    std::uint64_t count = count_lines(chunk);
    while (!chunk.empty()) {
      ssize_t n = ::write(fd, chunk.data(), chunk.size());
      if (n >= 0) {
        chunk.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
        ::poll(&ready, 1, -1);
      } else if (errno != EINTR) {
        return written;
      }
    }
    written += count;
  }
  return written;
}

}  // namespace ashlar::log::detail
