#include <ashlar/app/openapi_changes.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>

namespace ashlar {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> compare(App& before, App& after) {
  std::vector<std::string> lines;
  for (const auto& change : compare_openapi(before.openapi(), after.openapi())) {
    lines.push_back((change.breaking ? "breaking " : "") + change.text);
  }
  return lines;
}

namespace v1 {
enum class State { open, closed };
struct Note {
  std::string text;
  std::string author;
  State state;
  std::vector<Note> replies;
};
struct NewNote {
  Annotated<std::string, max_length{100}> text;
  std::optional<std::string> title;
};
struct Key {
  std::string key;
};
struct Page {
  Annotated<int, le{100}> limit = 10;
  int offset = 0;
};
}  // namespace v1
namespace v2 {
enum class State { open, closed, archived };
struct Note {
  std::string text;
  State state;
  std::vector<Note> replies;
  int likes;
};
struct NewNote {
  Annotated<std::string, max_length{50}> text;
  std::string title;
  std::optional<std::string> tag;
};
struct Page {
  Annotated<int, le{200}> limit = 10;
};
}  // namespace v2

int identify(Bearer) { return 1; }

TEST(OpenApiChanges, NothingChangesByItself) {
  App app;
  app.post<"/notes">([](v1::NewNote) { return v1::Note{}; });
  EXPECT_THAT(compare(app, app), IsEmpty());
}

TEST(OpenApiChanges, OperationsComeAndGo) {
  App before;
  before.get<"/old">([] { return Text{}; });
  before.get<"/named">([] { return Text{}; });
  App after;
  after.get<"/named">([] { return Text{}; }, {.operation_id = "named", .deprecated = true});
  after.get<"/new">([] { return Text{}; });
  EXPECT_THAT(compare(before, after),
              ElementsAre("breaking GET /named: its operation id was \"get_named\" and is \"named\": generated clients "
                          "call it by another name",
                          "breaking GET /old: is gone", "GET /named: is deprecated now", "GET /new: is new"));
}

TEST(OpenApiChanges, WhatIsTakenMayOnlyGrow) {
  App before;
  before.post<"/notes">([](v1::NewNote) { return Text{}; });
  App after;
  after.post<"/notes">([](v2::NewNote) { return Text{}; });
  EXPECT_THAT(compare(before, after),
              ElementsAre("breaking POST /notes body.text: its maxLength was 100 and is 50",
                          "breaking POST /notes body.title: is required now",
                          "breaking POST /notes body.title: its type was [\"string\",\"null\"] and is \"string\"",
                          "POST /notes body.tag: is new"));
}

TEST(OpenApiChanges, WhatIsAnsweredMayOnlyShrinkInItsVariety) {
  App before;
  before.get<"/notes">([] { return v1::Note{}; });
  App after;
  after.get<"/notes">([] { return v2::Note{}; });
  EXPECT_THAT(compare(before, after),
              ElementsAre("breaking GET /notes 200.author: is no longer answered",
                          "breaking GET /notes 200.state: its enum was [\"open\",\"closed\"] and is "
                          "[\"open\",\"closed\",\"archived\"]",
                          "GET /notes 200.likes: is new"));
}

TEST(OpenApiChanges, ParametersMayBecomeMoreGenerous) {
  App before;
  before.get<"/notes">([](Query<v1::Page>) { return Text{}; });
  App after;
  after.get<"/notes">([](Query<v2::Page>) { return Text{}; });
  EXPECT_THAT(compare(before, after), ElementsAre("breaking GET /notes query offset: is no longer read",
                                                  "GET /notes query limit: its maximum was 100 and is 200"));
  EXPECT_THAT(compare(after, before), ElementsAre("breaking GET /notes query limit: its maximum was 200 and is 100",
                                                  "GET /notes query offset: is new"));
}

TEST(OpenApiChanges, CredentialsMayNotBecomeNecessary) {
  App before;
  before.get<"/notes">([] { return Text{}; });
  App after;
  after.get<"/notes">([](Depends<identify>) { return Text{}; });
  EXPECT_THAT(compare(before, after),
              ElementsAre("breaking GET /notes: asks for other credentials", "GET /notes 401: is a new answer"));
  EXPECT_THAT(compare(after, before),
              ElementsAre("GET /notes: asks for other credentials", "GET /notes 401: is no longer answered"));
}

TEST(OpenApiChanges, WhatTheServiceSendsIsReadByOthers) {
  App before;
  before.webhook<NoContent(v1::Note)>("noted", {.answers = {{.status = 410}}});
  before.webhook<NoContent()>("gone");
  App after;
  after.webhook<NoContent(v2::Note)>("noted");
  after.webhook<NoContent()>("new");
  EXPECT_THAT(compare(before, after),
              ElementsAre("breaking webhook POST gone: is no longer sent",
                          "breaking webhook POST noted body.author: is no longer sent",
                          "breaking webhook POST noted body.state: its enum was [\"open\",\"closed\"] and is "
                          "[\"open\",\"closed\",\"archived\"]",
                          "breaking webhook POST noted 410: is no longer taken for an answer",
                          "webhook POST noted body.likes: is new", "webhook POST new: is new"));
}

TEST(OpenApiChanges, AnswersOfReceiversMayOnlyGrow) {
  App before;
  before.post<"/notes">([](v1::NewNote) {}, {.callbacks = {callback<v1::NewNote(Header<v1::Key>)>("a", "https://a")}});
  App after;
  after.post<"/notes">([](v1::NewNote) {}, {.callbacks = {callback<v2::NewNote()>("a", "https://a")}});
  EXPECT_THAT(
      compare(before, after),
      ElementsAre("breaking POST /notes, callback a POST https://a header Key: is no longer sent",
                  "breaking POST /notes, callback a POST https://a 200.text: its maxLength was 100 and is 50",
                  "breaking POST /notes, callback a POST https://a 200.title: is required now",
                  "breaking POST /notes, callback a POST https://a 200.title: its type was [\"string\",\"null\"] "
                  "and is \"string\"",
                  "POST /notes, callback a POST https://a 200.tag: is new"));
}

TEST(OpenApiChanges, TextsDoNotCount) {
  App before;
  before.get<"/notes">([] { return Text{}; }, {.summary = "All", .tags = {"a"}});
  App after;
  after.get<"/notes">([] { return Text{}; }, {.summary = "All notes", .description = "Every one", .tags = {"b"}});
  EXPECT_THAT(compare(before, after), IsEmpty());
}

// Of a service that takes this schema.
std::string document(std::string_view schema) {
  return R"({"openapi":"3.1.0","info":{"title":"t","version":"1"},"components":{"schemas":{)"
         R"("Cat":{"type":"object","properties":{"lives":{"type":"integer"}}},)"
         R"("Dog":{"type":"object","properties":{"tricks":{"type":"integer"}}}}},)"
         R"("paths":{"/a":{"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":)" +
         std::string(schema) + R"(}}},"responses":{"204":{"description":"done"}}}}}})";
}
std::vector<std::string> compare_taken(std::string_view before, std::string_view after) {
  std::vector<std::string> lines;
  for (const auto& change : compare_openapi(document(before), document(after))) {
    lines.push_back((change.breaking ? "breaking " : "") + change.text);
  }
  return lines;
}

TEST(OpenApiChanges, TheOrderOfAlternativesAndTheirTextsDoNotCount) {
  constexpr std::string_view kCat = R"({"$ref":"#/components/schemas/Cat"})";
  constexpr std::string_view kDog = R"({"$ref":"#/components/schemas/Dog"})";
  const auto one_of = [](std::string_view a, std::string_view b) {
    return fmt::format(R"({{"oneOf":[{},{}]}})", a, b);
  };
  EXPECT_THAT(compare_taken(one_of(kCat, kDog), one_of(kDog, kCat)), IsEmpty());
  EXPECT_THAT(compare_taken(one_of(R"({"type":"string","description":"a name"})", kDog),
                            one_of(kDog, R"({"type":"string","description":"the name"})")),
              IsEmpty());
  EXPECT_THAT(compare_taken(one_of(R"({"type":"string","maxLength":5})", kDog),
                            one_of(R"({"type":"string","maxLength":9})", kDog)),
              ElementsAre("POST /a body: its maxLength was 5 and is 9"));
  EXPECT_THAT(compare_taken(one_of(kCat, kDog), fmt::format(R"({{"oneOf":[{}]}})", kCat)),
              ElementsAre("breaking POST /a body: has other alternatives"));
}

TEST(OpenApiChanges, MembersWithoutANameMayNotBecomeRefused) {
  constexpr std::string_view kOpen = R"({"type":"object","properties":{"a":{"type":"integer"}}})";
  constexpr std::string_view kClosed =
      R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false})";
  constexpr std::string_view kNumbers =
      R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"integer"}})";
  EXPECT_THAT(compare_taken(kOpen, kClosed),
              ElementsAre("breaking POST /a body: members that it does not name are refused now"));
  EXPECT_THAT(compare_taken(kClosed, kOpen), ElementsAre("POST /a body: takes any member"));
  EXPECT_THAT(compare_taken(kOpen, kNumbers), ElementsAre("breaking POST /a body.*: has another shape"));
  EXPECT_THAT(compare_taken(kNumbers, kOpen), ElementsAre("POST /a body.*: has another shape"));
  EXPECT_THAT(compare_taken(kNumbers, kNumbers), IsEmpty());
}

TEST(OpenApiChanges, OfADocumentWithHolesAreWhatCanBeTold) {
  constexpr std::string_view kHoles =
      R"({"paths":{"/a":{"get":{"parameters":[{},{"$ref":"#/nowhere"}],"responses":{"200":{}}}}}})";
  EXPECT_THAT(compare_openapi(kHoles, kHoles), IsEmpty());
}

TEST(OpenApiChanges, AreNotHowTheDocumentIsWritten) {
  const std::string before = document(R"({"anyOf":[{"type":"string","maxLength":5},{"type":"null"}]})");
  const std::string same =
      document("{\n  \"anyOf\": [ {\"maxLength\": 5, \"type\": \"s\\u0074ring\"}, {\"type\": \"null\"} ]\n}");
  EXPECT_THAT(compare_openapi(before, same), IsEmpty());
  EXPECT_EQ(compare_openapi(before, document(R"({"anyOf":[{"type":"string","maxLength":4},{"type":"null"}]})")).size(),
            1U);
}

}  // namespace
}  // namespace ashlar
