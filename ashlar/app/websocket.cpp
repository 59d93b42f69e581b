#include <ashlar/app/websocket.hpp>

#include <memory>
#include <string>
#include <variant>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/websocket_handler.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

// What a handler's error is to the peer (RFC 6455 §7.4.1, IANA registry).
std::uint16_t close_code_of(int status) noexcept {
  namespace code = http::close_code;
  switch (status) {
    case 400:
    case 422:
      return code::bad_data;
    case 413:
      return code::too_large;
    case 415:
      return code::unsupported;
    case 429:
    case 503:
      return code::try_again;
    default:
      return status >= 500 ? code::internal : code::policy;
  }
}

std::string reason_of(const Problem& problem) {
  if (problem.errors.empty()) return problem.detail;
  const auto& first = *problem.errors.begin();
  std::string text;
  for (const auto& part : first.loc) {
    if (!text.empty()) text += '.';
    const auto* const name = std::get_if<std::string>(&part);
    text += name != nullptr ? *name : std::to_string(std::get<std::int64_t>(part));
  }
  return text + ": " + first.msg;
}

}  // namespace

void check_websocket(const Call& call) {
  auto refusal = http::check_websocket_request(call.exchange.request, *call.route->websocket);
  if (refusal.status == 0) return;
  Problem problem;
  problem.status = refusal.status;
  problem.detail = std::move(refusal.detail);
  problem.headers = std::move(refusal.headers);
  throw problem;
}

void accept_websocket(Call& call) {
  http::Exchange& exchange = call.exchange;
  auto handshake = http::accept_websocket_request(exchange.request, *call.route->websocket);
  exchange.require_websocket();
  exchange.response.status = 101;
  call.conclude();  // what it adds is part of the 101
  call.passed = 0;  // once a request, should it fail after all
  call.socket = &exchange.accept_websocket(std::move(handshake), *call.route->websocket);
  call.core.record(call);
}

void end_websocket(Call& call, const std::exception_ptr& error) noexcept {
  http::WebSocket& socket = *call.socket;
  try {
    if (error == nullptr) return socket.close();
    const Problem problem = call.core.problem_of(error);  // logs what is our own fault
    const bool stopped = call.exchange.scope.cancelled();
    if (stopped && call.exchange.scope.reason() == async::CancelReason::shutdown) {
      return socket.close(http::close_code::going_away, "the service is shutting down");
    }
    socket.close(close_code_of(problem.status), reason_of(problem));
  } catch (const std::exception& failure) {
    log::error("a WebSocket could not be closed in order", {{"error.message", std::string_view(failure.what())}});
  }
}

void set_websocket_options(Route& route, WebSocketRouteOptions options) {
  route.websocket =
      std::make_shared<http::WebSocketOptions>(http::WebSocketOptions{.subprotocols = std::move(options.subprotocols),
                                                                      .origins = std::move(options.origins),
                                                                      .bearer_subprotocol = options.bearer_subprotocol,
                                                                      .limits = options.limits});
  route.options = {.summary = std::move(options.summary),
                   .description = std::move(options.description),
                   .tags = std::move(options.tags),
                   .operation_id = std::move(options.operation_id),
                   .deprecated = options.deprecated,
                   .hidden = options.hidden,
                   .errors = std::move(options.errors)};
}

}  // namespace ashlar::detail
