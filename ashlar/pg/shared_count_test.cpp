#include <ashlar/pg/detail/shared_count.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <span>

namespace ashlar::pg::detail {
namespace {

/// Answered a second with 1, 2, … connections.
constexpr std::array<double, 6> kManyCores = {30'000, 58'000, 84'000, 105'000, 106'000, 104'000};
constexpr std::array<double, 6> kOneCore = {38'000, 58'000, 56'000, 55'000, 54'000, 52'000};

/// What is answered in `windows` of 100 ms, as a share of what the best number would have answered.
double share(SharedCount& count, std::span<const double> curve, int windows, double noise) {
  std::minstd_rand random{7};
  std::uniform_real_distribution<double> around(1 - noise, 1 + noise);
  double answered = 0;
  for (int i = 0; i < windows; ++i) {
    const double rate = curve[count.now() - 1] * around(random);
    answered += rate;
    count.window(rate);
  }
  return answered / (windows * std::ranges::max(curve));
}

TEST(SharedCount, TakesMoreWhereMoreIsAnswered) {
  SharedCount count(2, 6);
  share(count, kManyCores, 20, 0);
  EXPECT_GE(count.now(), 3U) << "after two seconds";
  EXPECT_GT(share(count, kManyCores, 300, 0.02), 0.95);
}

TEST(SharedCount, StaysWhereMoreDoNotHelp) {
  SharedCount count(2, 6);
  EXPECT_GT(share(count, kOneCore, 300, 0), 0.98);
  EXPECT_GT(share(count, kOneCore, 300, 0.02), 0.95);
}

TEST(SharedCount, ComesDownWhenMoreHelpNoLonger) {
  SharedCount count(2, 6);
  share(count, kManyCores, 100, 0);
  ASSERT_GE(count.now(), 4U);
  share(count, kOneCore, 200, 0);
  EXPECT_LE(count.now(), 3U);
}

TEST(SharedCount, TriesLessAndLessOften) {
  SharedCount count(2, 4);
  int trials = 0;
  unsigned before = count.now();
  for (int i = 0; i < 1000; ++i) {
    count.window(kOneCore[count.now() - 1]);
    if (count.now() != before && count.now() != 2) ++trials;
    before = count.now();
  }
  EXPECT_GE(trials, 10);
  EXPECT_LE(trials, 25) << "in a hundred seconds";
}

TEST(SharedCount, NeverLeavesItsBounds) {
  std::minstd_rand random{1};
  for (const unsigned most : {1U, 2U, 5U}) {
    SharedCount count(1, most);
    for (int i = 0; i < 10'000; ++i) {
      const auto what = random() % 20;
      if (what == 0) {
        count.rest();
      } else if (what == 1) {
        count.refused();
      } else {
        count.window(static_cast<double>(random() % 1000));
      }
      ASSERT_GE(count.now(), 1U);
      ASSERT_LE(count.now(), most);
    }
  }
}

TEST(SharedCount, WhatIsTriedEndsWithTheBacklog) {
  SharedCount count(2, 4);
  count.window(1000);
  EXPECT_EQ(count.now(), 3U);
  count.rest();
  EXPECT_EQ(count.now(), 2U);
}

TEST(SharedCount, AServerThatIsFullIsLeftAloneForAWhile) {
  SharedCount count(2, 4);
  count.window(1000);
  ASSERT_EQ(count.now(), 3U);
  count.refused();
  for (int i = 0; i < 60; ++i) {
    ASSERT_LE(count.now(), 2U);
    count.window(1000);
  }
}

}  // namespace
}  // namespace ashlar::pg::detail
