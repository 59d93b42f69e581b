#include <ashlar/base/keyed_hash.hpp>

#include <gtest/gtest.h>

#include <string>

namespace ashlar {
namespace {

// The vectors of the reference implementation: key 00 01 … 0f, messages 00 01 02 ….
TEST(KeyedHash, GivesTheReferenceVectorsOfSipHash24) {
  const KeyedHash hash{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string message;
  EXPECT_EQ(hash(message), 0x726fdb47dd0e0e31U);
  for (char c = 0; c < 15; ++c) message.push_back(c);
  EXPECT_EQ(hash(message), 0xa129ca6149be45e5U);  // the example of the paper
  EXPECT_EQ(hash(message.substr(0, 8)), 0x93f5f5799a932462U);
}

TEST(KeyedHash, DiffersFromKeyToKey) { EXPECT_NE(KeyedHash()("one"), KeyedHash()("one")); }

}  // namespace
}  // namespace ashlar
