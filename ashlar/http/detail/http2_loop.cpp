#include <ashlar/http/detail/http2_loop.hpp>

#include <new>

#include <ashlar/http/detail/http2_body.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/http2_websocket.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kFreeStreams = 256;
constexpr std::uint32_t kFieldOverhead = 32;  // that RFC 9113 §6.5.2 counts for each field
constexpr std::size_t kMostContinuations = 8;
constexpr std::size_t kMostAcknowledgements = 1000;  // that wait to be sent

}  // namespace

Http2Loop::Http2Loop(const ServerOptions& options)
    : options_(options), input_(std::make_unique_for_overwrite<char[]>(kInput)) {
  if (::nghttp2_session_callbacks_new(&callbacks_) != 0 || ::nghttp2_option_new(&option_) != 0) {
    ::nghttp2_session_callbacks_del(callbacks_);
    throw std::bad_alloc();
  }
  set_http2_callbacks(callbacks_);
  ::nghttp2_option_set_no_auto_window_update(option_, 1);  // whoever reads a body opens the window
  ::nghttp2_option_set_no_closed_streams(option_, 1);      // they serve priorities of RFC 7540 only, which are off
  ::nghttp2_option_set_max_outbound_ack(option_, kMostAcknowledgements);
  ::nghttp2_option_set_max_continuations(option_, kMostContinuations);
  // Counted here with what else ends streams early: Http2Connection::on_early_end.
  ::nghttp2_option_set_stream_reset_rate_limit(option_, UINT32_MAX, UINT32_MAX);
}

Http2Loop::~Http2Loop() {
  ::nghttp2_option_del(option_);
  ::nghttp2_session_callbacks_del(callbacks_);
}

nghttp2_session* Http2Loop::make_session(Http2Connection& connection) {
  nghttp2_session* session = nullptr;
  if (::nghttp2_session_server_new2(&session, callbacks_, &connection, option_) != 0) throw std::bad_alloc();
  const Http2Options& options = options_.http2;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.stream_window},
      // For the client's information. Above it as HTTP/1.1 counts there is a 431.
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(options_.head.max_head + options_.head.max_headers * kFieldOverhead)},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},  // RFC 8441
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  if (::nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings)) != 0 ||
      ::nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                              static_cast<std::int32_t>(options.connection_window)) != 0) {
    ::nghttp2_session_del(session);
    throw std::bad_alloc();
  }
  return session;
}

Http2Stream* Http2Loop::take_stream() {
  if (streams_.empty()) [[unlikely]]
    return new Http2Stream;
  Http2Stream* const stream = streams_.back().release();
  streams_.pop_back();
  return stream;
}

void Http2Loop::give_stream(Http2Stream* stream) noexcept {
  if (streams_.size() < kFreeStreams) [[likely]] {
    streams_.emplace_back(stream);
  } else {
    delete stream;
  }
}

}  // namespace ashlar::http::detail
