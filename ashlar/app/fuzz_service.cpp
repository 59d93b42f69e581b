// From the OpenAPI document to the operations that fuzz() tries.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include <ashlar/app/detail/fuzz_service.hpp>
#include <ashlar/app/detail/openapi_names.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

using schema::SchemaDocument;

constexpr std::size_t kSources = 3;  // of one parameter

std::string squeezed(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (is_alpha_ascii(c) || is_digit_ascii(c)) out += to_lower_ascii(c);
  }
  return out;
}

bool is_file(const SchemaNode& node) {
  return node.format == "binary" || (node.items != nullptr && node.items->format == "binary");
}

// May the one's values stand in the place of the other?
bool may_be(const SchemaNode& value, const SchemaNode& parameter) {
  if (parameter.takes(SchemaNode::kText)) return (value.types & (SchemaNode::kText | SchemaNode::kInteger)) != 0;
  return (value.types & parameter.types) != 0;
}

// A member of an answer with this name, the one that lies highest.
bool find_member(const SchemaNode& node, std::string_view name, const SchemaNode& parameter, int depth,
                 std::vector<std::string>& path) {
  for (const auto& member : node.members) {
    if (squeezed(member.name) != name || !may_be(*member.node, parameter)) continue;
    path.push_back(member.name);
    return true;
  }
  for (const SchemaNode* part : node.all_of) {
    if (find_member(*part, name, parameter, depth, path)) return true;
  }
  if (depth == 0) return false;
  for (const auto& member : node.members) {
    path.push_back(member.name);
    if (find_member(*member.node, name, parameter, depth - 1, path)) return true;
    path.pop_back();
  }
  return false;
}

const SchemaNode* success_of(const FuzzOperation& operation) {
  for (const auto& [status, contents] : operation.answers) {
    if (status < 200 || status > 299) continue;
    for (const auto& [type, node] : contents) {
      if (type.ends_with("json") && node != nullptr) return node;
    }
  }
  return nullptr;
}

std::string path_before(std::string_view path, std::string_view parameter) {
  std::string_view before = path.substr(0, path.find(fmt::format("{{{}", parameter)));
  while (before.ends_with('/')) before.remove_suffix(1);
  return std::string(before);
}

}  // namespace

std::string media_type_of(std::string_view content_type) {
  return to_lower_ascii(trim(content_type.substr(0, content_type.find(';'))));
}

FuzzService::FuzzService(App& app) {
  add(app.core(), "", "");
  link();
}

const FuzzOperation* FuzzService::at_same_path(const FuzzOperation& operation, http::Method method) const {
  for (const auto& one : operations) {
    if (one.core == operation.core && one.path == operation.path && one.method == method) return &one;
  }
  return nullptr;
}

void FuzzService::add(Core& core, const std::string& prefix, const std::string& host) {
  auto& document = *documents_.emplace_back(std::make_unique<SchemaDocument>(core.openapi()));
  std::size_t sockets = 0;
  const Tree* const paths = document.root().find("paths");
  std::set<std::pair<std::string, http::Method>> seen;
  for (const auto& route : core.routes) {
    if (route->options.hidden || paths == nullptr) continue;
    if (route->websocket != nullptr) {
      ++sockets;
      continue;
    }
    const Pattern pattern = read_pattern(route->pattern);
    if (!seen.emplace(pattern.shape, route->method).second) continue;
    for (std::size_t i = 0; i < paths->items.size(); ++i) {
      if (read_pattern(paths->names[i]).shape != pattern.shape) continue;
      const Tree* const description = paths->items[i].find(to_lower_ascii(http::to_string(route->method)));
      if (description == nullptr) continue;
      FuzzOperation operation;
      operation.core = &core;
      operation.route = route.get();
      operation.method = route->method;
      operation.prefix = prefix;
      operation.host = host;
      operation.path = prefix + route->pattern;
      operation.name = fmt::format("{} {}", http::to_string(route->method), prefix + paths->names[i]);
      operation.info = operation_of(*route);
      read(document, *description, operation);
      operations.push_back(std::move(operation));
      break;
    }
  }
  for (auto& one : operations) {
    if (one.core != &core) continue;
    for (const auto& other : operations) {
      if (other.core == &core && other.path == one.path) one.methods |= 1U << static_cast<unsigned>(other.method);
    }
  }
  if (sockets != 0) notes.push_back(fmt::format("{} WebSocket route{} left out", sockets, sockets == 1 ? "" : "s"));
  for (const auto& mounted : core.mounts) add(mounted.app->core(), prefix + mounted.prefix, host);
  for (const auto& other : core.hosts) add(other.app->core(), "", other.prefix);
}

void FuzzService::read(SchemaDocument& document, const Tree& description, FuzzOperation& operation) {
  operation.id = description.text_of("operationId");
  const auto type_of = [&](std::string_view name, In in) -> const schema::TypeInfo* {
    for (const auto& one : operation.info.parameters) {
      if (one.in == in && one.name == name) return one.type;
    }
    return nullptr;
  };
  if (const Tree* parameters = description.find("parameters")) {
    for (const Tree& one : parameters->items) {
      FuzzParameter parameter;
      parameter.name = one.text_of("name");
      const std::string_view in = one.text_of("in");
      parameter.in = in == "path"     ? FuzzPlace::path
                     : in == "header" ? FuzzPlace::header
                     : in == "cookie" ? FuzzPlace::cookie
                                      : FuzzPlace::query;
      parameter.required = one.is_true("required");
      parameter.node = &document.schema(*one.find("schema"));
      parameter.type = type_of(parameter.name, static_cast<In>(parameter.in));
      if (parameter.in == FuzzPlace::path) ++operation.path_parameters;
      operation.parameters.push_back(std::move(parameter));
    }
  }
  if (const Tree* body = description.find("requestBody")) {
    const Tree& content = *body->find("content");
    FuzzBody one;
    one.media_type = content.names.front();
    one.required = body->is_true("required");
    if (operation.info.body) one.type = operation.info.body->type;
    if (const Tree* schema = content.items.front().find("schema")) one.node = &document.schema(*schema);
    const bool is_form =
        one.media_type == "application/x-www-form-urlencoded" || one.media_type == "multipart/form-data";
    operation.has_form = is_form && one.type != nullptr;
    operation.has_files = one.media_type == "multipart/form-data";
    if (operation.has_form) {
      for (const auto& member : one.node->members)
        operation.parameters.push_back({.name = member.name,
                                        .in = FuzzPlace::form,
                                        .required = member.required,
                                        .node = member.node,
                                        .is_file = is_file(*member.node),
                                        .sources = {}});
    }
    operation.body = std::move(one);
  }
  if (const Tree* responses = description.find("responses")) {
    for (std::size_t i = 0; i < responses->items.size(); ++i) {
      const std::string& status = responses->names[i];
      auto& contents = status == "default" ? operation.other_answers : operation.answers[std::atoi(status.c_str())];
      const Tree* const content = document.resolve(responses->items[i]).find("content");
      if (content == nullptr) continue;
      for (std::size_t c = 0; c < content->items.size(); ++c) {
        const Tree* const schema = content->items[c].find("schema");
        const bool sequence = content->items[c].find("x-itemSchema") != nullptr;
        contents[content->names[c]] = schema == nullptr || sequence ? nullptr : &document.schema(*schema);
      }
    }
  }
  operation.secured = std::ranges::any_of(operation.info.security, [](const auto& one) { return !one.optional; });
}

// Which answers hold what a path needs: by the name and the type of the member, first of what is made one level above
// ("POST /articles" for "/articles/{slug}"), then of whatever is made.
void FuzzService::link() {
  for (auto& operation : operations) {
    for (std::size_t p = 0; p < operation.path_parameters; ++p) {
      FuzzParameter& parameter = operation.parameters[p];
      const std::string above = path_before(operation.path, parameter.name);
      const std::string name = squeezed(parameter.name);
      for (const bool near : {true, false}) {
        for (std::size_t i = 0; i < operations.size() && parameter.sources.size() < kSources; ++i) {
          const FuzzOperation& maker = operations[i];
          const bool makes = maker.method == http::Method::post || (near && maker.method == http::Method::put);
          if (!makes || &maker == &operation || maker.core != operation.core) continue;
          std::string_view place = maker.path;
          while (place.ends_with('/')) place.remove_suffix(1);
          if ((place == above) != near) continue;
          const SchemaNode* const success = success_of(maker);
          if (success == nullptr) continue;
          std::vector<std::string> members;
          bool found = false;
          if (near || name != "id") found = find_member(*success, name, *parameter.node, 2, members);
          if (!found && near && name.ends_with("id")) found = find_member(*success, "id", *parameter.node, 2, members);
          if (found) parameter.sources.push_back({i, std::move(members)});
        }
      }
    }
  }
}

}  // namespace ashlar::detail
