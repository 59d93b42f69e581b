#include <ashlar/app/app.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <ashlar/app/background.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/settings.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace detail {
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

// Bad patterns and members with one name on the wire are told now, not by the first request.
void prepare_types(const Route& route) {
  OperationInfo info;
  for (auto* describe : route.dependency_descriptions) describe(info);
  route.describe(info);
  const auto prepare = [&](const schema::TypeInfo* type) {
    if (type == nullptr) return;
    try {
      schema::prepare(*type);
    } catch (const Error& error) {
      throw Invalid(fmt::format("{}: {}", route.name, error.message()));
    }
  };
  for (const auto& parameter : info.parameters) prepare(parameter.type);
  for (const auto& model : info.parameter_models) prepare(model.type);
  if (info.body) prepare(info.body->type);
  for (const auto& response : info.responses) prepare(response.type);
}

std::string short_name(const ResourceType& type) {
  std::string name = type.name;
  if (name.starts_with("ashlar::")) name.erase(0, 8);
  return name;
}

}  // namespace

unsigned add_resource_type(ResourceType type) {
  resource_types().push_back(std::move(type));
  return static_cast<unsigned>(resource_types().size() - 1);
}
const ResourceType& resource_type(unsigned key) { return resource_types()[key]; }

void* core_resource(Core& core, unsigned key) { return core.resources[key]; }

void Core::make_resources() {
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

  std::vector<unsigned> making;
  const std::function<void(Provider&)> make = [&](Provider& provider) {
    if (resources[provider.key] != nullptr) return;
    if (std::ranges::find(making, provider.key) != making.end()) {
      std::string text = "resources need each other in a circle: ";
      for (const unsigned key : making) text += short_name(resource_type(key)) + " -> ";
      throw Invalid(text + short_name(resource_type(provider.key)));
    }
    making.push_back(provider.key);
    for (const unsigned key : provider.needs) make(*find(key));
    making.pop_back();
    if (provider.make) {
      owned.push_back(provider.make(*this));
      provider.object = owned.back().get();
    }
    resources[provider.key] = provider.object;
    if (auto* as_component = resource_type(provider.key).as_component)
      components.push_back(as_component(provider.object));
  };
  for (std::size_t i = 0; i < providers.size(); ++i) make(providers[i]);
}

void Core::ProgramSettings::load(std::span<const schema::Pair> flags) {
  auto fresh = make();
  schema::Errors errors;
  if (!schema::read_settings(*type, fresh.get(),
                             {.prefix = prefix, .file = file, .file_must_exist = false, .flags = flags}, errors)) {
    throw schema::ValidationError(std::move(errors));
  }
  move(object.get(), fresh.get());
}

void Core::load_settings(const std::vector<std::string>& assignments) {
  if (assignments.empty()) return;
  std::vector<schema::Pair> flags;
  for (const std::string& one : assignments) {
    const auto equals = one.find('=');
    if (equals == std::string::npos) throw Invalid(fmt::format("--set takes NAME=VALUE, not '{}'", one));
    flags.push_back({std::string_view(one).substr(0, equals), std::string_view(one).substr(equals + 1)});
  }
  for (auto& one : settings) one.load(flags);
}

void Core::require_settings() const {
  for (const auto& one : settings) {
    if (!one.problem.empty()) throw Invalid(one.problem);
  }
}

void Core::prepare() {
  require_settings();

  if (prepared_) return;
  prepared_ = true;
  // Inside out: the request's id is there before any other middleware, and the security headers come last.
  if (options.security_headers) middleware.insert(middleware.begin(), std::make_shared<SecurityHeaders>());
  if (options.request_id) middleware.insert(middleware.begin(), std::make_shared<RequestId>());
  add_builtin_routes();
  std::vector<std::string> problems;
  for (auto& route : routes) {
    route->name = fmt::format("{} {}", method_name(route->method), route->pattern);
    route->parameter_names = parameter_names(route->pattern);
    for (auto dependency = dependencies.rbegin(); dependency != dependencies.rend(); ++dependency) {
      route->dependencies.insert(route->dependencies.begin(), dependency->run);
      route->dependency_descriptions.insert(route->dependency_descriptions.begin(), dependency->describe);
    }
    route->metrics = std::make_shared<Route::Metrics>();
    if (route->parameter_names.size() > kMaxPathParameters) {
      problems.push_back(fmt::format("{} has more than {} parameters", route->name, kMaxPathParameters));
      continue;
    }
    try {
      tree.add(*route);
      prepare_types(*route);
    } catch (const Error& error) {
      problems.push_back(error.message());
    }
  }
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
  unmatched_.pattern = "";
  unmatched_.name = "no route";
  unmatched_.method = http::Method::other;
  unmatched_.metrics = std::make_shared<Route::Metrics>();
  active_ = metrics::default_registry().up_down_counter(
      {.name = "http.server.active_requests", .help = "HTTP requests being handled now.", .unit = "{request}"});
  make_resources();
  for (auto& mounted : mounts) mounted.app->core().prepare();
  for (auto& mounted : hosts) mounted.app->core().prepare();
}

std::vector<async::Component*> Core::all_components() {
  std::vector<async::Component*> all = components;
  for (const auto* list : {&mounts, &hosts}) {
    for (const auto& mounted : *list) {
      for (auto* component : mounted.app->core().all_components()) {
        if (std::ranges::find(all, component) == all.end()) all.push_back(component);
      }
    }
  }
  return all;
}

Task<void> Core::start() {
  prepare();
  const auto all = all_components();
  for (; started_ < all.size(); ++started_) co_await all[started_]->start();
}

Task<void> Core::start_loop(async::Loop& loop) {
  for (auto* component : all_components()) co_await component->start_loop(loop);
}

Task<void> Core::begin() {
  std::vector<std::string> problems;
  for (auto& check : checks) {
    for (auto& problem : co_await check()) problems.push_back(std::move(problem));
  }
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
  for (auto& hook : start_hooks) co_await hook(*this, {});
}

Task<void> Core::stop_loop(async::Loop& loop) {
  auto all = all_components();
  for (auto component = all.rbegin(); component != all.rend(); ++component) {
    try {
      co_await (*component)->stop_loop(loop);
    } catch (const std::exception& error) {
      log::error("a component did not stop on a loop",
                 {{"component", (*component)->name()}, {"error", std::string_view(error.what())}});
    }
  }
}

Task<void> Core::stop() {
  auto all = all_components();
  for (; started_ > 0; --started_) {
    try {
      co_await all[started_ - 1]->stop();
    } catch (const std::exception& error) {
      log::error("a component did not stop",
                 {{"component", all[started_ - 1]->name()}, {"error", std::string_view(error.what())}});
    }
  }
}

Task<void> Core::drain_background() {
  while (background_running.load() > 0) {
    background_idle.reset();
    if (background_running.load() == 0) break;
    co_await background_idle.wait();
  }
}

Task<std::vector<std::string>> Core::run_checks() {
  std::vector<std::string> problems;
  for (auto* component : all_components()) {
    for (auto& problem : co_await component->check()) problems.push_back(std::move(problem));
  }
  for (auto& check : checks) {
    for (auto& problem : co_await check()) problems.push_back(std::move(problem));
  }
  co_return problems;
}

}  // namespace detail

// ---- Background
// --------------------------------------------------------------------------------------------------------

namespace {

// A task with a context of its own, alive until it ends.
struct BackgroundWork final : detail::AfterAnswer, async::Completion {
  Task<void> task;
  async::Context context;
  async::CancelScope scope;
  detail::Core* core = nullptr;

  void on_complete(std::exception_ptr error) noexcept override {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      log::error("background work failed",
                 {{"http.route", std::string_view(context.route == nullptr ? "" : context.route)},
                  {"error.message", std::string_view(exception.what())}});
    } catch (...) {
      log::error("background work failed");
    }
    detail::Core& owner = *core;
    delete this;
    if (owner.background_running.fetch_sub(1) == 1) owner.background_idle.set();
  }

  static void begin(detail::AfterAnswer* self, bool succeeded) noexcept {
    auto* work = static_cast<BackgroundWork*>(self);
    if (!succeeded) {
      work->drop();
      return;
    }
    work->core->background_running.fetch_add(1);
    const async::ContextGuard guard{&work->context};
    async::launch(std::move(work->task), *work);
  }

 private:
  void drop() noexcept {
    task.release().destroy();  // never awaited, on purpose
    delete this;
  }
};

}  // namespace

void Background::add(Task<void> task) {
  auto* work = new BackgroundWork;
  work->task = std::move(task);
  work->context = call_->exchange.context;
  work->context.deadline = async::TimePoint::max();
  work->context.scope = &work->scope;
  work->context.request_id = {};  // its bytes go with the request
  work->context.overrides = nullptr;
  work->core = &call_->core;
  work->run = &BackgroundWork::begin;
  call_->begin_later(*work);
}

// ---- App
// ---------------------------------------------------------------------------------------------------------------

App::App(AppOptions options) : core_(std::make_unique<detail::Core>(std::move(options))) {}
App::~App() = default;

const AppOptions& App::options() const noexcept { return core_->options; }
http::Handler& App::handler() noexcept { return *core_; }

App& App::mount(std::string prefix, App& other) {
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!prefix.starts_with('/')) throw Invalid("a mount's prefix starts with '/'");
  core_->mounts.push_back({std::move(prefix), &other});
  // The longest prefix is asked first.
  std::ranges::sort(core_->mounts, [](const auto& a, const auto& b) { return a.prefix.size() > b.prefix.size(); });
  return *this;
}

App& App::host(std::string name, App& other) {
  core_->hosts.push_back({std::move(name), &other});
  return *this;
}

App& App::depends_on(RouteDependency dependency) {
  core_->dependencies.push_back(dependency);
  return *this;
}

App& App::check(std::function<Task<std::vector<std::string>>()> check) {
  core_->checks.push_back(std::move(check));
  return *this;
}

void App::add_route(detail::Route route) { core_->routes.push_back(std::make_unique<detail::Route>(std::move(route))); }

void App::add_settings(const schema::TypeInfo* type, std::shared_ptr<void> object, std::string prefix, std::string file,
                       void (*move)(void* into, void* fresh), std::shared_ptr<void> (*make)()) {
  core_->settings.push_back({type, std::move(object), std::move(prefix), std::move(file), move, make, {}});
  auto& added = core_->settings.back();
  try {
    added.load({});
  } catch (const std::exception& error) {
    added.problem = error.what();
  }
}

void App::provide_object(unsigned key, void* object) { core_->providers.push_back({key, {}, {}, object}); }

void App::provide_factory(unsigned key, std::vector<unsigned> needs,
                          std::function<std::shared_ptr<void>(detail::Core&)> make) {
  core_->providers.push_back({key, std::move(needs), std::move(make)});
}

void App::add_middleware(std::shared_ptr<Middleware> middleware) { core_->middleware.push_back(std::move(middleware)); }

void App::add_error_mapping(std::function<std::optional<Problem>(const std::exception&)> mapping) {
  core_->mappings.push_back(std::move(mapping));
}

void App::set_error_format(std::string_view content_type, const schema::TypeInfo* type,
                           std::function<void(const Problem&, std::string&)> write) {
  core_->error_content_type = content_type;
  core_->error_type = type;
  core_->error_writer = std::move(write);
}

void App::add_hook(bool start, detail::Bound hook) {
  (start ? core_->start_hooks : core_->stop_hooks).push_back(std::move(hook));
}

void App::add_command(std::string name, std::string help, std::vector<unsigned> needs, detail::Bound function) {
  core_->commands.push_back({std::move(name), std::move(help), std::move(needs), std::move(function)});
}

std::string App::openapi() {
  core_->prepare();
  return core_->openapi();
}

Task<void> App::start() {
  co_await core_->start();
  co_await core_->start_loop(async::Loop::current());
  co_await core_->begin();
}

Task<void> App::stop() {
  co_await core_->drain_background();
  for (auto& hook : core_->stop_hooks) co_await hook(*core_, {});
  co_await core_->stop_loop(async::Loop::current());
  co_await core_->stop();
}

}  // namespace ashlar
