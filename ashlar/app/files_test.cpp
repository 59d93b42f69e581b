#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;

namespace {

namespace fs = std::filesystem;

class FilesTest : public ::testing::Test {
 protected:
  FilesTest() {
    std::string name = (fs::temp_directory_path() / "ashlar-static-XXXXXX").string();
    outer_ = ::mkdtemp(name.data());
    folder_ = outer_ / "public";
    write("index.html", "<p>index</p>");
    write("docs/index.html", "<p>docs</p>");
    write("empty/a.txt", "a");
    write("site.css", "p { color: red }");
    write("a b.txt", "space");
    write(".env", "SECRET=1");
    write(".git/config", "secret");
    write(".well-known/security.txt", "contact");
    write("assets/app-4f3a.js", "run()");
    std::ofstream(outer_ / "secret.txt") << "secret";
  }
  ~FilesTest() override { fs::remove_all(outer_); }

  void write(const fs::path& path, std::string_view content) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path, std::ios::trunc) << content;
  }

  fs::path outer_;
  fs::path folder_;
};

TEST_F(FilesTest, AreServedWithTheirTypeAndValidators) {
  App app;
  app.files<"/static">(folder_);
  Client client{app};
  for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
    const Answer answer = client.get("/static/site.css");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "p { color: red }");
    EXPECT_EQ(answer.header("Content-Type"), "text/css; charset=utf-8");
    EXPECT_EQ(answer.header("Cache-Control"), "no-cache");
    EXPECT_TRUE(answer.header("ETag")) << "a tag";
    EXPECT_TRUE(answer.header("Last-Modified"));
    const Answer again = client.get("/static/site.css").header("If-None-Match", *answer.header("ETag"));
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
  }
  EXPECT_EQ(client.get("/static/a%20b.txt").send().body, "space");
  const Answer part = client.get("/static/site.css").header("Range", "bytes=0-0,-1");
  EXPECT_EQ(part.status, 206);
  EXPECT_NE(part.body.find("Content-Range: bytes 15-15/16\r\n\r\n}\r\n"), std::string::npos) << part.body;
}

TEST_F(FilesTest, OutsideOfTheFolderAreNotServed) {
  fs::create_symlink(outer_ / "secret.txt", folder_ / "link.txt");
  fs::create_symlink("..", folder_ / "up");
  App app;
  app.files<"/static">(folder_);
  Client client{app};
  for (const char* path : {"/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/..%2fsecret.txt",
                           "/static/docs/..%2f..%2fsecret.txt", "/static//secret.txt", "/static/link.txt",
                           "/static/up/secret.txt", "/static/site.css%00.txt", "/static/site.css/",
                           "/static/./site.css", "/static/%2fetc/passwd", "/static/..%5csecret.txt"}) {
    EXPECT_EQ(client.get(path).send().status, 404) << path;
  }
}

TEST_F(FilesTest, ThatAreHiddenAreNotServed) {
  App app;
  app.files<"/static">(folder_).files<"/all">(folder_, {.hidden_files = true});
  Client client{app};
  EXPECT_EQ(client.get("/static/.env").send().status, 404);
  EXPECT_EQ(client.get("/static/.git/config").send().status, 404);
  EXPECT_EQ(client.get("/static/.well-known/security.txt").send().body, "contact");
  EXPECT_EQ(client.get("/all/.env").send().body, "SECRET=1");
}

TEST_F(FilesTest, FoldersAnswerWithTheirIndex) {
  App app;
  app.files<"/static">(folder_).files<"/bare">(folder_, {.index = ""});
  Client client{app};
  EXPECT_EQ(client.get("/static/").send().body, "<p>index</p>");
  EXPECT_EQ(client.get("/static/docs/").send().body, "<p>docs</p>");
  EXPECT_EQ(client.get("/static").send().header("Location"), "/static/");
  const Answer moved = client.get("/static/docs?x=1");
  EXPECT_EQ(moved.status, 308);
  EXPECT_EQ(moved.header("Location"), "/static/docs/?x=1");
  EXPECT_EQ(client.get("/static/empty").send().status, 404);
  EXPECT_EQ(client.get("/static/empty/").send().status, 404);
  EXPECT_EQ(client.get("/bare/docs/").send().status, 404);
  EXPECT_NE(client.get("/static/").send().header("Content-Security-Policy")->find("default-src 'self'"),
            std::string::npos);
}

TEST_F(FilesTest, TakeOnlyGetAndHead) {
  App app;
  app.files<"/static">(folder_);
  Client client{app};
  const Answer refused = client.post("/static/site.css").body("x");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.header("Allow"), "GET, HEAD, OPTIONS");
  const Answer head = client.head("/static/site.css");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(FilesTest, OfASinglePageApplicationFallBackToItsPage) {
  App app;
  app.get<"/api/items">([] { return std::string("items"); });
  app.files<"/">(folder_, {.fallback = "index.html", .immutable = {"assets/"}});
  Client client{app};
  EXPECT_EQ(client.get("/api/items").send().body, "items");
  const Answer page = client.get("/people/7").header("Accept", "text/html,application/xhtml+xml");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "<p>index</p>");
  EXPECT_EQ(page.header("Cache-Control"), "no-cache");
  EXPECT_EQ(client.get("/people/7").header("Accept", "*/*").send().status, 404);
  EXPECT_EQ(client.get("/assets/app-4f3a.js").send().header("Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(client.get("/").send().body, "<p>index</p>");
}

TEST_F(FilesTest, AreSentEncodedWhenASiblingIsAtHand) {
  write("site.css.br", "brotli");
  write("site.css.gz", "gzip");
  App app;
  app.files<"/static">(folder_);
  Client client{app};
  const Answer br = client.get("/static/site.css").header("Accept-Encoding", "gzip, br, zstd");
  EXPECT_EQ(br.body, "brotli");
  EXPECT_EQ(br.header("Content-Encoding"), "br");
  EXPECT_EQ(br.header("Vary"), "Accept-Encoding");
  EXPECT_EQ(br.header("Content-Type"), "text/css; charset=utf-8");
  const Answer gzip = client.get("/static/site.css").header("Accept-Encoding", "gzip");
  EXPECT_EQ(gzip.body, "gzip");
  EXPECT_NE(gzip.header("ETag"), br.header("ETag"));
  const Answer plain = client.get("/static/site.css");
  EXPECT_EQ(plain.body, "p { color: red }");
  EXPECT_EQ(plain.header("Vary"), "Accept-Encoding");
  EXPECT_EQ(client.get("/static/site.css").header("Accept-Encoding", "br;q=0").send().body, "p { color: red }");
}

TEST_F(FilesTest, OfAFolderThatIsNotThereAreToldBeforeServing) {
  App app;
  app.files<"/static">(folder_ / "nowhere");
  try {
    const Client client{app};
    FAIL() << "it started";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("nowhere cannot be served"), std::string::npos) << error.message();
  }
}

TEST(EmbeddedFiles, AreServedFromTheProgram) {
  static constexpr EmbeddedFile kFiles[] = {{.path = "index.html", .bytes = "<p>in</p>"},
                                            {.path = "js/app.js", .bytes = "run()", .gzip = "packed"}};
  App app;
  app.files<"/ui">(std::span(kFiles), {.fallback = "index.html"});
  Client client{app};
  EXPECT_EQ(client.get("/ui/").send().body, "<p>in</p>");
  const Answer packed = client.get("/ui/js/app.js").header("Accept-Encoding", "gzip");
  EXPECT_EQ(packed.body, "packed");
  EXPECT_EQ(packed.header("Content-Encoding"), "gzip");
  const Answer plain = client.get("/ui/js/app.js");
  EXPECT_EQ(plain.body, "run()");
  EXPECT_EQ(plain.header("Last-Modified"), std::nullopt);
  EXPECT_EQ(client.get("/ui/js/app.js").header("If-None-Match", *plain.header("ETag")).send().status, 304);
  EXPECT_EQ(client.get("/ui/js").send().status, 404);
  EXPECT_EQ(client.get("/ui/other").header("Accept", "text/html").send().body, "<p>in</p>");
}

TEST_F(FilesTest, AreWhatAHandlerReturns) {
  App app;
  app.get<"/report/{name}">([root = folder_.string()](Path<"name"> name) {
    return File{.path = name, .root = root, .download_as = "Bericht für Ü.css"};
  });
  app.get<"/maybe/{name}">([root = folder_.string()](Path<"name"> name) -> Task<std::variant<File, Text>> {
    if (name == "none") co_return Text{"none"};
    co_return File{.path = name, .root = root, .type = "text/plain", .cache_control = "private"};
  });
  Client client{app};
  const Answer answer = client.get("/report/site.css");
  EXPECT_EQ(answer.body, "p { color: red }");
  EXPECT_EQ(answer.header("Content-Type"), "text/css; charset=utf-8");
  EXPECT_EQ(answer.header("Content-Disposition"),
            "attachment; filename=\"Bericht f_r _.css\"; filename*=UTF-8''Bericht%20f%C3%BCr%20%C3%9C.css");
  EXPECT_EQ(client.get("/report/site.css").header("Range", "bytes=0-2").send().body, "p {");
  EXPECT_EQ(client.get("/report/..%2fsecret.txt").send().status, 404);
  EXPECT_EQ(client.get("/report/docs").send().status, 404);
  EXPECT_EQ(client.get("/maybe/none").send().body, "none");
  EXPECT_EQ(client.get("/maybe/site.css").send().header("Cache-Control"), "private");
  EXPECT_NE(app.openapi().find("\"206\":{"), std::string::npos);
}

}  // namespace
