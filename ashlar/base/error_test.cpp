#include <ashlar/base/error.hpp>

#include <gtest/gtest.h>

namespace ashlar {
namespace {

TEST(Error, KnowsItsKindAndMessage) {
  const NotFound error("no article 'x'");
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_EQ(error.message(), "no article 'x'");
  EXPECT_STREQ(error.what(), "no article 'x'");
  EXPECT_EQ(to_string(error.kind()), "not_found");
}

TEST(Error, IsCaughtAsItsBase) {
  try {
    throw Unavailable("the pool is full", std::chrono::seconds{3});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_EQ(dynamic_cast<const Unavailable&>(error).retry_after(), std::chrono::seconds{3});
  }
}

}  // namespace
}  // namespace ashlar
