#include <ashlar/app/compression.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/http/content_coding.hpp>
#include <ashlar/http/file_cache.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;

namespace {

namespace fs = std::filesystem;

std::string long_text() {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "line " + std::to_string(i) + " of a text that compresses well\n";
  return text;
}
std::string decoded(const Answer& answer) {
  const auto coding = http::find_content_coding(answer.header("Content-Encoding").value_or("identity"));
  return http::decode(coding.value(), answer.body, 100'000'000);
}

Generator<std::string> three_pieces() {
  for (int i = 0; i < 3; ++i) co_yield std::string("piece ") + std::to_string(i) + ";";
}

class CompressionTest : public ::testing::Test {
 protected:
  CompressionTest() {
    app_.use(Compression{});
    app_.get<"/text">([] { return long_text(); });
    app_.get<"/short">([] { return std::string("short"); });
    app_.get<"/image">([] { return Content{"image/png", long_text()}; });
    app_.get<"/encoded">([](http::Response& response) {
      response.header("Content-Encoding", "gzip");
      return long_text();
    });
    app_.get<"/kept">([](http::Response& response) {
      response.header("Cache-Control", "private, no-transform");
      return long_text();
    });
    app_.get<"/tagged">([](http::Response& response) {
      response.header("ETag", "\"a\"");
      return long_text();
    });
    app_.get<"/large">([] { return Content{"text/plain", std::string(1'000'000, 'x') + long_text()}; });
    app_.get<"/stream">([] { return Stream{"text/plain", three_pieces()}; });
    app_.get<"/lines">([]() -> JsonLines<int> {
      for (int i = 0; i < 3; ++i) co_yield i;
    });
  }
  App app_;
};

TEST_F(CompressionTest, IsWhatTheClientWants) {
  Client client{app_};
  for (const char* coding : {"gzip", "br", "zstd"}) {
    const Answer answer = client.get("/text").header("Accept-Encoding", coding);
    EXPECT_EQ(answer.header("Content-Encoding"), coding);
    EXPECT_EQ(answer.header("Vary"), "Accept-Encoding");
    EXPECT_LT(answer.body.size(), long_text().size() / 4);
    EXPECT_EQ(decoded(answer), long_text());
  }
}

TEST_F(CompressionTest, LeavesAloneWhatIsBetterLeftAlone) {
  Client client{app_};
  const auto asked = [&](const char* path) { return client.get(path).header("Accept-Encoding", "gzip").send(); };
  EXPECT_EQ(asked("/short").body, "short");
  EXPECT_EQ(asked("/short").header("Vary"), std::nullopt);
  EXPECT_EQ(asked("/image").body, long_text());
  EXPECT_EQ(asked("/image").header("Vary"), std::nullopt);
  EXPECT_EQ(asked("/encoded").body, long_text());
  EXPECT_EQ(asked("/kept").body, long_text());
  EXPECT_EQ(client.get("/text").send().body, long_text());
  EXPECT_EQ(client.get("/text").send().header("Vary"), "Accept-Encoding");
  EXPECT_EQ(client.get("/text").header("Accept-Encoding", "gzip;q=0").send().body, long_text());
}

TEST_F(CompressionTest, MakesTagsWeak) {
  Client client{app_};
  EXPECT_EQ(client.get("/tagged").header("Accept-Encoding", "br").send().header("ETag"), "W/\"a\"");
  EXPECT_EQ(client.get("/tagged").send().header("ETag"), "\"a\"");
}

TEST_F(CompressionTest, OfLargeBodiesHappensOnTheWay) {
  Client client{app_};
  const Answer answer = client.get("/large").header("Accept-Encoding", "zstd");
  EXPECT_EQ(answer.header("Content-Encoding"), "zstd");
  EXPECT_EQ(decoded(answer), std::string(1'000'000, 'x') + long_text());
}

TEST_F(CompressionTest, OfStreamsFlushesEachPiece) {
  Client client{app_};
  const Answer answer = client.get("/stream").header("Accept-Encoding", "gzip");
  EXPECT_EQ(answer.header("Content-Encoding"), "gzip");
  EXPECT_EQ(decoded(answer), "piece 0;piece 1;piece 2;");
  EXPECT_EQ(decoded(client.get("/lines").header("Accept-Encoding", "br")), "0\n1\n2\n");
}

TEST_F(CompressionTest, OfFilesSparesRanges) {
  std::string name = (fs::temp_directory_path() / "ashlar-compressed-XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  std::ofstream(folder / "a.txt") << long_text();
  app_.files<"/static">(folder);
  {
    Client client{app_};
    const Answer whole = client.get("/static/a.txt").header("Accept-Encoding", "gzip");
    EXPECT_EQ(whole.header("Content-Encoding"), "gzip");
    EXPECT_TRUE(whole.header("ETag")->starts_with("W/"));
    EXPECT_EQ(whole.header("Accept-Ranges"), std::nullopt);
    EXPECT_EQ(decoded(whole), long_text());
    const Answer part = client.get("/static/a.txt").header("Accept-Encoding", "gzip").header("Range", "bytes=0-4");
    EXPECT_EQ(part.status, 206);
    EXPECT_EQ(part.body, "line ");
    const Answer same =
        client.get("/static/a.txt").header("Accept-Encoding", "gzip").header("If-None-Match", *whole.header("ETag"));
    EXPECT_EQ(same.status, 304);
    EXPECT_EQ(same.header("Vary"), "Accept-Encoding");
  }
  fs::remove_all(folder);
}

TEST_F(CompressionTest, OfLargeFilesIsAsTheyAreNow) {
  std::string name = (fs::temp_directory_path() / "ashlar-compressed-XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  std::string content;
  while (content.size() < 200'000) content += long_text();
  std::ofstream(folder / "a.txt") << content;
  app_.files<"/static">(folder);
  {
    Client client{app_};
    const auto ask = [&] { return client.get("/static/a.txt").header("Accept-Encoding", "zstd").send(); };
    const Answer first = ask();
    EXPECT_EQ(decoded(first), content);
    const Answer again = ask();
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.header("Content-Encoding"), "zstd");
    EXPECT_EQ(again.header("ETag"), first.header("ETag"));
    EXPECT_EQ(client.head("/static/a.txt").header("Accept-Encoding", "zstd").send().body, "");
    std::ofstream(folder / "a.txt") << "other " << content;
    http::FileCache::shared().clear();  // or a second later
    EXPECT_EQ(decoded(ask()), "other " + content);
  }
  fs::remove_all(folder);
}

// Answers with the same bytes each time.
struct Snapshot final : Middleware {
  explicit Snapshot(const std::shared_ptr<std::string>& now) : bytes(now) {}
  const std::shared_ptr<std::string>& bytes;
  void after(http::Exchange& exchange) noexcept override {
    exchange.response.remove_body();
    exchange.response.content_type = "text/plain";
    exchange.response.shared_body(bytes, *bytes);
  }
};

class SharedBodies : public ::testing::TestWithParam<std::size_t> {};

TEST_P(SharedBodies, AreCompressedOnce) {
  App app;
  app.use(Compression{});
  auto bytes = std::make_shared<std::string>(long_text());
  app.use(Snapshot{bytes});
  app.get<"/">([] { return std::string("replaced"); });
  Client client{app};
  const auto ask = [&] { return decoded(client.get("/").header("Accept-Encoding", "gzip")); };
  bytes->resize(GetParam(), 'a');
  const std::string first = *bytes;
  EXPECT_EQ(ask(), first);
  bytes->back() = 'b';  // nobody may do this; it shows who looks
  EXPECT_EQ(ask(), first);
  EXPECT_EQ(decoded(client.get("/").header("Accept-Encoding", "br")), *bytes) << "another coding, made now";
  bytes = std::make_shared<std::string>(first + "c");
  EXPECT_EQ(ask(), first + "c");
}
INSTANTIATE_TEST_SUITE_P(Sizes, SharedBodies, ::testing::Values(2000, 200'000));

TEST(Compression, WithoutMemoryIsDoneEachTime) {
  App app;
  app.use(Compression{{.memory = 0}});
  auto bytes = std::make_shared<std::string>(long_text());
  app.use(Snapshot{bytes});
  app.get<"/">([] { return std::string("replaced"); });
  Client client{app};
  const auto ask = [&] { return decoded(client.get("/").header("Accept-Encoding", "gzip")); };
  EXPECT_EQ(ask(), long_text());
  bytes->back() = 'b';
  EXPECT_EQ(ask(), *bytes);
}

}  // namespace
