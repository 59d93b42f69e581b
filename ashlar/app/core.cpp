#include <ashlar/app/detail/core.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <new>

#include <ashlar/async/loop.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/telemetry/trace.hpp>

namespace ashlar::detail {
namespace {

// RFC 3986, 6.2.2.2: %61 is "a". What must stay encoded (%2F) stays, so that the path's structure is not changed.
std::string_view decode_unreserved(std::string_view path, http::Scratch& scratch) {
  const auto hex = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  auto* out = static_cast<char*>(scratch.allocate(path.size(), 1));
  std::size_t size = 0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%') {
      const auto digit = [&](std::size_t at) {
        return at < path.size() && (is_digit_ascii(path[at]) || ((path[at] | 32) >= 'a' && (path[at] | 32) <= 'f'));
      };
      if (!digit(i + 1) || !digit(i + 2)) {
        Problem problem;
        problem.status = 400;
        problem.detail = "the path has a '%' that is not followed by two hexadecimal digits";
        throw problem;
      }
      const char c = static_cast<char>(hex(path[i + 1]) * 16 + hex(path[i + 2]));
      if (is_alpha_ascii(c) || is_digit_ascii(c) || c == '-' || c == '.' || c == '_' || c == '~') {
        out[size++] = c;
        i += 2;
        continue;
      }
    }
    out[size++] = path[i];
  }
  return {out, size};
}

void decode_values(Call& call, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& value = call.path_values[i];
    if (value.find('%') == std::string_view::npos) continue;
    if (const auto decoded = percent_decode(value)) value = call.exchange.scratch.copy(*decoded);
  }
}

Problem simple_problem(int status, std::string detail) {
  Problem problem;
  problem.status = status;
  problem.detail = std::move(detail);
  return problem;
}

}  // namespace

// ---- Call

std::string_view Call::path_value(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < route->parameter_names.size(); ++i) {
    if (route->parameter_names[i] == name) return path_values[i];
  }
  return {};
}

void* Call::resource(unsigned key) const noexcept { return core.resources[key]; }

void* Call::find_shared_slowly(const void* function, const void* type) const noexcept {
  for (auto* list : {shared, static_cast<SharedValue*>(exchange.context.overrides)}) {
    for (const SharedValue* one = list; one != nullptr; one = one->next) {
      if (one->key == function || one->key == type) return one->value;
    }
  }
  return nullptr;
}

void Call::succeed() noexcept { finish(true); }

void Call::fail(std::exception_ptr error) noexcept {
  try {
    core.write_problem(exchange, core.problem_of(error));
  } catch (...) {  // out of memory, or a mapping that throws
    exchange.response.clear();
    exchange.response.status = 500;
  }
  finish(false);
}

void Call::conclude() noexcept {
  for (unsigned i = passed; i-- > 0;) core.middleware[i]->after(exchange);
  if (exchange.notes != nullptr) [[unlikely]]
    write_rate_limit_headers(exchange);
}

void Call::finish(bool succeeded) noexcept {
  if (socket == nullptr) [[likely]]  // a WebSocket's was done with its 101
    conclude(), core.record(*this);
  AfterAnswer* first_kept = kept;
  AfterAnswer* first_background = background;
  exchange.finish();  // this Call is gone with it
  if (first_kept == nullptr && first_background == nullptr) [[likely]]
    return;
  const async::ContextGuard nobody{nullptr};  // the request's context is gone, too: what is destroyed may log
  for (AfterAnswer* one = first_kept; one != nullptr;) {
    AfterAnswer* next = one->next;
    one->run(one, succeeded);
    one = next;
  }
  for (AfterAnswer* one = first_background; one != nullptr;) {
    AfterAnswer* next = one->next;
    one->run(one, succeeded);
    one = next;
  }
}

// ---- routing

namespace {

// The dependencies of the routers come first; then the handler runs as it would have without them.
struct AfterDependencies final : async::Completion {
  Call& call;
  explicit AfterDependencies(Call& c) noexcept : call(c) {}
  void on_complete(std::exception_ptr error) noexcept override {
    if (error) return call.fail(std::move(error));
    try {
      if (call.route->invoke(call)) call.succeed();
    } catch (...) {
      call.fail(std::current_exception());
    }
  }
};

Task<void> run_dependencies(Call& call) {
  for (auto* dependency : call.route->dependencies) co_await dependency(call);
}

// The caller's own deadline, when it is sooner than ours; what is no number is nobody's deadline.
void shorten_deadline(http::Exchange& exchange, std::string_view milliseconds) noexcept {
  std::uint32_t left = 0;
  const auto [end, error] = std::from_chars(milliseconds.data(), milliseconds.data() + milliseconds.size(), left);
  if (error != std::errc{} || end != milliseconds.data() + milliseconds.size()) return;
  exchange.context.deadline = std::min(exchange.context.deadline, exchange.started + std::chrono::milliseconds{left});
}

bool host_is(std::string_view authority, std::string_view host) noexcept {
  if (const auto colon = authority.rfind(':');
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    authority = authority.substr(0, colon);
  }
  return equals_ignore_case(authority, host);
}

}  // namespace

// Whose request this is, if not ours; `path` becomes what it is to that application.
Core* Core::delegate(const http::Request& request, std::string_view& path) const {
  for (const Mounted& one : hosts) {
    if (host_is(request.authority, one.prefix)) return &one.app->core();
  }
  for (const Mounted& one : mounts) {
    if (!path.starts_with(one.prefix)) continue;
    const auto rest = path.substr(one.prefix.size());
    if (!rest.empty() && rest.front() != '/') continue;
    path = rest.empty() ? std::string_view("/") : rest;
    return &one.app->core();
  }
  if (versions == nullptr) return nullptr;
  std::array<std::string_view, kMaxPathParameters> values;
  const bool own = tree.find(request.method, path, values).allowed != 0;
  const bool with_slash = path.size() > 1 && path.ends_with('/');
  if (own || (with_slash && tree.find(request.method, path.substr(0, path.size() - 1), values).allowed != 0)) {
    return nullptr;
  }
  App* const version = versions->choose(request);
  return version != nullptr ? &version->core() : nullptr;
}

void Core::handle(http::Exchange& exchange) noexcept {
  if (front != nullptr) [[unlikely]] {
    try {
      front->before(exchange);
    } catch (...) {  // out of memory
      exchange.response.status = 503;
      return exchange.finish();
    }
  }
  if (delegates_) [[unlikely]] {
    Core* const other = delegate(exchange.request, exchange.request.path);
    if (other != nullptr) return other->handle(exchange);
  }
  exchange.notes = nullptr;
  const async::ContextGuard guard{&exchange.context};
  async::Loop* const loop = async::Loop::current_or_null();
  Call* call = nullptr;
  try {
    call = new (exchange.scratch.allocate(sizeof(Call), alignof(Call))) Call{exchange, *this};
    active_.add();
    call->route = &unmatched_;
    if (const auto parent = exchange.request.header(http::KnownHeader::traceparent)) [[unlikely]] {
      if (const auto trace = trace::parse_traceparent(*parent)) exchange.context.trace = trace::child_of(*trace);
    }
    if (const auto left = exchange.request.header(http::KnownHeader::x_request_timeout_ms)) [[unlikely]] {
      shorten_deadline(exchange, *left);
    }
    for (const auto& one : middleware) {
      ++call->passed;
      if (!one->before(exchange)) return call->succeed();
    }
    if (!find_route(*call)) return call->succeed();
    const Route& route = *call->route;
    exchange.context.route = route.name.c_str();
    if (overload_ != nullptr && loop != nullptr && !admit(*call, *loop)) [[unlikely]]
      return call->succeed();
    for (const RateLimit& limit : route.options.rate_limits) {
      if (!ask_rate_limit(limit, *this, exchange)) return call->succeed();
    }
    if (loop != nullptr) loop->set_running(route.name.c_str());
    if (!route.dependencies.empty()) [[unlikely]] {
      void* place = exchange.scratch.allocate(sizeof(AfterDependencies), alignof(AfterDependencies));
      async::launch(run_dependencies(*call), *new (place) AfterDependencies{*call});
    } else if (route.invoke(*call)) {
      call->succeed();
    }
  } catch (...) {
    if (call != nullptr) {
      call->fail(std::current_exception());
    } else {
      exchange.response.status = 503;
      exchange.finish();
    }
  }
  if (loop != nullptr) loop->set_running(nullptr);
}

bool Core::admit(Call& call, async::Loop& loop) {
  LoopLoad& load = overload_->loop(loop.index());
  load.arrive();
  if (load.limiting()) [[unlikely]] {
    Priority priority = call.route->options.priority;
    if (classify && priority != Priority::critical) {
      if (const auto chosen = classify(call.exchange.request)) priority = *chosen;
    }
    if (!load.admits(priority)) return refuse_overload(call, load), false;
  }
  load.take_on();
  // How long a body takes to come says nothing about us, and everybody could make it long.
  if (call.exchange.body != nullptr) return true;
  call.load = &load;
  call.route_load = &call.route->loads[loop.index()];
  load.enter(*call.route_load);
  return true;
}

void Core::refuse_overload(Call& call, LoopLoad& load) {
  Problem problem;
  problem.status = 503;
  problem.detail = "there are more requests than can be answered in time";
  problem.headers.emplace_back("Retry-After", std::to_string(load.retry_after()));
  write_problem(call.exchange, problem);
}

void Core::watch(Overload* overload) {
  for (Core* core : all_cores()) {
    core->overload_ = overload;
    if (overload == nullptr) continue;  // requests that are still under way know their routes' loads
    for (auto& route : core->routes) route->loads = std::make_shared<RouteLoad[]>(overload->size());
  }
}

bool Core::find_route(Call& call) {
  auto& exchange = call.exchange;
  const auto& request = exchange.request;
  std::string_view path = request.path;
  const bool encoded = path.find('%') != std::string_view::npos;
  if (encoded) [[unlikely]]
    path = decode_unreserved(path, exchange.scratch);
  const auto match = tree.find(request.method, path, call.path_values);
  if (match.route != nullptr) [[likely]] {
    call.route = match.route;
    if (encoded) [[unlikely]]
      decode_values(call, match.values);
    return true;
  }
  const std::string allow = match.allowed != 0 ? allow_text(match.allowed) : std::string();
  if (request.method == http::Method::options && (match.allowed != 0 || request.path == "*")) {
    exchange.response.status = 204;
    if (!allow.empty()) exchange.response.header("Allow", allow);
    return false;
  }
  if (match.allowed != 0) {
    auto problem = simple_problem(405, fmt::format("{} is not allowed here; allowed: {}", request.method_text, allow));
    problem.headers.emplace_back("Allow", allow);
    write_problem(exchange, problem);
    return false;
  }
  if (redirect_slash(call, path)) return false;
  write_problem(exchange, versions != nullptr ? versions->refusal(request)  // or one of them would have been chosen
                                              : simple_problem(404, "there is nothing at this path"));
  return false;
}

// "/users/" where only "/users" is known, and the reverse.
bool Core::redirect_slash(Call& call, std::string_view path) const {
  if (path.size() < 2) return false;
  std::string other(path);
  if (other.back() == '/') {
    other.pop_back();
  } else {
    other.push_back('/');
  }
  std::array<std::string_view, kMaxPathParameters> values;
  if (tree.find(call.exchange.request.method, other, values).route == nullptr) return false;
  // The target as it was sent, so that a mount's prefix stays; two slashes at its start would name another host.
  const auto& request = call.exchange.request;
  std::string location(request.target.substr(0, request.target.find('?')));
  if (!location.starts_with('/') || location.starts_with("//")) return false;
  if (location.back() == '/') {
    location.pop_back();
  } else {
    location.push_back('/');
  }
  if (!request.query.empty()) location.append("?").append(request.query);
  call.exchange.response.status = 308;
  call.exchange.response.header("Location", location);
  return true;
}

http::BodyPlan Core::plan_body(const http::Request& head, std::uint64_t standard) noexcept {
  // A mounted application may have others mounted in it.
  const Core* core = this;
  std::string_view path = head.path;
  while (const Core* const inner = core->delegate(head, path)) core = inner;
  std::array<std::string_view, kMaxPathParameters> values;
  const auto match = core->tree.find(head.method, path, values);
  if (match.route == nullptr) return {.limit = standard};
  return {.limit = match.route->options.max_body.value_or(standard), .stream = match.route->streams_body};
}

void Core::record(const Call& call) noexcept {
  active_.sub();
  const auto elapsed = async::Clock::now() - call.exchange.started;
  if (call.load != nullptr) [[likely]]
    call.load->leave(*call.route_load, elapsed);
  Route::Metrics* const metrics = call.route->metrics.get();
  if (metrics == nullptr) return;
  const int status = call.exchange.response.status;
  for (auto& entry : metrics->entries) {
    const int known = entry.status.load(std::memory_order_acquire);
    if (known == status) [[likely]]
      return entry.duration.record(elapsed);
    if (known != 0) continue;
    try {
      const std::lock_guard lock(metrics->adding);
      if (entry.status.load(std::memory_order_relaxed) == 0) {
        const std::string code = std::to_string(status);
        const std::string_view route = call.route->pattern;
        entry.duration =
            metrics::default_registry().histogram({.name = "http.server.request.duration",
                                                   .help = "Duration of HTTP requests, from the head to the answer.",
                                                   .unit = "s"},
                                                  {{"http.request.method", method_name(call.route->method)},
                                                   {"http.route", route},
                                                   {"http.response.status_code", code}});
        entry.status.store(status, std::memory_order_release);
      }
    } catch (...) {
      return;
    }
    if (entry.status.load(std::memory_order_acquire) == status) return entry.duration.record(elapsed);
  }
}

}  // namespace ashlar::detail
