#include <ashlar/pg/detail/advisor_commands.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::pg::detail {
namespace {

struct Arguments {
  bool json = false, write = false, check = false, copy = true, run = false;
  std::string file;
  std::string only;
};

constexpr std::string_view kExplainHelp =
    "explain [--analyze] [--json] [NAME] | explain --write FILE | explain --check FILE";
constexpr std::string_view kAdviseHelp = "advise [--json] [--write] [--check] [--no-copy]";

Arguments parse(const std::vector<std::string>& words, std::string_view help, bool takes_file) {
  Arguments out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--json") {
      out.json = true;
    } else if (word == "--analyze" && takes_file) {
      out.run = true;
    } else if (word == "--no-copy" && !takes_file) {
      out.copy = false;
    } else if (word == "--write" || word == "--check") {
      (word == "--write" ? out.write : out.check) = true;
      if (takes_file) {
        if (i + 1 == words.size()) throw Invalid(fmt::format("{} needs a file: {}", word, help));
        out.file = words[++i];
      }
    } else if (takes_file && out.only.empty() && !word.starts_with('-')) {
      out.only = word;
    } else {
      throw Invalid(fmt::format("`{}` is unknown: {}", word, help));
    }
  }
  if (takes_file && !out.only.empty() && (out.write || out.check))
    throw Invalid(fmt::format("plans are written and checked of all queries, not of `{}`: {}", out.only, help));
  if (takes_file && out.write && out.check) throw Invalid(fmt::format("either write or check: {}", help));
  return out;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Invalid(fmt::format("cannot read {}: write it first with `explain --write {}`", path, path));
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) throw Invalid(fmt::format("cannot write {}", path));
}

Task<int> explain_now(Db& db, Arguments arguments) {
  const auto queries = co_await explain_queries(db, arguments.run ? Explain::run : Explain::plan, arguments.only);
  if (arguments.write) {
    write_file(arguments.file, plans_to_json(queries));
    fmt::print("{} plans written to {}\n", queries.size(), arguments.file);
    co_return 0;
  }
  if (arguments.check) {
    const auto changes = compare_plans(read_file(arguments.file), queries);
    for (const PlanChange& change : changes)
      fmt::print("{}{}: {}\n", change.is_loss ? "worse: " : "", change.query, change.text);
    const bool lost = std::ranges::any_of(changes, &PlanChange::is_loss);
    if (!lost) fmt::print("no query has lost an index since {}\n", arguments.file);
    co_return lost ? 1 : 0;
  }
  fmt::print("{}", arguments.json ? schema::to_json(queries) + "\n" : to_text(queries));
  co_return 0;
}

Task<int> advise_now(Db& db, Arguments arguments) {
  if (arguments.write && db.options().migrations.empty())
    throw Invalid(
        "this program has no migrations: give pg::Options a folder in .migrations, or run `advise` without --write");
  const Advice advice = co_await advise(db, {.copy = arguments.copy});
  fmt::print("{}", arguments.json ? schema::to_json(advice) + "\n" : to_text(advice));
  if (arguments.write) {
    for (const auto& file : write_migrations(db.options().migrations, advice))
      fmt::print(arguments.json ? stderr : stdout, "written: {}\n", file.string());
  }
  co_return arguments.check && !advice.findings.empty() ? 1 : 0;
}

/// What failed goes to standard error; the server that was started for the command is stopped.
template <class F>
Task<int> run_and_stop(Db& db, F work) {
  int code = 2;
  std::exception_ptr error;
  try {
    code = co_await work();
  } catch (...) {
    error = std::current_exception();
  }
  if (error) fmt::print(stderr, "{}\n", explain(error));
  co_await db.stop();
  co_return code;
}

Task<int> explain_command(Db& db, std::vector<std::string> words) {
  return run_and_stop(db,
                      [&db, words = std::move(words)] { return explain_now(db, parse(words, kExplainHelp, true)); });
}
Task<int> advise_command(Db& db, std::vector<std::string> words) {
  return run_and_stop(db, [&db, words = std::move(words)] { return advise_now(db, parse(words, kAdviseHelp, false)); });
}

}  // namespace

std::vector<async::Command> advisor_commands(Db& db) {
  std::vector<async::Command> out;
  out.push_back(
      {.name = "explain",
       .help = "show how each query reads its tables; --write FILE keeps that, --check FILE fails when a query has "
               "lost an index since; --analyze runs them on a copy of the database; NAME: only those with that in "
               "their name; --json",
       .run = [&db](std::vector<std::string> words) { return explain_command(db, std::move(words)); },
       .needs_start = false});
  out.push_back(
      {.name = "advise",
       .help = "propose indexes and better queries, with proof; --write makes migrations of them, --check fails when "
               "there is something to do, --no-copy does without a copy of the database; --json",
       .run = [&db](std::vector<std::string> words) { return advise_command(db, std::move(words)); },
       .needs_start = false});
  return out;
}

}  // namespace ashlar::pg::detail
