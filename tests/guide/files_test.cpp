// The code of docs/guide/files-and-streams.md: compiled and run.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/testing/client.hpp>

#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "ashlar-guide-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path path;
};

void add_files(App& app, const std::string& reports) {
  // sample: file
  app.get<"/reports/{name}">(
      [reports](Path<"name"> name) { return File{.path = name, .root = reports, .download_as = "Report " + name}; });
  // end of sample
}

TEST(FilesGuide, AHandlerReturnsAFile) {
  const Folder folder;
  std::ofstream(folder.path / "may.csv") << "a,b\n1,2\n";
  App app;
  add_files(app, folder.path);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/reports/may.csv").header("Range", "bytes=0-2").send().body, "a,b");
  EXPECT_EQ(client.get("/reports/..%2fmay.csv").send().status, 404);
}

TEST(FilesGuide, AFolderIsServed) {
  const Folder folder;
  fs::create_directory(folder.path / "dist");
  std::ofstream(folder.path / "dist" / "index.html") << "<p>app</p>";
  const fs::path before = fs::current_path();
  fs::current_path(folder.path);
  {
    App app;
    // sample: folder
    app.files<"/">("dist", {.fallback = "index.html", .immutable = {"assets/"}});
    app.use(Compression{});
    // end of sample
    ashlar::testing::Client client{app};
    EXPECT_EQ(client.get("/settings/profile").header("Accept", "text/html").send().body, "<p>app</p>");
  }
  fs::current_path(before);
}

struct Price {
  std::string symbol;
  double value;
};

struct Prices {
  Task<std::vector<Price>> after(std::string last) {
    if (last == "DEF") co_return std::vector<Price>{};
    co_return std::vector{Price{"ABC", 1.5}, Price{"DEF", 2.5}};
  }
};

void add_streams(App& app) {
  // sample: events
  app.get<"/prices/live">([](LastEventId last, Prices& prices) -> Events<Price> {
    std::string at = last;
    for (int turn = 0; turn < 2; ++turn) {
      for (auto& price : co_await prices.after(at)) {
        co_yield {.data = price, .event = "price", .id = price.symbol};
        at = price.symbol;
      }
    }
  });
  // end of sample

  // sample: lines
  app.get<"/prices">([](Prices& prices) -> JsonLines<Price> {
    for (auto& price : co_await prices.after("")) co_yield price;
  });
  // end of sample
}

TEST(FilesGuide, AHandlerSendsEventsAndLines) {
  App app;
  Prices prices;
  app.provide(prices);
  add_streams(app);
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/prices").send().body,
            "{\"symbol\":\"ABC\",\"value\":1.5}\n{\"symbol\":\"DEF\",\"value\":2.5}\n");
  EXPECT_TRUE(client.get("/prices/live").send().body.starts_with("event: price\nid: ABC\ndata: {\"symbol\""));
}

// sample: upload
struct NewPicture {
  Annotated<std::string, min_length{1}> title;
  Annotated<UploadedFile, max_length{5'000'000}> image;
  std::vector<UploadedFile> details = {};
};
// end of sample

void add_uploads(App& app, const std::string& pictures) {
  // sample: save
  app.post<"/pictures">(
      [pictures](Form<NewPicture> in) -> Task<NoContent> {
        co_await in.image.save_as(pictures + "/" + Uuid::v7().to_string());
        co_return NoContent{};
      },
      {.max_body = 20'000'000, .uploads = {.max_files = 10, .directory = pictures}});
  // end of sample

  // sample: stream
  app.put<"/blobs/{name}">(
      [](Path<"name">, BodyStream body) -> Task<std::string> {
        std::uint64_t size = 0;
        while (true) {
          const std::string_view piece = co_await body.next();
          if (piece.empty()) break;
          size += piece.size();  // here: to where it belongs
        }
        co_return std::to_string(size);
      },
      {.max_body = 1'000'000'000});
  // end of sample
}

TEST(FilesGuide, AHandlerTakesFiles) {
  const Folder folder;
  App app;
  add_uploads(app, folder.path);
  ashlar::testing::Client client{app};
  // sample: test
  const ashlar::testing::Answer answer =
      client.post("/pictures").form({{"title", "Sunset"}}).file("image", "sun.png", "image/png", "bytes");
  // end of sample
  EXPECT_EQ(answer.status, 204) << answer.body;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
  EXPECT_EQ(client.put("/blobs/a").body("12345").send().body, "5");
}

}  // namespace
