#include <ashlar/app/pagination.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/list_query.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using ::testing::AllOf;
using testing::Client;
using ::testing::HasSubstr;
using ::testing::Not;

struct Item {
  int number;
};
std::vector<Item> items_of(std::int64_t from, std::int64_t until) {
  std::vector<Item> out;
  for (std::int64_t i = from; i < std::min<std::int64_t>(until, 45); ++i) out.push_back({static_cast<int>(i)});
  return out;
}

struct ItemList {
  FilterBy<int, FilterOp::eq, FilterOp::gte> number;
  SortBy<"number"> sort = "number";
  PageLimit<50> limit = 10;
  PageOffset<1000> offset = 0;
};
struct Look {
  std::string theme = "light";
};

// ---- pages

void add_pages(App& app) {
  app.get<"/items">([](Query<Paging<10, 50>> page) {
    return Page<Item>(items_of(page.offset, page.offset + page.limit), 45, page.limit, page.offset);
  });
}

TEST(Page, HoldsItsPlaceInTheWhole) {
  App app;
  add_pages(app);
  Client client{app};
  const auto answer = client.get("/items?offset=40").send();
  EXPECT_EQ(
      answer.body,
      R"({"items":[{"number":40},{"number":41},{"number":42},{"number":43},{"number":44}],"total":45,"limit":10,"offset":40})");
}

TEST(Page, LinksThePagesBesideIt) {
  App app;
  add_pages(app);
  Client client{app};
  EXPECT_EQ(client.get("/items").send().header("Link"),
            "<?offset=0>; rel=\"first\", <?offset=10>; rel=\"next\", <?offset=40>; rel=\"last\"");
  EXPECT_EQ(client.get("/items?limit=20&x=a%20b&offset=20").send().header("Link"),
            "<?limit=20&x=a%20b&offset=0>; rel=\"first\", <?limit=20&x=a%20b&offset=0>; rel=\"prev\", "
            "<?limit=20&x=a%20b&offset=40>; rel=\"next\", <?limit=20&x=a%20b&offset=40>; rel=\"last\"");
  EXPECT_EQ(client.get("/items?offset=40").send().header("Link"),
            "<?offset=0>; rel=\"first\", <?offset=30>; rel=\"prev\", <?offset=40>; rel=\"last\"");
  EXPECT_EQ(client.get("/items?offset=500").send().header("Link"),
            "<?offset=0>; rel=\"first\", <?offset=40>; rel=\"prev\", <?offset=40>; rel=\"last\"");
  EXPECT_EQ(client.get("/items?limit=45").send().header("Link"), std::nullopt);
  EXPECT_EQ(client.get("/items?limit=50").send().header("Link"), std::nullopt);
}

TEST(Page, LinksLeaveOutAQueryThatIsTooLong) {
  App app;
  add_pages(app);
  Client client{app};
  EXPECT_EQ(client.get("/items?x=" + std::string(5000, 'a')).send().header("Link"), std::nullopt);
}

TEST(Page, LimitsAreChecked) {
  App app;
  add_pages(app);
  Client client{app};
  EXPECT_EQ(client.get("/items?limit=51").send().status, 422);
  EXPECT_EQ(client.get("/items?limit=0").send().status, 422);
  EXPECT_EQ(client.get("/items?offset=-1").send().status, 422);
  EXPECT_EQ(client.get("/items?offset=100001").send().status, 422);
}

// ---- filters

TEST(ListQuery, ReadsFiltersOrderAndPage) {
  App app;
  app.get<"/items">([](ListQuery<ItemList> query) {
    return std::to_string(*query.number.gte) + " " + query.sort.to_string() + " " + std::to_string(query.limit);
  });
  Client client{app};
  EXPECT_EQ(client.get("/items?number__gte=7&sort=-number").send().body, "7 -number 10");
}

TEST(ListQuery, RefusesWhatNobodyReads) {
  App app;
  app.get<"/items">([](ListQuery<ItemList> query) { return query.limit.value; });
  Client client{app};
  const auto answer = client.get("/items?number__lt=7&colour=red&sort=colour").send();
  EXPECT_EQ(answer.status, 422);
  EXPECT_THAT(answer.body, AllOf(HasSubstr(R"("type":"extra_forbidden","loc":["query","number__lt"])"),
                                 HasSubstr(R"(["query","colour"])"), HasSubstr(R"(["query","sort"])")));
}

int key_of(ApiKey<In::query, "key"> key) { return static_cast<int>(key.value.size()); }

TEST(ListQuery, LeavesOthersTheirParameters) {
  App app;
  app.get<"/items">([](ListQuery<ItemList> query, Query<Look> look, Depends<key_of>) {
    return look.theme + std::to_string(query.limit);
  });
  Client client{app};
  EXPECT_EQ(client.get("/items?theme=dark&limit=3&key=abc").send().body, "dark3");
  EXPECT_EQ(client.get("/items?theme=dark&limit=3&key=abc&colour=red").send().status, 422);
}

TEST(ListQuery, ShowsInOpenApi) {
  App app;
  app.get<"/items">([](ListQuery<ItemList> query) { return Page<Item>({}, 0, query.limit, query.offset); });
  const std::string document = app.openapi();
  EXPECT_THAT(
      document,
      AllOf(HasSubstr(R"("name":"number__gte","in":"query","description":"Only where `number` is this or more")"),
            HasSubstr(R"("pattern":"^-?(number)(,-?(number))*$")"), HasSubstr("PageOfItem"),
            Not(HasSubstr("number__lt"))));
}

// ---- cursors

Secret<> secret() { return Secret<>("0123456789abcdef0123456789abcdef"); }

struct Positions {
  std::vector<Item> items;
  std::optional<std::string> next, previous;
};

void add_feed(App& app) {
  app.get<"/feed">([](Query<CursorPaging<10, 50>> page, const Cursors& cursors) {
    const auto position = cursors.open(page.cursor);
    const std::int64_t from = position ? std::stoll(*position) : 0;
    Positions part{items_of(from, from + page.limit), {}, {}};
    if (from + page.limit < 45) part.next = std::to_string(from + page.limit);
    if (from > 0) part.previous = std::to_string(std::max<std::int64_t>(from - page.limit, 0));
    return cursors.seal(std::move(part));
  });
}

TEST(CursorPage, IsWalkedByItsCursors) {
  App app;
  const Cursors cursors{secret()};
  app.provide(cursors);
  add_feed(app);
  Client client{app};
  std::vector<int> seen;
  std::string cursor;
  for (int i = 0; i < 10; ++i) {
    const auto page = client.get("/feed" + cursor).send().json<CursorPage<Item>>();
    for (const Item& item : page.items) seen.push_back(item.number);
    if (!page.next) break;
    EXPECT_EQ(page.previous.has_value(), i > 0);
    cursor = "?cursor=" + *page.next;
  }
  EXPECT_EQ(seen.size(), 45U);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST(CursorPage, LinksThePagesBesideIt) {
  App app;
  const Cursors cursors{secret()};
  app.provide(cursors);
  add_feed(app);
  Client client{app};
  const auto first = client.get("/feed?limit=5").send();
  const auto page = first.json<CursorPage<Item>>();
  EXPECT_EQ(first.header("Link"), "<?limit=5&cursor=" + *page.next + ">; rel=\"next\"");
}

TEST(Cursors, AreNeitherReadNorChanged) {
  App app;
  const Cursors cursors{secret()};
  app.provide(cursors);
  add_feed(app);
  Client client{app};
  const std::string good = cursors.seal("10");
  EXPECT_THAT(good, Not(HasSubstr("10")));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    const auto answer = client.get("/feed?cursor=" + bad).send();
    if (answer.status == 200) {  // bits of the last letter that no byte has
      EXPECT_EQ(i + 1, good.size());
      EXPECT_EQ(cursors.open(bad), "10");
      continue;
    }
    EXPECT_EQ(answer.status, 422) << i;
    EXPECT_THAT(answer.body, HasSubstr(R"("type":"cursor_invalid","loc":["query","cursor"])"));
  }
  for (const char* bad : {"", "x", "10", "%00", "AAAAAAAAAAAAAAAAAAAAAA"})
    EXPECT_EQ(client.get(std::string("/feed?cursor=") + bad).send().status, 422) << bad;
}

TEST(Cursors, OfAnotherSecretAreRefused) {
  const Cursors cursors{secret()};
  const Cursors others{Secret<>("another secret of thirty-two bytes")};
  EXPECT_THROW((void)others.open(cursors.seal("10")), schema::ValidationError);
}

TEST(Cursors, OfOnePositionAreOneText) {
  const Cursors cursors{secret()};
  EXPECT_EQ(cursors.seal("10"), cursors.seal("10"));
  EXPECT_EQ(cursors.seal("10"), Cursors{secret()}.seal("10"));
  EXPECT_NE(cursors.seal("10"), cursors.seal("11"));
}

TEST(Cursors, NeedASecretAndAShortPosition) {
  EXPECT_THROW(Cursors{Secret<>("short")}, Invalid);
  const Cursors cursors{secret()};
  EXPECT_EQ(cursors.open(cursors.seal(std::string(4096, 'x'))), std::string(4096, 'x'));
  EXPECT_THROW((void)cursors.seal(std::string(4097, 'x')), Internal);
  EXPECT_EQ(cursors.open(std::nullopt), std::nullopt);
}

}  // namespace
}  // namespace ashlar
