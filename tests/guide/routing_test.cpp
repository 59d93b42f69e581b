// The code of docs/guide/routing.md, and what handlers.md, dependencies.md and errors.md say of typed answers, of parts
// and of connections: compiled and run.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/depends.hpp>
#include <ashlar/app/response_parts.hpp>
#include <ashlar/testing/client.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routing_guide {

using namespace ashlar;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct Book {
  std::int64_t id;
  std::string title;
};
struct Job {
  std::string state;
};
struct Taken {
  std::string by;
};

// ---- routing.md

TEST(Routing, NestsRouters) {
  App app;
  // sample: nested
  Router<"/reviews"> reviews;
  reviews.get<"/">([] { return "all reviews"; });  // GET /api/books/{book}/reviews
  reviews.get<"/{id}">([](Path<"id"> id) { return "review " + id; });

  Router<"/books/{book}"> books{{.tags = {"books"}}};
  books.include(std::move(reviews));

  Router<"/api"> api;
  api.include(std::move(books));
  app.include(std::move(api));
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/api/books/7/reviews").send().body, "all reviews");
  EXPECT_EQ(client.get("/api/books/7/reviews/").send().status, 308);
  EXPECT_EQ(client.get("/api/books/7/reviews/3").send().body, "review 3");
}

TEST(Routing, GivesSeveralMethodsToOneHandler) {
  App app;
  // sample: methods
  app.add<Methods{http::Method::put, http::Method::patch}, "/books/{id}">(
      [](Path<"id", std::int64_t> id, Book book) { return Book{id, book.title}; });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.put("/books/7").json(Book{0, "x"}).send().body, R"({"id":7,"title":"x"})");
  EXPECT_EQ(client.patch("/books/7").json(Book{0, "x"}).send().status, 200);
  EXPECT_EQ(client.get("/books/7").send().header("Allow"), "PUT, OPTIONS, PATCH");
}

TEST(Routing, KeepsVersionsSideBySide) {
  using std::chrono::sys_days;
  // sample: versions
  App v1{{.title = "Books", .version = "1.9.0"}};
  v1.get<"/me">([] { return "Ann Lee"; });

  App v2{{.title = "Books", .version = "2.0.0"}};
  v2.get<"/me">([] { return std::vector<std::string>{"Ann", "Lee"}; });

  App app;
  app.versions({.fallback = "2"},
               {{.name = "1", .app = v1, .sunset = sys_days{2027y / 1 / 1}}, {.name = "2", .app = v2}});
  app.post<"/webhooks/payments">([] {});  // of no version
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/v1/me").send().body, "Ann Lee");
  EXPECT_EQ(client.get("/me").header("API-Version", "1").send().header("Sunset"), "Fri, 01 Jan 2027 00:00:00 GMT");
  EXPECT_EQ(client.get("/me").send().body, R"(["Ann","Lee"])");
  EXPECT_EQ(client.get("/me").header("API-Version", "3").send().status, 400);
  EXPECT_EQ(client.post("/webhooks/payments").send().status, 204);
  EXPECT_THAT(client.get("/v1/openapi.json").send().body, HasSubstr("1.9.0"));
}

// ---- handlers.md

// sample: header-struct
struct Paging {
  std::uint64_t x_total_count;      // X-Total-Count
  std::optional<std::string> link;  // none: no Link
};
// end of sample

TEST(Answers, AreSeveralTypes) {
  App app;
  // sample: alternatives
  app.post<"/books/{id}/print">([](Path<"id", int> id) -> std::variant<Book, Status<202, Job>, Status<409, Taken>> {
    if (id == 1) return Job{"queued"};
    if (id == 2) return Taken{"ann"};
    return Book{id, "printed already"};
  });
  // end of sample
  // sample: problems
  app.get<"/loans/{id}">([](Path<"id", int> id) -> std::expected<Book, Problems<404, 410>> {
    if (id == 0) return std::unexpected(ProblemOf<404>{"there is no such loan"});
    if (id == 1) return std::unexpected(ProblemOf<410>{"the book has come back"});
    return Book{id, "lent"};
  });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.post("/books/1/print").send().status, 202);
  EXPECT_EQ(client.post("/books/2/print").send().body, R"({"by":"ann"})");
  EXPECT_EQ(client.post("/books/3/print").send().status, 200);
  EXPECT_EQ(client.get("/loans/0").send().status, 404);
  EXPECT_EQ(client.get("/loans/1").send().status, 410);
  const std::string document = client.get("/openapi.json").send().body;
  for (const char* status : {R"("202":)", R"("409":)", R"("404":)", R"("410":)"}) {
    EXPECT_THAT(document, HasSubstr(status));
  }
}

TEST(Answers, HaveHeadersAndCookies) {
  App app;
  // sample: with
  app.get<"/books">(
      []() -> With<std::vector<Book>, Paging> { return {{Book{1, "Moby-Dick"}}, {.x_total_count = 42}}; });
  app.post<"/login">([]() -> With<Redirect, SetCookie<"__Host-session">> {
    return {Redirect{"/"}, {.value = "t0ken", .options = {.max_age = 12h}}};
  });
  app.post<"/logout">([]() -> With<NoContent, SetCookie<"__Host-session">> { return {NoContent{}, {.remove = true}}; });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/books").send().header("X-Total-Count"), "42");
  EXPECT_EQ(client.post("/login").send().header("Set-Cookie"),
            "__Host-session=t0ken; Max-Age=43200; Path=/; Secure; HttpOnly; SameSite=Lax");
  EXPECT_EQ(client.post("/logout").send().header("Set-Cookie"),
            "__Host-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
  EXPECT_THAT(client.get("/openapi.json").send().body, HasSubstr(R"("X-Total-Count":{"required":true)"));
}

// ---- dependencies.md

}  // namespace routing_guide

// sample: connection
struct Replica {
  int number;
};
struct Replicas {
  std::atomic<int> next = 0;  // all loops use it
};
Replica replica(Replicas& replicas) { return {++replicas.next % 3}; }
template <>
inline constexpr bool ashlar::kOncePerConnection<&replica> = true;
// end of sample

namespace routing_guide {

TEST(Connections, HaveValuesOfTheirOwn) {
  Replicas replicas;
  App app;
  app.provide(replicas);
  app.get<"/">([](Depends<replica> mine) { return std::to_string(mine->number); });
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/").send().body, "1");
  EXPECT_EQ(client.get("/").send().body, "1");
  client.reconnect();
  EXPECT_EQ(client.get("/").send().body, "2");
}

struct Mailer {
  std::string from;
  virtual ~Mailer() = default;
  explicit Mailer(std::string sender) : from(std::move(sender)) {}
  virtual std::string send(const std::string& to) { return from + " to " + to; }
};
struct FakeMailer final : Mailer {
  FakeMailer() : Mailer("nobody") {}
  std::string send(const std::string&) override { return "kept"; }
};

// sample: parts
struct Mail {
  std::string from;
  void install(App& app) const {
    app.provide<Mailer>([sender = from] { return std::make_unique<Mailer>(sender); });
    app.post<"/mail/{to}">([](Path<"to"> to, Mailer& mailer) { return mailer.send(to); });
  }
};
void shop(App& app) { app.install(Mail{.from = "shop"}); }
// end of sample

TEST(Parts, AreInstalledAndReplaced) {
  {
    App app;
    app.install(shop);
    ashlar::testing::Client client{app};
    EXPECT_EQ(client.post("/mail/ann").send().body, "shop to ann");
  }
  // sample: replace
  FakeMailer fake;
  App app;
  app.install(shop).replace<Mailer>(fake);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.post("/mail/ann").send().body, "kept");
  // end of sample
}

}  // namespace routing_guide
