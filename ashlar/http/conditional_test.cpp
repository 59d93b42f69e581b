#include <ashlar/http/conditional.hpp>

#include <initializer_list>

#include <gtest/gtest.h>

#include <ashlar/http/content_disposition.hpp>
#include <ashlar/http/date.hpp>
#include <ashlar/http/media_type.hpp>
#include <ashlar/http/ranges.hpp>
#include <ashlar/http/representation.hpp>

namespace ashlar::http {
namespace {

constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::time_t kTime = 784111777;

void fill(Request& request, Method method, std::initializer_list<Header> headers) {
  request.clear();
  request.method = method;
  for (const Header& one : headers) request.add_header(one.name, one.value);
}
Condition check(Method method, std::initializer_list<Header> headers, Validators current, bool exists = true) {
  Request request;
  fill(request, method, headers);
  return check_conditions(request, current, exists);
}

TEST(HttpDate, IsReadInAllThreeFormats) {
  EXPECT_EQ(parse_http_date(kDate), kTime);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), kTime);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), kTime);
  EXPECT_EQ(format_http_date(kTime), kDate);
}
TEST(HttpDate, ThatIsNoneIsNotRead) {
  for (const std::string_view text :
       {"", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "0",
        "Sun, 06-Nov-94 08:49:37 GMT"}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}
TEST(HttpDate, WithTwoDigitsIsAtMostFiftyYearsAhead) {
  const auto year = [](std::string_view text) { return format_http_date(*parse_http_date(text)).substr(12, 4); };
  EXPECT_EQ(year("Sunday, 06-Nov-99 08:49:37 GMT"), "1999");
  EXPECT_EQ(year("Sunday, 06-Nov-30 08:49:37 GMT"), "2030");
}

TEST(Conditions, IfNoneMatchComparesWeakly) {
  const Validators current{.etag = "\"a\""};
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "\"a\""}}, current), Condition::not_modified);
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "\"x\", W/\"a\""}}, current), Condition::not_modified);
  EXPECT_EQ(check(Method::head, {{"If-None-Match", "*"}}, current), Condition::not_modified);
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "\"b\""}}, current), Condition::proceed);
  EXPECT_EQ(check(Method::put, {{"If-None-Match", "*"}}, current), Condition::failed);
  EXPECT_EQ(check(Method::put, {{"If-None-Match", "*"}}, {}, false), Condition::proceed);
}
TEST(Conditions, TagsMayHoldCommasAndStandInSeveralLines) {
  const Validators current{.etag = "\"a,b\""};
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "\"x\" , \"a,b\""}}, current), Condition::not_modified);
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "\"x\""}, {"If-None-Match", "\"a,b\""}}, current),
            Condition::not_modified);
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "a,b"}}, current), Condition::proceed);
  EXPECT_EQ(check(Method::get, {{"If-None-Match", "\"a,b"}}, current), Condition::proceed);
}
TEST(Conditions, IfMatchComparesStrongly) {
  EXPECT_EQ(check(Method::put, {{"If-Match", "\"a\""}}, {.etag = "\"a\""}), Condition::proceed);
  EXPECT_EQ(check(Method::put, {{"If-Match", "W/\"a\""}}, {.etag = "W/\"a\""}), Condition::failed);
  EXPECT_EQ(check(Method::put, {{"If-Match", "\"b\""}}, {.etag = "\"a\""}), Condition::failed);
  EXPECT_EQ(check(Method::put, {{"If-Match", "*"}}, {.etag = "\"a\""}), Condition::proceed);
  EXPECT_EQ(check(Method::put, {{"If-Match", "*"}}, {}, false), Condition::failed);
}
TEST(Conditions, DatesCountWhereNoTagsAreAskedFor) {
  const Validators current{.etag = "\"a\"", .last_modified = kTime};
  EXPECT_EQ(check(Method::get, {{"If-Modified-Since", kDate}}, current), Condition::not_modified);
  EXPECT_EQ(check(Method::get, {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}, current), Condition::proceed);
  EXPECT_EQ(check(Method::get, {{"If-Modified-Since", kDate}, {"If-None-Match", "\"b\""}}, current),
            Condition::proceed);
  EXPECT_EQ(check(Method::post, {{"If-Modified-Since", kDate}}, current), Condition::proceed);
  EXPECT_EQ(check(Method::get, {{"If-Modified-Since", "garbage"}}, current), Condition::proceed);
  EXPECT_EQ(check(Method::put, {{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}, current), Condition::failed);
  EXPECT_EQ(check(Method::put, {{"If-Unmodified-Since", kDate}}, current), Condition::proceed);
  EXPECT_EQ(
      check(Method::put, {{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}, {"If-Match", "\"a\""}}, current),
      Condition::proceed);
}

using Kind = RangeChoice::Kind;
std::vector<ByteRange> parts(std::string_view header, std::uint64_t size) {
  RangeChoice choice = choose_ranges(header, size);
  EXPECT_EQ(choice.kind, Kind::parts) << header;
  return choice.ranges;
}

TEST(Ranges, AreCutToTheContent) {
  EXPECT_EQ(parts("bytes=0-499", 1000), (std::vector<ByteRange>{{0, 500}}));
  EXPECT_EQ(parts("bytes=500-", 1000), (std::vector<ByteRange>{{500, 500}}));
  EXPECT_EQ(parts("bytes=-300", 1000), (std::vector<ByteRange>{{700, 300}}));
  EXPECT_EQ(parts("bytes=-3000", 1000), (std::vector<ByteRange>{{0, 1000}}));
  EXPECT_EQ(parts("bytes=900-99999999999999999999999", 1000), (std::vector<ByteRange>{{900, 100}}));
  EXPECT_EQ(parts("Bytes= 0-0 , 5-6", 1000), (std::vector<ByteRange>{{0, 1}, {5, 2}}));
  EXPECT_EQ(parts("bytes=2000-, 5-6", 1000), (std::vector<ByteRange>{{5, 2}}));
}
TEST(Ranges, OutsideOfTheContentAreUnsatisfiable) {
  EXPECT_EQ(choose_ranges("bytes=1000-", 1000).kind, Kind::unsatisfiable);
  EXPECT_EQ(choose_ranges("bytes=-0", 1000).kind, Kind::unsatisfiable);
  EXPECT_EQ(choose_ranges("bytes=0-", 0).kind, Kind::unsatisfiable);
}
TEST(Ranges, ThatCannotBeReadAreIgnored) {
  for (const std::string_view text : {"", "bytes", "bytes=", "bytes=a-b", "bytes=5-2", "bytes=-", "bytes=1-2-3",
                                      "lines=1-2", "bytes=0x0-1", "bytes=+1-2", "bytes=0-1,x"}) {
    EXPECT_EQ(choose_ranges(text, 1000).kind, Kind::whole) << text;
  }
}
TEST(Ranges, TooManyOrOverlappingAreIgnored) {
  std::string many = "bytes=0-0";
  for (int i = 1; i < 17; ++i) many += "," + std::to_string(i * 2) + "-" + std::to_string(i * 2);
  EXPECT_EQ(choose_ranges(many, 1000).kind, Kind::whole);
  EXPECT_EQ(choose_ranges("bytes=0-,0-,0-,0-", 1000).kind, Kind::whole);
}

Representation text(std::string_view bytes) {
  return {.content_type = "text/plain", .etag = "\"t\"", .last_modified = kTime, .bytes = bytes};
}
void answer(Response& response, std::initializer_list<Header> headers, Method method = Method::get) {
  Request request;
  fill(request, method, headers);
  respond_with(request, response, text("0123456789"));
}

TEST(Representation, IsAnsweredWhole) {
  Response response;
  answer(response, {});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body_bytes(), "0123456789");
  EXPECT_EQ(response.find_header("ETag"), "\"t\"");
  EXPECT_EQ(response.find_header("Last-Modified"), kDate);
  EXPECT_EQ(response.find_header("Accept-Ranges"), "bytes");
}
TEST(Representation, IsAnsweredInPart) {
  Response response;
  answer(response, {{"Range", "bytes=2-4"}});
  EXPECT_EQ(response.status, 206);
  EXPECT_EQ(response.body_bytes(), "234");
  EXPECT_EQ(response.find_header("Content-Range"), "bytes 2-4/10");
}
TEST(Representation, IsAnsweredInSeveralParts) {
  Response response;
  answer(response, {{"Range", "bytes=0-1,-1"}});
  EXPECT_EQ(response.status, 206);
  EXPECT_TRUE(response.streaming());
  EXPECT_TRUE(response.find_header("Content-Type")->starts_with("multipart/byteranges; boundary="));
  EXPECT_EQ(response.find_header("Content-Range"), std::nullopt);
}
TEST(Representation, RangesCountForGetAlone) {
  Response response;
  answer(response, {{"Range", "bytes=2-4"}}, Method::head);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body_bytes().size(), 10U);
}
TEST(Representation, RefusesRangesThatItDoesNotHave) {
  Response response;
  answer(response, {{"Range", "bytes=10-"}});
  EXPECT_EQ(response.status, 416);
  EXPECT_EQ(response.find_header("Content-Range"), "bytes */10");
}
TEST(Representation, IsAnsweredWholeWhenIfRangeDoesNotMatch) {
  for (const std::string_view condition : {"\"other\"", "W/\"t\"", "Sun, 06 Nov 1994 08:49:38 GMT", "garbage"}) {
    Response response;
    answer(response, {{"Range", "bytes=2-4"}, {"If-Range", condition}});
    EXPECT_EQ(response.status, 200) << condition;
  }
  for (const std::string_view condition : {std::string_view("\"t\""), kDate}) {
    Response response;
    answer(response, {{"Range", "bytes=2-4"}, {"If-Range", condition}});
    EXPECT_EQ(response.status, 206) << condition;
  }
}
TEST(Representation, SaysWhenNothingHasChanged) {
  Response response;
  answer(response, {{"If-None-Match", "\"t\""}, {"Range", "bytes=2-4"}});
  EXPECT_EQ(response.status, 304);
  EXPECT_EQ(response.find_header("ETag"), "\"t\"");
  EXPECT_EQ(response.body_bytes(), "");
  Response failed;
  answer(failed, {{"If-Match", "\"u\""}});
  EXPECT_EQ(failed.status, 412);
}

TEST(ContentDisposition, TellsNamesInAnyLanguage) {
  EXPECT_EQ(content_disposition("attachment", "a b.txt"), "attachment; filename=\"a b.txt\"");
  EXPECT_EQ(content_disposition("inline", "résumé.pdf"),
            "inline; filename=\"r_sum_.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf");
  EXPECT_EQ(content_disposition("attachment", "a\"\r\nb%41.txt"),
            "attachment; filename=\"a___b_41.txt\"; filename*=UTF-8''a%22__b%2541.txt");
  EXPECT_EQ(content_disposition("attachment", "../../etc/passwd"), "attachment; filename=\"passwd\"");
  EXPECT_EQ(content_disposition("attachment", ""), "attachment");
}

TEST(MediaType, IsKnownByTheExtension) {
  EXPECT_EQ(media_type_of("a/b/SITE.CSS"), "text/css; charset=utf-8");
  EXPECT_EQ(media_type_of("x.tar.gz"), "application/gzip");
  EXPECT_EQ(media_type_of("a.b/c"), "application/octet-stream");
  EXPECT_EQ(media_type_of("noextension"), "application/octet-stream");
  EXPECT_EQ(media_type_of("x.webmanifest"), "application/manifest+json");
  EXPECT_EQ(media_type_of("x.webmanifests"), "application/octet-stream");
}
TEST(MediaType, IsCompressibleWhenItIsText) {
  for (const std::string_view type : {"text/html; charset=utf-8", "Application/JSON", "application/problem+json",
                                      "image/svg+xml", "application/wasm", "text/event-stream"}) {
    EXPECT_TRUE(is_compressible(type)) << type;
  }
  for (const std::string_view type : {"image/png", "application/zip", "video/mp4", "", "application/octet-stream"}) {
    EXPECT_FALSE(is_compressible(type)) << type;
  }
}

}  // namespace
}  // namespace ashlar::http
