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

bool is_file(const SchemaNode& node) {
  return node.format == "binary" || (node.items != nullptr && node.items->format == "binary");
}

}  // namespace

std::string media_type_of(std::string_view content_type) {
  return to_lower_ascii(trim(content_type.substr(0, content_type.find(';'))));
}

FuzzService::FuzzService(App& app) {
  add(app.core(), "", "");
  link();
  link_values();
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

}  // namespace ashlar::detail
