#include <ashlar/http/websocket_test.hpp>

namespace ashlar::http::test {

class TestSockets::Running final : public async::Completion {
 public:
  Running(TestSockets& sockets, Exchange& exchange) : sockets_(sockets), exchange_(exchange) {}
  void on_complete(std::exception_ptr error) noexcept override {
    if (error) ++sockets_.cancelled;
    --sockets_.running;
    ++sockets_.ended;
    Exchange& exchange = exchange_;
    delete this;
    exchange.finish();
  }

 private:
  TestSockets& sockets_;
  Exchange& exchange_;
};

Task<void> TestSockets::run(Exchange& exchange) {
  if (const WebSocketRefusal refusal = check_websocket_request(exchange.request, options_); refusal.status != 0) {
    exchange.response.status = refusal.status;
    exchange.response.body = refusal.detail;
    for (const auto& [name, value] : refusal.headers) exchange.response.header(name, value);
    co_return;
  }
  const std::string_view path = exchange.request.path;
  exchange.response.header("X-Path", path);
  WebSocket& socket = exchange.accept_websocket(accept_websocket_request(exchange.request, options_), options_);
  if (path == "/ws/close") {
    socket.close(4001, "bye");
    co_return;
  }
  if (path == "/ws/sleep") {
    async::Event never;
    co_await never.wait();
  }
  if (path == "/ws/flood") {
    for (const std::string message(100 * 1024, 'x');;) {
      co_await socket.send(message);
      ++sent;
    }
  }
  if (path == "/ws/gate") co_await gate_.wait();
  while (auto message = co_await socket.receive()) co_await socket.send(*message);
  last_peer_code = socket.peer_close_code().value_or(0);
  // The views of the request live as long as the handler.
  const std::string_view host = exchange.request.header("host").value_or("");
  if ((host != "test" && !host.starts_with("127.0.0.1:")) || exchange.request.path != path)
    ADD_FAILURE() << "the request is gone";
}

void TestSockets::handle(Exchange& exchange) noexcept {
  ++running;
  async::launch(run(exchange), *new Running(*this, exchange));
}

std::string client_frame(Opcode opcode, std::string_view payload, bool fin, bool compressed) {
  const FrameHead head{.fin = fin,
                       .compressed = compressed,
                       .opcode = opcode,
                       .masked = true,
                       .mask = {0x37, 0xfa, 0x21, 0x3d},
                       .length = payload.size()};
  char place[kMostFrameHead];
  std::string bytes(place, write_frame_head(place, head));
  std::string masked(payload);
  mask_bytes(masked.data(), masked.size(), head.mask, 0);
  return bytes + masked;
}

std::optional<ReceivedFrame> receive_frame(TestClient& client) {
  std::string bytes;
  FrameHeadResult result;
  while (true) {
    result = parse_frame_head(bytes, WebSocketSide::server, true);
    if (result.state == FrameHeadResult::State::complete) break;
    if (result.state == FrameHeadResult::State::refused) {
      ADD_FAILURE() << result.fault.reason;
      return std::nullopt;
    }
    const std::string more = client.take(1);
    if (more.empty()) return std::nullopt;
    bytes += more;
  }
  return ReceivedFrame{result.head, client.take(result.head.length)};
}

}  // namespace ashlar::http::test
