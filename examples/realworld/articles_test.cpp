#include <string>

#include <ashlar/testing/statements.hpp>

#include "realworld_test.hpp"

namespace conduit {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

// ---- POST /articles
// --------------------------------------------------------------------------------------------------

TEST_F(Conduit, PublishesAnArticle) {
  const auto token = sign_up("jake");
  const Answer answer = post("/articles",
                             R"({"article":{"title":"How to train","description":"Ever?","body":"You have to believe",)"
                             R"("tagList":["reactjs","angular","dragons"]}})",
                             token);
  EXPECT_EQ(answer.status, 201);
  EXPECT_THAT(answer.body,
              MatchesRegex(R"(\{"article":\{"slug":"how-to-train[^"]*","title":"How to train","description":"Ever\?",)"
                           R"("body":"You have to believe","tagList":\["reactjs","angular","dragons"\],)"
                           R"("createdAt":"[^"]+","updatedAt":"[^"]+","favorited":false,"favoritesCount":0,)"
                           R"("author":\{"username":"jake","bio":null,"image":null,"following":false\}\}\})"));
  EXPECT_THAT(answer.body,
              ::testing::ContainsRegex(
                  R"("createdAt":"20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z","updatedAt":"20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z")"));
  const Article published = article(answer);
  EXPECT_EQ(get("/articles/" + published.slug).body, answer.body);
}

TEST_F(Conduit, PublishesWithoutTags) {
  const auto token = sign_up("jake");
  const Answer answer = post("/articles", R"({"article":{"title":"t","description":"d","body":"b"}})", token);
  EXPECT_EQ(answer.status, 201);
  EXPECT_THAT(answer.body, HasSubstr(R"("tagList":[])"));
}

TEST_F(Conduit, RefusesAnArticleWithBlankFieldsAllAtOnce) {
  const auto token = sign_up("jake");
  const std::string all = "422 body: can't be blank; description: can't be blank; title: can't be blank";
  EXPECT_EQ(failure(post("/articles", R"({"article":{"title":"","description":" ","body":"\n"}})", token)), all);
  EXPECT_EQ(failure(post("/articles", R"({"article":{}})", token)), all);
  EXPECT_EQ(failure(post("/articles", R"({"article":{"title":"t","description":"d"}})", token)),
            "422 body: can't be blank");
  EXPECT_EQ(failure(post("/articles", "{}", token)), "422 article: can't be blank");
  EXPECT_EQ(
      refused(post("/articles", R"({"article":{"title":"t","description":"d","body":"b","tagList":null}})", token)),
      "422 tagList");
  EXPECT_EQ(
      refused(post("/articles", R"({"article":{"title":"t","description":"d","body":"b","tagList":["a",5]}})", token)),
      "422 tagList");
}

TEST_F(Conduit, GivesArticlesOfTheSameTitleSlugsOfTheirOwn) {
  const auto token = sign_up("jake");
  const auto one = publish(token, "Same title");
  const auto two = publish(token, "Same title");
  EXPECT_NE(one.slug, two.slug);
  EXPECT_EQ(article(get("/articles/" + two.slug)).slug, two.slug);
}

TEST_F(Conduit, MakesSlugsOfAnyTitle) {
  const auto token = sign_up("jake");
  for (const char* title : {"feed", "???", "Über Größe", "中文", "a/b & c", "' or 1=1 --"}) {
    const auto made = publish(token, title);
    EXPECT_THAT(made.slug, Not(IsEmpty()));
    EXPECT_EQ(made.slug.find_first_of(" /?&'%"), std::string::npos) << made.slug;
    std::string encoded;
    for (const char c : made.slug) {
      constexpr const char* hex = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80)
        encoded += c;
      else
        encoded += {'%', hex[byte >> 4], hex[byte & 15]};
    }
    EXPECT_EQ(article(get("/articles/" + encoded)).title, title);
  }
}

// ---- GET, PUT, DELETE /articles/{slug}
// -------------------------------------------------------------------------------

TEST_F(Conduit, KnowsNoArticleOfAnUnknownSlug) {
  const auto token = sign_up("jake");
  EXPECT_EQ(failure(get("/articles/none")), "404 article: not found");
  EXPECT_EQ(failure(put("/articles/none", R"({"article":{"body":"b"}})", token)), "404 article: not found");
  EXPECT_EQ(failure(del("/articles/none", token)), "404 article: not found");
  EXPECT_EQ(failure(act("/articles/none/favorite", token)), "404 article: not found");
  EXPECT_EQ(failure(del("/articles/none/favorite", token)), "404 article: not found");
  EXPECT_EQ(failure(get("/articles/none/comments")), "404 article: not found");
  EXPECT_EQ(failure(post("/articles/none/comments", R"({"comment":{"body":"b"}})", token)), "404 article: not found");
  EXPECT_EQ(failure(del("/articles/none/comments/1", token)), "404 article: not found");
}

TEST_F(Conduit, UpdatesWhatIsGivenOfAnArticle) {
  const auto token = sign_up("jake");
  const auto before = publish(token, "Old title", R"(["a","b"])");
  const auto body = article(put("/articles/" + before.slug, R"({"article":{"body":"new body"}})", token));
  EXPECT_EQ(body.slug, before.slug);
  EXPECT_EQ(body.title, "Old title");
  EXPECT_EQ(body.body, "new body");
  EXPECT_THAT(body.tag_list, ElementsAre("a", "b"));
  EXPECT_EQ(body.created_at, before.created_at);
  EXPECT_GT(body.updated_at, before.updated_at);

  const auto title = article(put("/articles/" + before.slug, R"({"article":{"title":"New title"}})", token));
  EXPECT_NE(title.slug, before.slug);
  EXPECT_EQ(title.body, "new body");
  EXPECT_EQ(get("/articles/" + before.slug).status, 404);
  EXPECT_EQ(article(get("/articles/" + title.slug)).title, "New title");
}

TEST_F(Conduit, ReplacesRemovesOrKeepsTags) {
  const auto token = sign_up("jake");
  const auto path = "/articles/" + publish(token, "Title", R"(["z","a"])").slug;
  EXPECT_THAT(article(put(path, R"({"article":{"description":"x"}})", token)).tag_list, ElementsAre("z", "a"));
  EXPECT_THAT(article(put(path, R"({"article":{"tagList":["q","b","k"]}})", token)).tag_list,
              ElementsAre("q", "b", "k"));
  EXPECT_EQ(refused(put(path, R"({"article":{"tagList":null}})", token)), "422 tagList");
  EXPECT_THAT(article(get(path)).tag_list, ElementsAre("q", "b", "k"));
  EXPECT_THAT(article(put(path, R"({"article":{"tagList":[]}})", token)).tag_list, IsEmpty());
}

TEST_F(Conduit, RefusesToBlankAnArticle) {
  const auto token = sign_up("jake");
  const auto path = "/articles/" + publish(token, "Title").slug;
  const std::string all = "422 body: can't be blank; description: can't be blank; title: can't be blank";
  EXPECT_EQ(failure(put(path, R"({"article":{"title":"","description":"","body":""}})", token)), all);
  EXPECT_EQ(failure(put(path, R"({"article":{"title":null,"description":null,"body":null}})", token)), all);
  EXPECT_EQ(failure(put(path, "{}", token)), "422 article: can't be blank");
}

TEST_F(Conduit, LetsOnlyTheAuthorChangeAnArticle) {
  const auto author = sign_up("jake");
  const auto other = sign_up("anah");
  const auto path = "/articles/" + publish(author, "Title").slug;
  EXPECT_EQ(failure(put(path, R"({"article":{"body":"mine"}})", other)), "403 article: forbidden");
  EXPECT_EQ(failure(del(path, other)), "403 article: forbidden");
  EXPECT_EQ(article(get(path)).body, "b");

  const Answer gone = del(path, author);
  EXPECT_EQ(gone.status, 204);
  EXPECT_EQ(gone.body, "");
  EXPECT_EQ(failure(get(path)), "404 article: not found");
  EXPECT_EQ(failure(del(path, author)), "404 article: not found");
}

// ---- GET /articles
// ---------------------------------------------------------------------------------------------------

TEST_F(Conduit, ListsTheNewestArticlesFirstAndWithoutTheirBodies) {
  EXPECT_EQ(get("/articles").body, R"({"articles":[],"articlesCount":0})");
  const auto token = sign_up("jake");
  for (const char* title : {"one", "two", "three"}) publish(token, title, R"(["b","a"])");
  const Answer answer = get("/articles");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(titles(answer), ElementsAre("three", "two", "one"));
  EXPECT_EQ(count(answer), 3);
  EXPECT_THAT(answer.body, Not(HasSubstr("\"body\"")));
  EXPECT_THAT(answer.body, HasSubstr(R"("description":"d","tagList":["b","a"],"createdAt":")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("favorited":false,"favoritesCount":0,"author":{"username":"jake","bio":null,)"
                                     R"("image":null,"following":false}})"));
}

TEST_F(Conduit, PagesThroughArticlesAndCountsAllOfThem) {
  const auto token = sign_up("jake");
  for (int i = 0; i < 25; ++i) publish(token, "t" + std::to_string(i));
  EXPECT_EQ(titles(get("/articles")).size(), 20U);
  EXPECT_EQ(count(get("/articles")), 25);
  EXPECT_THAT(titles(get("/articles?limit=2&offset=1")), ElementsAre("t23", "t22"));
  EXPECT_EQ(count(get("/articles?limit=2&offset=1")), 25);
  EXPECT_EQ(titles(get("/articles?limit=100")).size(), 25U);
  EXPECT_EQ(get("/articles?offset=25").body, R"({"articles":[],"articlesCount":25})");
  EXPECT_EQ(count(get("/articles?author=jake&offset=1000")), 25);
}

TEST_F(Conduit, RefusesPagesThatCannotBe) {
  const auto token = sign_up("jake");
  for (const char* wrong : {"x", "1.5", "-1", "", "99999999999999999999"}) {
    EXPECT_EQ(refused(get(std::string("/articles?limit=") + wrong)), "422 limit") << wrong;
    EXPECT_EQ(refused(get(std::string("/articles?offset=") + wrong)), "422 offset") << wrong;
    EXPECT_EQ(refused(get(std::string("/articles/feed?limit=") + wrong, token)), "422 limit") << wrong;
    EXPECT_EQ(refused(get(std::string("/articles/feed?offset=") + wrong, token)), "422 offset") << wrong;
  }
  EXPECT_EQ(refused(get("/articles?limit=0")), "422 limit");
  EXPECT_EQ(get("/articles?offset=9223372036854775807").status, 200);
}

TEST_F(Conduit, FiltersByTagAuthorAndFavoriteInAnyCombination) {
  const auto jake = sign_up("jake");
  const auto anah = sign_up("anah");
  const auto first = publish(jake, "jake go", R"(["go","x"])");
  publish(jake, "jake cpp", R"(["cpp"])");
  const auto third = publish(anah, "anah go", R"(["x","go"])");
  act("/articles/" + first.slug + "/favorite", anah);
  act("/articles/" + third.slug + "/favorite", anah);

  const auto filtered = [&](const std::string& query) {
    const Answer answer = get("/articles?" + query);
    EXPECT_EQ(count(answer), static_cast<std::int64_t>(titles(answer).size())) << query;
    return titles(answer);
  };
  EXPECT_THAT(filtered("tag=go"), ElementsAre("anah go", "jake go"));
  EXPECT_THAT(filtered("tag=G"), IsEmpty());
  EXPECT_THAT(filtered("author=jake"), ElementsAre("jake cpp", "jake go"));
  EXPECT_THAT(filtered("author=nobody"), IsEmpty());
  EXPECT_THAT(filtered("favorited=anah"), ElementsAre("anah go", "jake go"));
  EXPECT_THAT(filtered("favorited=jake"), IsEmpty());
  EXPECT_THAT(filtered("tag=go&author=jake"), ElementsAre("jake go"));
  EXPECT_THAT(filtered("tag=cpp&favorited=anah"), IsEmpty());
  EXPECT_THAT(filtered("author=anah&favorited=anah"), ElementsAre("anah go"));
  EXPECT_THAT(filtered("tag=go&author=jake&favorited=anah"), ElementsAre("jake go"));
  EXPECT_THAT(filtered("tag=cpp&author=jake&favorited=anah"), IsEmpty());
  EXPECT_EQ(count(get("/articles?tag=go&limit=1")), 2);
}

TEST_F(Conduit, ShowsEachReaderTheirOwnFavoritesAndFollows) {
  const auto author = sign_up("jake");
  const auto reader = sign_up("anah");
  const auto slug = publish(author, "Title").slug;
  act("/articles/" + slug + "/favorite", reader);
  act("/profiles/jake/follow", reader);
  for (const std::string path : {"/articles", "/articles?author=jake", "/articles?favorited=anah"}) {
    const auto seen = get(path, reader).json<MultipleArticlesResponse>().articles.at(0);
    EXPECT_TRUE(seen.favorited && seen.author.following) << path;
    EXPECT_EQ(seen.favorites_count, 1) << path;
    const auto others = get(path, author).json<MultipleArticlesResponse>().articles.at(0);
    EXPECT_FALSE(others.favorited || others.author.following) << path;
    EXPECT_EQ(others.favorites_count, 1) << path;
  }
  EXPECT_TRUE(article(get("/articles/" + slug, reader)).favorited);
  EXPECT_TRUE(article(get("/articles/" + slug, reader)).author.following);
  EXPECT_FALSE(article(get("/articles/" + slug)).favorited);
}

// ---- GET /articles/feed
// ----------------------------------------------------------------------------------------------

TEST_F(Conduit, FeedsTheNewestArticlesOfFollowedAuthors) {
  const auto reader = sign_up("reader");
  const auto jake = sign_up("jake");
  const auto anah = sign_up("anah");
  publish(jake, "by jake");
  publish(anah, "by anah");
  publish(jake, "by jake again");
  publish(reader, "by me");
  EXPECT_EQ(get("/articles/feed", reader).body, R"({"articles":[],"articlesCount":0})");
  act("/profiles/jake/follow", reader);
  const Answer answer = get("/articles/feed", reader);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(titles(answer), ElementsAre("by jake again", "by jake"));
  EXPECT_EQ(count(answer), 2);
  EXPECT_THAT(answer.body, Not(HasSubstr("\"body\"")));
  EXPECT_THAT(answer.body, HasSubstr(R"("following":true)"));
  EXPECT_THAT(titles(get("/articles/feed?limit=1&offset=1", reader)), ElementsAre("by jake"));
  EXPECT_EQ(count(get("/articles/feed?limit=1&offset=7", reader)), 2);
}

// ---- favorites
// -------------------------------------------------------------------------------------------------------

TEST_F(Conduit, FavoritesAnyNumberOfTimes) {
  const auto jake = sign_up("jake");
  const auto anah = sign_up("anah");
  const auto path = "/articles/" + publish(jake, "Title").slug + "/favorite";
  for (int i = 0; i < 2; ++i) {
    const Answer answer = act(path, anah);
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(article(answer).favorited);
    EXPECT_EQ(article(answer).favorites_count, 1);
  }
  EXPECT_EQ(article(act(path, jake)).favorites_count, 2);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = del(path, anah);
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(article(answer).favorited);
    EXPECT_EQ(article(answer).favorites_count, 1);
  }
}

TEST_F(Conduit, CountsOneFavoriteOfOneReaderWhoIsInAHurry) {
  const auto token = sign_up("jake");
  const auto slug = publish(token, "Title").slug;
  std::vector<Request> clicks;
  for (int i = 0; i < 8; ++i) clicks.push_back(as(token, client->post("/api/articles/" + slug + "/favorite")));
  for (const auto& answer : client->send_all(std::move(clicks))) EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(article(get("/articles/" + slug)).favorites_count, 1);
}

// ---- tags
// ------------------------------------------------------------------------------------------------------------

TEST_F(Conduit, ReadsByOneStatementHoweverMuchThereIs) {
  const auto jake = sign_up("jake"), ann = sign_up("ann");
  act("/profiles/ann/follow", jake);
  std::string slug;
  for (const char* title : {"One", "Two", "Three"}) slug = publish(ann, title, R"(["a","b"])").slug;
  comment(jake, slug, "first");
  comment(ann, slug, "second");
  for (const std::string& path :
       {std::string("/articles"), std::string("/articles?tag=a"), std::string("/articles/feed"), "/articles/" + slug,
        "/articles/" + slug + "/comments", std::string("/profiles/ann"), std::string("/user"), std::string("/tags")}) {
    const ashlar::testing::Statements statements;
    EXPECT_EQ(get(path, jake).status, 200) << path;
    EXPECT_EQ(statements.count(), 1U) << path << "\n" << statements.text();
  }
}

TEST_F(Conduit, ListsTheTagsThatArticlesHave) {
  EXPECT_EQ(get("/tags").body, R"({"tags":[]})");
  const auto token = sign_up("jake");
  const auto first = publish(token, "one", R"(["dragons","training"])");
  publish(token, "two", R"(["dragons","coffee"])");
  EXPECT_EQ(get("/tags").body, R"({"tags":["coffee","dragons","training"]})");
  del("/articles/" + first.slug, token);
  EXPECT_EQ(get("/tags").body, R"({"tags":["coffee","dragons"]})");
}

}  // namespace
}  // namespace conduit
