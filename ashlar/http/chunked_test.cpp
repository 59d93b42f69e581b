#include <gtest/gtest.h>

#include <string>
#include <utility>

#include <ashlar/http/chunked.hpp>

namespace ashlar::http {
namespace {

using State = ChunkedDecoder::State;

constexpr std::string_view kBody =
    "5\r\nhello\r\n1;name=\"va\tlue\"\r\n \r\n00A ; x\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n";

TEST(Chunked, JoinsChunksAndDropsExtensionsAndTrailers) {
  ChunkedDecoder decoder;
  std::string out;
  const std::string bytes = std::string(kBody) + "GET";
  std::string_view in = bytes;
  EXPECT_EQ(decoder.feed(in, out, 100), State::done);
  EXPECT_EQ(out, "hello 0123456789");
  EXPECT_EQ(in, "GET");
}

TEST(Chunked, TakesTheBytesInAnyPieces) {
  for (std::size_t size = 1; size < kBody.size(); ++size) {
    ChunkedDecoder decoder;
    std::string out;
    State state = State::more;
    for (std::size_t at = 0; at < kBody.size(); at += size) {
      ASSERT_EQ(state, State::more);
      std::string_view in = kBody.substr(at, size);
      state = decoder.feed(in, out, 100);
      EXPECT_TRUE(in.empty());
    }
    EXPECT_EQ(state, State::done);
    EXPECT_EQ(out, "hello 0123456789");
  }
}

TEST(Chunked, KeepsTheTrailersThatHaveAPlaceThere) {
  ChunkedDecoder decoder;
  std::string out;
  std::string_view in =
      "0\r\nX-Sum:  1 \t\r\nContent-Length: 9\r\ntransfer-encoding: chunked\r\nHost: b\r\nAuthorization: Basic eA==\r\n"
      "Set-Cookie: a=b\r\nProxy-Authenticate: x\r\nContent-Digest: y=:eA==:\r\nx-sum: 2\r\nEmpty:\r\n\r\n";
  ASSERT_EQ(decoder.feed(in, out, 100), State::done);
  EXPECT_EQ(decoder.trailers(), "X-Sum:  1 \t\r\nContent-Digest: y=:eA==:\r\nx-sum: 2\r\nEmpty:\r\n");
  EXPECT_EQ(find_trailer(decoder.trailers(), "x-SUM"), "1");
  EXPECT_EQ(find_trailer(decoder.trailers(), "content-digest"), "y=:eA==:");
  EXPECT_EQ(find_trailer(decoder.trailers(), "empty"), "");
  EXPECT_EQ(find_trailer(decoder.trailers(), "content-length"), std::nullopt);
  EXPECT_EQ(find_trailer("", "x"), std::nullopt);
  decoder.reset();
  EXPECT_EQ(decoder.trailers(), "");
}

TEST(Chunked, BoundsExtensionsTrailersAndTheWhole) {
  const std::string extension = "1;" + std::string(ChunkedDecoder::kMaxExtensions, 'x');
  const std::string trailer = "0\r\nX: " + std::string(ChunkedDecoder::kMaxTrailers, 'x');
  for (const auto& [bytes, status] : {std::pair{extension, 400}, std::pair{trailer, 431}}) {
    ChunkedDecoder decoder;
    std::string out;
    std::string_view in = bytes;
    EXPECT_EQ(decoder.feed(in, out, 100), State::refused);
    EXPECT_EQ(decoder.refusal().status, status);
  }
  ChunkedDecoder decoder;
  std::string out;
  std::string_view in = "3\r\nabc\r\n3\r\ndef\r\n";
  EXPECT_EQ(decoder.feed(in, out, 5), State::refused);
  EXPECT_EQ(out, "abc");
  EXPECT_EQ(decoder.refusal().status, 413);
}

TEST(Chunked, WritesSizesInHexadecimal) {
  char digits[kMostChunkDigits];
  EXPECT_EQ(format_chunk_size(1, digits), "1");
  EXPECT_EQ(format_chunk_size(0xabc0, digits), "abc0");
  EXPECT_EQ(format_chunk_size(~std::size_t{0}, digits), "ffffffffffffffff");
}

}  // namespace
}  // namespace ashlar::http
