#include "realworld_test.hpp"

namespace conduit {
namespace {

using ::testing::MatchesRegex;

std::vector<std::string> bodies(const Answer& answer) {
  std::vector<std::string> out;
  for (const auto& one : answer.json<MultipleCommentsResponse>().comments) out.push_back(one.body);
  return out;
}

TEST_F(Conduit, AddsAComment) {
  const auto author = sign_up("jake");
  const auto reader = sign_up("anah");
  const auto path = "/articles/" + publish(author, "Title").slug + "/comments";
  EXPECT_EQ(get(path).body, R"({"comments":[]})");
  const Answer answer = post(path, R"({"comment":{"body":"Thank you so much!"}})", reader);
  EXPECT_EQ(answer.status, 201);
  EXPECT_THAT(answer.body,
              MatchesRegex(R"(\{"comment":\{"id":[0-9]+,"createdAt":"[^"]+","updatedAt":"[^"]+",)"
                           R"("body":"Thank you so much!",)"
                           R"("author":\{"username":"anah","bio":null,"image":null,"following":false\}\}\})"));
  EXPECT_THAT(bodies(get(path)), ElementsAre("Thank you so much!"));
}

TEST_F(Conduit, ShowsWhetherAReaderFollowsTheCommentsAuthor) {
  const auto author = sign_up("jake");
  const auto reader = sign_up("anah");
  const auto slug = publish(author, "Title").slug;
  comment(author, slug, "Hello");
  act("/profiles/jake/follow", reader);
  const auto path = "/articles/" + slug + "/comments";
  EXPECT_TRUE(get(path, reader).json<MultipleCommentsResponse>().comments.at(0).author.following);
  EXPECT_FALSE(get(path).json<MultipleCommentsResponse>().comments.at(0).author.following);
}

// As when somebody else deletes it between the statement's look and its check of the reference.
TEST_F(Conduit, FindsNoArticleThatGoesWhileItIsReferredTo) {
  const auto token = sign_up("jake");
  const auto slug = publish(token, "Title").slug, other = publish(token, "Other").slug;
  for (const char* sql : {"create function go() returns trigger language plpgsql as "
                          "'begin delete from articles where id = new.article_id; return new; end'",
                          "create trigger go before insert on comments for each row execute function go()",
                          "create trigger go before insert on favorites for each row execute function go()"}) {
    const ashlar::pg::DynamicQuery<void()> change{ashlar::pg::unsafe_sql(sql)};
    client->run(db.exec(change));
  }
  EXPECT_EQ(failure(post("/articles/" + slug + "/comments", R"({"comment":{"body":"Hello"}})", token)),
            "404 article: not found");
  EXPECT_EQ(failure(act("/articles/" + other + "/favorite", token)), "404 article: not found");
}

TEST_F(Conduit, RefusesABlankComment) {
  const auto token = sign_up("jake");
  const auto path = "/articles/" + publish(token, "Title").slug + "/comments";
  EXPECT_EQ(failure(post(path, R"({"comment":{"body":""}})", token)), "422 body: can't be blank");
  EXPECT_EQ(failure(post(path, R"({"comment":{}})", token)), "422 body: can't be blank");
  EXPECT_EQ(failure(post(path, "{}", token)), "422 comment: can't be blank");
}

TEST_F(Conduit, DeletesOneCommentAndLeavesTheOthers) {
  const auto author = sign_up("jake");
  const auto other = sign_up("anah");
  const auto slug = publish(author, "Title").slug;
  const auto path = "/articles/" + slug + "/comments";
  comment(other, slug, "first");
  const auto second = std::to_string(comment(other, slug, "second"));
  comment(author, slug, "third");

  EXPECT_EQ(failure(del(path + "/" + second, author)), "403 comment: forbidden") << "not even the article's author";
  EXPECT_EQ(del(path + "/" + second, other).status, 204);
  EXPECT_THAT(bodies(get(path)), ElementsAre("first", "third"));
  EXPECT_EQ(failure(del(path + "/" + second, other)), "404 comment: not found");
}

TEST_F(Conduit, FindsACommentOnlyUnderItsArticle) {
  const auto token = sign_up("jake");
  const auto one = publish(token, "one").slug;
  const auto two = publish(token, "two").slug;
  const auto id = std::to_string(comment(token, one, "here"));
  EXPECT_EQ(failure(del("/articles/" + two + "/comments/" + id, token)), "404 comment: not found");
  EXPECT_EQ(failure(del("/articles/none/comments/" + id, token)), "404 article: not found");
  EXPECT_EQ(refused(del("/articles/" + one + "/comments/x", token)), "422 id");
  EXPECT_THAT(bodies(get("/articles/" + one + "/comments")), ElementsAre("here"));
}

TEST_F(Conduit, ForgetsTheCommentsOfADeletedArticle) {
  const auto token = sign_up("jake");
  const auto slug = publish(token, "Title").slug;
  comment(token, slug, "Hello");
  act("/articles/" + slug + "/favorite", token);
  EXPECT_EQ(del("/articles/" + slug, token).status, 204);
  EXPECT_EQ(failure(get("/articles/" + slug + "/comments")), "404 article: not found");
}

// ---- any operation
// ---------------------------------------------------------------------------------------------------

TEST_F(Conduit, AnswersEveryErrorInTheContractsShape) {
  EXPECT_EQ(refused(post("/users", "{\"user\":")), "422 body");
  EXPECT_EQ(refused(post("/users", "[]")), "422 body");
  EXPECT_EQ(refused(post("/users", R"({"user":{"username":5,"email":"a@b.c","password":"12345678"}})")),
            "422 username");
  EXPECT_EQ(refused(get("/nowhere")), "404 request");
  EXPECT_EQ(refused(del("/tags")), "405 request");
  EXPECT_EQ(get("/user").header("Content-Type"), "application/json; charset=utf-8");
}

TEST_F(Conduit, AnswersEveryReadWithOneStatement) {
  const auto token = sign_up("jake");
  const auto slug = publish(token, "Title", R"(["x"])").slug;
  comment(token, slug, "Hello");
  const auto statements = [&] {
    return client->run([](ashlar::pg::Db& of) -> ashlar::Task<std::uint64_t> { co_return of.stats().queries; }(db));
  };
  const std::vector<std::string> reads{"/user",
                                       "/profiles/jake",
                                       "/articles",
                                       "/articles?tag=x",
                                       "/articles?author=jake&tag=x&favorited=jake",
                                       "/articles?favorited=jake&tag=x",
                                       "/articles/feed",
                                       "/articles/" + slug,
                                       "/articles/" + slug + "/comments",
                                       "/tags"};
  for (const auto& path : reads) {
    const auto before = statements();
    EXPECT_EQ(get(path, token).status, 200) << path;
    EXPECT_EQ(statements() - before, 1U) << path;
  }
}

TEST_F(Conduit, RefusesTextThatPostgresCannotKeep) {
  const auto token = sign_up("jake");
  EXPECT_EQ(post("/articles", R"({"article":{"title":"a\u0000b","description":"d","body":"b"}})", token).status, 422);
  EXPECT_EQ(get("/articles?tag=%00").status, 422);
  EXPECT_EQ(get("/profiles/%00").status, 422);
}

TEST_F(Conduit, KeepsAnyOtherTextAsItIs) {
  const auto token = sign_up("jake");
  const auto path = "/articles/" + publish(token, "Title").slug + "/comments";
  const std::string odd = R"('; drop table users; -- \" \\ 😀 \u2028 $1 %s <script>)";
  EXPECT_EQ(post(path, R"({"comment":{"body":")" + odd + R"("}})", token).status, 201);
  EXPECT_THAT(bodies(get(path)), ElementsAre("'; drop table users; -- \" \\ 😀 \u2028 $1 %s <script>"));
}

TEST_F(Conduit, SeedsOnce) {
  client->run(seed(db, passwords));
  const auto seeded = count(get("/articles"));
  EXPECT_GT(seeded, 0);
  client->run(seed(db, passwords));
  EXPECT_EQ(count(get("/articles")), seeded);
  EXPECT_EQ(post("/users/login", R"({"user":{"email":"jake@example.com","password":"jakejake"}})").status, 200);
}

}  // namespace
}  // namespace conduit
