// One request and its answer on a client's connection of HTTP/2.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/http/detail/client_http2_connection.hpp>
#include <ashlar/http/detail/piece_buffer.hpp>

namespace ashlar::http::detail {

class Http2Exchange final : public ClientExchange {
 public:
  /// `reused`: the connection was there before the request.
  Http2Exchange(Http2Place place, std::string where, bool reused)
      : ClientExchange(std::move(where)), place_(std::move(place)), reused_(reused) {}
  ~Http2Exchange() override { place_->drop(*this); }

  Task<void> ask(const ClientMessage& message) override;
  Task<void> read_body(std::string& out, std::uint64_t most) override;
  [[nodiscard]] bool global_peer() const noexcept override { return place_->global_peer(); }
  [[nodiscard]] std::string_view version() const noexcept override { return "2"; }

 private:
  friend class ClientHttp2;
  friend class ClientHttp2Session;
  class Wait;
  struct Place {
    std::size_t name, name_size, value, value_size;
  };

  // What arrives. Fields come in lower case and well-formed: nghttp2 has seen to that. False: the stream is to be
  // reset.
  [[nodiscard]] bool on_field(std::string_view name, std::string_view value);
  [[nodiscard]] bool on_head_end();
  [[nodiscard]] bool on_data(std::string_view bytes);
  [[nodiscard]] bool on_end();
  /// Says why the answer is none. Gives false.
  [[nodiscard]] bool refuse(std::string_view why);
  /// The session knows this stream no more.
  void on_close(std::uint32_t error_code) noexcept;
  /// The connection is gone.
  void on_lost() noexcept;

  // What leaves.
  static ssize_t read_request_body(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t most,
                                   std::uint32_t* flags, nghttp2_data_source* source, void* user) noexcept;
  [[nodiscard]] std::string_view unsent() const noexcept { return streamed_ ? pieces_.unsent() : body_; }
  void submit(const ClientMessage& message);
  Task<void> send_stream(const ClientMessage& message);
  void resume() noexcept;
  void stop_sending() noexcept;
  Task<void> wait_for_continue();

  void wake() noexcept;
  [[noreturn]] void fail_as_closed() const;

  Http2Place place_;
  Http2Exchange* next_ = nullptr;  // of the connection
  Http2Exchange* previous_ = nullptr;
  Wait* wait_ = nullptr;
  std::int32_t id_ = 0;
  std::uint32_t error_ = NGHTTP2_NO_ERROR;
  bool reused_;
  bool open_ = false;  // the session knows it
  bool to_head_ = false;
  bool answer_began_ = false;
  bool answered_ = false;  // head_ is the final answer's
  bool ended_ = false;     // no more will come
  bool reset_by_server_ = false;
  bool lost_ = false;
  bool told_to_continue_ = false;
  bool streamed_ = false;
  bool all_given_ = false;  // no more will leave than is unsent
  bool deferred_ = false;   // the session waits for unsent()
  unsigned interim_ = 0;
  std::string failure_;  // why the answer is none
  std::size_t head_size_ = 0;
  std::size_t trailers_size_ = 0;
  std::vector<Place> places_;
  std::string arrived_;  // of the body
  std::string_view body_;
  std::string own_body_;
  PieceBuffer pieces_;
};

}  // namespace ashlar::http::detail
