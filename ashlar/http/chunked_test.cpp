#include <gtest/gtest.h>

#include <string>
#include <tuple>

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

TEST(Chunked, RefusesWhatIsMalformed) {
  const std::tuple<std::string_view, int> cases[] = {
      {"\r\n", 400},
      {"g\r\n", 400},
      {"0x5\r\n", 400},
      {"+5\r\n", 400},
      {"-5\r\n", 400},
      {" 5\r\n", 400},
      {"5 \r\nhello", 400},
      {"5\nhello", 400},
      {"5\r\rhello", 400},
      {"5;a\nb\r\n", 400},
      {std::string_view("5;a\0b\r\n", 7), 400},
      {"5\r\nhello0\r\n", 400},
      {"5\r\nhello\n0\r\n", 400},
      {"5\r\nhello\r0\r\n", 400},
      {"fffffffffffffffff\r\n", 400},
      {"65\r\n", 413},
      {"fffffffffffffff\r\n", 413},
      {"0\r\n: x\r\n\r\n", 400},
      {"0\r\nnocolon\r\n\r\n", 400},
      {"0\r\na b: c\r\n\r\n", 400},
      {"0\r\na: b\nc: d\r\n\r\n", 400},
      {"0\r\n\n", 400},
      {"0\r\n\rx", 400},
  };
  for (const auto& [bytes, status] : cases) {
    ChunkedDecoder decoder;
    std::string out;
    std::string_view in = bytes;
    EXPECT_EQ(decoder.feed(in, out, 100), State::refused) << bytes;
    EXPECT_EQ(decoder.refusal().status, status) << bytes;
  }
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
