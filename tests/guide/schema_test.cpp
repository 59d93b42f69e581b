// The code of docs/guide/schema.md.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json_schema.hpp>
#include <ashlar/schema/schema.hpp>
#include <ashlar/schema/settings.hpp>

namespace {

using namespace ashlar;

// sample: struct
enum class State { draft, published };

struct NewArticle {
  Annotated<std::string, strip{}, min_length{1}, max_length{200}, description{"Shown in lists"}> title;
  std::string body;
  std::vector<Annotated<std::string, pattern{"^[a-z0-9-]+$"}>> tags = {};
  State state = State::draft;
  std::optional<DateTime> publish_at;

  static constexpr SchemaOptions schema{.naming = Naming::camel_case, .extra = Extra::forbid};
};
// end of sample

// sample: across
struct Booking {
  Date from, to;

  void validate(Violations& violations) const {
    if (to < from) violations.add("to", "is before from");
  }
};
// end of sample

// sample: rest
struct Event {
  std::string name;
  Annotated<std::map<std::string, Json>, rest{}> attributes;  // {"name":"x","user":7}: "user" is in here
};
// end of sample

// sample: violation
struct Cart {
  struct Line {
    std::string product;
    int quantity = 1;
  };
  std::vector<Line> lines;

  void validate(Violations& violations) const {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].quantity <= 3) continue;
      violations.add(Violation{.message = "Only 3 are left",
                               .loc = {"lines", static_cast<std::int64_t>(i), "quantity"},
                               .type = "out_of_stock"});
    }
  }
};
// end of sample

// sample: inherited
struct Entity {
  std::int64_t id = 0;
  DateTime created_at;
};
struct Product : Entity {
  std::string name;
  static constexpr auto members = ashlar::inherited_members<Entity, &Product::name>;
};
// end of sample

// sample: variant
struct Card {
  Literal<"card"> kind;
  Annotated<std::string, pattern{"^[0-9]{4}$"}> last_digits;
};
struct Transfer {
  Literal<"transfer"> kind;
  std::string iban;
};
struct Payment {
  Annotated<std::variant<Card, Transfer>, discriminator{"kind"}> by;
};
// end of sample

// sample: patch
struct ArticlePatch {
  Annotated<Patch<std::string>, not_null{}, min_length{1}> title;  // may be absent, never null
  Patch<std::string> subtitle;                                     // absent: leave it; null: clear it
};
// end of sample

// sample: settings
struct Database {
  std::string url;
  Secret<> password;
  Annotated<int, ge{1}> pool_size = 4;
};
struct Settings {
  std::uint16_t port = 8080;
  Duration timeout = std::chrono::seconds(30);
  Database database;
};
// end of sample

TEST(SchemaGuide, ReadsAndWrites) {
  const std::string body = R"({"title":" Hello ","body":"World","publishAt":"2026-01-02T03:04:05Z"})";
  // sample: parse
  auto article = schema::parse_json<NewArticle>(body);  // throws schema::ValidationError with every error
  std::string json = schema::to_json(article);
  // end of sample
  EXPECT_EQ(json,
            R"({"title":"Hello","body":"World","tags":[],"state":"draft","publishAt":"2026-01-02T03:04:05.000Z"})");
}

TEST(SchemaGuide, ReportsErrors) {
  try {
    (void)schema::parse_json<NewArticle>(R"({"title":"","tags":["A B"],"stat":"draft"})", {"body"});
    FAIL();
  } catch (const schema::ValidationError& e) {
    std::string json;
    schema::append_errors_json(e.errors(), json);
    EXPECT_EQ(json,
              R"([{"type":"string_too_short","loc":["body","title"],"msg":"String should have at least 1 character",)"
              R"("input":"","ctx":{"min_length":1},"line":1,"column":10},)"
              R"({"type":"string_pattern_mismatch","loc":["body","tags",0],)"
              R"("msg":"String should match pattern '^[a-z0-9-]+$'","input":"A B",)"
              R"("ctx":{"pattern":"^[a-z0-9-]+$"},"line":1,"column":21},)"
              R"({"type":"extra_forbidden","loc":["body","stat"],"msg":"Extra inputs are not permitted",)"
              R"("input":"draft","line":1,"column":35},)"
              R"({"type":"missing","loc":["body","body"],"msg":"Field required","line":1,"column":1}])");
  }
}

TEST(SchemaGuide, ChecksAcrossMembers) {
  EXPECT_THROW((void)schema::parse_json<Booking>(R"({"from":"2026-02-02","to":"2026-02-01"})"),
               schema::ValidationError);
}

TEST(SchemaGuide, KeepsTheRest) {
  const auto event = schema::parse_json<Event>(R"({"name":"x","user":7})");
  EXPECT_EQ(event.attributes.at("user").as_integer(), 7);
  EXPECT_EQ(schema::to_json(event), R"({"name":"x","user":7})");
}

TEST(SchemaGuide, ReportsPartsOfMembers) {
  try {
    (void)schema::parse_json<Cart>(R"({"lines":[{"product":"a"},{"product":"b","quantity":9}]})");
    FAIL();
  } catch (const schema::ValidationError& e) {
    EXPECT_EQ(schema::loc_text(e.errors().at(0).loc), "lines[1].quantity");
    EXPECT_EQ(e.errors().at(0).type, "out_of_stock");
  }
}

TEST(SchemaGuide, Inherits) {
  const auto product = schema::parse_json<Product>(R"({"id":7,"created_at":"2026-01-02T00:00:00Z","name":"x"})");
  EXPECT_EQ(product.id, 7);
  EXPECT_EQ(product.name, "x");
}

TEST(SchemaGuide, PicksAlternatives) {
  const auto payment = schema::parse_json<Payment>(R"({"by":{"kind":"transfer","iban":"DE02"}})");
  EXPECT_TRUE(std::holds_alternative<Transfer>(payment.by));
}

TEST(SchemaGuide, PatchesApply) {
  const auto patch = schema::parse_json<ArticlePatch>(R"({"subtitle":null})");
  std::string title = "old";
  std::optional<std::string> subtitle = "old";
  patch.title.apply_to(title);
  patch.subtitle.apply_to(subtitle);
  EXPECT_EQ(title, "old");
  EXPECT_EQ(subtitle, std::nullopt);
}

TEST(SchemaGuide, LoadsSettings) {
  const std::vector<schema::Pair> environment{{"BLOG_DATABASE__URL", "postgres://db"},
                                              {"BLOG_DATABASE__PASSWORD", "x"}};
  const std::vector<schema::Pair> flags{{"port", "9000"}};
  const auto settings = schema::load_settings<Settings>({.prefix = "BLOG", .flags = flags, .environment = environment});
  EXPECT_EQ(settings.port, 9000);
  for (const auto& s : schema::describe_settings(settings, "BLOG")) EXPECT_NE(s.value, "x");
}

TEST(SchemaGuide, DescribesItself) {
  EXPECT_NE(schema::json_schema<NewArticle>().find(R"("publishAt":{"type":["string","null"],"format":"date-time"})"),
            std::string::npos);
}

}  // namespace
