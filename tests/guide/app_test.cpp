// The code of docs/guide/handlers.md, dependencies.md, errors.md, running.md and testing.md: compiled and run.
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// ---- handlers.md

// sample: structs
struct NewBook {
  Annotated<std::string, min_length{1}, max_length{200}> title;
  Annotated<int, ge{1450}> year = 2000;
  std::vector<std::string> tags = {};
};
struct Book {
  std::int64_t id;
  std::string title;
  int year;
};
struct Filter {
  Annotated<int, ge{1}, le{100}> limit = 20;
  std::optional<std::string> author;
  std::vector<std::string> tag = {};  // ?tag=a&tag=b
};
// end of sample

struct Client {
  std::string user_agent;
};
struct Preferences {
  std::string theme = "light";
};

void add_routes(App& app) {
  // sample: routes
  app.get<"/books/{id}">([](Path<"id", std::int64_t> id) { return Book{id, "The Book", 1999}; });

  app.get<"/books">([](Query<Filter> filter) {
    std::vector<Book> books;
    for (int i = 0; i < filter.limit; ++i) books.push_back({i, "A book", 2000});
    return books;
  });

  app.post<"/books">([](NewBook book) { return Created<Book>(Book{7, book.title, book.year}, "/books/7"); },
                     {.summary = "Add a book", .tags = {"books"}});

  app.del<"/books/{id}">([](Path<"id", std::int64_t>) {});  // nothing to say: 204
  // end of sample

  // sample: sources
  app.get<"/agent">([](Header<Client> header, Cookie<Preferences> cookie, const http::Request& request) {
    return header.user_agent + " " + cookie.theme + " " + std::string(request.method_text);
  });
  app.post<"/login">([](Form<NewBook> form) { return form.title; });
  app.post<"/many">([](Body<std::vector<NewBook>> books) { return books.size(); });
  app.get<"/files/{rest:path}">([](Path<"rest"> rest) { return Text{rest}; });
  // end of sample

  // sample: tasks
  app.get<"/slow">([]() -> Task<Book> {
    co_await async::sleep(5ms);  // the loop serves others meanwhile
    co_return Book{1, "Slow", 2001};
  });
  // end of sample

  // sample: answers
  app.get<"/page">([] { return Html{"<h1>Hello</h1>"}; });
  app.get<"/old">([] { return Redirect{"/page", 308}; });
  app.get<"/maybe/{id}">([](Path<"id", int> id) -> std::expected<Book, Problem> {
    if (id == 0) return std::unexpected(Problem{.status = 410, .detail = "that book is gone"});
    return Book{id, "Still here", 2002};
  });
  app.get<"/numbers">([] {
    return Stream{"text/plain", []() -> Generator<std::string> {
                    for (int i = 0; i < 3; ++i) co_yield std::to_string(i) + "\n";
                  }()};
  });
  app.get<"/cached">([](http::Response& response) {
    response.header("Cache-Control", "max-age=60");
    return Book{1, "Cached", 2003};
  });
  // end of sample
}

TEST(Handlers, OfTheGuideAnswer) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/books/5").send().json<Book>().id, 5);
  EXPECT_EQ(client.get("/books?limit=3").send().json<std::vector<Book>>().size(), 3U);
  EXPECT_EQ(client.post("/books").json(R"({"title":"T"})").send().header("Location"), "/books/7");
  EXPECT_EQ(client.del("/books/5").send().status, 204);
  EXPECT_EQ(client.get("/agent").header("User-Agent", "me").header("Cookie", "theme=dark").send().body, "me dark GET");
  EXPECT_EQ(client.post("/login").form({{"title", "x"}}).send().body, "x");
  EXPECT_EQ(client.post("/many").json(R"([{"title":"a"},{"title":"b"}])").send().body, "2");
  EXPECT_EQ(client.get("/files/a/b").send().body, "a/b");
  EXPECT_EQ(client.get("/slow").send().status, 200);
  EXPECT_EQ(client.get("/old").send().status, 308);
  EXPECT_EQ(client.get("/maybe/0").send().status, 410);
  EXPECT_EQ(client.get("/numbers").send().body, "0\n1\n2\n");
  EXPECT_EQ(client.get("/cached").send().header("cache-control"), "max-age=60");
}

// ---- dependencies.md

// sample: resource
struct Users {
  std::optional<std::string> name_of(std::string_view token) const {
    if (token == "secret") return "ann";
    return std::nullopt;
  }
};
// end of sample

// sample: dependency
struct User {
  std::string name;
};
Task<User> current_user(Bearer bearer, Users& users) {
  const auto name = users.name_of(bearer.token);
  if (!name) throw Unauthenticated("the token is not known");
  co_return User{*name};
}
Checked require_ann(Depends<current_user> user) {
  if (user->name != "ann") throw Forbidden("only for ann");
  return {};
}
// end of sample

// sample: raii
struct Stopwatch {
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  std::chrono::nanoseconds* total = nullptr;
  Stopwatch() = default;
  explicit Stopwatch(std::chrono::nanoseconds& sum) : total(&sum) {}
  Stopwatch(Stopwatch&& other) noexcept : began(other.began), total(std::exchange(other.total, nullptr)) {}
  ~Stopwatch() {
    if (total != nullptr) *total += std::chrono::steady_clock::now() - began;
  }
};
struct Totals {
  std::chrono::nanoseconds spent{0};
};
Stopwatch stopwatch(Totals& totals) { return Stopwatch{totals.spent}; }
// end of sample

struct Mailer {
  Users& users;
};

TEST(Dependencies, OfTheGuideWork) {
  Totals totals;
  App app;
  // sample: use
  Users users;
  app.provide(users);
  app.get<"/me">([](Depends<current_user> me) { return User{me->name}; });

  Router<"/admin"> admin{{.tags = {"admin"}, .dependencies = {depends<require_ann>}}};
  admin.get<"/report">([](Depends<current_user> me) { return Text{"for " + me->name}; });
  app.include(std::move(admin));
  // end of sample
  app.provide(totals);
  app.get<"/timed">([](Depends<stopwatch>) { return "done"; });
  // sample: factory
  app.provide<Mailer>([](Users& known) { return std::make_unique<Mailer>(known); });
  app.get<"/mailer">([](Mailer& mailer) { return mailer.users.name_of("secret").value_or("nobody"); });
  // end of sample

  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/me").send().status, 401);
  EXPECT_EQ(client.get("/me").bearer("secret").send().json<User>().name, "ann");
  EXPECT_EQ(client.get("/admin/report").bearer("secret").send().body, "for ann");
  EXPECT_EQ(client.get("/timed").send().body, "done");
  EXPECT_GT(totals.spent.count(), 0);
  EXPECT_EQ(client.get("/mailer").send().body, "ann");

  // sample: acting_as
  {
    const auto scope = client.acting_as(User{"bob"});
    EXPECT_EQ(client.get("/me").send().json<User>().name, "bob");
    EXPECT_EQ(client.get("/admin/report").send().status, 403);
  }
  const auto scope = client.override_dependency<&current_user>(User{"ann"});
  EXPECT_EQ(client.get("/admin/report").send().body, "for ann");
  // end of sample
}

// ---- errors.md

struct OutOfStock : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// sample: error_body
struct ErrorBody {
  int code;
  std::string message;
};
// end of sample

TEST(Errors, OfTheGuideBecomeAnswers) {
  App app;
  // sample: errors
  app.get<"/books/{id}">([](Path<"id", int> id) -> Book {
    if (id == 1) throw NotFound("there is no such book");                                 // 404
    if (id == 2) throw Unavailable("the stock is being counted", 30s);                    // 503, Retry-After: 30
    if (id == 3) throw Problem{.status = 402, .title = "Pay first", .detail = "12 EUR"};  // any status
    throw OutOfStock("sold");
  });
  app.on_error<OutOfStock>([](const OutOfStock& error) { return Problem{.status = 409, .detail = error.what()}; });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/books/1").send().status, 404);
  EXPECT_EQ(client.get("/books/2").send().header("Retry-After"), "30");
  EXPECT_EQ(client.get("/books/3").send().status, 402);
  EXPECT_EQ(client.get("/books/4").send().status, 409);
}

TEST(Errors, OfTheGuideTakeTheProgramsShape) {
  App app;
  app.get<"/gone">([]() -> Book { throw NotFound("no such book"); });
  // sample: format
  app.error_format<ErrorBody>([](const Problem& problem) { return ErrorBody{problem.status, problem.detail}; });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/gone").send().body, R"({"code":404,"message":"no such book"})");
}

// ---- running.md

TEST(Running, HooksCommandsAndBackgroundWork) {
  std::vector<std::string> seen;
  {
    App app;
    Users users;
    app.provide(users);
    // sample: hooks
    app.on_start([&](Users&) { seen.emplace_back("ready"); });
    app.on_stop([&]() -> Task<void> {
      seen.emplace_back("stopped");
      co_return;
    });
    app.check([]() -> Task<std::vector<std::string>> { co_return std::vector<std::string>{}; });
    app.command("import", "Import books from a file",
                [](Users&, std::vector<std::string> arguments) -> Task<int> { co_return arguments.empty() ? 2 : 0; });
    // end of sample
    // sample: background
    app.post<"/books/{id}/remind">([&](Path<"id", int> id, Background background) {
      background.add([](std::vector<std::string>& out, int book) -> Task<void> {
        co_await async::sleep(1ms);
        out.push_back("reminded " + std::to_string(book));
      }(seen, id));
      return Accepted<std::string>("it will be sent");
    });
    // end of sample
    ashlar::testing::Client client{app};
    EXPECT_EQ(client.post("/books/3/remind").send().status, 202);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"ready", "reminded 3", "stopped"}));
}

// sample: middleware
class ServedBy final : public Middleware {
 public:
  explicit ServedBy(std::string name) : name_(std::move(name)) {}
  void after(http::Exchange& exchange) noexcept override { exchange.response.header("X-Served-By", name_); }

 private:
  std::string name_;
};
// end of sample

TEST(Middleware, OfTheGuideRuns) {
  App app;
  // sample: use_middleware
  app.use(Cors{{.origins = {"https://app.example.com"}, .credentials = true}});
  app.use(ServedBy{"a1"});
  // end of sample
  app.get<"/">([] { return "ok"; });
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/").send().header("X-Served-By"), "a1");
}

// ---- testing.md

// sample: test
TEST(Books, AreRefusedWithoutATitle) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};  // the whole application, without a socket

  const auto answer = client.post("/books").json(R"({"title": "", "year": 1000})").send();

  EXPECT_EQ(answer.status, 422);
  EXPECT_NE(answer.body.find("string_too_short"), std::string::npos);
  EXPECT_NE(answer.body.find("greater_than_equal"), std::string::npos);
}
// end of sample

}  // namespace
