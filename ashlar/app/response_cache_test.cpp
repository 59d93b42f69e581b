#include <ashlar/app/response_cache.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/compression.hpp>
#include <ashlar/app/detail/tag_index.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/metric.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::Client;
using ::testing::HasSubstr;

struct Reader {
  std::int64_t id = 0;
};
Reader current_reader(Bearer token) { return {std::stoll(std::string(token.token))}; }

struct Page {
  int page = 1;
};
struct Language {
  std::string accept_language = "en";
};
struct Session {
  std::string session;
};

std::atomic<async::Clock::rep> g_now{0};
async::TimePoint test_now() { return async::TimePoint{async::Clock::duration{g_now.load()}} + 1000h; }
void pass(async::Clock::duration time) { g_now += time.count(); }
ResponseCacheOptions at_test_time() {
  g_now = 0;
  return {.now = &test_now};
}

TEST(ResponseCache, RunsTheHandlerOnceForOneAnswer) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/articles/{slug}">([&](Path<"slug"> slug) { return Text{slug + std::to_string(++calls)}; },
                              {.cache = pages.keep()});
  Client client{app};
  const Answer first = client.get("/articles/a");
  const Answer second = client.get("/articles/a");
  EXPECT_EQ(first.body, "a1");
  EXPECT_EQ(second.body, "a1");
  EXPECT_EQ(second.header("Content-Type"), first.header("Content-Type"));
  EXPECT_EQ(second.header("ETag"), first.header("ETag"));
  EXPECT_EQ(second.header("Cache-Control"), "no-cache");
  EXPECT_FALSE(first.header("Age"));
  EXPECT_EQ(second.header("Age"), "0");
  EXPECT_EQ(client.get("/articles/b").send().body, "b2");
  EXPECT_EQ(pages.stats().hits, 1U);
  EXPECT_EQ(pages.stats().misses, 2U);
  EXPECT_EQ(pages.stats().entries, 2U);
}

TEST(ResponseCache, LeavesWhatMiddlewareAddsToMiddleware) {
  App app;
  ResponseCache pages;
  app.get<"/">([] { return Text{"hello"}; }, {.cache = pages.keep()});
  Client client{app};
  const Answer first = client.get("/");
  const Answer second = client.get("/");
  EXPECT_NE(first.header("X-Request-Id"), second.header("X-Request-Id"));
  EXPECT_EQ(second.headers.size(), first.headers.size() + 1);  // Age
}

TEST(ResponseCache, AnswersAConditionalRequestWith304) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/">([&] { return Text{"hello" + std::to_string(++calls)}; }, {.cache = pages.keep()});
  Client client{app};
  const std::string tag = client.get("/").send().header("ETag").value_or("");
  const Answer same = client.get("/").header("If-None-Match", tag);
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(same.header("ETag"), tag);
  EXPECT_EQ(client.get("/").header("If-None-Match", "\"other\"").send().status, 200);
  EXPECT_EQ(calls, 1);
}

TEST(ResponseCache, AnswersWhoWantsAnotherVersionWith412) {
  App app;
  ResponseCache pages;
  app.get<"/">([] { return Text{"hello"}; }, {.cache = pages.keep()});
  Client client{app};
  for (int i = 0; i < 2; ++i) {  // made now, and kept
    const Answer other = client.get("/").header("If-Match", "\"other\"");
    EXPECT_EQ(other.status, 412);
    EXPECT_EQ(other.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(client.get("/").header("If-Match", "*").send().body, "hello");
  }
  EXPECT_EQ(pages.stats().misses, 1U);
}

TEST(ResponseCache, TagsTheSameContentTheSameAndOtherContentDifferently) {
  App app;
  ResponseCache pages;
  std::string text = "a";
  app.get<"/">([&] { return Text{text}; }, {.cache = pages.keep()});
  Client client{app};
  const auto tag = client.get("/").send().header("ETag");
  pages.clear();
  EXPECT_EQ(client.get("/").send().header("ETag"), tag);
  pages.clear();
  text = "b";
  EXPECT_NE(client.get("/").send().header("ETag"), tag);
}

TEST(ResponseCache, AsksTheHandlerAgainWhenTheTimeIsOver) {
  App app;
  ResponseCache pages(at_test_time());
  int calls = 0;
  app.get<"/">([&] { return Text{std::to_string(++calls)}; }, {.cache = pages.keep({.ttl = 10s, .client_ttl = 60s})});
  Client client{app};
  EXPECT_EQ(client.get("/").send().body, "1");
  pass(9s);
  const Answer old = client.get("/");
  EXPECT_EQ(old.body, "1");
  EXPECT_EQ(old.header("Age"), "9");
  EXPECT_EQ(old.header("Cache-Control"), "max-age=60");
  pass(1s);
  EXPECT_EQ(client.get("/").send().body, "2");
}

TEST(ResponseCache, OfManyAtTheSameTimeOneRunsTheHandler) {
  App app;
  ResponseCache pages;
  int calls = 0;
  async::Event go;
  app.get<"/">(
      [&]() -> Task<Text> {
        ++calls;
        co_await go.wait();
        co_return Text{"hello"};
      },
      {.cache = pages.keep()});
  app.post<"/go">([&] { go.set(); });
  Client client{app};
  std::vector<testing::Request> requests;
  for (int i = 0; i < 20; ++i) requests.push_back(client.get("/"));
  requests.push_back(client.post("/go"));
  const auto answers = client.send_all(std::move(requests));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)].body, "hello");
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(pages.stats().shared, 19U);
}

TEST(ResponseCache, AFailureIsToldToAllWhoWaitAndNotKept) {
  App app;
  ResponseCache pages;
  int calls = 0;
  async::Event go;
  app.get<"/">(
      [&]() -> Task<Text> {
        ++calls;
        co_await go.wait();
        throw Unavailable("the database does not answer");
      },
      {.cache = pages.keep()});
  app.post<"/go">([&] { go.set(); });
  Client client{app};
  std::vector<testing::Request> requests;
  for (int i = 0; i < 5; ++i) requests.push_back(client.get("/"));
  requests.push_back(client.post("/go"));
  const auto answers = client.send_all(std::move(requests));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)].status, 503);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(client.get("/").send().status, 503);
  EXPECT_EQ(calls, 2);
}

TEST(ResponseCache, WhoIsCancelledLeavesItToAnotherThatWaits) {
  App app;
  ResponseCache pages;
  int calls = 0;
  async::Event go;
  app.get<"/">(
      [&]() -> Task<Text> {
        if (++calls == 1) {
          co_await go.wait();
          throw Cancelled();
        }
        co_return Text{"second"};
      },
      {.cache = pages.keep()});
  app.post<"/go">([&] { go.set(); });
  Client client{app};
  std::vector<testing::Request> requests;
  for (int i = 0; i < 3; ++i) requests.push_back(client.get("/"));
  requests.push_back(client.post("/go"));
  const auto answers = client.send_all(std::move(requests));
  EXPECT_EQ(answers[0].status, 503);
  EXPECT_EQ(answers[1].body, "second");
  EXPECT_EQ(answers[2].body, "second");
  EXPECT_EQ(calls, 2);
}

TEST(ResponseCache, TellsQueriesHostsAndHeadersApart) {
  App app;
  ResponseCache pages;
  app.get<"/">(
      [](Query<Page> query, Header<Language> header, const http::Request& request) {
        return Text{std::to_string(query.page) + header.accept_language + std::string(request.authority)};
      },
      {.cache = pages.keep({.vary = {"Accept-Language"}})});
  Client client{app};
  EXPECT_EQ(client.get("/?page=2").header("Accept-Language", "de").header("Host", "a").send().body.substr(0, 3), "2de");
  const Answer other = client.get("/?page=2").header("Accept-Language", "fr");
  EXPECT_EQ(other.body.substr(0, 3), "2fr");
  EXPECT_EQ(other.header("Vary"), "Accept-Language");
  EXPECT_EQ(client.get("/?page=3").header("Accept-Language", "fr").send().body.substr(0, 3), "3fr");
  EXPECT_EQ(pages.stats().hits, 0U);
}

TEST(ResponseCache, LeavesOutQueryParametersThatDoNotCount) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/">([&](Query<Page> query) { return Text{std::to_string(query.page) + "/" + std::to_string(++calls)}; },
               {.cache = pages.keep({.query = {{"page"}}})});
  Client client{app};
  EXPECT_EQ(client.get("/?page=2&from=mail").send().body, "2/1");
  EXPECT_EQ(client.get("/?from=web&page=2").send().body, "2/1");
  EXPECT_EQ(client.get("/?page=3").send().body, "3/2");
}

TEST(ResponseCache, DoesNotTakeAHeaderForTheNextOne) {
  App app;
  ResponseCache pages;
  app.get<"/">(
      [](const http::Request& request) {
        return Text{std::string(request.header("X-First").value_or("")) + "/" +
                    std::string(request.header("X-Second").value_or(""))};
      },
      {.cache = pages.keep({.vary = {"X-First", "X-Second"}})});
  Client client{app};
  EXPECT_EQ(client.get("/").header("X-First", "X-Second").send().body, "X-Second/");
  EXPECT_EQ(client.get("/").header("X-Second", "X-Second").send().body, "/X-Second");
}

TEST(ResponseCache, NamesInVaryWhatTheHandlerDoesNot) {
  App app;
  ResponseCache pages;
  app.get<"/">(
      [](http::Response& response) {
        response.header("Vary", "Accept-Language");
        return Text{"hello"};
      },
      {.cache = pages.keep({.vary = {"Accept-Language", "X-Tenant"}})});
  Client client{app};
  std::string all;
  for (const auto& [name, value] : client.get("/").send().headers) {
    if (name == "Vary") all += value + ", ";
  }
  EXPECT_THAT(all, HasSubstr("X-Tenant"));
}

TEST(ResponseCache, ReadsTheNamesOfQueryParametersAsHandlersDo) {
  App app;
  ResponseCache pages;
  app.get<"/">([](const http::Request& request) { return Text{std::string(request.query)}; },
               {.cache = pages.keep({.query = {{"a b"}}})});
  Client client{app};
  EXPECT_EQ(client.get("/?a+b=1").send().body, "a+b=1");
  EXPECT_EQ(client.get("/?a+b=2").send().body, "a+b=2");
}

TEST(ResponseCache, GoesPastRequestsWithCredentials) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/">([&] { return Text{std::to_string(++calls)}; }, {.cache = pages.keep()});
  Client client{app};
  EXPECT_EQ(client.get("/").bearer("1").send().body, "1");
  EXPECT_EQ(client.get("/").header("Cookie", "session=1").send().body, "2");
  EXPECT_EQ(client.get("/").send().body, "3");
  EXPECT_EQ(client.get("/").bearer("1").send().body, "4");
  EXPECT_EQ(pages.stats().bypassed, 3U);
}

TEST(ResponseCache, KeepsAnswersOfPrincipalsApart) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/me">(
      [&](Depends<current_reader> me) { return Text{std::to_string(me->id) + "/" + std::to_string(++calls)}; },
      {.cache = pages.keep(per<current_reader, &Reader::id>)});
  Client client{app};
  EXPECT_EQ(client.get("/me").bearer("7").send().body, "7/1");
  EXPECT_EQ(client.get("/me").bearer("8").send().body, "8/2");
  const Answer again = client.get("/me").bearer("7");
  EXPECT_EQ(again.body, "7/1");
  EXPECT_EQ(again.header("Cache-Control"), "private, no-cache");
  EXPECT_EQ(client.get("/me").send().status, 401);
}

TEST(ResponseCache, ForgetsByTagAndByPrefix) {
  App app;
  ResponseCache pages;
  int calls = 0;
  const auto show = [&](Path<"slug"> slug) { return Text{slug + std::to_string(++calls)}; };
  app.get<"/articles/{slug}">(show, {.cache = pages.keep({.tags = {"articles", "article:{slug}"}})});
  Client client{app};
  EXPECT_EQ(client.get("/articles/a").send().body, "a1");
  EXPECT_EQ(client.get("/articles/b").send().body, "b2");
  EXPECT_EQ(pages.invalidate_tag("article:a"), 1U);
  EXPECT_EQ(client.get("/articles/a").send().body, "a3");
  EXPECT_EQ(client.get("/articles/b").send().body, "b2");
  EXPECT_EQ(pages.invalidate_tag("articles"), 2U);
  EXPECT_EQ(client.get("/articles/b").send().body, "b4");
  EXPECT_EQ(pages.invalidate_prefix("/articles/"), 1U);
  EXPECT_EQ(client.get("/articles/b").send().body, "b5");
  EXPECT_EQ(pages.invalidate_prefix("/other"), 0U);
  EXPECT_EQ(pages.invalidate_tag("nothing"), 0U);
}

TEST(ResponseCache, PutsValuesOfThePathIntoTagsAsTheyAre) {
  App app;
  ResponseCache pages;
  app.get<"/{owner}/{name}">([](Path<"owner">, Path<"name">) { return Text{"hello"}; },
                             {.cache = pages.keep({.tags = {"{owner}:{name}:{owner}"}})});
  Client client{app};
  EXPECT_EQ(client.get("/ann/notes").send().status, 200);
  EXPECT_EQ(client.get("/%7Bname%7D/notes").send().status, 200);
  EXPECT_EQ(pages.invalidate_tag("ann:notes:ann"), 1U);
  EXPECT_EQ(pages.invalidate_tag("{name}:notes:{name}"), 1U);
}

// An entry that goes out of a tag with 10^5 others must not look for itself among them, under the lock of all loops.
TEST(ResponseCache, LooksAtNothingElseThatHasATagToForgetOneAnswer) {
  static int looked_at = 0;
  struct Answered {
    int number;
    bool operator==(const Answered& other) const { return ++looked_at, number == other.number; }
  };
  detail::TagIndex<Answered> index;
  std::vector<detail::TagIndex<Answered>::Place> places;
  for (int i = 0; i < 1000; ++i) places.push_back(index.add("all", {i}));
  for (int i = 999; i > 0; --i) index.remove(places[static_cast<std::size_t>(i)]);
  EXPECT_EQ(index.find("all")->number, 0);
  EXPECT_EQ(looked_at, 0);
  index.remove(places[0]);
  EXPECT_EQ(index.find("all"), nullptr);
}

TEST(ResponseCache, DoesNotKeepWhatWasInvalidatedWhileItWasMade) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/">(
      [&] {
        if (++calls == 1) pages.invalidate_tag("all");  // somebody writes while it reads
        return Text{std::to_string(calls)};
      },
      {.cache = pages.keep({.tags = {"all"}})});
  Client client{app};
  EXPECT_EQ(client.get("/").send().body, "1");
  EXPECT_EQ(client.get("/").send().body, "2");
  EXPECT_EQ(client.get("/").send().body, "2");
}

struct Header1 {
  std::string name;
  std::string value;
};

int calls_for_two(const Header1& header, int status = 200) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/">(
      [&](http::Response& response) {
        ++calls;
        if (!header.name.empty()) response.header(header.name, header.value);
        return Content{"text/plain", "x", status};
      },
      {.cache = pages.keep()});
  Client client{app};
  EXPECT_EQ(client.get("/").send().status, status);
  EXPECT_EQ(client.get("/").send().status, status);
  return calls;
}

TEST(ResponseCache, DoesNotKeepWhatMustNotBeKept) {
  EXPECT_EQ(calls_for_two({"Set-Cookie", "session=1"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "no-store"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "public, No-Cache"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "private"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "max-age=0"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "s-maxage=0, max-age=60"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "max-age=soon"}), 2);
  EXPECT_EQ(calls_for_two({"Cache-Control", "max-age=-99999999999"}), 2);
  EXPECT_EQ(calls_for_two({"Vary", "User-Agent"}), 2);
  EXPECT_EQ(calls_for_two({"Vary", "*"}), 2);
  EXPECT_EQ(calls_for_two({"", ""}, 404), 2);
  EXPECT_EQ(calls_for_two({"", ""}, 500), 2);
}

TEST(ResponseCache, KeepsWhatMayBe) {
  EXPECT_EQ(calls_for_two({"", ""}), 1);
  EXPECT_EQ(calls_for_two({"Cache-Control", "max-age=60"}), 1);
  EXPECT_EQ(calls_for_two({"Cache-Control", "max-age=99999999999"}), 1);
  EXPECT_EQ(calls_for_two({"X-Other", "1"}), 1);
}

TEST(ResponseCache, StaysWithinItsMemory) {
  App app;
  ResponseCache pages({.memory = 20'000, .max_answer = 5000});
  app.get<"/{n}">([](Path<"n", int> n) { return Text{std::string(static_cast<std::size_t>(n), 'x')}; },
                  {.cache = pages.keep()});
  Client client{app};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(client.get("/" + std::to_string(1000 + i)).send().status, 200);
    EXPECT_LE(pages.stats().bytes, 20'000U);
  }
  EXPECT_GT(pages.stats().evicted, 50U);
  EXPECT_EQ(client.get("/6000").send().body.size(), 6000U);
  EXPECT_EQ(pages.stats().not_kept, 1U);
  pages.clear();
  EXPECT_EQ(pages.stats().bytes, 0U);
  EXPECT_EQ(pages.stats().entries, 0U);
}

TEST(ResponseCache, AnswersHeadFromTheSameAnswer) {
  App app;
  ResponseCache pages;
  int calls = 0;
  app.get<"/">([&] { return Text{std::to_string(++calls)}; }, {.cache = pages.keep()});
  Client client{app};
  EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_EQ(client.head("/").send().status, 200);
  EXPECT_EQ(calls, 1);
}

TEST(ResponseCache, GoesTogetherWithCompression) {
  App app;
  ResponseCache pages;
  app.use(Compression{});
  app.get<"/">([] { return Text{std::string(10'000, 'x')}; }, {.cache = pages.keep()});
  Client client{app};
  for (int i = 0; i < 2; ++i) {
    const Answer answer = client.get("/").header("Accept-Encoding", "gzip");
    EXPECT_EQ(answer.header("Content-Encoding"), "gzip");
    EXPECT_LT(answer.body.size(), 1000U);
    EXPECT_EQ(client.get("/").send().body.size(), 10'000U);
  }
}

TEST(ResponseCache, CountsInMetrics) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  App app;
  ResponseCache pages({.name = "pages"});
  app.get<"/">([] { return Text{"hello"}; }, {.cache = pages.keep()});
  Client client{app};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_THAT(registry.expose(), HasSubstr("ashlar_response_cache_hits_total{cache=\"pages\"} 2"));
  EXPECT_THAT(registry.expose(), HasSubstr("ashlar_response_cache_misses_total{cache=\"pages\"} 1"));
}

// What would give one client the answer of another does not start.
template <class F>
std::string refusal(F handler, CacheOptions options, Scope of = anyone) {
  App app;
  const ResponseCache pages;
  app.get<"/{id}">(std::move(handler), {.cache = pages.keep(of, std::move(options))});
  try {
    const Client client{app};
  } catch (const Invalid& error) {
    return error.message();
  }
  return {};
}

TEST(ResponseCache, OfWhatItDoesNotKnowIsRefusedBeforeItServes) {
  EXPECT_THAT(refusal([](Depends<current_reader>) {}, {}), HasSubstr("takes credentials"));
  EXPECT_THAT(refusal([](Header<Language>) {}, {}), HasSubstr("the header Accept-Language"));
  EXPECT_THAT(refusal([](Cookie<Session>) {}, {}), HasSubstr("the cookie session"));
  EXPECT_THAT(refusal([](Query<Page>) {}, {.query = {{"size"}}}), HasSubstr("the query parameter page"));
  EXPECT_THAT(refusal([] {}, {.tags = {"article:{slug}"}}), HasSubstr("not in the path"));
  EXPECT_THAT(refusal([] {}, {.tags = {"{id}:{slug}"}}), HasSubstr("not in the path"));
  EXPECT_THAT(refusal([] {}, {.tags = {"article:{id"}}), HasSubstr("brace"));
  EXPECT_EQ(refusal([](Depends<current_reader>) {}, {.ignore_credentials = true}), "");
  EXPECT_EQ(refusal([](Depends<current_reader>) {}, {}, per<current_reader, &Reader::id>), "");
  EXPECT_EQ(refusal([](Header<Language>) {}, {.vary = {"accept-language"}}), "");
}

TEST(ResponseCache, IsForGetAlone) {
  App app;
  const ResponseCache pages;
  app.post<"/">([] {}, {.cache = pages.keep()});
  EXPECT_THROW(Client{app}, Invalid);
  EXPECT_THROW((void)pages.keep({.ttl = 0s}), Invalid);
}

}  // namespace
}  // namespace ashlar
