// What the server's connection is to a real request.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/websocket_handshake.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar::testing {

struct Client::Sending final : http::Exchange {
  // A body that has arrived in one piece.
  struct Whole final : http::RequestBody {
    std::string_view rest;
    std::uint64_t limit = 0;
    Task<std::string_view> next() override {
      if (rest.size() > limit) throw TooLarge("The body is larger than this server allows.");
      co_return std::exchange(rest, {});
    }
    void hold(std::string_view bytes, std::uint64_t most) {
      rest = bytes;
      limit = most;
      length_ = bytes.size();
    }
  };
  Whole whole;
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
