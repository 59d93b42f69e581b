// What nghttp2 calls: frames that have arrived become requests, answers become frames.
#include <nghttp2/nghttp2.h>

#include <new>

#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/http2_loop.hpp>
#include <ashlar/http/detail/http2_stream.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kCorked = 64 * 1024;  // leaves in one write
constexpr std::size_t kWorthCredit = 64;    // bytes of DATA that earn a client more frames of its own
constexpr std::uint32_t kCredit = 4;

std::string_view text(nghttp2_rcbuf* buffer) noexcept {
  const nghttp2_vec bytes = ::nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

}  // namespace

class Http2Session {
 public:
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) noexcept {
    Http2Connection& connection = of(user);
    if (ending(connection)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->type == NGHTTP2_HEADERS || frame->type == NGHTTP2_CONTINUATION) return 0;
    if (frame->type == NGHTTP2_DATA && (frame->length != 0 || (frame->flags & NGHTTP2_FLAG_END_STREAM) != 0)) return 0;
    return control(connection);
  }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept {
    Http2Connection& connection = of(user);
    if (ending(connection)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    const std::int32_t id = frame->hd.stream_id;
    try {
      Http2Stream* const stream = connection.begin_stream(id);
      if (stream != nullptr) {
        ::nghttp2_session_set_stream_user_data(session, id, stream);
        return 0;
      }
    } catch (const std::bad_alloc&) {
      // It is refused as well.
    }
    connection.server_.stats().http2_refused.add();
    ::nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                       std::uint8_t, void* user) noexcept {
    Http2Connection& connection = of(user);
    Http2Stream* const stream = stream_of(session, frame->hd.stream_id);
    if (ending(connection) || stream == nullptr) return NGHTTP2_ERR_CALLBACK_FAILURE;
    try {
      const bool good = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? stream->on_field(text(name), text(value))
                                                                   : stream->on_trailer(text(name), text(value));
      if (good) return 0;
      connection.server_.stats().http2_header_bombs.add();
      connection.doom(NGHTTP2_ENHANCE_YOUR_CALM);
    } catch (const std::bad_alloc&) {
      connection.doom(NGHTTP2_INTERNAL_ERROR);
    }
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  // nghttp2 would leave it out and go on; two readers could then understand the request in two ways.
  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, nghttp2_rcbuf*, nghttp2_rcbuf*,
                               std::uint8_t, void*) noexcept {
    ::nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int error, void* user) noexcept {
    ServerStats& stats = of(user).server_.stats();
    if (error == NGHTTP2_ERR_REFUSED_STREAM) {
      stats.http2_refused.add();
    } else if (error == NGHTTP2_ERR_HTTP_HEADER || error == NGHTTP2_ERR_HTTP_MESSAGING) {
      stats.malformed.add();
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept {
    Http2Connection& connection = of(user);
    if (ending(connection)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS: {
        Http2Stream* const stream = stream_of(session, frame->hd.stream_id);
        if (stream == nullptr) return 0;
        return guarded(connection, [&] {
          if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            connection.head_ = nullptr;
            connection.controls_.give(kCredit);
            stream->on_head_end(last);
          } else if (last) {
            stream->on_end();
          }
        });
      }
      case NGHTTP2_DATA: {
        if (!last) return frame->hd.length == frame->data.padlen && frame->hd.length != 0 ? control(connection) : 0;
        Http2Stream* const stream = stream_of(session, frame->hd.stream_id);
        return stream == nullptr ? 0 : guarded(connection, [&] { stream->on_end(); });
      }
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) connection.on_settings();
        return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) connection.on_ping_back();
        return 0;
      case NGHTTP2_GOAWAY:
        connection.client_ends_ = true;
        return 0;
      default:
        return 0;
    }
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* user) noexcept {
    Http2Connection& connection = of(user);
    if (ending(connection)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    // The connection's window is no one stream's to hold: what a handler leaves unread holds up its own stream alone.
    ::nghttp2_session_consume_connection(session, size);
    Http2Stream* const stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    return guarded(connection, [&] { stream->on_data({reinterpret_cast<const char*>(data), size}); });
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t error_code, void* user) noexcept {
    Http2Connection& connection = of(user);
    if (ending(connection)) return 0;
    Http2Stream* const stream = stream_of(session, id);
    if (error_code != NGHTTP2_NO_ERROR && (stream == nullptr || !stream->own_reset_)) connection.on_early_end();
    if (stream == nullptr) return 0;
    if (connection.head_ == stream) connection.head_ = nullptr;
    stream->on_close();
    return 0;
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user) noexcept {
    constexpr std::size_t kFrameHead = 9;
    Http2Connection& connection = of(user);
    auto& stream = *static_cast<Http2Stream*>(source->ptr);
    Cork& cork = connection.server_.cork_of(connection);
    if (cork.size() >= kCorked) {
      connection.batch_full_ = true;
      return NGHTTP2_ERR_WOULDBLOCK;
    }
    try {
      cork.append({reinterpret_cast<const char*>(head), kFrameHead});
      cork.append(stream.unsent().substr(0, size));
    } catch (const std::bad_alloc&) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (size >= kWorthCredit) connection.controls_.give(kCredit);
    connection.data_moved_ += size;
    stream.moved(size);
    return 0;
  }

 private:
  static Http2Connection& of(void* user) noexcept { return *static_cast<Http2Connection*>(user); }
  static Http2Stream* stream_of(nghttp2_session* session, std::int32_t id) noexcept {
    return static_cast<Http2Stream*>(::nghttp2_session_get_stream_user_data(session, id));
  }
  static bool ending(const Http2Connection& connection) noexcept {
    return connection.phase_ != Http2Connection::Phase::open || connection.doom_ != NGHTTP2_NO_ERROR;
  }

  template <class F>
  static int guarded(Http2Connection& connection, F&& work) noexcept {
    try {
      work();
      return 0;
    } catch (const std::bad_alloc&) {
      connection.doom(NGHTTP2_INTERNAL_ERROR);
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int control(Http2Connection& connection) noexcept {
    if (connection.controls_.take(connection.server_.loop().now())) [[likely]]
      return 0;
    connection.server_.stats().http2_floods.add();
    connection.doom(NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
};

void set_http2_callbacks(nghttp2_session_callbacks* callbacks) noexcept {
  ::nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, &Http2Session::on_begin_frame);
  ::nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &Http2Session::on_begin_headers);
  ::nghttp2_session_callbacks_set_on_header_callback2(callbacks, &Http2Session::on_header);
  ::nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, &Http2Session::on_invalid_header);
  ::nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, &Http2Session::on_invalid_frame);
  ::nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Http2Session::on_frame);
  ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Http2Session::on_data);
  ::nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Http2Session::on_stream_close);
  ::nghttp2_session_callbacks_set_send_data_callback(callbacks, &Http2Session::send_data);
}

}  // namespace ashlar::http::detail
