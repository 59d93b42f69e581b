// What the cases of fuzz() are about: each constraint alone, credentials of every wrong kind, things that are used
// again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/fuzz_stock.hpp>
#include <ashlar/app/detail/test_fuzz.hpp>
#include <ashlar/app/fuzz.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar {
namespace {

using test::found;
using ::testing::HasSubstr;
using Names = std::set<std::string>;

struct NewNote {
  Annotated<std::string, min_length{1}, max_length{30}> text;
  std::optional<Annotated<std::string, max_length{5}>> colour;
  std::optional<Annotated<int, ge{0}, le{9}>> stars;
};
struct Note {
  std::int64_t id;
  std::string text;
};
struct Page {
  Annotated<int, ge{1}, le{100}> limit = 20;
};

// Notes with an owner whose token is "notes.0123456789abcdef".
class Service {
 public:
  App app;
  bool looks_at_signatures = true;
  std::size_t most_reads = 1'000'000;  // of one note, before its handler fails
  std::size_t made = 0, reads = 0;
  [[nodiscard]] std::size_t kept() const { return notes_.size(); }

  Service() {
    app.provide(*this);
    app.get<"/notes">([](Query<Page>) { return std::vector<Note>{}; });
    app.post<"/notes">([](Depends<owner>, NewNote in, Service& own) -> Created<Note> {
      const Note note{static_cast<std::int64_t>(++own.made), in.text};
      own.notes_[note.id] = {note, 0};
      return {note};
    });
    app.get<"/notes/{id}">(
        [](Path<"id", std::int64_t> id, Service& own) -> Note {
          ++own.reads;
          Kept& kept = own.find(id);
          if (++kept.reads > own.most_reads) throw Internal("worn out");
          return kept.note;
        },
        {.errors = {404}});
    app.put<"/notes/{id}">(
        [](Depends<owner>, Path<"id", std::int64_t> id, NewNote in, Service& own) -> Note {
          Kept& kept = own.find(id);
          kept.note.text = in.text;
          return kept.note;
        },
        {.errors = {404}});
    app.del<"/notes/{id}">(
        [](Depends<owner>, Path<"id", std::int64_t> id, Service& own) {
          own.find(id);
          own.notes_.erase(id);
          return NoContent{};
        },
        {.errors = {404}});
  }

 private:
  struct Kept {
    Note note;
    std::size_t reads;
  };
  struct Owner {};
  static Owner owner(Bearer bearer, Service& own) {
    const bool good = own.looks_at_signatures ? bearer.token == "notes.0123456789abcdef"
                                              : std::string_view(bearer.token).starts_with("notes.");
    if (!good) throw Unauthenticated("no such token");
    return {};
  }
  Kept& find(std::int64_t id) {
    const auto at = notes_.find(id);
    if (at == notes_.end()) throw NotFound("no such note");
    return at->second;
  }

  std::map<std::int64_t, Kept> notes_;
};

FuzzReport report_of(App& app,
                     FuzzOptions options = {.cases = 1000, .authorization = "Bearer notes.0123456789abcdef"}) {
  return test::report_of(app, std::move(options));
}

TEST(FuzzMix, IsOfEveryKindAndCounted) {
  Service service;
  const FuzzReport report = report_of(service.app);
  EXPECT_EQ(found(report), Names{});
  const FuzzKinds& kinds = report.kinds;
  EXPECT_EQ(kinds.alone + kinds.sequences + kinds.invalid + kinds.credentials + kinds.methods, report.cases);
  EXPECT_GE(kinds.alone + kinds.sequences, report.cases / 5) << "data that fits";
  EXPECT_GE(kinds.sequences, report.cases / 10);
  EXPECT_GE(kinds.invalid, report.cases / 4);
  EXPECT_GE(kinds.credentials, report.cases / 10);
  EXPECT_GE(kinds.methods, 3U);
  for (const auto& one : report.operations) EXPECT_GE(one.successes, 20U) << one.operation;
  const Json json(report.json());
  EXPECT_EQ(json.find("kinds")->find("sequences")->as_integer(), static_cast<std::int64_t>(kinds.sequences));
}

TEST(FuzzMix, UsesWhatWasMadeMoreThanOnce) {
  Service service;
  const FuzzReport report = report_of(
      service.app, {.cases = 1000, .routes = {"/notes/{id}"}, .authorization = "Bearer notes.0123456789abcdef"});
  EXPECT_EQ(found(report), Names{});
  EXPECT_GT(service.reads, 50U);
  EXPECT_LT(service.made, report.kinds.sequences);
}

TEST(FuzzMix, DeletesWhatItDoesNotNeedAnyMore) {
  Service service;
  const FuzzReport report = report_of(service.app, {.cases = 4000, .authorization = "Bearer notes.0123456789abcdef"});
  EXPECT_EQ(found(report), Names{});
  EXPECT_GT(service.made, 200U);
  EXPECT_LT(service.kept(), 40U);
}

// A case alone makes a note of its own and reads it once.
TEST(FuzzMix, TellsOfAFailureThatOnlyWhatWasUsedBeforeShows) {
  Service service;
  service.most_reads = 1;
  const FuzzReport report = report_of(service.app);
  EXPECT_EQ(found(report), Names{"server-error GET /notes/{id}"});
  EXPECT_THAT(report.findings.at(0).message, HasSubstr("on what other cases had used before"));
}

TEST(FuzzMix, ChangesALetterOfCredentials) {
  Service service;
  service.looks_at_signatures = false;
  const FuzzReport report = report_of(service.app);
  EXPECT_EQ(found(report),
            (Names{"auth-ignored POST /notes", "auth-ignored PUT /notes/{id}", "auth-ignored DELETE /notes/{id}"}));
  EXPECT_THAT(report.findings.at(0).message, HasSubstr("to credentials with a letter changed"));
  EXPECT_THAT(report.findings.at(0).curl, HasSubstr("-H \"Authorization: ${AUTH::-10}a${AUTH: -9}\""));
}

// A middleware that takes what is refused with this status, if its description has this text in it.
struct Takes : Middleware {
  Takes(int refused, std::string with) : status(refused), text(std::move(with)) {}
  void after(http::Exchange& exchange) noexcept override {
    if (exchange.response.status != status || exchange.response.body.find(text) == std::string::npos) return;
    exchange.response.clear();
    exchange.response.status = 200;
    exchange.response.content_type = "application/json";
    exchange.response.body = R"({"id":1,"text":"a"})";
  }
  int status;
  std::string text;
};

Names found_with(Takes takes) {
  App app;
  app.use(std::move(takes));
  app.post<"/notes">([](NewNote in) { return Note{1, in.text}; });
  Names out;
  for (const auto& one : report_of(app, {.cases = 0}).findings) out.insert(one.check + ": " + one.message);
  return out;
}

TEST(FuzzMix, BreaksTheConstraintsOfMembersThatNeedNotBeThere) {
  EXPECT_EQ(found_with({422, "string_too_long\",\"loc\":[\"body\",\"colour"}),
            Names{"invalid-accepted: an invalid body (colour: longer than 5) is answered with 200"});
  EXPECT_EQ(found_with({422, "less_than_equal"}),
            Names{"invalid-accepted: an invalid body (stars: above 9) is answered with 200"});
}

TEST(FuzzMix, SendsBodiesOfAnotherType) {
  EXPECT_EQ(found_with({415, ""}), Names{"invalid-accepted: a body of another type is answered with 200"});
}

TEST(FuzzMix, TriesAwkwardTextsInEachPlace) {
  App app;
  app.post<"/notes">([](NewNote in) {
    const auto& colour = in.colour;
    if (colour && static_cast<const std::string&>(*colour).find('\'') != std::string::npos) throw Internal("syntax");
    return Note{1, in.text};
  });
  EXPECT_EQ(found(report_of(app, {.cases = 0})), Names{"server-error POST /notes"});
}

// ---- the stock

using detail::FuzzAnswer;
using detail::FuzzMade;
using detail::FuzzStock;

FuzzStock::Entry entry_of(detail::FuzzAnswers answers) {
  return std::make_shared<FuzzMade>(FuzzMade{.steps = {}, .answers = std::move(answers)});
}
FuzzStock::Entry new_entry() { return entry_of({std::make_shared<FuzzAnswer>()}); }

TEST(FuzzStock, GivesWhatIsThereAndTakesItOnce) {
  schema::Random random(1);
  FuzzStock stock;
  EXPECT_EQ(stock.any(3, random), nullptr);
  const auto entry = new_entry();
  stock.add(3, entry);
  EXPECT_EQ(stock.any(3, random), entry);
  EXPECT_EQ(stock.any(2, random), nullptr);
  EXPECT_EQ(stock.take(3, random), entry);
  EXPECT_EQ(stock.take(3, random), nullptr);
}

TEST(FuzzStock, ForgetsTheOldestOfMany) {
  schema::Random random(1);
  FuzzStock stock;
  const auto first = new_entry();
  EXPECT_EQ(stock.add(0, first), nullptr);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(stock.add(0, new_entry()), nullptr);
  EXPECT_EQ(stock.add(0, new_entry()), first);
  for (int i = 0; i < 12; ++i) EXPECT_NE(stock.add(0, new_entry()), nullptr);
  std::set<FuzzStock::Entry> left;
  for (auto one = stock.take(0, random); one != nullptr; one = stock.take(0, random)) left.insert(one);
  EXPECT_EQ(left.size(), 8U);
  EXPECT_FALSE(left.contains(first));
}

TEST(FuzzStock, DropsWhatWasMadeOfWhatIsGone) {
  schema::Random random(1);
  FuzzStock stock;
  const auto article = new_entry(), other = new_entry();
  stock.add(0, article);
  stock.add(1, entry_of({article->answers.front(), std::make_shared<FuzzAnswer>()}));
  const auto kept = entry_of({other->answers.front(), std::make_shared<FuzzAnswer>()});
  stock.add(1, kept);
  stock.drop(article);
  EXPECT_EQ(stock.any(0, random), nullptr);
  EXPECT_EQ(stock.take(1, random), kept);
  EXPECT_EQ(stock.take(1, random), nullptr);
}

}  // namespace
}  // namespace ashlar
