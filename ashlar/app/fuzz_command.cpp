#include <ashlar/app/detail/fuzz_command.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <utility>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

constexpr const char* kHelp =
    R"(Find what is wrong with the service, with requests made from its own OpenAPI document

Within this process, without a socket, it sends what fits the document, what is just outside of it, requests without
credentials, methods that are not there, and chains that create something, use it, and delete it. It checks that
  server-error               no answer is 500 or above
  undocumented-status        the status is in the document
  undocumented-content-type  the body is of a documented type
  response-schema            the body fits its documented schema
  invalid-accepted           data that does not fit is refused
  valid-refused              data that fits is not refused with 422 or 400
  auth-ignored               a secured operation refuses missing and wrong credentials
  unsupported-method         a method that is not there is 405, with Allow
  use-after-delete           what is deleted is gone
  new-is-missing             what is created is there
  no-answer                  the answer comes in time
Each finding comes with the simplest request that shows it, as a curl command. Exit code: 0 nothing found, 1 findings,
2 wrong arguments.

It really creates, changes and deletes: give the service a database that may be lost, or --throwaway.)";

// On a terminal, where an environment is easily the wrong one, it is asked for first.
bool may_change(Core& core) {
  if (core.all_components().empty() || ::isatty(0) == 0 || ::isatty(2) == 0) return true;
  fmt::print(stderr, "This creates, changes and deletes whatever the service can reach with these settings:\n");
  for (auto* component : core.all_components()) {
    fmt::print(stderr, "  {}\n", component->name());
    for (const auto& [name, value] : component->settings()) fmt::print(stderr, "    {} = {}\n", name, value);
  }
  fmt::print(stderr, "Go on? [y/N] ");
  std::fflush(stderr);
  char answer = 'n';
  return ::read(0, &answer, 1) == 1 && (answer == 'y' || answer == 'Y');
}

void show_progress(const FuzzProgress& progress) {
  fmt::print(stderr, "\r\x1b[K{} cases, {:.0f}/s, {} finding{}: {}", progress.cases, progress.per_second,
             progress.findings, progress.findings == 1 ? "" : "s", progress.operation);
  std::fflush(stderr);
}

std::string indented(std::string_view text) {
  std::string out = "   ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "   ";
  }
  return out;
}

void print_report(const FuzzReport& report, bool has_credentials) {
  std::size_t number = 0;
  for (const auto& one : report.findings) {
    fmt::print("{}. {}: {}\n{}{}\n{}\n", ++number, one.operation, one.check, indented(one.message),
               one.times > 1 ? fmt::format(" ({} times)", one.times) : std::string(), indented(one.curl));
    if (!one.answer.empty()) fmt::print("   answer: {}\n", one.answer);
    fmt::print("\n");
  }
  for (const auto& note : report.notes) fmt::print("note: {}\n", note);
  const double seconds = std::chrono::duration<double>(report.duration).count();
  fmt::print("{}{} finding{}; seed {}, {} operations, {} cases, {} requests in {:.2f} s ({:.0f} cases/s)\n",
             report.notes.empty() ? "" : "\n", report.findings.size(), report.findings.size() == 1 ? "" : "s",
             report.seed, report.operations.size(), report.cases, report.requests, seconds,
             static_cast<double>(report.cases) / std::max(seconds, 1e-9));
  const FuzzKinds& kinds = report.kinds;
  fmt::print(
      "{} with data that fits, {} more on what others had made; {} with invalid data, {} without credentials or "
      "with wrong ones, {} with methods that are not there\n",
      kinds.alone, kinds.sequences, kinds.invalid, kinds.credentials, kinds.methods);
  if (!report.findings.empty() && has_credentials) fmt::print("$AUTH in the commands is what --auth was given.\n");
}

void write_report(const FuzzReport& report, const std::string& path) {
  if (path == "-") {
    fmt::print("{}\n", report.json());
    return;
  }
  std::ofstream file(path);
  file << report.json() << '\n';
  file.flush();
  if (!file) throw Unavailable(fmt::format("cannot write {}", path));
}

Task<FuzzReport> started(App& app, FuzzOptions options, bool logs) {
  std::exception_ptr error;
  FuzzReport report;
  co_await app.start();
  // Every refusal that is provoked would be a line.
  if (!logs) log::set_levels("off");
  try {
    report = co_await fuzz(app, std::move(options));
  } catch (...) {
    error = std::current_exception();
  }
  co_await app.stop();
  if (error) std::rethrow_exception(error);
  co_return report;
}

}  // namespace

CLI::App* add_fuzz_command(CLI::App& cli, FuzzCommand& command) {
  FuzzOptions& options = command.options;
  auto* sub = cli.add_subcommand("fuzz", kHelp);
  sub->add_option("--seed", options.seed, "The same seed on a service in the same state: the same requests")
      ->capture_default_str();
  sub->add_option("--cases", options.cases, "Cases by chance, besides those on the bounds of every operation")
      ->capture_default_str();
  sub->add_option("--time", command.seconds, "Stop after so many seconds, and not before")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  options.at_once = 16;
  sub->add_option("--at-once", options.at_once,
                  "Cases that are under way at a time; 1: one after the other, in the same order each time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  sub->add_option("--route", options.routes,
                  "Only operations with this in \"GET /articles/{slug}\" or their id; repeat")
      ->type_name("TEXT");
  sub->add_option("--exclude", options.exclude, "No operations with this in it; repeat")->type_name("TEXT");
  sub->add_option("--auth", options.authorization, "The Authorization header of requests that should be let in")
      ->type_name("\"Bearer TOKEN\"");
  sub->add_option("--report", command.report, "Write a JSON report to this file; -: to the standard output, alone")
      ->type_name("FILE");
  sub->add_flag("--logs", command.logs, "Show the service's logs");
  sub->add_flag("--throwaway", command.throwaway,
                "On a database of its own that is gone afterwards, whatever the settings say");
  sub->add_flag("-y,--yes", command.yes, "Do not ask, on a terminal, before anything is changed");
  return sub;
}

int run_fuzz(App& app, FuzzCommand command) {
  app.core().throwaway = command.throwaway;
  if (command.throwaway) {  // what is asked about shows it
    for (auto* component : app.core().all_components()) component->use_throwaway();
  }
  if (!command.yes && !may_change(app.core())) return 2;
  const bool on_terminal = ::isatty(2) != 0;
  command.options.time = std::chrono::nanoseconds(static_cast<std::int64_t>(command.seconds * 1e9));
  if (on_terminal) command.options.on_progress = show_progress;
  const bool has_credentials = !command.options.authorization.empty();
  const FuzzReport report = async::run(started(app, command.options, command.logs));
  if (on_terminal) fmt::print(stderr, "\r\x1b[K");
  if (command.report != "-") print_report(report, has_credentials);
  if (!command.report.empty()) write_report(report, command.report);
  return report.findings.empty() ? 0 : 1;
}

}  // namespace ashlar::detail
