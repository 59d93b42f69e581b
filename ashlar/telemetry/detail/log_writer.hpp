// The bounded queue between those who log and the thread that writes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include <ashlar/telemetry/log.hpp>

namespace ashlar::log::detail {

class Writer {
 public:
  // Makes the line reported when `count` lines were lost.
  using ReportDropped = void (*)(std::uint64_t count, std::string& out);
  Writer(int fd, std::size_t queue_bytes, ReportDropped report);

  void set_target(int fd, std::size_t queue_bytes);
  // `line` ends in its only newline. Never waits for the output.
  void push(std::string_view line);
  bool flush(std::chrono::milliseconds timeout);
  Stats stats() const;
  // At exit: writes what waits for at most `timeout`; later lines are written by their own thread, or dropped when the
  // output is stuck.
  void close(std::chrono::milliseconds timeout);

  // Around fork(2): a child has no writer thread, makes its own, and leaves the waiting lines to its parent.
  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child();

 private:
  bool start();
  void run();
  // Whole lines a write(2), so that lines of several processes on one pipe do not mix. Gives the lines written.
  static std::uint64_t write_lines(int fd, std::string_view lines);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::string pending_;
  std::string writing_;  // the writer thread's
  std::uint64_t written_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t reported_ = 0;
  std::size_t limit_;
  ReportDropped report_;
  int fd_;
  bool started_ = false;
  bool waiting_ = false;
  bool busy_ = false;
  enum class Phase : std::uint8_t { open, direct, stuck } phase_ = Phase::open;
};

}  // namespace ashlar::log::detail
