// App: the routes of a service and everything they need, in one object.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/app/compression.hpp>
#include <ashlar/app/files.hpp>
#include <ashlar/app/live.hpp>
#include <ashlar/app/methods.hpp>
#include <ashlar/app/middleware.hpp>
#include <ashlar/app/outgoing.hpp>
#include <ashlar/app/router.hpp>
#include <ashlar/app/versions.hpp>
#include <ashlar/async/component.hpp>

namespace ashlar {

struct AppOptions {
  std::string title = "API";
  std::string version = "0.1.0";
  std::string summary = {};
  std::string description = {};
  std::vector<std::pair<std::string, std::string>> servers = {};  ///< URL and description, for OpenAPI
  std::vector<ApiTag> tags = {};                                  ///< in the order to show
  std::string license_name = {};
  std::string license_url = {};
  std::string terms_of_service = {};  ///< a URL
  std::string contact_name = {}, contact_url = {}, contact_email = {};
  ExternalDocs external_docs = {};
  std::string docs_path = "/docs";             ///< the documentation pages; empty: none
  std::string openapi_path = "/openapi.json";  ///< empty: none
  std::string metrics_path = "/metrics";       ///< empty: none
  std::string health_path = "/health";         ///< with /live and /ready below it; empty: none
  bool request_id = true;                      ///< see RequestId
  bool security_headers = true;                ///< see SecurityHeaders
};

namespace detail {

class Core;

/// A function that takes resources by reference, and the command line's arguments as std::vector<std::string>.
using Bound = std::function<Task<int>(Core&, std::vector<std::string>)>;

void* core_resource(Core& core, unsigned key);

// Written with who takes it, so that the message shows both.
template <FixedString Taker, class Parameter>
inline constexpr bool kTakesResources =
    std::is_lvalue_reference_v<Parameter> || std::is_same_v<std::remove_cvref_t<Parameter>, std::vector<std::string>>;

template <FixedString Taker, class P>
consteval bool takes_resource() {
  static_assert(kTakesResources<Taker, P>,
                "hooks, commands and what makes resources take resources by reference, and commands "
                "std::vector<std::string> arguments");
  return kTakesResources<Taker, P>;
}
template <FixedString Taker, class... P>
consteval bool takes_resources(List<P...>) {
  return (takes_resource<Taker, P>() && ...);
}

template <class P>
decltype(auto) program_argument(Core& core, std::vector<std::string>& arguments) {
  if constexpr (std::is_same_v<std::remove_cvref_t<P>, std::vector<std::string>>) {
    return std::move(arguments);
  } else {
    return *static_cast<std::remove_cvref_t<P>*>(core_resource(core, kResourceKey<std::remove_cvref_t<P>>));
  }
}

template <class F, class... P>
Task<int> call_bound(F& function, Core& core, std::vector<std::string> arguments, List<P...>) {
  using Result = typename Signature<F>::Result;
  if constexpr (std::is_same_v<Result, Task<int>>) {
    co_return co_await function(program_argument<P>(core, arguments)...);
  } else if constexpr (async::is_task<Result>) {
    co_await function(program_argument<P>(core, arguments)...);
    co_return 0;
  } else if constexpr (std::is_same_v<Result, int>) {
    co_return function(program_argument<P>(core, arguments)...);
  } else {
    function(program_argument<P>(core, arguments)...);
    co_return 0;
  }
}

template <FixedString Taker, class F>
Bound bind_program(F function) {
  using Parameters = typename Signature<F>::Parameters;
  if constexpr (takes_resources<Taker>(Parameters{})) {
    auto kept = std::make_shared<F>(std::move(function));  // outlives its coroutines
    return [kept](Core& core, std::vector<std::string> arguments) {
      return call_bound(*kept, core, std::move(arguments), Parameters{});
    };
  } else {
    return {};  // said already
  }
}

template <class F, class... P>
std::vector<unsigned> bound_resources(List<P...>) {
  std::vector<unsigned> keys;
  const auto add = [&]<class Q>(std::type_identity<Q>) {
    if constexpr (std::is_lvalue_reference_v<Q>) keys.push_back(kResourceKey<std::remove_cvref_t<Q>>);
  };
  (add(std::type_identity<P>{}), ...);
  return keys;
}

}  // namespace detail

/// Made in main(), filled with routes, and given to run(). Nothing may be added once it runs. Adding things that
/// contradict each other (two equal routes, a resource that nobody provides) is reported by run() before it serves.
class App {
 public:
  explicit App(AppOptions options = {});
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // ---- routes
  template <FixedString Pattern, class F>
  App& get(F handler, RouteOptions options = {}) {
    return add<http::Method::get, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  App& post(F handler, RouteOptions options = {}) {
    return add<http::Method::post, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  App& put(F handler, RouteOptions options = {}) {
    return add<http::Method::put, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  App& patch(F handler, RouteOptions options = {}) {
    return add<http::Method::patch, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  App& del(F handler, RouteOptions options = {}) {
    return add<http::Method::del, Pattern>(std::move(handler), std::move(options));
  }
  /// A WebSocket: `app.websocket<"/ws/{room}">([](WebSocket& socket, Path<"room"> room, Depends<current_user> me) ->
  /// Task<void> { … })`. Parameters and dependencies are bound as everywhere, before the connection is upgraded: what
  /// fails is an ordinary answer (401, 422, …). The socket closes when the handler ends: 1000, or what its exception
  /// says (1011 for a failure of ours, which is logged).
  template <FixedString Pattern, class F>
  App& websocket(F handler, WebSocketRouteOptions options = {}) {
    add_route(detail::make_websocket_route<Pattern>(std::move(handler), std::move(options)));
    return *this;
  }
  template <http::Method M, FixedString Pattern, class F>
  App& add(F handler, RouteOptions options = {}) {
    add_route(detail::make_route<M, Pattern>(std::move(handler), std::move(options)));
    return *this;
  }
  /// The same handler for several methods: see Methods.
  template <Methods Set, FixedString Pattern, class F>
  App& add(F handler, RouteOptions options = {}) {
    for (auto& route : detail::make_routes<Set, Pattern>(std::move(handler), std::move(options))) {
      add_route(std::move(route));
    }
    return *this;
  }
  template <FixedString Prefix>
  App& include(Router<Prefix> router) {
    for (auto& route : router.take()) add_route(std::move(route));
    return *this;
  }
  /// Serves the files of a folder below a path: `app.files<"/static">("static")`, or a single-page application:
  /// `app.files<"/">("web/dist", {.fallback = "index.html", .immutable = {"assets/"}})`. Other routes go first. Nothing
  /// outside of the folder is ever served. Start-up refuses when it is not there.
  template <FixedString Prefix>
  App& files(std::string folder, FilesOptions options = {}) {
    static_assert(detail::is_files_prefix(Prefix.view()), "files are served below a plain path: \"/static\"");
    add_files(Prefix.view(), std::move(folder), std::move(options));
    return *this;
  }
  /// Files within the program. The views, and what `files` refers to, are static.
  template <FixedString Prefix>
  App& files(std::span<const EmbeddedFile> files, FilesOptions options = {}) {
    static_assert(detail::is_files_prefix(Prefix.view()), "files are served below a plain path: \"/static\"");
    add_files(Prefix.view(), files, std::move(options));
    return *this;
  }
  /// Another application below a path: "/v1". It has its own documents, middleware and error format, and shares nothing
  /// but the server; its components are started with this one's.
  App& mount(std::string prefix, App& other);
  /// Another application for a host name ("api.example.com"), whatever the port.
  App& host(std::string name, App& other);
  /// Versions of an API side by side, each with its own documents: `app.versions({.fallback = "2"}, {{"1", v1}, {"2",
  /// v2}});` Paths that this application has routes for itself have no versions. Throws Invalid for what contradicts
  /// itself. Once.
  App& versions(VersionOptions options, std::vector<ApiVersion> versions);

  /// Adds a part of the service, with everything that belongs to it (resources, routes, hooks, checks, commands): a
  /// function `void mail(App& app)`, or an object with `void install(App& app)`. A function that is installed again
  /// adds nothing, so that parts can install those that they need.
  template <class P>
  App& install(P&& part) {
    if constexpr (requires { part.install(*this); }) {
      part.install(*this);
    } else if constexpr (std::is_convertible_v<P, void (*)(App&)>) {
      if (void (*const function)(App&) = part; is_new_part(function)) function(*this);
    } else {
      static_assert(std::is_invocable_v<P, App&>,
                    "a part is a function that takes App&, or an object with install(App&)");
      part(*this);
    }
    return *this;
  }

  // ---- resources
  /// Makes an object available to handlers as `T&`. It must outlive the application. A Component is started and stopped
  /// with it. Start-up refuses two for one type.
  template <class T>
  App& provide(T& object) {
    provide_object(detail::kResourceKey<std::remove_const_t<T>>, const_cast<std::remove_const_t<T>*>(&object));
    return *this;
  }
  /// Makes the object at start-up: `app.provide<Mailer>([](const Settings& settings, pg::Db& db) { return
  /// std::make_unique<Mailer>(…); })`. Its parameters are resources too, made before it, whatever the order of the
  /// calls.
  template <class T, class F>
    requires detail::HasSignature<F>
  App& provide(F factory) {
    return provide_made<T>(std::move(factory), false);
  }
  /// Provides this in place of what provide() gives for the type, before or after it, which is then never made or
  /// started: `app.install(shop).replace<Mailer>(fake)` in a test. The last one holds.
  template <class T>
  App& replace(T& object) {
    provide_object(detail::kResourceKey<std::remove_const_t<T>>, const_cast<std::remove_const_t<T>*>(&object), true);
    return *this;
  }
  template <class T, class F>
    requires detail::HasSignature<F>
  App& replace(F factory) {
    return provide_made<T>(std::move(factory), true);
  }

  /// The program's settings, loaded now from defaults < TOML file < environment, and again by run() with `--set
  /// name=value`; handlers take them as `const S&`. What is missing or wrong is told by run(), which then does not
  /// serve. `settings` prints them, secrets masked.
  template <class S>
  const S& settings(std::string prefix, std::string file = {}) {
    static_assert(!detail::contains_live<S>(),
                  "a setting of this struct is marked live{}, and these never change: load it by Live<S>");
    auto object = std::make_shared<S>();
    add_settings(
        &schema::type_info<S>(), object, std::move(prefix), std::move(file),
        [](void* into, void* fresh) { *static_cast<S*>(into) = std::move(*static_cast<S*>(fresh)); },
        [] { return std::shared_ptr<void>(std::make_shared<S>()); });
    provide(*object);
    return *object;
  }

  /// What the document says of credentials that routes read: `app.security_scheme("Bearer", {.password =
  /// OAuthFlow{.token_url = "/token", .scopes = {{"orders:read", "See orders"}}}})`. The name is that of the parameter:
  /// Credentials<"Bearer">, ApiKey<In::header, "X-API-Key">. Start-up refuses a scheme that no route reads, and a
  /// Security<…> whose scope no flow has.
  App& security_scheme(std::string name, SecurityScheme scheme);

  /// A request that the service sends to whoever has asked for it beforehand, by whatever way, for the document:
  /// `app.webhook<NoContent(StockLow)>("stock_low", {.summary = …})`, a function of what is sent that gives what comes
  /// back. What comes because of a single request is a callback: see callback(). The sending is the program's.
  template <class Signature>
  App& webhook(std::string name, OutgoingOptions options = {}) {
    add_webhook({std::move(name), {}, std::move(options), &detail::describe_outgoing<Signature>});
    return *this;
  }

  // ---- around requests
  /// Adds middleware; the first added is the outermost.
  template <class M>
    requires(std::is_base_of_v<Middleware, M> || detail::OfRoutes<M>)
  App& use(M middleware) {
    static_assert(!detail::OfRoutes<M>,
                  "middleware runs before anybody has signed in, and this asks who it is: it belongs into the options "
                  "of routes, {.principal_limits = {limit}}, {.idempotency = keys} or {.cache = pages.keep(…)}");
    if constexpr (!detail::OfRoutes<M>) add_middleware(std::make_shared<M>(std::move(middleware)));
    return *this;
  }
  /// A dependency before every route of the application.
  App& depends_on(RouteDependency dependency);

  /// What an exception of this type is to the client. The mapping added last is asked first.
  template <class E, class F>
  App& on_error(F to_problem) {
    add_error_mapping([to_problem = std::move(to_problem)](const std::exception& error) -> std::optional<Problem> {
      if (const auto* match = dynamic_cast<const E*>(&error)) return to_problem(*match);
      return std::nullopt;
    });
    return *this;
  }
  /// The shape of every error on the wire, in place of RFC 9457: `app.error_format<ErrorBody>([](const Problem&
  /// problem) { return ErrorBody{…}; });` It shows in OpenAPI.
  template <class T, class F>
  App& error_format(F to_body, std::string_view content_type = "application/json; charset=utf-8") {
    set_error_format(content_type, &schema::type_info<T>(),
                     [to_body = std::move(to_body)](const Problem& problem, std::string& out) {
                       schema::write_json<T>(to_body(problem), out);
                     });
    return *this;
  }

  /// The priority of a request that its route does not know: `app.classify([](const http::Request& request) {
  /// return request.has(http::KnownHeader::x_api_key) ? std::nullopt : std::optional(Priority::sheddable); });` Asked
  /// only while requests are shed. Nullopt: the route's.
  App& classify(std::function<std::optional<Priority>(const http::Request&)> priority_of);

  // ---- life
  /// Runs once before serving, after the components have started. Takes resources by reference; may be a Task. Throws
  /// to refuse.
  template <class F>
  App& on_start(F hook) {
    add_hook(true, detail::bind_program<"on_start">(std::move(hook)));
    return *this;
  }
  /// Runs once after the last request, before the components stop.
  template <class F>
  App& on_stop(F hook) {
    add_hook(false, detail::bind_program<"on_stop">(std::move(hook)));
    return *this;
  }
  /// A command of the program: `./blog seed ARGS`. Takes resources by reference and the arguments as
  /// std::vector<std::string>; may be a Task; an int is the exit code.
  template <class F>
  App& command(std::string name, std::string help, F function) {
    add_command(std::move(name), std::move(help),
                detail::bound_resources<F>(typename detail::Signature<F>::Parameters{}),
                detail::bind_program<"command">(std::move(function)));
    return *this;
  }
  /// A check that `check` and start-up run: gives the problems found, empty when all is well.
  App& check(std::function<Task<std::vector<std::string>>()> check);

  [[nodiscard]] const AppOptions& options() const noexcept;
  /// The OpenAPI document, as JSON text.
  [[nodiscard]] std::string openapi();

  /// For tests and embedding: what run() does around serving. `start` throws what makes run() refuse to serve; it and
  /// `stop` run on the loop that serves.
  Task<void> start();
  Task<void> stop();
  [[nodiscard]] http::Handler& handler() noexcept;
  [[nodiscard]] detail::Core& core() noexcept { return *core_; }

 private:
  template <class T, class F, class... P>
  static std::shared_ptr<void> make(F& factory, detail::Core& core, detail::List<P...>) {
    using Result = typename detail::Signature<F>::Result;
    std::vector<std::string> none;
    if constexpr (std::is_same_v<Result, T>) {
      return std::make_shared<T>(factory(detail::program_argument<P>(core, none)...));
    } else {
      return std::shared_ptr<T>(factory(detail::program_argument<P>(core, none)...));
    }
  }

  template <class T, class F>
  App& provide_made(F factory, bool replaces) {
    using Parameters = typename detail::Signature<F>::Parameters;
    if constexpr (detail::takes_resources<"provide">(Parameters{})) {
      auto kept = std::make_shared<F>(std::move(factory));
      provide_factory(
          detail::kResourceKey<T>, detail::bound_resources<F>(Parameters{}),
          [kept](detail::Core& core) { return make<T>(*kept, core, Parameters{}); }, replaces);
    }
    return *this;
  }

  [[nodiscard]] bool is_new_part(void (*part)(App&));
  void add_route(detail::Route route);
  void add_files(std::string_view prefix, std::string folder, FilesOptions options);
  void add_files(std::string_view prefix, std::span<const EmbeddedFile> files, FilesOptions options);
  void add_settings(const schema::TypeInfo* type, std::shared_ptr<void> object, std::string prefix, std::string file,
                    void (*move)(void* into, void* fresh), std::shared_ptr<void> (*make)());
  void provide_object(unsigned key, void* object, bool replaces = false);
  void provide_factory(unsigned key, std::vector<unsigned> needs,
                       std::function<std::shared_ptr<void>(detail::Core&)> make, bool replaces);
  void add_webhook(OutgoingRequest webhook);
  void add_middleware(std::shared_ptr<Middleware> middleware);
  void add_error_mapping(std::function<std::optional<Problem>(const std::exception&)> mapping);
  void set_error_format(std::string_view content_type, const schema::TypeInfo* type,
                        std::function<void(const Problem&, std::string&)> write);
  void add_hook(bool start, detail::Bound hook);
  void add_command(std::string name, std::string help, std::vector<unsigned> needs, detail::Bound function);

  std::unique_ptr<detail::Core> core_;
};

/// Runs the program's command line: `serve` (the default), `routes`, `openapi`, `settings`, `check`, `fuzz`, those of
/// the components (`migrate`, …) and its own. Gives the exit code; errors go to standard error with what to do.
int run(App& app, int argc, char** argv);

}  // namespace ashlar
