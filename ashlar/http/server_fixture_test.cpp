#include <ashlar/base/error.hpp>
#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {

/// A handler's coroutine: finishes the exchange when it ends.
class TestHandler::Running final : public async::Completion {
 public:
  Running(TestHandler& handler, Exchange& exchange) : handler_(handler), exchange_(exchange) {}
  void on_complete(std::exception_ptr error) noexcept override {
    Exchange& exchange = exchange_;
    if (error) {
      exchange.response.status = exchange.scope.reason() == async::CancelReason::deadline ? 504 : 503;
      exchange.response.body = "cancelled";
      ++handler_.cancelled;
      handler_.ended.set();
    }
    delete this;
    exchange.finish();
  }

 private:
  TestHandler& handler_;
  Exchange& exchange_;
};

Task<void> TestHandler::wait_at_gate(Exchange& exchange) {
  waiting.set();
  co_await gate_.wait();
  exchange.response.body = "gate ";
  exchange.response.body += exchange.request.query;
}

Task<void> TestHandler::read_body(Exchange& exchange) {
  if (exchange.request.path == "/read-gate") {
    waiting.set();
    co_await gate_.wait();
  }
  std::uint64_t size = 0;
  std::uint64_t sum = 0;
  try {
    while (true) {
      const std::string_view piece = co_await exchange.body->next();
      if (piece.empty()) break;
      size += piece.size();
      for (const char c : piece) sum += static_cast<unsigned char>(c);
    }
    exchange.response.body = std::to_string(size) + " " + std::to_string(sum);
    if (const auto sent = exchange.request.trailer("X-Sum")) exchange.response.header("X-Trailer", *sent);
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& error) {
    exchange.response.status = error.kind() == ErrorKind::too_large         ? 413
                               : error.kind() == ErrorKind::request_timeout ? 408
                               : error.kind() == ErrorKind::malformed       ? 400
                                                                            : 500;
  }
}

Generator<std::string> TestHandler::pieces(int count, std::size_t size) {
  struct Ended {
    async::Event& event;
    ~Ended() { event.set(); }
  } const at_end{ended};
  for (int i = 0; i < count; ++i) {
    ++stream_pieces;
    co_yield std::string(size, static_cast<char>('a' + i % 26));
  }
}

Generator<std::string> TestHandler::failing() {
  co_yield std::string("part");
  throw Internal("broken");
}

Generator<std::string> TestHandler::gated() {
  struct Ended {
    async::Event& event;
    ~Ended() { event.set(); }
  } const at_end{ended};
  co_yield std::string("first");
  waiting.set();
  co_await gate_.wait();
  co_yield std::string("second");
}

void TestHandler::handle(Exchange& exchange) noexcept {
  ++handled;
  const Request& request = exchange.request;
  Response& response = exchange.response;
  response.content_type = "text/plain";
  if (Handler* const other = websockets; other != nullptr && request.path.starts_with("/ws")) {
    return other->handle(exchange);
  }
  if (request.path == "/gate") {
    return async::launch(wait_at_gate(exchange), *new Running(*this, exchange));
  }
  if (exchange.body != nullptr && request.path != "/read-not") {
    return async::launch(read_body(exchange), *new Running(*this, exchange));
  }
  if (request.path == "/here") {
    here(exchange);
    return exchange.finish();
  }
  if (request.path == "/hold") {
    held_.push_back(&exchange);
    return;
  }
  if (request.path == "/finish") {
    for (Exchange* held : std::exchange(held_, {})) {
      const net::PeerIdentity* const client = held->request.client_certificate;
      if (client != nullptr && client->common_name == "billing") ++known_held;
      held->response.body = "held";
      held->finish();
    }
  }
  if (request.path == "/echo" || request.path == "/upload") {
    response.body = request.body;
    if (const auto sent = request.trailer("X-Sum")) response.header("X-Trailer", *sent);
  } else if (request.path == "/large") {
    response.body.assign(8 * 1024 * 1024, 'x');
  } else if (request.path == "/static") {
    static const std::string kPage(1024 * 1024, 's');
    response.static_body(kPage);
  } else if (request.path == "/stream") {
    response.stream(pieces(5, 4));
  } else if (request.path == "/stream-length") {
    response.stream(pieces(5, 4), 20);
  } else if (request.path == "/stream-large") {
    response.stream(pieces(64, 100 * 1024));
  } else if (request.path == "/stream-endless") {
    response.stream(pieces(1 << 30, 100 * 1024));
  } else if (request.path == "/stream-gate") {
    response.stream(gated());
  } else if (request.path == "/stream-failing") {
    response.stream(failing());
  } else if (request.path == "/nothing") {
    response.status = 204;
    response.body = "must not be sent";
  } else if (request.path == "/close") {
    response.close_connection = true;
    response.body = "bye";
  } else if (request.path == "*") {
    response.status = 204;
    response.header("Allow", "GET, POST");
  } else {
    response.header("X-Path", request.path);
    if (request.client_certificate != nullptr) response.header("X-Client", request.client_certificate->subject);
    response.body = "hello";
  }
  exchange.finish();
}

RunningServer::RunningServer(ServerOptions options, unsigned loops) : left_(loops) {
  if (options.listen == ServerOptions().listen) options.listen = {"127.0.0.1:0"};
  server_ = std::make_unique<Server>(std::move(options), handler);
  server_->bind();
  for (unsigned i = 0; i < loops; ++i) {
    loops_.push_back(std::make_unique<async::Loop>(i));
    server_->start(*loops_.back());
    threads_.emplace_back([this, &loop = *loops_.back()] { async::run(loop, serve(loop)); });
  }
}

Task<void> RunningServer::serve(async::Loop& loop) {
  co_await stop_.wait();
  co_await server_->drain(loop);
  if (--left_ == 0) drained_.set_value();
}

std::future<void> RunningServer::drain() {
  draining_ = true;
  stop_.set();
  return drained_.get_future();
}

RunningServer::~RunningServer() {
  handler.open_gate();
  if (!draining_) drain().wait();
  for (std::thread& thread : threads_) thread.join();
  server_.reset();
}

TestClient::TestClient(const net::Address& address, int receive_buffer) {
  fd_ = net::Fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer != 0) {
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval limit{.tv_sec = 20, .tv_usec = 0};  // a test that hangs fails instead
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd_.get(), address.data(), address.size()) != 0) ADD_FAILURE() << std::strerror(errno);
}

bool TestClient::try_send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void TestClient::send(std::string_view bytes) { EXPECT_TRUE(try_send(bytes)) << std::strerror(errno); }

bool TestClient::fill() {
  char bytes[64 * 1024];
  const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(got));
  return true;
}

Answer TestClient::answer(bool head_only) {
  Answer answer;
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return answer;
  }
  answer.head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  answer.status = std::stoi(answer.head.substr(9, 3));
  if (head_only || answer.status < 200 || answer.status == 204 || answer.status == 304) return answer;
  if (const std::size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
    const std::size_t length = std::stoul(answer.head.substr(at + 16));
    while (buffer_.size() < length && fill()) {
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
  } else if (answer.has("Transfer-Encoding: chunked")) {
    while (true) {
      std::size_t line;
      while ((line = buffer_.find("\r\n")) == std::string::npos) {
        if (!fill()) return answer;
      }
      const std::size_t size = std::stoul(buffer_.substr(0, line), nullptr, 16);
      while (buffer_.size() < line + 2 + size + 2) {
        if (!fill()) return answer;
      }
      answer.body += buffer_.substr(line + 2, size);
      buffer_.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
  } else {
    answer.body = rest();
  }
  return answer;
}

std::string TestClient::take(std::size_t bytes) {
  while (buffer_.size() < bytes && fill()) {
  }
  std::string taken = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return taken;
}

bool TestClient::drip(std::size_t bytes, std::size_t at_a_time, std::chrono::milliseconds pause) {
  for (const std::size_t until = buffer_.size() + bytes; buffer_.size() < until;) {
    const std::size_t had = buffer_.size();
    buffer_.resize(had + at_a_time);
    const ssize_t count = ::recv(fd_.get(), buffer_.data() + had, at_a_time, 0);
    buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count <= 0) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

std::string TestClient::some() {
  if (buffer_.empty()) fill();
  return std::exchange(buffer_, {});
}

std::string TestClient::rest() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

bool TestClient::ended() {
  if (!buffer_.empty()) return false;
  char byte;
  return ::recv(fd_.get(), &byte, 1, 0) == 0;
}

void TestClient::reset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  fd_.reset();
}

}  // namespace ashlar::http::test
