#include <ashlar/app/detail/encoded_copies.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>

using ashlar::detail::EncodedCopies;
using ashlar::http::ContentCoding;

namespace {

EncodedCopies::Key key_of(const std::shared_ptr<const std::string>& content, ContentCoding coding) {
  return {content.get(), 0, content->size(), coding};
}

TEST(EncodedCopies, AreFoundByContentAndCoding) {
  EncodedCopies copies(1000);
  const auto content = std::make_shared<const std::string>("content");
  copies.keep(key_of(content, ContentCoding::gzip), content, "gzipped");
  EXPECT_EQ(*copies.find(key_of(content, ContentCoding::gzip)), "gzipped");
  EXPECT_EQ(copies.find(key_of(content, ContentCoding::br)), nullptr);
  copies.keep(key_of(content, ContentCoding::gzip), content, "again");
  EXPECT_EQ(*copies.find(key_of(content, ContentCoding::gzip)), "again");
  EXPECT_EQ(copies.size(), 5U + EncodedCopies::kOverhead);
}

TEST(EncodedCopies, AreGoneWithTheirContent) {
  EncodedCopies copies(1000);
  auto content = std::make_shared<const std::string>("content");
  const auto key = key_of(content, ContentCoding::gzip);
  copies.keep(key, content, "gzipped");
  content.reset();
  EXPECT_EQ(copies.find(key), nullptr) << "others' bytes may be at this address";
  EXPECT_EQ(copies.size(), 0U);
}

TEST(EncodedCopies, OfStaticContentStay) {
  EncodedCopies copies(1000);
  static constexpr char kPage[] = "page";
  copies.keep({kPage, 0, 4, ContentCoding::zstd}, nullptr, "small");
  EXPECT_NE(copies.find({kPage, 0, 4, ContentCoding::zstd}), nullptr);
}

TEST(EncodedCopies, AreNotSoManyThatTheyNeedMoreThanTheirContent) {
  EncodedCopies copies(10'000);
  static constexpr char kPage[1000] = {};
  std::size_t kept = 0;
  for (const char& at : kPage) copies.keep({&at, 0, 1, ContentCoding::gzip}, nullptr, "x");
  for (const char& at : kPage) {
    if (copies.find({&at, 0, 1, ContentCoding::gzip}) != nullptr) ++kept;
  }
  EXPECT_GT(kept, 0U);
  EXPECT_LE(kept, 10'000 / EncodedCopies::kOverhead);
}

TEST(EncodedCopies, OfWhatWasNotAskedForLongestGoFirst) {
  constexpr std::size_t kCapacity = 5 * (200 + EncodedCopies::kOverhead);
  EncodedCopies copies(kCapacity);
  const auto content = std::make_shared<const std::string>("content");
  const auto key = [&](std::uint64_t offset) {
    return EncodedCopies::Key{content.get(), offset, 1, ContentCoding::br};
  };
  for (std::uint64_t i = 0; i < 5; ++i) copies.keep(key(i), content, std::string(200, 'x'));
  EXPECT_NE(copies.find(key(0)), nullptr);
  copies.keep(key(5), content, std::string(200, 'x'));
  EXPECT_NE(copies.find(key(0)), nullptr);
  EXPECT_EQ(copies.find(key(1)), nullptr);
  EXPECT_EQ(copies.size(), kCapacity);
  copies.keep(key(6), content, std::string(kCapacity / 4 + 1, 'x'));
  EXPECT_EQ(copies.find(key(6)), nullptr) << "one that is too large drives nobody out";
}

}  // namespace
