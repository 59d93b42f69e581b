// A server on a thread of its own and a blocking client, for the tests.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/server.hpp>
#include <ashlar/net/peer_identity.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http::test {

using namespace std::chrono_literals;

/// Answers by path. "/read" tells the size and sum of a body read piece by piece, "/read-small" of at most 8 bytes;
/// "/read-gate" begins after open_gate(); "/read-not" does not; "/gate" waits until open_gate() or until it is
/// cancelled; "/hold" until somebody asks for
/// "/finish".
class TestHandler final : public Handler {
 public:
  void handle(Exchange& exchange) noexcept override;
  BodyPlan plan_body(const Request& head, std::uint64_t standard) noexcept override {
    constexpr std::uint64_t kLarge = 64 * 1024 * 1024;
    if (head.path == "/read-small") return {.limit = 8, .stream = true};
    if (head.path.starts_with("/read")) return {.limit = kLarge, .stream = true};
    return {.limit = head.path == "/upload" ? kLarge : standard};
  }
  void open_gate() noexcept { gate_.set(); }
  /// Answers what is below "/ws" when it is set.
  std::atomic<Handler*> websockets{nullptr};

  /// Fills in the answer to "/here"; set before the server is asked.
  std::function<void(Exchange&)> here;
  std::atomic<int> handled{0};
  std::atomic<int> cancelled{0};  // how many /gate requests were
  std::atomic<int> stream_pieces{0};
  std::atomic<int> known_held{0};  // how many of /hold came with the certificate of "billing"
  async::Event waiting;            // set when a /gate request has arrived
  async::Event ended;              // set when a handler or stream was cancelled

 private:
  class Running;
  Task<void> wait_at_gate(Exchange& exchange);
  Task<void> read_body(Exchange& exchange);
  Generator<std::string> pieces(int count, std::size_t size);
  Generator<std::string> failing();
  Generator<std::string> gated();
  async::Event gate_;
  std::vector<Exchange*> held_;  // by /hold, until /finish
};

class RunningServer {
 public:
  explicit RunningServer(ServerOptions options = {}, unsigned loops = 1);
  ~RunningServer();

  /// Begins the drain on all loops and gives a future that is ready when it is done.
  std::future<void> drain();
  [[nodiscard]] const net::Address& address() const { return server_->addresses().front(); }
  [[nodiscard]] ServerStats stats() const { return server_->stats(); }
  /// Spins, yielding, until the predicate on the stats holds; gives up after ten seconds.
  template <class F>
  [[nodiscard]] bool becomes(F&& predicate) const {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (!predicate(stats())) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }

  TestHandler handler;

 private:
  Task<void> serve(async::Loop& loop);
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<async::Loop>> loops_;
  std::vector<std::thread> threads_;
  async::Event stop_;
  std::atomic<unsigned> left_{0};
  std::promise<void> drained_;
  bool draining_ = false;
};

/// What came back: the head, and the body by its framing.
struct Answer {
  int status = 0;
  std::string head;
  std::string body;
  [[nodiscard]] bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class TestClient {
 public:
  explicit TestClient(const net::Address& address, int receive_buffer = 0);

  void send(std::string_view bytes);
  /// False when the socket is broken.
  bool try_send(std::string_view bytes);
  /// Reads one answer. `head_only`: it is to a HEAD request.
  Answer answer(bool head_only = false);
  Answer ask(std::string_view bytes) {
    send(bytes);
    return answer();
  }
  /// Reads this many bytes, a few at a time, with a pause after each. False at the end of the connection.
  bool drip(std::size_t bytes, std::size_t at_a_time, std::chrono::milliseconds pause);
  /// What comes next; empty at the end of the connection.
  std::string some();
  /// Exactly so many bytes; fewer at the end of the connection.
  std::string take(std::size_t bytes);
  /// Everything until the end of the connection.
  std::string rest();
  /// The server has ended its side, in order.
  bool ended();
  void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  void reset();

 private:
  bool fill();
  net::Fd fd_;
  std::string buffer_;
};

inline std::string get(std::string_view path, std::string_view headers = {}) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(headers) + "\r\n";
}
inline std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

}  // namespace ashlar::http::test
