// A service with bugs in it, and the same one without: fuzz() finds each of the one and nothing in the other.
#include <ashlar/app/fuzz.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/test_fuzz.hpp>
#include <ashlar/app/uploads.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar {
namespace {

using test::found;
using test::report_of;
struct NewBook {
  Annotated<std::string, min_length{1}, max_length{40}> title;
  Annotated<int, ge{1450}, le{2100}> year;
  std::vector<std::string> tags;
};
struct Book {
  std::int64_t id;
  std::string title;
  int year;
};
struct Page {
  Annotated<int, ge{1}, le{100}> limit = 20;
  Annotated<int, ge{0}> offset = 0;
};
struct Shelf {
  std::map<std::int64_t, Book> books;
  std::int64_t last = 0;
};

struct Bugs {
  bool fails = false;          // a 500 for some titles
  bool undocumented = false;   // a 404 that the document does not have
  bool lets_all_in = false;    // a token that nobody looks at
  bool keeps_deleted = false;  // a delete that leaves the thing
  bool refuses = false;        // a rule that the document does not have
  bool loses = false;          // what is made cannot be found
};
Bugs bugs;

struct User {
  std::string name;
};
User current_user(Bearer bearer) {
  if (!bugs.lets_all_in && bearer.token != "good") throw Unauthenticated("no such token");
  return {"ann"};
}

void add_routes(App& app, Shelf& shelf) {
  app.provide(shelf);
  app.get<"/books">([](Query<Page> page, Shelf& own) {
    std::vector<Book> out;
    for (const auto& [id, book] : own.books) {
      if (out.size() < static_cast<std::size_t>(page.limit)) out.push_back(book);
    }
    return out;
  });
  app.post<"/books">(
      [](NewBook in, Shelf& own) -> Created<Book> {
        if (bugs.fails && in.title.find('\'') != std::string::npos) throw Internal("syntax error");
        if (bugs.refuses && in.year < 1500) throw Invalid("too old");
        const Book book{++own.last, in.title, in.year};
        if (own.books.size() > 1000) own.books.clear();
        if (!bugs.loses) own.books[book.id] = book;
        return {book};
      },
      {.operation_id = "AddBook"});
  const std::vector<int> not_found = bugs.undocumented ? std::vector<int>{} : std::vector<int>{404};
  app.get<"/books/{id}">(
      [](Path<"id", std::int64_t> id, Shelf& own) -> Book {
        const auto at = own.books.find(id);
        if (at == own.books.end()) throw NotFound("no such book");
        return at->second;
      },
      {.errors = not_found});
  app.del<"/books/{id}">(
      [](Path<"id", std::int64_t> id, Shelf& own) {
        if (!own.books.contains(id)) throw NotFound("no such book");
        if (!bugs.keeps_deleted) own.books.erase(id);
        return NoContent{};
      },
      {.errors = {404}});
  app.get<"/me">([](Depends<current_user> me) { return *me; });
}

struct Out {
  Annotated<int, le{10}> small;
  Annotated<std::string, max_length{3}> text;
};
struct Person {
  Annotated<std::string, min_length{2}> name;
  std::optional<int> age;
};
struct Picture {
  Annotated<std::string, min_length{2}, max_length{10}> title;
  Annotated<UploadedFile, max_length{40}> image;
  std::vector<UploadedFile> more = {};
};
struct Level {
  Annotated<int, ge{1}, le{3}> x_level;
};

class Fuzz : public ::testing::Test {
 protected:
  Fuzz() { bugs = {}; }
  ~Fuzz() override { bugs = {}; }
  FuzzReport run(FuzzOptions options = {.cases = 400, .authorization = "Bearer good"}) {
    Shelf shelf;
    App app;
    add_routes(app, shelf);
    return report_of(app, std::move(options));
  }
  std::set<std::string> finds() {
    last = run();
    return found(last);
  }
  FuzzReport last;
  using Names = std::set<std::string>;
};

TEST_F(Fuzz, FindsNothingInAServiceThatDoesWhatItSays) {
  const FuzzReport report = run();
  for (const auto& one : report.findings) ADD_FAILURE() << one.check << " " << one.message << "\n" << one.curl;
  EXPECT_GE(report.cases, 400U);
  for (const auto& one : report.operations) EXPECT_GT(one.successes, 0U) << one.operation;
  EXPECT_EQ(report.operations.size(), 5U);
}

TEST_F(Fuzz, FindsAFailureAndTheSimplestRequestThatShowsIt) {
  bugs.fails = true;
  EXPECT_EQ(finds(), Names{"server-error POST /books"});
  const FuzzFinding& finding = last.findings.at(0);
  EXPECT_EQ(finding.status, 500);
  EXPECT_EQ(finding.curl, R"(curl -i -X POST 'http://127.0.0.1:8000/books' -H "Authorization: $AUTH" )"
                          R"(-H 'Content-Type: application/json' --data-binary '{"title":"'\''","year":1450}')");
  EXPECT_NE(finding.answer.find("500"), std::string::npos);
}

TEST_F(Fuzz, FindsAStatusThatIsNotDocumented) {
  bugs.undocumented = true;
  EXPECT_EQ(finds(), Names{"undocumented-status GET /books/{id}"});
  EXPECT_NE(last.findings[0].message.find(".errors = {404}"), std::string::npos);
}

TEST_F(Fuzz, FindsCredentialsThatNobodyLooksAt) {
  bugs.lets_all_in = true;
  EXPECT_EQ(finds(), Names{"auth-ignored GET /me"});
  EXPECT_EQ(last.findings[0].curl, "curl -i 'http://127.0.0.1:8000/me' -H 'Authorization: Bearer not-a-token'");
}

TEST_F(Fuzz, FindsKeysThatNobodyLooksAt) {
  App app;
  app.get<"/header">([](ApiKey<In::header, "X-API-Key">) { return Text{"known"}; });
  app.get<"/cookie">([](ApiKey<In::cookie, "key">) { return Text{"known"}; });
  app.get<"/query">([](ApiKey<In::query, "key">) { return Text{"known"}; });
  const FuzzReport report = report_of(app, {.cases = 30});
  EXPECT_EQ(found(report), (Names{"auth-ignored GET /header", "auth-ignored GET /cookie", "auth-ignored GET /query"}));
  std::set<std::string> commands;
  for (const auto& one : report.findings) commands.insert(one.curl);
  EXPECT_EQ(commands, (Names{"curl -i 'http://127.0.0.1:8000/header' -H 'X-API-Key: not-a-key'",
                             "curl -i 'http://127.0.0.1:8000/cookie' -H 'Cookie: key=not-a-key'",
                             "curl -i 'http://127.0.0.1:8000/query?key=not-a-key'"}));
}

TEST_F(Fuzz, FindsADeleteThatLeavesTheThing) {
  bugs.keeps_deleted = true;
  EXPECT_EQ(finds(), Names{"use-after-delete GET /books/{id}"});
  const std::string& curl = last.findings[0].curl;
  EXPECT_NE(curl.find("POST"), std::string::npos) << curl;
  EXPECT_NE(curl.find("DELETE"), std::string::npos) << curl;
  EXPECT_NE(curl.find("# id: .id in the answer to request 1"), std::string::npos) << curl;
}

TEST_F(Fuzz, FindsWhatIsMadeAndCannotBeFound) {
  bugs.loses = true;
  EXPECT_EQ(finds(), Names{"new-is-missing GET /books/{id}"});
}

TEST_F(Fuzz, FindsDataThatFitsAndIsRefused) {
  bugs.refuses = true;
  EXPECT_EQ(finds(), Names{"valid-refused POST /books"});
  EXPECT_NE(last.findings[0].curl.find("\"year\":1450"), std::string::npos) << last.findings[0].curl;
}

TEST_F(Fuzz, IsTheSameForTheSameSeed) {
  bugs.fails = bugs.undocumented = true;
  const FuzzReport one = run({.seed = 5, .cases = 300}), two = run({.seed = 5, .cases = 300});
  const FuzzReport other = run({.seed = 6, .cases = 300});
  EXPECT_EQ(one.requests, two.requests);
  ASSERT_EQ(one.findings.size(), two.findings.size());
  for (std::size_t i = 0; i < one.findings.size(); ++i) {
    EXPECT_EQ(one.findings[i].curl, two.findings[i].curl);
    EXPECT_EQ(one.findings[i].times, two.findings[i].times);
  }
  EXPECT_NE(one.requests, other.requests);
}

TEST_F(Fuzz, TriesOnlyWhatIsChosen) {
  bugs.fails = bugs.undocumented = true;
  EXPECT_EQ(found(run({.cases = 300, .routes = {"AddBook"}})), Names{"server-error POST /books"});
  EXPECT_EQ(found(run({.cases = 300, .exclude = {"POST"}})), Names{"undocumented-status GET /books/{id}"});
  EXPECT_THROW(run({.routes = {"/nowhere"}}), Invalid);
}

TEST_F(Fuzz, SaysWhatWouldHelp) {
  const FuzzReport report = run({.cases = 50});
  bool said = false;
  for (const auto& note : report.notes) said = said || note.find("--auth") != std::string::npos;
  EXPECT_TRUE(said);
}

TEST_F(Fuzz, ReportsAsJson) {
  bugs.fails = true;
  const Json report(run().json());
  EXPECT_EQ(report.find("findings")->at(0)->find("check")->as_string(), "server-error");
  EXPECT_EQ(report.find("operations")->elements().size(), 5U);
  EXPECT_EQ(report.find("seed")->as_integer(), 1);
}

// ---- answers that the types do not rule out

TEST_F(Fuzz, FindsAnAnswerThatBreaksItsSchema) {
  App app;
  app.get<"/out/{n}">([](Path<"n", int> n) { return Out{int{n}, "abc"}; });
  const FuzzReport report = report_of(app);
  EXPECT_EQ(found(report), Names{"response-schema GET /out/{n}"});
  EXPECT_EQ(report.findings.at(0).message, "the body of 200 does not fit its schema: small: 11 is too large");
}

TEST_F(Fuzz, FindsAnAnswerOfAnotherContentType) {
  struct AsPage : Middleware {
    void after(http::Exchange& exchange) noexcept override {
      if (exchange.response.status == 200) exchange.response.content_type = "text/html";
    }
  };
  App app;
  app.use(AsPage{});
  app.get<"/out">([] { return Out{1, "abc"}; });
  app.get<"/bytes">([] { return Content{"image/png", "PNG"}; });
  EXPECT_EQ(found(report_of(app)), Names{"undocumented-content-type GET /out"});
}

TEST_F(Fuzz, FindsDataThatIsTakenUnseen) {
  struct Repairs : Middleware {
    void after(http::Exchange& exchange) noexcept override {
      if (exchange.response.status != 422) return;
      exchange.response.clear();
      exchange.response.content_type = "application/json";
      exchange.response.body = R"({"small":1,"text":"a"})";
    }
  };
  App app;
  app.use(Repairs{});
  app.post<"/in">([](Person) { return Out{1, "abc"}; });
  EXPECT_EQ(found(report_of(app)), Names{"invalid-accepted POST /in"});
}

TEST_F(Fuzz, FindsAMethodThatIsNotThereAndIsNotRefused) {
  struct Forgives : Middleware {
    explicit Forgives(int what) : status(what) {}
    void after(http::Exchange& exchange) noexcept override {
      if (exchange.response.status != 405) return;
      if (status == 405) exchange.response.remove_header("Allow");
      exchange.response.status = status;
    }
    int status;
  };
  for (const int status : {404, 405}) {
    App app;
    app.use(Forgives{status});
    app.get<"/out">([] { return Out{1, "abc"}; });
    app.post<"/out">([] { return Out{1, "abc"}; });
    const FuzzReport report = report_of(app);
    EXPECT_EQ(found(report), Names{"unsupported-method GET /out"}) << status;
    const std::string expected = status == 405 ? "the 405 to PUT does not say GET in Allow"
                                               : "PUT is not documented here and is answered with 404, not 405";
    EXPECT_EQ(report.findings.at(0).message, expected);
    EXPECT_EQ(report.findings.at(0).curl, "curl -i -X PUT 'http://127.0.0.1:8000/out'");
  }
}

// ---- forms with files

TEST_F(Fuzz, FindsNothingInAFormThatDoesWhatItSays) {
  App app;
  app.post<"/pictures">([](Form<Picture> in) -> Task<Text> { co_return Text{co_await in.image.read()}; });
  const FuzzReport report = report_of(app, {.cases = 300});
  for (const auto& one : report.findings) ADD_FAILURE() << one.check << " " << one.message << "\n" << one.curl;
  EXPECT_GT(report.operations.at(0).successes, 50U);
}

TEST_F(Fuzz, FindsAFileThatTheHandlerFailsOn) {
  App app;
  app.post<"/pictures">([](Form<Picture> in) {
    if (in.image.size() == 0) throw Internal("an empty picture");
    return NoContent{};
  });
  const FuzzReport report = report_of(app, {.cases = 300});
  EXPECT_EQ(found(report), Names{"server-error POST /pictures"});
  const std::string& curl = report.findings.at(0).curl;
  EXPECT_NE(curl.find("multipart/form-data; boundary="), std::string::npos) << curl;
  EXPECT_NE(curl.find("name=\"image\"; filename=\"a.bin\""), std::string::npos) << curl;
}

TEST_F(Fuzz, FindsAFormThatFitsAndIsRefused) {
  App app;
  app.post<"/pictures">([](Form<Picture> in) {
    if (in.more.size() > 1) throw Invalid("one at a time");
    return NoContent{};
  });
  EXPECT_EQ(found(report_of(app)), Names{"valid-refused POST /pictures"});
}

TEST_F(Fuzz, FindsAFormThatIsCutOffAndTaken) {
  struct Repairs : Middleware {
    void after(http::Exchange& exchange) noexcept override {
      if (exchange.response.status != 400) return;
      exchange.response.clear();
      exchange.response.status = 204;
    }
  };
  App app;
  app.use(Repairs{});
  app.post<"/pictures">([](Form<Picture>) { return NoContent{}; });
  const FuzzReport report = report_of(app);
  EXPECT_EQ(found(report), Names{"invalid-accepted POST /pictures"});
  EXPECT_EQ(report.findings.at(0).message, "a form that is cut off is answered with 204");
}

TEST_F(Fuzz, FindsAHandlerThatDoesNotEnd) {
  App app;
  app.get<"/slow">([]() -> Task<Text> {
    co_await async::sleep(std::chrono::hours(1));
    co_return Text{"late"};
  });
  const FuzzReport report = report_of(app, {.cases = 3, .patience = std::chrono::milliseconds(20)});
  EXPECT_EQ(found(report), Names{"no-answer GET /slow"});
}

TEST_F(Fuzz, LeavesItsRequestToAHandlerThatIsCancelledAndDoesNotEnd) {
  async::run([]() -> Task<void> {
    App app;
    async::Event go, ended;
    std::string target;
    app.get<"/deaf/{word}">([&](Path<"word">, const http::Request& request) -> Task<Text> {
      const auto wait = [](async::Event& event) -> Task<void> { co_await event.wait(); };
      co_await async::shield(wait(go));
      target = request.target;
      ended.set();
      co_return Text{"late"};
    });
    co_await app.start();
    std::string told;
    try {
      co_await fuzz(app, {.cases = 1, .patience = std::chrono::milliseconds(1), .grace = std::chrono::milliseconds(1)});
    } catch (const Unavailable& error) {
      told = error.message();
    }
    EXPECT_NE(told.find("GET /deaf/{word} gives no answer"), std::string::npos) << told;
    go.set();
    co_await ended.wait();
    EXPECT_TRUE(target.starts_with("/deaf/")) << target;
    co_await app.stop();
  }());
}

TEST_F(Fuzz, TriesMountedApplicationsFormsHeadersAndRestsOfPaths) {
  App app, inner;
  inner.post<"/form">([](Form<Person> in) { return Text{in.name}; });
  inner.get<"/rest/{path:path}">([](Path<"path"> path) { return Text{std::string(path)}; });
  inner.get<"/head">([](Header<Level> in) { return Text{std::to_string(in.x_level)}; });
  app.mount("/v1", inner);
  const FuzzReport report = report_of(app);
  for (const auto& one : report.findings) ADD_FAILURE() << one.check << " " << one.message << "\n" << one.curl;
  std::set<std::string> tried;
  for (const auto& one : report.operations) {
    tried.insert(one.operation);
    EXPECT_GT(one.successes, 0U) << one.operation;
  }
  EXPECT_EQ(tried, (Names{"POST /v1/form", "GET /v1/rest/{path}", "GET /v1/head"}));
}

}  // namespace
}  // namespace ashlar
