// A server of HTTP/2 that says what a test tells it to.
#pragma once

#include <nghttp2/nghttp2.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/http/client_test.hpp>
#include <ashlar/http/http2_test.hpp>

namespace ashlar::http::test {

/// To be used on the thread of a RawServer's connection.
class Http2Peer {
 public:
  struct Options {
    std::map<std::uint16_t, std::uint32_t> settings{};
    bool answers_pings = true;
  };
  struct Asked {
    std::uint32_t stream = 0;  // 0: the connection has ended
    Fields fields;
    bool ended = false;
    [[nodiscard]] std::string field(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const;
  };

  explicit Http2Peer(RawPeer& peer) : Http2Peer(peer, Options()) {}
  /// Takes the client's preface and sends SETTINGS.
  Http2Peer(RawPeer& peer, Options options);
  ~Http2Peer();
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;

  /// The next frame; SETTINGS and, unless told otherwise, PING are answered on the way. Absent at the end.
  std::optional<Frame> receive();
  std::optional<Frame> receive(std::uint8_t type);
  /// The next request that receive() has seen, or sees now.
  Asked asked();
  /// Answers it with "ok".
  void answer(const Asked& asked) { answer(asked.stream, "ok"); }
  void answer(std::uint32_t stream, std::string_view body);
  void headers(std::uint32_t stream, const Fields& fields, bool last = false);
  void data(std::uint32_t stream, std::string_view bytes, bool last = false);
  void reset(std::uint32_t stream, std::uint32_t code);
  void goaway(std::uint32_t last, std::uint32_t code = NGHTTP2_NO_ERROR);
  void open_window(std::uint32_t stream, std::uint32_t more);
  bool send(std::string_view bytes) { return peer_.send(bytes); }
  std::string block(const Fields& fields);

  std::map<std::uint32_t, std::string> bodies;  // of requests, as far as receive() has seen them
  std::map<std::uint32_t, std::uint32_t> resets;
  int pings = 0;

 private:
  Asked decode(const Frame& frame);
  RawPeer& peer_;
  std::deque<Asked> requests_;
  Options options_;
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

inline ClientOptions by_prior_knowledge(ClientOptions options = {}) {
  options.http2.prior_knowledge = true;
  return options;
}

/// What the client throws for a request to a server that does this on each connection.
inline std::string told(const std::function<void(Http2Peer&)>& script, ClientRequest request = {},
                        ClientOptions options = {}) {
  RawServer server([&](RawPeer& raw, int) {
    Http2Peer peer(raw);
    script(peer);
  });
  Client client(by_prior_knowledge(std::move(options)));
  request.url = url(server.address(), "/secret?token=1");
  const std::string message = message_of(client, std::move(request));
  EXPECT_EQ(message.find("token"), std::string::npos);
  EXPECT_EQ(client.stats().active, 0U);
  return message;
}

}  // namespace ashlar::http::test
