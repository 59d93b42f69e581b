// Client: requests to an application in the same process, through everything but the socket.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/http/connection_values.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/net/peer_identity.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::http {
class CookieJar;
}

namespace ashlar::testing {

/// An answer, whole.
struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The first header with this name, in any case.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
  /// The body as a T. Throws ValidationError naming what does not fit.
  template <class T>
  [[nodiscard]] T json() const {
    return schema::parse_json<T>(body);
  }
};

class Client;
class Transfer;

/// A client's end of a WebSocket of the application in this process. Each call runs the application's loop until it has
/// what it waits for, at most ten seconds; then it throws DeadlineExceeded. Goes before its Client.
class Socket {
 public:
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  /// 101, or what the handshake was answered with.
  [[nodiscard]] const Answer& answer() const noexcept;
  [[nodiscard]] bool accepted() const noexcept { return answer().status == 101; }
  [[nodiscard]] const std::string& subprotocol() const noexcept;

  void send(std::string_view text);
  void send_binary(std::string_view bytes);
  template <class T>
  void send_json(const T& value) {
    send(schema::to_json(value));
  }
  /// nullopt: the server has closed.
  std::optional<WebSocketMessage> receive();
  /// The next message's text. Throws NotFound, with the code, when the server has closed instead.
  std::string receive_text();
  template <class T>
  T receive_json() {
    return schema::parse_json<T>(receive_text());
  }
  void close(std::uint16_t code = http::close_code::normal, std::string_view reason = {});
  /// Waits until the server has closed, dropping messages, and gives its code.
  std::uint16_t close_code();
  [[nodiscard]] std::string close_reason() const;
  /// As if the connection broke.
  void cut();
  /// Waits until the handler has ended.
  void wait_for_handler();

 private:
  friend class SocketRequest;
  struct Impl;
  explicit Socket(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// The handshake of a WebSocket in the making: `auto socket = client.websocket("/chat").bearer(token).connect();`
class [[nodiscard("call connect()")]] SocketRequest {
 public:
  SocketRequest& header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  SocketRequest& bearer(std::string_view token) { return header("Authorization", "Bearer " + std::string(token)); }
  SocketRequest& subprotocols(std::string list) { return header("Sec-WebSocket-Protocol", std::move(list)); }
  SocketRequest& origin(std::string origin) { return header("Origin", std::move(origin)); }
  Socket connect();

 private:
  friend class Client;
  SocketRequest(Client& client, std::string target) : client_(client), target_(std::move(target)) {}
  Client& client_;
  std::string target_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

/// A request in the making: `client.post("/articles").json(article).header("Authorization", token).send()`; converts to
/// its Answer, so that `Answer a = client.get("/")` sends it.
class [[nodiscard("call send()")]] Request {
 public:
  Request& header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  Request& bearer(std::string_view token) { return header("Authorization", "Bearer " + std::string(token)); }
  /// As if it came over TLS, to this host.
  Request& secure(std::string host = "testserver") {
    secure_host_ = std::move(host);
    return *this;
  }
  /// As if the connection came from this address: "203.0.113.7". Throws Invalid when it is none.
  Request& from(std::string_view ip);
  /// As if the client had shown this certificate when it connected over TLS.
  Request& client_certificate(net::PeerIdentity identity) {
    client_certificate_ = std::move(identity);
    return secure();
  }
  /// Raw bytes; say what they are with header("Content-Type", …).
  Request& body(std::string bytes) {
    body_ = std::move(bytes);
    return *this;
  }
  /// JSON text, or anything that the schema can write.
  Request& json(std::string_view text) {
    header("Content-Type", "application/json");
    return body(std::string(text));
  }
  Request& json(const char* text) { return json(std::string_view(text)); }
  Request& json(const std::string& text) { return json(std::string_view(text)); }
  template <class T>
  Request& json(const T& value) {
    return json(std::string_view(schema::to_json(value)));
  }
  /// name=value pairs of a form: application/x-www-form-urlencoded, or multipart/form-data together with file().
  Request& form(std::vector<std::pair<std::string, std::string>> fields);
  /// A file of a form, which becomes multipart/form-data.
  Request& file(std::string name, std::string filename, std::string type, std::string bytes) {
    files_.push_back({std::move(name), std::move(filename), std::move(type), std::move(bytes)});
    return *this;
  }

  Answer send();
  /// Sends it and does not wait: the test goes on, and reads the answer as it comes (transfer.hpp).
  Transfer begin();
  operator Answer() { return send(); }  // NOLINT: a request is its answer where one is wanted

 private:
  friend class Client;
  Request(Client& client, http::Method method, std::string target)
      : client_(client), method_(method), target_(std::move(target)) {}
  Client& client_;
  http::Method method_;
  std::string target_;
  std::vector<std::pair<std::string, std::string>> headers_;
  void encode_form();
  struct File {
    std::string name, filename, type, bytes;
  };
  std::string body_;
  std::optional<std::string> secure_host_;
  std::optional<net::PeerIdentity> client_certificate_;
  std::optional<net::Address> peer_;
  std::vector<std::pair<std::string, std::string>> fields_;
  std::vector<File> files_;
};

/// Starts the application (its components, checks and hooks) on a loop of this thread when it is made, and stops it
/// when it goes. Requests have the deadline of a server's defaults. Not thread-safe: one test, one thread.
class Client {
 public:
  explicit Client(App& app);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Request get(std::string target) { return {*this, http::Method::get, std::move(target)}; }
  Request head(std::string target) { return {*this, http::Method::head, std::move(target)}; }
  Request post(std::string target) { return {*this, http::Method::post, std::move(target)}; }
  Request put(std::string target) { return {*this, http::Method::put, std::move(target)}; }
  Request patch(std::string target) { return {*this, http::Method::patch, std::move(target)}; }
  Request del(std::string target) { return {*this, http::Method::del, std::move(target)}; }
  Request options(std::string target) { return {*this, http::Method::options, std::move(target)}; }
  SocketRequest websocket(std::string target) { return {*this, std::move(target)}; }

  /// A header of every request from now on, in place of an earlier one with the name; an empty value removes it.
  Client& default_header(std::string name, std::string value);

  /// Keeps the cookies that answers set from now on, and sends them where they belong, as a browser does. A request
  /// with a Cookie of its own sends that one alone.
  Client& keep_cookies();

  /// A dependency gives this value instead of running, in every request from now on, until the scope that this returns
  /// ends.
  class [[nodiscard("the override ends with this object")]] Override {
   public:
    Override(Override&& other) noexcept : client_(std::exchange(other.client_, nullptr)), key_(other.key_) {}
    ~Override() {
      if (client_ != nullptr) client_->remove_override(key_);
    }

   private:
    friend class Client;
    Override(Client& client, const void* key) : client_(&client), key_(key) {}
    Client* client_;
    const void* key_;
  };
  /// `auto scope = client.override_dependency<&current_user>(User{…});`
  template <auto Function>
  Override override_dependency(typename Depends<Function>::value_type value) {
    return add_override(&ashlar::detail::kFunctionKey<Function>, std::move(value));
  }
  /// Every dependency whose result is a T gives this value: `auto scope = client.acting_as(User{.id = 1, .roles =
  /// {"admin"}});`
  template <class T>
  Override acting_as(T value) {
    return add_override(&ashlar::detail::kTypeKey<T>, std::move(value));
  }

  /// Closes the connection that all requests came on, and what was made for it (kOncePerConnection) goes; the next one
  /// opens another. None may be under way.
  void reconnect() noexcept { connection_.clear(); }

  /// Runs a task on the application's loop, for what a test does beside requests.
  template <class T>
  T run(Task<T> task) {
    return async::run(loop_, std::move(task));
  }
  /// The one that the application runs on, whenever the client waits for something.
  [[nodiscard]] async::Loop& loop() noexcept { return loop_; }
  /// Sends many requests at the same time and gives the answers in order.
  std::vector<Answer> send_all(std::vector<Request> requests);

 private:
  friend class Request;
  friend class SocketRequest;
  friend class Socket;
  friend class Transfer;
  struct Sending;
  class Flight;

  template <class T>
  Override add_override(const void* key, T value) {
    auto kept = std::make_shared<T>(std::move(value));
    auto one = std::make_unique<Kept>();
    one->shared = {key, kept.get(), nullptr};
    one->owner = std::move(kept);
    overrides_.push_back(std::move(one));
    link_overrides();
    return Override{*this, key};
  }
  void remove_override(const void* key);
  void link_overrides();
  Task<Answer> exchange(Request request);
  void add_default_headers(std::vector<std::pair<std::string, std::string>>& headers) const;
  void add_cookies(const std::string& url, std::vector<std::pair<std::string, std::string>>& headers);
  void fill(Sending& sending, http::Method method, std::string_view target,
            const std::vector<std::pair<std::string, std::string>>& headers);

  struct Kept {
    ashlar::detail::SharedValue shared;
    std::shared_ptr<void> owner;
  };

  App& app_;
  async::Loop loop_;
  http::ConnectionValues connection_;
  std::vector<std::pair<std::string, std::string>> default_headers_;
  std::vector<std::unique_ptr<Kept>> overrides_;
  std::unique_ptr<http::CookieJar> cookies_;  // null: they are not kept
};

}  // namespace ashlar::testing
