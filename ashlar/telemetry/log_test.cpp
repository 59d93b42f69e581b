#include <ashlar/telemetry/log.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include <ashlar/async/context.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/telemetry/trace.hpp>

namespace ashlar::log {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Restores the configuration that the other tests expect.
struct Output {
  int ends[2];
  explicit Output(Options options) {
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    options.fd = ends[1];
    configure(options);
  }
  ~Output() {
    configure({});
    ::close(ends[0]);
    if (ends[1] >= 0) ::close(ends[1]);
  }
  // All that was logged until now.
  std::string read_all() {
    std::string text;
    std::thread reader([&] {
      char buffer[4096];
      for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    });
    EXPECT_TRUE(flush(std::chrono::seconds(30)));
    configure({});  // nobody writes to it any more
    ::close(std::exchange(ends[1], -1));
    reader.join();
    return text;
  }
};

struct Limit {  // as Annotated<int, ...>
  int value;
  operator const int&() const { return value; }
};
struct Money {
  int cents;
  std::string to_string() const { return std::to_string(cents / 100) + "." + std::to_string(cents % 100); }
};

TEST(Log, KeepsTheMessageAndItsFieldsWithTheirTypes) {
  Capture capture;
  std::string name = "Ada";
  info("order paid", {{"order", 42}, {"amount", 1.5}, {"gift", true}, {"customer", name}, {"note", "x"}});
  auto line = capture.find("order paid");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->level, Level::info);
  EXPECT_THAT(line->json, EndsWith(R"("order":42,"amount":1.5,"gift":true,"customer":"Ada","note":"x"})"));
}

TEST(Log, WritesEcsFieldNames) {
  Capture capture;
  static Logger logger{"pg.pool"};
  logger.warn("pool is full");
  std::string json = capture.lines().at(0).json;
  EXPECT_THAT(json, StartsWith(R"({"@timestamp":"20)"));
  EXPECT_THAT(
      json,
      HasSubstr(R"(Z","log.level":"warn","message":"pool is full","ecs.version":"8.11.0","log.logger":"pg.pool"})"));
}

TEST(Log, NamesTheWorkerOnEveryLine) {
  Output output({.format = Format::json, .worker = 3});
  info("ready");
  EXPECT_THAT(output.read_all(), HasSubstr("\"worker\":3"));
}

TEST(Log, TakesObjectsDurationsOptionalsAndErrors) {
  Capture capture;
  std::optional<int> none;
  info("x", {{"price", Money{1234}},
             {"id", Uuid{}},
             {"limit", Limit{20}},
             {"took", std::chrono::milliseconds(250)},
             {"none", none},
             {"some", std::optional<int>(3)},
             {"error", NotFound("no such article")},
             {"max", ~std::uint64_t{0}}});
  EXPECT_THAT(
      capture.lines().at(0).json,
      EndsWith(
          R"("price":"12.34","id":"00000000-0000-0000-0000-000000000000","limit":20,"took":0.25,"none":null,"some":3,"error":"no such article","max":18446744073709551615})"));
}

TEST(Log, FormatsNothingBelowItsLevel) {
  struct Never {
    std::string to_string() const {
      ADD_FAILURE() << "formatted a line that is off";
      return {};
    }
  };
  Capture capture(Level::info);
  debug("hidden", {{"value", Never{}}});
  EXPECT_TRUE(capture.lines().empty());
}

TEST(Log, AddsTheContextOfTheRequest) {
  Capture capture;
  async::Context context;
  context.route = "GET /articles/{slug}";
  context.trace = *trace::parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  {
    async::ContextGuard guard(&context);
    info("inside");
  }
  info("outside");
  auto inside = *capture.find("inside");
  EXPECT_EQ(inside.field("trace.id"), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(inside.field("span.id"), "00f067aa0ba902b7");
  EXPECT_EQ(inside.field("http.route"), "GET /articles/{slug}");
  EXPECT_EQ(capture.find("outside")->field("trace.id"), "");
}

TEST(Log, MasksSensitiveKeysAndSecretsInBothForms) {
  Capture capture;
  info("login", {{"password", "hunter2"},
                 {"X-Api-Key", "hunter2"},
                 {"accessToken", "hunter2"},
                 {"Set-Cookie", "hunter2"},
                 {"value", Secret<std::string>("hunter2")},
                 {"client_secret", 7},
                 {"has_password", true},
                 {"author", "Ada"}});
  auto line = capture.lines().at(0);
  EXPECT_THAT(line.json, Not(HasSubstr("hunter2")));
  for (const auto& [key, value] : line.fields) {
    if (key == "author") {
      EXPECT_EQ(value, "Ada");
    } else if (key == "has_password") {
      EXPECT_EQ(value, "true");
    } else {
      EXPECT_EQ(value, Secret<>::kMask) << key;
    }
  }
}

TEST(Log, MasksPasswordsInsideUrls) {
  Capture capture;
  info("cannot connect to postgres://app:hunter2@db/x", {{"url", "a http://u:hunter2@h/p?q=1:2@3 b https://h:80/x@y"}});
  auto line = capture.lines().at(0);
  EXPECT_EQ(line.message, "cannot connect to postgres://app:***@db/x");
  EXPECT_EQ(line.field("url"), "a http://u:***@h/p?q=1:2@3 b https://h:80/x@y");
}

TEST(Log, RedactsWordsTheProgramAdds) {
  EXPECT_FALSE(is_sensitive("customer_iban"));
  redact("IBAN");
  EXPECT_TRUE(is_sensitive("customer_iban"));
}

TEST(Log, CannotBeInjected) {
  Capture capture;
  std::string evil = "a\n{\"log.level\":\"error\"}\r\x1b[2J\x9b\"\\\u0085\u202e\xff é";
  info(evil, {{"key\n", evil}});
  auto json = capture.lines().at(0).json;
  EXPECT_THAT(json, HasSubstr(R"("key\n":"a\n{\"log.level\":\"error\"}\r\u001b[2J\ufffd\"\\\u0085\u202e\ufffd é")"));
  for (unsigned char c : json) EXPECT_GE(c, 0x20);

  Record record;
  record.message = evil;
  std::string human;
  append_human(record, false, human);
  EXPECT_THAT(human, HasSubstr("a\\n{\\\"log.level\\\":\\\"error\\\"}\\r\\u001b[2J\xef\xbf\xbd"));
  for (unsigned char c : human) EXPECT_GE(c, 0x20);
}

TEST(Log, DoesNotLetAFieldStandForAnEcsField) {
  Capture capture;
  info("real", {{"message", "forged"}, {"trace.id", "forged"}});
  EXPECT_THAT(capture.lines().at(0).json, EndsWith(R"("labels.message":"forged","labels.trace.id":"forged"})"));
}

TEST(Log, WritesForPeopleAligned) {
  Record record;
  record.level = Level::warn;
  record.logger = "pg";
  record.message = "slow query";
  Field context[] = {{"trace.id", "4bf9"}, {"span.id", "00f0"}, {"http.route", "GET /x y"}};
  record.context = context;
  std::string plain;
  append_human(record, false, plain);
  EXPECT_THAT(plain, EndsWith(R"( WARN  pg: slow query                   trace.id=4bf9 http.route="GET /x y")"));
  std::string colored;
  append_human(record, true, colored);
  EXPECT_THAT(colored, HasSubstr("\x1b[33mWARN \x1b[0m"));
}

TEST(Log, WritesJsonToAPipeByDefault) {
  Output output({.service = "shop"});
  info("hello", {{"n", 1}});
  std::string text = output.read_all();
  EXPECT_THAT(text, StartsWith("{\"@timestamp\":"));
  EXPECT_THAT(text, EndsWith("\"service.name\":\"shop\",\"n\":1}\n"));
}

TEST(Log, KeepsLinesOfManyThreadsWhole) {
  Output output({.format = Format::json, .queue_bytes = 64 << 20});
  constexpr int kThreads = 4, kLines = 500;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([t] {
        std::string filler(static_cast<std::size_t>(50 * (t + 1)), static_cast<char>('a' + t));
        for (int i = 0; i < kLines; ++i) info("line", {{"thread", t}, {"filler", filler}});
      });
    }
  }
  std::string text = output.read_all();
  std::size_t lines = 0;
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != text.npos; at = end + 1, ++lines) {
    std::string_view line = std::string_view(text).substr(at, end - at);
    ASSERT_THAT(line, StartsWith("{\"@timestamp\""));
    ASSERT_THAT(line, EndsWith("\"}"));
    ASSERT_EQ(line.find("@timestamp", 3), line.npos);
  }
  EXPECT_EQ(lines, std::size_t{kThreads} * kLines);
  EXPECT_EQ(text.back(), '\n');
}

TEST(Log, NeverWaitsForAStuckOutputButCountsAndReportsWhatItDropped) {
  Output output({.format = Format::json, .queue_bytes = 10'000});
  std::uint64_t dropped_before = stats().dropped;
  while (stats().dropped < dropped_before + 3) info("into a pipe nobody reads", {{"filler", std::string(200, 'x')}});
  std::string text = output.read_all();
  EXPECT_THAT(text, HasSubstr("log lines were dropped: the output is too slow"));
  // One report or several: the writer may take a batch between two drops.
  constexpr std::string_view kField = "\"dropped\":";
  std::uint64_t reported = 0;
  for (std::size_t at = text.find(kField); at != std::string::npos; at = text.find(kField, at + 1))
    reported += std::strtoull(text.c_str() + at + kField.size(), nullptr, 10);
  EXPECT_EQ(reported, stats().dropped - dropped_before);
}

TEST(Log, SurvivesAReaderThatWentAway) {
  Output output({.format = Format::json});
  ::close(std::exchange(output.ends[0], -1));
  std::uint64_t dropped_before = stats().dropped;
  info("to nobody");
  EXPECT_TRUE(flush());
  EXPECT_GE(stats().dropped, dropped_before + 1);
}

TEST(Log, WritesWhatWaitsWhenTheProgramExits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        configure({.format = Format::json, .fd = 2});
        for (int i = 0; i < 100; ++i) info("last words", {{"i", i}});
        std::exit(0);
      },
      testing::ExitedWithCode(0), "\"i\":99}");
}

TEST(LogLevels, ChangeLiveAndByName) {
  Capture capture(Level::info);
  static Logger pool{"pg.pool"};
  static Logger other{"http"};
  pool.debug("1");
  set_level("pg", Level::debug);
  pool.debug("2");
  other.debug("3");
  set_level("pg.pool", Level::off);
  pool.error("4");
  auto lines = capture.lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].message, "2");
  EXPECT_EQ(levels(), "info,pg=debug,pg.pool=off");
}

TEST(LogLevels, AreReadFromOneText) {
  Capture capture;
  set_levels("warn,pg=debug");
  EXPECT_EQ(levels(), "warn,pg=debug");
  EXPECT_THROW(set_levels("loud"), Invalid);
  EXPECT_THROW(set_levels("info,=debug"), Invalid);
  EXPECT_EQ(levels(), "warn,pg=debug");
}

TEST(LogSampling, KeepsOrDropsWholeTracesButNeverWarnings) {
  Capture capture;
  configure({.sample_one_in = 2});
  async::Context context;
  context.trace = trace::start();
  async::ContextGuard guard(&context);
  context.trace.trace_id[15] = 1;
  info("dropped");
  warn("kept");
  context.trace.trace_id[15] = 2;
  info("kept too");
  configure({});
  EXPECT_EQ(capture.lines().size(), 2u);
  EXPECT_FALSE(capture.find("dropped"));
}

TEST(LogRateLimit, PassesOneAPeriodAndCountsTheRest) {
  RateLimit limit{std::chrono::hours(1)};
  EXPECT_EQ(limit.pass(), 0u);
  EXPECT_EQ(limit.pass(), std::nullopt);
  RateLimit none{std::chrono::nanoseconds(0)};
  EXPECT_EQ(none.pass(), 0u);
  EXPECT_EQ(none.pass(), 0u);
}

}  // namespace
}  // namespace ashlar::log
