#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Client;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

struct Mailer {
  virtual ~Mailer() = default;
  virtual std::string send(const std::string& to) = 0;
};
struct Smtp final : Mailer {
  explicit Smtp(std::string sender) : from(std::move(sender)) { ++made; }
  std::string send(const std::string& to) override { return from + " to " + to; }
  std::string from;
  static inline int made = 0;
};
struct Fake final : Mailer {
  std::string send(const std::string& to) override {
    sent.push_back(to);
    return "kept";
  }
  std::vector<std::string> sent;
};

struct Mail {
  std::string from;
  void install(App& app) const {
    app.provide<Mailer>([sender = from] { return std::make_unique<Smtp>(sender); });
  }
};
int clock_installed = 0;
void clock_part(App& app) {
  ++clock_installed;
  app.get<"/now">([] { return "noon"; });
}
void orders(App& app) {
  app.install(clock_part);
  app.post<"/orders/{to}">([](Path<"to"> to, Mailer& mailer) { return mailer.send(to); });
}
void reports(App& app) {
  app.install(clock_part);
  app.get<"/reports">([] { return "none"; });
}

TEST(Parts, BringTheirResourcesAndRoutes) {
  App app;
  app.install(Mail{"shop"}).install(orders);
  Client client{app};
  EXPECT_EQ(client.post("/orders/ann").send().body, "shop to ann");
}

TEST(Parts, ThatSeveralNeedAreInstalledOnce) {
  clock_installed = 0;
  App app;
  app.install(Mail{"shop"}).install(orders).install(reports).install(&clock_part);
  Client client{app};
  EXPECT_EQ(clock_installed, 1);
  EXPECT_EQ(client.get("/now").send().body, "noon");
  EXPECT_EQ(client.get("/reports").send().status, 200);
}

TEST(Parts, MayBeLambdasWhatEverTheyHold) {
  App app;
  int installed = 0;
  const auto counting = [&installed](App& to) {
    ++installed;
    to.check([]() -> Task<std::vector<std::string>> { co_return std::vector<std::string>{}; });
  };
  app.install(counting).install(counting);  // not known to be the same
  app.install([](App& to) { to.get<"/x">([] { return "x"; }); });
  Client client{app};
  EXPECT_EQ(installed, 2);
  EXPECT_EQ(client.get("/x").send().body, "x");
}

TEST(Parts, AreReplacedForATestWhicheverComesFirst) {
  for (const bool before : {false, true}) {
    Smtp::made = 0;
    Fake fake;
    App app;
    if (before) app.replace<Mailer>(fake);
    app.install(Mail{"shop"}).install(orders);
    if (!before) app.replace<Mailer>(fake);
    Client client{app};
    EXPECT_EQ(client.post("/orders/ann").send().body, "kept");
    EXPECT_THAT(fake.sent, ElementsAre("ann"));
    EXPECT_EQ(Smtp::made, 0);
  }
}

TEST(Parts, AreReplacedByTheLastThatSaysSo) {
  App app;
  app.install(Mail{"shop"}).install(orders);
  app.replace<Mailer>([] { return std::make_unique<Smtp>("first"); });
  app.replace<Mailer>([] { return std::make_unique<Smtp>("second"); });
  Client client{app};
  EXPECT_EQ(client.post("/orders/ann").send().body, "second to ann");
}

struct Store final : async::Component {
  [[nodiscard]] std::string_view name() const noexcept override { return "store"; }
  Task<void> start() override {
    ++started;
    co_return;
  }
  int started = 0;
};

TEST(Parts, ThatAreReplacedAreNotStarted) {
  Store real;
  Store other;
  App app;
  app.provide(real);
  app.get<"/">([](Store& store) { return std::to_string(store.started); });
  app.replace(other);
  {
    Client client{app};
    EXPECT_EQ(client.get("/").send().body, "1");
  }
  EXPECT_EQ(real.started, 0);
  EXPECT_EQ(other.started, 1);
}

TEST(Parts, ThatProvideTheSameAreRefusedAtTheStart) {
  App app;
  app.install(Mail{"one"}).install(Mail{"two"});
  try {
    const Client client{app};
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_THAT(error.message(), HasSubstr("Mailer& is provided twice; remove one, or say which holds: app.replace"));
  }
}

}  // namespace
