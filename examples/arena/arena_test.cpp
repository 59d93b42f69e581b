#include "arena.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <ashlar/http/content_coding.hpp>
#include <ashlar/testing/client.hpp>

namespace arena {
namespace {

namespace fs = std::filesystem;

class Arena : public ::testing::Test {
 protected:
  Arena() {
    std::string name = (fs::temp_directory_path() / "arena-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    std::ofstream(folder_ / "style.css") << std::string(4000, ' ') << "p {}";
    add_routes(app_, {.items = ARENA_DATA "/items.json", .files = folder_.string()});
  }
  ~Arena() override { fs::remove_all(folder_); }

  fs::path folder_;
  App app_;
};

TEST_F(Arena, AddsUp) {
  ashlar::testing::Client client(app_);
  const auto sum = client.get("/baseline11?a=13&b=42").send();
  EXPECT_EQ(sum.body, "55");
  EXPECT_EQ(sum.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(client.post("/baseline11?a=13&b=42").body("20").send().body, "75");
  EXPECT_EQ(client.post("/baseline11?a=13&b=42").body("twenty").send().status, 422);
  EXPECT_EQ(client.get("/pipeline").send().body, "ok");
}

TEST_F(Arena, GivesItemsWithTheirTotals) {
  ashlar::testing::Client client(app_);
  const auto two = client.get("/json/2?m=3").send();
  EXPECT_EQ(two.header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(Json(two.body).find("count")->as_integer(), 2);
  const Json first = Json(two.body).find("items")->at(0).value();
  const auto number = [&](std::string_view name) { return first.find(name)->as_integer().value(); };
  EXPECT_EQ(number("total"), number("price") * number("quantity") * 3);
  EXPECT_EQ(client.get("/json/0").send().status, 422);
  EXPECT_EQ(client.get("/json/51").send().status, 422);
}

TEST_F(Arena, CompressesWhenAsked) {
  ashlar::testing::Client client(app_);
  const std::string plain = client.get("/json/50").send().body;
  EXPECT_FALSE(client.get("/json/50").send().header("Content-Encoding"));
  const auto packed = client.get("/json/50").header("Accept-Encoding", "gzip, br").send();
  EXPECT_EQ(packed.header("Content-Encoding"), "br");
  EXPECT_LT(packed.body.size(), plain.size() / 3);
  EXPECT_EQ(http::decode(http::ContentCoding::br, packed.body, 1 << 20), plain);
}

TEST_F(Arena, ServesFiles) {
  ashlar::testing::Client client(app_);
  const auto file = client.get("/static/style.css").send();
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(file.body.size(), 4004U);
  EXPECT_TRUE(file.header("Content-Type")->starts_with("text/css"));
  EXPECT_EQ(client.get("/static/nothing.css").send().status, 404);
}

TEST_F(Arena, CountsWhatItReads) {
  ashlar::testing::Client client(app_);
  EXPECT_EQ(client.post("/upload").body(std::string(2'000'000, 'x')).send().body, "2000000");
  EXPECT_EQ(client.post("/upload").send().body, "0");
}

TEST_F(Arena, EchoesMessages) {
  ashlar::testing::Client client(app_);
  auto socket = client.websocket("/ws").connect();
  socket.send("hello");
  EXPECT_EQ(socket.receive()->data, "hello");
}

TEST(ArenaStart, RefusesWithoutItsData) {
  App app;
  add_routes(app, {.items = "/nowhere/items.json", .files = ARENA_DATA});
  EXPECT_THROW(ashlar::testing::Client client(app), Unavailable);
}

}  // namespace
}  // namespace arena
