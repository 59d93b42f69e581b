#include <ashlar/http/websocket_frame.hpp>

#include <algorithm>
#include <cstring>

namespace ashlar::http {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kRsv1 = 0x40;
constexpr std::uint8_t kRsv23 = 0x30;
constexpr std::uint8_t kMaskBit = 0x80;

FrameHeadResult refuse(std::string_view reason, std::string_view section) noexcept {
  FrameHeadResult result;
  result.state = FrameHeadResult::State::refused;
  result.fault = {close_code::protocol_error, reason, section};
  return result;
}

bool known(std::uint8_t opcode) noexcept { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

std::uint64_t big_endian(const std::uint8_t* at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | at[i];
  return value;
}

}  // namespace

bool valid_close_code(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

FrameHeadResult parse_frame_head(std::string_view bytes, WebSocketSide from, bool compression) noexcept {
  const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  FrameHeadResult result;
  if (bytes.empty()) return result;

  FrameHead& head = result.head;
  const std::uint8_t opcode = at[0] & 0x0f;
  if (!known(opcode)) return refuse("a frame has a reserved opcode", "RFC 6455 §5.2");
  head.opcode = static_cast<Opcode>(opcode);
  head.fin = (at[0] & kFin) != 0;
  head.compressed = (at[0] & kRsv1) != 0;
  if ((at[0] & kRsv23) != 0) return refuse("a frame has a reserved bit set", "RFC 6455 §5.2");
  if (head.compressed && (!compression || head.control() || head.opcode == Opcode::continuation)) {
    return refuse("a frame is marked as compressed where it may not be", "RFC 7692 §6.1");
  }
  if (head.control() && !head.fin) return refuse("a control frame is fragmented", "RFC 6455 §5.5");
  if (bytes.size() < 2) return result;

  head.masked = (at[1] & kMaskBit) != 0;
  if (from == WebSocketSide::client && !head.masked) return refuse("a client's frame is not masked", "RFC 6455 §5.1");
  if (from == WebSocketSide::server && head.masked) return refuse("a server's frame is masked", "RFC 6455 §5.1");
  const std::uint8_t length = at[1] & 0x7f;
  if (head.control() && length > kMostControlPayload) {
    return refuse("a control frame is longer than 125 bytes", "RFC 6455 §5.5");
  }
  const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (extra == 8 && bytes.size() > 2 && (at[2] & 0x80) != 0) {
    return refuse("a frame's length has its highest bit set", "RFC 6455 §5.2");
  }
  const std::size_t size = 2 + extra + (head.masked ? 4 : 0);
  if (bytes.size() < 2 + extra) return result;
  head.length = extra == 0 ? length : big_endian(at + 2, extra);
  if ((extra == 2 && head.length < 126) || (extra == 8 && head.length <= 0xffff)) {
    return refuse("a frame's length is not in its shortest form", "RFC 6455 §5.2");
  }
  if (bytes.size() < size) return result;
  if (head.masked) std::memcpy(head.mask.data(), at + 2 + extra, 4);
  result.state = FrameHeadResult::State::complete;
  result.size = size;
  return result;
}

char* write_frame_head(char* out, const FrameHead& head) noexcept {
  const auto put = [&](std::uint64_t byte) { *out++ = static_cast<char>(static_cast<std::uint8_t>(byte)); };
  put(static_cast<std::uint8_t>(head.opcode) | (head.fin ? kFin : 0U) | (head.compressed ? kRsv1 : 0U));
  const std::uint8_t mask_bit = head.masked ? kMaskBit : 0;
  if (head.length < 126) {
    put(mask_bit | head.length);
  } else if (head.length <= 0xffff) {
    put(mask_bit | 126U);
    put(head.length >> 8);
    put(head.length);
  } else {
    put(mask_bit | 127U);
    for (int shift = 56; shift >= 0; shift -= 8) put(head.length >> shift);
  }
  if (head.masked) {
    std::memcpy(out, head.mask.data(), 4);
    out += 4;
  }
  return out;
}

void mask_bytes(char* data, std::size_t size, const std::array<std::uint8_t, 4>& mask, std::uint64_t offset) noexcept {
  // Sixteen bytes of the mask, turned so that they begin at `offset`.
  std::array<std::uint8_t, 16> turned;
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = mask[(offset + i) & 3];
  std::uint64_t key[2];
  std::memcpy(key, turned.data(), sizeof key);
  std::size_t i = 0;
  for (; size - i >= 16; i += 16) {
    std::uint64_t word[2];
    std::memcpy(word, data + i, sizeof word);
    word[0] ^= key[0];
    word[1] ^= key[1];
    std::memcpy(data + i, word, sizeof word);
  }
  for (; i < size; ++i) data[i] = static_cast<char>(static_cast<std::uint8_t>(data[i]) ^ turned[i & 3]);
}

bool Utf8Check::feed(std::string_view bytes) noexcept {
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto* const end = at + bytes.size();
  while (at != end) {
    if (left_ != 0) {
      if (*at < low_ || *at > high_) return false;
      low_ = 0x80;
      high_ = 0xbf;
      --left_;
      ++at;
      continue;
    }
    while (end - at >= 16) {  // ASCII, sixteen at a time
      std::uint64_t word[2];
      std::memcpy(word, at, sizeof word);
      if (((word[0] | word[1]) & 0x8080808080808080ULL) != 0) break;
      at += 16;
    }
    while (at != end && *at < 0x80) ++at;
    if (at == end) return true;
    // What may follow each first byte: Unicode, table 3-7. Overlong forms, surrogates and what is above U+10FFFF are
    // excluded by the range of the second byte.
    const std::uint8_t first = *at++;
    if (first >= 0xc2 && first <= 0xdf) {
      left_ = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      left_ = 2;
      if (first == 0xe0) low_ = 0xa0;
      if (first == 0xed) high_ = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      left_ = 3;
      if (first == 0xf0) low_ = 0x90;
      if (first == 0xf4) high_ = 0x8f;
    } else {
      return false;
    }
  }
  return true;
}

std::string close_payload(std::uint16_t code, std::string_view reason) {
  std::string payload;
  if (code == close_code::none) return payload;
  payload += static_cast<char>(code >> 8);
  payload += static_cast<char>(code & 0xff);
  std::size_t most = std::min(reason.size(), kMostControlPayload - 2);
  if (most < reason.size()) {
    while (most != 0 && (static_cast<std::uint8_t>(reason[most]) & 0xc0) == 0x80) --most;
  }
  payload.append(reason.substr(0, most));
  return payload;
}

ClosePayload parse_close_payload(std::string_view payload) noexcept {
  ClosePayload result;
  if (payload.empty()) return result;
  if (payload.size() == 1) {
    result.fault = {close_code::protocol_error, "a Close frame has half a code", "RFC 6455 §5.5.1"};
    return result;
  }
  result.code = static_cast<std::uint16_t>(big_endian(reinterpret_cast<const std::uint8_t*>(payload.data()), 2));
  result.reason = payload.substr(2);
  if (!valid_close_code(result.code)) {
    result.fault = {close_code::protocol_error, "a Close frame has a code that may not be sent", "RFC 6455 §7.4"};
    return result;
  }
  Utf8Check utf8;
  if (!utf8.feed(result.reason) || !utf8.complete()) {
    result.fault = {close_code::bad_data, "the reason in a Close frame is no UTF-8", "RFC 6455 §5.5.1"};
  }
  return result;
}

}  // namespace ashlar::http
