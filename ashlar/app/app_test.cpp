#include <ashlar/app/app.hpp>

#include <stdexcept>

#include <gmock/gmock.h>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;
using ::testing::HasSubstr;

namespace {

struct Item {
  Annotated<std::string, min_length{1}> name;
  Annotated<int, ge{0}> price = 0;
};
struct Page {
  Annotated<int, ge{1}, le{100}> limit = 20;
  std::vector<std::string> tag = {};
};
struct Agent {
  std::string user_agent;
  Annotated<std::optional<std::string>, alias{"X-Tenant"}> tenant = {};
};
struct Choice {
  std::string theme = "light";
};

TEST(App, AnswersWithTheValueOfAHandlerAsJson) {
  App app;
  app.get<"/items/{name}">([](Path<"name"> name) { return Item{name, 3}; });
  Client client{app};
  const Answer answer = client.get("/items/tea");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(answer.body, R"({"name":"tea","price":3})");
}

TEST(App, RunsHandlersThatAreTasks) {
  App app;
  app.get<"/slow">([]() -> Task<Item> {
    co_await async::sleep(std::chrono::milliseconds{1});
    co_return Item{"late", 1};
  });
  Client client{app};
  EXPECT_EQ(client.get("/slow").send().json<Item>().name, "late");
}

TEST(App, ReadsTypedPathParametersAndSaysWhatIsWrongWithThem) {
  App app;
  app.get<"/n/{id}">(
      [](Path<"id", Annotated<int, ge{1}>> id) { return std::to_string(static_cast<int>(id.get()) + 1); });
  Client client{app};
  EXPECT_EQ(client.get("/n/41").send().body, "42");
  const Answer wrong = client.get("/n/x");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_NE(wrong.body.find("int_parsing"), std::string::npos) << wrong.body;
  EXPECT_NE(wrong.body.find(R"("loc":["path","id"])"), std::string::npos) << wrong.body;
  EXPECT_EQ(client.get("/n/0").send().status, 422);
}

TEST(App, DecodesPathParameters) {
  App app;
  app.get<"/f/{name}">([](Path<"name"> name) { return std::string(name); });
  app.get<"/r/{rest:path}">([](Path<"rest"> rest) { return std::string(rest); });
  Client client{app};
  EXPECT_EQ(client.get("/f/a%20b%2Fc").send().body, "a b/c");
  EXPECT_EQ(client.get("/%66/x").send().body, "x");
  EXPECT_EQ(client.get("/r/a/b/c").send().body, "a/b/c");
  EXPECT_EQ(client.get("/f/%zz").send().status, 400);
  EXPECT_EQ(client.get("/f/%ff").send().status, 422);  // not UTF-8
}

TEST(App, ReadsQueryHeadersCookiesAndForms) {
  App app;
  app.get<"/q">([](Query<Page> page) { return std::to_string(page.limit) + std::to_string(page.tag.size()); });
  app.get<"/h">([](Header<Agent> agent) { return agent.user_agent + agent.tenant.value_or(""); });
  app.get<"/c">([](Cookie<Choice> choice) { return choice.theme; });
  app.post<"/form">([](Form<Item> item) { return item.name; });
  Client client{app};
  EXPECT_EQ(client.get("/q?limit=7&tag=a&tag=b").send().body, "72");
  EXPECT_EQ(client.get("/q").send().body, "200");
  EXPECT_EQ(client.get("/q?limit=0").send().status, 422);
  EXPECT_EQ(client.get("/h").header("User-Agent", "x/1").send().body, "x/1");
  EXPECT_EQ(client.get("/h").header("User-Agent", "x").header("x-tenant", "7").send().body, "x7");
  EXPECT_EQ(client.get("/h").send().status, 422);
  EXPECT_EQ(client.get("/c").header("Cookie", "a=b; theme=dark").send().body, "dark");
  EXPECT_EQ(client.post("/form").form({{"name", "a b&c"}}).send().body, "a b&c");
  EXPECT_EQ(client.post("/form").json("{}").send().status, 415);
}

TEST(App, ReportsEveryErrorOfABodyAtOnce) {
  App app;
  app.post<"/items">([](Item item) { return Created<Item>(item, "/items/1"); });
  Client client{app};
  const Answer made = client.post("/items").json(R"({"name":"a","price":2})");
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.header("location"), "/items/1");
  const Answer wrong = client.post("/items").json(R"({"name":"","price":-1})");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_EQ(wrong.header("content-type"), "application/problem+json");
  EXPECT_NE(wrong.body.find("string_too_short"), std::string::npos);
  EXPECT_NE(wrong.body.find("greater_than_equal"), std::string::npos);
  EXPECT_EQ(client.post("/items").json("{").send().status, 422);
  EXPECT_EQ(client.post("/items").send().status, 422);
  EXPECT_EQ(client.post("/items").header("Content-Type", "text/plain").body("{}").send().status, 415);
}

TEST(App, Answers404And405WithAllowAndRedirectsSlashes) {
  App app;
  app.get<"/a">([] { return "a"; });
  app.post<"/a">([] { return "b"; });
  app.get<"/dir/">([] { return "dir"; });
  Client client{app};
  EXPECT_EQ(client.get("/nothing").send().status, 404);
  const Answer refused = client.del("/a");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.header("Allow"), "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(client.options("/a").send().status, 204);
  EXPECT_EQ(client.head("/a").send().status, 200);
  const Answer moved = client.get("/a/?x=1");
  EXPECT_EQ(moved.status, 308);
  EXPECT_EQ(moved.header("Location"), "/a?x=1");
  EXPECT_EQ(client.get("/dir").send().header("Location"), "/dir/");
  EXPECT_EQ(client.get("//evil.test").send().status, 404);
}

// ---- dependencies --------------------------------------------------------------------------------------------------

struct Session {
  std::string user;
};
int session_runs = 0;
Task<Session> session(Bearer bearer) {
  ++session_runs;
  co_await async::sleep(std::chrono::milliseconds{0});
  if (bearer.token != "good") throw Unauthenticated("the token is not known");
  co_return Session{"ann"};
}
struct Upper {
  std::string name;
};
Upper upper(Depends<session> who) { return {who->user + "!"}; }
Checked require_ann(Depends<session> who) {
  if (who->user != "ann") throw Forbidden("only for ann");
  return {};
}

TEST(Depends, RunsOnceARequestAndBeforeTheOtherParameters) {
  App app;
  app.get<"/me/{id}">([](Depends<upper> up, Path<"id", int>, Depends<session> who) { return up->name + who->user; });
  Client client{app};
  EXPECT_EQ(client.get("/me/x").send().status, 401);
  EXPECT_EQ(client.get("/me/1").bearer("bad").send().status, 401);
  EXPECT_EQ(client.get("/me/x").bearer("good").send().status, 422);
  session_runs = 0;
  EXPECT_EQ(client.get("/me/1").bearer("good").send().body, "ann!ann");
  EXPECT_EQ(session_runs, 1);
  EXPECT_EQ(client.get("/me/1").send().header("WWW-Authenticate"), "Bearer");
}

TEST(Depends, OfARouterIsSharedWithItsRoutes) {
  App app;
  Router<"/api"> api{{.tags = {"api"}, .dependencies = {depends<require_ann>}}};
  api.get<"/who">([](Depends<session> who) { return who->user; });
  app.include(std::move(api));
  Client client{app};
  session_runs = 0;
  EXPECT_EQ(client.get("/api/who").bearer("good").send().body, "ann");
  EXPECT_EQ(session_runs, 1);
  EXPECT_EQ(client.get("/api/who").send().status, 401);
}

TEST(Depends, CanBeReplacedForATest) {
  App app;
  app.get<"/me">([](Depends<upper> up) { return up->name; });
  Client client{app};
  {
    const auto scope = client.acting_as(Session{"bob"});
    EXPECT_EQ(client.get("/me").send().body, "bob!");
    const auto other = client.override_dependency<&upper>(Upper{"zed"});
    EXPECT_EQ(client.get("/me").send().body, "zed");
  }
  EXPECT_EQ(client.get("/me").send().status, 401);
}

std::vector<std::string> order;
struct Traced {
  explicit Traced(std::string n) : name(std::move(n)) {}
  Traced(Traced&&) = default;
  ~Traced() {
    if (!name.empty()) order.push_back("end " + name);
  }
  std::string name;
};
Traced first() { return Traced{"first"}; }
Traced second(Depends<first>) { return Traced{"second"}; }

TEST(Depends, IsCleanedUpInReverseOrder) {
  App app;
  app.get<"/">([](Depends<second>, Depends<first>) {
    order.push_back("handler");
    return "ok";
  });
  Client client{app};
  order.clear();
  EXPECT_EQ(client.get("/").send().body, "ok");
  EXPECT_EQ(order, (std::vector<std::string>{"handler", "end second", "end first"}));
}

// ---- answers, errors, middleware -----------------------------------------------------------------------------------

TEST(App, AnswersInEveryForm) {
  App app;
  app.get<"/none">([] {});
  app.get<"/redirect">([] { return Redirect{"/none"}; });
  app.get<"/open">([] { return Redirect{"//evil.test"}; });
  app.get<"/html">([] { return Html{"<p>hi</p>"}; });
  app.get<"/either/{x}">([](Path<"x", int> x) -> std::variant<Item, NoContent> {
    if (x == 0) return NoContent{};
    return Item{"some", 1};
  });
  app.get<"/expected/{x}">([](Path<"x", int> x) -> std::expected<Item, Problem> {
    if (x == 0) return std::unexpected(Problem{.status = 410, .detail = "it is gone"});
    return Item{"there", 1};
  });
  app.get<"/stream">([] {
    return Stream{"text/plain", []() -> Generator<std::string> {
                    co_yield "a";
                    co_yield "b";
                  }()};
  });
  app.get<"/header">([](http::Response& response) {
    response.header("X-Made", "here");
    return "ok";
  });
  Client client{app};
  EXPECT_EQ(client.get("/none").send().status, 204);
  EXPECT_EQ(client.get("/redirect").send().status, 303);
  EXPECT_EQ(client.get("/open").send().status, 500);
  EXPECT_EQ(client.get("/html").send().header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(client.get("/either/0").send().status, 204);
  EXPECT_EQ(client.get("/either/1").send().status, 200);
  EXPECT_EQ(client.get("/expected/0").send().status, 410);
  EXPECT_EQ(client.get("/stream").send().body, "ab");
  EXPECT_EQ(client.get("/header").send().header("x-made"), "here");
}

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct ErrorBody {
  int code;
  std::string text;
};

TEST(App, MapsExceptionsAndHidesInternalOnes) {
  App app;
  app.get<"/secret">([]() -> Item { throw std::runtime_error("password=hunter2"); });
  app.get<"/mapped">([]() -> Item { throw Broken("x"); });
  app.get<"/busy">([]() -> Item { throw Unavailable("the database is away", std::chrono::seconds{7}); });
  app.on_error<Broken>([](const Broken&) { return Problem{.status = 418, .detail = "teapot"}; });
  Client client{app};
  const Answer hidden = client.get("/secret");
  EXPECT_EQ(hidden.status, 500);
  EXPECT_EQ(hidden.body.find("hunter2"), std::string::npos);
  EXPECT_EQ(client.get("/mapped").send().status, 418);
  const Answer busy = client.get("/busy");
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.header("Retry-After"), "7");
}

TEST(App, WritesErrorsInTheProgramsOwnShape) {
  App app;
  app.error_format<ErrorBody>([](const Problem& problem) { return ErrorBody{problem.status, problem.detail}; });
  app.get<"/gone">([]() -> Item { throw NotFound("no such item"); });
  Client client{app};
  const Answer answer = client.get("/gone");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, R"({"code":404,"text":"no such item"})");
}

TEST(Middleware, SetsSecurityHeadersAndRequestIds) {
  App app;
  app.get<"/">([] { return "ok"; });
  Client client{app};
  const Answer answer = client.get("/");
  EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(answer.header("X-Request-Id")->size(), 36U);
  EXPECT_EQ(client.get("/").header("X-Request-Id", "abc-1").send().header("X-Request-Id"), "abc-1");
  EXPECT_NE(client.get("/").header("X-Request-Id", "a b\x01").send().header("X-Request-Id"), "a b\x01");
  EXPECT_TRUE(client.get("/missing").send().header("X-Request-Id"));
}

TEST(Middleware, KeepsBrowsersOnHttpsForNamesThatAreServedOverIt) {
  App app;
  app.get<"/">([] { return "ok"; });
  Client client{app};
  const auto line = [&](const char* host) {
    return client.get("/").secure(host).send().header("Strict-Transport-Security");
  };
  EXPECT_EQ(line("api.example.com"), "max-age=2592000");
  EXPECT_EQ(line("api.example.com:8443"), "max-age=2592000");
  for (const char* host : {"localhost", "LocalHost:8000", "a.localhost", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000"}) {
    EXPECT_EQ(line(host), std::nullopt) << host;
  }
  EXPECT_FALSE(client.get("/").send().header("Strict-Transport-Security"));
}

TEST(ClientCertificate, SaysWhoTheClientIsAndIsNeededUnlessOptional) {
  App app;
  app.get<"/who">([](ClientCertificate who) { return Text{who->subject}; });
  app.get<"/maybe">([](std::optional<ClientCertificate> who) { return Text{who ? (*who)->subject : "nobody"}; });
  Client client{app};
  const net::PeerIdentity billing{.subject = "CN=billing"};
  EXPECT_EQ(client.get("/who").client_certificate(billing).send().body, "CN=billing");
  EXPECT_EQ(client.get("/maybe").client_certificate(billing).send().body, "CN=billing");
  EXPECT_EQ(client.get("/maybe").send().body, "nobody");
  const Answer refused = client.get("/who");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("needs a client's certificate"));
  const std::string document = client.get("/openapi.json").send().body;
  EXPECT_THAT(document, HasSubstr(R"("ClientCertificate":{"type":"mutualTLS"})"));
}

TEST(Cors, AnswersPreflightsOfAllowedOriginsOnly) {
  App app;
  app.use(Cors{{.origins = {"https://app.test"}, .credentials = true}});
  app.put<"/x">([] { return "ok"; });
  Client client{app};
  const auto preflight = [&](const char* origin) {
    return client.options("/x").header("Origin", origin).header("Access-Control-Request-Method", "PUT").send();
  };
  const Answer good = preflight("https://app.test");
  EXPECT_EQ(good.status, 204);
  EXPECT_EQ(good.header("Access-Control-Allow-Origin"), "https://app.test");
  EXPECT_EQ(good.header("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(good.header("Vary"), "Origin");
  EXPECT_FALSE(preflight("https://evil.test").header("Access-Control-Allow-Origin"));
  EXPECT_EQ(client.put("/x").header("Origin", "https://app.test").send().header("Access-Control-Allow-Origin"),
            "https://app.test");
  EXPECT_THROW(Cors({.origins = {"*"}, .credentials = true}), Invalid);
}

// ---- resources and life --------------------------------------------------------------------------------------------

struct Counter {
  int value = 0;
};
struct Doubler {
  Counter& counter;
};

TEST(App, MakesResourcesInTheOrderTheyNeedEachOther) {
  App app;
  app.provide<Doubler>([](Counter& counter) { return std::make_unique<Doubler>(counter); });
  app.provide<Counter>([] { return std::make_unique<Counter>(21); });
  app.get<"/">([](Doubler& doubler) { return std::to_string(doubler.counter.value * 2); });
  Client client{app};
  EXPECT_EQ(client.get("/").send().body, "42");
}

TEST(App, RefusesToStartWithoutAResource) {
  App app;
  app.get<"/count">([](Counter& counter) { return std::to_string(counter.value); });
  try {
    Client client{app};
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_NE(error.message().find("the route GET /count needs"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("Counter&"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("app.provide"), std::string::npos) << error.message();
  }
}

TEST(App, RefusesTwoEqualRoutes) {
  App app;
  app.get<"/a/{x}">([](Path<"x"> x) { return std::string(x); });
  app.get<"/a/{y}">([](Path<"y"> y) { return std::string(y); });
  EXPECT_THROW(Client{app}, Invalid);
}

struct BadPattern {
  Annotated<std::string, pattern{"[a-"}> code;
};

TEST(App, RefusesToStartWithAPatternThatIsNone) {
  App app;
  app.post<"/codes">([](BadPattern) {});
  try {
    Client client{app};
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_NE(error.message().find("POST /codes"), std::string::npos) << error.message();
  }
}

TEST(App, RefusesToStartWhenACheckFails) {
  App app;
  app.check([]() -> Task<std::vector<std::string>> { co_return std::vector<std::string>{"the moon is full"}; });
  try {
    Client client{app};
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_EQ(error.message(), "the moon is full");
  }
}

TEST(Background, RunsAfterTheAnswerAndShutdownWaitsForIt) {
  static std::vector<std::string> seen;
  seen.clear();
  App app;
  app.post<"/mail">([](Background background) {
    background.add([]() -> Task<void> {
      co_await async::sleep(std::chrono::milliseconds{5});
      seen.push_back("sent");
    }());
    return "queued";
  });
  app.post<"/fails">([](Background background) -> std::string {
    background.add([]() -> Task<void> {
      seen.push_back("never");
      co_return;
    }());
    throw NotFound("no");
  });
  {
    Client client{app};
    EXPECT_EQ(client.post("/mail").send().body, "queued");
    EXPECT_TRUE(seen.empty());
    EXPECT_EQ(client.post("/fails").send().status, 404);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"sent"}));
}

TEST(App, RunsHooksAroundServing) {
  std::vector<std::string> life;
  App app;
  Counter counter{5};
  app.provide(counter);
  app.on_start([&](Counter& c) { life.push_back("start " + std::to_string(c.value)); });
  app.on_stop([&]() -> Task<void> {
    life.emplace_back("stop");
    co_return;
  });
  {
    Client client{app};
  }
  EXPECT_EQ(life, (std::vector<std::string>{"start 5", "stop"}));
}

struct ShopSettings {
  std::string currency = "EUR";
  Annotated<int, ge{1}> workers = 2;
};

TEST(App, GivesHandlersTheProgramsSettings) {
  ::setenv("SHOP_TEST_WORKERS", "7", 1);
  App app;
  const ShopSettings& settings = app.settings<ShopSettings>("SHOP_TEST");
  ::unsetenv("SHOP_TEST_WORKERS");
  EXPECT_EQ(settings.workers, 7);
  app.get<"/">([](const ShopSettings& s) { return s.currency + std::to_string(s.workers); });
  Client client{app};
  EXPECT_EQ(client.get("/").send().body, "EUR7");
}

TEST(App, RefusesToStartWithWrongSettings) {
  ::setenv("SHOP_TEST_WORKERS", "none", 1);
  App app;
  (void)app.settings<ShopSettings>("SHOP_TEST");
  ::unsetenv("SHOP_TEST_WORKERS");
  try {
    Client client{app};
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_NE(error.message().find("SHOP_TEST_WORKERS"), std::string::npos) << error.message();
  }
}

TEST(App, RefusesAFlagThatIsNoSettingAndNamesTheNearest) {
  App app;
  (void)app.settings<ShopSettings>("SHOP_TEST");
  app.core().load_settings({"workers=3"});
  try {
    app.core().load_settings({"workesr=3"});
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_EQ(error.message(), "--set workesr: there is no such setting; did you mean workers? `settings` lists them");
  }
  EXPECT_THROW(app.core().load_settings({"colour_of_the_sea=3"}), Invalid);
}

TEST(App, MountsOthersBelowAPathAndByHost) {
  App v1;
  v1.get<"/x">([] { return "v1"; });
  App app;
  app.get<"/x">([] { return "root"; });
  app.mount("/v1", v1);
  Client client{app};
  EXPECT_EQ(client.get("/x").send().body, "root");
  EXPECT_EQ(client.get("/v1/x").send().body, "v1");
  EXPECT_EQ(client.get("/v1/none").send().status, 404);
}

TEST(App, TakesOverTheCallersDeadline) {
  App app;
  app.get<"/left">([] {
    const auto left = async::context()->deadline - async::Clock::now();
    return left < std::chrono::seconds{2} ? "soon" : "later";
  });
  Client client{app};
  EXPECT_EQ(client.get("/left").header("X-Request-Timeout-Ms", "1000").send().body, "soon");
  EXPECT_EQ(client.get("/left").header("X-Request-Timeout-Ms", "soon").send().body, "later");
}

TEST(App, RunsTheHooksAndChecksOfMountedOnesAndKeepsTheirLimits) {
  std::vector<std::string> life;
  App v1;
  v1.on_start([&] { life.emplace_back("start"); });
  v1.on_stop([&] { life.emplace_back("stop"); });
  v1.check([&]() -> Task<std::vector<std::string>> {
    life.emplace_back("check");
    co_return std::vector<std::string>{};
  });
  v1.post<"/big">([](Body<std::string> text) { return text; }, {.max_body = 7});
  App app;
  app.mount("/v1", v1);
  {
    Client client{app};
    http::Request head;
    head.clear();
    head.method = http::Method::post;
    head.path = "/v1/big";
    EXPECT_EQ(app.handler().plan_body(head, 100).limit, 7U);
  }
  EXPECT_EQ(life, (std::vector<std::string>{"check", "start", "stop"}));
}

TEST(App, ServesItsDocumentAndItsPages) {
  App app{{.title = "Tea"}};
  app.get<"/items/{name}">([](Path<"name"> name) { return Item{name, 3}; });
  Client client{app};
  const Answer document = client.get("/openapi.json");
  EXPECT_NE(document.body.find(R"("/items/{name}")"), std::string::npos) << document.body;
  EXPECT_EQ(document.body, app.openapi());
  EXPECT_EQ(client.get("/docs").send().header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(client.get("/docs/nothing").send().status, 404);
}

TEST(App, ServesHealthAndMetrics) {
  App app;
  app.get<"/x">([] { return "x"; });
  Client client{app};
  client.get("/x").send();
  EXPECT_EQ(client.get("/health/live").send().body, R"({"status":"alive","reasons":[]})");
  EXPECT_EQ(client.get("/health/ready").send().status, 200);
  const Answer metrics = client.get("/metrics");
  EXPECT_NE(
      metrics.body.find(
          R"(http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/x"})"),
      std::string::npos)
      << metrics.body;
}

}  // namespace
