#include <ashlar/app/responses.hpp>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/response_parts.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

struct Book {
  std::int64_t id = 0;
  std::string title;
};
struct Job {
  std::string state;
};
struct Taken {
  std::string by;
};

// The member `responses` of an operation: its statuses, in order.
std::vector<std::string> statuses(App& app, std::string_view path, std::string_view method = "get") {
  const Json document{app.openapi()};
  std::optional<Json> at = document.find("paths");
  for (const std::string_view key : {path, method, std::string_view("responses")}) at = at->find(key);
  return at->keys();
}
std::string headers_of(App& app, std::string_view path, std::string_view status, std::string_view method = "get") {
  std::optional<Json> at = Json{app.openapi()}.find("paths");
  for (const std::string_view key : {path, method, std::string_view("responses"), status}) at = at->find(key);
  const auto headers = at->find("headers");
  return headers ? headers->text() : "(none)";
}
std::vector<std::string> all(const Answer& answer, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : answer.headers) {
    if (key == name) values.push_back(value);
  }
  return values;
}
std::string refusal(App& app) {
  try {
    const Client client{app};
  } catch (const Invalid& error) {
    return error.message();
  }
  return "(it starts)";
}

// ---- statuses

TEST(Status, IsOneOfSeveralAnswersWithItsOwnStatusAndBody) {
  App app;
  app.post<"/books/{id}">(
      [](Path<"id", int> id) -> std::variant<Book, Status<202, Job>, Status<409, Taken>, NoContent> {
        if (id == 1) return Status<202, Job>{Job{"waiting"}};
        if (id == 2) return Taken{"ann"};  // what it holds is enough
        if (id == 3) return NoContent{};
        return Book{id, "here"};
      });
  {
    Client client{app};
    EXPECT_EQ(client.post("/books/7").send().body, R"({"id":7,"title":"here"})");
    const Answer later = client.post("/books/1");
    EXPECT_EQ(later.status, 202);
    EXPECT_EQ(later.body, R"({"state":"waiting"})");
    const Answer taken = client.post("/books/2");
    EXPECT_EQ(taken.status, 409);
    EXPECT_EQ(taken.body, R"({"by":"ann"})");
    EXPECT_EQ(client.post("/books/3").send().status, 204);
  }
  EXPECT_THAT(statuses(app, "/books/{id}", "post"), ElementsAre("200", "202", "204", "409", "422", "default"));
}

TEST(Status, HoldsAnyKindOfAnswerOrNone) {
  App app;
  app.get<"/page">([] { return Status<410, Html>{Html{"<p>gone</p>"}}; });
  app.get<"/text">([] { return Status<203, std::string>{"copied"}; });
  app.get<"/reset">([] { return Status<205>{}; });
  app.get<"/task">([]() -> Task<Status<201, Book>> { co_return Book{1, "made"}; });
  Client client{app};
  const Answer page = client.get("/page");
  EXPECT_EQ(page.status, 410);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(client.get("/text").send().status, 203);
  EXPECT_EQ(client.get("/reset").send().status, 205);
  EXPECT_EQ(client.get("/task").send().status, 201);
}

TEST(Status, OfTheRouteIsForItsOneSuccessAndLeavesErrorsAsTheyAre) {
  App app;
  app.post<"/books">(
      [](Book book) -> std::variant<Book, Status<409, Taken>> {
        if (book.id == 1) return Taken{"ann"};
        return book;
      },
      {.status = 201});
  {
    Client client{app};
    EXPECT_EQ(client.post("/books").json(Book{7, "x"}).send().status, 201);
    EXPECT_EQ(client.post("/books").json(Book{1, "x"}).send().status, 409);
  }
  EXPECT_THAT(statuses(app, "/books", "post"), ElementsAre("201", "409", "422", "default"));
}

TEST(Status, OfTheRouteIsRefusedAtTheStartWhenThereAreSeveralSuccesses) {
  App app;
  app.post<"/books">([]() -> std::variant<Book, NoContent> { return NoContent{}; }, {.status = 201});
  EXPECT_EQ(
      refusal(app),
      "POST /books: says .status = 201, but its handler gives several answers, 200 and 204; say their statuses in "
      "the type: Status<201, T>");
}

// ---- errors

TEST(ProblemOf, IsAnErrorWhoseStatusIsInTheDocument) {
  App app;
  app.get<"/books/{id}">([](Path<"id", int> id) -> std::expected<Book, ProblemOf<404>> {
    if (id == 0) return std::unexpected(ProblemOf<404>{"there is no such book"});
    return Book{id, "here"};
  });
  app.get<"/thrown">([]() -> Book { throw ProblemOf<410>{Problem{.status = 500, .title = "Gone away"}}; });
  {
    Client client{app};
    EXPECT_EQ(client.get("/books/1").send().status, 200);
    const Answer missing = client.get("/books/0");
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(missing.header("Content-Type"), "application/problem+json");
    EXPECT_THAT(missing.body, HasSubstr("there is no such book"));
    const Answer gone = client.get("/thrown");
    EXPECT_EQ(gone.status, 410);
    EXPECT_THAT(gone.body, HasSubstr("Gone away"));
  }
  EXPECT_THAT(statuses(app, "/books/{id}"), ElementsAre("200", "404", "422", "default"));
}

TEST(Problems, AreOneOfThoseThatTheTypeNames) {
  App app;
  app.get<"/books/{id}">([](Path<"id", int> id) -> Task<std::expected<Book, Problems<404, 410>>> {
    if (id == 0) co_return std::unexpected(ProblemOf<404>{"no"});
    if (id == 1) co_return std::unexpected(ProblemOf<410>{"gone"});
    co_return Book{id, "here"};
  });
  static_assert(!std::is_constructible_v<Problems<404, 410>, ProblemOf<409>>);
  static_assert(!std::is_constructible_v<Problems<404, 410>, Problem>);
  {
    Client client{app};
    EXPECT_EQ(client.get("/books/0").send().status, 404);
    EXPECT_EQ(client.get("/books/1").send().status, 410);
    EXPECT_EQ(client.get("/books/2").send().status, 200);
  }
  EXPECT_THAT(statuses(app, "/books/{id}"), ElementsAre("200", "404", "410", "422", "default"));
}

TEST(Expected, HasErrorsOfSeveralShapes) {
  App app;
  using Refusal = std::variant<Status<409, Taken>, ProblemOf<404>>;
  app.post<"/books/{id}">([](Path<"id", int> id) -> std::expected<Created<Book>, Refusal> {
    if (id == 0) return std::unexpected(ProblemOf<404>{"no"});
    if (id == 1) return std::unexpected(Taken{"ann"});
    return Created<Book>{Book{id, "here"}, "/books/7"};
  });
  {
    Client client{app};
    EXPECT_EQ(client.post("/books/0").send().status, 404);
    EXPECT_EQ(client.post("/books/1").send().body, R"({"by":"ann"})");
    EXPECT_EQ(client.post("/books/2").send().status, 201);
  }
  EXPECT_THAT(statuses(app, "/books/{id}", "post"), ElementsAre("201", "404", "409", "422", "default"));
}

struct SoldOut : Conflict {
  using Conflict::Conflict;
};

TEST(Expected, OfAnErrorOfOursNamesItsStatus) {
  App app;
  app.get<"/books/{id}">([](Path<"id", int> id) -> std::expected<Book, SoldOut> {
    if (id == 0) return std::unexpected(SoldOut{"sold"});
    return Book{id, "here"};
  });
  {
    Client client{app};
    EXPECT_EQ(client.get("/books/0").send().status, 409);
  }
  EXPECT_THAT(statuses(app, "/books/{id}"), ElementsAre("200", "409", "422", "default"));
}

// ---- headers and cookies

enum class Tier { free, paid };
struct Paging {
  std::uint64_t x_total_count;
  std::optional<std::string> link;
  Annotated<std::vector<std::string>, alias{"Warning"}> warnings = {};
  Annotated<Tier, description{"What is paid for"}> x_tier = Tier::free;
};

TEST(With, SendsTheMembersOfAStructAsHeaders) {
  App app;
  app.get<"/books">([]() -> With<std::vector<Book>, Paging> {
    return {{}, {.x_total_count = 42, .link = "</books?page=2>; rel=\"next\"", .x_tier = Tier::paid}};
  });
  app.get<"/last">([]() -> Task<With<std::vector<Book>, Paging>> {
    co_return With<std::vector<Book>, Paging>{{},
                                              {.x_total_count = 1, .warnings = std::vector<std::string>{"one", "two"}}};
  });
  Client client{app};
  const Answer books = client.get("/books");
  EXPECT_EQ(books.body, "[]");
  EXPECT_EQ(books.header("X-Total-Count"), "42");
  EXPECT_EQ(books.header("Link"), "</books?page=2>; rel=\"next\"");
  EXPECT_EQ(books.header("X-Tier"), "paid");
  EXPECT_FALSE(books.header("Warning"));
  const Answer last = client.get("/last");
  EXPECT_FALSE(last.header("Link"));
  EXPECT_THAT(all(last, "Warning"), ElementsAre("one", "two"));
}

TEST(With, DescribesHeadersInTheDocument) {
  App app;
  app.get<"/books">([]() -> With<Book, Paging> { return {{}, {.x_total_count = 1}}; });
  EXPECT_EQ(headers_of(app, "/books", "200"),
            R"({"X-Total-Count":{"required":true,"schema":{"type":"integer","format":"uint64","minimum":0}},)"
            R"("Link":{"schema":{"type":"string"}},)"
            R"("Warning":{"schema":{"type":"array","items":{"type":"string"},"default":[]}},)"
            R"("X-Tier":{"description":"What is paid for","schema":{"$ref":"#/components/schemas/Tier","description":)"
            R"("What is paid for","default":"free"}}})");
  EXPECT_THAT(app.openapi(), HasSubstr(R"("Tier":{)"));
}

TEST(With, SetsCookiesWithStrictDefaults) {
  using namespace std::chrono_literals;
  App app;
  app.post<"/login">([]() -> With<Book, SetCookie<"session">, SetCookie<"theme">> {
    return {Book{},
            {"t0ken"},
            {"dark",
             {.max_age = 24h,
              .path = "/app",
              .domain = "example.com",
              .http_only = false,
              .secure = false,
              .same_site = SameSite::strict}}};
  });
  app.post<"/logout">(
      []() -> With<NoContent, SetCookie<"session">> { return {NoContent{}, {.value = {}, .remove = true}}; });
  Client client{app};
  EXPECT_THAT(all(client.post("/login"), "Set-Cookie"),
              ElementsAre("session=t0ken; Path=/; Secure; HttpOnly; SameSite=Lax",
                          "theme=dark; Max-Age=86400; Path=/app; Domain=example.com; SameSite=Strict"));
  const Answer logout = client.post("/logout");
  EXPECT_EQ(logout.status, 204);
  EXPECT_EQ(logout.header("Set-Cookie"), "session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
}

TEST(With, DescribesCookiesInTheDocument) {
  App app;
  app.post<"/login">([]() -> With<Book, SetCookie<"session">, std::optional<SetCookie<"theme">>> {
    return {Book{}, {"x"}, std::nullopt};
  });
  EXPECT_EQ(headers_of(app, "/login", "200", "post"),
            R"({"Set-Cookie":{"description":"Sets the cookie session; Sets the cookie theme","required":true,)"
            R"("schema":{"type":"string"}}})");
}

struct Caching {
  Annotated<std::string, alias{"ETag"}> etag;
};

TEST(With, BelongsToItsOwnAlternative) {
  App app;
  app.get<"/books/{id}">(
      [](Path<"id", int> id) -> std::expected<std::variant<With<Book, Caching>, Redirect, Job>, ProblemOf<404>> {
        if (id == 0) return std::unexpected(ProblemOf<404>{"no"});
        if (id == 1) return Redirect{"/books/2"};
        if (id == 3) return Job{"waiting"};
        return With<Book, Caching>{Book{id, "x"}, {R"("7")"}};
      });
  {
    Client client{app};
    EXPECT_EQ(client.get("/books/2").send().header("ETag"), R"("7")");
    EXPECT_EQ(client.get("/books/1").send().header("Location"), "/books/2");
    EXPECT_FALSE(client.get("/books/0").send().header("ETag"));
    EXPECT_FALSE(client.get("/books/3").send().header("ETag"));
  }
  // Of two answers with one status only one has it.
  EXPECT_EQ(headers_of(app, "/books/{id}", "200"), R"({"ETag":{"schema":{"type":"string"}}})");
  EXPECT_EQ(headers_of(app, "/books/{id}", "404"), "(none)");
}

TEST(With, ARedirectMaySetACookie) {
  App app;
  app.post<"/login">([]() -> With<Redirect, SetCookie<"session">> { return {Redirect{"/"}, {"x"}}; });
  {
    Client client{app};
    const Answer answer = client.post("/login");
    EXPECT_EQ(answer.status, 303);
    EXPECT_EQ(answer.header("Location"), "/");
    EXPECT_THAT(*answer.header("Set-Cookie"), HasSubstr("session=x"));
  }
  EXPECT_THAT(headers_of(app, "/login", "303", "post"), HasSubstr(R"("Location":{"description":"Where to go")"));
  EXPECT_THAT(headers_of(app, "/login", "303", "post"), HasSubstr("Sets the cookie session"));
}

TEST(With, OfAFileHasHeadersToo) {
  App app;
  app.get<"/none">([]() -> With<File, Caching> { return {File{.path = "/nowhere/at/all"}, {R"("7")"}}; });
  Client client{app};
  EXPECT_EQ(client.get("/none").send().status, 404);
}

struct Dangerous {
  std::string x_note;
};

TEST(With, NeverSplitsAnAnswer) {
  App app;
  app.get<"/">([]() -> With<Book, Dangerous> { return {Book{}, {"a\r\nSet-Cookie: stolen=1"}}; });
  Client client{app};
  const Answer answer = client.get("/");
  EXPECT_EQ(answer.status, 500);
  EXPECT_FALSE(answer.header("Set-Cookie"));
  EXPECT_FALSE(answer.header("X-Note"));
}

struct Framing {
  std::uint64_t content_length = 0;
};

TEST(With, RefusesToStartWithAHeaderThatTheServerWrites) {
  App app;
  app.get<"/">([]() -> With<Book, Framing> { return {Book{}, {}}; });
  EXPECT_THAT(refusal(app), HasSubstr("GET /: its answer cannot have the header 'Content-Length'"));
}

TEST(Created, NamesItsLocationInTheDocument) {
  App app;
  app.post<"/books">([]() { return Created<Book>{Book{}}; });
  EXPECT_EQ(headers_of(app, "/books", "201", "post"),
            R"({"Location":{"description":"Where it is","schema":{"type":"string","format":"uri-reference"}}})");
}

// ---- cookies by hand

std::string line_of(std::string_view name, std::string_view value, const CookieOptions& options) {
  http::Response response;
  try {
    set_cookie(response, name, value, options);
  } catch (const Internal& error) {
    return error.message();
  }
  return std::string(*response.find_header("Set-Cookie"));
}

TEST(SetCookie, RefusesWhatBrowsersWouldReadOtherwise) {
  for (const char* value : {"a b", "a,b", "a;b", "a\"b", "a\\b", "a\r\nb", "\xc3\xa4"}) {
    EXPECT_THAT(line_of("n", value, {}), HasSubstr("its value has")) << value;
  }
  EXPECT_THAT(line_of("a=b", "", {}), HasSubstr("no token"));
  EXPECT_THAT(line_of("", "", {}), HasSubstr("no token"));
  EXPECT_THAT(line_of("n", "", {.path = "/; HttpOnly"}), HasSubstr("semicolon"));
  EXPECT_THAT(line_of("n", "", {.secure = false, .same_site = SameSite::none}), HasSubstr("needs .secure"));
  EXPECT_THAT(line_of("n", "", {.secure = false, .partitioned = true}), HasSubstr("needs .secure"));
  EXPECT_THAT(line_of("__Host-n", "", {.path = "/app"}), HasSubstr("__Host-"));
  EXPECT_THAT(line_of("__host-n", "", {.domain = "example.com"}), HasSubstr("__Host-"));
  EXPECT_THAT(line_of("__Secure-n", "", {.secure = false}), HasSubstr("__Secure-"));
  EXPECT_EQ(line_of("__Host-n", "v", {.partitioned = true, .same_site = SameSite::none}),
            "__Host-n=v; Path=/; Secure; HttpOnly; SameSite=None; Partitioned");
}

TEST(SetCookie, RemovesACookieWhereItWasSet) {
  http::Response response;
  remove_cookie(response, "n", {.path = "/app", .domain = "example.com"});
  EXPECT_EQ(response.find_header("Set-Cookie"),
            "n=; Max-Age=0; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=Lax");
}

}  // namespace
