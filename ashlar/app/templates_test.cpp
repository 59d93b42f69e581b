#include <ashlar/app/templates.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/template_program.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

enum class State { draft, sold };

struct Author {
  std::string name;
  std::optional<std::string> site;
};
struct Book {
  std::int64_t id = 0;
  std::string title;
  bool sold = false;
};
struct Page {
  std::string title = "T";
  std::string url = "/next";
  std::vector<Book> books = {};
  std::optional<Author> author = {};
  State state = State::draft;
  int count = 0;
  Decimal price = *Decimal::parse("1.50");
  Date day = *Date::parse("2026-01-02");
  SafeHtml body = {};
  Secret<> password = Secret<>("hidden");
  std::map<std::string, int> stock = {};
  std::array<int, 2> pair = {1, 2};
};

using Files = std::map<std::string, std::string>;

std::string render(const Files& files, const Page& page = {}) {
  const auto program =
      detail::TemplateProgram::compile("page.html", schema::type_info<Page>(), [&](const std::string& name) {
        const auto at = files.find(name);
        if (at == files.end()) throw NotFound("there is no template " + name);
        return at->second;
      });
  std::string out;
  program.write(&page, out);
  return out;
}
std::string render(const std::string& text, const Page& page = {}) { return render(Files{{"page.html", text}}, page); }

std::string problem_of(const Files& files) {
  try {
    (void)render(files);
  } catch (const Invalid& error) {
    return error.message();
  }
  return "none";
}
std::string problem_of(const std::string& text) { return problem_of(Files{{"page.html", text}}); }

constexpr std::string_view kEvil = "<script>\"&'";

// ---- values

TEST(Template, WritesValuesAsText) {
  EXPECT_EQ(render("<p>{{ title }}</p>", {.title = "a < b & c"}), "<p>a &lt; b &amp; c</p>");
  EXPECT_EQ(render("{{price}} {{ day }} {{ state }} {{ count }}"), "1.50 2026-01-02 draft 0");
}

TEST(Template, EscapesForWhereAValueStands) {
  const Page page{.title = std::string(kEvil)};
  EXPECT_EQ(render("<b>{{ title }}</b>", page), "<b>&lt;script&gt;&#34;&amp;&#39;</b>");
  EXPECT_EQ(render("<b title='{{ title }}'>", page), "<b title='&lt;script&gt;&#34;&amp;&#39;'>");
  EXPECT_EQ(render("<title>{{ title }}</title>", page), "<title>&lt;script&gt;&#34;&amp;&#39;</title>");
  EXPECT_EQ(render("<a href=\"/x/{{ title }}?q={{ title }}\">", page),
            "<a href=\"/x/%3Cscript%3E%22%26%27?q=%3Cscript%3E%22%26%27\">");
  EXPECT_EQ(render("<script type=\"application/json\">{\"t\":{{ title | json }}}</script>", page),
            "<script type=\"application/json\">{\"t\":\"\\u003cscript\\u003e\\\"\\u0026'\"}</script>");
  EXPECT_EQ(render("<p data-x=\"{{ title | json }}\">", page),
            "<p data-x=\"&#34;&lt;script&gt;\\&#34;&amp;&#39;&#34;\">");
}

TEST(Template, AUrlRunsNothing) {
  const auto link = [](std::string url) { return render("<a href=\"{{ url }}\">", {.url = std::move(url)}); };
  for (const char* good :
       {"/next", "https://example.org/a?b#c", "mailto:a@example.org", "tel:+49", "?page=2", "#top", "a/b:c", ""})
    EXPECT_EQ(link(good), "<a href=\"" + std::string(good) + "\">") << good;
  EXPECT_EQ(link("/a?b=1&c=2"), "<a href=\"/a?b=1&amp;c=2\">");
  for (const char* bad : {"javascript:alert(1)", " JavaScript:alert(1)", "java\tscript:alert(1)",
                          "\x01javascript:alert(1)", "data:text/html,x", "vbscript:x", "java\nscript:x"})
    EXPECT_EQ(link(bad), "<a href=\"about:invalid\">") << bad;
}

TEST(Template, HtmlOfTheProgramIsWrittenAsItIs) {
  EXPECT_EQ(render("<div>{{ body }}</div>", {.body = {"<b>x</b>"}}), "<div><b>x</b></div>");
  EXPECT_THAT(problem_of("<a title=\"{{ body }}\">"),
              HasSubstr("page.html:1: 'body' is HTML, which stands between tags"));
}

TEST(Template, WhatIsNotThereWritesNothing) {
  EXPECT_EQ(render("[{{ author.name }}|{{ author.site }}]"), "[|]");
  EXPECT_EQ(render("[{{ author.name }}|{{ author.site }}]", {.author = Author{"Ann", std::nullopt}}), "[Ann|]");
}

TEST(Template, RefusesPlacesWhereNoEscapingMakesAValueSafe) {
  const std::vector<std::pair<const char*, const char*>> places = {
      {"<script>var x = {{ count }}</script>", "a value within <script>"},
      {"<SCRIPT >{{ count }}</SCRIPT>", "a value within <script>"},
      {"<style>a { color: {{ title }} }</style>", "a value within <style>"},
      {"<b onclick=\"f('{{ title }}')\">", "in the attribute onclick"},
      {"<b style=\"color: {{ title }}\">", "in the attribute style"},
      {"<iframe srcdoc=\"{{ title }}\">", "in the attribute srcdoc"},
      {"<img srcset=\"{{ url }}\">", "in the attribute srcset"},
      {"<a href={{ url }}>", "without quotes"},
      {"<a href= {{ url }}>", "without quotes"},
      {"<a href=x{{ url }}>", "without quotes"},
      {"<{{ title }}>", "where names stand"},
      {"<a{{ title }}>", "where names stand"},
      {"<a {{ title }}>", "where names stand"},
      {"<a x{{ title }}=\"\">", "where names stand"},
      {"<!-- {{ title }} -->", "within a comment"},
      {"<!doctype {{ title }}>", "where names stand"},
      {"<script src=\"{{ url }}\"></script>", "says what code runs"},
      {"<link rel=stylesheet href=\"{{ url }}\">", "says what code runs"},
      {"<base href=\"{{ url }}\">", "says what code runs"},
      {"<script type=\"{{ title }}\">", "says whether it runs"},
      {"<script type=\"text/javascript\" type=\"application/json\">{{ title | json }}</script>",
       "a value within <script>"},
      {"<meta http-equiv=refresh content=\"0;url={{ url }}\">", "may send browsers anywhere"},
      {"<meta content=\"0;url={{ url }}\" http-equiv=refresh>", "may send browsers anywhere"},
      {"<svg><set attributeName=\"href\" to=\"{{ url }}\"/>", "in the attribute to"},
      {"<a href=\"javascript:f('{{ title }}')\">", "begins with 'javascript:f('"},
      {"<a href=\"javascript&#58;{{ title }}\">", "begins with 'javascript&#58;"},
      {"<a href=\"{{ title }}:{{ title }}\">", "goes on with '/', '?' or '#'"},
      {"<a href=\"{% if count %}javascript:{% else %}/x/{% endif %}{{ url }}\">", "depends on a {% statement %}"},
      {"<a href=\"{% if count %}java{% else %}/x/{% endif %}script:{{ url }}\">", "depends on a {% statement %}"},
      {"<a href=\"{% if count %}/x{% endif %}{{ url }}\">", "depends on a {% statement %}"},
      {"<a href=\"{% for b in books %}{{ b.title }}{% endfor %}\">", "a loop at the beginning of a URL"},
      {"<a hre{% if count %}f=\"{{ url }}\"{% endif %}>", "a name goes on"},
      {"<a {% if count %}on{% endif %}click=\"{{ title }}\">", "a name goes on"},
      {"<script {% if count %}type=\"application/json\"{% endif %}>{{ title | json }}</script>",
       "end in different places"},
      {"<script><!--<script></script>{{ title }}", "'<!--' within <script>"},
  };
  for (const auto& [text, expected] : places) EXPECT_THAT(problem_of(text), HasSubstr(expected)) << text;
}

TEST(Template, AFixedBeginningLetsCodeComeFromAKnownPlace) {
  EXPECT_EQ(render("<script src=\"/static/{{ title }}.js\"></script>", {.title = "a/b"}),
            "<script src=\"/static/a%2Fb.js\"></script>");
}

TEST(Template, HasNoPlaceForASecret) { EXPECT_EQ(problem_of("{{ password }}"), "page.html:1: 'password' is a secret"); }

// ---- statements

TEST(Template, ChoosesByConditions) {
  const auto when = [](const std::string& condition, const Page& page = {}) {
    return render("{% if " + condition + " %}yes{% else %}no{% endif %}", page);
  };
  EXPECT_EQ(when("title"), "yes");
  EXPECT_EQ(when("title", {.title = ""}), "no");
  EXPECT_EQ(when("count"), "no");
  EXPECT_EQ(when("count", {.count = -1}), "yes");
  EXPECT_EQ(when("books"), "no");
  EXPECT_EQ(when("author"), "no");
  EXPECT_EQ(when("author", {.author = Author{}}), "yes");
  EXPECT_EQ(when("not author and title"), "yes");
  EXPECT_EQ(when("author or not (title and books)"), "yes");
  EXPECT_EQ(when("state == \"draft\""), "yes");
  EXPECT_EQ(when("state != 'draft'"), "no");
  EXPECT_EQ(when("count == 0"), "yes");
  EXPECT_EQ(when("author.name == 'Ann'", {.author = Author{"Ann", {}}}), "yes");
  EXPECT_EQ(render("{% if count == 1 %}a{% elif count == 2 %}b{% else %}c{% endif %}", {.count = 2}), "b");
}

TEST(Template, GoesThroughLists) {
  const Page page{.books = {{1, "A", true}, {2, "<B>"}}, .stock = {{"a", 1}, {"b", 2}}};
  EXPECT_EQ(render("{% for b in books %}{{ loop.index }}/{{ loop.length }} {{ b.title }}{% if b.sold %}!{% endif %}"
                   "{% if not loop.last %}, {% endif %}{% endfor %}",
                   page),
            "1/2 A!, 2/2 &lt;B&gt;");
  EXPECT_EQ(render("{% for b in books %}x{% else %}none{% endfor %}"), "none");
  EXPECT_EQ(render("{% for name, n in stock %}{{ name }}={{ n }};{% endfor %}", page), "a=1;b=2;");
  EXPECT_EQ(render("{% for n in pair %}{{ n }}{% endfor %}"), "12");
  EXPECT_EQ(
      render("{% for b in books %}{% for c in books %}{{ b.id }}{{ c.id }} {% endfor %}{{ loop.index }}.{% endfor %}",
             page),
      "11 12 1.21 22 2.");
}

TEST(Template, StatementsAloneOnTheirLineLeaveNone) {
  EXPECT_EQ(render("<ul>\n  {% for b in books %}\n  <li>{{ b.id }}</li>\n  {% endfor %}\n</ul>\n{# gone #}\nend",
                   {.books = {{1, "A"}, {2, "B"}}}),
            "<ul>\n  <li>1</li>\n  <li>2</li>\n</ul>\nend");
  EXPECT_EQ(render("a {% if title %}b{% endif %}\nc"), "a b\nc");
}

TEST(Template, AttributesMayDependOnConditions) {
  const std::string text =
      "<option{% if count %} selected{% endif %} value=\"{{ title }}\" {% if count %}disabled{% endif %}>";
  EXPECT_EQ(render(text), "<option value=\"T\" >");
  EXPECT_EQ(render(text, {.count = 1}), "<option selected value=\"T\" disabled>");
  EXPECT_EQ(render("<p class=\"a {% if count %}b{% endif %}\">"), "<p class=\"a \">");
}

TEST(Template, IncludesAndExtendsOthers) {
  const Files files{
      {"page.html",
       "{% extends \"base.html\" %}\n{% block main %}<h1>{{ title }}</h1>{% include \"foot.html\" %}{% endblock %}\n"},
      {"base.html", "<title>{% block head %}none{% endblock %}</title>"},
      {"foot.html", "<i>{{ count }}</i>"}};
  EXPECT_THAT(problem_of(files), HasSubstr("base.html:1: block head stands within <title>"));
  Files good = files;
  good["base.html"] = "<main>{% block main %}{% endblock %}</main>{% block end %}<p>end</p>{% endblock end %}";
  EXPECT_EQ(render(good), "<main><h1>T</h1><i>0</i></main><p>end</p>");
  good["middle.html"] = "{% extends 'base.html' %}{% block end %}<p>middle {{ title }}</p>{% endblock %}";
  good["page.html"] = "{% extends 'middle.html' %}{% block main %}x{% endblock %}";
  EXPECT_EQ(render(good), "<main>x</main><p>middle T</p>");
}

// ---- what is wrong

TEST(Template, NamesWhatTheStructHasNot) {
  EXPECT_THAT(problem_of("<p>\n{{ titel }}"),
              StartsWith("page.html:2: Page has no member 'titel'; it has title, url, books"));
  EXPECT_THAT(problem_of("{{ author.nam }}"), HasSubstr("Author has no member 'nam'; it has name, site"));
  EXPECT_THAT(problem_of("{{ title.x }}"), HasSubstr("'title' has no members"));
  EXPECT_THAT(problem_of("{{ books }}"), HasSubstr("'books' is a list"));
  EXPECT_THAT(problem_of("{{ author }}"), HasSubstr("'author' is no single value"));
  EXPECT_THAT(problem_of("{% for x in title %}{% endfor %}"), HasSubstr("'title' is no list"));
  EXPECT_THAT(problem_of("{% for b in books %}{% endfor %}{{ b.id }}"), HasSubstr("has no member 'b'"));
  EXPECT_THAT(problem_of("{% if state == 'lost' %}{% endif %}"), HasSubstr("'state' is never 'lost'"));
  EXPECT_THAT(problem_of("{% if count == 'x' %}{% endif %}"), HasSubstr("'count' is a number"));
}

TEST(Template, SaysWhereASyntaxErrorIs) {
  EXPECT_EQ(problem_of("a\nb {{ title"), "page.html:2: '{{' has no end: '}}' is missing");
  EXPECT_EQ(problem_of("{% if title %}\n"), "page.html:1: this has no {% endif %}");
  EXPECT_EQ(problem_of("{% endif %}"), "page.html:1: {% endif %} closes nothing that is open");
  EXPECT_EQ(problem_of("{% if title %}\n{% endfor %}"),
            "page.html:2: {% endif %} is expected, for line 1; this is {% endfor %}");
  EXPECT_THAT(problem_of("{% while x %}"), HasSubstr("there is no statement 'while'"));
  EXPECT_THAT(problem_of("{{ title | upper }}"), HasSubstr("there is no filter 'upper'"));
  EXPECT_THAT(problem_of("{{ title }} {% if title ++ %}"), HasSubstr("page.html:1: '+' means nothing here"));
  EXPECT_THAT(problem_of("<p class=\"x"), HasSubstr("the page ends in the attribute class of <p>"));
  EXPECT_THAT(problem_of("{% if title %}<p{% endif %}"), HasSubstr("the branches of this end in different places"));
  EXPECT_THAT(problem_of("{% for b in books %}<p class='{% endfor %}"),
              HasSubstr("begins and ends in different places"));
}

TEST(Template, BoundsHowDeepItGoes) {
  EXPECT_THAT(problem_of(Files{{"page.html", "{% include 'page.html' %}"}}),
              HasSubstr("does 'page.html' include itself?"));
  EXPECT_THAT(problem_of(Files{{"page.html", "{% extends 'page.html' %}"}}),
              HasSubstr("does 'page.html' include itself?"));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "{% if title %}";
  EXPECT_THAT(problem_of(deep), HasSubstr("more than 64 deep"));
  EXPECT_THAT(problem_of("{% if " + std::string(100, '(') + "title %}"), HasSubstr("too many parentheses"));
  EXPECT_THAT(problem_of("{% include 'none.html' %}"), HasSubstr("page.html:1: there is no template none.html"));
}

// ---- in an application

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("templates-XXXXXX")) {
    std::string name = path_.string();
    if (::mkdtemp(name.data()) == nullptr) throw Internal("mkdtemp");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Templates, ArePagesOfAnApplication) {
  const Folder folder;
  folder.write("page.html", "<p>{{ title }}</p>");
  Templates templates{folder.path()};
  App app;
  app.provide(templates);
  app.get<"/">([page = Template<Page>(templates, "page.html")] { return page({.title = "<x>"}); });
  testing::Client client{app};
  const auto answer = client.get("/").send();
  EXPECT_EQ(answer.body, "<p>&lt;x&gt;</p>");
  EXPECT_EQ(answer.header("Content-Type"), "text/html; charset=utf-8");
}

TEST(Templates, ThatAreWrongKeepTheProgramFromServing) {
  const Folder folder;
  folder.write("page.html", "\n{{ titel }}");
  Templates templates{folder.path()};
  App app;
  app.provide(templates);
  app.get<"/">([page = Template<Page>(templates, "page.html"), other = Template<Page>(templates, "other.html")] {
    return page({});
  });
  try {
    testing::Client client{app};
    (void)client.get("/").send();
    ADD_FAILURE() << "it serves";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr(folder.path().string() + "/page.html:2: Page has no member 'titel'"));
    EXPECT_THAT(error.what(), HasSubstr("there is no template " + folder.path().string() + "/other.html"));
  }
}

TEST(Templates, NeverLeadOutOfTheirFolder) {
  const Folder folder;
  folder.write("page.html", "{% include '../../etc/passwd' %}");
  Templates templates{folder.path()};
  const Template<Page> page(templates, "page.html"), absolute(templates, "/etc/passwd");
  for (const auto& one : {page, absolute}) {
    try {
      (void)one.render({});
      ADD_FAILURE() << "it is written";
    } catch (const Internal& error) {
      EXPECT_THAT(error.message(), HasSubstr("leads out of the templates"));
    }
  }
}

TEST(Templates, AreReadAgainInDevelopment) {
  const Folder folder;
  folder.write("page.html", "{% include 'part.html' %}");
  folder.write("part.html", "one");
  Templates templates{folder.path(), {.reload = TemplatesOptions::Reload::always}};
  const Template<Page> page(templates, "page.html");
  EXPECT_EQ(page.render({}), "one");
  const auto later = std::filesystem::last_write_time(folder.path() / "part.html") + std::chrono::seconds(5);
  folder.write("part.html", "two {{ titel }}");
  std::filesystem::last_write_time(folder.path() / "part.html", later);
  try {
    (void)page.render({});
    ADD_FAILURE() << "it is written";
  } catch (const Problem& problem) {
    EXPECT_THAT(problem.detail, HasSubstr("part.html:1: Page has no member 'titel'"));
  }
  folder.write("part.html", "two {{ title }}");
  std::filesystem::last_write_time(folder.path() / "part.html", later + std::chrono::seconds(5));
  EXPECT_EQ(page.render({}), "two T");
}

}  // namespace
}  // namespace ashlar
