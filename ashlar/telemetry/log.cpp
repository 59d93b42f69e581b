#include <ashlar/telemetry/log.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <shared_mutex>

#include <ashlar/async/context.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/detail/log_writer.hpp>
#include <ashlar/telemetry/trace.hpp>

namespace ashlar::log {
namespace {

// What configure() settled, as the threads that log see it.
struct Settled {
  bool json = true;
  bool color = false;
  std::string service;
  std::optional<unsigned> worker;
  std::uint32_t sample_one_in = 1;
};

std::unique_ptr<const Settled> settle(const Options& options) {
  bool terminal = ::isatty(options.fd) == 1;
  auto settled = std::make_unique<Settled>();
  settled->json = options.format == Format::automatic ? !terminal : options.format == Format::json;
  const char* no_color = std::getenv("NO_COLOR");
  bool wanted = terminal && (no_color == nullptr || *no_color == '\0');
  settled->color = options.color == Color::automatic ? wanted : options.color == Color::always;
  settled->service = options.service;
  settled->worker = options.worker;
  settled->sample_one_in = std::max<std::uint32_t>(options.sample_one_in, 1);
  return settled;
}

void append_line(const Settled& settled, const Record& record, std::string& out) {
  if (settled.json) {
    append_json(record, settled.service, out);
  } else {
    append_human(record, settled.color, out);
  }
  out.push_back('\n');
}

void report_dropped(std::uint64_t count, std::string& out);

// Never destroyed: threads may log until the process is gone.
struct State {
  std::mutex mutex;  // of configuration and levels
  std::vector<std::unique_ptr<const Settled>> all_settled;
  std::atomic<const Settled*> settled;
  std::map<std::string, Level, std::less<>> rules;  // by logger
  std::vector<detail::LoggerState*> loggers;

  std::shared_mutex sinks_mutex;
  std::vector<Sink*> sinks;
  std::atomic<std::size_t> sink_count{0};
  std::atomic<int> captures{0};

  detail::Writer writer{1, Options{}.queue_bytes, report_dropped};

  State() {
    all_settled.push_back(settle({}));
    settled = all_settled.back().get();
  }
};

State& state() {
  static State* instance = [] {
    auto* made = new State;
    std::atexit([] { state().writer.close(std::chrono::seconds(2)); });
    ::pthread_atfork([] { state().writer.before_fork(); }, [] { state().writer.after_fork_in_parent(); },
                     [] { state().writer.after_fork_in_child(); });
    return made;
  }();
  return *instance;
}

void report_dropped(std::uint64_t count, std::string& out) {
  Field fields[2] = {{"dropped", count}};
  Record record;
  record.level = Level::warn;
  record.time = std::chrono::system_clock::now();
  record.logger = "log";
  record.message = "log lines were dropped: the output is too slow";
  const Settled& settled = *state().settled.load(std::memory_order_acquire);
  if (settled.worker) fields[1] = {"worker", *settled.worker};
  record.context = {fields, settled.worker ? 2U : 1U};
  append_line(settled, record, out);
}

// Under mutex: the rule of the logger, or of the nearest name above it, or the default.
Level level_for(const State& all, std::string_view logger) {
  while (true) {
    if (auto rule = all.rules.find(logger); rule != all.rules.end()) return rule->second;
    std::size_t dot = logger.rfind('.');
    if (dot == logger.npos) break;
    logger = logger.substr(0, dot);
  }
  return detail::root.level.load(std::memory_order_relaxed);
}

void apply_levels(State& all) {
  for (detail::LoggerState* logger : all.loggers) {
    logger->level.store(level_for(all, logger->name), std::memory_order_relaxed);
  }
}

bool sampled_out(const Settled& settled, Level level, const async::Context* context) {
  if (settled.sample_one_in == 1 || level >= Level::warn || context == nullptr || !context->trace.valid()) return false;
  // The last bytes of a trace id are the random ones: https://www.w3.org/TR/trace-context-2/#random-trace-id-flag
  std::uint32_t bits = 0;
  for (std::size_t i = 12; i < 16; ++i) bits = bits << 8 | context->trace.trace_id[i];
  return bits % settled.sample_one_in != 0;
}

}  // namespace

void detail::write(Level level, std::string_view logger, std::string_view message, Fields fields) noexcept try {
  State& all = state();
  const Settled& settled = *all.settled.load(std::memory_order_acquire);
  const async::Context* context = async::context();
  if (sampled_out(settled, level, context)) return;

  Record record;
  record.level = level;
  record.time = std::chrono::system_clock::now();
  record.logger = logger;
  record.fields_ = fields;
  record.message = message;
  std::string masked;
  if (message.find("://") != message.npos) {
    Value(message).append_to(masked);
    record.message = masked;
  }

  trace::FixedText<32> trace_id;
  trace::FixedText<16> span_id;
  Field known[5];
  std::size_t count = 0;
  if (settled.worker) known[count++] = {"worker", *settled.worker};
  if (context != nullptr) {
    if (context->route != nullptr) known[count++] = {"http.route", context->route};
    if (!context->request_id.empty()) known[count++] = {"http.request.id", context->request_id};
    if (context->trace.valid()) {
      trace_id = trace::trace_id(context->trace);
      span_id = trace::span_id(context->trace);
      known[count++] = {"trace.id", std::string_view(trace_id)};
      known[count++] = {"span.id", std::string_view(span_id)};
    }
  }
  record.context = {known, count};

  if (all.sink_count.load(std::memory_order_acquire) != 0) {
    std::shared_lock lock(all.sinks_mutex);
    for (Sink* sink : all.sinks) sink->on_record(record);
  }
  if (all.captures.load(std::memory_order_acquire) != 0) return;

  thread_local std::string line;
  line.clear();
  append_line(settled, record, line);
  all.writer.push(line);
  constexpr std::size_t kKept = 64 * 1024;
  if (line.capacity() > kKept) std::string().swap(line);
} catch (...) {  // out of memory: the program matters more than the line
}

Logger::Logger(std::string_view name) {
  state_.name = name;
  State& all = state();
  std::lock_guard lock(all.mutex);
  all.loggers.push_back(&state_);
  state_.level.store(level_for(all, name), std::memory_order_relaxed);
}

Logger::~Logger() {
  State& all = state();
  std::lock_guard lock(all.mutex);
  std::erase(all.loggers, &state_);
}

void set_level(Level level) {
  State& all = state();
  std::lock_guard lock(all.mutex);
  detail::root.level.store(level, std::memory_order_relaxed);
  apply_levels(all);
}

void set_level(std::string_view logger, Level level) {
  State& all = state();
  std::lock_guard lock(all.mutex);
  all.rules.insert_or_assign(std::string(logger), level);
  apply_levels(all);
}

void set_levels(std::string_view rules) {
  std::map<std::string, Level, std::less<>> parsed;
  std::optional<Level> root;
  for (std::string_view rest = rules; !rest.empty();) {
    std::size_t comma = rest.find(',');
    std::string_view rule = rest.substr(0, comma);
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
    std::size_t equals = rule.find('=');
    std::optional<Level> level = parse_level(equals == rule.npos ? rule : rule.substr(equals + 1));
    if (!level || equals == 0) {
      throw Invalid(
          fmt::format("log levels: cannot read '{}'; write a level (trace debug info warn error off) or "
                      "logger=level, separated by commas: \"info,pg=debug\"",
                      rule));
    }
    if (equals == rule.npos) {
      root = level;
    } else {
      parsed.insert_or_assign(std::string(rule.substr(0, equals)), *level);
    }
  }
  State& all = state();
  std::lock_guard lock(all.mutex);
  all.rules = std::move(parsed);
  if (root) detail::root.level.store(*root, std::memory_order_relaxed);
  apply_levels(all);
}

std::string levels() {
  State& all = state();
  std::lock_guard lock(all.mutex);
  std::string result(to_string(detail::root.level.load(std::memory_order_relaxed)));
  for (const auto& [logger, level] : all.rules) {
    fmt::format_to(std::back_inserter(result), ",{}={}", logger, to_string(level));
  }
  return result;
}

void configure(Options options) {
  State& all = state();
  std::lock_guard lock(all.mutex);
  all.all_settled.push_back(settle(options));
  all.settled.store(all.all_settled.back().get(), std::memory_order_release);
  all.writer.set_target(options.fd, options.queue_bytes);
}

bool flush(std::chrono::milliseconds timeout) noexcept try { return state().writer.flush(timeout); } catch (...) {
  return false;
}

Stats stats() noexcept { return state().writer.stats(); }

std::optional<std::uint64_t> RateLimit::pass() noexcept {
  std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  std::int64_t next = next_.load(std::memory_order_relaxed);
  if ((next != 0 && now < next) || !next_.compare_exchange_strong(next, now + period_, std::memory_order_relaxed)) {
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return suppressed_.exchange(0, std::memory_order_relaxed);
}

void add_sink(Sink& sink) {
  State& all = state();
  std::lock_guard lock(all.sinks_mutex);
  all.sinks.push_back(&sink);
  all.sink_count.store(all.sinks.size(), std::memory_order_release);
}

void remove_sink(Sink& sink) noexcept {
  State& all = state();
  std::lock_guard lock(all.sinks_mutex);
  std::erase(all.sinks, &sink);
  all.sink_count.store(all.sinks.size(), std::memory_order_release);
}

struct Capture::State {
  mutable std::mutex mutex;
  std::vector<Line> lines;
  std::string levels_before;
};

Capture::Capture(Level level) : state_(std::make_unique<State>()) {
  state_->levels_before = levels();
  set_levels(to_string(level));
  state().captures.fetch_add(1, std::memory_order_acq_rel);
  add_sink(*this);
}

Capture::~Capture() {
  remove_sink(*this);
  state().captures.fetch_sub(1, std::memory_order_acq_rel);
  set_levels(state_->levels_before);
}

std::vector<Capture::Line> Capture::lines() const {
  std::lock_guard lock(state_->mutex);
  return state_->lines;
}

std::optional<Capture::Line> Capture::find(std::string_view message) const {
  std::lock_guard lock(state_->mutex);
  auto found = std::ranges::find(state_->lines, message, &Line::message);
  if (found == state_->lines.end()) return std::nullopt;
  return *found;
}

std::string Capture::Line::field(std::string_view key) const {
  auto found = std::ranges::find(fields, key, &std::pair<std::string, std::string>::first);
  return found == fields.end() ? std::string() : found->second;
}

void Capture::on_record(const Record& record) noexcept {
  Line line{.level = record.level, .logger = std::string(record.logger), .message = std::string(record.message)};
  auto add = [&](std::string_view key, const Value& value) {
    std::string text;
    value.append_to(text);
    line.fields.emplace_back(key, std::move(text));
  };
  record.for_each_field(add);
  for (const Field& field : record.context) add(field.key, field.value);
  append_json(record, state().settled.load(std::memory_order_acquire)->service, line.json);
  std::lock_guard lock(state_->mutex);
  state_->lines.push_back(std::move(line));
}

}  // namespace ashlar::log
