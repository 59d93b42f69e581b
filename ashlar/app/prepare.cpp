// Before the start: settings, resources in the order they need each other, routes. Everything that contradicts is told
// at once.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <set>
#include <utility>

#include <ashlar/app/detail/around.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/live_settings.hpp>
#include <ashlar/app/detail/openapi_headers.hpp>
#include <ashlar/app/detail/openapi_problems.hpp>
#include <ashlar/app/detail/openapi_security.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/response.hpp>
#include <ashlar/schema/settings.hpp>

namespace ashlar::detail {
namespace {

std::deque<ResourceType>& resource_types() {
  static std::deque<ResourceType> types;
  return types;
}

std::vector<std::string> parameter_names(std::string_view pattern) {
  std::vector<std::string> names;
  std::size_t at = 0;
  while ((at = pattern.find('{', at)) != std::string_view::npos) {
    std::string_view name = pattern.substr(at + 1, pattern.find('}', at) - at - 1);
    if (name.ends_with(":path")) name = name.substr(0, name.size() - 5);
    names.emplace_back(name);
    ++at;
  }
  return names;
}

// Checked while compiling, but for what routers within routers and the paths of the options make.
std::string_view path_problem(std::string_view pattern) {
  if (pattern.empty()) return "its path is empty; it is \"/\", or that of a router with a prefix";
  return pattern_problem(pattern);
}

// Of the handler's own parameters this is known while compiling; of those of its routers' dependencies only now.
void check_inputs(const Route& route, const OperationInfo& info) {
  for (const auto& parameter : info.parameters) {
    if (parameter.in != In::path || std::ranges::count(route.parameter_names, parameter.name) != 0) continue;
    throw Invalid(fmt::format("{}: a dependency takes Path<\"{}\">, but the route has no {{{}}}", route.name,
                              parameter.name, parameter.name));
  }
  if (info.body && !takes_body(route.method)) {
    throw Invalid(
        fmt::format("{}: a dependency takes a body, but a {} request has none", route.name, method_name(route.method)));
  }
}

// What cannot be sent as it is described.
void check_answers(const Route& route, const OperationInfo& info) {
  std::set<int> successes;
  for (const auto& response : info.responses) {
    if (!response.error && response.status < 400) successes.insert(response.status);
    for (const auto& part : response.parts) {
      if (part.type == nullptr) continue;
      for (const std::string& name : response_header_names(*part.type)) {
        try {
          http::Response().header(name, {});
        } catch (const Error& error) {
          throw Invalid(
              fmt::format("{}: its answer cannot have the header '{}': {}", route.name, name, error.message()));
        }
      }
    }
  }
  if (route.options.status != 0 && successes.size() > 1) {
    throw Invalid(
        fmt::format("{}: says .status = {}, but its handler gives several answers, {}; say their statuses in the type: "
                    "Status<{}, T>",
                    route.name, route.options.status, fmt::join(successes, " and "), route.options.status));
  }
}

// Bad patterns and members with one name on the wire are told now, not by the first request.
OperationInfo prepare_types(OperationInfo info, std::string_view name) {
  const auto prepare = [&](const schema::TypeInfo* type) {
    if (type == nullptr) return;
    try {
      schema::prepare(*type);
    } catch (const Error& error) {
      throw Invalid(fmt::format("{}: {}", name, error.message()));
    }
  };
  for (const auto& parameter : info.parameters) prepare(parameter.type);
  for (const auto& model : info.parameter_models) prepare(model.type);
  if (info.body) prepare(info.body->type);
  for (const auto& response : info.responses) {
    prepare(response.type);
    for (const auto& part : response.parts) prepare(part.type);
  }
  if (info.websocket) {
    prepare(info.websocket->receives);
    prepare(info.websocket->sends);
  }
  return info;
}

OperationInfo prepare_types(Route& route) {
  OperationInfo info = prepare_types(operation_of(route), route.name);
  check_inputs(route, info);
  check_answers(route, info);
  route.scopes = info.scopes;
  return info;
}
OperationInfo prepare_types(const OutgoingRequest& request, std::string_view name) {
  OperationInfo info;
  request.describe(info);
  return prepare_types(std::move(info), name);
}

std::string short_name(const ResourceType& type) {
  std::string name = type.name;
  if (name.starts_with("ashlar::")) name.erase(0, 8);
  return name;
}

}  // namespace

OperationInfo operation_of(const Route& route) {
  OperationInfo info;
  for (auto* describe : route.dependency_descriptions) describe(info);
  route.describe(info);
  return info;
}

unsigned add_resource_type(ResourceType type) {
  resource_types().push_back(std::move(type));
  return static_cast<unsigned>(resource_types().size() - 1);
}
const ResourceType& resource_type(unsigned key) { return resource_types()[key]; }

std::string joined(std::string_view prefix, std::string_view pattern) {
  std::string text(prefix == "/" ? std::string_view() : prefix);
  if (text.empty() || pattern != "/") text += pattern;
  return text;
}

void* core_resource(Core& core, unsigned key) { return core.resources[key]; }

// One for each type: the last that replaces the others, else the only one.
void Core::choose_providers() {
  std::vector<Provider> chosen;
  std::vector<std::string> problems;
  for (Provider& one : providers) {
    const auto same = std::ranges::find(chosen, one.key, &Provider::key);
    if (same == chosen.end()) {
      chosen.push_back(std::move(one));
    } else if (one.replaces) {
      *same = std::move(one);
    } else if (!same->replaces) {
      problems.push_back(fmt::format("{}& is provided twice; remove one, or say which holds: app.replace(object)",
                                     short_name(resource_type(one.key))));
    }
  }
  providers = std::move(chosen);
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
}

void Core::order_resources() {
  choose_providers();
  std::vector<std::string> problems;
  resources.assign(resource_types().size(), nullptr);
  // Who needs what; the first user names it in the message.
  std::vector<std::string> wanted(resources.size());
  const auto want = [&](unsigned key, const std::string& who) {
    if (wanted[key].empty()) wanted[key] = who;
  };
  for (const auto& route : routes) {
    for (const unsigned key : route->resources) want(key, "the route " + route->name);
  }
  for (const auto& command : commands) {
    for (const unsigned key : command.needs) want(key, "the command '" + command.name + "'");
  }
  for (const auto& provider : providers) {
    for (const unsigned key : provider.needs) want(key, "what makes " + short_name(resource_type(provider.key)));
  }
  const auto find = [&](unsigned key) -> Provider* {
    for (auto& provider : providers) {
      if (provider.key == key) return &provider;
    }
    return nullptr;
  };
  for (unsigned key = 0; key < wanted.size(); ++key) {
    if (wanted[key].empty() || find(key) != nullptr) continue;
    const ResourceType& type = resource_type(key);
    if (type.make_default != nullptr) {
      providers.push_back({key, {}, [make = type.make_default](Core&) { return make(); }});
    } else {
      problems.push_back(
          fmt::format("{} needs {}&, which nobody provides: add app.provide(object)", wanted[key], short_name(type)));
    }
  }
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));

  // Each after what it needs.
  std::vector<unsigned> visiting;
  const std::function<void(Provider&)> order = [&](Provider& provider) {
    if (std::ranges::find(making_order, &provider) != making_order.end()) return;
    if (std::ranges::find(visiting, provider.key) != visiting.end()) {
      std::string text = "resources need each other in a circle: ";
      for (const unsigned key : visiting) text += short_name(resource_type(key)) + " -> ";
      throw Invalid(text + short_name(resource_type(provider.key)));
    }
    visiting.push_back(provider.key);
    for (const unsigned key : provider.needs) order(*find(key));
    visiting.pop_back();
    making_order.push_back(&provider);
  };
  for (auto& provider : providers) order(provider);

  // Components are made now, because they add commands; with what they need. The rest waits for start(): `--help` and
  // `openapi` should have no effects.
  const std::function<void(Provider&)> make_with_needs = [&](Provider& provider) {
    for (const unsigned key : provider.needs) make_with_needs(*find(key));
    make(provider);
  };
  for (Provider* provider : making_order) {
    if (!provider->make) {
      make(*provider);
    } else if (resource_type(provider->key).as_component != nullptr) {
      make_with_needs(*provider);
    }
  }
}

void Core::make(Provider& provider) {
  if (resources[provider.key] != nullptr) return;
  if (provider.make) {
    owned.push_back(provider.make(*this));
    provider.object = owned.back().get();
  }
  resources[provider.key] = provider.object;
  if (auto* as_component = resource_type(provider.key).as_component) {
    components.push_back(as_component(provider.object));
  }
}

void Core::add_settings(ProgramSettings added) {
  try {
    added.load({});
  } catch (const std::exception& error) {
    added.problem = error.what();
  }
  settings.push_back(std::move(added));
}

void Core::ProgramSettings::load(std::span<const schema::Pair> flags) {
  SettingsPlaces places{.prefix = prefix, .file = file, .profile = {}, .file_must_exist = false, .flags = {}};
  for (const schema::Pair& flag : flags) places.flags.emplace_back(flag.name, flag.value);
  if (const char* profile = std::getenv(kProfileVariable)) places.profile = profile;
  auto fresh = make();
  schema::SettingsReport found;
  places.read(*type, fresh.get(), found);
  move(object.get(), fresh.get());
  profile_file = file.empty() || places.profile.empty() ? "" : schema::profile_file(file, places.profile);
  report = std::move(found);
  if (live == nullptr) return;
  // A file that was there is not taken away by a change.
  places.file_must_exist = !file.empty() && ::access(file.c_str(), F_OK) == 0;
  live->begin(object.get(), std::move(places), report);
}

void Core::load_settings(const std::vector<std::string>& assignments) {
  if (assignments.empty()) return;
  std::vector<schema::Pair> flags;
  for (const std::string& one : assignments) {
    const auto equals = one.find('=');
    if (equals == std::string::npos) throw Invalid(fmt::format("--set takes NAME=VALUE, not '{}'", one));
    flags.push_back({std::string_view(one).substr(0, equals), std::string_view(one).substr(equals + 1)});
  }
  std::vector<std::string> known;
  for (const auto& one : settings) std::ranges::move(schema::setting_names(*one.type), std::back_inserter(known));
  for (const schema::Pair& flag : flags) {
    if (std::ranges::find(known, flag.name) != known.end()) continue;
    const std::string nearest = schema::did_you_mean(flag.name, known);
    throw Invalid(fmt::format("--set {}: there is no such setting{} `settings` lists them", flag.name,
                              nearest.empty() ? ":" : nearest));
  }
  for (auto& one : settings) one.load(flags);
}

void Core::require_settings() const {
  for (const auto& one : settings) {
    if (!one.problem.empty()) throw Invalid(one.problem);
  }
}

// What would never be asked.
std::vector<std::string> Core::mount_problems() const {
  std::vector<std::string> problems;
  for (const auto* list : {&mounts, &hosts}) {
    std::set<std::string_view> taken;
    for (const Mounted& one : *list) {
      if (!taken.insert(one.prefix).second) {
        problems.push_back(fmt::format("two applications are mounted at {}; remove one", one.prefix));
      }
    }
  }
  for (const auto& route : routes) {
    const auto hides = [&](const Mounted& one) {
      const std::string_view pattern = route->pattern;
      return pattern.starts_with(one.prefix) &&
             (pattern.size() == one.prefix.size() || pattern[one.prefix.size()] == '/');
    };
    if (const auto above = std::ranges::find_if(mounts, hides); above != mounts.end()) {
      problems.push_back(fmt::format("{} is never reached: what is below {} goes to the application mounted there",
                                     route->name, above->prefix));
    }
  }
  return problems;
}

void Core::prepare() {
  require_settings();

  if (preparing_others_) throw Invalid("applications are mounted in each other in a circle");
  if (prepared_) return;
  prepared_ = true;
  // Inside out: the request's id is there before any other middleware, and the security headers come last.
  if (options.security_headers) middleware.insert(middleware.begin(), std::make_shared<SecurityHeaders>());
  if (options.request_id) middleware.insert(middleware.begin(), std::make_shared<RequestId>());
  for (const auto& one : middleware) one->core_ = this;
  add_builtin_routes();
  std::vector<std::string> problems;
  std::deque<OperationInfo> infos;
  std::vector<std::pair<std::string, const OperationInfo*>> described;
  const auto describe = [&](std::string name, OperationInfo info) {
    infos.push_back(std::move(info));
    described.emplace_back(std::move(name), &infos.back());
  };
  bool says_more_than_types = !webhooks.empty();
  for (auto& route : routes) {
    route->name = fmt::format("{} {}", method_name(route->method), route->pattern);
    route->parameter_names = parameter_names(route->pattern);
    for (auto dependency = dependencies.rbegin(); dependency != dependencies.rend(); ++dependency) {
      route->dependencies.insert(route->dependencies.begin(), dependency->run);
      route->dependency_descriptions.insert(route->dependency_descriptions.begin(), dependency->describe);
    }
    if (!route->options.rate_limits.empty()) route->options.errors.push_back(429);
    route->metrics = std::make_shared<Route::Metrics>();
    if (const auto problem = path_problem(route->pattern); !problem.empty()) {
      problems.push_back(fmt::format("route {}: {}", route->name, problem));
      continue;
    }
    try {
      put_around(*route);
      tree.add(*route);
      describe(route->name, prepare_types(*route));
      for (const auto& callback : route->options.callbacks) {
        const std::string name = fmt::format("{}, callback {}", route->name, callback.name);
        describe(name, prepare_types(callback, name));
      }
    } catch (const Error& error) {
      problems.push_back(error.message());
    }
    says_more_than_types = says_more_than_types || says_more(route->options);
  }
  for (const auto& webhook : webhooks) {
    try {
      describe("the webhook " + webhook.name, prepare_types(webhook, "the webhook " + webhook.name));
    } catch (const Error& error) {
      problems.push_back(error.message());
    }
  }
  for (auto& problem : mount_problems()) problems.push_back(std::move(problem));
  for (auto& problem : security_problems(described, security_schemes)) problems.push_back(std::move(problem));
  if (problems.empty() && says_more_than_types) {
    openapi();
    problems = std::move(openapi_problems_);
  }
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
  unmatched_.pattern = "";
  unmatched_.name = "no route";
  unmatched_.method = http::Method::other;
  unmatched_.metrics = std::make_shared<Route::Metrics>();
  active_ = metrics::default_registry().up_down_counter(
      {.name = "http.server.active_requests", .help = "HTTP requests being handled now.", .unit = "{request}"});
  order_resources();
  const auto others = other_apps();
  delegates_ = !others.empty();
  preparing_others_ = true;
  try {
    for (App* app : others) app->core().prepare();
  } catch (...) {
    preparing_others_ = false;
    throw;
  }
  preparing_others_ = false;
}

}  // namespace ashlar::detail
