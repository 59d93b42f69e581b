#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/depends.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/dependency_graph.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Client;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace connection_test {

struct Numbers {
  int last = 0;
};
std::vector<std::string> life;

// Says when it goes.
struct Named {
  std::string name;
  explicit Named(std::string n) : name(std::move(n)) {}
  Named(Named&&) = default;
  Named(const Named&) = delete;
  ~Named() {
    if (!name.empty()) life.push_back("end of " + name);
  }
};
struct Cursor : Named {
  using Named::Named;
  int asked = 0;
};

Named channel(Numbers& numbers) { return Named{"channel " + std::to_string(++numbers.last)}; }
Cursor cursor(Depends<channel> through, std::optional<ClientCertificate> who) {
  if (who && (*who)->subject == "CN=nobody") throw Forbidden("not for nobody");
  return Cursor{"cursor on " + through->name};
}
// Of the request.
std::string label(Depends<cursor> on, const http::Request& request) {
  return on->name + " for " + std::string(request.path);
}

}  // namespace connection_test

template <>
inline constexpr bool ashlar::kOncePerConnection<&connection_test::channel> = true;
template <>
inline constexpr bool ashlar::kOncePerConnection<&connection_test::cursor> = true;

namespace connection_test {
namespace {

class OncePerConnection : public ::testing::Test {
 protected:
  void SetUp() override {
    life.clear();
    app.provide(numbers);
    app.get<"/next">([](Depends<cursor> on) { return std::to_string(++on->asked); });
    app.get<"/label">([](Depends<label> text) { return std::string(*text); });
    app.websocket<"/live">([](WebSocket& socket, Depends<cursor> on) -> Task<void> {
      co_await socket.send(on->name);
      static_cast<void>(co_await socket.receive());
    });
  }
  Numbers numbers;
  App app;
};

TEST_F(OncePerConnection, IsSharedByTheRequestsOfItAndGoesWithItInReverseOrder) {
  Client client{app};
  EXPECT_EQ(client.get("/next").send().body, "1");
  EXPECT_EQ(client.get("/next").send().body, "2");
  EXPECT_EQ(client.get("/label").send().body, "cursor on channel 1 for /label");
  EXPECT_EQ(numbers.last, 1);
  EXPECT_TRUE(life.empty());
  client.reconnect();
  EXPECT_THAT(life, ElementsAre("end of cursor on channel 1", "end of channel 1"));
  EXPECT_EQ(client.get("/next").send().body, "1");
  EXPECT_EQ(numbers.last, 2);
}

TEST_F(OncePerConnection, IsThatOfAWebSocketAsLongAsItLives) {
  Client client{app};
  EXPECT_EQ(client.get("/next").send().body, "1");
  {
    auto socket = client.websocket("/live").connect();
    EXPECT_EQ(socket.receive_text(), "cursor on channel 2");
    EXPECT_TRUE(life.empty());
    socket.close();
    socket.wait_for_handler();
  }
  EXPECT_THAT(life, ElementsAre("end of cursor on channel 2", "end of channel 2"));
}

TEST_F(OncePerConnection, IsMadeByTheNextRequestWhenTheFirstCouldNot) {
  Client client{app};
  EXPECT_EQ(client.get("/next").client_certificate({.subject = "CN=nobody"}).send().status, 403);
  EXPECT_EQ(client.get("/next").send().body, "1");
  EXPECT_EQ(numbers.last, 1);  // what it needs was made by the first
}

TEST_F(OncePerConnection, OfARouterRunsBeforeItsRoutes) {
  Router<"/api"> api{{.dependencies = {depends<cursor>}}};
  api.get<"/name">([](Depends<cursor> on) { return on->name; });
  app.include(std::move(api));
  Client client{app};
  EXPECT_EQ(client.get("/api/name").send().body, "cursor on channel 1");
  EXPECT_EQ(client.get("/api/name").send().body, "cursor on channel 1");
}

TEST_F(OncePerConnection, CanBeReplacedForATest) {
  Client client{app};
  const auto scope = client.override_dependency<&channel>(Named{"fake"});
  EXPECT_EQ(client.get("/label").send().body, "cursor on fake for /label");
}

TEST_F(OncePerConnection, IsOfTheRequestWhereThereIsNoConnection) {
  struct Bare final : http::Exchange {
    bool finished = false;
    void on_finish() noexcept override { finished = true; }
  };
  Client client{app};
  for (int i = 1; i <= 2; ++i) {
    Bare bare;
    bare.request.clear();
    bare.request.path = bare.request.target = "/next";
    app.handler().handle(bare);
    EXPECT_TRUE(bare.finished);
    EXPECT_EQ(bare.response.body, "1");
    EXPECT_EQ(life.size(), 2U * static_cast<unsigned>(i));
  }
}

TEST_F(OncePerConnection, ShowsInTheGraph) {
  static_cast<void>(app.openapi());
  const OperationInfo info = ashlar::detail::operation_of(*app.core().routes.front());
  const std::vector<ashlar::detail::RouteGraph> graphs = {{"GET /next", &info}};
  EXPECT_THAT(ashlar::detail::graph_as_text(graphs), HasSubstr("once a connection"));
  EXPECT_THAT(ashlar::detail::graph_as_json(graphs), HasSubstr(R"("cleaned_up":"with the connection")"));
}

// ---- what routers' dependencies read is checked at the start

std::string by_id(Path<"id"> id) { return id; }
struct Order {
  std::string item;
};
std::string of_body(Order order) { return order.item; }

std::string refusal(App& app) {
  try {
    const Client client{app};
  } catch (const Invalid& error) {
    return error.message();
  }
  return "(it starts)";
}

TEST(Depends, OfARouterWhoseRouteLacksItsParameterRefusesToStart) {
  Router<"/things"> things{{.dependencies = {depends<by_id>}}};
  things.get<"/{id}">([] { return "one"; });
  things.get<"/">([] { return "all"; });
  App app;
  app.include(std::move(things));
  EXPECT_EQ(refusal(app), R"(GET /things: a dependency takes Path<"id">, but the route has no {id})");
}

TEST(Depends, OfARouterThatTakesABodyRefusesToStartWithAGet) {
  Router<"/things"> things{{.dependencies = {depends<of_body>}}};
  things.post<"/">([] { return "made"; });
  things.get<"/all">([] { return "all"; });
  App app;
  app.include(std::move(things));
  EXPECT_EQ(refusal(app), "GET /things/all: a dependency takes a body, but a GET request has none");
}

}  // namespace
}  // namespace connection_test
