// The code of docs/guide/tutorial/: background work and lifespan, middleware, testing, settings. Each step is run.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/background.hpp>
#include <ashlar/app/compression.hpp>
#include <ashlar/app/middleware.hpp>
#include <ashlar/app/rate_limit.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/component.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/testing/client.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// ---- background.md

namespace background {

// sample: mailer
struct Mailer {
  std::vector<std::string> sent = {};

  Task<void> send(std::string to, std::string text) {
    co_await async::sleep(1ms);  // asks a mail server
    sent.push_back(to + ": " + text);
  }
};
// end of sample

// sample: component
class Clock final : public async::Component {
 public:
  explicit Clock(std::vector<std::string>& log) : log_(log) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "clock"; }
  Task<void> start() override {
    log_.emplace_back("clock started");
    co_return;
  }
  Task<void> stop() override {
    log_.emplace_back("clock stopped");
    co_return;
  }

 private:
  std::vector<std::string>& log_;
};
// end of sample

TEST(TutorialBackground, WorkRunsAfterTheAnswerAndIsWaitedFor) {
  Mailer mailer;
  std::vector<std::string> log;
  {
    App app;
    app.provide(mailer);
    // sample: background
    app.post<"/orders/{id}">([](Path<"id"> id, Mailer& mailer, Background background) {
      background.add(mailer.send("ada@example.com", "order " + id + " is on its way"));
      return Accepted<std::string>("thank you");
    });
    // end of sample
    Clock clock(log);
    app.provide(clock);
    // sample: lifespan
    app.on_start([&log](Mailer&) { log.emplace_back("ready"); });
    app.on_stop([&log](Mailer& own) -> Task<void> {
      log.push_back("sent " + std::to_string(own.sent.size()));
      co_return;
    });
    // end of sample
    ashlar::testing::Client client{app};
    EXPECT_EQ(client.post("/orders/7").send().status, 202);
  }  // stops: the mail has been sent before the last hook runs
  EXPECT_THAT(mailer.sent, ElementsAre("ada@example.com: order 7 is on its way"));
  EXPECT_THAT(log, ElementsAre("clock started", "ready", "sent 1", "clock stopped"));
}

TEST(TutorialBackground, ACheckThatFailsKeepsItFromServing) {
  App app;
  // sample: check
  app.check([]() -> Task<std::vector<std::string>> {
    std::vector<std::string> problems;
    if (!std::filesystem::exists("/no/such/folder")) problems.emplace_back("the folder of covers is not there");
    co_return problems;
  });
  // end of sample
  try {
    ashlar::testing::Client client{app};
    FAIL() << "it serves";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("the folder of covers is not there"));
  }
}

}  // namespace background

// ---- middleware.md

namespace middleware {

// sample: own
class Closed final : public Middleware {
 public:
  explicit Closed(bool closed) : closed_(closed) {}
  bool before(http::Exchange& exchange) override {
    if (!closed_ || exchange.request.path.starts_with("/health")) return true;
    return refuse(exchange, {.status = 503, .detail = "the library is closed on Sundays"});
  }
  void after(http::Exchange& exchange) noexcept override { exchange.response.header("X-Library", "central"); }

 private:
  bool closed_;
};
// end of sample

App& add(App& app, bool closed) {
  // sample: use
  app.use(Cors{{.origins = {"https://library.example.com"}, .credentials = true}});
  app.use(Compression{});
  app.use(RateLimit{{.requests = 600}});  // a minute, of each client
  app.use(Closed{closed});
  // end of sample
  return app.get<"/">([] { return std::string(5000, 'a'); });
}

TEST(TutorialMiddleware, RunsAroundEveryRequest) {
  App app;
  add(app, false);
  ashlar::testing::Client client{app};
  const auto answer =
      client.get("/").header("Origin", "https://library.example.com").header("Accept-Encoding", "gzip").send();
  EXPECT_EQ(answer.header("X-Library"), "central");
  EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://library.example.com");
  EXPECT_EQ(answer.header("Content-Encoding"), "gzip");
}

TEST(TutorialMiddleware, MayAnswerInstead) {
  App app;
  add(app, true);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/").send().status, 503);
  EXPECT_EQ(client.get("/health/live").send().status, 200);
}

}  // namespace middleware

// ---- testing.md

namespace testing_page {

// sample: shop
struct Rates {
  virtual ~Rates() = default;
  virtual Task<double> euro_in(std::string currency) = 0;
};
struct User {
  std::string name;
};
User current_user(Bearer) { throw Unauthenticated("the token is not known"); }

struct Price {
  double amount;
  std::string currency, buyer;
};
void add_shop(App& app) {
  app.get<"/price/{currency}">([](Path<"currency"> currency, Rates& rates, Depends<current_user> me) -> Task<Price> {
    co_return Price{10 * co_await rates.euro_in(currency), currency, me->name};
  });
}
// end of sample

// sample: first-test
struct FixedRates final : Rates {
  Task<double> euro_in(std::string) override { co_return 1.5; }
};

TEST(Shop, SaysThePriceInTheBuyersCurrency) {
  FixedRates fixed;
  Rates& rates = fixed;  // in place of the one that asks a bank
  App app;
  app.provide(rates);
  add_shop(app);
  ashlar::testing::Client client{app};

  const auto scope = client.acting_as(User{"ada"});  // whatever the token
  const auto price = client.get("/price/USD").send().json<Price>();

  EXPECT_EQ(price.amount, 15);
  EXPECT_EQ(price.buyer, "ada");
}
// end of sample

// sample: second-test
TEST(Shop, IsClosedToStrangers) {
  FixedRates fixed;
  Rates& rates = fixed;
  App app;
  app.provide(rates);
  add_shop(app);
  ashlar::testing::Client client{app};

  EXPECT_EQ(client.get("/price/USD").send().status, 401);
  EXPECT_EQ(client.get("/price/USD").bearer("stolen").send().status, 401);
}
// end of sample

// sample: together
TEST(Shop, AnswersManyAtOnce) {
  FixedRates fixed;
  Rates& rates = fixed;
  App app;
  app.provide(rates);
  add_shop(app);
  ashlar::testing::Client client{app};
  const auto scope = client.acting_as(User{"ada"});

  std::vector<ashlar::testing::Request> requests;
  for (int i = 0; i < 50; ++i) requests.push_back(client.get("/price/USD"));
  for (const auto& answer : client.send_all(std::move(requests))) EXPECT_EQ(answer.status, 200);
}
// end of sample

}  // namespace testing_page

// ---- settings.md

namespace settings_page {

// sample: settings
struct Mail {
  std::string host = "localhost";
  std::uint16_t port = 25;
  Secret<> password;
};
struct Settings {
  Annotated<int, ge{1}, le{50}, description{"Books that one reader may take home"}> books_a_reader = 5;
  Duration loan = std::chrono::days(28);
  Mail mail = {};
};
// end of sample

TEST(TutorialSettings, ComeFromFileAndEnvironment) {
  std::string folder = "/tmp/ashlar-tutorial-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/library.toml";
  std::ofstream(file) << "books_a_reader = 7\n[mail]\nhost = \"mail.example.com\"\n";
  std::ofstream(folder + "/password") << "hunter2\n";
  ::setenv("LIBRARY_MAIL__PORT", "587", 1);
  ::setenv("LIBRARY_MAIL__PASSWORD_FILE", (folder + "/password").c_str(), 1);
  App app;
  // sample: load
  const Settings& settings = app.settings<Settings>("LIBRARY", file);
  app.get<"/rules">([](const Settings& own) { return "at most " + std::to_string(own.books_a_reader) + " books"; });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/rules").send().body, "at most 7 books");
  EXPECT_EQ(settings.mail.host, "mail.example.com");
  EXPECT_EQ(settings.mail.port, 587);
  EXPECT_EQ(settings.mail.password.reveal(), "hunter2");
  ::unsetenv("LIBRARY_MAIL__PORT");
  ::unsetenv("LIBRARY_MAIL__PASSWORD_FILE");
  std::filesystem::remove_all(folder);
}

}  // namespace settings_page

}  // namespace
