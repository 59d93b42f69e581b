// The commands that every program has beside serving: bench, test-data, openapi.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct NewBook {
  Annotated<std::string, min_length{1}, max_length{40}> title;
  Annotated<int, ge{1450}, le{2100}> year;
  std::optional<std::string> note;
  std::vector<std::string> tags;
  [[nodiscard]] std::optional<std::string> validate() const {
    if (year % 2 == 1) return "is odd";
    return std::nullopt;
  }
};
struct Book {
  std::int64_t id;
  std::string title;
};

struct Outcome {
  int code = -1;
  std::string out, error;
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
};

// As the shell would call it.
Outcome run_command(App& app, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "service");
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  Outcome outcome;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  outcome.code = run(app, static_cast<int>(argv.size()), argv.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.error = ::testing::internal::GetCapturedStderr();
  return outcome;
}

void add_books(App& app, std::map<std::int64_t, Book>& books) {
  app.post<"/books">([&books](NewBook book) {
    const auto id = static_cast<std::int64_t>(books.size()) + 1;
    return Created<Book>(books[id] = Book{id, book.title});
  });
  app.get<"/books/{id}">(
      [&books](Path<"id", std::int64_t> id) {
        const auto at = books.find(id);
        if (at == books.end()) throw NotFound("no such book");
        return at->second;
      },
      {.errors = {404}});
  app.get<"/count">([&books] { return books.size(); });
  app.get<"/broken">([]() -> int { throw std::runtime_error("broken"); });
  app.get<"/private">([](Bearer token) {
    if (token.token != "good") throw Unauthenticated("no such token");
    return 1;
  });
}

// ---- test-data

TEST(TestData, ListsWhatThereIs) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"test-data"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("NewBook\n"), HasSubstr("POST /books  (NewBook)\n"), Not(HasSubstr("GET"))));
}

TEST(TestData, IsReadByTheTypeItIsFor) {
  for (const char* what : {"NewBook", "POST /books"}) {
    App app;
    std::map<std::int64_t, Book> books;
    add_books(app, books);
    const Outcome outcome = run_command(app, {"test-data", what, "-n", "25"});
    EXPECT_EQ(outcome.code, 0);
    const auto lines = outcome.lines();
    ASSERT_EQ(lines.size(), 25U);
    for (const std::string& line : lines) EXPECT_EQ(schema::parse_json<NewBook>(line).year % 2, 0) << line;
  }
}

TEST(TestData, OfOneSeedIsTheSame) {
  const auto made = [](const char* seed) {
    App app;
    std::map<std::int64_t, Book> books;
    add_books(app, books);
    return run_command(app, {"test-data", "Book", "--seed", seed, "--wild"}).out;
  };
  EXPECT_EQ(made("7"), made("7"));
  EXPECT_NE(made("7"), made("8"));
}

TEST(TestData, IsCsvForCopy) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"test-data", "NewBook", "--csv", "-n", "5"});
  EXPECT_EQ(outcome.code, 0);
  const auto lines = outcome.lines();
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[0], "title,year,note,tags");
  for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_GE(std::ranges::count(lines[i], ','), 3) << lines[i];
}

TEST(TestData, KnowsWhatIsRefusedAndWhy) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"test-data", "NewBook", "--invalid"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("title: longer than 40"), HasSubstr("year")));
  for (const std::string& line : outcome.lines()) {
    const Json one(line);
    schema::Errors errors;
    NewBook book{};
    EXPECT_FALSE(schema::parse_json(one.find("value")->text(), book, errors)) << line;
  }
}

TEST(TestData, OfSomethingUnknownSaysSo) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"test-data", "Bok"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("called 'Bok'"));
}

// ---- bench

std::optional<Json> result_of(const std::string& out, std::string_view operation) {
  for (const Json& one : Json(out).elements()) {
    if (one.find("operation")->as_string() == operation) return one;
  }
  return std::nullopt;
}

TEST(Bench, MeasuresWhatReadsAndChangesNothing) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome =
      run_command(app, {"bench", "--time", "0.02", "--route", "/books", "--route", "/count", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  const auto count = result_of(outcome.out, "GET /count");
  ASSERT_TRUE(count);
  EXPECT_GT(count->find("requests")->as_integer(), 0);
  EXPECT_EQ(count->find("answers_2xx")->as_integer(), count->find("requests")->as_integer());
  EXPECT_GT(count->find("p50_micros")->as_number(), 0);
  EXPECT_FALSE(result_of(outcome.out, "POST /books"));
  EXPECT_GT(result_of(outcome.out, "GET /books/{id}")->find("answers_4xx")->as_integer(), 0)
      << "nothing was made first";
  EXPECT_TRUE(books.empty());
}

TEST(Bench, WithWritesMakesFirstWhatPathsName) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"bench", "--time", "0.02", "--route", "/books", "--writes", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_GT(result_of(outcome.out, "POST /books")->find("answers_2xx")->as_integer(), 0);
  EXPECT_GT(result_of(outcome.out, "GET /books/{id}")->find("answers_2xx")->as_integer(), 0);
  EXPECT_FALSE(books.empty());
}

TEST(Bench, ShowsATableAndFailsWithTheService) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"bench", "--time", "0.01", "--route", "/broken", "--route", "/private"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.lines()[0], AllOf(StartsWith("operation"), HasSubstr("per s"), HasSubstr("p99")));
  EXPECT_THAT(outcome.out, HasSubstr("GET /broken"));
  EXPECT_THAT(outcome.out, HasSubstr("GET /private"));
}

TEST(Bench, SendsTheCredentialsThatItIsGiven) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome =
      run_command(app, {"bench", "--time", "0.01", "--route", "/private", "--auth", "Bearer good", "--json"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_GT(result_of(outcome.out, "GET /private")->find("answers_2xx")->as_integer(), 0);
}

TEST(Bench, WithNothingToMeasureSaysSo) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"bench", "--route", "/nowhere"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("no operation is left"));
}

TEST(OpenApiCommand, PrintsTheDocumentOfAVersion) {
  App app, one, two;
  app.get<"/health-of-all">([] { return 1; });
  one.get<"/old">([] { return 1; });
  two.get<"/new">([] { return 1; });
  app.versions({}, {{"1", one}, {"2", two}});
  EXPECT_THAT(run_command(app, {"openapi"}).out, AllOf(HasSubstr("/health-of-all"), Not(HasSubstr("/old"))));
  EXPECT_THAT(run_command(app, {"openapi", "--version", "1"}).out, AllOf(HasSubstr("/old"), Not(HasSubstr("/new"))));
  EXPECT_THAT(run_command(app, {"openapi", "--version", "2"}).out, AllOf(HasSubstr("/new"), Not(HasSubstr("/old"))));
  const Outcome unknown = run_command(app, {"openapi", "--version", "3"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.error, HasSubstr("there is no version '3'; there are: 1, 2"));
}

TEST(OpenApiCommand, SaysThatThereAreNoVersions) {
  App app;
  app.get<"/">([] { return 1; });
  const Outcome outcome = run_command(app, {"openapi", "--version", "1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("there is no version '1': this API has none"));
}

TEST(Commands, AreExplainedByHelp) {
  for (const char* name : {"bench", "test-data"}) {
    App app;
    app.get<"/">([] { return 1; });
    const Outcome outcome = run_command(app, {name, "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("--seed")) << name;
  }
}

// ---- fuzz

struct Keeps final : async::Component {
  [[nodiscard]] std::string_view name() const noexcept override { return "keeps"; }
  bool use_throwaway() override { return can = true; }
  Task<void> start() override {
    started_with = can;
    co_return;
  }
  bool can = false, started_with = false;
};

TEST(FuzzCommand, CountsItsCasesByKind) {
  App app;
  std::map<std::int64_t, Book> books;
  add_books(app, books);
  const Outcome outcome = run_command(app, {"fuzz", "--yes", "--cases", "50", "--route", "/books/{id}"});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(" cases/s)\n"), HasSubstr(" with data that fits, "),
                                 HasSubstr(" with invalid data, "), HasSubstr(" with methods that are not there\n")));
}

TEST(FuzzCommand, ThrowsAwayWhatComponentsKeep) {
  App app;
  Keeps keeps;
  app.provide(keeps);
  app.get<"/">([] { return Text{"a"}; });
  EXPECT_EQ(run_command(app, {"fuzz", "--yes", "--cases", "5", "--throwaway"}).code, 0);
  EXPECT_TRUE(keeps.started_with);
}

TEST(FuzzCommand, RefusesToThrowAwayWhereNothingCan) {
  App app;
  app.get<"/">([] { return Text{"a"}; });
  const Outcome outcome = run_command(app, {"fuzz", "--yes", "--cases", "5", "--throwaway"});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.error, HasSubstr("nothing in this program keeps data that can be thrown away"));
}

}  // namespace
}  // namespace ashlar
