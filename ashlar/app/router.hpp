// Router: routes under a common prefix, with common tags and dependencies.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/app/detail/handler.hpp>
#include <ashlar/app/detail/scope_of.hpp>
#include <ashlar/app/detail/websocket_handler.hpp>
#include <ashlar/app/methods.hpp>

namespace ashlar {

/// A dependency that runs before every route of a router: `depends<require_admin>`.
struct RouteDependency {
  Task<void> (*run)(detail::Call&);
  void (*describe)(OperationInfo&);
};
template <auto Function>
inline constexpr RouteDependency depends{&detail::Prelude<&*Function>::run, &detail::Prelude<&*Function>::describe};

/// The same with scopes that every route of it asks for: `secured<current_user, "orders:read">`, see Security.
template <auto Function, FixedString... Scopes>
inline constexpr RouteDependency secured{&detail::SecurePrelude<&*Function, Scopes...>::run,
                                         &detail::SecurePrelude<&*Function, Scopes...>::describe};

/// Each for himself, by what a dependency gives: text, a number, a Uuid; or a member of it: `per<current_user,
/// &User::id>`. For PrincipalLimit, Idempotency and ResponseCache.
template <auto Function, auto Member = nullptr>
inline constexpr Scope per{&detail::Prelude<&*Function>::run, &detail::Prelude<&*Function>::describe,
                           &detail::append_scope<&*Function, Member>};

struct RouterOptions {
  std::vector<std::string> tags = {};
  std::vector<RouteDependency> dependencies = {};
  std::vector<int> errors = {};  ///< statuses that every route of it may answer
  bool deprecated = false;
  bool hidden = false;
};

namespace detail {

// "/api" and "/users" are "/api/users"; a prefix and "/" is the prefix.
std::string joined(std::string_view prefix, std::string_view pattern);
template <FixedString Prefix, FixedString Pattern>
consteval auto joined() {
  constexpr std::size_t prefix = Prefix.view() == "/" ? 0 : Prefix.view().size();
  constexpr std::size_t pattern = prefix != 0 && Pattern.view() == "/" ? 0 : Pattern.view().size();
  char text[prefix + pattern + 1]{};
  for (std::size_t i = 0; i < prefix; ++i) text[i] = Prefix.text[i];
  for (std::size_t i = 0; i < pattern; ++i) text[prefix + i] = Pattern.text[i];
  return FixedString<prefix + pattern + 1>(text);
}

// Written with both prefixes, so that the message shows them.
template <FixedString Prefix, FixedString Inner>
inline constexpr bool kPrefixesFit = pattern_problem(joined<Prefix, Inner>()).empty();

}  // namespace detail

/// `Router<"/articles/{slug}"> comments{{.tags = {"comments"}}}; comments.get<"/comments">(…);
/// app.include(std::move(comments));` Parameters of the prefix are checked like those of the route.
template <FixedString Prefix = "">
class Router {
 public:
  explicit Router(RouterOptions options = {}) : options_(std::move(options)) {}

  template <FixedString Pattern, class F>
  Router& get(F handler, RouteOptions options = {}) {
    return add<http::Method::get, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  Router& post(F handler, RouteOptions options = {}) {
    return add<http::Method::post, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  Router& put(F handler, RouteOptions options = {}) {
    return add<http::Method::put, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  Router& patch(F handler, RouteOptions options = {}) {
    return add<http::Method::patch, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  Router& del(F handler, RouteOptions options = {}) {
    return add<http::Method::del, Pattern>(std::move(handler), std::move(options));
  }
  template <FixedString Pattern, class F>
  Router& options(F handler, RouteOptions options = {}) {
    return add<http::Method::options, Pattern>(std::move(handler), std::move(options));
  }
  /// As App::websocket.
  template <FixedString Pattern, class F>
  Router& websocket(F handler, WebSocketRouteOptions options = {}) {
    routes_.push_back(
        detail::make_websocket_route<detail::joined<Prefix, Pattern>()>(std::move(handler), std::move(options)));
    return *this;
  }
  /// A route for any method.
  template <http::Method M, FixedString Pattern, class F>
  Router& add(F handler, RouteOptions options = {}) {
    routes_.push_back(detail::make_route<M, detail::joined<Prefix, Pattern>()>(std::move(handler), std::move(options)));
    return *this;
  }

  /// The same handler for several methods: see Methods.
  template <Methods Set, FixedString Pattern, class F>
  Router& add(F handler, RouteOptions options = {}) {
    for (auto& route :
         detail::make_routes<Set, detail::joined<Prefix, Pattern>()>(std::move(handler), std::move(options))) {
      routes_.push_back(std::move(route));
    }
    return *this;
  }

  /// Takes over another router's routes, under this one's prefix, tags and dependencies.
  template <FixedString Inner>
  Router& include(Router<Inner> other) {
    static_assert(detail::kPrefixesFit<Prefix, Inner>,
                  "the prefix of a router and that of one within it make no path: they have a parameter twice, or more "
                  "than eight");
    for (auto& route : other.take()) {
      route.pattern = detail::joined(Prefix.view(), route.pattern);
      routes_.push_back(std::move(route));
    }
    return *this;
  }

  /// Its routes, finished; leaves it empty. For App::include.
  [[nodiscard]] std::vector<detail::Route> take() {
    for (auto& route : routes_) apply(route);
    return std::move(routes_);
  }

 private:
  void apply(detail::Route& route) const {
    auto& options = route.options;
    options.tags.insert(options.tags.begin(), options_.tags.begin(), options_.tags.end());
    options.errors.insert(options.errors.end(), options_.errors.begin(), options_.errors.end());
    options.deprecated = options.deprecated || options_.deprecated;
    options.hidden = options.hidden || options_.hidden;
    std::vector<Task<void> (*)(detail::Call&)> runs;
    std::vector<void (*)(OperationInfo&)> descriptions;
    for (const auto& dependency : options_.dependencies) {
      runs.push_back(dependency.run);
      descriptions.push_back(dependency.describe);
    }
    route.dependencies.insert(route.dependencies.begin(), runs.begin(), runs.end());
    route.dependency_descriptions.insert(route.dependency_descriptions.begin(), descriptions.begin(),
                                         descriptions.end());
  }

  RouterOptions options_;
  std::vector<detail::Route> routes_;
};

}  // namespace ashlar
