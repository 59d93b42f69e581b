#include <ashlar/app/openapi_changes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <ashlar/schema/json_tree.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar {
namespace {

using Names = std::set<std::string>;

std::string text_of(const std::optional<Json>& json) { return json ? json->text() : std::string(); }
std::string string_of(const std::optional<Json>& json) {
  return json ? json->as_string().value_or(std::string()) : std::string();
}
bool is_true(const std::optional<Json>& json) { return json && json->as_bool().value_or(false); }

Names names_in(const std::optional<Json>& list) {
  Names names;
  if (!list) return names;
  if (list->kind() == Json::Kind::string) return {*list->as_string()};
  for (const auto& one : list->elements()) names.insert(one.as_string().value_or(one.text()));
  return names;
}
std::vector<Json> elements_of(const std::optional<Json>& list) { return list ? list->elements() : std::vector<Json>(); }
Names keys_of(const std::optional<Json>& object) {
  if (!object) return {};
  const auto keys = object->keys();
  return {keys.begin(), keys.end()};
}

// A document whose references can be followed.
class Document {
 public:
  explicit Document(std::string_view text) : root_(text) {}

  [[nodiscard]] const Json& root() const { return root_; }

  [[nodiscard]] Json resolve(Json node) const {
    for (int depth = 0; depth < 16; ++depth) {
      const auto reference = node.find("$ref");
      if (!reference) break;
      node = follow(reference->as_string().value_or(""));
    }
    return node;
  }

 private:
  [[nodiscard]] const Json& follow(const std::string& reference) const {
    const auto [at, added] = known_.try_emplace(reference, Json());
    if (!added) return at->second;
    std::optional<Json> node = root_;
    for (std::size_t begin = reference.find('/'); node && begin != std::string::npos;) {
      const std::size_t end = reference.find('/', begin + 1);
      node = node->find(reference.substr(begin + 1, end == std::string::npos ? end : end - begin - 1));
      begin = end;
    }
    if (node) at->second = *node;
    return at->second;
  }

  Json root_;
  mutable std::map<std::string, Json> known_;
};

// A request's schema may only grow in what it takes, an answer's only shrink in what it leaves open.
enum class Side : std::uint8_t { taken, answered };

// Of what the service sends itself the request is what it gives, and the answer what it takes.
struct Operation {
  Json json;
  bool sent = false;
  [[nodiscard]] Side request() const { return sent ? Side::answered : Side::taken; }
  [[nodiscard]] Side answer() const { return sent ? Side::taken : Side::answered; }
};

class Comparison {
 public:
  Comparison(std::string_view before, std::string_view after) : before_(before), after_(after) {}

  std::vector<ApiChange> run() {
    const auto old_operations = operations(before_.root());
    const auto new_operations = operations(after_.root());
    for (const auto& [name, was] : old_operations) {
      const auto is = new_operations.find(name);
      if (is == new_operations.end()) {
        breaks(name, was.sent ? "is no longer sent" : "is gone");
      } else {
        operation(name, was, is->second);
      }
    }
    for (const auto& [name, _] : new_operations) {
      if (!old_operations.contains(name)) notes(name, "is new");
    }
    breaking_.insert(breaking_.end(), std::make_move_iterator(other_.begin()), std::make_move_iterator(other_.end()));
    return std::move(breaking_);
  }

 private:
  void breaks(std::string_view where, std::string_view what) {
    breaking_.push_back({true, fmt::format("{}: {}", where, what)});
  }
  void notes(std::string_view where, std::string_view what) {
    other_.push_back({false, fmt::format("{}: {}", where, what)});
  }
  void report(bool breaking, std::string_view where, std::string_view what) {
    breaking ? breaks(where, what) : notes(where, what);
  }

  using Operations = std::map<std::string, Operation>;

  static Operations operations(const Json& document) {
    Operations all;
    add_items(document.find("paths"), "", false, all);
    add_items(document.find("webhooks"), "webhook ", true, all);
    return all;
  }

  static void add_items(const std::optional<Json>& items, std::string_view prefix, bool sent, Operations& all) {
    for (const auto& path : keys_of(items)) {
      const auto item = *items->find(path);
      for (std::string method : keys_of(item)) {
        const auto operation = *item.find(method);
        if (!operation.find("responses")) continue;
        std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::toupper(c); });
        const std::string name = fmt::format("{}{} {}", prefix, method, path);
        all.emplace(name, Operation{operation, sent});
        const auto callbacks = operation.find("callbacks");
        for (const auto& callback : keys_of(callbacks))
          add_items(callbacks->find(callback), fmt::format("{}, callback {} ", name, callback), true, all);
      }
    }
  }

  void operation(const std::string& name, const Operation& old_one, const Operation& new_one) {
    const Json& was = old_one.json;
    const Json& is = new_one.json;
    sent_ = old_one.sent;
    if (text_of(was.find("operationId")) != text_of(is.find("operationId"))) {
      breaks(name, fmt::format("its operation id was {} and is {}: generated clients call it by another name",
                               text_of(was.find("operationId")), text_of(is.find("operationId"))));
    }
    if (!is_true(was.find("deprecated")) && is_true(is.find("deprecated"))) notes(name, "is deprecated now");
    security(name, was, is);
    parameters(name, was, is, old_one.request());
    body(name, was.find("requestBody"), is.find("requestBody"), old_one.request());
    responses(name, was.find("responses"), is.find("responses"), old_one.answer());
  }

  void security(const std::string& name, const Json& was, const Json& is) {
    const auto old_ones = names_in(was.find("security"));
    const auto new_ones = names_in(is.find("security"));
    if (old_ones == new_ones) return;
    const bool needed_none = old_ones.empty() || old_ones.contains("{}");
    const bool needs_some = !new_ones.empty() && !new_ones.contains("{}");
    const bool keeps_all = std::ranges::includes(new_ones, old_ones) || new_ones.empty();
    if (sent_) return breaks(name, "shows other credentials");
    report(needs_some && (needed_none || !keeps_all), name, "asks for other credentials");
  }

  static std::map<std::string, Json> by_name(const Document& document, const Json& operation) {
    std::map<std::string, Json> all;
    const auto list = operation.find("parameters");
    if (!list) return all;
    for (const auto& one : list->elements()) {
      const Json parameter = document.resolve(one);
      all.emplace(fmt::format("{} {}", string_of(parameter.find("in")), string_of(parameter.find("name"))), parameter);
    }
    return all;
  }

  void parameters(const std::string& name, const Json& was, const Json& is, Side side) {
    const auto old_ones = by_name(before_, was);
    const auto new_ones = by_name(after_, is);
    for (const auto& [key, parameter] : old_ones) {
      const std::string where = fmt::format("{} {}", name, key);
      const auto now = new_ones.find(key);
      if (now == new_ones.end()) {
        breaks(where, no_longer(side));
        continue;
      }
      requirement(where, parameter, now->second, side);
      schema(where, parameter.find("schema"), now->second.find("schema"), side);
    }
    for (const auto& [key, parameter] : new_ones) {
      if (old_ones.contains(key)) continue;
      const bool required = side == Side::taken && is_true(parameter.find("required"));
      report(required, fmt::format("{} {}", name, key), required ? "is new and required" : "is new");
    }
  }

  [[nodiscard]] std::string_view no_longer(Side side) const {
    if (side == Side::taken) return "is no longer read";
    return sent_ ? "is no longer sent" : "is no longer answered";
  }
  void requirement(const std::string& where, const Json& was, const Json& is, Side side) {
    const bool before = is_true(was.find("required"));
    const bool after = is_true(is.find("required"));
    if (side == Side::taken && !before && after) breaks(where, "is required now");
    if (side == Side::answered && before && !after) breaks(where, "may be missing now");
  }

  void body(const std::string& name, const std::optional<Json>& was, const std::optional<Json>& is, Side side) {
    const std::string where = name + " body";
    if (!was && !is) return;
    if (!was) return report(side == Side::taken && is_true(is->find("required")), where, "is new");
    if (!is) return breaks(where, no_longer(side));
    requirement(where, *was, *is, side);
    content(where, was->find("content"), is->find("content"), side);
  }

  void responses(const std::string& name, const std::optional<Json>& was, const std::optional<Json>& is, Side side) {
    const auto new_ones = keys_of(is);
    const auto old_ones = keys_of(was);
    for (const auto& status : old_ones) {
      const std::string where = fmt::format("{} {}", name, status);
      if (!new_ones.contains(status)) {
        report(side == Side::taken || status.starts_with('2'), where,
               side == Side::taken ? "is no longer taken for an answer" : "is no longer answered");
        continue;
      }
      content(where, before_.resolve(*was->find(status)).find("content"),
              after_.resolve(*is->find(status)).find("content"), side);
    }
    for (const auto& status : new_ones) {
      if (!old_ones.contains(status)) notes(fmt::format("{} {}", name, status), "is a new answer");
    }
  }

  void content(const std::string& where, const std::optional<Json>& was, const std::optional<Json>& is, Side side) {
    const auto new_ones = keys_of(is);
    for (const auto& type : keys_of(was)) {
      if (!new_ones.contains(type)) {
        breaks(where, fmt::format("is no longer {}", type));
        continue;
      }
      schema(where, was->find(type)->find("schema"), is->find(type)->find("schema"), side);
    }
  }

  // ---- schemas -----------------------------------------------------------------------------------------------------

  void schema(const std::string& where, const std::optional<Json>& was, const std::optional<Json>& is, Side side) {
    if (!was || !is) {
      if (was.has_value() != is.has_value()) report(side == Side::answered ? !is : !was, where, "has another shape");
      return;
    }
    // Once is enough for a type that many operations use, and for one that contains itself.
    if (was->find("$ref") && is->find("$ref") && !seen_.emplace(was->text(), is->text(), side).second) return;
    const Json before = before_.resolve(*was);
    const Json after = after_.resolve(*is);
    if (before == after && before.text().find("$ref") == std::string::npos) return;
    alternatives(where, before, after, side);
    set(where, "type", before, after, side);
    set(where, "enum", before, after, side);
    for (const auto* keyword : {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}) {
      limit(where, keyword, before, after, side, true);
    }
    for (const auto* keyword : {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}) {
      limit(where, keyword, before, after, side, false);
    }
    for (const auto* keyword : {"pattern", "format", "multipleOf", "const", "uniqueItems"}) {
      const auto old_one = before.find(keyword);
      const auto new_one = after.find(keyword);
      if (text_of(old_one) == text_of(new_one)) continue;
      const bool stricter = new_one.has_value();  // another rule is taken for a stricter one on both sides
      const bool breaking = side == Side::taken ? stricter : old_one.has_value();
      report(breaking, where, fmt::format("its {} was {} and is {}", keyword, shown(old_one), shown(new_one)));
    }
    members(where, before, after, side);
    if (before.find("items")) schema(where + "[]", before.find("items"), after.find("items"), side);
    others(where, before.find("additionalProperties"), after.find("additionalProperties"), side);
  }

  // Members that have no name in the schema.
  void others(const std::string& where, const std::optional<Json>& was, const std::optional<Json>& is, Side side) {
    const auto refused = [](const std::optional<Json>& rest) { return rest && !rest->as_bool().value_or(true); };
    if (refused(was) || refused(is)) {
      if (side == Side::taken && refused(was) != refused(is))
        report(refused(is), where, refused(is) ? "members that it does not name are refused now" : "takes any member");
      return;
    }
    const auto shape = [](const std::optional<Json>& rest) {
      return rest && rest->kind() == Json::Kind::object ? rest : std::nullopt;
    };
    schema(where + ".*", shape(was), shape(is), side);
  }

  static std::string shown(const std::optional<Json>& json) { return json ? json->text() : "not there"; }

  void alternatives(const std::string& where, const Json& was, const Json& is, Side side) {
    for (const auto* keyword : {"anyOf", "oneOf", "allOf"}) {
      const auto old_ones = was.find(keyword);
      const auto new_ones = is.find(keyword);
      if (!old_ones && !new_ones) continue;
      const auto before = names_in(old_ones);
      const auto after = names_in(new_ones);
      // Those of both refer to the same types. As many others in their place are the same ones, changed.
      std::vector<Json> gone, come;
      for (const auto& one : elements_of(old_ones)) {
        if (after.contains(one.text())) {
          schema(where, one, one, side);
        } else {
          gone.push_back(one);
        }
      }
      std::ranges::copy_if(elements_of(new_ones), std::back_inserter(come),
                           [&](const Json& one) { return !before.contains(one.text()); });
      if (gone.size() == come.size()) {
        for (std::size_t i = 0; i < gone.size(); ++i) schema(where, gone[i], come[i], side);
      } else {
        report(side == Side::taken ? !gone.empty() : !come.empty(), where, "has other alternatives");
      }
    }
  }

  // Of types and enumerators: what is taken may grow, what is answered may shrink. No list means anything.
  void set(const std::string& where, const char* keyword, const Json& was, const Json& is, Side side) {
    const auto before = names_in(was.find(keyword));
    const auto after = names_in(is.find(keyword));
    if (before == after) return;
    const bool grows = after.empty() || (!before.empty() && std::ranges::includes(after, before));
    const bool shrinks = before.empty() || (!after.empty() && std::ranges::includes(before, after));
    report(side == Side::taken ? !grows : !shrinks, where,
           fmt::format("its {} was {} and is {}", keyword, shown(was.find(keyword)), shown(is.find(keyword))));
  }

  void limit(const std::string& where, const char* keyword, const Json& was, const Json& is, Side side, bool lower) {
    const auto before = was.find(keyword);
    const auto after = is.find(keyword);
    if (text_of(before) == text_of(after)) return;
    const bool tighter =
        after &&
        (!before || (lower ? after->as_number() > before->as_number() : after->as_number() < before->as_number()));
    report(side == Side::taken ? tighter : !tighter, where,
           fmt::format("its {} was {} and is {}", keyword, shown(before), shown(after)));
  }

  void members(const std::string& where, const Json& was, const Json& is, Side side) {
    const auto old_ones = was.find("properties");
    const auto new_ones = is.find("properties");
    const auto before = keys_of(old_ones);
    const auto after = keys_of(new_ones);
    const auto needed = names_in(was.find("required"));
    const auto needs = names_in(is.find("required"));
    for (const auto& name : before) {
      const std::string place = fmt::format("{}.{}", where, name);
      if (!after.contains(name)) {
        breaks(place, no_longer(side));
        continue;
      }
      if (side == Side::taken && needs.contains(name) && !needed.contains(name)) breaks(place, "is required now");
      if (side == Side::answered && needed.contains(name) && !needs.contains(name)) breaks(place, "may be missing now");
      schema(place, old_ones->find(name), new_ones->find(name), side);
    }
    for (const auto& name : after) {
      if (before.contains(name)) continue;
      const bool required = side == Side::taken && needs.contains(name);
      report(required, fmt::format("{}.{}", where, name), required ? "is new and required" : "is new");
    }
  }

  Document before_;
  Document after_;
  bool sent_ = false;  // the operation under way
  std::vector<ApiChange> breaking_, other_;
  std::set<std::tuple<std::string, std::string, Side>> seen_;
};

// The order of members, white space and escapes say nothing: a document may have gone through other tools.
void sort_members(schema::Tree& tree) {
  for (schema::Tree& item : tree.items) sort_members(item);
  if (tree.kind != schema::Tree::Kind::object) return;
  std::vector<std::pair<std::string, schema::Tree>> members;
  for (std::size_t i = 0; i < tree.items.size(); ++i) {
    members.emplace_back(std::move(tree.names[i]), std::move(tree.items[i]));
  }
  std::ranges::sort(members, {}, [](const auto& member) -> const std::string& { return member.first; });
  tree = schema::Tree::object();
  for (auto& [name, value] : members) tree.add(std::move(name), std::move(value));
}

std::string normal_form(std::string_view document) {
  auto tree = schema::parse_tree(document);
  if (!tree) return std::string(document);  // Comparison says what is wrong with it
  sort_members(*tree);
  return tree->json();
}

}  // namespace

std::vector<ApiChange> compare_openapi(std::string_view before, std::string_view after) {
  const std::string old_form = normal_form(before);
  const std::string new_form = normal_form(after);
  return Comparison(old_form, new_form).run();
}

}  // namespace ashlar
