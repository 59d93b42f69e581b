#include <fmt/format.h>

#include <ashlar/async/combinators.hpp>
#include <ashlar/testing/detail/sending.hpp>

namespace ashlar::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

struct Socket::Impl {
  Impl(Client& the_client, std::string the_target, std::vector<std::pair<std::string, std::string>> the_headers)
      : client(the_client), target(std::move(the_target)), headers(std::move(the_headers)) {}
  ~Impl();

  [[nodiscard]] http::WebSocket& mine() const {
    if (sending.pair == nullptr) throw Invalid(fmt::format("the WebSocket was refused: {}", answer.status));
    return sending.pair->client();
  }
  template <class T>
  T run(Task<T> task) {
    return client.run(async::timeout(kPatience, std::move(task)));
  }

  Client& client;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;
  http::ConnectionValues connection;  // a WebSocket's own
  Client::Sending sending;
  Answer answer;
};

namespace {

Task<void> wait_for(async::Event& event) { co_await event.wait(); }

Task<void> send_one(http::WebSocket& socket, std::string_view data, bool text) {
  if (text) {
    co_await socket.send(data);
  } else {
    co_await socket.send_binary(data);
  }
}

Task<std::optional<WebSocketMessage>> receive_one(http::WebSocket& socket) { co_return co_await socket.receive(); }

Task<void> receive_rest(http::WebSocket& socket) {
  while (co_await socket.receive()) {
  }
}

}  // namespace

// The handler must have ended before what it uses goes.
Socket::Impl::~Impl() {
  if (sending.done.is_set()) return;
  try {
    if (sending.pair != nullptr) sending.pair->client().close();
    client.run(async::timeout(std::chrono::seconds{1}, wait_for(sending.done)));
    return;
  } catch (...) {  // NOLINT: it does something else than to receive; then it is cancelled, as by a server
  }
  sending.scope.cancel();
  client.run(wait_for(sending.done));
}

Socket::Socket(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Socket SocketRequest::connect() {
  header("Connection", "Upgrade").header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
  header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  client_.add_default_headers(headers_);
  client_.add_cookies("http://testserver" + target_, headers_);
  auto impl = std::make_unique<Socket::Impl>(client_, std::move(target_), std::move(headers_));
  client_.fill(impl->sending, http::Method::get, impl->target, impl->headers);
  impl->sending.request.upgrade = true;
  impl->sending.connection = &impl->connection;
  client_.run([](App& app, Client::Sending& sending) -> Task<void> {
    app.handler().handle(sending);
    co_await sending.accepted.wait();
  }(client_.app_, impl->sending));
  impl->answer = head_of(impl->sending.response);
  if (impl->sending.pair == nullptr) impl->answer.body = impl->sending.response.body_bytes();
  return Socket(std::move(impl));
}

const Answer& Socket::answer() const noexcept { return impl_->answer; }
const std::string& Socket::subprotocol() const noexcept { return impl_->mine().subprotocol(); }

void Socket::send(std::string_view text) { impl_->run(send_one(impl_->mine(), text, true)); }
void Socket::send_binary(std::string_view bytes) { impl_->run(send_one(impl_->mine(), bytes, false)); }

std::optional<WebSocketMessage> Socket::receive() { return impl_->run(receive_one(impl_->mine())); }

std::string Socket::receive_text() {
  auto message = receive();
  if (!message) {
    throw NotFound(fmt::format("no message: the server has closed with {} {}",
                               impl_->mine().peer_close_code().value_or(0), close_reason()));
  }
  return std::move(message->data);
}

void Socket::close(std::uint16_t code, std::string_view reason) { impl_->mine().close(code, reason); }

std::uint16_t Socket::close_code() {
  impl_->run(receive_rest(impl_->mine()));
  return impl_->mine().peer_close_code().value_or(http::close_code::abnormal);
}

std::string Socket::close_reason() const { return impl_->mine().peer_close_reason(); }

void Socket::cut() {
  static_cast<void>(impl_->mine());
  impl_->sending.pair->cut();
}

void Socket::wait_for_handler() { impl_->run(wait_for(impl_->sending.done)); }

}  // namespace ashlar::testing
