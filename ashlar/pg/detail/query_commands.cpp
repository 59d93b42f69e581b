#include <ashlar/pg/detail/query_commands.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include <ashlar/pg/error.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr const char* kHelp = "queries --write FILE | queries --check FILE";

Task<int> write(std::function<Task<QuerySnapshot>()> take, std::string file) {
  const QuerySnapshot snapshot = co_await take();
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << to_json(snapshot);
  out.flush();
  if (!out) throw Invalid(fmt::format("cannot write {}", file));
  fmt::print("{} queries written to {}\n", snapshot.queries.size(), file);
  co_return 0;
}

int check(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Invalid(fmt::format("cannot read {}: write it first with `queries --write {}`", file, file));
  const QuerySnapshot snapshot = snapshot_from_json(std::string(std::istreambuf_iterator<char>(in), {}));
  const auto problems = check_snapshot(snapshot, file, statements_in_order());
  for (const std::string& problem : problems) fmt::print(stderr, "{}\n", problem);
  if (problems.empty()) fmt::print("{} queries fit {}\n", snapshot.queries.size(), file);
  return problems.empty() ? 0 : 1;
}

Task<int> run(std::function<Task<QuerySnapshot>()> take, std::vector<std::string> words) {
  std::exception_ptr error;
  try {
    if (words.size() != 2 || (words[0] != "--write" && words[0] != "--check")) throw Invalid(kHelp);
    co_return words[0] == "--check" ? check(words[1]) : co_await write(std::move(take), words[1]);
  } catch (...) {
    error = std::current_exception();
  }
  fmt::print(stderr, "{}\n", explain(error));
  co_return 2;
}

}  // namespace

std::vector<async::Command> query_commands(std::function<Task<QuerySnapshot>()> take) {
  std::vector<async::Command> out;
  out.push_back(
      {.name = "queries",
       .help = "--write FILE keeps what the database says of every query; --check FILE compares the program's "
               "queries with that, without a database, as in CI",
       .run = [take = std::move(take)](std::vector<std::string> words) { return run(take, std::move(words)); },
       .needs_start = false});
  return out;
}

}  // namespace ashlar::pg::detail
