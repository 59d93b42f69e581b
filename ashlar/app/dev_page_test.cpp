#include <ashlar/app/detail/dev_page.hpp>

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include <stdlib.h>
#include <unistd.h>

#include <ashlar/app/app.hpp>
#include <ashlar/testing/client.hpp>

#include <gtest/gtest.h>

namespace ashlar {
namespace {

constexpr auto kBrowser = "text/html,application/xhtml+xml,*/*;q=0.8";

class DevPageTest : public ::testing::Test {
 protected:
  DevPageTest() {
    const int fd = ::mkstemp(file.data());
    ::close(fd);
    app.use(detail::DevPage{file});
    app.get<"/">([] { return Html{"the program's own"}; });
    app.post<"/">([] { return "taken"; });
    client.emplace(app);
  }
  ~DevPageTest() override { std::remove(file.c_str()); }

  testing::Answer ask(std::string accept) { return client->get("/").header("Accept", std::move(accept)).send(); }

  std::string file = "/tmp/ashlar-dev-page-XXXXXX";
  App app;
  std::optional<testing::Client> client;
};

TEST_F(DevPageTest, IsWhatBrowsersGetWhileItIsThere) {
  std::ofstream(file) << "<h1>does not compile</h1>";
  const auto answer = ask(kBrowser);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "<h1>does not compile</h1>");
  EXPECT_EQ(answer.header("Cache-Control"), "no-store");
  EXPECT_EQ(answer.header("Content-Security-Policy"),
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  std::remove(file.c_str());
  EXPECT_EQ(ask(kBrowser).body, "the program's own");
}

TEST_F(DevPageTest, LeavesWhatIsNoRequestForAPageToTheProgram) {
  std::ofstream(file) << "<h1>does not compile</h1>";
  EXPECT_EQ(ask("application/json").body, "the program's own");
  EXPECT_EQ(client->get("/").send().body, "the program's own");
  EXPECT_EQ(client->post("/").header("Accept", kBrowser).send().body, "taken");
}

TEST(DevPage, IsOffUnlessTheEnvironmentNamesIt) {
  ::unsetenv("ASHLAR_DEV_PAGE");
  EXPECT_EQ(detail::DevPage::from_environment(), nullptr);
  ::setenv("ASHLAR_DEV_PAGE", "/tmp/page.html", 1);
  EXPECT_NE(detail::DevPage::from_environment(), nullptr);
  ::unsetenv("ASHLAR_DEV_PAGE");
}

}  // namespace
}  // namespace ashlar
