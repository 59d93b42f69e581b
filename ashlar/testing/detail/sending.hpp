// What the server's connection is to a real request.
#pragma once

#include <memory>
#include <utility>

#include <ashlar/async/sync.hpp>
#include <ashlar/http/connection_values.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/websocket_handshake.hpp>
#include <ashlar/http/whole_body.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar::testing {

struct Client::Sending final : http::Exchange {
  http::WholeBody whole;
  http::ConnectionValues* connection = nullptr;
  std::unique_ptr<http::WebSocketPair> pair;  // once it has become a WebSocket
  async::Event accepted;
  async::Event done;

 private:
  void on_finish() noexcept override {
    if (pair != nullptr) pair->server().close();
    done.set();
    accepted.set();
  }
  void on_require_websocket() override {}
  http::ConnectionValues* on_connection_values() noexcept override { return connection; }
  http::WebSocket& on_accept_websocket(http::WebSocketHandshake handshake,
                                       const http::WebSocketOptions& options) override {
    pair = std::make_unique<http::WebSocketPair>(std::move(handshake.subprotocol), options.limits);
    accepted.set();
    return pair->server();
  }
};

/// Status and headers.
Answer head_of(const http::Response& response);

}  // namespace ashlar::testing
