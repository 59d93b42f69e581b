// Two parameters that both want the body.
// expect: List<Article, Author>.*: a handler takes two bodies; put them into one struct, a member each
// expect in C++26: route POST /articles: takes two bodies
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
  std::string title;
};

struct Author {
  std::string name;
};

struct NewArticle {
  Article article;
  Author author;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.post<"/articles">([](NewArticle in) { return in.article; });
#else
  app.post<"/articles">([](Article article, Author) { return article; });
#endif
}
