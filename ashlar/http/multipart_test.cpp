#include <ashlar/http/multipart.hpp>

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::http {
namespace {

struct Got {
  std::vector<std::pair<MultipartPart, std::string>> parts;
  bool ended = false;
  bool complete = false;
  int status = 0;
  std::string_view detail;
};

// Feeds `message` in pieces of this many bytes.
Got parse(std::string_view message, std::size_t piece = std::string_view::npos, MultipartLimits limits = {}) {
  MultipartParser parser("XX", limits);
  Got got;
  while (!message.empty()) {
    std::string_view in = message.substr(0, piece);
    message.remove_prefix(in.size());
    for (bool more = true; more;) {
      switch (parser.next(in)) {
        case MultipartParser::Event::more:
          more = false;
          break;
        case MultipartParser::Event::part:
          got.parts.emplace_back(parser.part(), "");
          break;
        case MultipartParser::Event::data:
          EXPECT_FALSE(parser.data().empty());
          got.parts.back().second += parser.data();
          break;
        case MultipartParser::Event::part_end:
          break;
        case MultipartParser::Event::end:
          got.ended = true;
          break;
        case MultipartParser::Event::refused:
          got.status = parser.refusal().status;
          got.detail = parser.refusal().detail;
          return got;
      }
    }
  }
  got.complete = parser.complete();
  return got;
}

std::string part(std::string_view headers, std::string_view body) {
  return "--XX\r\n" + std::string(headers) + "\r\n\r\n" + std::string(body) + "\r\n";
}
std::string field(std::string_view name, std::string_view value) {
  return part("Content-Disposition: form-data; name=\"" + std::string(name) + "\"", value);
}
const std::string kEnd = "--XX--\r\n";

TEST(MultipartParser, GivesPartsInAnyPieces) {
  const std::string body = "\r\n--X\r\n--XY\r\r\n--\n" + std::string(300, 'b') + "\r";
  const std::string message = field("a", "1") + field("empty", "") +
                              part(
                                  "content-disposition: form-data; name=f; filename=\"a b.txt\"\r\nContent-Type: "
                                  "text/plain; charset=utf-8",
                                  body) +
                              kEnd;
  for (std::size_t piece = 1; piece <= message.size(); ++piece) {
    const Got got = parse(message, piece);
    ASSERT_EQ(got.status, 0) << piece << got.detail;
    ASSERT_EQ(got.parts.size(), 3U) << piece;
    EXPECT_EQ(got.parts[0].first.name, "a");
    EXPECT_EQ(got.parts[0].first.filename, std::nullopt);
    EXPECT_EQ(got.parts[0].second, "1");
    EXPECT_EQ(got.parts[1].second, "");
    EXPECT_EQ(got.parts[2].first.name, "f");
    EXPECT_EQ(got.parts[2].first.filename, "a b.txt");
    EXPECT_EQ(got.parts[2].first.content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(got.parts[2].second, body) << piece;
    EXPECT_TRUE(got.ended && got.complete);
  }
}

TEST(MultipartParser, IgnoresWhatStandsAround) {
  const Got got = parse("preamble\r\n--X\r\n" + field("a", "1") + "--XX--epilogue\r\n--XX\r\n");
  EXPECT_EQ(got.parts.size(), 1U);
  EXPECT_TRUE(got.complete);
  EXPECT_TRUE(parse("--XX--").complete);
}

TEST(MultipartParser, KnowsWhenItIsCutOff) {
  const std::string message = field("a", "value") + "--XX--";
  for (std::size_t size = 0; size < message.size(); ++size) {
    const Got got = parse(message.substr(0, size));
    EXPECT_FALSE(got.complete) << size;
    EXPECT_EQ(got.status, 0) << size;
  }
}

TEST(MultipartParser, ReadsNamesOfFiles) {
  const auto name = [](std::string_view parameters) {
    const Got got = parse(part("Content-Disposition: form-data; name=f; " + std::string(parameters), "") + kEnd);
    EXPECT_EQ(got.status, 0) << parameters << got.detail;
    return got.parts.empty() ? "" : got.parts[0].first.filename.value_or("(none)");
  };
  EXPECT_EQ(name("filename=\"C:\\Users\\me\\a.txt\""), "a.txt");
  EXPECT_EQ(name("filename=\"../../etc/passwd\""), "passwd");
  EXPECT_EQ(name("filename=\"a\\\"b.txt\""), "a\"b.txt");
  EXPECT_EQ(name("filename=\"semi;colon.txt\""), "semi;colon.txt");
  EXPECT_EQ(name("filename=\"résumé.pdf\""), "résumé.pdf");
  EXPECT_EQ(name("filename=\"x\"; filename*=UTF-8''na%C3%AFve.txt"), "naïve.txt");
  EXPECT_EQ(name("filename*=utf-8'en'..%2Fup"), "up");
  EXPECT_EQ(name("filename=\"\""), "");
}

TEST(MultipartParser, RefusesWhatIsMalformed) {
  const auto status = [](const std::string& message) { return parse(message + kEnd).status; };
  const auto headers = [&](std::string_view text) { return status(part(text, "x")); };
  EXPECT_EQ(headers("Content-Type: text/plain"), 400);
  EXPECT_EQ(headers("Content-Disposition: attachment; name=a"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=\"a"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a; name=b"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a; filename=b; filename=c"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a x"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=\"\xff\""), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a; filename*=latin1''x"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a; filename*=UTF-8''%FF"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a; filename*=UTF-8''%00"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a\r\nContent-Type: multipart/mixed; boundary=y"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a\nX: y"), 400);
  EXPECT_EQ(headers("Content-Disposition : form-data; name=a"), 400);
  EXPECT_EQ(status("--XX\r\n\r\nx\r\n"), 400);
  EXPECT_EQ(status("--XX\nContent-Disposition: form-data; name=a\n\nx\n"), 400);
  EXPECT_EQ(status("--XX \r\n"), 400);
  EXPECT_EQ(status("--XX-\r\n"), 400);
  EXPECT_EQ(headers("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: binary"), 0);
}

TEST(MultipartParser, HasLimits) {
  EXPECT_EQ(parse(field("a", "1") + field("b", "2") + kEnd, 7, {.max_parts = 1}).status, 413);
  EXPECT_EQ(parse(field("a", "1") + kEnd, 7, {.max_parts = 1}).status, 0);
  const std::string large = part("Content-Disposition: form-data; name=a\r\nX: " + std::string(9000, 'x'), "");
  EXPECT_EQ(parse(large + kEnd).status, 413);
  EXPECT_EQ(parse(large + kEnd, 100).status, 413);
  std::string many = "Content-Disposition: form-data; name=a";
  for (int i = 0; i < 20; ++i) many += "\r\nX: y";
  EXPECT_EQ(parse(part(many, "") + kEnd).status, 413);
}

TEST(MultipartBoundary, IsReadFromTheContentType) {
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c\""), "a b:c");
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"),
            "----WebKitFormBoundary7MA4YWxkTrZu0gW");
  const std::string too_long = "multipart/form-data; boundary=" + std::string(71, 'a');
  for (const std::string_view bad : std::initializer_list<std::string_view>{
           too_long, "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a",
           "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=\"a \"",
           "multipart/form-data; boundary=a=b", "multipart/form-data; boundary=a; boundary=b",
           "multipart/form-data; boundary=\"a\r\nb\"", "text/plain", "multipart/form-data; boundary=\"unclosed"}) {
    EXPECT_EQ(multipart_boundary(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace ashlar::http
