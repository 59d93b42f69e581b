// The command line of every program: serve, routes, openapi, settings, check, fuzz, bench, test-data, and what
// components and the program add.
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <utility>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/bench_command.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/dependency_graph.hpp>
#include <ashlar/app/detail/dev_page.hpp>
#include <ashlar/app/detail/fuzz_command.hpp>
#include <ashlar/app/detail/route_cost.hpp>
#include <ashlar/app/detail/serve.hpp>
#include <ashlar/app/detail/settings_command.hpp>
#include <ashlar/app/detail/test_data_command.hpp>
#include <ashlar/app/openapi_changes.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace {

using detail::Core;

// A message of several lines reads better indented below one that says what failed.
int report(std::string_view what, const std::exception& error) {
  std::string text = error.what();
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
    text.insert(at + 1, "  ");
  fmt::print(stderr, "{}:\n  {}\n", what, text);
  return 1;
}

// The standard output of any command but `serve` is its result.
void configure_logs(const ServeSettings& settings, bool serves, std::optional<unsigned> worker) {
  log::set_levels(settings.log_level);
  log::Options options;
  options.fd = serves ? 1 : 2;
  options.worker = worker;
  options.format = settings.log_format == "human"  ? log::Format::human
                   : settings.log_format == "json" ? log::Format::json
                                                   : log::Format::automatic;
  log::configure(options);
}

// Starts the components (and nothing else), runs the work, stops them.
int with_components(Core& core, std::function<Task<int>()> work) {
  int code = 1;
  async::run([](Core& c, std::function<Task<int>()> body, int& result) -> Task<void> {
    std::exception_ptr error;
    bool on_loop = false;
    try {
      co_await c.start();
      on_loop = true;
      co_await c.start_loop(async::Loop::current());
      result = co_await body();
    } catch (...) {
      error = std::current_exception();
    }
    if (on_loop) co_await c.stop_loop(async::Loop::current());
    co_await c.stop();
    if (error) std::rethrow_exception(error);
  }(core, std::move(work), code));
  return code;
}

int print_routes(const Core& core) {
  std::size_t width = 0;
  for (const auto& route : core.routes) width = std::max(width, route->pattern.size());
  for (const auto& route : core.routes) {
    if (route->options.hidden) continue;
    const OperationInfo info = detail::operation_of(*route);
    std::string notes = route->options.summary;
    for (const auto& security : info.security) {
      notes +=
          fmt::format("{}[{}{}]", notes.empty() ? "" : "  ", security.scheme, security.optional ? ", optional" : "");
    }
    std::string line = fmt::format("{:<7} {:<{}}  {}", route->websocket ? "WS" : detail::method_name(route->method),
                                   route->pattern, width, notes);
    line.resize(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
  return 0;
}

int print_dependencies(const Core& core, const std::string& only, bool json, bool dot) {
  std::deque<OperationInfo> operations;
  std::vector<detail::RouteGraph> graphs;
  for (const auto& route : core.routes) {
    if (route->options.hidden || route->name.find(only) == std::string::npos) continue;
    graphs.push_back({route->name, &operations.emplace_back(detail::operation_of(*route))});
  }
  if (graphs.empty() && !only.empty())
    throw NotFound(fmt::format("no route has '{}' in it; `routes` lists them", only));
  fmt::print("{}", json  ? detail::graph_as_json(graphs)
                   : dot ? detail::graph_as_dot(graphs)
                         : detail::graph_as_text(graphs));
  return 0;
}

// The application of a version; without a name this one.
Core& version_of(Core& core, const std::string& name) {
  if (name.empty()) return core;
  std::string known;
  if (core.versions != nullptr) {
    for (const ApiVersion& one : core.versions->all()) {
      if (one.name == name) return one.app.core();
      known += (known.empty() ? "" : ", ") + one.name;
    }
  }
  throw NotFound(known.empty() ? fmt::format("there is no version '{}': this API has none", name)
                               : fmt::format("there is no version '{}'; there are: {}", name, known));
}

int write_openapi(Core& core, const std::string& path) {
  const std::string document = core.openapi();
  if (path.empty() || path == "-") {
    fmt::print("{}\n", document);
    return 0;
  }
  std::ofstream file(path);
  file << document << '\n';
  file.flush();
  if (!file) throw Unavailable(fmt::format("cannot write {}", path));
  return 0;
}

/// For CI: exits with 1 when clients of the earlier document would break.
int compare_with_earlier(Core& core, const std::string& path) {
  std::ifstream file(path);
  if (!file) throw NotFound(fmt::format("cannot read {}", path));
  const std::string earlier{std::istreambuf_iterator<char>(file), {}};
  const auto changes = compare_openapi(earlier, core.openapi());
  for (const auto& change : changes) fmt::print("{}{}\n", change.breaking ? "breaking: " : "", change.text);
  return !changes.empty() && changes.front().breaking ? 1 : 0;
}

int run_check(Core& core) {
  return with_components(core, [&core]() -> Task<int> {
    const auto problems = co_await core.run_checks();
    for (const auto& problem : problems) fmt::print(stderr, "{}\n", problem);
    if (problems.empty()) {
      fmt::print("all checks passed: {} routes, {} components\n", core.routes.size(), core.all_components().size());
      co_return 0;
    }
    fmt::print(stderr, "{} problem{} found\n", problems.size(), problems.size() == 1 ? "" : "s");
    co_return 1;
  });
}

}  // namespace

int run(App& app, int argc, char** argv) {
  Core& core = app.core();
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file that may grow no further (ulimit -f) is an error, not the end
  log::configure({.fd = 2});   // until it is known what is to be done
  CLI::App cli{core.options.description.empty() ? core.options.title : core.options.description};
  cli.set_version_flag("--version", fmt::format("{} {}", core.options.title, core.options.version));
  cli.require_subcommand(0, 1);
  cli.set_help_all_flag("--help-all", "Help for every command");
  cli.footer("Without a command it serves. `COMMAND --help` says more about one.");

  ServeSettings settings;
  detail::ServeSettingsOrigins origins;
  try {
    origins = detail::load_serve_settings(settings);
    core.require_settings();
  } catch (const std::exception& error) {
    return report("these settings are wrong", error);
  }
  auto* serve = cli.add_subcommand("serve", "Serve the API (what happens without a command, too)");
  std::vector<CLI::App*> with_server_flags{&cli, serve};
  for (auto* one : with_server_flags) detail::add_serve_flags(*one, settings);

  std::vector<std::string> assignments;
  if (!core.settings.empty()) {
    cli.add_option("--set", assignments, "A setting of the program: NAME=VALUE; `settings` lists them")
        ->type_name("NAME=VALUE");
    serve->add_option("--set", assignments, "A setting of the program: NAME=VALUE")->type_name("NAME=VALUE");
  }
  auto* routes = cli.add_subcommand("routes", "List the routes");
  std::string cost_of;
  routes->add_option("--cost", cost_of, "What each costs the service that runs there, with --route-cost")
      ->type_name("URL");
  std::string output;
  auto* openapi = cli.add_subcommand("openapi", "Print the OpenAPI 3.1 document");
  openapi->add_option("-o,--output", output, "Write it to this file instead");
  std::string version;
  openapi->add_option("--version", version, "Of this version of the API; default: what is in no version")
      ->type_name("NAME");
  std::string earlier;
  openapi->add_option("--check,--compare", earlier,
                      "List what changed since this document; exit with 1 when clients would break");
  auto* dependencies = cli.add_subcommand("deps", "Show which dependencies each route runs, and what they need");
  std::string only;
  dependencies->add_option("route", only, "Only routes with this in their name: \"GET /orders\"")->type_name("TEXT");
  bool json = false, dot = false;
  auto* as_json = dependencies->add_flag("--json", json, "As JSON");
  dependencies->add_flag("--dot", dot, "For Graphviz")->excludes(as_json);
  auto* show_settings = cli.add_subcommand("settings", "Print the settings in force, with secrets hidden");
  auto* check = cli.add_subcommand("check", "Start the components, check everything that can be checked, and stop");
  detail::FuzzCommand fuzz_command;
  auto* fuzz = detail::add_fuzz_command(cli, fuzz_command);
  detail::BenchCommand bench_command;
  auto* bench = detail::add_bench_command(cli, bench_command);
  detail::TestDataCommand test_data_command;
  auto* test_data = detail::add_test_data_command(cli, test_data_command);

  // The commands of components that are there already; those made at start-up add none before it.
  std::vector<std::string> arguments;
  std::vector<std::pair<CLI::App*, async::Command>> component_commands;
  std::vector<std::pair<CLI::App*, std::size_t>> program_commands;
  try {
    if (auto page = detail::DevPage::from_environment())
      core.middleware.insert(core.middleware.begin(), std::move(page));
    core.prepare();
    for (auto* component : core.all_components()) {
      for (auto& command : component->commands()) {
        auto* sub = cli.add_subcommand(command.name, command.help);
        sub->allow_extras();
        component_commands.emplace_back(sub, std::move(command));
      }
    }
    for (std::size_t i = 0; i < core.commands.size(); ++i) {
      auto* sub = cli.add_subcommand(core.commands[i].name, core.commands[i].help);
      sub->allow_extras();
      program_commands.emplace_back(sub, i);
    }
  } catch (const std::exception& error) {
    return report(fmt::format("{} cannot start", core.options.title), error);
  }

  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : 2;
  }

  const bool serves = cli.get_subcommands().empty() || serve->parsed();
  std::optional<detail::HandOver> hand_over;
  try {
    core.load_settings(assignments);
    if (serves) hand_over = detail::take_hand_over();
    configure_logs(settings, serves, hand_over ? std::optional(hand_over->slot) : std::nullopt);
    if ((serves && !hand_over) || check->parsed()) detail::warn_of_unknown_variables(core);
    if (routes->parsed() && !cost_of.empty()) return detail::print_route_cost(cost_of, core.options.metrics_path);
    if (routes->parsed()) return print_routes(core);
    if (dependencies->parsed()) return print_dependencies(core, only, json, dot);
    if (openapi->parsed() && !earlier.empty()) return compare_with_earlier(version_of(core, version), earlier);
    if (openapi->parsed()) return write_openapi(version_of(core, version), output);
    if (show_settings->parsed()) return detail::print_settings(core, settings, origins);
    if (check->parsed()) return run_check(core);
    if (fuzz->parsed()) return detail::run_fuzz(app, std::move(fuzz_command));
    if (bench->parsed()) return detail::run_bench(app, bench_command);
    if (test_data->parsed()) return detail::run_test_data(app, test_data_command);
    for (auto& [sub, command] : component_commands) {
      if (!sub->parsed()) continue;
      auto work = [run = command.run, extras = sub->remaining()] { return run(extras); };
      return command.needs_start ? with_components(core, work) : async::run(work());
    }
    for (auto& [sub, index] : program_commands) {
      if (!sub->parsed()) continue;
      auto& command = core.commands[index];
      return with_components(core, [&core, &command, extras = sub->remaining()] { return command.run(core, extras); });
    }
  } catch (const std::exception& error) {
    return report(fmt::format("{} failed", core.options.title), error);
  }
  try {
    if (settings.workers > 0 && !hand_over) return detail::supervise(core, settings, {argv, argv + argc});
    return detail::serve(core, settings, std::move(hand_over));
  } catch (const std::exception& error) {
    return report(fmt::format("{} cannot start", core.options.title), error);
  }
}

}  // namespace ashlar
