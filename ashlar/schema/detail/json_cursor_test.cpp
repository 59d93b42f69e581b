#include <ashlar/schema/detail/json_cursor.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace ashlar::schema::detail {
namespace {

using testing::HasSubstr;

bool valid(std::string_view json) {
  JsonCursor cursor(json);
  cursor.skip();
  return cursor.finish();
}

JsonProblem problem_of(std::string_view json) {
  JsonCursor cursor(json);
  cursor.skip();
  EXPECT_FALSE(cursor.finish()) << json;
  return cursor.problem();
}

TEST(JsonCursor, WalksAnObjectInTheOrderWritten) {
  JsonCursor json(R"( {"name" : "Ada", "age":36 ,"tags":["a","b"], "ok":true, "none":null} )");
  ASSERT_EQ(json.kind(), JsonKind::object);
  std::vector<std::string> seen;
  std::string scratch;
  for (bool more = json.begin_object(); more; more = json.next_member()) {
    std::string entry(json.key());
    if (entry == "name") entry += "=" + std::string(json.string(scratch));
    if (entry == "age") entry += "=" + std::to_string(json.number().natural);
    if (entry == "tags") {
      ASSERT_EQ(json.kind(), JsonKind::array);
      for (bool element = json.begin_array(); element; element = json.next_element()) {
        entry += "," + std::string(json.string(scratch));
      }
    }
    if (entry == "ok") entry += json.boolean() ? "=yes" : "=no";
    if (entry == "none") json.null();
    seen.push_back(entry);
  }
  EXPECT_TRUE(json.finish());
  EXPECT_THAT(seen, testing::ElementsAre("name=Ada", "age=36", "tags,a,b", "ok=yes", "none"));
}

TEST(JsonCursor, AcceptsAndRefusesWhatSimdjsonsDomDoes) {
  const std::vector<std::string> documents = {
      "{}", "[]", "0", "-0", "1", "\"\"", "true", "false", "null", " 1 ", "\t\r\n[ ]\n", "[1,2]", R"({"a":{"b":[{}]}})",
      "1.5", "1e5", "1E+5", "-1.25e-3", R"(["\u00e9\ud83d\ude00\n\"\\\/"])", R"({"":0})", R"({"a":1,"a":2})",
      "[[[[]]]]",
      // and those that are wrong
      "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "1 2", "{,}", R"({"a"})", R"({"a":})",
      R"({"a":1,})", R"({"a" 1})", R"({a:1})", R"({"a":1 "b":2})", R"({1:2})", "[1}", "{]", R"({"a":1])", "tru",
      "truex", "true false", "nul", "True", "01", "-", "-a", "+1", ".5", "1.", "1.e5", "1e", "1e+", "0x10", "1a",
      "1\"a\"", "\"a\"b", "\"a\"\"b\"", "\"a", "\"a\\\"", R"("\x")", R"("\u12g4")", R"("\u12")", R"("\ud800")",
      R"("\ud800\u0041")", R"("\udc00")", "\"a\nb\"", std::string("\"a\0b\"", 5), std::string("1\0", 2), "\"\xff\"",
      "\"\xc3\"", "\xef\xbb\xbf{}", "NaN", "Infinity", "//", "[1]/**/", "'a'", "[\"a\":1]", "{\"a\",\"b\"}", "::", ",",
      ":", "[:]", "[null true]", "{\"a\":1}}", "[]]", "nulll", "[tru]", "\f1"};
  simdjson::dom::parser dom;
  for (const std::string& document : documents) {
    simdjson::dom::element element;
    const bool expected = dom.parse(simdjson::padded_string(document)).get(element) == simdjson::SUCCESS;
    EXPECT_EQ(valid(document), expected) << document;
  }
}

TEST(JsonCursor, DecodesEscapes) {
  std::string scratch;
  JsonCursor json(R"("tab\t quote\" slash\/ \\ \u00e9 \u20AC \ud83d\ude00 end")");
  EXPECT_EQ(json.string(scratch), "tab\t quote\" slash/ \\ é € 😀 end");
  EXPECT_TRUE(json.finish());
}

TEST(JsonCursor, GivesPlainStringsAsViewsIntoTheDocument) {
  const std::string document = R"(["plain"])";
  JsonCursor json(document);
  std::string scratch;
  ASSERT_TRUE(json.begin_array());
  const std::string_view text = json.string(scratch);
  EXPECT_EQ(text, "plain");
  EXPECT_EQ(text.data(), document.data() + 2);
}

TEST(JsonCursor, TellsIntegersOfEachSizeFromReals) {
  const auto read = [](std::string_view text) {
    JsonCursor json(text);
    const JsonNumber number = json.number();
    EXPECT_TRUE(json.finish()) << text;
    return number;
  };
  EXPECT_EQ(read("0").natural, 0u);
  EXPECT_EQ(read("18446744073709551615").natural, 18446744073709551615u);
  EXPECT_EQ(read("18446744073709551616").kind, JsonNumber::Kind::big);
  EXPECT_EQ(read("-9223372036854775808").negative, INT64_MIN);
  EXPECT_EQ(read("-9223372036854775808").kind, JsonNumber::Kind::negative);
  EXPECT_EQ(read("-9223372036854775809").kind, JsonNumber::Kind::big);
  EXPECT_EQ(read("99999999999999999999999").kind, JsonNumber::Kind::big);
  EXPECT_EQ(read("1.0").kind, JsonNumber::Kind::real);
  EXPECT_EQ(read("1e3").kind, JsonNumber::Kind::real);
}

TEST(JsonCursor, RoundsRealsLikeStrtod) {
  for (const char* text :
       {"0.1", "245.5", "-18.25", "1e22", "1e23", "1.7976931348623157e308", "5e-324", "2.2250738585072011e-308",
        "0.30000000000000004", "123456789012345.6", "9007199254740993.0", "-0.0", "1e-400", "1e400", "-1e400",
        "99999999999999999999999", "-0", "3.0000000000000000000000000001"}) {
    JsonCursor json(text);
    const double value = json.number().to_double();
    const double expected = std::strtod(text, nullptr);
    EXPECT_EQ(value, expected) << text;
    EXPECT_EQ(std::signbit(value), std::signbit(expected)) << text;
  }
}

TEST(JsonCursor, SkipsAValueAndGivesItsText) {
  JsonCursor json(R"([ {"a" : [1, 2]} , "x\"y" ,-1.5e3 , null,[] ])");
  std::vector<std::string> texts;
  for (bool more = json.begin_array(); more; more = json.next_element()) texts.emplace_back(json.skip());
  EXPECT_TRUE(json.finish());
  EXPECT_THAT(texts, testing::ElementsAre(R"({"a" : [1, 2]})", R"("x\"y")", "-1.5e3", "null", "[]"));
}

TEST(JsonCursor, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(problem_of("").message, "the document is empty");
  EXPECT_EQ(problem_of("[1,\n 2,]").offset, 7u);
  EXPECT_EQ(locate("[1,\n 2,]", 7).line, 2u);
  EXPECT_EQ(locate("[1,\n 2,]", 7).column, 4u);
  EXPECT_EQ(locate("\"é\" x", 5).column, 5u) << "columns are code points";
  EXPECT_THAT(std::string(problem_of("{\"a\":\"b\nc\"}").message), HasSubstr("control character"));
  EXPECT_EQ(problem_of("{\"a\":\"b\nc\"}").offset, 7u);
  EXPECT_EQ(problem_of("{\"a\":\"b}").offset, 5u);
  EXPECT_EQ(problem_of("[\"ab\xff\"]").offset, 4u);
  EXPECT_EQ(problem_of("[\"ab\xff\"]").message, "invalid UTF-8");
  EXPECT_EQ(problem_of(R"({"a":1 "b":2})").offset, 7u);
  EXPECT_EQ(problem_of("[1] 2").message, "expected the end of the document");
}

TEST(JsonCursor, GivesNothingAfterAnError) {
  JsonCursor json("[1 2]");
  ASSERT_TRUE(json.begin_array());
  EXPECT_EQ(json.number().natural, 1u);
  EXPECT_FALSE(json.next_element());
  EXPECT_TRUE(json.failed());
  EXPECT_EQ(json.kind(), JsonKind::invalid);
  EXPECT_FALSE(json.next_element());
  EXPECT_FALSE(json.next_member());
  EXPECT_EQ(json.skip(), "");
  EXPECT_FALSE(json.finish());
  EXPECT_EQ(json.problem().offset, 3u);
}

TEST(JsonCursor, RefusesToSkipWhatIsNestedTooDeeply) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(valid(nested(JsonCursor::kMaxDepth)));
  EXPECT_EQ(problem_of(nested(JsonCursor::kMaxDepth + 1)).message, "nested too deeply");
  EXPECT_EQ(problem_of(std::string(100'000, '[')).message, "nested too deeply");
}

TEST(JsonCursor, ReadsDocumentsInsideEachOther) {
  JsonCursor outer(R"({"a":1,"b":2})");
  ASSERT_TRUE(outer.begin_object());
  EXPECT_TRUE(valid("[1,2,3,4,5,6,7,8,9]"));
  EXPECT_EQ(outer.key(), "a");
  EXPECT_EQ(outer.number().natural, 1u);
  ASSERT_TRUE(outer.next_member());
  EXPECT_EQ(outer.key(), "b");
  EXPECT_EQ(outer.number().natural, 2u);
  EXPECT_FALSE(outer.next_member());
  EXPECT_TRUE(outer.finish());
}

TEST(JsonCursor, ReadsNoByteBehindTheDocument) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  auto* const memory =
      static_cast<char*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory + page, page, PROT_NONE), 0);
  for (std::size_t padding = 0; padding < 200; ++padding) {
    for (const std::string& tail :
         {R"("text")", "12345", "1.5", "true", "null", "{}", R"(["a\n"])", "1.", "tru", "\"a"}) {
      const std::string document = std::string(padding, ' ') + tail;
      char* const at = memory + page - document.size();
      std::memcpy(at, document.data(), document.size());
      JsonCursor cursor(std::string_view(at, document.size()));
      if (cursor.kind() == JsonKind::number) {
        static_cast<void>(cursor.number().to_double());
      } else {
        cursor.skip();
      }
      static_cast<void>(cursor.finish());
    }
  }
  munmap(memory, 2 * page);
}

TEST(JsonCursor, ReadsLargeDocumentsAndKeepsNoLargeMemory) {
  std::string document = "[";
  for (int i = 0; i < 300'000; ++i) document += "123456,";
  document += "0]";
  EXPECT_TRUE(valid(document));
  EXPECT_TRUE(valid("[1]"));
}

}  // namespace
}  // namespace ashlar::schema::detail
