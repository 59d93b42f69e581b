// WebSockets of a test server, and a client that speaks in frames.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include <ashlar/base/error.hpp>
#include <ashlar/http/server_test.hpp>
#include <ashlar/http/websocket_handshake.hpp>

namespace ashlar::http::test {

/// By path: "/ws/echo" sends back what comes; "/ws/close" closes with 4001; "/ws/gate" takes nothing until open(), then
/// echoes; "/ws/flood" sends 100 KiB messages without end; "/ws/sleep" waits until it is cancelled.
class TestSockets final : public Handler {
 public:
  explicit TestSockets(WebSocketOptions options = {}) : options_(std::move(options)) {}
  void handle(Exchange& exchange) noexcept override;
  void open() noexcept { gate_.set(); }

  std::atomic<int> running{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> ended{0};
  std::atomic<int> sent{0};
  std::atomic<int> last_peer_code{0};

 private:
  class Running;
  Task<void> run(Exchange& exchange);
  WebSocketOptions options_;
  async::Event gate_;
};

inline constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

inline std::string upgrade(std::string_view path, std::string_view headers = {}) {
  return get(path, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                       std::string(kKey) + "\r\n" + std::string(headers));
}

std::string client_frame(Opcode opcode, std::string_view payload, bool fin = true, bool compressed = false);

struct ReceivedFrame {
  FrameHead head;
  std::string payload;
  [[nodiscard]] std::uint16_t code() const { return parse_close_payload(payload).code; }
};
/// nullopt: the connection has ended.
std::optional<ReceivedFrame> receive_frame(TestClient& client);

/// Spins, yielding, until the predicate holds; gives up after ten seconds.
template <class F>
[[nodiscard]] bool becomes(F&& predicate) {
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace ashlar::http::test
