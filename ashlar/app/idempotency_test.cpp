#include <ashlar/app/idempotency.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/idempotent_route.hpp>
#include <ashlar/app/local_idempotency_store.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using State = async::IdempotencyStore::State;
using testing::Answer;
using testing::Client;

struct Order {
  std::string product;
};
struct Receipt {
  int number;
  std::string product;
};
struct Buyer {
  std::int64_t id = 0;
};

Buyer current_buyer(Bearer token) {
  if (token.token == "nobody") throw Unauthenticated("who are you?");
  return {std::stoll(std::string(token.token))};
}

std::atomic<async::Clock::rep> g_now{0};
async::TimePoint test_now() { return async::TimePoint{async::Clock::duration{g_now.load()}} + 1000h; }

// ---- the key

TEST(IdempotencyKey, IsAStringOfStructuredFieldsOrBare) {
  using detail::parse_idempotency_key;
  EXPECT_EQ(parse_idempotency_key("\"8e03978e-40d5\""), "8e03978e-40d5");
  EXPECT_EQ(parse_idempotency_key("8e03978e-40d5"), "8e03978e-40d5");
  EXPECT_EQ(parse_idempotency_key(R"("a \"b\" \\")"), R"(a "b" \)");
  EXPECT_EQ(parse_idempotency_key(std::string(255, 'x')), std::string(255, 'x'));
}

TEST(IdempotencyKey, OfAnotherFormIsNone) {
  using detail::parse_idempotency_key;
  for (const std::string& field :
       {std::string(), std::string("\"\""), std::string("\"open"), std::string("\"a\"; b=1"), std::string(R"("\n")"),
        std::string("a b"), std::string("\xc3\xa4"), std::string("\"\\"), std::string(256, 'x')}) {
    EXPECT_FALSE(parse_idempotency_key(field)) << field;
  }
}

// ---- around a route

struct Shop {
  App app;
  int orders = 0;
  explicit Shop(IdempotencyOptions options = {}) {
    app.post<"/orders">(
        [this](Order order, http::Response& response) {
          response.header("X-Warehouse", "north");
          return Created<Receipt>{Receipt{++orders, order.product}, "/orders/" + std::to_string(orders)};
        },
        {.idempotency = Idempotency{per<current_buyer, &Buyer::id>, std::move(options)}});
  }
};

Answer order(Client& client, std::string key, std::string product = "tea", std::string buyer = "1") {
  return client.post("/orders").bearer(buyer).header("Idempotency-Key", std::move(key)).json(Order{product}).send();
}

TEST(Idempotency, DoesTheSameRequestOnceAndAnswersItAgain) {
  Shop shop;
  Client client{shop.app};
  const Answer first = order(client, "k");
  const Answer second = order(client, "\"k\"");
  EXPECT_EQ(shop.orders, 1);
  EXPECT_EQ(first.status, 201);
  EXPECT_FALSE(first.header("Idempotency-Replayed"));
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.header("Idempotency-Replayed"), "true");
  EXPECT_EQ(second.header("Location"), "/orders/1");
  EXPECT_EQ(second.header("X-Warehouse"), "north");
  EXPECT_EQ(second.header("Content-Type"), first.header("Content-Type"));
}

TEST(Idempotency, LeavesWhatMiddlewareAddsToMiddleware) {
  Shop shop;
  Client client{shop.app};
  const Answer first = order(client, "k");
  const Answer second = order(client, "k");
  EXPECT_NE(first.header("X-Request-Id"), second.header("X-Request-Id"));
  EXPECT_EQ(second.headers.size(), first.headers.size() + 1);
}

TEST(Idempotency, WithoutAKeyEachRequestIsDone) {
  Shop shop;
  Client client{shop.app};
  for (int i = 1; i <= 2; ++i) {
    const Answer answer = client.post("/orders").bearer("1").json(Order{"tea"});
    EXPECT_EQ(answer.json<Receipt>().number, i);
  }
}

TEST(Idempotency, RefusesTheKeyOfAnotherRequest) {
  Shop shop;
  Client client{shop.app};
  EXPECT_EQ(order(client, "k", "tea").status, 201);
  const Answer other = order(client, "k", "coffee");
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(shop.orders, 1);
}

TEST(Idempotency, KeepsKeysOfDifferentPrincipalsApart) {
  Shop shop;
  Client client{shop.app};
  EXPECT_EQ(order(client, "k", "tea", "1").json<Receipt>().number, 1);
  EXPECT_EQ(order(client, "k", "coffee", "2").json<Receipt>().number, 2);
}

TEST(Idempotency, AsksWhoItIsBeforeAnythingIsGivenAgain) {
  Shop shop;
  Client client{shop.app};
  EXPECT_EQ(order(client, "k").status, 201);
  EXPECT_EQ(order(client, "k", "tea", "nobody").status, 401);
  EXPECT_EQ(client.post("/orders").header("Idempotency-Key", "k").json(Order{"tea"}).send().status, 401);
}

TEST(Idempotency, TakesAPrincipalThatATestPutsInPlace) {
  Shop shop;
  Client client{shop.app};
  const auto scope = client.acting_as(Buyer{7});
  EXPECT_EQ(client.post("/orders").header("Idempotency-Key", "k").json(Order{"tea"}).send().status, 201);
}

TEST(Idempotency, RefusesAKeyThatIsNone) {
  Shop shop;
  Client client{shop.app};
  EXPECT_EQ(order(client, "a b").status, 400);
  EXPECT_EQ(order(client, "\"open").status, 400);
  const Answer two = client.post("/orders")
                         .bearer("1")
                         .header("Idempotency-Key", "a")
                         .header("Idempotency-Key", "b")
                         .json(Order{"tea"});
  EXPECT_EQ(two.status, 400);
  EXPECT_EQ(shop.orders, 0);
}

TEST(Idempotency, ThatIsRequiredRefusesRequestsWithout) {
  Shop shop({.required = true});
  Client client{shop.app};
  EXPECT_EQ(client.post("/orders").bearer("1").json(Order{"tea"}).send().status, 400);
  EXPECT_EQ(order(client, "k").status, 201);
}

TEST(Idempotency, GivesAnErrorOfTheClientAgain) {
  App app;
  int calls = 0;
  app.post<"/orders">(
      [&](Order) -> Receipt {
        ++calls;
        throw Conflict("sold out");
      },
      {.idempotency = Idempotency{anyone}});
  Client client{app};
  const Answer first = order(client, "k");
  const Answer second = order(client, "k");
  EXPECT_EQ(first.status, 409);
  EXPECT_EQ(second.status, 409);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(calls, 1);
}

TEST(Idempotency, FreesTheKeyOfARequestThatFailed) {
  App app;
  int calls = 0;
  app.post<"/orders">(
      [&](Order order) -> Receipt {
        if (++calls == 1) throw Unavailable("the warehouse does not answer");
        return {calls, order.product};
      },
      {.idempotency = Idempotency{anyone}});
  Client client{app};
  EXPECT_EQ(order(client, "k").status, 503);
  EXPECT_EQ(order(client, "k").status, 200);
  EXPECT_EQ(order(client, "k").json<Receipt>().number, 2);
}

TEST(Idempotency, RepeatsFailuresWhereTheyMayHaveDoneSomething) {
  App app;
  int calls = 0;
  app.post<"/orders">(
      [&](Order) -> Receipt {
        ++calls;
        throw Internal("half-way");
      },
      {.idempotency = Idempotency{anyone, {.repeat_failures = true}}});
  Client client{app};
  EXPECT_EQ(order(client, "k").status, 500);
  const Answer again = order(client, "k");
  EXPECT_EQ(again.status, 500);
  EXPECT_EQ(again.header("Idempotency-Replayed"), "true");
  EXPECT_EQ(calls, 1);
}

TEST(Idempotency, RepeatsThatItsClientHadLeftOrItsTimeWasOver) {
  App app;
  int calls = 0;
  app.post<"/left">(
      [&] {
        ++calls;
        throw Cancelled();
      },
      {.idempotency = Idempotency{anyone, {.repeat_failures = true}}});
  app.post<"/late">(
      [&] {
        ++calls;
        throw DeadlineExceeded("too late");
      },
      {.idempotency = Idempotency{anyone, {.repeat_failures = true}}});
  Client client{app};
  for (const auto& [path, status] : {std::pair{"/left", 503}, std::pair{"/late", 504}}) {
    calls = 0;
    EXPECT_EQ(client.post(path).header("Idempotency-Key", "k").send().status, status);
    const Answer again = client.post(path).header("Idempotency-Key", "k");
    EXPECT_EQ(again.status, status);
    EXPECT_EQ(again.header("Idempotency-Replayed"), "true");
    EXPECT_EQ(calls, 1) << path;
  }
}

TEST(Idempotency, OneOfManyAtTheSameTimeIsDoneAndTheOthersAreToldToComeBack) {
  App app;
  int calls = 0;
  async::Event go;
  app.post<"/orders">(
      [&](Order order) -> Task<Receipt> {
        ++calls;
        co_await go.wait();
        co_return Receipt{calls, order.product};
      },
      {.idempotency = Idempotency{anyone}});
  app.post<"/go">([&] { go.set(); });
  Client client{app};
  std::vector<testing::Request> requests;
  for (int i = 0; i < 8; ++i) {
    requests.push_back(client.post("/orders"));
    requests.back().header("Idempotency-Key", "k").json(Order{"tea"});
  }
  requests.push_back(client.post("/go"));
  const auto answers = client.send_all(std::move(requests));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(answers[0].status, 200);
  for (int i = 1; i < 8; ++i) {
    EXPECT_EQ(answers[i].status, 409);
    EXPECT_EQ(answers[i].header("Retry-After"), "1");
  }
  EXPECT_EQ(order(client, "k").body, answers[0].body);
}

TEST(Idempotency, RemembersThatItWasDoneWhenTheAnswerIsTooLarge) {
  App app;
  int calls = 0;
  app.post<"/orders">(
      [&](Order) {
        ++calls;
        return Text{std::string(1000, 'x')};
      },
      {.idempotency = Idempotency{anyone, {.max_answer = 500}}});
  Client client{app};
  EXPECT_EQ(order(client, "k").status, 200);
  const Answer again = order(client, "k");
  EXPECT_EQ(again.status, 409);
  EXPECT_THAT(again.body, HasSubstr("has been done"));
  EXPECT_EQ(calls, 1);
}

TEST(Idempotency, OfTwoNamesAreTwoKeys) {
  LocalIdempotencyStore store;
  App app;
  app.post<"/a">([] { return Text{"a"}; }, {.idempotency = Idempotency{anyone, store, {.name = "a"}}});
  app.post<"/b">([] { return Text{"b"}; }, {.idempotency = Idempotency{anyone, store, {.name = "b"}}});
  Client client{app};
  EXPECT_EQ(client.post("/a").header("Idempotency-Key", "k").send().body, "a");
  EXPECT_EQ(client.post("/b").header("Idempotency-Key", "k").send().body, "b");
}

struct BrokenStore final : async::IdempotencyStore {
  bool begins = false;
  Task<Found> begin(Attempt) override {
    if (!begins) throw Unavailable("the store does not answer");
    co_return Found{};
  }
  Task<bool> complete(std::string, Uuid, Answer) override { throw Unavailable("the store does not answer"); }
  Task<void> abandon(std::string, Uuid) override { throw Unavailable("the store does not answer"); }
};

struct AskedStore final : async::IdempotencyStore {
  std::vector<Attempt> asked;
  Task<Found> begin(Attempt attempt) override {
    asked.push_back(std::move(attempt));
    co_return Found{};
  }
  Task<bool> complete(std::string, Uuid, Answer) override { co_return true; }
  Task<void> abandon(std::string, Uuid) override { co_return; }
};

TEST(Idempotency, DoesNotForgetAKeyWhileItsRequestRuns) {
  AskedStore store;
  App app;
  app.post<"/orders">([](Order) { return Text{"done"}; },
                      {.idempotency = Idempotency{anyone, store, {.keep = 1s, .lease = 10min}}});
  Client client{app};
  EXPECT_EQ(order(client, "k").body, "done");
  ASSERT_EQ(store.asked.size(), 1U);
  EXPECT_EQ(store.asked[0].lease, 10min);
  EXPECT_GE(store.asked[0].keep, store.asked[0].lease);
}

TEST(Idempotency, DoesNothingWhenTheStoreCannotTell) {
  BrokenStore store;
  App app;
  int calls = 0;
  app.post<"/orders">([&](Order) { return Text{std::to_string(++calls)}; },
                      {.idempotency = Idempotency{anyone, store}});
  Client client{app};
  EXPECT_EQ(order(client, "k").status, 503);
  EXPECT_EQ(calls, 0);
}

TEST(Idempotency, AnswersWhatWasDoneAlthoughItCannotBeKept) {
  BrokenStore store;
  store.begins = true;
  App app;
  app.post<"/orders">([](Order) { return Text{"done"}; }, {.idempotency = Idempotency{anyone, store}});
  Client client{app};
  EXPECT_EQ(order(client, "k").body, "done");
}

TEST(Idempotency, IsInOpenApi) {
  Shop shop({.required = true});
  Client client{shop.app};
  const std::string document = shop.app.openapi();
  EXPECT_THAT(document, HasSubstr("Idempotency-Key"));
  EXPECT_THAT(document, HasSubstr("\"409\""));
}

TEST(Idempotency, OfARouteThatReadsNothingWholeIsRefusedBeforeItServes) {
  App get;
  get.get<"/orders">([] { return Text{}; }, {.idempotency = Idempotency{anyone}});
  EXPECT_THROW(Client{get}, Invalid);
  App stream;
  stream.post<"/files">([](BodyStream) -> Task<void> { co_return; }, {.idempotency = Idempotency{anyone}});
  EXPECT_THROW(Client{stream}, Invalid);
  EXPECT_THROW(Idempotency(anyone, {.keep = 0s}), Invalid);
}

// ---- the store of one process

async::IdempotencyStore::Attempt attempt(std::string key, std::string fingerprint = "f") {
  return {.key = std::move(key), .fingerprint = std::move(fingerprint), .id = Uuid::v7(), .lease = 10s, .keep = 1h};
}

template <class F>
void with_store(LocalIdempotencyOptions options, F body) {
  g_now = 0;
  options.now = &test_now;
  LocalIdempotencyStore store(options);
  async::run([](F& function, LocalIdempotencyStore& of) -> Task<void> { co_await function(of); }(body, store));
}
void pass(async::Clock::duration time) { g_now += time.count(); }

TEST(LocalIdempotencyStore, GivesAKeyToAnotherWhenTheLeaseHasEnded) {
  with_store({}, [](LocalIdempotencyStore& store) -> Task<void> {
    const auto dead = attempt("k");
    EXPECT_EQ((co_await store.begin(dead)).state, State::begun);
    pass(9s);
    const auto found = co_await store.begin(attempt("k"));
    EXPECT_EQ(found.state, State::running);
    EXPECT_EQ(found.lease_left, 1s);
    pass(1s);
    const auto next = attempt("k");
    EXPECT_EQ((co_await store.begin(next)).state, State::begun);
    EXPECT_FALSE(co_await store.complete("k", dead.id, {.body = "late"}));
    EXPECT_TRUE(co_await store.complete("k", next.id, {.body = "done"}));
    EXPECT_EQ((co_await store.begin(attempt("k"))).answer.body, "done");
  });
}

TEST(LocalIdempotencyStore, ForgetsAKeyAfterItsTime) {
  with_store({}, [](LocalIdempotencyStore& store) -> Task<void> {
    const auto first = attempt("k");
    EXPECT_EQ((co_await store.begin(first)).state, State::begun);
    EXPECT_TRUE(co_await store.complete("k", first.id, {}));
    pass(1h);
    EXPECT_EQ((co_await store.begin(attempt("k", "other"))).state, State::begun);
    EXPECT_EQ(store.keys(), 1U);
  });
}

TEST(LocalIdempotencyStore, ALateAbandonDoesNotFreeTheKeyOfAnother) {
  with_store({}, [](LocalIdempotencyStore& store) -> Task<void> {
    const auto dead = attempt("k");
    (void)co_await store.begin(dead);
    pass(10s);
    (void)co_await store.begin(attempt("k"));
    co_await store.abandon("k", dead.id);
    EXPECT_EQ((co_await store.begin(attempt("k"))).state, State::running);
  });
}

TEST(LocalIdempotencyStore, ForgetsTheOldestAnswersWhenMemoryIsUsedUpAndNeverWhatRuns) {
  with_store({.memory = 10'000}, [](LocalIdempotencyStore& store) -> Task<void> {
    (void)co_await store.begin(attempt("running"));
    for (int i = 0; i < 100; ++i) {
      const auto one = attempt(std::to_string(i));
      EXPECT_EQ((co_await store.begin(one)).state, State::begun);
      EXPECT_TRUE(co_await store.complete(one.key, one.id, {.body = std::string(1000, 'x')}));
      EXPECT_LE(store.bytes(), 10'000U);
    }
    EXPECT_EQ((co_await store.begin(attempt("running"))).state, State::running);
    EXPECT_EQ((co_await store.begin(attempt("99"))).state, State::answered);
    EXPECT_EQ((co_await store.begin(attempt("0"))).state, State::begun);
  });
}

TEST(LocalIdempotencyStore, RefusesNewKeysWhenAllThatItKnowsRun) {
  with_store({.memory = 1000}, [](LocalIdempotencyStore& store) -> Task<void> {
    bool refused = false;
    try {
      for (int i = 0; i < 100; ++i) (void)co_await store.begin(attempt(std::to_string(i)));
    } catch (const Unavailable&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ((co_await store.begin(attempt("0"))).state, State::running);
  });
}

TEST(LocalIdempotencyStore, ForgetsNothingForAnAnswerThatDoesNotFitAnyhow) {
  with_store({.memory = 10'000}, [](LocalIdempotencyStore& store) -> Task<void> {
    const auto small = attempt("small");
    (void)co_await store.begin(small);
    EXPECT_TRUE(co_await store.complete("small", small.id, {.body = "kept"}));
    const auto large = attempt("large");
    (void)co_await store.begin(large);
    EXPECT_TRUE(co_await store.complete("large", large.id, {.body = std::string(20'000, 'x')}));
    EXPECT_EQ((co_await store.begin(attempt("small"))).answer.body, "kept");
    EXPECT_EQ((co_await store.begin(attempt("large"))).answer.status, 0);
  });
}

TEST(LocalIdempotencyStore, KeepsThatItWasDoneWhenThereIsNoRoomForTheAnswer) {
  with_store({.memory = 1000}, [](LocalIdempotencyStore& store) -> Task<void> {
    const auto one = attempt("k");
    (void)co_await store.begin(one);
    EXPECT_TRUE(co_await store.complete("k", one.id, {.body = std::string(5000, 'x')}));
    const auto found = co_await store.begin(attempt("k"));
    EXPECT_EQ(found.state, State::answered);
    EXPECT_EQ(found.answer.status, 0);
  });
}

}  // namespace
}  // namespace ashlar
