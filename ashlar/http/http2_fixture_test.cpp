#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/http2_test.hpp>

namespace ashlar::http::test {
namespace {

std::vector<nghttp2_nv> nvs(const Fields& fields) {
  std::vector<nghttp2_nv> all;
  for (const auto& [name, value] : fields) {
    all.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                   reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                   NGHTTP2_NV_FLAG_NONE});
  }
  return all;
}

net::Fd connect_to(const net::Address& address, int receive_buffer) {
  net::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer != 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval limit{.tv_sec = 20, .tv_usec = 0};  // a test that hangs fails instead
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), address.data(), address.size()) != 0) ADD_FAILURE() << std::strerror(errno);
  return fd;
}

}  // namespace

struct ClientCallbacks {
  static Http2Client& of(void* user) { return *static_cast<Http2Client*>(user); }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    Http2Answer& answer = of(user).answers_[frame->hd.stream_id];
    const std::string key(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status") {
      (text[0] == '1' ? answer.informational : answer.status) = std::stoi(text);
    } else {
      answer.fields.emplace_back(key, text);
    }
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    of(user).answers_[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Client& client = of(user);
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      client.answers_[frame->hd.stream_id].ended = true;
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.goaways.push_back({frame->goaway.last_stream_id, frame->goaway.error_code});
    }
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++client.pongs;
    if (frame->hd.type == NGHTTP2_SETTINGS) {
      for (std::size_t i = 0; i < frame->settings.niv; ++i) {
        client.settings[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
      }
    }
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
    Http2Answer& answer = of(user).answers_[id];
    answer.closed = true;
    answer.error = error;
    return 0;
  }
  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* buffer, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    Http2Client::Outgoing& out = of(user).outgoing_[id];
    const std::size_t count = std::min(size, out.bytes.size() - out.sent);
    if (count == 0 && !out.last) {
      out.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    std::memcpy(buffer, out.bytes.data() + out.sent, count);
    out.sent += count;
    if (out.last && out.sent == out.bytes.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (out.trailers) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    static_cast<void>(session);
    return static_cast<ssize_t>(count);
  }
};

Http2Client::Http2Client(const net::Address& address, Options options)
    : transport_(connect_to(address, options.receive_buffer)) {
  if (options.tls != nullptr) async::run(transport_.start_tls_client(options.tls, "localhost"));
  nghttp2_session_callbacks* callbacks = nullptr;
  ::nghttp2_session_callbacks_new(&callbacks);
  ::nghttp2_session_callbacks_set_on_header_callback(callbacks, &ClientCallbacks::on_header);
  ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &ClientCallbacks::on_data);
  ::nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &ClientCallbacks::on_frame);
  ::nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &ClientCallbacks::on_close);
  nghttp2_option* option = nullptr;
  ::nghttp2_option_new(&option);
  ::nghttp2_option_set_no_auto_window_update(option, options.opens_windows ? 0 : 1);
  ::nghttp2_option_set_no_http_messaging(option, 1);  // the server is to find out
  ::nghttp2_session_client_new2(&session_, callbacks, this, option);
  ::nghttp2_option_del(option);
  ::nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window}};
  ::nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, 1);
  ::nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << 30);
}

Http2Client::~Http2Client() { ::nghttp2_session_del(session_); }

std::int32_t Http2Client::request(std::string_view method, std::string_view path, const Fields& more, bool body) {
  Fields head = {
      {":method", std::string(method)}, {":scheme", "http"}, {":authority", "test"}, {":path", std::string(path)}};
  head.insert(head.end(), more.begin(), more.end());
  return request(head, body);
}

std::int32_t Http2Client::request(const Fields& head, bool body) {
  const auto fields = nvs(head);
  nghttp2_data_provider provider{.source = {}, .read_callback = &ClientCallbacks::read_body};
  const std::int32_t id =
      ::nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), body ? &provider : nullptr, nullptr);
  EXPECT_GT(id, 0) << ::nghttp2_strerror(id);
  return id;
}

std::int32_t Http2Client::post(std::string_view path, std::string_view body, const Fields& more) {
  const std::int32_t id = open(path, more);
  data(id, body, true);
  return id;
}

void Http2Client::data(std::int32_t stream, std::string_view bytes, bool last) {
  Outgoing& out = outgoing_[stream];
  out.bytes += bytes;
  out.last = last;
  if (std::exchange(out.deferred, false)) ::nghttp2_session_resume_data(session_, stream);
  flush();
}

void Http2Client::trailers(std::int32_t stream, const Fields& fields) {
  outgoing_[stream].trailers = true;
  data(stream, {}, true);
  const auto all = nvs(fields);
  ::nghttp2_submit_trailer(session_, stream, all.data(), all.size());
  flush();
}

void Http2Client::reset(std::int32_t stream, std::uint32_t error) {
  ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error);
  flush();
}

void Http2Client::ping() { ::nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

void Http2Client::open_window(std::int32_t stream, std::int32_t more) {
  ::nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, stream, more);
  flush();
}

void Http2Client::flush() {
  const std::uint8_t* bytes = nullptr;
  ssize_t size = 0;
  while ((size = ::nghttp2_session_mem_send(session_, &bytes)) > 0) {
    std::string_view left(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    while (!left.empty()) {
      const net::Io io = transport_.write(left);
      if (io.state != net::Io::State::done) return;  // the server is gone: receive() tells
      left.remove_prefix(io.bytes);
    }
  }
}

bool Http2Client::receive() {
  flush();
  char bytes[64 * 1024];
  if (!transport_) return false;
  const net::Io io = transport_.read(bytes);
  if (io.state != net::Io::State::done) {
    ended_ = ended_ || io.state == net::Io::State::closed;
    return false;
  }
  const ssize_t used = ::nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes), io.bytes);
  EXPECT_EQ(used, static_cast<ssize_t>(io.bytes)) << ::nghttp2_strerror(static_cast<int>(used));
  flush();
  if (::nghttp2_session_want_read(session_) != 0 || ::nghttp2_session_want_write(session_) != 0) return used >= 0;
  ended_ = true;  // after GOAWAY, with nothing more to come
  transport_.close();
  return false;
}

Http2Answer Http2Client::answer(std::int32_t stream) {
  until([&] { return answers_[stream].closed; });
  return answers_[stream];
}

void Http2Client::hard_close() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(transport_.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  transport_.close();
}

// -------------------------------------------------------------------------------------------------------- any frames

std::string big_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(number >> (8 * i) & 0xff);
  return text;
}

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  return big_endian(payload.size(), 3) + static_cast<char>(type) + static_cast<char>(flags) + big_endian(stream, 4) +
         std::string(payload);
}

Http2Wire::Http2Wire(const net::Address& address, bool greet) : client_(address) {
  ::nghttp2_hd_deflate_new(&deflater_, 4096);
  if (greet) send(std::string(detail::kHttp2Preface) + frame(NGHTTP2_SETTINGS, 0, 0));
}

Http2Wire::~Http2Wire() { ::nghttp2_hd_deflate_del(deflater_); }

std::string Http2Wire::block(const Fields& fields, bool standard) {
  Fields all;
  if (standard) all = {{":method", "GET"}, {":scheme", "http"}, {":authority", "test"}, {":path", "/"}};
  all.insert(all.end(), fields.begin(), fields.end());
  const auto list = nvs(all);
  std::string out(::nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
  const ssize_t size = ::nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<std::uint8_t*>(out.data()), out.size(),
                                               list.data(), list.size());
  EXPECT_GT(size, 0);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string Http2Wire::get(std::uint32_t stream, const Fields& fields) {
  return frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream, block(fields));
}

std::optional<Frame> Http2Wire::receive() {
  const auto need = [&](std::size_t size) {
    while (received_.size() < size) {
      std::string more = client_.some();
      if (more.empty()) return false;
      received_ += more;
    }
    return true;
  };
  if (!need(9)) return std::nullopt;
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(received_[i]); };
  const std::size_t size = at(0) << 16U | at(1) << 8U | at(2);
  Frame frame{at(3), at(4), static_cast<std::uint32_t>(at(5)) << 24U | at(6) << 16U | at(7) << 8U | at(8), {}};
  if (!need(9 + size)) return std::nullopt;
  frame.payload = received_.substr(9, size);
  received_.erase(0, 9 + size);
  return frame;
}

std::optional<Frame> Http2Wire::receive(std::uint8_t type) {
  while (std::optional<Frame> next = receive()) {
    if (next->type == type) return next;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Http2Wire::goaway() {
  std::optional<std::uint32_t> error;
  while (const std::optional<Frame> next = receive()) {
    if (next->type == NGHTTP2_GOAWAY) error = static_cast<std::uint8_t>(next->payload[7]);
  }
  return error;
}

std::optional<std::uint32_t> Http2Wire::reset_of(std::uint32_t stream) {
  while (const std::optional<Frame> next = receive(NGHTTP2_RST_STREAM)) {
    if (next->stream == stream) return static_cast<std::uint8_t>(next->payload[3]);
  }
  return std::nullopt;
}

}  // namespace ashlar::http::test
