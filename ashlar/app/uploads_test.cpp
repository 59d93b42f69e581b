#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;

namespace {

namespace fs = std::filesystem;

struct Picture {
  Annotated<std::string, min_length{2}> title;
  UploadedFile image;
  int rank = 1;
};
struct Album {
  std::vector<UploadedFile> pictures;
  std::optional<UploadedFile> cover;
};
struct Small {
  Annotated<UploadedFile, max_length{4}> file;
};

Task<std::string> describe(UploadedFile file) {
  co_return file.filename() + "|" + file.content_type() + "|" + std::to_string(file.size()) + "|" +
      co_await file.read();
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "ashlar-uploads-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string content(const char* name) const {
    std::ifstream in(path / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(path), {}); }
  fs::path path;
};

TEST(UploadedFile, IsAMemberOfAForm) {
  App app;
  app.post<"/pictures">([](Form<Picture> in) -> Task<std::string> {
    co_return in.title + "," + std::to_string(in.rank) + "," + co_await describe(in.image);
  });
  Client client{app};
  const Answer answer = client.post("/pictures")
                            .form({{"title", "Sunset"}, {"rank", "3"}})
                            .file("image", "C:\\pictures\\sun.png", "image/png", "bytes");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body, "Sunset,3,sun.png|image/png|5|bytes");
}

TEST(UploadedFile, MayBeOneOfSeveralOrAbsent) {
  App app;
  app.post<"/albums">([](Form<Album> in) -> Task<std::string> {
    std::string text = in.cover ? "cover " + in.cover->filename() : "no cover";
    for (const auto& one : in.pictures) text += ";" + co_await describe(one);
    co_return text;
  });
  Client client{app};
  EXPECT_EQ(client.post("/albums").file("pictures", "a", "x/y", "1").file("pictures", "b", "x/y", "2").send().body,
            "no cover;a|x/y|1|1;b|x/y|1|2");
  EXPECT_EQ(client.post("/albums").file("cover", "c", "x/y", "").file("pictures", "a", "x/y", "").send().body,
            "cover c;a|x/y|0|");
  // What browsers send for a file that nobody chose.
  EXPECT_EQ(client.post("/albums").file("cover", "", "x/y", "").file("pictures", "a", "x/y", "1").send().body,
            "no cover;a|x/y|1|1");
}

TEST(UploadedFile, IsValidatedWithTheRestOfTheForm) {
  App app;
  app.post<"/pictures">([](Form<Picture>) { return NoContent{}; });
  app.post<"/small">([](Form<Small>) { return NoContent{}; });
  Client client{app};
  const Answer missing = client.post("/pictures").form({{"title", "x"}}).file("other", "a", "x/y", "1");
  EXPECT_EQ(missing.status, 422);
  EXPECT_NE(missing.body.find(R"("loc":["body","image"])"), std::string::npos) << missing.body;
  EXPECT_NE(missing.body.find(R"("loc":["body","title"])"), std::string::npos) << missing.body;
  const Answer text = client.post("/pictures").form({{"title", "ok"}, {"image", "text"}}).file("x", "a", "x/y", "1");
  EXPECT_EQ(text.status, 422);
  EXPECT_NE(text.body.find("\"type\":\"file_type\""), std::string::npos) << text.body;
  const Answer file = client.post("/pictures").file("title", "a", "x/y", "1").file("image", "a", "x/y", "1");
  EXPECT_EQ(file.status, 422);
  EXPECT_NE(file.body.find("\"type\":\"string_unicode\""), std::string::npos) << file.body;
  EXPECT_NE(file.body.find(R"("loc":["body","title"])"), std::string::npos) << file.body;
  EXPECT_EQ(client.post("/small").file("file", "a", "x/y", "1234").send().status, 204);
  EXPECT_EQ(client.post("/small").file("file", "a", "x/y", "12345").send().status, 422);
}

TEST(UploadedFile, ThatIsLargeGoesThroughADisk) {
  const Folder spool;
  const Folder target;
  App app;
  app.post<"/save">(
      [&](Form<Small> in) -> Task<std::string> {
        EXPECT_EQ(spool.files(), 0);  // without a name
        std::string read;
        auto pieces = in.file.pieces();
        while (auto piece = co_await pieces.next()) read += *piece;
        EXPECT_EQ(read, co_await in.file.read());
        co_await in.file.save_as((target.path / "saved").string());
        co_return std::to_string(in.file.size());
      },
      {.max_body = 10'000'000, .uploads = {.in_memory = 2, .directory = spool.path.string()}});
  app.post<"/large">(
      [&](Form<Album> in) -> Task<std::string> {
        co_await in.pictures.at(0).save_as((target.path / "large").string());
        co_return std::to_string(in.pictures.at(0).size());
      },
      {.max_body = 10'000'000, .uploads = {.directory = spool.path.string()}});
  Client client{app};
  std::ofstream(target.path / "saved") << "what was there before";
  EXPECT_EQ(client.post("/save").file("file", "a", "x/y", "1234").send().body, "4");
  EXPECT_EQ(target.content("saved"), "1234");
  std::string large(5'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 1000);
  EXPECT_EQ(client.post("/large").file("pictures", "a", "x/y", large).send().body, "5000000");
  EXPECT_EQ(target.content("large"), large);
  EXPECT_EQ(target.files(), 2);
  EXPECT_EQ(spool.files(), 0);
}

TEST(UploadedFile, InMemoryIsSavedToo) {
  const Folder target;
  App app;
  app.post<"/save">([&](Form<Small> in) -> Task<NoContent> {
    co_await in.file.save_as((target.path / "saved").string());
    co_return NoContent{};
  });
  app.post<"/nowhere">([&](Form<Small> in) -> Task<NoContent> {
    co_await in.file.save_as((target.path / "nowhere" / "saved").string());
    co_return NoContent{};
  });
  Client client{app};
  EXPECT_EQ(client.post("/save").file("file", "a", "x/y", "1234").send().status, 204);
  EXPECT_EQ(target.content("saved"), "1234");
  EXPECT_EQ(client.post("/nowhere").file("file", "a", "x/y", "1234").send().status, 500);
  EXPECT_EQ(target.files(), 1);
}

TEST(UploadedFile, CannotBeKeptInAFolderThatIsNotThere) {
  const Folder target;
  App app;
  app.post<"/gone">([](Form<Album>) { return NoContent{}; },
                    {.uploads = {.in_memory = 1, .directory = (target.path / "gone").string()}});
  Client client{app};
  const Answer gone = client.post("/gone").file("pictures", "a", "x/y", "1234");
  EXPECT_EQ(gone.status, 500);
  EXPECT_EQ(gone.body.find(target.path.string()), std::string::npos) << gone.body;  // no path of ours
}

TEST(UploadedFile, HasLimits) {
  App app;
  app.post<"/one">([](Form<Album>) { return NoContent{}; },
                   {.max_body = 10'000, .uploads = {.max_file = 10, .max_files = 1, .max_field = 20}});
  Client client{app};
  const auto status = [](const Answer& answer) { return answer.status; };
  EXPECT_EQ(status(client.post("/one").file("pictures", "a", "x/y", "0123456789")), 204);
  EXPECT_EQ(status(client.post("/one").file("pictures", "a", "x/y", "0123456789A")), 413);
  EXPECT_EQ(status(client.post("/one").file("pictures", "a", "x/y", "1").file("pictures", "b", "x/y", "2")), 413);
  EXPECT_EQ(status(client.post("/one").form({{"t", std::string(21, 't')}}).file("pictures", "a", "x/y", "1")), 413);
  EXPECT_EQ(status(client.post("/one").file("pictures", "a", "x/y", std::string(10'000, 'x'))), 413);
}

TEST(UploadForm, TakesNothingButForms) {
  App app;
  app.post<"/pictures">([](Form<Picture>) { return NoContent{}; });
  Client client{app};
  const auto send = [&](std::string type, std::string body) {
    return client.post("/pictures").header("Content-Type", std::move(type)).body(std::move(body)).send().status;
  };
  EXPECT_EQ(send("application/json", "{}"), 415);
  EXPECT_EQ(send("multipart/form-data", "--x--"), 400);
  EXPECT_EQ(send("multipart/form-data; boundary=x", "--x\r\n"), 400);
  EXPECT_EQ(send("multipart/form-data; boundary=x",
                 "--x\r\nContent-Disposition: form-data; name=title\r\n\r\n\xff\xfe\r\n--x--"),
            400);
  EXPECT_EQ(send("multipart/form-data; boundary=x",
                 "--x\r\nContent-Disposition: form-data; name=title\r\nContent-Type: text/plain; "
                 "charset=latin1\r\n\r\na\r\n--x--"),
            415);
  EXPECT_EQ(send("multipart/form-data; boundary=x", "--x--"), 422);
  EXPECT_EQ(client.post("/pictures").form({{"title", "no file"}}).send().status, 422);  // urlencoded
  EXPECT_EQ(client.post("/pictures").send().status, 415);
}

struct Login {
  std::string user;
  std::string password;
};

TEST(Form, WithoutFilesMayComeAsMultipart) {
  App app;
  app.post<"/login">([](Form<Login> in) { return in.user + ":" + in.password; });
  Client client{app};
  EXPECT_EQ(client.post("/login").form({{"user", "a"}, {"password", "b"}}).send().body, "a:b");
  EXPECT_EQ(
      client.post("/login").form({{"user", "a"}, {"password", "b&c"}}).file("ignored", "f", "x/y", "1").send().body,
      "a:b&c");
}

TEST(BodyStream, GivesTheBodyAsItComes) {
  App app;
  app.put<"/blobs/{name}">(
      [](Path<"name"> name, BodyStream body) -> Task<std::string> {
        std::uint64_t size = 0;
        const auto length = body.length();
        while (true) {
          const std::string_view piece = co_await body.next();
          if (piece.empty()) break;
          size += piece.size();
        }
        co_return name + " " + std::to_string(size) + " of " + std::to_string(length.value_or(0));
      },
      {.max_body = 10});
  Client client{app};
  EXPECT_EQ(client.put("/blobs/a").body("0123456789").send().body, "a 10 of 10");
  EXPECT_EQ(client.put("/blobs/a").send().body, "a 0 of 0");
  EXPECT_EQ(client.put("/blobs/a").body("0123456789A").send().status, 413);
  EXPECT_NE(app.openapi().find("\"application/octet-stream\":{}"), std::string::npos);
}

TEST(MultipartStream, GivesPartsAsTheyCome) {
  App app;
  app.post<"/parts">([](MultipartStream parts) -> Task<std::string> {
    std::string text;
    while (co_await parts.next()) {
      text += std::string(parts.name()) + (parts.filename() ? "(" + std::string(*parts.filename()) + ")" : "") + "=";
      if (parts.name() == "skipped") continue;
      while (true) {
        const std::string_view piece = co_await parts.read();
        if (piece.empty()) break;
        text += piece;
      }
      text += ";";
    }
    co_return text;
  });
  Client client{app};
  EXPECT_EQ(
      client.post("/parts").form({{"a", "1"}, {"skipped", "xxx"}}).file("f", "n.txt", "x/y", "content\r\n").send().body,
      "a=1;skipped=f(n.txt)=content\r\n;");
  EXPECT_EQ(client.post("/parts").body("x").send().status, 415);
}

TEST(UploadedFile, IsDescribed) {
  App app;
  app.post<"/pictures">([](Form<Picture>) { return NoContent{}; });
  app.post<"/albums">([](Form<Album>) { return NoContent{}; });
  const std::string document = app.openapi();
  EXPECT_NE(document.find("\"multipart/form-data\":{\"schema\":{\"$ref\":\"#/components/schemas/Picture\"}"),
            std::string::npos)
      << document;
  EXPECT_NE(document.find("\"image\":{\"type\":\"string\",\"format\":\"binary\""), std::string::npos) << document;
}

}  // namespace
