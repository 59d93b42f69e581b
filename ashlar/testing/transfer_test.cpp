#include <ashlar/testing/transfer.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/clock.hpp>

namespace ashlar::testing {
namespace {

using namespace std::chrono_literals;

struct Price {
  std::string symbol;
  double value;
};

TEST(Transfer, GoesOnWhileTheTestDoes) {
  App app;
  async::Event open;
  app.get<"/wait">([&]() -> Task<Text> {
    co_await open.wait();
    co_return Text{"in"};
  });
  app.post<"/open">([&] { open.set(); });
  Client client{app};
  auto waiting = client.get("/wait").begin();
  EXPECT_FALSE(waiting.answered());
  client.post("/open").send();
  const Answer answer = waiting.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "in");
}

TEST(Transfer, ReadsEventsOneByOneWhileTimePasses) {
  App app;
  app.get<"/prices">([]() -> Events<Price> {
    for (int i = 1;; ++i) {
      co_yield {.data = Price{"ABC", 1.5 * i}, .event = "price", .id = std::to_string(i)};
      co_await async::sleep(1min);
    }
  });
  Client client{app};
  Clock clock(client);
  auto events = client.get("/prices").begin();
  EXPECT_EQ(events.head().header("Content-Type"), "text/event-stream");
  EXPECT_EQ(events.event()->json<Price>().value, 1.5);
  clock.advance(2min);
  const auto second = events.event();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->event, "price");
  EXPECT_EQ(second->id, "2");
  EXPECT_EQ(second->json<Price>().value, 3);
  EXPECT_EQ(events.event()->id, "3");
}

TEST(Transfer, ReadsEventsAsABrowserDoes) {
  App app;
  app.get<"/">([]() -> Stream {
    return {"text/event-stream", []() -> Generator<std::string> {
              co_yield ": a heartbeat\n\nretry: 2000\n\n";
              co_yield "id: 7\rdata: one\rdata:two\r";
              co_yield "\r\nevent: end\ndata\n";
              co_yield "unknown: x\nretry: 5\nretry: soon\n\r";
              co_yield "\ndata: cut short\n";
            }()};
  });
  Client client{app};
  auto events = client.get("/").begin();
  const auto first = events.event();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->event, "message");
  EXPECT_EQ(first->data, "one\ntwo");
  EXPECT_EQ(first->id, "7");
  EXPECT_FALSE(first->retry);
  const auto second = events.event();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->event, "end");
  EXPECT_EQ(second->data, "");
  EXPECT_EQ(second->id, "7") << "the last one there was";
  EXPECT_EQ(second->retry, 5ms);
  EXPECT_FALSE(events.event());
}

TEST(Transfer, ReadsJsonLines) {
  App app;
  app.get<"/rows">([]() -> JsonLines<Price> {
    for (int i = 0; i < 2; ++i) co_yield Price{"S" + std::to_string(i), 0.5};
  });
  Client client{app};
  auto rows = client.get("/rows").begin();
  EXPECT_EQ(rows.json_line<Price>()->symbol, "S0");
  EXPECT_EQ(rows.line(), R"({"symbol":"S1","value":0.5})");
  EXPECT_FALSE(rows.line());
}

TEST(Transfer, LetsAGeneratorRunAheadToABound) {
  App app;
  int made = 0;
  app.get<"/endless">([&]() -> Stream {
    return {"text/plain", [](int& count) -> Generator<std::string> {
              for (;;) {
                ++count;
                co_yield "line\n";
              }
            }(made)};
  });
  Client client{app};
  auto lines = client.get("/endless").begin();
  EXPECT_EQ(lines.line(), "line");
  EXPECT_LE(made, 65);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(lines.line(), "line");
  EXPECT_GE(made, 501);
  EXPECT_LE(made, 501 + 65);
}

TEST(Transfer, CancelsWhatRunsWhenItLeaves) {
  App app;
  bool cancelled = false;
  const auto wait = [](bool& noted) -> Task<void> {
    try {
      co_await async::sleep(1h);
    } catch (const Cancelled&) {
      noted = true;
      throw;
    }
  };
  app.get<"/slow">([&]() -> Task<void> { co_await wait(cancelled); });
  app.get<"/events">([&]() -> Events<int> {
    co_yield {.data = 1};
    co_await wait(cancelled);
  });
  Client client{app};
  client.get("/slow").begin().leave();
  EXPECT_TRUE(cancelled);
  cancelled = false;
  {
    auto events = client.get("/events").begin();
    EXPECT_EQ(events.event()->data, "1");
    EXPECT_FALSE(cancelled);
  }
  EXPECT_TRUE(cancelled);
}

TEST(Transfer, ThrowsWhatBreaksTheBodyOffBehindWhatHasCome) {
  App app;
  app.get<"/broken">([]() -> JsonLines<int> {
    co_yield 1;
    throw Internal("the disk is gone");
  });
  Client client{app};
  auto rows = client.get("/broken").begin();
  EXPECT_EQ(rows.line(), "1");
  EXPECT_THROW(static_cast<void>(rows.line()), Internal);
}

TEST(Transfer, GivesTheStreamItsRequestsContext) {
  App app;
  std::string seen;
  app.get<"/rows">([&]() -> Stream {
    return {"text/plain", [](std::string& route) -> Generator<std::string> {
              const auto* context = async::context();
              route = context != nullptr && context->route != nullptr ? context->route : "none";
              co_yield "x";
            }(seen)};
  });
  Client client{app};
  EXPECT_EQ(client.get("/rows").send().body, "x");
  EXPECT_EQ(seen, "GET /rows");
}

}  // namespace
}  // namespace ashlar::testing
