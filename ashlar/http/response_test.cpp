#include <ashlar/http/response.hpp>

#include <gtest/gtest.h>

#include <cstdint>

#include <ashlar/base/error.hpp>
#include <ashlar/http/scratch.hpp>

namespace ashlar::http {
namespace {

TEST(Response, AppendsReplacesAndFindsHeaders) {
  Response response;
  response.header("Vary", "Origin");
  response.header("X-A", "");
  response.header("vary", "Accept");
  EXPECT_EQ(response.header_lines(), "Vary: Origin\r\nX-A: \r\nvary: Accept\r\n");
  EXPECT_EQ(response.find_header("VARY"), "Origin");
  EXPECT_EQ(response.find_header("x-a"), "");
  EXPECT_EQ(response.find_header("x"), std::nullopt);
  response.replace_header("Vary", "*");
  EXPECT_EQ(response.header_lines(), "X-A: \r\nVary: *\r\n");
  response.remove_header("x-a");
  EXPECT_EQ(response.header_lines(), "Vary: *\r\n");
}

TEST(Response, RefusesToSplitItselfAndWhatTheServerWrites) {
  Response response;
  using namespace std::string_view_literals;
  for (const auto value : {"a\r\nSet-Cookie: b"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv, "\x7f"sv}) {
    EXPECT_THROW(response.header("X", value), Internal);
  }
  for (const auto name : {""sv, "a b"sv, "a:"sv, "a\r\n"sv, "\xc3\xa4"sv, "Content-Length"sv, "transfer-encoding"sv,
                          "Connection"sv, "DATE"sv}) {
    EXPECT_THROW(response.header(name, "x"), Internal);
  }
  EXPECT_EQ(response.header_lines(), "");
}

TEST(Response, TakesAContentTypeMadeAtRunTime) {
  Response response;
  response.content_type = "text/plain";
  response.header("Content-Type", "image/x-made-up");
  EXPECT_TRUE(response.content_type.empty());
  EXPECT_EQ(response.find_header("content-type"), "image/x-made-up");
}

TEST(Response, IsEmptyAgainAfterClear) {
  Response response;
  response.status = 404;
  response.header("X", "y");
  response.body.assign(1'000'000, 'x');
  response.static_body("page");
  EXPECT_EQ(response.body_bytes(), "page");
  response.clear();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header_lines(), "");
  EXPECT_EQ(response.body_bytes(), "");
  EXPECT_LT(response.body.capacity(), 100'000u);
}

TEST(Scratch, GivesAlignedMemoryThatLivesUntilClear) {
  Scratch scratch;
  const std::string_view copied = scratch.copy("abc");
  auto* const number = static_cast<std::uint64_t*>(scratch.allocate(sizeof(std::uint64_t), alignof(std::uint64_t)));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(number) % alignof(std::uint64_t), 0u);
  char* const large = static_cast<char*>(scratch.allocate(100'000));
  large[0] = large[99'999] = 'x';
  EXPECT_EQ(copied, "abc");
  scratch.clear();
  static_cast<void>(scratch.copy("once more"));
  scratch.clear();
  EXPECT_TRUE(scratch.copy("").empty());
}

}  // namespace
}  // namespace ashlar::http
