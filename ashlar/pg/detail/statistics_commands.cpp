#include <ashlar/pg/detail/statistics_commands.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/statistics_text.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg::detail {
namespace {

// Those of monitoring plugins: https://www.monitoring-plugins.org/doc/guidelines.html
constexpr int kWarning = 1;
constexpr int kCritical = 2;
constexpr int kUnknown = 3;

struct Arguments {
  std::string view;
  StatisticsOptions options;
  bool json = false;
  std::chrono::milliseconds watch{0};
  std::uint64_t times = 0;  // 0: for ever
};

std::string help() {
  std::string views;
  for (const std::string_view view : statistics_views()) views += fmt::format("{}{}", views.empty() ? "" : "|", view);
  return fmt::format(
      "db [{}|check|rules] [--json] [--watch SECONDS [--times N]] [--rows N] [--by COLUMN] [--limit "
      "RULE=WARNING[:CRITICAL]] [--allow RULE]",
      views);
}

template <class T>
T number(std::string_view text, std::string_view what, T least) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least))
    throw Invalid(fmt::format("{} `{}`: a number from {} is expected", what, text, least));
  return value;
}

AlertLimit limit_of(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos)
    throw Invalid(fmt::format("--limit `{}`: RULE=WARNING[:CRITICAL] is expected, as connections=0.7:0.9", text));
  const std::string_view numbers = text.substr(equals + 1);
  const std::size_t colon = numbers.find(':');
  const double warning = number<double>(numbers.substr(0, colon), "--limit", 0);
  return {
      .rule = std::string(text.substr(0, equals)),
      .warning = warning,
      .critical = colon == std::string_view::npos ? warning : number<double>(numbers.substr(colon + 1), "--limit", 0)};
}

Arguments parse(const std::vector<std::string>& words) {
  Arguments out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto next = [&]() -> const std::string& {
      if (i + 1 == words.size()) throw Invalid(fmt::format("{} needs a value: {}", word, help()));
      return words[++i];
    };
    if (word == "--json") {
      out.json = true;
    } else if (word == "--watch") {
      const auto seconds = number<double>(next(), word, 0.1);
      if (!(seconds <= 86400)) throw Invalid("--watch: a day at most");
      out.watch = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    } else if (word == "--times") {
      out.times = number<std::uint64_t>(next(), word, 1);
    } else if (word == "--rows") {
      out.options.rows = number<std::size_t>(next(), word, 1);
    } else if (word == "--by") {
      out.options.order = next();
    } else if (word == "--limit") {
      out.options.limits.push_back(limit_of(next()));
    } else if (word == "--allow") {
      out.options.allow.push_back(next());
    } else if (out.view.empty() && !word.starts_with('-')) {
      out.view = word;
    } else {
      throw Invalid(fmt::format("`{}` is unknown: {}", word, help()));
    }
  }
  if (out.times != 0 && out.watch.count() == 0) throw Invalid("--times counts what --watch shows: give both");
  if (out.view.empty()) out.view = "overview";
  const auto views = statistics_views();
  if (out.view != "check" && out.view != "rules" && std::ranges::find(views, out.view) == views.end())
    throw Invalid(fmt::format("`{}` is no view: {}", out.view, help()));
  return out;
}

std::string rules_text() {
  std::string out = fmt::format("  {:<22}{:>10}{:>10}  {}\n", "rule", "warning", "critical", "of");
  const auto show = [](Measure measure, double limit) {
    return limit < 1e18 ? format_measure(measure, limit) : std::string("-");
  };
  for (const AlertRule& rule : alert_rules())
    out += fmt::format("  {:<22}{:>10}{:>10}  {}\n", rule.name, show(rule.measure, rule.warning),
                       show(rule.measure, rule.critical), rule.what);
  return out;
}

std::string rules_json() {
  std::string out;
  const auto show = [](double limit) { return limit < 1e18 ? fmt::format("{}", limit) : std::string("null"); };
  for (const AlertRule& rule : alert_rules())
    out += fmt::format(R"({}{{"name":"{}","warning":{},"critical":{},"of":"{}"}})", out.empty() ? "" : ",", rule.name,
                       show(rule.warning), show(rule.critical), rule.what);
  return "[" + out + "]\n";
}

int code_of(const Statistics& found) {
  int code = 0;
  if (found.view != "check") return code;
  for (const Alert& alert : found.alerts)
    code = std::max(code, alert.level == AlertLevel::critical ? kCritical : kWarning);
  return code;
}

Task<int> show(Db& db, const Arguments& arguments) {
  const Statistics found = co_await statistics(db, arguments.view, arguments.options);
  const bool to_terminal = arguments.watch.count() > 0 && !arguments.json && ::isatty(STDOUT_FILENO) == 1;
  if (arguments.watch.count() > 0 && !arguments.json)
    fmt::print("{}{}\n", to_terminal ? "\033[H\033[2J" : "", DateTime::now().to_string());
  fmt::print("{}", arguments.json ? to_json(found) + "\n" : to_text(found));
  std::fflush(stdout);
  co_return code_of(found);
}

Task<int> show_all(Db& db, Arguments arguments) {
  if (arguments.view == "rules") {
    fmt::print("{}", arguments.json ? rules_json() : rules_text());
    co_return 0;
  }
  int code = co_await show(db, arguments);
  for (std::uint64_t shown = 1; arguments.watch.count() > 0 && (arguments.times == 0 || shown < arguments.times);
       ++shown) {
    co_await async::sleep(arguments.watch);
    std::exception_ptr error;
    try {
      code = co_await show(db, arguments);
    } catch (const Unavailable&) {  // it may come back
      error = std::current_exception();
    }
    if (!error) continue;
    fmt::print(stderr, "{}\n", explain(error));
    code = kUnknown;
  }
  co_return code;
}

/// What failed goes to standard error; the server that was started for the command is stopped.
Task<int> db_command(Db& db, std::vector<std::string> words) {
  int code = kUnknown;
  std::exception_ptr error;
  try {
    code = co_await show_all(db, parse(words));
  } catch (...) {
    error = std::current_exception();
  }
  if (error) fmt::print(stderr, "{}\n", explain(error));
  co_await db.stop();
  co_return code;
}

}  // namespace

std::vector<async::Command> statistics_commands(Db& db) {
  std::vector<async::Command> out;
  out.push_back(
      {.name = "db",
       .help =
           "show what the database does: `db` is an overview, `db top`, `db locks`, … one part; `db check` exits with "
           "1 (warning) or 2 (critical) when something is wrong by one of `db rules`; " +
           help(),
       .run = [&db](std::vector<std::string> words) { return db_command(db, std::move(words)); },
       .needs_start = false});
  return out;
}

}  // namespace ashlar::pg::detail
