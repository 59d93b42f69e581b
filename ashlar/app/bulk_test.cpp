#include <ashlar/app/bulk.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::Client;
using ::testing::HasSubstr;

struct NewBook {
  Annotated<std::string, min_length{1}> title;
  int pages = 0;
};
struct Book {
  std::int64_t id;
  std::string title;
};

void add_books(App& app, std::set<std::string>& titles) {
  app.post<"/books/bulk">([&titles](Bulk<NewBook, 3> books) -> Task<BulkAnswer<Book>> {
    co_return co_await books.each(
        [&titles](NewBook book) -> Task<Book> {
          co_await async::sleep(async::Nanoseconds(0));
          if (book.title == "fails") throw std::runtime_error("the secret reason");
          if (!titles.insert(book.title).second) throw Conflict("there is one already");
          co_return Book{static_cast<std::int64_t>(titles.size()), book.title};
        },
        201);
  });
}

TEST(Bulk, GivesEveryItemItsOutcome) {
  App app;
  std::set<std::string> titles;
  add_books(app, titles);
  Client client{app};
  const auto good = client.post("/books/bulk").json(R"([{"title":"a"},{"title":"b"}])").send();
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.body,
            R"({"items":[{"status":201,"value":{"id":1,"title":"a"}},{"status":201,"value":{"id":2,"title":"b"}}],)"
            R"("succeeded":2,"failed":0})");
  const auto mixed =
      client.post("/books/bulk").json(R"([{"title":"a"},{"title":"","pages":"x"},{"title":"c"}])").send();
  EXPECT_EQ(mixed.status, 207);
  const auto answer = mixed.json<BulkAnswer<Book>>();
  EXPECT_EQ(answer.succeeded, 1);
  EXPECT_EQ(answer.failed, 2);
  EXPECT_EQ(answer.items[0].status, 409);
  EXPECT_EQ(answer.items[0].error->detail, "there is one already");
  EXPECT_EQ(answer.items[1].status, 422);
  EXPECT_THAT(mixed.body, AllOf(HasSubstr(R"({"type":"string_too_short","loc":["body",1,"title"])"),
                                HasSubstr(R"("loc":["body",1,"pages"])")));
  EXPECT_EQ(answer.items[2].value->title, "c");
}

TEST(Bulk, TellsNothingOfAFailureOfOurs) {
  App app;
  std::set<std::string> titles;
  add_books(app, titles);
  Client client{app};
  const auto answer = client.post("/books/bulk").json(R"([{"title":"fails"},{"title":"b"}])").send();
  EXPECT_EQ(answer.status, 207);
  EXPECT_EQ(answer.json<BulkAnswer<Book>>().items[0].status, 500);
  EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("secret")));
  EXPECT_EQ(titles.size(), 1U);
}

TEST(Bulk, RefusesAsAWholeWhatIsNoListOrTooLong) {
  App app;
  std::set<std::string> titles;
  add_books(app, titles);
  Client client{app};
  const auto refused = [&](std::string_view body, std::string_view type) {
    const auto answer = client.post("/books/bulk").json(body).send();
    EXPECT_EQ(answer.status, 422) << body;
    EXPECT_THAT(answer.body, HasSubstr(type)) << body;
  };
  refused("{}", "list_type");
  refused("[]", "too_short");
  refused("[{},{},{},{}]", "List should have at most 3 items after validation, not 4");
  refused("[{\"title\":\"a\"}", "json_invalid");
  refused("", "missing");
  EXPECT_TRUE(titles.empty());
}

TEST(Bulk, TakesPlainFunctions) {
  App app;
  app.post<"/lengths">([](Bulk<NewBook> books) -> Task<BulkAnswer<int>> {
    co_return co_await books.each([](const NewBook& book) { return static_cast<int>(book.title.size()); });
  });
  Client client{app};
  EXPECT_EQ(client.post("/lengths").json(R"([{"title":"abc"}])").send().body,
            R"({"items":[{"status":200,"value":3}],"succeeded":1,"failed":0})");
}

TEST(Bulk, TellsWhatWasDoneWhenItsTimeIsOver) {
  App app;
  int done = 0;
  app.post<"/slow">([&done](Bulk<NewBook> books) -> Task<BulkAnswer<int>> {
    co_return co_await books.each([&done](const NewBook& book) -> Task<int> {
      if (book.title == "late") throw DeadlineExceeded();
      co_return ++done;
    });
  });
  Client client{app};
  const auto answer =
      client.post("/slow").json(R"([{"title":"a"},{"title":"late"},{"title":"b"}])").send().json<BulkAnswer<int>>();
  EXPECT_EQ(answer.items[0].status, 200);
  EXPECT_EQ(answer.items[1].status, 504);
  EXPECT_EQ(answer.items[2].status, 503);
  EXPECT_EQ(done, 1);
}

TEST(Bulk, ShowsInOpenApi) {
  App app;
  std::set<std::string> titles;
  add_books(app, titles);
  EXPECT_THAT(app.openapi(),
              AllOf(HasSubstr(R"("207":)"), HasSubstr("BulkAnswerOfBook"), HasSubstr(R"("maxItems":3)")));
}

}  // namespace
}  // namespace ashlar
