#include <ashlar/app/negotiation.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using ::testing::AllOf;
using testing::Client;
using ::testing::HasSubstr;

struct Book {
  std::int64_t id;
  std::string title;
  std::optional<std::string> note;
  std::vector<int> pages;
  bool sold_out = false;
  static constexpr SchemaOptions schema{.naming = Naming::camel_case};
};

void add_books(App& app) {
  app.get<"/books">([]() -> Negotiated<std::vector<Book>, AsCsv, AsJsonLines> {
    return std::vector<Book>{{1, "a, \"b\"", std::nullopt, {1, 2}}, {2, "", "line\nline", {}, true}};
  });
}

std::string chosen(std::string_view accept) {
  static constexpr auto& forms = detail::kAnswerForms<AsJson, AsCsv, AsJsonLines>;
  const auto* const form = detail::choose_form(accept, forms);
  return form == nullptr ? "none" : std::string(form->type.substr(0, form->type.find(';')));
}

TEST(Negotiated, ChoosesWhatTheClientPrefers) {
  EXPECT_EQ(chosen(""), "application/json");
  EXPECT_EQ(chosen("*/*"), "application/json");
  EXPECT_EQ(chosen("text/csv"), "text/csv");
  EXPECT_EQ(chosen("TEXT/CSV"), "text/csv");
  EXPECT_EQ(chosen("text/*"), "text/csv");
  EXPECT_EQ(chosen("application/jsonl, application/json;q=0.5"), "application/jsonl");
  EXPECT_EQ(chosen("application/json;q=0.2, text/csv;q=0.3"), "text/csv");
  EXPECT_EQ(chosen("text/csv, application/json"), "application/json") << "of equal wishes the first form";
  EXPECT_EQ(chosen("text/html, */*;q=0.1"), "application/json");
  EXPECT_EQ(chosen("*/*, application/json;q=0"), "text/csv") << "the most specific range counts";
  EXPECT_EQ(chosen("text/csv;header=absent;q=0.4, application/*;q=0.3"), "text/csv");
}

TEST(Negotiated, GivesNoneThatIsNotTaken) {
  EXPECT_EQ(chosen("text/html"), "none");
  EXPECT_EQ(chosen("text/csv;q=0"), "none");
  EXPECT_EQ(chosen("*/*;q=0.0"), "none");
  EXPECT_EQ(chosen("image/*"), "none");
}

TEST(Negotiated, WhatIsNoRangeIsLeftOut) {
  EXPECT_EQ(chosen("csv"), "application/json") << "as if there were none";
  EXPECT_EQ(chosen(",;,/,text/csv"), "text/csv");
  EXPECT_EQ(chosen("text/csv;q=high"), "text/csv");
  EXPECT_EQ(chosen("text/csv;q=7, application/json;q=0.9"), "text/csv");
}

TEST(Negotiated, IsWrittenInTheFormThatWasChosen) {
  App app;
  add_books(app);
  Client client{app};
  const auto json = client.get("/books").send();
  EXPECT_EQ(json.header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(json.header("Vary"), "Accept");
  EXPECT_EQ(json.json<std::vector<Book>>().size(), 2U);
  const auto csv = client.get("/books").header("Accept", "text/csv").send();
  EXPECT_EQ(csv.header("Content-Type"), "text/csv; charset=utf-8; header=present");
  EXPECT_EQ(csv.body,
            "id,title,note,pages,soldOut\r\n1,\"a, \"\"b\"\"\",,\"[1,2]\",false\r\n2,\"\",\"line\nline\",[],true\r\n");
  const auto lines = client.get("/books").header("Accept", "application/jsonl").send();
  EXPECT_EQ(lines.body,
            "{\"id\":1,\"title\":\"a, \\\"b\\\"\",\"note\":null,\"pages\":[1,2],\"soldOut\":false}\n"
            "{\"id\":2,\"title\":\"\",\"note\":\"line\\nline\",\"pages\":[],\"soldOut\":true}\n");
}

TEST(Negotiated, OffersWhatThereIsWith406) {
  App app;
  add_books(app);
  Client client{app};
  const auto answer = client.get("/books").header("Accept", "text/html").send();
  EXPECT_EQ(answer.status, 406);
  EXPECT_THAT(answer.body, HasSubstr("this is to be had as application/json, text/csv, application/jsonl"));
  EXPECT_EQ(answer.header("Vary"), "Accept");
}

TEST(Negotiated, ShowsEveryFormInOpenApi) {
  App app;
  add_books(app);
  EXPECT_THAT(app.openapi(), AllOf(HasSubstr(R"("application/json":{"schema":{"type":"array")"),
                                   HasSubstr(R"("text/csv":{"schema":{"type":"string"}})"),
                                   HasSubstr(R"("application/jsonl")"), HasSubstr(R"("406")")));
}

}  // namespace
}  // namespace ashlar
