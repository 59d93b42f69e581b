#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using namespace std::chrono_literals;
using ashlar::testing::Answer;
using ashlar::testing::Client;

namespace {

struct Price {
  std::string symbol;
  double value;
};

TEST(Events, AreSentAsTextEventStream) {
  App app;
  app.get<"/prices">([]() -> Events<Price> {
    co_yield {.data = Price{"ABC", 1.5}, .event = "price", .id = "7"};
    co_yield {.retry = 2000ms, .comment = "a comment\nof two lines"};
    co_yield {.data = Price{"DEF", 2}};
  });
  Client client{app};
  const Answer answer = client.get("/prices");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer.header("Cache-Control"), "no-cache");
  EXPECT_EQ(answer.header("X-Accel-Buffering"), "no");
  EXPECT_EQ(answer.body,
            "event: price\nid: 7\ndata: {\"symbol\":\"ABC\",\"value\":1.5}\n\n"
            ": a comment\n: of two lines\nretry: 2000\n\n"
            "data: {\"symbol\":\"DEF\",\"value\":2.0}\n\n");
}

TEST(Events, OfTextKeepItsLines) {
  App app;
  app.get<"/log">([]() -> Events<std::string> {
    co_yield {.data = "one\r\ntwo\rthree\n"};
    co_yield {.data = ""};
  });
  Client client{app};
  EXPECT_EQ(client.get("/log").send().body, "data: one\ndata: two\ndata: three\ndata: \n\ndata: \n\n");
}

TEST(Events, CannotBeForgedByAFieldWithALineBreak) {
  App app;
  app.get<"/bad">([]() -> Events<std::string> { co_yield {.data = "x", .id = "1\ndata: forged"}; });
  Client client{app};
  EXPECT_THROW(client.get("/bad").send(), Internal);
}

TEST(Events, GoOnBehindTheLastOneThatAClientHas) {
  App app;
  app.get<"/count">([](LastEventId last) -> Events<int> {
    const int from = last.empty() ? 0 : std::stoi(last);
    for (int i = from + 1; i <= from + 2; ++i) co_yield {.data = i, .id = std::to_string(i)};
  });
  Client client{app};
  EXPECT_EQ(client.get("/count").send().body, "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n");
  EXPECT_EQ(client.get("/count").header("Last-Event-ID", "41").send().body, "id: 42\ndata: 42\n\nid: 43\ndata: 43\n\n");
}

TEST(JsonLines, AreAValueALine) {
  App app;
  app.get<"/rows">([]() -> JsonLines<Price> {
    for (int i = 0; i < 2; ++i) co_yield Price{"S" + std::to_string(i), 0.5};
  });
  Client client{app};
  const Answer answer = client.get("/rows");
  EXPECT_EQ(answer.header("Content-Type"), "application/jsonl");
  EXPECT_EQ(answer.body, "{\"symbol\":\"S0\",\"value\":0.5}\n{\"symbol\":\"S1\",\"value\":0.5}\n");
}

TEST(Events, AreDescribed) {
  App app;
  app.get<"/prices">([](LastEventId) -> Events<Price> { co_yield {}; });
  app.get<"/rows">([]() -> JsonLines<Price> { co_yield Price{}; });
  const std::string document = app.openapi();
  EXPECT_NE(
      document.find("\"text/event-stream\":{\"schema\":{\"type\":\"string\"},\"x-itemSchema\":{\"type\":\"object\""),
      std::string::npos)
      << document;
  EXPECT_NE(document.find("\"contentSchema\":{\"$ref\":\"#/components/schemas/Price\"}"), std::string::npos)
      << document;
  EXPECT_NE(document.find("\"application/jsonl\":{\"schema\":{\"type\":\"string\"},\"x-itemSchema\":{\"$ref\""),
            std::string::npos)
      << document;
  EXPECT_NE(document.find("\"name\":\"Last-Event-ID\",\"in\":\"header\""), std::string::npos) << document;
}

}  // namespace
