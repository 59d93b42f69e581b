#include <ashlar/pg/detail/cluster_view.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using detail::ClusterView;
using ::testing::HasSubstr;

constexpr std::size_t kA = 0;
constexpr std::size_t kB = 1;

class View : public ::testing::Test {
 protected:
  static async::TimePoint at(std::chrono::milliseconds time) { return async::TimePoint{1h} + time; }
  /// Asked at `time`, answered a millisecond later.
  void primary(std::size_t server, std::chrono::milliseconds time, std::uint64_t lsn, std::uint32_t timeline = 1) {
    view_.note(server, {.sent = at(time),
                        .received = at(time + 1ms),
                        .standby = false,
                        .position = {.timeline = timeline, .lsn = lsn},
                        .receiving = false,
                        .system = "7"});
  }
  void standby(std::size_t server, std::chrono::milliseconds time, std::uint64_t lsn, std::uint32_t timeline = 1) {
    view_.note(server, {.sent = at(time),
                        .received = at(time + 1ms),
                        .standby = true,
                        .position = {.timeline = timeline, .lsn = lsn},
                        .receiving = true,
                        .system = "7"});
  }
  void detached(std::size_t server, std::chrono::milliseconds time, std::uint64_t lsn) {
    view_.note(server, {.sent = at(time),
                        .received = at(time + 1ms),
                        .standby = true,
                        .position = {.timeline = 0, .lsn = lsn},
                        .receiving = false,
                        .system = "7"});
  }
  const ClusterView::Server& server(std::size_t index) { return view_.servers()[index]; }

  ClusterView view_{2, "7", 10s};
};

TEST_F(View, AStandbyIsAsOldAsTheNewestMarkThatItHasReached) {
  primary(kA, 0ms, 1000);
  primary(kA, 100ms, 2000);
  primary(kA, 200ms, 3000);
  standby(kB, 210ms, 2500);
  EXPECT_EQ(server(kB).as_of, at(100ms));
  EXPECT_EQ(server(kB).behind, 500U);
  standby(kB, 220ms, 3000);
  EXPECT_EQ(server(kB).as_of, at(200ms));
}

TEST_F(View, AnIdleClusterIsNotBehind) {
  primary(kA, 0ms, 1000);
  standby(kB, 1ms, 1000);
  primary(kA, 60'000ms, 1000);
  EXPECT_EQ(server(kB).as_of, at(60'000ms));
}

TEST_F(View, AStandbyThatHasReachedNoMarkIsOfUnknownAge) {
  standby(kB, 0ms, 500);
  EXPECT_EQ(server(kB).as_of, async::TimePoint::min());
  primary(kA, 10ms, 1000);
  EXPECT_EQ(server(kB).as_of, async::TimePoint::min());
}

TEST_F(View, AStandbyThatStartsAgainFurtherBackIsOlderThanItWas) {
  primary(kA, 0ms, 1000);
  primary(kA, 100ms, 2000);
  standby(kB, 101ms, 2000);
  view_.lost(kB, "gone");
  standby(kB, 150ms, 1500);
  EXPECT_EQ(server(kB).as_of, at(0ms));
  view_.lost(kB, "gone");
  detached(kB, 160ms, 900);
  EXPECT_EQ(server(kB).as_of, async::TimePoint::min());
}

TEST_F(View, AStandbyThatReceivesNothingDoesNotBecomeYounger) {
  primary(kA, 0ms, 1000);
  standby(kB, 1ms, 1000);
  detached(kB, 10ms, 1000);
  primary(kA, 20ms, 1000);
  EXPECT_EQ(server(kB).role, ServerRole::detached);
  EXPECT_EQ(server(kB).as_of, at(0ms));
}

TEST_F(View, APromotedStandbyIsThePrimaryAndTheOldOneARival) {
  primary(kA, 0ms, 1000);
  standby(kB, 1ms, 1000);
  const auto before = view_.changes();
  primary(kB, 10ms, 1100, 2);
  EXPECT_EQ(view_.primary(), kB);
  EXPECT_GT(view_.changes(), before);
  EXPECT_EQ(server(kA).role, ServerRole::rival);
  primary(kA, 11ms, 5000, 1);
  EXPECT_EQ(view_.primary(), kB);
  EXPECT_EQ(server(kA).role, ServerRole::rival);
  EXPECT_EQ(view_.timeline_start(), (Position{.timeline = 2, .lsn = 1100}));
}

TEST_F(View, AnOldPrimaryIsNoPrimaryWhileTheNewOneIsNotReached) {
  primary(kA, 0ms, 1000);
  primary(kB, 10ms, 1100, 2);
  view_.lost(kB, "no answer");
  primary(kA, 20ms, 9000, 1);
  EXPECT_EQ(view_.primary(), kB);
  EXPECT_EQ(server(kA).role, ServerRole::rival);
}

TEST_F(View, AnOldPrimaryThatFollowsTheNewOneIsAReplica) {
  primary(kA, 0ms, 1000);
  primary(kB, 10ms, 1100, 2);
  standby(kA, 20ms, 1100, 2);
  EXPECT_EQ(server(kA).role, ServerRole::replica);
  EXPECT_EQ(server(kA).as_of, at(10ms));
}

TEST_F(View, AStandbyOfAnotherTimelineHasDiverged) {
  primary(kA, 0ms, 1000, 3);
  standby(kB, 1ms, 1000, 2);
  EXPECT_EQ(server(kB).role, ServerRole::diverged);
  EXPECT_THAT(server(kB).trouble, HasSubstr("timeline 2"));
  standby(kB, 2ms, 1000, 3);
  EXPECT_EQ(server(kB).role, ServerRole::replica);
}

TEST_F(View, AStandbyThatIsAheadOfThePrimaryHasDiverged) {
  primary(kA, 0ms, 1000);
  standby(kB, 10ms, 2000, 0);
  EXPECT_EQ(server(kB).role, ServerRole::replica) << "the primary may have written that meanwhile";
  primary(kA, 20ms, 1500);
  EXPECT_EQ(server(kB).role, ServerRole::diverged);
}

TEST_F(View, AServerOfAnotherClusterIsForeign) {
  view_.note(kA, {.sent = at(0ms),
                  .received = at(1ms),
                  .standby = false,
                  .position = {.timeline = 9, .lsn = 1},
                  .receiving = false,
                  .system = "8"});
  EXPECT_EQ(server(kA).role, ServerRole::foreign);
  EXPECT_EQ(view_.primary(), std::nullopt);
}

}  // namespace
}  // namespace ashlar::pg
