// What nghttp2 calls for a client: frames that have arrived become answers.
#include <nghttp2/nghttp2.h>

#include <fmt/format.h>

#include <memory>
#include <new>

#include <ashlar/http/detail/client_http2.hpp>
#include <ashlar/http/detail/client_http2_connection.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kMostContinuations = 8;
constexpr std::size_t kMostRequestHead = 256 * 1024;  // as nghttp2 estimates it; Http2Exchange sees to a smaller one
constexpr std::size_t kMostAcknowledgements = 1000;   // that wait to be sent

std::string_view text(nghttp2_rcbuf* buffer) noexcept {
  const nghttp2_vec bytes = ::nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

}  // namespace

class ClientHttp2Session {
 public:
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) noexcept {
    ClientHttp2& connection = of(user);
    if (frame->type == NGHTTP2_DATA && (frame->length != 0 || (frame->flags & NGHTTP2_FLAG_END_STREAM) != 0)) return 0;
    if (connection.controls_.take(connection.loop_.now())) [[likely]]
      return 0;
    connection.flooded_ = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                       std::uint8_t, void*) noexcept {
    return refused_or(session, frame->hd.stream_id, NGHTTP2_CANCEL,
                      [&](Http2Exchange& exchange) { return exchange.on_field(text(name), text(value)); });
  }

  // nghttp2 would leave it out and go on; two readers could then understand the answer in two ways.
  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, nghttp2_rcbuf*, nghttp2_rcbuf*,
                               std::uint8_t, void*) noexcept {
    return refused_or(session, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR,
                      [](Http2Exchange& exchange) { return exchange.refuse("a header is malformed"); });
  }

  static int on_invalid_frame(nghttp2_session* session, const nghttp2_frame* frame, int error, void*) noexcept {
    Http2Exchange* const exchange = exchange_of(session, frame->hd.stream_id);
    if (exchange == nullptr) return 0;
    try {
      static_cast<void>(exchange->refuse(::nghttp2_strerror(error)));
    } catch (const std::bad_alloc&) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept {
    ClientHttp2& connection = of(user);
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        return refused_or(session, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR, [&](Http2Exchange& exchange) {
          return exchange.on_head_end() && (!last || exchange.on_end());
        });
      case NGHTTP2_DATA:
        if (!last) return 0;
        return refused_or(session, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR,
                          [](Http2Exchange& exchange) { return exchange.on_end(); });
      case NGHTTP2_RST_STREAM:
        if (Http2Exchange* const exchange = exchange_of(session, frame->hd.stream_id))
          exchange->reset_by_server_ = true;
        return 0;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
        connection.greeted_ = true;
        connection.room_changed_ = true;
        return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) return 0;
        connection.ping_out_ = false;
        connection.room_changed_ = connection.room_changed_ || connection.resets_pinged_ != 0;
        connection.resets_pinged_ = 0;
        connection.ping_for_resets();
        if (connection.waiting_ != 0) connection.arm();
        return 0;
      case NGHTTP2_GOAWAY:
        connection.goaway_ = frame->goaway.error_code;
        return 0;
      default:
        return 0;
    }
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void*) noexcept {
    // The connection's window is no one stream's to hold: who does not read his answer holds up his own stream alone.
    ::nghttp2_session_consume_connection(session, size);
    return refused_or(session, id, NGHTTP2_CANCEL, [&](Http2Exchange& exchange) {
      return exchange.on_data({reinterpret_cast<const char*>(data), size});
    });
  }

  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
    ClientHttp2& connection = of(user);
    constexpr std::uint32_t kDataCredit = 4;
    if (frame->hd.type == NGHTTP2_DATA) connection.controls_.give(kDataCredit);
    if (frame->hd.type != NGHTTP2_GOAWAY || frame->goaway.error_code == NGHTTP2_NO_ERROR) return 0;
    const nghttp2_goaway& end = frame->goaway;
    try {
      connection.broken_rule_ =
          fmt::format("{} {}", ::nghttp2_http2_strerror(end.error_code),
                      std::string_view(reinterpret_cast<const char*>(end.opaque_data), end.opaque_data_len));
    } catch (const std::bad_alloc&) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t error_code, void*) noexcept {
    if (Http2Exchange* const exchange = exchange_of(session, id)) exchange->on_close(error_code);
    return 0;
  }

 private:
  static ClientHttp2& of(void* user) noexcept { return *static_cast<ClientHttp2*>(user); }
  static Http2Exchange* exchange_of(nghttp2_session* session, std::int32_t id) noexcept {
    return id == 0 ? nullptr : static_cast<Http2Exchange*>(::nghttp2_session_get_stream_user_data(session, id));
  }

  // Of an exchange that was dropped, what still comes is left unread.
  template <class F>
  static int refused_or(nghttp2_session* session, std::int32_t id, std::uint32_t error_code, F&& work) noexcept {
    Http2Exchange* const exchange = exchange_of(session, id);
    if (exchange == nullptr) return 0;
    try {
      if (work(*exchange)) [[likely]]
        return 0;
    } catch (const std::bad_alloc&) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    ::nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, error_code);
    return 0;
  }
};

nghttp2_session* make_client_session(ClientHttp2& connection) {
  nghttp2_session_callbacks* made_callbacks = nullptr;
  nghttp2_option* made_option = nullptr;
  nghttp2_session* made_session = nullptr;
  if (::nghttp2_session_callbacks_new(&made_callbacks) != 0) throw std::bad_alloc();
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&::nghttp2_session_callbacks_del)> callbacks(
      made_callbacks, &::nghttp2_session_callbacks_del);
  if (::nghttp2_option_new(&made_option) != 0) throw std::bad_alloc();
  const std::unique_ptr<nghttp2_option, decltype(&::nghttp2_option_del)> option(made_option, &::nghttp2_option_del);

  ::nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks.get(), &ClientHttp2Session::on_begin_frame);
  ::nghttp2_session_callbacks_set_on_header_callback2(callbacks.get(), &ClientHttp2Session::on_header);
  ::nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks.get(), &ClientHttp2Session::on_invalid_header);
  ::nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks.get(),
                                                                 &ClientHttp2Session::on_invalid_frame);
  ::nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks.get(), &ClientHttp2Session::on_frame);
  ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks.get(), &ClientHttp2Session::on_data);
  ::nghttp2_session_callbacks_set_on_frame_send_callback(callbacks.get(), &ClientHttp2Session::on_frame_sent);
  ::nghttp2_session_callbacks_set_on_stream_close_callback(callbacks.get(), &ClientHttp2Session::on_stream_close);
  ::nghttp2_option_set_no_auto_window_update(option.get(), 1);  // whoever reads an answer opens the window
  ::nghttp2_option_set_no_closed_streams(option.get(), 1);
  ::nghttp2_option_set_max_outbound_ack(option.get(), kMostAcknowledgements);
  ::nghttp2_option_set_max_send_header_block_length(option.get(), kMostRequestHead);
  ::nghttp2_option_set_max_continuations(option.get(), kMostContinuations);
  if (::nghttp2_session_client_new2(&made_session, callbacks.get(), &connection, option.get()) != 0) {
    throw std::bad_alloc();
  }
  std::unique_ptr<nghttp2_session, decltype(&::nghttp2_session_del)> session(made_session, &::nghttp2_session_del);

  const ClientOptions& options = connection.options();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.http2.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(std::min<std::size_t>(options.max_head, UINT32_MAX))},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  if (::nghttp2_submit_settings(session.get(), NGHTTP2_FLAG_NONE, settings, std::size(settings)) != 0 ||
      ::nghttp2_session_set_local_window_size(session.get(), NGHTTP2_FLAG_NONE, 0,
                                              static_cast<std::int32_t>(options.http2.connection_window)) != 0) {
    throw std::bad_alloc();
  }
  return session.release();
}

}  // namespace ashlar::http::detail
