#include <ashlar/app/detail/bench_command.hpp>

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

constexpr const char* kHelp =
    R"(Measure how fast each operation is, with requests made from the service's own OpenAPI document

Requests that fit are sent within this process, to the whole chain of middleware, dependencies and handler, on one
thread and without a socket: the numbers are those of your code, and of what it asks (the database), not of the network.
The time to make a request is in them. Each operation is asked for --time seconds by --concurrency requests at once,
the next one when one is answered.

  per s        requests answered in a second
  CPU          of this thread, a request; the rest of the time it waited, for the database or for its turn
  p50 p99 max  from asking to the answer
  2xx 4xx 5xx  how it was answered; 4xx often says that what chance named in the path is not there

Without --writes only GET: nothing is changed. With it, what paths name is made first where the document says how.)";

constexpr std::size_t kRequests = 64;  // different ones of an operation
constexpr std::size_t kTries = 4000;   // to make them

struct BenchResult {
  std::string operation;
  std::size_t requests = 0;
  double per_second = 0, cpu_micros = 0, p50_micros = 0, p99_micros = 0, max_micros = 0;
  std::size_t answers_2xx = 0, answers_3xx = 0, answers_4xx = 0, answers_5xx = 0;
  std::string note;  // why there are no numbers
  static constexpr SchemaOptions schema{.name = "BenchResult"};
};

double cpu_seconds() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

bool only_reads(const FuzzStep& step) { return step.method == http::Method::get || step.method == http::Method::head; }

// Requests of one operation that are ready to be sent.
class Requests {
 public:
  Requests(App& app, const FuzzOptions& options, FuzzMaker& maker, const BenchCommand& command)
      : sender_(app, options), maker_(maker), writes_(command.writes) {}

  Task<std::vector<FuzzStep>> make(std::size_t operation) {
    std::vector<FuzzStep> out;
    for (std::size_t i = 0; i < kTries && out.size() < kRequests; ++i) {
      auto one = maker_.by_chance(operation);
      if (!one || one->intent != FuzzCase::Intent::fits) continue;
      if (!writes_ && !std::ranges::all_of(one->steps, only_reads)) continue;
      if (co_await prepare(one->steps)) out.push_back(std::move(one->steps.back()));
    }
    co_return out;
  }

 private:
  // Sends what comes before the last one, and puts what was answered into it.
  Task<bool> prepare(std::vector<FuzzStep>& steps) {
    FuzzAnswers answers;
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
      if (!FuzzSender::bind(steps[i], answers)) co_return false;
      auto answer = std::make_shared<FuzzAnswer>();
      co_await sender_.send(steps[i], *answer);
      if (answer->status >= 400) co_return false;
      answers.push_back(std::move(answer));
    }
    co_return FuzzSender::bind(steps.back(), answers) && FuzzSender::target(steps.back()).has_value();
  }

  FuzzSender sender_;
  FuzzMaker& maker_;
  bool writes_;
};

class Load {
 public:
  Load(App& app, const FuzzOptions& options, const std::vector<FuzzStep>& requests, std::chrono::nanoseconds time)
      : app_(app), options_(options), requests_(requests), end_(async::Clock::now() + time) {}

  Task<void> run(std::size_t concurrency, BenchResult& result) {
    const auto started = async::Clock::now();
    const double cpu = cpu_seconds();
    std::vector<Task<void>> workers;
    for (std::size_t i = 0; i < concurrency; ++i) workers.push_back(work(*this, result));
    co_await async::all(std::move(workers));
    const double seconds = std::chrono::duration<double>(async::Clock::now() - started).count();
    result.requests = micros_.size();
    if (micros_.empty()) co_return;
    const auto count = static_cast<double>(micros_.size());
    result.per_second = count / seconds;
    result.cpu_micros = (cpu_seconds() - cpu) * 1e6 / count;
    std::ranges::sort(micros_);
    const auto at = [&](double share) {
      return static_cast<double>(micros_[static_cast<std::size_t>(share * (count - 1))]);
    };
    result.p50_micros = at(0.5);
    result.p99_micros = at(0.99);
    result.max_micros = at(1);
  }

 private:
  static Task<void> work(Load& load, BenchResult& result) {
    FuzzSender sender(load.app_, load.options_);
    FuzzAnswer answer;
    auto now = async::Clock::now();
    auto paused = now;
    do {  // one at least, however short the time
      constexpr std::chrono::milliseconds kTurn{5};
      if (now - paused > kTurn) {  // a handler that never waits would let nobody else run, nor any timer
        co_await async::sleep(async::Nanoseconds(0));
        paused = now = async::Clock::now();
      }
      const FuzzStep& step = load.requests_[load.next_++ % load.requests_.size()];
      const auto asked = now;
      co_await sender.send(step, answer);
      now = async::Clock::now();
      constexpr std::size_t kMost = 20'000'000;  // 80 MB
      if (load.micros_.size() == kMost) co_return;
      load.micros_.push_back(std::chrono::duration<float, std::micro>(now - asked).count());
      auto& counter = answer.status < 300   ? result.answers_2xx
                      : answer.status < 400 ? result.answers_3xx
                      : answer.status < 500 ? result.answers_4xx
                                            : result.answers_5xx;
      ++counter;
    } while (now < load.end_);
  }

  App& app_;
  const FuzzOptions& options_;
  const std::vector<FuzzStep>& requests_;
  async::TimePoint end_;
  std::size_t next_ = 0;
  std::vector<float> micros_;
};

Task<std::vector<BenchResult>> measure(App& app, const BenchCommand& command) {
  FuzzOptions options;
  options.seed = command.seed;
  options.authorization = command.authorization;
  FuzzService service(app);
  for (FuzzOperation& one : service.operations) one.closed = one.secured && command.authorization.empty();
  FuzzMaker maker(service, schema::Random(command.seed));
  Requests requests(app, options, maker, command);
  const auto time = std::chrono::nanoseconds(static_cast<std::int64_t>(command.seconds * 1e9));
  std::vector<BenchResult> results;
  for (std::size_t i = 0; i < service.operations.size(); ++i) {
    const FuzzOperation& operation = service.operations[i];
    const auto is_named = [&](const std::string& text) { return operation.name.find(text) != std::string::npos; };
    if (!command.routes.empty() && std::ranges::none_of(command.routes, is_named)) continue;
    if (!command.writes && operation.method != http::Method::get) continue;
    BenchResult& result = results.emplace_back();
    result.operation = operation.name;
    const auto steps = co_await requests.make(i);
    if (steps.empty()) {
      result.note = operation.secured && command.authorization.empty() ? "it asks for credentials: --auth"
                                                                       : "no request that fits could be made";
      continue;
    }
    co_await Load(app, options, steps, time).run(command.concurrency, result);
  }
  co_return results;
}

Task<std::vector<BenchResult>> started(App& app, BenchCommand command) {
  std::exception_ptr error;
  std::vector<BenchResult> results;
  co_await app.start();
  if (!command.logs) log::set_levels("off");
  try {
    results = co_await measure(app, command);
  } catch (...) {
    error = std::current_exception();
  }
  co_await app.stop();
  if (error) std::rethrow_exception(error);
  co_return results;
}

void print(const std::vector<BenchResult>& results) {
  std::size_t width = 9;
  for (const BenchResult& one : results) width = std::max(width, one.operation.size());
  fmt::print("{:<{}}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>8}  {:>6}  {:>6}\n", "operation", width, "per s", "CPU µs",
             "p50 µs", "p99 µs", "max µs", "2xx", "4xx", "5xx");
  for (const BenchResult& one : results) {
    if (!one.note.empty()) {
      fmt::print("{:<{}}  {}\n", one.operation, width, one.note);
      continue;
    }
    fmt::print("{:<{}}  {:>9.0f}  {:>9.1f}  {:>9.1f}  {:>9.1f}  {:>9.1f}  {:>8}  {:>6}  {:>6}\n", one.operation, width,
               one.per_second, one.cpu_micros, one.p50_micros, one.p99_micros, one.max_micros,
               one.answers_2xx + one.answers_3xx, one.answers_4xx, one.answers_5xx);
  }
}

}  // namespace

CLI::App* add_bench_command(CLI::App& cli, BenchCommand& command) {
  auto* sub = cli.add_subcommand("bench", kHelp);
  sub->add_option("--route", command.routes, "Only operations with this in \"GET /articles/{slug}\"; repeat")
      ->type_name("TEXT");
  sub->add_option("--time", command.seconds, "For each operation")
      ->type_name("SECONDS")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 3600.0));
  sub->add_option("--concurrency", command.concurrency, "Requests at once")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{4096}));
  sub->add_option("--auth", command.authorization, "The Authorization header")->type_name("\"Bearer TOKEN\"");
  sub->add_option("--seed", command.seed, "The same seed: the same requests")->capture_default_str();
  sub->add_flag("--writes", command.writes,
                "Measure POST, PUT, PATCH and DELETE, too: it changes whatever they change");
  sub->add_flag("--json", command.json, "As JSON");
  sub->add_flag("--logs", command.logs, "Show the service's logs, which takes its time");
  return sub;
}

int run_bench(App& app, const BenchCommand& command) {
  const auto results = async::run(started(app, command));
  if (results.empty()) {
    fmt::print(stderr, "no operation is left to measure; `routes` lists them, and without --writes only GET counts\n");
    return 2;
  }
  if (command.json) {
    fmt::print("{}\n", schema::to_json(results));
  } else {
    print(results);
  }
  if (std::ranges::all_of(results, [](const BenchResult& one) { return one.requests == 0; })) return 2;
  return std::ranges::any_of(results, [](const BenchResult& one) { return one.answers_5xx > 0; }) ? 1 : 0;
}

}  // namespace ashlar::detail
