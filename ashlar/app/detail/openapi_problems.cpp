#include <ashlar/app/detail/openapi_problems.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <ashlar/app/detail/openapi_names.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/schema_node.hpp>

namespace ashlar::detail {
namespace {

using schema::SchemaNode;
using schema::Tree;

std::string key_of(http::Method method) { return to_lower_ascii(http::to_string(method)); }

const Tree* follow(const Tree* node, std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    if (node != nullptr) node = node->find(name);
  }
  return node;
}

std::string joined(const std::vector<std::string>& names) {
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
}

// Whether a value of this schema may have something at the place of a JSON pointer, "/items/0/url".
bool may_have(const SchemaNode& node, std::string_view pointer) {
  if (pointer.empty()) return true;
  pointer.remove_prefix(1);
  const std::size_t end = std::min(pointer.find('/'), pointer.size());
  const std::string_view name = pointer.substr(0, end);
  const std::string_view rest = pointer.substr(end);
  const auto parts = [&](const std::vector<const SchemaNode*>& all) {
    return std::ranges::any_of(all,
                               [&](const SchemaNode* one) { return may_have(*one, fmt::format("/{}{}", name, rest)); });
  };
  if (parts(node.any_of) || parts(node.one_of) || parts(node.all_of)) return true;
  const bool is_choice = !node.any_of.empty() || !node.one_of.empty() || !node.all_of.empty();
  if (is_choice && node.members.empty()) return false;
  const auto member = std::ranges::find(node.members, name, &SchemaNode::Member::name);
  if (member != node.members.end()) return may_have(*member->node, rest);
  if (node.takes(SchemaNode::kList) && !name.empty() && std::ranges::all_of(name, is_digit_ascii))
    return node.items == nullptr || may_have(*node.items, rest);
  if (!node.takes(SchemaNode::kObject) || node.closed) return false;
  if (node.rest != nullptr) return may_have(*node.rest, rest);
  return node.members.empty();
}

class Checker {
 public:
  explicit Checker(std::string_view document) : document_(document) {}

  void run(const ApiInfo& info, std::span<const Operation> operations) {
    const Tree* const paths = document_.root().find("paths");
    for (const auto& one : operations) {
      const std::string shape = read_pattern(one.pattern).shape;
      for (std::size_t i = 0; paths != nullptr && i < paths->items.size(); ++i) {
        if (read_pattern(paths->names[i]).shape != shape) continue;
        const Tree* const node = paths->items[i].find(key_of(one.method));
        if (node != nullptr) route(fmt::format("{} {}", http::to_string(one.method), one.pattern), *node, *one.options);
      }
    }
    std::set<std::pair<std::string, http::Method>> names;
    for (const auto& one : info.webhooks) {
      const std::string name = "the webhook " + one.name;
      if (!names.emplace(one.name, one.options.method).second) {
        add(name, "is there twice with one method; choose another name");
      } else if (const Tree* node = follow(&document_.root(), {"webhooks", one.name, key_of(one.options.method)})) {
        operation(name, *node, one.options.examples, one.options.answers);
      }
    }
  }

  std::vector<std::string> problems;

 private:
  void add(std::string_view where, std::string_view what) { problems.push_back(fmt::format("{}: {}", where, what)); }

  void route(const std::string& name, const Tree& node, const RouteOptions& options) {
    operation(name, node, options.examples, options.answers);
    std::set<std::string> extensions;
    for (const auto& [key, value] : options.extensions) {
      if (!key.starts_with("x-") || key == "x-websocket")
        add(name, fmt::format("'{}' is no name of an extension: it begins with \"x-\"{}", key,
                              key == "x-websocket" ? ", and this one is taken" : ""));
      if (!extensions.insert(key).second) add(name, fmt::format("the extension '{}' is there twice", key));
    }
    std::set<std::tuple<std::string, std::string, http::Method>> names;
    for (const auto& one : options.callbacks) {
      const std::string callback = fmt::format("{}, callback {}", name, one.name);
      if (!names.emplace(one.name, one.url, one.options.method).second) {
        add(callback, "is there twice; give the second another name, address or method");
        continue;
      }
      address(callback, one.url, node);
      const Tree* const sent = follow(&node, {"callbacks", one.name, one.url, key_of(one.options.method)});
      if (sent != nullptr) operation(callback, *sent, one.options.examples, one.options.answers);
    }
  }

  void operation(const std::string& name, const Tree& node, const std::vector<ApiExample>& of_body,
                 const std::vector<ApiAnswer>& answers) {
    const Tree* const body = follow(&node, {"requestBody", "content"});
    if (body == nullptr && !of_body.empty()) {
      add(name, "has examples of its body, but takes none");
    } else if (body != nullptr) {
      examples(name, "its body", *body, of_body);
    }
    const Tree* const responses = node.find("responses");
    std::set<int> statuses;
    for (const auto& answer : answers) {
      const Tree* const response = follow(responses, {std::to_string(answer.status)});
      if (!statuses.insert(answer.status).second) {
        add(name, fmt::format("{} is described twice; say it once", answer.status));
      } else if (response == nullptr) {
        std::vector<std::string> known = responses->names;
        std::erase(known, "default");
        add(name, fmt::format("{} is described, but never answered; it answers {}", answer.status, joined(known)));
      } else if (const Tree* content = response->find("content")) {
        examples(name, fmt::format("its answer {}", answer.status), *content, answer.examples);
      } else if (!answer.examples.empty()) {
        add(name, fmt::format("its answer {} has no body to give examples of", answer.status));
      }
    }
  }

  void examples(const std::string& name, std::string_view of, const Tree& content, const std::vector<ApiExample>& all) {
    std::set<std::string> names;
    for (const auto& one : all) {
      const std::string example = fmt::format("the example '{}' of {}", one.name, of);
      if (one.name.empty()) add(name, fmt::format("an example of {} has no name", of));
      if (!names.insert(one.name).second) {
        add(name, fmt::format("{} is there twice; each has a name of its own", example));
        continue;
      }
      const Tree* const media = one.media_type.empty() ? &content.items.front() : content.find(one.media_type);
      if (media == nullptr) {
        add(name, fmt::format("{} is {}, but there is only {}", example, one.media_type, joined(content.names)));
        continue;
      }
      const Tree* const schema = media->find("schema");
      const Tree* const value = follow(media, {"examples", one.name, "value"});
      if (schema == nullptr || value == nullptr) continue;
      if (auto why = check_schema(document_.schema(*schema), *value))
        add(name, fmt::format("{} does not fit: {}", example, *why));
    }
  }

  // ---- https://spec.openapis.org/oas/v3.1.1.html#runtime-expressions

  void address(const std::string& name, std::string_view url, const Tree& operation) {
    if (url.empty()) add(name, "has no address; it is a URL, or an expression such as {$request.body#/url}");
    while (true) {
      const std::size_t begin = url.find('{');
      if (begin == std::string_view::npos) return;
      const std::size_t end = url.find('}', begin);
      if (end == std::string_view::npos) return add(name, "its address has a '{' without a '}'");
      const std::string_view expression = url.substr(begin + 1, end - begin - 1);
      if (auto why = misses(expression, operation))
        add(name, fmt::format("its address names {}, but {}", expression, *why));
      url.remove_prefix(end + 1);
    }
  }

  std::optional<std::string> misses(std::string_view expression, const Tree& operation) {
    constexpr std::string_view kRequest = "$request.", kResponse = "$response.";
    if (expression == "$url" || expression == "$method" || expression == "$statusCode") return std::nullopt;
    if (expression.starts_with(kRequest)) {
      const std::string_view place = expression.substr(kRequest.size());
      if (place.starts_with("body")) return misses_in_request(place.substr(4), operation);
      const std::size_t dot = std::min(place.find('.'), place.size());
      return misses_parameter(place.substr(0, dot), place.substr(std::min(dot + 1, place.size())), operation);
    }
    if (expression.starts_with(kResponse)) {
      const std::string_view place = expression.substr(kResponse.size());
      if (place.starts_with("body")) return misses_in_response(place.substr(4), operation);
      if (place.starts_with("header.")) return std::nullopt;  // headers need not be described
    }
    return "this is none of OpenAPI's runtime expressions, such as $request.body#/url and $request.query.url";
  }

  static std::optional<std::string> misses_parameter(std::string_view in, std::string_view name,
                                                     const Tree& operation) {
    if (in == "header") return std::nullopt;  // headers need not be described
    if (in != "query" && in != "path") return "a request has a body, a query, a path and headers";
    std::vector<std::string> known;
    if (const Tree* parameters = operation.find("parameters")) {
      for (const Tree& one : parameters->items) {
        if (one.text_of("in") != in) continue;
        if (one.text_of("name") == name) return std::nullopt;
        known.emplace_back(one.text_of("name"));
      }
    }
    return fmt::format("its {} has {}", in, joined(known));
  }

  std::optional<std::string> misses_in_request(std::string_view place, const Tree& operation) {
    const Tree* const content = follow(&operation, {"requestBody", "content"});
    if (content == nullptr) return "the request has no body";
    return misses_in_content("the body", place, *content);
  }

  std::optional<std::string> misses_in_response(std::string_view place, const Tree& operation) {
    std::optional<std::string> why = "no successful answer has a body";
    const Tree* const responses = operation.find("responses");
    for (std::size_t i = 0; i < responses->items.size(); ++i) {
      if (!responses->names[i].starts_with('2')) continue;
      const Tree* const content = responses->items[i].find("content");
      if (content != nullptr)
        why = misses_in_content(fmt::format("the answer {}", responses->names[i]), place, *content);
      if (!why) break;
    }
    return why;
  }

  std::optional<std::string> misses_in_content(std::string_view what, std::string_view place, const Tree& content) {
    if (place.empty()) return std::nullopt;
    if (!place.starts_with("#/")) return "a place in a body is written as a JSON pointer: body#/url";
    const Tree* const schema = content.items.front().find("schema");
    if (schema == nullptr || may_have(document_.schema(*schema), place.substr(1))) return std::nullopt;
    return fmt::format("{} has no {}", what, place.substr(2));
  }

  schema::SchemaDocument document_;
};

}  // namespace

bool says_more(const RouteOptions& options) noexcept {
  return !options.examples.empty() || !options.answers.empty() || !options.callbacks.empty() ||
         !options.extensions.empty();
}

std::vector<std::string> openapi_problems(const ApiInfo& info, std::span<const Operation> operations,
                                          std::string_view document) {
  const auto says = [](const Operation& one) { return says_more(*one.options); };
  if (info.webhooks.empty() && std::ranges::none_of(operations, says)) return {};
  Checker checker(document);
  checker.run(info, operations);
  return std::move(checker.problems);
}

}  // namespace ashlar::detail
