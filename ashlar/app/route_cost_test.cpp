#include <ashlar/app/detail/route_cost.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using detail::CostTable;

std::string exposed(const CostTable& table) {
  metrics::Registry registry;
  const auto collecting = registry.collect([&](metrics::Collector& out) { table.collect(out); });
  return registry.expose();
}

TEST(CostTable, GivesALoopsTimeToWhatItIsSeenAt) {
  CostTable table(2);
  const char* const route = "GET /articles/{slug}";
  table.see(0, true, nullptr, 1s);
  table.see(0, true, route, 3s);
  table.see(0, false, nullptr, 4s);  // asleep: whoever is seen next has used it
  table.see(0, true, route, 5s);
  table.see(1, true, "middleware Cors", 2s);
  const std::string text = exposed(table);
  const auto has = [&](const std::string& line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(has(R"(ashlar_cpu_seconds_total{http_request_method="",http_route="",middleware="",part="server"} 1)"))
      << text;
  EXPECT_TRUE(has(
      R"(ashlar_cpu_seconds_total{http_request_method="GET",http_route="/articles/{slug}",middleware="",part="route"} 4)"))
      << text;
  EXPECT_TRUE(
      has(R"(ashlar_cpu_seconds_total{http_request_method="",http_route="",middleware="Cors",part="middleware"} 2)"))
      << text;
}

TEST(CostTable, IsPrintedWithWhatEachRequestTook) {
  const std::string text = detail::cost_table(R"(# HELP ashlar_cpu_seconds_total x
ashlar_cpu_seconds_total{http_request_method="GET",http_route="/a\"b",middleware="",part="route",worker="0"} 2
ashlar_cpu_seconds_total{http_request_method="GET",http_route="/a\"b",middleware="",part="route",worker="1"} 1
ashlar_cpu_seconds_total{http_request_method="",http_route="",middleware="",part="server",worker="0"} 1
http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/a\"b"} 900
http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",http_route="/a\"b"} 100
http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/b"} 5
)");
  EXPECT_EQ(text,
            "       CPU   share      requests        each  what\n"
            "     3.0 s   75.0%          1000      3.0 ms  GET /a\"b\n"
            "     1.0 s   25.0%                            the server itself\n");
}

TEST(CostTable, OfAServiceThatDoesNotMeasureIsEmpty) {
  EXPECT_EQ(detail::cost_table("up{a=\"b\"} 1\nbroken{a=\"b\nashlar_cpu_seconds_total{part=\"route\"\n"), "");
}

class Names final : public Middleware {
 public:
  explicit Names(std::string& seen) : seen_(seen) {}
  bool before(http::Exchange&) override {
    seen_ = async::Loop::current().running_route();
    return false;
  }

 private:
  std::string& seen_;
};

struct Bare final : http::Exchange {
 private:
  void on_finish() noexcept override {}
};

TEST(MeasuredMiddleware, SaysItsNameOnItsLoopWhileItRuns) {
  std::string seen;
  const auto middleware = detail::measured(std::make_shared<Names>(seen));
  async::run([](Middleware& one) -> Task<void> {
    async::Loop& loop = async::Loop::current();
    loop.set_running("GET /x");
    Bare exchange;
    EXPECT_FALSE(one.before(exchange));
    EXPECT_STREQ(loop.running_route(), "GET /x");
    co_return;
  }(*middleware));
  EXPECT_NE(seen.find("middleware "), std::string::npos) << seen;
  EXPECT_NE(seen.find("Names"), std::string::npos) << seen;
}

// Works for a while, and then waits a moment.
Task<void> work() {
  const auto until = async::Clock::now() + 2ms;
  while (async::Clock::now() < until) {
  }
  co_await async::sleep(1ms);
}

TEST(RouteCost, FindsWhatKeepsTheLoopBusy) {
  async::Runtime runtime(1);
  std::string text;
  runtime.run([](async::Runtime& own, std::string& out) -> Task<void> {
    const detail::RouteCost cost(own);
    metrics::Registry registry;
    const auto collecting = registry.collect([&](metrics::Collector& to) { cost.collect(to); });
    async::Context context;
    context.route = "GET /hard";
    const async::ContextGuard guard(&context);
    const auto last = async::Clock::now() + 20s;
    do {
      co_await work();
      out = registry.expose();
    } while (out.find(R"(http_route="/hard")") == std::string::npos && async::Clock::now() < last);
  }(runtime, text));
  EXPECT_NE(detail::cost_table(text).find("GET /hard"), std::string::npos) << text;
}

}  // namespace
}  // namespace ashlar
