// The code of docs/guide/templates.md.
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/templates.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;

// sample: page
struct Book {
  std::int64_t id;
  std::string title;
  Decimal price;
  std::optional<std::string> publisher_url;
};
struct BookPage {
  std::string title;
  std::vector<Book> books;
};
// end of sample

// The files are those of the guide.
constexpr const char* kBase = R"(
<!doctype html>
<html lang="en">
<title>{{ title }}</title>
<main>
{% block main %}
{% endblock %}
</main>
</html>
)";
constexpr const char* kBooks = R"(
{% extends "base.html" %}
{% block main %}
<h1>{{ title }}</h1>
<ul>
  {% for book in books %}
  <li{% if loop.first %} class="first"{% endif %}>
    <a href="/books/{{ book.id }}" title="{{ book.title }}">{{ book.title }}</a> {{ book.price }}
    {% if book.publisher_url %}
    <a href="{{ book.publisher_url }}">publisher</a>
    {% endif %}
  </li>
  {% else %}
  <li>none</li>
  {% endfor %}
</ul>
{% endblock %}
)";

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "pages-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path = name;
    std::ofstream(path / "base.html") << kBase + 1;
    std::ofstream(path / "books.html") << kBooks + 1;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path path;
};

TEST(Guide, PagesAreMadeFromTemplatesAndStructs) {
  const Folder folder;
  const auto& path = folder.path;
  App app;
  // sample: use
  Templates templates{path};  // "templates"
  app.provide(templates);     // start-up refuses when a page does not fit its struct

  app.get<"/books">([page = Template<BookPage>(templates, "books.html")] {
    return page({.title = "Books & more", .books = {{7, "<Emma>", Decimal{9}, "javascript:alert(1)"}}});
  });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/books").send().body, R"(<!doctype html>
<html lang="en">
<title>Books &amp; more</title>
<main>
<h1>Books &amp; more</h1>
<ul>
  <li class="first">
    <a href="/books/7" title="&lt;Emma&gt;">&lt;Emma&gt;</a> 9
    <a href="about:invalid">publisher</a>
  </li>
</ul>
</main>
</html>
)");
}

}  // namespace
