// Templates: HTML pages from files and structs, checked against each other before the program serves.
//
//   Templates templates{"templates"};
//   app.provide(templates);  // start-up refuses when one does not fit
//   app.get<"/books">([page = Template<BookPage>(templates, "books.html")](Books& books) {
//     return page({.title = "Books", .books = books.all()});
//   });
//
//   <ul>
//   {% for book in books %}
//     <li><a href="/books/{{ book.id }}">{{ book.title }}</a>{% if book.sold %} sold{% endif %}</li>
//   {% else %}
//     <li>none</li>
//   {% endfor %}
//   </ul>
//
// Statements: if, elif, else, endif; for, else, endfor (within it `loop.index` from 1, `loop.first`, `loop.last`,
// `loop.length`); include "file"; extends "file", block name, endblock. Conditions: names, ==, != with a text or a
// whole number, and, or, not, parentheses. {# remark #}. A statement alone on its line leaves no line behind.
//
// Every value is escaped for where it stands: text, attribute, URL (http, https, mailto, tel or a path; else
// about:invalid), part of a URL (percent-encoded), {{ value | json }} in <script type="application/json">. Where no
// escaping makes a value safe (scripts, styles, on… attributes, without quotes, in names) the template is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/responses.hpp>
#include <ashlar/async/component.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar {

/// HTML that is one already, made by a program that has escaped what is in it: a member of this type is written as it
/// is, between tags only.
struct SafeHtml {
  std::string html;
};

struct TemplatesOptions {
  enum class Reload : std::uint8_t { in_development, always, never };
  /// Whether changed files are read again: under `ashlar dev` alone, by default. A page that is wrong then shows why.
  Reload reload = Reload::in_development;
};

namespace detail {
class TemplateProgram;
struct TemplateState;
}  // namespace detail

/// A folder of templates. Names are relative to it, and never lead out of it. Must outlive its pages.
class Templates final : public async::Component {
 public:
  explicit Templates(std::filesystem::path folder, TemplatesOptions options = {});
  ~Templates() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "templates"; }
  /// Throws Invalid with everything that is wrong: "templates/books.html:12: BookPage has no member 'titel'; …".
  Task<void> start() override;
  Task<std::vector<std::string>> check() override;

 private:
  template <class T>
  friend class Template;
  [[nodiscard]] std::shared_ptr<detail::TemplateState> add(std::string name, const schema::TypeInfo& type);
  static void render(detail::TemplateState& state, const void* data, std::string& out);

  std::filesystem::path folder_;
  bool reload_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<detail::TemplateState>> pages_;
};

/// One page: a template and the struct that fills it. Made before the program serves; copies are the same page.
/// Thread-safe. Members are called as in C++. Optionals that are empty write nothing, and are false; a Secret has no
/// place in a page.
template <class T>
class Template {
 public:
  static_assert(schema::Reflected<T>, "a page is filled from a struct");
  /// What is wrong with the template is told by start-up, or by `check`; where the folder is not provided, by render.
  Template(Templates& folder, std::string name) : state_(folder.add(std::move(name), schema::type_info<T>())) {}

  [[nodiscard]] Html operator()(const T& data) const { return Html{render(data)}; }
  /// Throws Internal when the template is wrong.
  [[nodiscard]] std::string render(const T& data) const {
    std::string out;
    Templates::render(*state_, &data, out);
    return out;
  }

 private:
  std::shared_ptr<detail::TemplateState> state_;
};

}  // namespace ashlar
