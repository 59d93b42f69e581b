#include <ashlar/http/client_http2_test.hpp>
#include <ashlar/http/detail/http2_connection.hpp>

namespace ashlar::http::test {

std::string Http2Peer::Asked::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return {};
}

bool Http2Peer::Asked::has(std::string_view name) const {
  return std::ranges::any_of(fields, [&](const auto& one) { return one.first == name; });
}

Http2Peer::Http2Peer(RawPeer& peer, Options options) : peer_(peer), options_(std::move(options)) {
  ::nghttp2_hd_deflate_new(&deflater_, 4096);
  ::nghttp2_hd_inflate_new(&inflater_);
  EXPECT_EQ(peer.bytes(detail::kHttp2Preface.size()), detail::kHttp2Preface);
  std::string settings;
  for (const auto& [id, value] : options_.settings) settings += big_endian(id, 2) + big_endian(value, 4);
  send(frame(NGHTTP2_SETTINGS, 0, 0, settings));
}

Http2Peer::~Http2Peer() {
  ::nghttp2_hd_deflate_del(deflater_);
  ::nghttp2_hd_inflate_del(inflater_);
}

std::optional<Frame> Http2Peer::receive() {
  constexpr std::size_t kHead = 9;
  const std::string head = peer_.bytes(kHead);
  if (head.size() < kHead) return std::nullopt;
  const auto at = [](std::string_view text, std::size_t i) {
    return std::uint32_t{static_cast<std::uint8_t>(text[i])};
  };
  const auto number = [&](std::string_view text, std::size_t i) {
    return at(text, i) << 24U | at(text, i + 1) << 16U | at(text, i + 2) << 8U | at(text, i + 3);
  };
  const std::size_t size = at(head, 0) << 16U | at(head, 1) << 8U | at(head, 2);
  Frame one{static_cast<std::uint8_t>(head[3]), static_cast<std::uint8_t>(head[4]), number(head, 5), peer_.bytes(size)};
  if (one.payload.size() < size) return std::nullopt;
  const bool acknowledges = (one.flags & NGHTTP2_FLAG_ACK) != 0;
  switch (one.type) {
    case NGHTTP2_SETTINGS:
      if (!acknowledges) send(frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0));
      break;
    case NGHTTP2_PING:
      if (acknowledges) break;
      ++pings;
      if (options_.answers_pings) send(frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, one.payload));
      break;
    case NGHTTP2_HEADERS:
      requests_.push_back(decode(one));
      break;
    case NGHTTP2_DATA:
      bodies[one.stream] += one.payload;
      break;
    case NGHTTP2_RST_STREAM:
      resets[one.stream] = number(one.payload, 0);
      break;
    default:
      break;
  }
  return one;
}

std::optional<Frame> Http2Peer::receive(std::uint8_t type) {
  while (std::optional<Frame> next = receive()) {
    if (next->type == type) return next;
  }
  return std::nullopt;
}

Http2Peer::Asked Http2Peer::asked() {
  while (requests_.empty()) {
    if (!receive()) return {};
  }
  Asked first = std::move(requests_.front());
  requests_.pop_front();
  return first;
}

Http2Peer::Asked Http2Peer::decode(const Frame& head) {
  Asked asked{.stream = head.stream, .fields = {}, .ended = (head.flags & NGHTTP2_FLAG_END_STREAM) != 0};
  EXPECT_NE(head.flags & NGHTTP2_FLAG_END_HEADERS, 0);
  EXPECT_EQ(head.flags & NGHTTP2_FLAG_PRIORITY, 0);
  const auto* at = reinterpret_cast<const std::uint8_t*>(head.payload.data());
  std::size_t left = head.payload.size();
  for (;;) {
    nghttp2_nv one{};
    int flags = 0;
    const ssize_t used = ::nghttp2_hd_inflate_hd2(inflater_, &one, &flags, at, left, 1);
    if (used < 0) ADD_FAILURE() << ::nghttp2_strerror(static_cast<int>(used));
    if (used < 0) break;
    at += used;
    left -= static_cast<std::size_t>(used);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      asked.fields.emplace_back(std::string(reinterpret_cast<const char*>(one.name), one.namelen),
                                std::string(reinterpret_cast<const char*>(one.value), one.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  ::nghttp2_hd_inflate_end_headers(inflater_);
  return asked;
}

std::string Http2Peer::block(const Fields& fields) {
  std::vector<nghttp2_nv> all;
  for (const auto& [name, value] : fields) {
    all.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                   reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                   NGHTTP2_NV_FLAG_NONE});
  }
  std::string out(::nghttp2_hd_deflate_bound(deflater_, all.data(), all.size()), '\0');
  const ssize_t size = ::nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<std::uint8_t*>(out.data()), out.size(),
                                               all.data(), all.size());
  EXPECT_GE(size, 0);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

void Http2Peer::headers(std::uint32_t stream, const Fields& fields, bool last) {
  send(frame(NGHTTP2_HEADERS,
             static_cast<std::uint8_t>(NGHTTP2_FLAG_END_HEADERS | (last ? NGHTTP2_FLAG_END_STREAM : 0)), stream,
             block(fields)));
}

void Http2Peer::data(std::uint32_t stream, std::string_view bytes, bool last) {
  send(frame(NGHTTP2_DATA, last ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE, stream, bytes));
}

void Http2Peer::answer(std::uint32_t stream, std::string_view body) {
  headers(stream, {{":status", "200"}});
  data(stream, body, true);
}

void Http2Peer::reset(std::uint32_t stream, std::uint32_t code) {
  send(frame(NGHTTP2_RST_STREAM, 0, stream, big_endian(code, 4)));
}

void Http2Peer::goaway(std::uint32_t last, std::uint32_t code) {
  send(frame(NGHTTP2_GOAWAY, 0, 0, big_endian(last, 4) + big_endian(code, 4)));
}

void Http2Peer::open_window(std::uint32_t stream, std::uint32_t more) {
  send(frame(NGHTTP2_WINDOW_UPDATE, 0, stream, big_endian(more, 4)));
}

}  // namespace ashlar::http::test
