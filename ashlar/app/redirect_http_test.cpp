#include <ashlar/app/detail/redirect_http.hpp>

#include <gtest/gtest.h>

#include <ashlar/base/error.hpp>

namespace ashlar::detail {
namespace {

struct Asked final : http::Exchange {
  Asked(std::string_view host, std::string_view path, std::string_view query = {}) {
    request.authority = host;
    request.path = path;
    request.query = query;
  }
  [[nodiscard]] std::string location() const { return std::string(response.find_header("Location").value_or("none")); }
  bool finished = false;

 private:
  void on_finish() noexcept override { finished = true; }
};

std::string sent_to(RedirectToHttps& redirect, std::string_view host, std::string_view path = "/",
                    std::string_view query = {}) {
  Asked asked(host, path, query);
  redirect.handle(asked);
  EXPECT_TRUE(asked.finished);
  return std::to_string(asked.response.status) + " " + asked.location();
}

std::string refusal(ServeSettings settings) {
  try {
    static_cast<void>(RedirectToHttps::make(settings));
  } catch (const Invalid& error) {
    return std::string(error.message());
  }
  return "none";
}

TEST(RedirectToHttps, SendsToTheSamePlaceOnThePortOfHttps) {
  RedirectToHttps redirect({});
  EXPECT_EQ(sent_to(redirect, "example.com", "/a%20b/c", "x=1&y=%2F"), "308 https://example.com/a%20b/c?x=1&y=%2F");
  EXPECT_EQ(sent_to(redirect, "example.com:8080"), "308 https://example.com/");
  EXPECT_EQ(sent_to(redirect, "example.com", "*"), "308 https://example.com/");
  EXPECT_EQ(sent_to(redirect, "example.com", "//evil.test/x"), "308 https://example.com//evil.test/x");
  redirect.to(8443);
  EXPECT_EQ(sent_to(redirect, "example.com:8080", "/a"), "308 https://example.com:8443/a");
  EXPECT_EQ(sent_to(redirect, "[::1]:8080", "/a"), "308 https://[::1]:8443/a");
  EXPECT_EQ(sent_to(redirect, "127.0.0.1", "/a"), "308 https://127.0.0.1:8443/a");
}

TEST(RedirectToHttps, RefusesWhatIsNoHost) {
  RedirectToHttps redirect({});
  for (const char* host : {"", ":80", "[", "[]", "[::1", "[::1]x", "a@b.test", "a/b", "a\\b", "a b", "a:b", "[x]:80"}) {
    EXPECT_EQ(sent_to(redirect, host), "400 none") << host;
  }
}

TEST(RedirectToHttps, RefusesForeignHostsWhenItKnowsItsOwn) {
  RedirectToHttps redirect(HostNames({"example.com", "*.example.com", "[::1]"}, "hosts"));
  for (const char* host :
       {"example.com", "EXAMPLE.com:80", "www.example.com", "a.b.example.com", "example.com.", "[::1]"}) {
    EXPECT_TRUE(sent_to(redirect, host).starts_with("308 ")) << host;
  }
  for (const char* host : {"evil.test", "badexample.com", ".example.com", "example.com.evil.test", "127.0.0.1"}) {
    EXPECT_EQ(sent_to(redirect, host), "421 none") << host;
  }
}

TEST(RedirectToHttps, DoesNotWaitForBodies) {
  RedirectToHttps redirect({});
  const Asked asked("example.com", "/");
  EXPECT_TRUE(redirect.plan_body(asked.request, 10).stream);
}

TEST(RedirectToHttps, IsThereWhenTheSettingsAskForIt) {
  EXPECT_EQ(RedirectToHttps::make({}), nullptr);
  EXPECT_NE(RedirectToHttps::make({.tls_dev = true, .redirect_http = 0}), nullptr);
  EXPECT_NE(RedirectToHttps::make({.tls_dev = true, .redirect_http = 0, .redirect_hosts = "a.test, *.b.test"}),
            nullptr);
}

TEST(RedirectToHttps, SaysWhatIsWrongWithTheSettings) {
  EXPECT_EQ(refusal({.redirect_http = 80}),
            "--redirect-http sends clients to https, which is not served: give --tls-cert FILE, or --tls-dev");
  EXPECT_EQ(refusal({.port = 8443, .tls_dev = true, .redirect_http = 8443}),
            "--redirect-http and --port are both 8443: https needs a port of its own");
  EXPECT_EQ(refusal({.tls_dev = true, .redirect_to_port = 443}),
            "--redirect-to-port and --redirect-hosts are of --redirect-http PORT, which is not given");
  EXPECT_NE(refusal({.tls_dev = true, .redirect_http = 80, .redirect_hosts = " , "}), "none");
  EXPECT_NE(refusal({.tls_dev = true, .redirect_http = 80, .redirect_hosts = "a.test:80"}), "none");
}

}  // namespace
}  // namespace ashlar::detail
