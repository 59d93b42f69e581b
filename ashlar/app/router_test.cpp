#include <ashlar/app/router.hpp>

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;
using ::testing::HasSubstr;

namespace {

std::string refusal(App& app) {
  try {
    const Client client{app};
  } catch (const Invalid& error) {
    return error.message();
  }
  return "(it starts)";
}

TEST(Router, WithinAnotherHasItsRootAtThePrefix) {
  Router<"/books"> books;
  books.get<"/">([] { return "all"; });
  books.get<"/{id}">([](Path<"id"> id) { return std::string(id); });
  Router<"/api"> api;
  api.include(std::move(books));
  App app;
  app.include(std::move(api));
  Client client{app};
  EXPECT_EQ(client.get("/api/books").send().body, "all");
  EXPECT_EQ(client.get("/api/books/7").send().body, "7");
  const Answer moved = client.get("/api/books/?page=2");
  EXPECT_EQ(moved.status, 308);
  EXPECT_EQ(moved.header("Location"), "/api/books?page=2");
  EXPECT_THAT(app.openapi(), HasSubstr(R"("/api/books":)"));
}

TEST(Router, WithoutAPrefixWithinAnotherHasItsRootAtTheOthersPrefix) {
  Router<> inner;
  inner.get<"/">([] { return "root"; });
  inner.get<"/x">([] { return "x"; });
  Router<"/api"> api;
  api.include(std::move(inner));
  App app;
  app.include(std::move(api));
  Client client{app};
  EXPECT_EQ(client.get("/api").send().body, "root");
  EXPECT_EQ(client.get("/api/").send().header("Location"), "/api");
  EXPECT_EQ(client.get("/api/x").send().body, "x");
}

TEST(Router, AtTheRootAddsNothingToThoseWithinIt) {
  Router<"/books"> books;
  books.get<"/">([] { return "all"; });
  Router<> bare;
  bare.get<"/">([] { return "home"; });
  Router<"/"> root;
  root.include(std::move(books));
  root.include(std::move(bare));
  App app;
  app.include(std::move(root));
  Client client{app};
  EXPECT_EQ(client.get("/books").send().body, "all");
  EXPECT_EQ(client.get("/").send().body, "home");
}

TEST(Router, KeepsASlashThatARouteEndsWith) {
  Router<"/inner"> inner;
  inner.get<"/folder/">([] { return "folder"; });
  Router<"/outer"> outer;
  outer.include(std::move(inner));
  App app;
  app.include(std::move(outer));
  Client client{app};
  EXPECT_EQ(client.get("/outer/inner/folder/").send().body, "folder");
  EXPECT_EQ(client.get("/outer/inner/folder").send().header("Location"), "/outer/inner/folder/");
}

TEST(Router, MayBeManyDeep) {
  Router<"/c"> c;
  c.get<"/">([] { return "c"; });
  Router<"/{b}"> b;
  b.include(std::move(c));
  Router<"/a"> a;
  a.include(std::move(b));
  App app;
  app.include(std::move(a));
  Client client{app};
  EXPECT_EQ(client.get("/a/x/c").send().body, "c");
}

TEST(Router, RefusesToStartWhenRoutersWithinEachOtherMakeAParameterTwice) {
  Router<"/members"> members;
  members.get<"/{id}">([](Path<"id"> id) { return std::string(id); });
  Router<"/teams/{id}"> teams;
  teams.include(std::move(members));
  App app;
  app.include(std::move(teams));
  EXPECT_EQ(refusal(app), "route GET /teams/{id}/members/{id}: two parameters have one name; rename one");
}

TEST(Router, RefusesToStartWithARouteThatHasNoPath) {
  Router<> bare;
  bare.get<"">([] { return "nowhere"; });
  App app;
  app.include(std::move(bare));
  EXPECT_THAT(refusal(app), HasSubstr("its path is empty"));
}

TEST(App, RefusesToStartWithAPathOfDocumentsThatIsNone) {
  App app{{.openapi_path = "openapi.json"}};
  EXPECT_THAT(refusal(app), HasSubstr("a route starts with '/'"));
}

// ---- several methods

struct Item {
  std::string name;
};

TEST(Methods, GoToOneHandler) {
  App app;
  int calls = 0;
  app.add<Methods{http::Method::put, http::Method::patch}, "/items/{id}">(
      [&calls, count = 0](Path<"id"> id, Item item) mutable {
        calls = ++count;  // one handler, not a copy a method
        return id + item.name;
      });
  Client client{app};
  EXPECT_EQ(client.put("/items/a").json(Item{"x"}).send().body, "ax");
  EXPECT_EQ(client.patch("/items/b").json(Item{"y"}).send().body, "by");
  EXPECT_EQ(calls, 2);
}

TEST(Methods, AreAllAllowedAndNoOthersAre) {
  App app;
  app.add<Methods{http::Method::get, http::Method::post}, "/search">(
      [](const http::Request& request) { return std::string(request.method_text); });
  app.del<"/search">([] {});
  Client client{app};
  EXPECT_EQ(client.get("/search").send().body, "GET");
  EXPECT_EQ(client.post("/search").send().body, "POST");
  EXPECT_EQ(client.del("/search").send().status, 204);
  const Answer refused = client.put("/search");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.header("Allow"), "GET, HEAD, POST, DELETE, OPTIONS");
}

TEST(Methods, AreOperationsOfTheirOwnInTheDocument) {
  App app;
  Router<"/api"> api;
  api.add<Methods{http::Method::get, http::Method::post}, "/search">([] { return "found"; }, {.summary = "Search"});
  app.include(std::move(api));
  const std::string document = app.openapi();
  EXPECT_THAT(document, HasSubstr(R"("operationId":"get_api_search")"));
  EXPECT_THAT(document, HasSubstr(R"("operationId":"post_api_search")"));
}

TEST(Methods, RefuseToStartWhenOneOfThemHasARouteAlready) {
  App app;
  app.post<"/search">([] { return "one"; });
  app.add<Methods{http::Method::get, http::Method::post}, "/search">([] { return "two"; });
  EXPECT_THAT(refusal(app), HasSubstr("two routes answer POST /search"));
}

}  // namespace
