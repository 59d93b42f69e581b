// The routes that every application has: health, metrics, OpenAPI and its pages.
#include <fmt/format.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/openapi_problems.hpp>
#include <ashlar/app/docs_pages.hpp>
#include <ashlar/app/openapi.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar {

/// The answer of /health/live and /health/ready.
struct Health {
  std::string status;
  std::vector<std::string> reasons = {};
};

namespace detail {
namespace {

// One dependency of the program must not hold the probe up for longer than a prober waits.
Task<std::optional<std::string>> reason_of(async::Component* component) {
  std::optional<std::string> reason;
  try {
    reason = co_await async::timeout(std::chrono::seconds{2}, component->unhealthy());
  } catch (const std::exception& error) {
    reason = error.what();
  }
  if (reason) reason = fmt::format("{}: {}", component->name(), *reason);
  co_return reason;
}

Task<std::variant<Health, Content>> readiness(Core& core) {
  Health health{"ready"};
  if (core.draining) health.reasons.emplace_back("the service is shutting down");
  std::vector<Task<std::optional<std::string>>> asked;
  for (auto* component : core.all_components()) asked.push_back(reason_of(component));
  if (!asked.empty()) {
    for (auto& reason : co_await async::all(std::move(asked))) {
      if (reason) health.reasons.push_back(std::move(*reason));
    }
  }
  if (health.reasons.empty()) co_return health;
  health.status = "unavailable";
  co_return Content{kJson, schema::to_json(health), 503};
}

Task<Content> exposition(Core& core, const http::Request& request) {
  const auto form = metrics::negotiate(request.header(http::KnownHeader::accept).value_or(std::string_view()));
  co_return Content{metrics::content_type(form), core.gather_metrics ? co_await core.gather_metrics(form)
                                                                     : metrics::default_registry().expose(form)};
}

}  // namespace

void Core::add_builtin_routes() {
  const RouteOptions hidden{.hidden = true, .priority = Priority::critical};  // what tells of an overload outlives it
  const auto add = [this]<class F>(std::string path, F handler, RouteOptions route_options) {
    Route route = make_route<http::Method::get, "/{rest:path}">(std::move(handler), std::move(route_options));
    route.pattern = std::move(path);
    routes.push_back(std::make_unique<Route>(std::move(route)));
  };
  if (!options.health_path.empty()) {
    add(options.health_path + "/live", [] { return Health{"alive"}; }, hidden);
    add(options.health_path + "/ready", [this] { return readiness(*this); }, hidden);
  }
  if (!options.metrics_path.empty())
    add(options.metrics_path, [this](const http::Request& request) { return exposition(*this, request); }, hidden);
  if (!options.openapi_path.empty()) {
    add(
        options.openapi_path,
        [this](http::Response& response) {
          // Tools on other origins (editors, gateways) may read the document: it is public.
          response.header("Access-Control-Allow-Origin", "*");
          return Content{"application/json", openapi()};
        },
        hidden);
  }
  if (!options.docs_path.empty() && !options.openapi_path.empty()) {
    const auto page = [this](const http::Request& request, http::Response& response) {
      return docs_page(request, response,
                       {.title = options.title,
                        .docs_path = options.docs_path,
                        .openapi_path = options.openapi_path,
                        .servers = options.servers,
                        .security_schemes = &security_schemes});
    };
    add(options.docs_path, page, hidden);
    add(options.docs_path + "/{rest:path}", page, hidden);
  }
}

std::string Core::openapi() {
  std::call_once(openapi_once_, [this] {
    ApiInfo info;
    info.title = options.title;
    info.version = options.version;
    info.summary = options.summary;
    info.description = options.description;
    info.servers = options.servers;
    info.tags = options.tags;
    info.license_name = options.license_name;
    info.license_url = options.license_url;
    info.terms_of_service = options.terms_of_service;
    info.contact_name = options.contact_name;
    info.contact_url = options.contact_url;
    info.contact_email = options.contact_email;
    info.external_docs = options.external_docs;
    info.webhooks = webhooks;
    info.security_schemes = security_schemes;
    std::vector<Operation> operations;
    for (const auto& route : routes) {
      if (route->options.hidden) continue;
      operations.push_back({route->method, route->pattern, &route->options, operation_of(*route)});
      if (version_header.empty()) continue;
      operations.back().info.parameters.push_back(
          {version_header, In::header, false, &schema::type_info<std::string>()});
    }
    ErrorFormat errors;
    if (error_type != nullptr) {
      errors.content_type = error_content_type.substr(0, error_content_type.find(';'));
      errors.type = error_type;
    }
    openapi_text_ = make_openapi(info, operations, errors);
    openapi_problems_ = openapi_problems(info, operations, openapi_text_);
  });
  return openapi_text_;
}

}  // namespace detail
}  // namespace ashlar
