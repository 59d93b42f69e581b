// From a handler to a Route: the checks while compiling, and the function that the running program calls.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <ashlar/app/detail/pattern.hpp>
#include <ashlar/app/detail/resolve.hpp>
#include <ashlar/app/detail/respond.hpp>
#include <ashlar/app/methods.hpp>

namespace ashlar::detail {

constexpr std::string_view method_name(http::Method method) {
  constexpr std::string_view names[] = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH", "?"};
  return names[static_cast<std::size_t>(method)];
}
constexpr bool takes_body(http::Method method) {
  return method == http::Method::post || method == http::Method::put || method == http::Method::patch ||
         method == http::Method::del;
}

consteval Message route_message(http::Method method, std::string_view pattern) {
  Message message;
  message.add("route ").add(method_name(method)).add(" ").add(pattern).add(": ");
  return message;
}

// ---- checks

template <class P>
consteval Source source_of() {
  return Extractor<parameter_t<P>>::kSource;
}

template <class P>
consteval Message unreadable_message(http::Method method, std::string_view pattern) {
  return route_message(method, pattern)
      .add("cannot read a parameter of type ")
      .add(type_name<P>())
      .add(
          "; a parameter is a struct (the JSON body), Path<\"name\", T>, Query<T>, Header<T>, Cookie<T> or Form<T> of "
          "a "
          "struct (each member one parameter), Body<T>, BodyStream, Credentials, ApiKey, Depends<function>, or a "
          "provided resource by reference");
}
consteval Message no_parameter_message(http::Method method, std::string_view pattern, std::string_view name) {
  auto message = route_message(method, pattern);
  message.add("takes Path<\"").add(name).add("\">, but the route has no {").add(name).add("}; ");
  describe_parameters(message, pattern);
  return message;
}
template <class P>
consteval Message no_body_message(http::Method method, std::string_view pattern) {
  return route_message(method, pattern)
      .add("takes a body of type ")
      .add(type_name<P>())
      .add(", but a ")
      .add(method_name(method))
      .add(" request has none; read it with Query<T>, or use POST, PUT or PATCH");
}

// Written as templates, so that a compiler that cannot show a message made by a function shows their arguments: the
// route, and what does not fit it.
template <FixedString Pattern, FixedString Name>
inline constexpr bool kRouteHas = pattern_has(Pattern, Name);
template <http::Method M, FixedString Pattern>
inline constexpr bool kWellFormed = pattern_problem(Pattern).empty();
template <http::Method M, FixedString Pattern, class Body>
inline constexpr bool kTakesBody = takes_body(M);
template <http::Method M, FixedString Pattern, class Parameter>
inline constexpr bool kReadable = Extractable<Parameter>;

template <http::Method M, FixedString Pattern, FixedString Name, class T>
consteval void check_path(const Path<Name, T>*) {
  ASHLAR_REQUIRE((kRouteHas<Pattern, Name>), no_parameter_message(M, Pattern, Name),
                 "a handler takes Path<\"name\">, but its route has no {name}");
}

// Whether the dependency, or one that it needs, knows the scopes that are asked for.
template <class P>
consteval bool takes_scopes() {
  if constexpr (!kIsDependency<P>) return std::is_same_v<std::remove_cvref_t<P>, SecurityScopes>;
  return false;
}
template <class... P>
consteval bool any_takes_scopes(List<P...>) {
  return (takes_scopes<P>() || ...);
}
template <class... D>
consteval bool any_dependency_takes_scopes(List<D...>) {
  return (any_takes_scopes(typename dependency_signature<D>::Parameters{}) || ...);
}
template <auto Function>
inline constexpr bool kScopesAreChecked = any_dependency_takes_scopes(dependencies_t<List<Depends<Function>>>{});

// Written with the route, as above.
template <http::Method M, FixedString Pattern, class P>
inline constexpr bool kChecksScopes = true;
template <http::Method M, FixedString Pattern, auto F, FixedString... Scopes>
inline constexpr bool kChecksScopes<M, Pattern, Security<F, Scopes...>> = kScopesAreChecked<F>;

template <class P>
consteval Message unchecked_scopes_message(http::Method method, std::string_view pattern) {
  return route_message(method, pattern)
      .add("takes ")
      .add(type_name<P>())
      .add(
          ", but neither the function nor a dependency of its takes SecurityScopes, so that nobody would check the "
          "scopes; take SecurityScopes there, or use Depends");
}

// Written with the route, as above.
template <http::Method M, FixedString Pattern, class Parameter>
inline constexpr bool kKeyIsSent = true;
template <http::Method M, FixedString Pattern, FixedString Name>
inline constexpr bool kKeyIsSent<M, Pattern, ApiKey<In::path, Name>> = false;
template <http::Method M, FixedString Pattern, FixedString Name>
inline constexpr bool kKeyIsSent<M, Pattern, std::optional<ApiKey<In::path, Name>>> = false;

template <class P>
consteval Message key_in_path_message(http::Method method, std::string_view pattern) {
  return route_message(method, pattern)
      .add("takes ")
      .add(type_name<P>())
      .add(", but a key is sent in a header, a cookie or the query: paths are in every log");
}

template <http::Method M, FixedString Pattern, class P>
consteval void check_parameter() {
  if constexpr (kIsDependency<P>) {
    ASHLAR_REQUIRE((kChecksScopes<M, Pattern, std::remove_cvref_t<P>>), unchecked_scopes_message<P>(M, Pattern),
                   "a handler takes Security<function, \"scope\">, but neither the function nor a dependency of its "
                   "takes SecurityScopes, so that nobody would check the scopes; take SecurityScopes there, or use "
                   "Depends");
  } else if constexpr (!kKeyIsSent<M, Pattern, parameter_t<P>>) {
    ASHLAR_REQUIRE((kKeyIsSent<M, Pattern, parameter_t<P>>), key_in_path_message<P>(M, Pattern),
                   "a handler takes a key in the path, where every log has it; a key is sent in a header, a cookie or "
                   "the query");
  } else {
    using Parameter = parameter_t<P>;
    ASHLAR_REQUIRE(
        (kReadable<M, Pattern, Parameter>), unreadable_message<P>(M, Pattern),
        "a handler's parameter is of a type that cannot be read from a request; it may be a struct (the JSON "
        "body), Path<\"name\">, Query<T>, Header<T>, Cookie<T> or Form<T> of a struct (each member one parameter), "
        "Body<T>, Credentials, ApiKey, Depends<function>, or a provided resource by reference");
    if constexpr (Extractable<Parameter>) {
      constexpr Source source = source_of<P>();
      if constexpr (source == Source::path) check_path<M, Pattern>(static_cast<const Parameter*>(nullptr));
      if constexpr (source == Source::body || source == Source::form || source == Source::stream) {
        ASHLAR_REQUIRE(
            (kTakesBody<M, Pattern, Parameter>), no_body_message<P>(M, Pattern),
            "a handler takes a body, but its method has none; read it with Query<T>, or use POST, PUT or PATCH");
      }
    }
  }
}

template <class... P>
consteval bool all_readable(List<P...>) {
  return ((kIsDependency<P> || Extractable<parameter_t<P>>) && ...);
}
template <class... D>
consteval bool all_dependencies_readable(List<D...>) {
  return (all_readable(typename dependency_signature<D>::Parameters{}) && ...);
}

template <class P>
consteval unsigned count_body() {
  if constexpr (kIsDependency<P>) {
    return 0;
  } else if constexpr (Extractable<parameter_t<P>>) {
    constexpr Source source = source_of<P>();
    return source == Source::body || source == Source::form || source == Source::stream ? 1 : 0;
  } else {
    return 0;
  }
}
template <class... P>
consteval unsigned count_bodies(List<P...>) {
  return (0U + ... + count_body<P>());
}
template <class... D>
consteval unsigned count_dependency_bodies(List<D...>) {
  return (0U + ... + count_bodies(typename dependency_signature<D>::Parameters{}));
}

template <class P>
consteval unsigned count_socket() {
  if constexpr (kIsDependency<P>) {
    return 0;
  } else if constexpr (Extractable<parameter_t<P>>) {
    return source_of<P>() == Source::websocket ? 1 : 0;
  } else {
    return 0;
  }
}
template <class... P>
consteval unsigned count_sockets(List<P...>) {
  return (0U + ... + count_socket<P>());
}

// Written with the route and the dependency, as above.
template <http::Method M, FixedString Pattern, auto Function, class Parameter>
inline constexpr bool kComesBeforeTheSocket = count_socket<Parameter>() == 0;

template <auto Function, class P>
consteval Message early_socket_message(http::Method method, std::string_view pattern) {
  return route_message(method, pattern)
      .add("the dependency ")
      .add(function_name<Function>())
      .add(" takes ")
      .add(type_name<P>())
      .add(", but dependencies run before there is a WebSocket");
}
template <http::Method M, FixedString Pattern, auto Function, class... P>
consteval void check_before_socket(List<P...>) {
  const auto check = []<class One>(std::type_identity<One>) {
    ASHLAR_REQUIRE((kComesBeforeTheSocket<M, Pattern, Function, One>),
                   (early_socket_message<Function, One>(M, Pattern)),
                   "a dependency takes a WebSocket, but dependencies run before there is one");
  };
  (check(std::type_identity<P>{}), ...);
}

// A body that may be read while it arrives: it is known when the program runs whether a form has files.
template <class P>
consteval bool may_stream() {
  if constexpr (kIsDependency<P>) {
    return false;
  } else {
    return requires { Extractor<parameter_t<P>>::streams(); };
  }
}
template <class P>
bool streams() {
  if constexpr (may_stream<P>()) {
    return Extractor<parameter_t<P>>::streams();
  } else {
    return false;
  }
}
template <class... P>
consteval bool any_may_stream(List<P...>) {
  return (may_stream<P>() || ...);
}
template <class... P>
bool any_streams(List<P...>) {
  return (streams<P>() || ...);
}
template <class... D>
consteval bool any_dependency_may_stream(List<D...>) {
  return (any_may_stream(typename dependency_signature<D>::Parameters{}) || ...);
}
template <class... D>
bool any_dependency_streams(List<D...>) {
  return (any_streams(typename dependency_signature<D>::Parameters{}) || ...);
}

template <http::Method M, FixedString Pattern, class... P>
consteval void check_parameters(List<P...>) {
  (check_parameter<M, Pattern, P>(), ...);
}
template <http::Method M, FixedString Pattern, class... D>
consteval void check_dependencies(List<D...>) {
  (check_parameters<M, Pattern>(typename dependency_signature<D>::Parameters{}), ...);
  (check_before_socket<M, Pattern, DependencyOf<D>::function>(typename dependency_signature<D>::Parameters{}), ...);
}

template <class F>
consteval bool readable() {
  return HasSignature<F>;
}

// False: an error has been said, and there is no use in saying what follows from it.
template <class F>
consteval bool fits() {
  if constexpr (readable<F>()) {
    using Parameters = typename Signature<F>::Parameters;
    return all_readable(Parameters{}) && all_dependencies_readable(dependencies_t<Parameters>{});
  }
  return false;
}

template <http::Method M, FixedString Pattern, class F>
consteval bool check_handler() {
  ASHLAR_REQUIRE(
      (kWellFormed<M, Pattern>), route_message(M, Pattern).add(pattern_problem(Pattern)),
      "this route's path is not well-formed: it starts with '/', has no empty segments, and a parameter is a "
      "whole segment, {name} or {name:path} as the last one, each with a name of its own");
  ASHLAR_REQUIRE(
      readable<F>(),
      route_message(M, Pattern).add("the handler is a generic lambda or no function; name the types of its parameters"),
      "the handler is a generic lambda or no function; name the types of its parameters");
  if constexpr (readable<F>()) {
    using Parameters = typename Signature<F>::Parameters;
    using Dependencies = dependencies_t<Parameters>;
    check_parameters<M, Pattern>(Parameters{});
    check_dependencies<M, Pattern>(Dependencies{});
    ASHLAR_REQUIRE((count_bodies(Parameters{}) + count_dependency_bodies(Dependencies{}) <= 1),
                   route_message(M, Pattern).add("takes two bodies; put them into one struct, a member each"),
                   "a handler takes two bodies; put them into one struct, a member each");
  }
  return true;
}

// ---- WebSockets

template <FixedString Pattern, class Result>
inline constexpr bool kWaitsForMessages = std::is_same_v<Result, Task<void>>;
template <FixedString Pattern, unsigned Sockets>
inline constexpr bool kTakesOneSocket = Sockets == 1;

consteval Message socket_route_message(std::string_view pattern) {
  Message message;
  return message.add("route WebSocket ").add(pattern).add(": ");
}

template <FixedString Pattern, class F>
consteval bool check_socket_handler() {
  using Result = typename Signature<F>::Result;
  ASHLAR_REQUIRE((kTakesOneSocket<Pattern, count_sockets(typename Signature<F>::Parameters{})>),
                 socket_route_message(Pattern).add("its handler takes one WebSocket&, or one JsonSocket<In, Out>&"),
                 "a WebSocket handler takes one WebSocket&, or one JsonSocket<In, Out>&");
  ASHLAR_REQUIRE((kWaitsForMessages<Pattern, Result>),
                 socket_route_message(Pattern)
                     .add("its handler gives ")
                     .add(type_name<Result>())
                     .add("; it is a Task<void>, which waits for messages"),
                 "a WebSocket handler is a Task<void>");
  return true;
}

// ---- running

template <class F>
struct Invoker {
  using Result = typename Signature<F>::Result;
  using Value = unwrapped_t<Result>;
  using Parameters = typename Signature<F>::Parameters;
  using Dependencies = dependencies_t<Parameters>;

  template <class... D>
  static consteval bool any_async(List<D...>) {
    return (kIsAsync<D> || ... || async::is_task<Result>);
  }
  static constexpr bool kAsync = any_async(Dependencies{}) || kRespondsLater<Value>;
  static constexpr bool kMayStream = any_may_stream(Parameters{}) || any_dependency_may_stream(Dependencies{});

  template <class... D>
  static void run_now(Call& call, List<D...>) {
    schema::Errors errors;
    [[maybe_unused]] Frame<Dependencies> frame;
    (resolve_now<D>(call, frame, errors), ...);
    arguments_t<Parameters> arguments;
    if constexpr (decltype(arguments)::kReads) arguments.read(call, errors);
    if (!errors.empty()) [[unlikely]]
      throw_invalid(errors);
    auto& function = *static_cast<F*>(const_cast<void*>(call.route->handler.get()));
    if constexpr (std::is_void_v<Value>) {
      arguments.apply(function, frame);
      Respond<void>::write(call);
    } else {
      Respond<Value>::write(call, arguments.apply(function, frame));
    }
  }

  template <class... D>
  static Task<void> run_later(Call& call, List<D...>) {
    schema::Errors errors;
    [[maybe_unused]] Frame<Dependencies> frame;
    if constexpr (kMayStream) {
      if (call.route->receives_form) co_await receive_form(call);
    }
    (co_await resolve<D>(call, frame, errors), ...);
    arguments_t<Parameters> arguments;
    if constexpr (decltype(arguments)::kReads) arguments.read(call, errors);
    if (!errors.empty()) [[unlikely]]
      throw_invalid(errors);
    auto& function = *static_cast<F*>(const_cast<void*>(call.route->handler.get()));
    if constexpr (!async::is_task<Result>) {
      if constexpr (std::is_void_v<Value>) {
        arguments.apply(function, frame);
        Respond<void>::write(call);
      } else if constexpr (kRespondsLater<Value>) {
        co_await Respond<Value>::write_later(call, arguments.apply(function, frame));
      } else {
        Respond<Value>::write(call, arguments.apply(function, frame));
      }
    } else if constexpr (std::is_void_v<Value>) {
      co_await arguments.apply(function, frame);
      Respond<void>::write(call);
    } else if constexpr (kRespondsLater<Value>) {
      co_await Respond<Value>::write_later(call, co_await arguments.apply(function, frame));
    } else {
      Respond<Value>::write(call, co_await arguments.apply(function, frame));
    }
  }

  static bool invoke(Call& call) {
    if constexpr (kAsync) {
      async::launch(run_later(call, Dependencies{}), call);
      return false;
    } else {
      if constexpr (kMayStream) {
        if (call.route->receives_form) {
          async::launch(run_later(call, Dependencies{}), call);
          return false;
        }
      }
      run_now(call, Dependencies{});
      return true;
    }
  }

  static Task<void> run(Call& call) { return run_later(call, Dependencies{}); }

  static void describe(OperationInfo& info) {
    describe_dependencies(info, Dependencies{});
    describe_all(info, Parameters{});
    std::vector<std::string> takes;
    name_all(takes, info.needs, Parameters{});
    Respond<Value>::describe(info);
  }

  static bool streams() { return any_streams(Parameters{}) || any_dependency_streams(Dependencies{}); }
  template <class P>
  static consteval bool is_form() {
    if constexpr (kIsDependency<P>) {
      return false;
    } else {
      return source_of<P>() == Source::form;
    }
  }
  template <class... P>
  static consteval bool takes_form(List<P...>) {
    return (is_form<P>() || ...);
  }
  template <class... D>
  static consteval bool dependency_takes_form(List<D...>) {
    return (takes_form(typename dependency_signature<D>::Parameters{}) || ...);
  }
  static constexpr bool kTakesForm = takes_form(Parameters{}) || dependency_takes_form(Dependencies{});

  static std::vector<unsigned> resources() {
    std::vector<unsigned> keys;
    add_dependency_resources(keys, Dependencies{});
    add_resources(keys, Parameters{});
    return keys;
  }
};

template <http::Method M, FixedString Pattern, class F>
Route make_route(F handler, RouteOptions options) {
  static_assert(check_handler<M, Pattern, F>());
  Route route;
  if constexpr (fits<F>()) {
    ASHLAR_REQUIRE(count_sockets(typename Signature<F>::Parameters{}) == 0,
                   route_message(M, Pattern).add("takes a WebSocket; add it with app.websocket<…>"),
                   "a handler takes a WebSocket; add it with app.websocket<…>");
  }
  route.method = M;
  route.pattern = std::string(Pattern.view());
  route.options = std::move(options);
  if constexpr (fits<F>()) {
    route.handler = std::make_shared<F>(std::move(handler));
    route.invoke = &Invoker<F>::invoke;
    route.describe = &Invoker<F>::describe;
    route.resources = Invoker<F>::resources();
    if constexpr (Invoker<F>::kAsync) route.run = &Invoker<F>::run;
    if constexpr (Invoker<F>::kMayStream) {
      route.streams_body = Invoker<F>::streams();
      route.receives_form = route.streams_body && Invoker<F>::kTakesForm;
      if (route.receives_form) route.run = &Invoker<F>::run;
    }
  }
  return route;
}

// Whether the handler fits every method of a set.
template <Methods Set, FixedString Pattern, class F, std::size_t... I>
consteval bool check_methods(std::index_sequence<I...>) {
  const auto check = []<std::size_t At>() {
    if constexpr (constexpr auto method = static_cast<http::Method>(At); Set.has(method)) {
      return check_handler<method, Pattern, F>();
    }
    return true;
  };
  return (check.template operator()<I>() && ...);
}

// A route a method, which share the handler.
template <Methods Set, FixedString Pattern, class F>
std::vector<Route> make_routes(F handler, RouteOptions options) {
  constexpr std::size_t kMethods = static_cast<std::size_t>(http::Method::other) + 1;
  static_assert(check_methods<Set, Pattern, F>(std::make_index_sequence<kMethods>{}));
  std::vector<Route> routes{make_route<Set.first(), Pattern>(std::move(handler), std::move(options))};
  for (std::size_t at = 0; at < kMethods; ++at) {
    const auto method = static_cast<http::Method>(at);
    if (!Set.has(method) || method == Set.first()) continue;
    Route route = routes.front();
    route.method = method;
    routes.push_back(std::move(route));
  }
  return routes;
}

// ---- dependencies of routers

template <auto Function>
inline constexpr bool kReadsRequest = all_dependencies_readable(dependencies_t<List<Depends<Function>>>{});

// Runs one dependency, with those it needs, before the route; the results stand in for the same dependencies of the
// handler.
template <auto Function>
struct Prelude {
  using D = Depends<Function>;
  using Dependencies = dependencies_t<List<D>>;
  static_assert(kReadsRequest<Function>,
                "a dependency of a router, or one that it needs, has a parameter that cannot be read from a request");

  template <class One>
  static void publish(Call& call, Frame<Dependencies>& frame) {
    auto& value = frame.template of<One>();
    auto* shared = static_cast<SharedValue*>(call.exchange.scratch.allocate(sizeof(SharedValue), alignof(SharedValue)));
    *shared = {&kFunctionKey<DependencyOf<One>::function>, value.value, call.shared};
    call.shared = shared;
  }

  template <class... All>
  static Task<void> run_all(Call& call, List<All...>) {
    // The values live until the answer is on its way: the handler uses them.
    struct Kept final : AfterAnswer {
      Frame<Dependencies> frame;
    };
    auto* kept = new Kept;
    kept->run = [](AfterAnswer* self, bool) noexcept { delete static_cast<Kept*>(self); };
    call.keep(*kept);
    schema::Errors errors;
    (co_await resolve<All>(call, kept->frame, errors), ...);
    if (!errors.empty()) throw_invalid(errors);
    (publish<All>(call, kept->frame), ...);
  }
  static Task<void> run(Call& call) { return run_all(call, Dependencies{}); }
  static void describe(OperationInfo& info) {
    describe_dependencies(info, Dependencies{});
    info.needs.emplace_back(function_name<Function>());
  }
};

// The same, for a router whose routes ask for scopes.
template <auto Function, FixedString... Scopes>
inline constexpr bool kSecures = kScopesAreChecked<Function>;

template <auto Function, FixedString... Scopes>
struct SecurePrelude : Prelude<Function> {
  static_assert(kSecures<Function, Scopes...>,
                "secured<function, \"scope\"> asks for scopes, but neither the function nor a dependency of its takes "
                "SecurityScopes, so that nobody would check them; take SecurityScopes there, or use depends<function>");
  static void describe(OperationInfo& info) {
    Prelude<Function>::describe(info);
    describe_scopes<Function, Scopes...>(info);
  }
};

}  // namespace ashlar::detail

#undef ASHLAR_REQUIRE
