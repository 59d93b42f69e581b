#include <ashlar/app/detail/fuzz_wrong.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace ashlar::detail {
namespace {

using schema::Letters;
using What = FuzzWrong::What;

constexpr std::string_view place_name(FuzzPlace place) {
  constexpr std::array<std::string_view, 5> names = {"path", "query", "header", "cookie", "form"};
  return names[static_cast<std::size_t>(place)];
}

bool is_bound(const FuzzStep& step, std::size_t parameter) {
  return std::ranges::any_of(step.bindings, [&](const auto& one) { return one.parameter == parameter; });
}

bool spoil_parameter(FuzzStep& step, const FuzzWrong& way, std::string& why, bool& certain) {
  const FuzzParameter& parameter = step.operation->parameters[way.parameter];
  auto& value = step.values[way.parameter];
  if (way.what == What::missing_parameter) {
    value.reset();
    why = fmt::format("a request without {} {}", place_name(parameter.in), parameter.name);
    return true;
  }
  Tree changed = way.value;
  way.change.apply(changed);
  if (!may_be_sent(parameter.in, changed)) return false;
  value = as_read(*parameter.node, changed);
  certain = way.change.certain;
  if (certain && fits_schema(*parameter.node, *value)) return false;
  why = fmt::format("an invalid {} parameter ({}: {})", place_name(parameter.in), parameter.name, way.change.why);
  return true;
}

}  // namespace

bool takes_json(const FuzzBody& body) { return body.media_type.ends_with("json") && body.node != nullptr; }

Tree as_read(const SchemaNode& node, const Tree& value) {
  if (node.takes(SchemaNode::kList) && node.types != SchemaNode::kAny) {
    Tree list = Tree::list();
    const SchemaNode any;
    const SchemaNode& inner = node.items != nullptr ? *node.items : any;
    if (value.kind == Tree::Kind::list) {
      for (const Tree& item : value.items) list.items.push_back(as_read(inner, item));
    } else {
      list.items.push_back(as_read(inner, value));
    }
    return list;
  }
  std::string text = value.plain();
  if (node.takes(SchemaNode::kText)) return Tree::of_text(std::move(text));
  const auto tree = schema::parse_tree(text);
  const bool is_scalar = tree && (tree->kind == Tree::Kind::number || tree->kind == Tree::Kind::boolean);
  return is_scalar ? *tree : Tree::of_text(std::move(text));
}

bool may_be_sent(FuzzPlace place, const Tree& value) {
  if (value.kind == Tree::Kind::list)
    return !value.items.empty() &&
           std::ranges::all_of(value.items, [&](const Tree& v) { return may_be_sent(place, v); });
  if (value.kind == Tree::Kind::object || value.kind == Tree::Kind::null) return false;
  const std::string text = value.plain();
  if (place == FuzzPlace::query || place == FuzzPlace::form) return true;
  if (text.empty()) return false;
  if (place == FuzzPlace::path) return true;
  return std::ranges::all_of(
             text,
             [&](char c) {
               return c >= (place == FuzzPlace::cookie ? '!' : ' ') && c < 0x7F &&
                      (place != FuzzPlace::cookie || std::string_view("\";,\\").find(c) == std::string_view::npos);
             }) &&
         text.front() != ' ' && text.back() != ' ';
}

std::vector<FuzzWrong> ways_to_be_wrong(const FuzzStep& right, schema::Random& random) {
  const FuzzOperation& operation = *right.operation;
  std::vector<FuzzWrong> all;
  for (std::size_t p = 0; p < operation.parameters.size(); ++p) {
    const FuzzParameter& parameter = operation.parameters[p];
    if (is_bound(right, p)) continue;
    if (parameter.required && parameter.in != FuzzPlace::path) all.push_back({What::missing_parameter, p});
    const Tree value =
        right.values[p] ? *right.values[p] : as_read(*parameter.node, sample(*parameter.node, random, Letters::tame));
    for (auto& change : likely_neighbours(*parameter.node, value))
      all.push_back({What::parameter, p, value, std::move(change)});
  }
  if (right.body) {
    for (auto& change : likely_neighbours(*operation.body->node, *right.body))
      all.push_back({What::body, 0, {}, std::move(change)});
    all.push_back({What::no_json});
    if (operation.body->required) all.push_back({What::missing_body});
  }
  if (operation.has_form && operation.has_files) all.push_back({What::cut_off_form});
  if (operation.body && operation.body->type != nullptr && (right.body || operation.has_form))
    all.push_back({What::other_type});
  return all;
}

bool spoil(FuzzStep& step, const FuzzWrong& way, std::string& why) {
  const FuzzOperation& operation = *step.operation;
  bool certain = true;
  step.again.clear();
  switch (way.what) {
    case What::parameter:
    case What::missing_parameter:
      if (!spoil_parameter(step, way, why, certain)) return false;
      break;
    case What::body:
      way.change.apply(*step.body);
      certain = way.change.certain;
      if (certain && fits_schema(*operation.body->node, *step.body)) return false;
      why = fmt::format("an invalid body ({})", way.change.why);
      break;
    case What::no_json:
      step.bytes = step.body->json().substr(0, 1) + "\"a\":";
      step.body.reset();
      why = "a body that is no JSON";
      break;
    case What::missing_body:
      step.body.reset();
      why = "a request without its body";
      break;
    case What::cut_off_form:
      step.bytes = FuzzSender::cut_off_form(step);
      why = "a form that is cut off";
      break;
    case What::other_type:
      step.media_type = "text/x-ashlar-fuzz";
      why = "a body of another type";
      return FuzzSender::target(step).has_value();
  }
  return !fuzz_is_read(step).value_or(!certain) && FuzzSender::target(step);
}

std::vector<FuzzCredentials> wrong_credentials(const FuzzStep& right) {
  if (!right.operation->secured) return {};
  if (right.operation->closed) return {FuzzCredentials::none, FuzzCredentials::wrong};
  return {FuzzCredentials::none, FuzzCredentials::wrong, FuzzCredentials::changed};
}

}  // namespace ashlar::detail
