#include <ashlar/async/offload.hpp>

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <ashlar/base/error.hpp>

namespace ashlar::async {
namespace {

constexpr std::size_t kQueueLimit = 1024;

class BlockingPool {
 public:
  BlockingPool() : limit_(std::max(4U, std::thread::hardware_concurrency())) {}
  ~BlockingPool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  void submit(detail::BlockingJob& job) {
    {
      const std::lock_guard lock(mutex_);
      if (stats_.queued >= kQueueLimit) {
        ++stats_.refused;
        throw Unavailable("too much blocking work is waiting for a thread; try again soon");
      }
      job.next = nullptr;
      *tail_ = &job;
      tail_ = &job.next;
      ++stats_.queued;
      if (idle_ < stats_.queued && threads_.size() < limit_) {
        threads_.emplace_back([this] { run(); });
        ++stats_.threads;
      }
    }
    work_.notify_one();
  }

  OffloadStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  void run() {
    sigset_t all;  // signals are for the loops' threads
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      work_.wait(lock, [&] { return head_ != nullptr || stopping_; });
      --idle_;
      if (head_ == nullptr) return;
      detail::BlockingJob* job = head_;
      head_ = job->next;
      if (head_ == nullptr) tail_ = &head_;
      --stats_.queued;
      ++stats_.running;
      lock.unlock();
      job->run(job);  // the job is gone after this
      lock.lock();
      --stats_.running;
      ++stats_.done;
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  detail::BlockingJob* head_ = nullptr;
  detail::BlockingJob** tail_ = &head_;
  std::vector<std::thread> threads_;
  std::size_t limit_;
  std::size_t idle_ = 0;
  OffloadStats stats_;
  bool stopping_ = false;
};

BlockingPool& pool() {
  static BlockingPool instance;
  return instance;
}

}  // namespace

OffloadStats offload_stats() noexcept { return pool().stats(); }

void detail::submit_blocking(BlockingJob& job) { pool().submit(job); }

}  // namespace ashlar::async
