#include <ashlar/app/app.hpp>

#include <algorithm>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar {

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

App& App::security_scheme(std::string name, SecurityScheme scheme) {
  core_->security_schemes[std::move(name)] = std::move(scheme);
  return *this;
}

App& App::check(std::function<Task<std::vector<std::string>>()> check) {
  core_->checks.push_back(std::move(check));
  return *this;
}

App& App::classify(std::function<std::optional<Priority>(const http::Request&)> priority_of) {
  core_->classify = std::move(priority_of);
  return *this;
}

void App::add_route(detail::Route route) { core_->routes.push_back(std::make_unique<detail::Route>(std::move(route))); }

void App::add_files(std::string_view prefix, std::string folder, FilesOptions options) {
  check([folder]() -> Task<std::vector<std::string>> {
    std::vector<std::string> problems;
    if (std::string problem = detail::folder_problem(folder); !problem.empty()) problems.push_back(std::move(problem));
    co_return problems;
  });
  for (auto& route : detail::files_routes(prefix, std::move(folder), std::move(options))) add_route(std::move(route));
}

void App::add_files(std::string_view prefix, std::span<const EmbeddedFile> files, FilesOptions options) {
  for (auto& route : detail::files_routes(prefix, files, std::move(options))) add_route(std::move(route));
}

void App::add_settings(const schema::TypeInfo* type, std::shared_ptr<void> object, std::string prefix, std::string file,
                       void (*move)(void* into, void* fresh), std::shared_ptr<void> (*make)()) {
  core_->add_settings({.type = type,
                       .object = std::move(object),
                       .prefix = std::move(prefix),
                       .file = std::move(file),
                       .move = move,
                       .make = make,
                       .problem = {},
                       .profile_file = {},
                       .report = {},
                       .live = nullptr});
}

bool App::is_new_part(void (*part)(App&)) {
  if (std::ranges::find(core_->parts, part) != core_->parts.end()) return false;
  core_->parts.push_back(part);
  return true;
}

void App::provide_object(unsigned key, void* object, bool replaces) {
  core_->providers.push_back({key, {}, {}, object, replaces});
}

void App::provide_factory(unsigned key, std::vector<unsigned> needs,
                          std::function<std::shared_ptr<void>(detail::Core&)> make, bool replaces) {
  core_->providers.push_back({key, std::move(needs), std::move(make), nullptr, replaces});
}

void App::add_webhook(OutgoingRequest webhook) { core_->webhooks.push_back(std::move(webhook)); }

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
  co_await core_->end();
  co_await core_->stop_loop(async::Loop::current());
  co_await core_->stop();
}

}  // namespace ashlar
