#include <ashlar/app/detail/around.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <ashlar/app/detail/cached_route.hpp>
#include <ashlar/app/detail/idempotent_route.hpp>
#include <ashlar/app/openapi.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/json_schema.hpp>

namespace ashlar::detail {
namespace {

bool invoke_around(Call& call) {
  const Route& route = *call.route;
  for (const PrincipalLimit& limit : route.options.principal_limits) {
    if (!ask_principal_limit(limit, call)) return true;
  }
  return route.around != nullptr ? route.around->invoke(call) : route.handle(call);
}

// The scope's dependency goes last, after those of the routers: what they have found out is not asked again.
void depend_on(Route& route, const Scope& scope) {
  if (scope.is_anyone()) return;
  if (std::ranges::find(route.dependencies, scope.run) != route.dependencies.end()) return;
  route.dependencies.push_back(scope.run);
  route.dependency_descriptions.push_back(scope.describe);
}

}  // namespace

Task<void> run_handler(Call& call) {
  if (call.route->run != nullptr) {
    co_await call.route->run(call);
  } else {
    call.route->handle(call);
  }
}

std::vector<std::string> names_read(const OperationInfo& info, In where) {
  std::vector<std::string> names;
  for (const auto& parameter : info.parameters) {
    if (parameter.in == where) names.push_back(parameter.name);
  }
  schema::SchemaSet schemas;
  for (const auto& model : info.parameter_models) {
    if (model.in != where) continue;
    for (auto& property : schemas.parameters(*model.type)) {
      names.push_back(where == In::header ? header_name(property.name) : std::move(property.name));
    }
  }
  return names;
}

std::string scope_text(const Scope& scope, Call& call) {
  std::string text;
  if (!scope.is_anyone()) scope.append(call, text);
  return text;
}

Captured capture(const http::Response& response, std::size_t mark) {
  Captured captured;
  captured.whole = !response.streaming() && response.file_body() == nullptr;
  if (!response.content_type.empty()) captured.headers = fmt::format("Content-Type: {}\r\n", response.content_type);
  const std::string_view lines = response.header_lines();
  captured.headers += lines.substr(std::min(mark, lines.size()));
  return captured;
}

void put_around(Route& route) {
  RouteOptions& options = route.options;
  const bool any = !options.principal_limits.empty() || options.idempotency || options.cache;
  if (!any) return;
  if (route.websocket != nullptr) throw Invalid(fmt::format("{} is a WebSocket: nothing goes around it", route.name));
  for (const PrincipalLimit& limit : options.principal_limits) depend_on(route, limit.scope());
  if (!options.principal_limits.empty()) options.errors.push_back(429);
  if (options.idempotency) {
    depend_on(route, options.idempotency->rules().scope);
    route.around = make_idempotent(route, *options.idempotency);
  }
  if (options.cache) {
    if (options.idempotency) throw Invalid(fmt::format("{} has idempotency keys and a cache", route.name));
    depend_on(route, options.cache->rules()->scope);
    route.around = make_cached(route, *options.cache);
  }
  route.handle = std::exchange(route.invoke, &invoke_around);
}

}  // namespace ashlar::detail
