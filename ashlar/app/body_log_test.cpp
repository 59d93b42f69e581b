#include <ashlar/app/body_log.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include <ashlar/app/app.hpp>
#include <ashlar/app/compression.hpp>
#include <ashlar/app/detail/secret_names.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/schema/json_tree.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using detail::mask_path;
using detail::SecretNames;
using testing::Client;

TEST(PathMask, HidesWhatStandsForASecretParameter) {
  const SecretNames secret;
  EXPECT_EQ(mask_path("/reset/abc/now", "/reset/{token}/now", secret), "/reset/**********/now");
  EXPECT_EQ(mask_path("/users/7", "/users/{id}", secret), "/users/7");
  EXPECT_EQ(mask_path("/f/a/b/c", "/f/{secret:path}", secret), "/f/**********");
  EXPECT_EQ(mask_path("/f/a/b/", "/f/{name:path}", secret), "/f/a/b/");
  EXPECT_EQ(mask_path("/", "", secret), "/");
  EXPECT_EQ(mask_path("/a//b/", "", secret), "/a//b/");
}

struct Card {
  Secret<> number;
  std::string owner;
};
struct Order {
  std::string item;
  std::optional<Card> card = {};
  Annotated<Secret<>, alias{"voucherCode"}, defaulted{}> voucher;
};
struct Receipt {
  std::string item;
  std::string number = "R-1";
};

struct Service {
  explicit Service(BodyLogOptions options = {}) {
    app.use(BodyLog{std::move(options)});
    app.post<"/orders">([](Order order) { return Receipt{order.item}; });
    app.post<"/login">([](Form<Card>) {});
    app.get<"/reset/{token}">([](Path<"token">, ApiKey<In::query, "access">) { return "plain text"; });
    app.get<"/events">([]() -> Stream {
      return {.type = "application/json", .pieces = []() -> Generator<std::string> { co_yield "{\"token\":1}"; }()};
    });
    app.get<"/fails">([]() -> Text { throw NotFound("there is none"); });
  }
  Client& client() {
    if (!client_) client_.emplace(app);
    return *client_;
  }
  App app;

 private:
  std::optional<Client> client_;
};

std::optional<log::Capture::Line> line_of(const log::Capture& capture) { return capture.find("request and answer"); }

TEST(BodyLog, WritesWhatIsAskedAndAnsweredInOneLineThatIsJson) {
  Service service;
  const log::Capture capture;
  service.client().post("/orders?page=2").json(R"({"item": "tea\n\"black\""})").send();
  const auto line = line_of(capture);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->logger, "http.body");
  EXPECT_EQ(line->field("http.request.method"), "POST");
  EXPECT_EQ(line->field("url.path"), "/orders");
  EXPECT_EQ(line->field("url.query"), "page=2");
  EXPECT_EQ(line->field("http.request.body.content"), R"({"item":"tea\n\"black\""})");
  EXPECT_EQ(line->field("http.response.status_code"), "200");
  EXPECT_TRUE(schema::parse_tree(line->json)) << line->json;
}

TEST(BodyLog, HidesEachMemberThatIsASecretInAnyType) {
  Service service;
  const log::Capture capture;
  service.client()
      .post("/orders")
      .json(R"({"item": "tea", "card": {"number": "4111", "owner": "ada"}, "voucherCode": "SAVE"})")
      .send();
  const auto line = line_of(capture);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->field("http.request.body.content"),
            R"({"item":"tea","card":{"number":"**********","owner":"ada"},"voucherCode":"**********"})");
  // Names, not types, tell what is in a body: also of another type.
  EXPECT_EQ(line->field("http.response.body.content"), R"({"item":"tea","number":"**********"})");
}

TEST(BodyLog, HidesInFormsQueriesPathsAndHeaders) {
  Service service{{.headers = true, .mask = {"X-Tenant"}}};
  const log::Capture capture;
  service.client().post("/login").form({{"number", "4111"}, {"owner", "ada"}}).header("Cookie", "a=b").send();
  service.client().get("/reset/abc?access=hush&x=1").header("X-Tenant", "acme").header("X-Other", "seen").send();
  for (const auto& line : capture.lines()) {
    for (const char* secret : {"4111", "a=b", "abc", "hush", "acme"})
      EXPECT_EQ(line.json.find(secret), std::string::npos) << line.json;
  }
  const auto lines = capture.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].field("http.request.body.content"), "number=**********&owner=ada");
  EXPECT_EQ(lines[1].field("url.path"), "/reset/**********");
  EXPECT_EQ(lines[1].field("url.query"), "access=**********&x=1");
  EXPECT_EQ(lines[1].field("http.request.header.x-other"), "seen");
  EXPECT_EQ(lines[1].field("http.response.body.omitted"), "neither JSON nor a form");
  EXPECT_EQ(lines[1].field("http.response.body.bytes"), "10");
}

TEST(BodyLog, ShowsNothingOfAJsonBodyThatIsNone) {
  Service service;
  const log::Capture capture;
  EXPECT_EQ(service.client().post("/orders").json("{'number': '4111'}").send().status, 422);
  const auto line = line_of(capture);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->field("http.request.body.omitted"), "no JSON");
}

TEST(BodyLog, LeavesStreamsAndCompressedAnswersAlone) {
  Service service;
  service.app.use(Compression{});
  service.app.get<"/long">([] { return Receipt{std::string(10'000, 'x')}; });
  const log::Capture capture;
  EXPECT_EQ(service.client().get("/events").send().body, "{\"token\":1}");
  EXPECT_EQ(line_of(capture)->field("http.response.body.omitted"), "a stream");
  service.client().get("/long").header("Accept-Encoding", "gzip").send();
  EXPECT_EQ(capture.lines().back().field("http.response.body.omitted"), "compressed");
}

TEST(BodyLog, IsSilentUntilItsLevelSaysSo) {
  Service service;
  {
    const log::Capture capture{log::Level::info};
    service.client().post("/orders").json(R"({"item": "tea"})").send();
    EXPECT_FALSE(line_of(capture));
  }
  const log::Capture capture{log::Level::debug};
  service.client().post("/orders").json(R"({"item": "tea"})").send();
  EXPECT_TRUE(line_of(capture));
}

TEST(BodyLog, IsOfChosenPathsAndOfWhatHasFailed) {
  Service service{{.paths = {"/fails", "/orders"}, .from_status = 400}};
  const log::Capture capture;
  service.client().post("/orders").json(R"({"item": "tea"})").send();
  service.client().get("/nowhere").send();
  service.client().get("/health/live").send();
  EXPECT_FALSE(line_of(capture));
  service.client().get("/fails").send();
  ASSERT_TRUE(line_of(capture));
  EXPECT_NE(line_of(capture)->field("http.response.body.content").find("there is none"), std::string::npos);
}

TEST(BodyLog, OfASampleIsOneInSoMany) {
  Service service{{.sample_one_in = 10}};
  const log::Capture capture;
  for (int i = 0; i < 30; ++i) service.client().get("/fails").send();
  EXPECT_EQ(capture.lines().size(), 3U);
}

TEST(BodyLog, CutsLongBodiesOff) {
  Service service{{.max_bytes = 20}};
  const log::Capture capture;
  service.client().post("/orders").json(R"({"item": ")" + std::string(50'000, 'x') + "\"}").send();
  EXPECT_EQ(line_of(capture)->field("http.request.body.content"), R"({"item":"xxxxxxxxxxx…)");
  EXPECT_EQ(line_of(capture)->field("http.request.body.bytes"), "50012");
}

TEST(BodyLog, RefusesOptionsThatMeanNothing) {
  EXPECT_THROW(BodyLog({.paths = {"orders"}}), Invalid);
  EXPECT_THROW(BodyLog({.sample_one_in = 0}), Invalid);
}

}  // namespace
}  // namespace ashlar
