// From a WebSocket handler to a Route: its parameters are bound before the 101, so that what is wrong with the request
// is an ordinary answer.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <ashlar/app/detail/handler.hpp>
#include <ashlar/app/websocket.hpp>

namespace ashlar::detail {

/// Throws what a request that may not become a WebSocket is answered with.
void check_websocket(const Call& call);
/// Answers 101; call.socket is there.
void accept_websocket(Call& call);
/// The handler has ended: closes with what its error says.
void end_websocket(Call& call, const std::exception_ptr& error) noexcept;

void set_websocket_options(Route& route, WebSocketRouteOptions options);

template <class F>
struct SocketInvoker {
  using Parameters = typename Signature<F>::Parameters;
  using Dependencies = dependencies_t<Parameters>;

  template <class... D>
  static Task<void> run(Call& call, List<D...>) {
    check_websocket(call);
    schema::Errors errors;
    [[maybe_unused]] Frame<Dependencies> frame;
    (co_await resolve<D>(call, frame, errors), ...);
    arguments_t<Parameters> arguments;
    arguments.read(call, errors);
    if (!errors.empty()) [[unlikely]]
      throw_invalid(errors);
    accept_websocket(call);
    std::exception_ptr error;
    try {
      auto& function = *static_cast<F*>(const_cast<void*>(call.route->handler.get()));
      co_await arguments.apply(function, frame);
    } catch (...) {
      error = std::current_exception();
    }
    end_websocket(call, error);
  }

  static bool invoke(Call& call) {
    async::launch(run(call, Dependencies{}), call);
    return false;
  }

  static void describe(OperationInfo& info) {
    describe_dependencies(info, Dependencies{});
    describe_all(info, Parameters{});
    std::vector<std::string> takes;
    name_all(takes, info.needs, Parameters{});
    info.responses.push_back({101, "The connection is a WebSocket from now on", {}, nullptr, false});
    info.responses.push_back({403, {}, {}, nullptr, true});
    info.responses.push_back({426, {}, {}, nullptr, true});
  }
};

template <FixedString Pattern, class F>
Route make_websocket_route(F handler, WebSocketRouteOptions options) {
  Route route;
  static_assert(check_handler<http::Method::get, Pattern, F>());
  if constexpr (fits<F>()) {
    static_assert(check_socket_handler<Pattern, F>());
    route.handler = std::make_shared<F>(std::move(handler));
    route.invoke = &SocketInvoker<F>::invoke;
    route.describe = &SocketInvoker<F>::describe;
    route.resources = Invoker<F>::resources();
  }
  route.method = http::Method::get;
  route.pattern = std::string(Pattern.view());
  set_websocket_options(route, std::move(options));
  return route;
}

}  // namespace ashlar::detail
