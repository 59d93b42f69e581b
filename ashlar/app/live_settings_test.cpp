#include <ashlar/app/live_settings.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using testing::Client;

struct Mail {
  std::string host = "localhost";
  Annotated<std::uint16_t, live{}> port = 25;
};
struct Colours {
  std::string ink = "black";
  std::string paper = "white";
};
struct Settings {
  std::string database_url = "postgres://start";
  Annotated<int, ge{1}, le{100}, live{}> page_size = 20;
  Annotated<Secret<>, live{}> key;
  Mail mail = {};
  Annotated<Colours, live{}> colours = {};
  std::optional<int> most = {};

  void validate(Violations& violations) const {
    if (most && page_size > *most) violations.add("page_size", "is above most");
  }
};

class LiveSettings : public ::testing::Test {
 protected:
  LiveSettings() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    ::setenv("LIVE_TEST_KEY_FILE", (folder_ + "/key").c_str(), 1);
    write("key", "first\n");
    write("app.toml", "page_size = 30\n");
  }
  ~LiveSettings() override {
    ::unsetenv("LIVE_TEST_KEY_FILE");
    ::unsetenv("ASHLAR_PROFILE");
    std::filesystem::remove_all(folder_);
  }
  void write(std::string_view name, std::string_view text) const {
    std::ofstream(folder_ + "/" + std::string(name), std::ios::trunc) << text;
  }
  std::string folder_ = "/tmp/ashlar-live-XXXXXX";
};

struct Service {
  explicit Service(const std::string& folder) : settings(app, "LIVE_TEST", folder + "/app.toml") {
    app.get<"/page_size">([](const Live<Settings>& own) { return std::to_string(own.now()->page_size); });
    app.post<"/reload">(
        [](Live<Settings>& own) -> Task<Text> { co_return co_await own.reload() ? "done" : "refused"; });
  }
  std::string get(std::string_view what) { return client().get(std::string(what)).send().body; }
  std::string reload() { return client().post("/reload").send().body; }
  Client& client() {
    if (!client_) client_.emplace(app);
    return *client_;
  }

  App app;
  Live<Settings> settings;

 private:
  std::optional<Client> client_;
};

TEST_F(LiveSettings, ChangeWhatIsMarkedAndNameWhatTakesARestart) {
  Service service{folder_};
  EXPECT_EQ(service.get("/page_size"), "30");
  write("app.toml", "page_size = 40\ndatabase_url = \"postgres://other\"\n[mail]\nhost = \"mail\"\nport = 587\n");
  const log::Capture capture;
  EXPECT_EQ(service.reload(), "done");
  EXPECT_EQ(service.get("/page_size"), "40");
  const auto now = service.settings.now();
  EXPECT_EQ(now->mail.port, 587);
  EXPECT_EQ(now->mail.host, "localhost");
  EXPECT_EQ(now->database_url, "postgres://start");
  EXPECT_EQ(capture.find("settings have changed")->field("settings"), "mail.port, page_size");
  EXPECT_EQ(capture.find("settings have changed that take a restart")->field("settings"), "database_url, mail.host");
}

TEST_F(LiveSettings, StayAsTheyAreWhenOneOfTheNewOnesIsWrong) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  Service service{folder_};
  EXPECT_EQ(service.get("/page_size"), "30");
  for (const char* bad : {"page_size = 400\n[mail]\nport = 587\n", "page_size = = 1\n", "page_sice = 1\n"}) {
    write("app.toml", bad);
    const log::Capture capture;
    EXPECT_EQ(service.reload(), "refused");
    EXPECT_EQ(service.get("/page_size"), "30");
    EXPECT_EQ(service.settings.now()->mail.port, 25);
    const auto line = capture.find("settings have changed and cannot be used; those that were there stay");
    ASSERT_TRUE(line);
    EXPECT_NE(line->field("error").find("app.toml"), std::string::npos) << line->field("error");
  }
  EXPECT_NE(registry.expose().find("ashlar_settings_reloads_total{result=\"failed\"} 3"), std::string::npos);
}

TEST_F(LiveSettings, DoNotGoAwayWithTheirFile) {
  Service service{folder_};
  EXPECT_EQ(service.get("/page_size"), "30");
  std::filesystem::remove(folder_ + "/app.toml");
  EXPECT_EQ(service.reload(), "refused");
  EXPECT_EQ(service.get("/page_size"), "30");
}

TEST_F(LiveSettings, GoBackToTheDefaultWhenTheirKeyIsTakenOutOfTheFile) {
  Service service{folder_};
  EXPECT_EQ(service.get("/page_size"), "30");
  write("app.toml", "");
  EXPECT_EQ(service.reload(), "done");
  EXPECT_EQ(service.get("/page_size"), "20");
}

TEST_F(LiveSettings, AreCheckedTogetherWithWhatStays) {
  write("app.toml", "page_size = 30\nmost = 30\n");
  Service service{folder_};
  EXPECT_EQ(service.get("/page_size"), "30");
  write("app.toml", "page_size = 50\nmost = 60\n");  // most stays 30: it is not live
  EXPECT_EQ(service.reload(), "refused");
  EXPECT_EQ(service.get("/page_size"), "30");
}

TEST_F(LiveSettings, OfAStructChangeTogether) {
  Service service{folder_};
  EXPECT_EQ(service.settings.now()->colours.ink, "black");
  write("app.toml", "[colours]\nink = \"red\"\npaper = \"yellow\"\n");
  EXPECT_EQ(service.reload(), "done");
  EXPECT_EQ(service.settings.now()->colours.ink, "red");
  EXPECT_EQ(service.settings.now()->colours.paper, "yellow");
}

TEST_F(LiveSettings, TakeANewSecretFromItsFile) {
  Service service{folder_};
  EXPECT_EQ(service.settings.now()->key.reveal(), "first");
  write("key", "second\n");
  const log::Capture capture;
  EXPECT_EQ(service.reload(), "done");
  EXPECT_EQ(service.settings.now()->key.reveal(), "second");
  for (const auto& line : capture.lines()) EXPECT_EQ(line.json.find("second"), std::string::npos) << line.json;
}

TEST_F(LiveSettings, StayForWhoeverKeepsThem) {
  Service service{folder_};
  service.client();
  const auto before = service.settings.now();
  write("app.toml", "page_size = 40\n");
  EXPECT_EQ(service.reload(), "done");
  EXPECT_EQ(before->page_size, 30);
  EXPECT_EQ(service.settings.now()->page_size, 40);
}

TEST_F(LiveSettings, TellWhatHasChangedToThoseWhoAskedForIt) {
  Service service{folder_};
  std::vector<std::string> seen;
  service.settings.on_change([](const Settings&, const Settings&) { throw std::runtime_error("cannot"); });
  service.settings.on_change([&](const Settings& before, const Settings& now) {
    seen.push_back(std::to_string(before.page_size) + " to " + std::to_string(now.page_size));
  });
  const log::Capture capture;
  EXPECT_EQ(service.reload(), "done");  // nothing has changed
  EXPECT_TRUE(seen.empty());
  write("app.toml", "page_size = 40\n");
  EXPECT_EQ(service.reload(), "done");
  EXPECT_EQ(seen, (std::vector<std::string>{"30 to 40"}));
  EXPECT_EQ(capture.find("what was to be done about changed settings failed")->field("error"), "cannot");
}

TEST_F(LiveSettings, AreReadAgainWhenAFileChanges) {
  ::setenv("ASHLAR_PROFILE", "test", 1);
  write("app.test.toml", "page_size = 50\n");
  Service service{folder_};
  EXPECT_EQ(service.settings.now()->page_size, 50);
  async::Event changed;
  service.settings.on_change([&](const Settings&, const Settings&) { changed.set(); });
  write("app.test.toml", "page_size = 60\n");
  async::run([](detail::Core& core, async::Event& until) -> Task<void> {
    co_await async::timeout(20s, async::race(core.watch_settings(2ms),
                                             [](async::Event& one) -> Task<void> { co_await one.wait(); }(until)));
  }(service.app.core(), changed));
  EXPECT_EQ(service.settings.now()->page_size, 60);
}

TEST_F(LiveSettings, AreOneStateForEachReaderWhileTheyChange) {
  Service service{folder_};
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const auto now = service.settings.now();
        if (now->colours.ink != "black" && now->colours.ink != now->colours.paper) ++torn;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    const std::string colour = "\"colour " + std::to_string(i) + "\"\n";
    write("app.toml", "[colours]\nink = " + colour + "paper = " + colour);
    EXPECT_EQ(service.reload(), "done");
  }
  stop = true;
  readers.clear();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(service.settings.now()->colours.ink, "colour 49");
}

TEST_F(LiveSettings, ThatAreWrongAtTheStartAreToldThen) {
  write("app.toml", "page_size = 0\n");
  Service service{folder_};
  EXPECT_THROW(service.client(), Invalid);
}

}  // namespace
}  // namespace ashlar
