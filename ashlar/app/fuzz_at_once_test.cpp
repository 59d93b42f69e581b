// fuzz() with several cases under way at a time: a service that counts who is in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/test_fuzz.hpp>
#include <ashlar/app/fuzz.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/schema.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace {

using test::report_of;

struct Word {
  Annotated<std::string, min_length{1}, max_length{20}> text;
};

class FuzzAtOnce : public ::testing::Test {
 protected:
  FuzzAtOnce() { log::set_levels("off"); }
  ~FuzzAtOnce() override { log::set_levels("info"); }

  // How many are in it, this one counted.
  Task<std::size_t> visit() {
    ++now_;
    peak_ = std::max(peak_, now_);
    co_await async::sleep(std::chrono::milliseconds(1));
    co_return now_--;
  }
  std::size_t now_ = 0, peak_ = 0;
};

TEST_F(FuzzAtOnce, HasAsManyCasesUnderWayAsItMay) {
  App app;
  app.post<"/words">([this](Word in) -> Task<Word> {
    co_await visit();
    co_return in;
  });
  const FuzzReport report = report_of(app, {.cases = 100, .at_once = 8});
  EXPECT_EQ(peak_, 8U);
  EXPECT_GE(report.cases, 100U);
  EXPECT_TRUE(report.findings.empty());
  peak_ = 0;
  EXPECT_EQ(report_of(app, {.cases = 100}).cases, report.cases);
  EXPECT_EQ(peak_, 1U);
}

TEST_F(FuzzAtOnce, MakesWhatItFindsAsSimpleAsOtherwise) {
  const auto finding = [](std::size_t at_once) {
    App app;
    app.post<"/words">([](Word in) -> Task<Word> {
      co_await async::sleep(std::chrono::milliseconds(1));
      if (in.text.find('a') != std::string::npos) throw Internal("no such letter");
      co_return in;
    });
    const FuzzReport report = report_of(app, {.cases = 200, .at_once = at_once});
    EXPECT_EQ(report.findings.size(), 1U);
    return report.findings.empty() ? std::string() : report.findings[0].curl;
  };
  EXPECT_EQ(finding(8), finding(1));
}

TEST_F(FuzzAtOnce, TellsOfAFailureThatOnlyComesAmongOthers) {
  App app;
  app.post<"/words">([this](Word in) -> Task<Word> {
    if (co_await visit() > 1) throw Internal("two at a time");
    co_return in;
  });
  const FuzzReport report = report_of(app, {.cases = 100, .at_once = 4});
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].check, "server-error");
  EXPECT_NE(report.findings[0].message.find("while 3 others were under way"), std::string::npos)
      << report.findings[0].message;
}

// Another case may have taken the name.
TEST_F(FuzzAtOnce, DoesNotBlameACaseForWhatOthersDo) {
  App app;
  app.post<"/words">([this](Word in) -> Task<Word> {
    if (co_await visit() > 1) throw Invalid("somebody else is here");
    co_return in;
  });
  const FuzzReport report = report_of(app, {.cases = 100, .at_once = 4});
  for (const auto& one : report.findings) ADD_FAILURE() << one.check << " " << one.message;
}

TEST_F(FuzzAtOnce, LeavesHandlersThatDoNotEndToThemselves) {
  App app;
  async::Event go;
  int ended = 0;
  app.get<"/deaf/{word}">([&](Path<"word">) -> Task<Text> {
    if (co_await visit() > 1) {
      co_await async::shield([](async::Event& until) -> Task<void> { co_await until.wait(); }(go));
      ++ended;
    }
    co_return Text{"at last"};
  });
  async::run([](App& own, async::Event& until, int& count) -> Task<void> {
    co_await own.start();
    bool refused = false;
    const FuzzOptions options{
        .cases = 8, .patience = std::chrono::milliseconds(50), .grace = std::chrono::milliseconds(1), .at_once = 4};
    try {
      co_await fuzz(own, options);
    } catch (const Unavailable&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    until.set();
    while (count == 0) co_await async::sleep(std::chrono::milliseconds(1));
    co_await own.stop();
  }(app, go, ended));
}

}  // namespace
}  // namespace ashlar
