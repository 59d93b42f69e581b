// The code of docs/guide/tutorial/: parameters, bodies, responses. Each step is run.
#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/testing/client.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

// ---- parameters.md

namespace parameters {

// sample: enum
enum class Shelf { fiction, science, travel };
// end of sample

// sample: query
struct Search {
  Annotated<std::string, min_length{1}, max_length{80}, description{"Words of the title"}> q;
  Annotated<int, ge{1}, le{100}> limit = 20;
  std::optional<Shelf> shelf;
  std::vector<std::string> tag = {};  // ?tag=old&tag=signed
};
struct Found {
  std::string q;
  int limit;
  std::optional<Shelf> shelf;
  std::vector<std::string> tag;
};
// end of sample

// sample: header-and-cookie
struct Agent {
  std::string user_agent = "unknown";  // the header User-Agent
};
struct Visit {
  Annotated<std::string, to_lower{}> theme = "light";
};
// end of sample

void add_routes(App& app) {
  // sample: path
  app.get<"/books/{id}">([](Path<"id", std::int64_t> id) { return "book " + std::to_string(id); });
  // end of sample
  // sample: path-rules
  using BookId = Annotated<std::int64_t, ge{1}>;
  app.get<"/shelves/{shelf}/books/{id}">(
      [](Path<"shelf", Shelf> shelf, Path<"id", BookId> id) { return Found{"", static_cast<int>(id), shelf, {}}; });
  // end of sample
  // sample: rest-of-the-path
  app.get<"/covers/{rest:path}">([](Path<"rest"> rest) { return "the cover " + rest; });
  // end of sample
  // sample: search
  app.get<"/search">([](Query<Search> search) { return Found{search.q, search.limit, search.shelf, search.tag}; });
  // end of sample
  // sample: both
  app.get<"/greeting">(
      [](Header<Agent> header, Cookie<Visit> cookie) { return header.user_agent + " in " + cookie.theme; });
  // end of sample
}

TEST(TutorialParameters, AreReadCheckedAndRefused) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/books/5").send().body, "book 5");
  const auto refused = client.get("/books/five").send();
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, HasSubstr(R"("type":"int_parsing","loc":["path","id"])"));
  EXPECT_EQ(client.get("/shelves/travel/books/3").send().status, 200);
  EXPECT_THAT(client.get("/shelves/cooking/books/0").send().body, HasSubstr("greater_than_equal"));
  EXPECT_EQ(client.get("/covers/1999/moby.png").send().body, "the cover 1999/moby.png");
}

TEST(TutorialParameters, OfTheQueryAreAStruct) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  const auto found = client.get("/search?q=sea&shelf=travel&tag=old&tag=signed").send().json<Found>();
  EXPECT_EQ(found.limit, 20);
  EXPECT_EQ(found.shelf, Shelf::travel);
  EXPECT_EQ(found.tag.size(), 2U);
  const auto refused = client.get("/search?limit=1000").send();
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, HasSubstr(R"("type":"missing","loc":["query","q"])"));
  EXPECT_THAT(refused.body, HasSubstr(R"("type":"less_than_equal","loc":["query","limit"])"));
}

TEST(TutorialParameters, OfHeadersAndCookies) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/greeting").header("User-Agent", "curl").header("Cookie", "theme=DARK").send().body,
            "curl in dark");
  EXPECT_EQ(client.get("/greeting").send().body, "unknown in light");
}

}  // namespace parameters

// ---- bodies.md

namespace bodies {

// sample: body
struct Author {
  Annotated<std::string, strip{}, min_length{1}> name;
  std::optional<Date> born;
};
struct NewBook {
  Annotated<std::string, strip{}, min_length{1}, max_length{200}, example{"Moby-Dick"}> title;
  Annotated<Decimal, gt{0}, decimal_places{2}> price;
  std::vector<Author> authors = {};  // structs nest as deep as you like
  std::map<std::string, std::string> links = {};
};
// end of sample

// sample: strict
struct Rental {
  Date from, to;

  static constexpr SchemaOptions schema{.naming = Naming::camel_case, .extra = Extra::forbid};

  void validate(Violations& violations) const {
    if (to < from) violations.add("to", "is before from");
  }
};
// end of sample

// sample: patch
struct BookChange {
  Annotated<Patch<std::string>, not_null{}> title;  // absent: leave it; null: refused
  Patch<std::string> blurb;                         // absent: leave it; null: clear it
};
// end of sample

// sample: book
struct Book {
  std::int64_t id;
  std::string title;
  std::optional<std::string> blurb;
};
// end of sample

void add_routes(App& app) {
  // sample: post
  app.post<"/books">([](NewBook book) { return book; });
  // end of sample
  // sample: put
  app.put<"/books/{id}">([](Path<"id", std::int64_t> id, NewBook book) { return Book{id, book.title, std::nullopt}; });
  // end of sample
  // sample: list
  app.post<"/books/import">([](Body<std::vector<NewBook>> books) { return books.size(); });
  // end of sample
  app.post<"/rentals">([](Rental rental) { return rental; });
  // sample: patch-route
  app.patch<"/books/{id}">([](Path<"id", std::int64_t> id, BookChange change) {
    Book book{id, "Moby-Dick", "A whale."};
    if (change.title.has_value()) book.title = *change.title;
    if (!change.blurb.is_absent()) book.blurb = change.blurb.to_optional();
    return book;
  });
  // end of sample
}

TEST(TutorialBodies, AreStructs) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  const auto book =
      client.post("/books").json(R"({"title":" Emma ","price":"9.50","authors":[{"name":"Jane Austen"}]})").send();
  EXPECT_EQ(book.status, 200) << book.body;
  EXPECT_EQ(book.json<NewBook>().title, "Emma");
  EXPECT_EQ(client.put("/books/4").json(R"({"title":"Emma","price":1})").send().json<Book>().id, 4);
  EXPECT_EQ(client.post("/books/import").json(R"([{"title":"A","price":1},{"title":"B","price":2}])").send().body, "2");
}

TEST(TutorialBodies, AreRefusedWithEveryMistakeAndItsPlace) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  const auto refused =
      client.post("/books").json(R"({"price":"9.999","authors":[{"name":""},{"name":"B","born":"once"}]})").send();
  EXPECT_EQ(refused.status, 422);
  for (const auto* place : {R"(["body","title"])", R"(["body","price"])", R"(["body","authors",0,"name"])",
                            R"(["body","authors",1,"born"])"})
    EXPECT_THAT(refused.body, HasSubstr(place));
}

TEST(TutorialBodies, AreCheckedAcrossMembers) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  EXPECT_THAT(client.post("/rentals").json(R"({"from":"2026-02-02","to":"2026-01-01"})").send().body,
              HasSubstr("is before from"));
  EXPECT_THAT(client.post("/rentals").json(R"({"from":"2026-02-02","to":"2026-03-01","x":1})").send().body,
              HasSubstr("extra_forbidden"));
}

TEST(TutorialBodies, ChangeOnlyWhatTheyName) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  const auto cleared = client.patch("/books/1").json(R"({"blurb":null})").send().json<Book>();
  EXPECT_EQ(cleared.title, "Moby-Dick");
  EXPECT_EQ(cleared.blurb, std::nullopt);
  EXPECT_EQ(client.patch("/books/1").json(R"({"title":null})").send().status, 422);
}

}  // namespace bodies

// ---- responses.md

namespace responses {

// sample: row-and-answer
struct Account {  // what is stored
  std::int64_t id;
  std::string email;
  Annotated<std::string, write_only{}> password_hash;  // read from outside, never written to it
};
// end of sample

// sample: own-error
struct OutOfStock : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// end of sample

struct Book {
  std::int64_t id;
  std::string title;
};

void add_routes(App& app) {
  app.get<"/accounts/{id}">([](Path<"id", std::int64_t> id) { return Account{id, "ada@example.com", "$argon2id$"}; });
  // sample: statuses
  app.post<"/books">([](Book book) { return Created<Book>(book, "/books/" + std::to_string(book.id)); });  // 201
  app.post<"/orders">([] { return Accepted<std::string>("it is being packed"); });                         // 202
  app.del<"/books/{id}">([](Path<"id", std::int64_t>) {});                                                 // 204
  app.get<"/old-books">([] { return Redirect{"/books", 308}; });
  app.get<"/page">([] { return Html{"<h1>Books</h1>"}; });
  // end of sample
  // sample: headers
  app.get<"/bestseller">([](http::Response& response) {
    response.header("Cache-Control", "max-age=60");
    return Book{1, "Moby-Dick"};
  });
  // end of sample
  // sample: throw
  app.get<"/books/{id}">(
      [](Path<"id", std::int64_t> id) {
        if (id == 0) throw NotFound("there is no book 0");
        if (id == 1) throw OutOfStock("Moby-Dick");
        return Book{id, "Emma"};
      },
      {.summary = "One book", .errors = {404, 409}});  // and OpenAPI says so
  app.on_error<OutOfStock>(
      [](const OutOfStock& error) { return Problem{.status = 409, .title = "Out of stock", .detail = error.what()}; });
  // end of sample
  // sample: expected
  app.get<"/prices/{id}">([](Path<"id", std::int64_t> id) -> std::expected<Decimal, Problem> {
    if (id == 0) return std::unexpected(Problem{.status = 410, .detail = "it was taken off sale"});
    return Decimal::parse("9.50").value();
  });
  // end of sample
}

TEST(TutorialResponses, AreWhatTheHandlerReturns) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/accounts/7").send().body, R"({"id":7,"email":"ada@example.com"})");
  const auto created = client.post("/books").json(R"({"id":9,"title":"Emma"})").send();
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(created.header("Location"), "/books/9");
  EXPECT_EQ(client.post("/orders").send().status, 202);
  EXPECT_EQ(client.del("/books/9").send().status, 204);
  EXPECT_EQ(client.get("/old-books").send().header("Location"), "/books");
  EXPECT_EQ(client.get("/page").send().header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(client.get("/bestseller").send().header("Cache-Control"), "max-age=60");
}

TEST(TutorialResponses, OfErrorsAreProblems) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  const auto missing = client.get("/books/0").send();
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.header("Content-Type"), "application/problem+json");
  EXPECT_THAT(missing.body, HasSubstr(R"("detail":"there is no book 0")"));
  EXPECT_THAT(client.get("/books/1").send().body, HasSubstr(R"("title":"Out of stock")"));
  EXPECT_EQ(client.get("/prices/0").send().status, 410);
  EXPECT_EQ(client.get("/prices/1").send().body, R"("9.50")");
}

}  // namespace responses

}  // namespace
