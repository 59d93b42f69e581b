// Two clients of HTTP/2 for the tests: one that behaves (nghttp2's), and one that sends any frames.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/http/server_test.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Http2Answer {
  int status = 0;
  int informational = 0;  // the last 1xx
  Fields fields;
  std::string body;
  bool ended = false;  // END_STREAM came
  bool closed = false;
  std::uint32_t error = 0;  // of RST_STREAM
  [[nodiscard]] std::optional<std::string> field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
};

struct Goaway {
  std::int32_t last;
  std::uint32_t error;
};

class Http2Client {
 public:
  struct Options {
    int receive_buffer = 0;
    std::uint32_t window = 1 << 20;  // of each stream
    bool opens_windows = true;       // as the answer is read
    std::shared_ptr<net::TlsContext> tls{};
  };
  explicit Http2Client(const net::Address& address) : Http2Client(address, Options()) {}
  Http2Client(const net::Address& address, Options options);
  ~Http2Client();

  std::int32_t get(std::string_view path, const Fields& more = {}) { return request("GET", path, more, false); }
  std::int32_t post(std::string_view path, std::string_view body, const Fields& more = {});
  /// A request whose body follows in data().
  std::int32_t open(std::string_view path, const Fields& more = {}) { return request("POST", path, more, true); }
  std::int32_t request(std::string_view method, std::string_view path, const Fields& more, bool body);
  /// All of the head as given.
  std::int32_t request(const Fields& head, bool body);
  void data(std::int32_t stream, std::string_view bytes, bool last);
  void trailers(std::int32_t stream, const Fields& fields);
  void reset(std::int32_t stream, std::uint32_t error = NGHTTP2_CANCEL);
  void ping();
  /// Sends what is queued.
  void flush();
  void open_window(std::int32_t stream, std::int32_t more);

  /// Receives until the stream is closed, or the connection has ended.
  Http2Answer answer(std::int32_t stream);
  Http2Answer ask(std::string_view path, const Fields& more = {}) { return answer(get(path, more)); }
  /// Receives until it holds; false: the connection ended first.
  template <class F>
  bool until(F&& holds) {
    while (!holds()) {
      if (!receive()) return holds();
    }
    return true;
  }
  Http2Answer& of(std::int32_t stream) { return answers_[stream]; }
  /// Receives until the connection has ended.
  bool ended() {
    while (receive()) {
    }
    return ended_;
  }
  void close() { transport_.close(); }
  [[nodiscard]] std::string_view alpn() const { return transport_.alpn(); }
  void hard_close();

  std::vector<Goaway> goaways;
  std::map<std::int32_t, std::uint32_t> settings;  // the server's
  int pongs = 0;

 private:
  friend struct ClientCallbacks;
  struct Outgoing {
    std::string bytes;
    std::size_t sent = 0;
    bool last = false;
    bool deferred = false;
    bool trailers = false;
  };
  bool receive();

  net::Transport transport_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Http2Answer> answers_;
  std::map<std::int32_t, Outgoing> outgoing_;
  bool ended_ = false;
};

/// A frame as it goes over the wire.
struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

/// Sends what it is told to, and reads frames.
class Http2Wire {
 public:
  /// `greet`: sends the preface and empty SETTINGS.
  explicit Http2Wire(const net::Address& address, bool greet = true);
  ~Http2Wire();
  void send(std::string_view bytes) { client_.send(bytes); }
  bool try_send(std::string_view bytes) { return client_.try_send(bytes); }
  /// A block of HEADERS for these fields, after those of the standard request when `standard`.
  std::string block(const Fields& fields, bool standard = true);
  std::string get(std::uint32_t stream, const Fields& fields = {});
  /// The next frame; absent at the end of the connection.
  std::optional<Frame> receive();
  /// Skips others; absent at the end of the connection.
  std::optional<Frame> receive(std::uint8_t type);
  /// The error code of GOAWAY, after which the connection ends; nothing when it ends without.
  std::optional<std::uint32_t> goaway();
  /// The error code of the RST_STREAM of this stream.
  std::optional<std::uint32_t> reset_of(std::uint32_t stream);

 private:
  TestClient client_;
  std::string received_;
  nghttp2_hd_deflater* deflater_ = nullptr;
};

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {});
std::string big_endian(std::uint64_t number, int bytes);

}  // namespace ashlar::http::test
