#include <ashlar/async/runtime.hpp>

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

namespace ashlar::async {
namespace {

class StopAtEnd final : public Completion {
 public:
  explicit StopAtEnd(Loop& loop) : loop_(loop) {}
  void on_complete(std::exception_ptr error) noexcept override {
    error_ = std::move(error);
    loop_.stop();
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Loop& loop_;
  std::exception_ptr error_;
};

}  // namespace

void detail::run_on_loop(Loop& loop, Task<void> task) {
  StopAtEnd completion{loop};
  // Posted, not launched here: the task's first step needs Loop::current().
  loop.post([&] { launch(std::move(task), completion); });
  loop.run();
  completion.rethrow();
}

Runtime::Runtime(unsigned loops) {
  loops_.reserve(loops);
  for (unsigned i = 0; i < std::max(1U, loops); ++i) loops_.push_back(std::make_unique<Loop>(i));
}

Runtime::~Runtime() = default;

void Runtime::run(Task<void> task) {
  for (unsigned i = 1; i < size(); ++i) {
    threads_.emplace_back([loop = loops_[i].get()] { loop->run(); });
  }
  struct Join {
    Runtime& runtime;
    ~Join() {
      for (unsigned i = 1; i < runtime.size(); ++i) runtime.loop(i).stop();
      for (auto& thread : runtime.threads_) thread.join();
      runtime.threads_.clear();
    }
  } join{*this};
  async::run(*loops_[0], std::move(task));
}

// ---- Watchdog -------------------------------------------------------------------------------------------------------

namespace {

constexpr int kFrames = 48;

// One capture at a time: the watchdog's thread asks by a signal, the stuck thread answers from its handler.
struct StackCapture {
  void* frames[kFrames];
  std::atomic<int> count{-1};
};
std::atomic<StackCapture*> capture_request{nullptr};

int capture_signal() { return SIGRTMIN + 3; }

void on_capture_signal(int) {
  StackCapture* capture = capture_request.load(std::memory_order_acquire);
  if (capture == nullptr) return;
  capture->count.store(::backtrace(capture->frames, kFrames), std::memory_order_release);
}

std::string describe(const StackCapture& capture) {
  const int count = capture.count.load(std::memory_order_acquire);
  if (count <= 0) return {};
  std::string text;
  if (char** symbols = ::backtrace_symbols(capture.frames, count); symbols != nullptr) {
    for (int i = 2; i < count; ++i) {  // without the signal handler's own two frames
      text += symbols[i];
      text += '\n';
    }
    std::free(symbols);
  }
  return text;
}

}  // namespace

struct Watchdog::Impl {
  Runtime& runtime;
  std::chrono::milliseconds limit;
  std::function<void(const Stall&)> report;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;

  void run() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::vector<std::uint64_t> reported(runtime.size(), 0);
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, limit / 2, [&] { return stopping; })) {
      const auto now = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
      for (unsigned i = 0; i < runtime.size(); ++i) {
        Loop& loop = runtime.loop(i);
        const std::uint64_t since = loop.busy_since_ns();
        if (since == 0 || since == reported[i] || now < since) continue;
        const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(Nanoseconds(now - since));
        if (held < limit) continue;
        reported[i] = since;
        Stall stall{i, held, {}, stack_of(loop)};
        if (const char* route = loop.running_route(); route != nullptr) stall.route = route;
        report(stall);
      }
    }
  }

  static std::string stack_of(Loop& loop) {
    static StackCapture capture;  // static: a signal that arrives late still finds it
    capture.count.store(-1, std::memory_order_relaxed);
    capture_request.store(&capture, std::memory_order_release);
    if (::pthread_kill(static_cast<pthread_t>(loop.native_thread()), capture_signal()) != 0) return {};
    for (int i = 0; i < 200 && capture.count.load(std::memory_order_acquire) < 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    capture_request.store(nullptr, std::memory_order_release);
    return describe(capture);
  }
};

Watchdog::Watchdog(Runtime& runtime, std::chrono::milliseconds limit, std::function<void(const Stall&)> report)
    : impl_(new Impl{runtime, limit, std::move(report), {}, {}, false, {}}) {
  void* warm[2];
  ::backtrace(warm, 2);  // loads libgcc now: the handler must not allocate
  struct sigaction action{};
  action.sa_handler = &on_capture_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(capture_signal(), &action, nullptr);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

}  // namespace ashlar::async
