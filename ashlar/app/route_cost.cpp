#include <ashlar/app/detail/route_cost.hpp>

#include <cxxabi.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <thread>
#include <typeinfo>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client.hpp>

namespace ashlar::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::string_view kMiddleware = "middleware ";

// Of a thread that runs.
nanoseconds time_used(pthread_t thread) noexcept {
  clockid_t clock{};
  timespec time{};
  if (::pthread_getcpuclockid(thread, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return nanoseconds{0};
  return std::chrono::seconds{time.tv_sec} + nanoseconds{time.tv_nsec};
}

std::string type_name_of(const Middleware& middleware) {
  const char* const mangled = typeid(middleware).name();
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text{abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                         &std::free};
  std::string name = text ? text.get() : mangled;
  if (name.starts_with("ashlar::")) name.erase(0, 8);
  return name;
}

class Measured final : public Middleware {
 public:
  explicit Measured(std::shared_ptr<Middleware> inner)
      : inner_(std::move(inner)), name_(std::string(kMiddleware) + type_name_of(*inner_)) {}

  bool before(http::Exchange& exchange) override {
    const Running running(name_.c_str());
    return inner_->before(exchange);
  }
  void after(http::Exchange& exchange) noexcept override {
    const Running running(name_.c_str());
    inner_->after(exchange);
  }

 private:
  class Running {
   public:
    explicit Running(const char* name) noexcept : loop_(async::Loop::current_or_null()) {
      if (loop_ == nullptr) return;
      outer_ = loop_->running_route();
      loop_->set_running(name);
    }
    ~Running() {
      if (loop_ != nullptr) loop_->set_running(outer_);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    async::Loop* loop_;
    const char* outer_ = nullptr;
  };

  std::shared_ptr<Middleware> inner_;
  std::string name_;
};

}  // namespace

void CostTable::see(unsigned loop, bool busy, const char* running, nanoseconds used) {
  if (!busy) return;
  const std::lock_guard lock(mutex_);
  const nanoseconds since = used - std::exchange(loops_[loop], used);
  auto [at, added] = costs_.try_emplace(running);
  if (added && running != nullptr) {
    const std::string_view text = running;
    if (text.starts_with(kMiddleware)) {
      at->second.middleware = text.substr(kMiddleware.size());
    } else {
      const std::size_t space = std::min(text.find(' '), text.size());
      at->second.method = text.substr(0, space);
      at->second.route = text.substr(std::min(space + 1, text.size()));
    }
  }
  at->second.time += since;
}

void CostTable::collect(metrics::Collector& out) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [running, cost] : costs_) {
    const std::string_view part = running == nullptr ? "server" : cost.middleware.empty() ? "route" : "middleware";
    out.counter({.name = "ashlar.cpu", .help = "Processor time of the loops by what they ran, sampled.", .unit = "s"},
                std::chrono::duration<double>(cost.time).count(),
                {{"http.request.method", cost.method},
                 {"http.route", cost.route},
                 {"middleware", cost.middleware},
                 {"part", part}});
  }
}

struct RouteCost::Impl {
  async::Runtime& runtime;
  CostTable table;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;

  explicit Impl(async::Runtime& its_runtime) : runtime(its_runtime), table(its_runtime.size()) {
    for (unsigned i = 0; i < runtime.size(); ++i) table.begin(i, time_used_by(i));
    thread = std::thread([this] { run(); });
  }

  nanoseconds time_used_by(unsigned i) {
    const unsigned long native = runtime.loop(i).native_thread();
    return native == 0 ? nanoseconds{0} : time_used(static_cast<pthread_t>(native));
  }

  void run() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    // Not evenly, so as not to march in step with timers.
    std::minstd_rand chance;  // NOLINT(*-msc51-cpp): not secret, and the same each time
    std::uniform_int_distribution<int> pause{7, 13};
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, milliseconds{pause(chance)}, [&] { return stopping; })) {
      for (unsigned i = 0; i < runtime.size(); ++i) {
        const async::Loop& loop = runtime.loop(i);
        if (loop.busy_since_ns() == 0) continue;
        table.see(i, true, loop.running_route(), time_used_by(i));
      }
    }
  }
};

RouteCost::RouteCost(async::Runtime& runtime) : impl_(std::make_unique<Impl>(runtime)) {}

RouteCost::~RouteCost() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

void RouteCost::collect(metrics::Collector& out) const { impl_->table.collect(out); }

std::shared_ptr<Middleware> measured(std::shared_ptr<Middleware> middleware) {
  return std::make_shared<Measured>(std::move(middleware));
}

// ---- the table

namespace {

// One line of an exposition: `name{label="value",…} number`.
struct Sample {
  std::string_view name;
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;
  [[nodiscard]] std::string label(std::string_view key) const {
    const auto found = labels.find(key);
    return found == labels.end() ? std::string() : found->second;
  }
};

// False: it is none.
bool read_sample(std::string_view line, Sample& sample) {
  const std::size_t open = line.find('{');
  if (line.starts_with('#') || open == std::string_view::npos) return false;
  sample.name = line.substr(0, open);
  line.remove_prefix(open + 1);
  while (!line.starts_with('}')) {
    const std::size_t equals = line.find("=\"");
    if (equals == std::string_view::npos) return false;
    std::string& value = sample.labels[std::string(line.substr(0, equals))];
    line.remove_prefix(equals + 2);
    while (!line.empty() && line.front() != '"') {
      if (line.front() == '\\' && line.size() > 1) line.remove_prefix(1);
      value += line.front();
      line.remove_prefix(1);
    }
    if (line.empty()) return false;
    line.remove_prefix(1);
    if (line.starts_with(',')) line.remove_prefix(1);
  }
  line.remove_prefix(std::min<std::size_t>(2, line.size()));
  return std::from_chars(line.data(), line.data() + line.size(), sample.value).ec == std::errc{};
}

struct Line {
  std::string what;
  double time = 0;
  double requests = 0;
};

std::string duration_text(double seconds) {
  if (seconds >= 1) return fmt::format("{:.1f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.1f} µs", seconds * 1e6);
}

}  // namespace

std::string cost_table(std::string_view exposition) {
  std::map<std::string, Line> lines;  // several workers and statuses are added up
  double all = 0;
  while (!exposition.empty()) {
    const std::string_view line = exposition.substr(0, exposition.find('\n'));
    exposition.remove_prefix(std::min(line.size() + 1, exposition.size()));
    Sample sample;
    if (!read_sample(line, sample)) continue;
    const std::string route = fmt::format("{} {}", sample.label("http_request_method"), sample.label("http_route"));
    if (sample.name == "http_server_request_duration_seconds_count") lines[route].requests += sample.value;
    if (sample.name != "ashlar_cpu_seconds_total") continue;
    const std::string part = sample.label("part");
    const std::string key = part == "route"        ? route
                            : part == "middleware" ? std::string(kMiddleware) + sample.label("middleware")
                                                   : "the server itself";
    lines[key].time += sample.value;
    all += sample.value;
  }
  std::vector<Line> sorted;
  for (auto& [what, line] : lines) {
    line.what = what;
    if (line.time > 0) sorted.push_back(std::move(line));
  }
  if (sorted.empty()) return {};
  std::ranges::sort(sorted, std::greater<>{}, &Line::time);
  std::string out = fmt::format("{:>10}  {:>6}  {:>12}  {:>10}  {}\n", "CPU", "share", "requests", "each", "what");
  for (const Line& line : sorted) {
    const bool counted = line.requests > 0;
    out += fmt::format("{:>10}  {:>5.1f}%  {:>12}  {:>10}  {}\n", duration_text(line.time), 100 * line.time / all,
                       counted ? fmt::format("{:.0f}", line.requests) : "",
                       counted ? duration_text(line.time / line.requests) : "", line.what);
  }
  return out;
}

int print_route_cost(std::string url, std::string_view metrics_path) {
  if (metrics_path.empty()) throw Invalid("this program has no metrics: AppOptions::metrics_path is empty");
  while (url.ends_with('/')) url.pop_back();
  if (!url.ends_with(metrics_path)) url += metrics_path;
  http::ClientResponse answer;
  async::run([](std::string from, http::ClientResponse& to) -> Task<void> {
    http::Client client;
    to = co_await client.get(std::move(from));
  }(url, answer));
  if (answer.status != 200) throw Unavailable(fmt::format("{} answers {}", url, answer.status));
  const std::string table = cost_table(answer.body);
  if (table.empty()) {
    fmt::print(stderr, "{} tells no costs: start the service with --route-cost, and give it something to do\n", url);
    return 1;
  }
  fmt::print("{}", table);
  return 0;
}

}  // namespace ashlar::detail
