// The code of docs/guide/settings.md, and of docs/guide/observability.md that logs bodies: compiled and run.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/app/app.hpp>
#include <ashlar/app/body_log.hpp>
#include <ashlar/app/live_settings.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;
using ashlar::testing::Client;

class SettingsGuide : public ::testing::Test {
 protected:
  SettingsGuide() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~SettingsGuide() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string file() const { return folder_ + "/shop.toml"; }
  void write(std::string_view text) const { std::ofstream(file(), std::ios::trunc) << text; }

 private:
  std::string folder_ = "/tmp/ashlar-guide-XXXXXX";
};

// sample: struct
struct Mail {
  std::string host = "localhost";
  std::uint16_t port = 25;
  Secret<> password;
};
struct Settings {
  Annotated<std::string, description{"Shown on every page"}> name = "Shop";
  Annotated<int, ge{1}, le{100}> page_size = 20;
  std::optional<Mail> mail = {};
};
// end of sample

TEST_F(SettingsGuide, AreLoadedFromAFile) {
  write("page_size = 50\n");
  const std::string path = file();
  App app;
  // sample: load
  const Settings& settings = app.settings<Settings>("SHOP_GUIDE", path);
  app.get<"/name">([](const Settings& own) { return Text{own.name}; });
  // end of sample
  EXPECT_EQ(settings.page_size, 50);
  EXPECT_EQ(Client{app}.get("/name").send().body, "Shop");
}

// sample: live
struct Tunables {
  std::string database = "shop";                          // takes a restart
  Annotated<int, ge{1}, le{100}, live{}> page_size = 20;  // changes at once
  Annotated<std::string, live{}> log_level = "info";
};
// end of sample

TEST_F(SettingsGuide, ChangeWhereTheyAreLive) {
  write("page_size = 30\n");
  const std::string path = file();
  App app;
  // sample: use_live
  Live<Tunables> settings{app, "SHOP_GUIDE", path};
  settings.on_change([](const Tunables&, const Tunables& now) { log::set_levels(now.log_level); });

  app.get<"/page_size">([](const Live<Tunables>& settings) {
    const auto now = settings.now();  // one state of all, until it goes out of scope
    return std::to_string(now->page_size);
  });
  // end of sample
  app.post<"/reload">([](Live<Tunables>& own) -> Task<Text> { co_return co_await own.reload() ? "yes" : "no"; });
  const std::string levels = log::levels();
  Client client{app};
  EXPECT_EQ(client.get("/page_size").send().body, "30");
  write("page_size = 40\nlog_level = \"warn\"\n");
  EXPECT_EQ(client.post("/reload").send().body, "yes");
  EXPECT_EQ(client.get("/page_size").send().body, "40");
  EXPECT_EQ(log::levels(), "warn");
  log::set_levels(levels);
}

struct SignIn {
  std::string email;
  Secret<> password;
};

TEST(ObservabilityGuideBodies, AreLoggedWithoutSecrets) {
  App app;
  // sample: body_log
  app.use(BodyLog{{.paths = {"/sign-in", "/orders/"}, .from_status = 400, .mask = {"iban"}}});
  // end of sample
  app.post<"/sign-in">([](SignIn) -> Text { throw Unauthenticated("the email or the password is wrong"); });
  Client client{app};
  const log::Capture capture;
  client.post("/sign-in").json(R"({"email": "ada@example.com", "password": "hunter2"})").send();
  const auto line = capture.find("request and answer");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->field("http.request.body.content"), R"({"email":"ada@example.com","password":"**********"})");
}

}  // namespace
