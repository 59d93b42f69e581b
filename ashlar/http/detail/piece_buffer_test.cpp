#include <ashlar/http/detail/piece_buffer.hpp>

#include <gtest/gtest.h>

#include <string>

namespace ashlar::http::detail {
namespace {

TEST(PieceBuffer, GivesBytesInTheOrderInWhichTheyCame) {
  PieceBuffer pieces;
  EXPECT_TRUE(pieces.empty());
  std::string all, left;
  for (int i = 0; i < 200; ++i) {
    const std::string piece = std::to_string(i) + std::string(static_cast<std::size_t>(i % 7), '-');
    all += piece;
    pieces.add(std::string(piece));
    const std::size_t some = pieces.size() * static_cast<std::size_t>(i % 4) / 3;  // nothing, parts, everything
    left += pieces.unsent().substr(0, some);
    pieces.pop(some);
  }
  left += pieces.unsent();
  EXPECT_EQ(left, all);
}

TEST(PieceBuffer, DoesNotKeepWhatHasLeftForEver) {
  PieceBuffer pieces;
  for (int i = 0; i < 1000; ++i) {
    pieces.append(std::string(1000, 'x'));
    pieces.pop(pieces.size() - 1);  // never all of it
  }
  EXPECT_EQ(pieces.size(), 1U);
  EXPECT_LT(pieces.memory(), 10'000U);
}

TEST(PieceBuffer, GivesMemoryBack) {
  PieceBuffer pieces;
  pieces.add(std::string(100'000, 'x'));
  pieces.pop(1);
  pieces.clear(512);
  EXPECT_TRUE(pieces.empty());
  EXPECT_LE(pieces.memory(), 512U);
}

}  // namespace
}  // namespace ashlar::http::detail
