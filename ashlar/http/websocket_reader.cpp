#include <ashlar/http/websocket_reader.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ashlar::http {
namespace {

constexpr std::size_t kReserve = 64 * 1024;  // memory grows as a message comes, not as it is announced
constexpr WebSocketFault kTooLarge{close_code::too_large, "the message is longer than is allowed here",
                                   "RFC 6455 §7.4.1"};
constexpr WebSocketFault kNotUtf8{close_code::bad_data, "a text message is no UTF-8", "RFC 6455 §8.1"};

}  // namespace

WebSocketReader::Event WebSocketReader::feed(std::span<char>& in) {
  while (true) {
    if (!in_frame_) {
      if (in.empty()) return Event::more;
      if (!read_head(in)) return fault_ ? Event::fault : Event::more;
      if (const Event event = begin_frame(); event != Event::more) return event;
    }
    if (const Event event = read_payload(in); event != Event::more) return event;
    if (in_frame_) return Event::more;
  }
}

// False: a fault, or more bytes are wanted.
bool WebSocketReader::read_head(std::span<char>& in) {
  FrameHeadResult result;
  if (partial_size_ == 0) {
    result = parse_frame_head({in.data(), in.size()}, from_, deflate_ != nullptr);
    if (result.state == FrameHeadResult::State::complete) in = in.subspan(result.size);
  }
  if (partial_size_ != 0 || result.state == FrameHeadResult::State::incomplete) {
    const std::size_t had = partial_size_;
    const std::size_t more = std::min(in.size(), kMostFrameHead - had);
    std::memcpy(partial_ + had, in.data(), more);
    partial_size_ = static_cast<std::uint8_t>(had + more);
    result = parse_frame_head({partial_, partial_size_}, from_, deflate_ != nullptr);
    if (result.state == FrameHeadResult::State::incomplete) {
      in = in.subspan(more);
      return false;
    }
    if (result.state == FrameHeadResult::State::complete) in = in.subspan(result.size - had);
    partial_size_ = 0;
  }
  if (result.state == FrameHeadResult::State::refused) {
    fault_ = result.fault;
    return false;
  }
  head_ = result.head;
  return true;
}

WebSocketReader::Event WebSocketReader::begin_frame() {
  in_frame_ = true;
  left_ = head_.length;
  if (head_.control()) {
    control_.clear();
    return Event::more;
  }
  if (head_.opcode == Opcode::continuation) {
    if (!in_message_) return fail({close_code::protocol_error, "a continuation without a beginning", "RFC 6455 §5.4"});
  } else {
    if (in_message_) {
      return fail({close_code::protocol_error, "a new message within a fragmented one", "RFC 6455 §5.4"});
    }
    in_message_ = true;
    text_ = head_.opcode == Opcode::text;
    compressed_ = head_.compressed;
    message_.clear();
    utf8_.reset();
  }
  if (head_.length > max_message_ - message_.size()) return fail(kTooLarge);
  message_.reserve(message_.size() + std::min<std::uint64_t>(head_.length, kReserve));
  return Event::more;
}

WebSocketReader::Event WebSocketReader::read_payload(std::span<char>& in) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
  const std::span<char> piece = in.first(size);
  if (head_.masked) mask_bytes(piece.data(), size, head_.mask, head_.length - left_);
  in = in.subspan(size);
  left_ -= size;
  const std::string_view bytes(piece.data(), size);
  if (head_.control()) {
    control_ += bytes;
  } else {
    // In pieces, so that what is no text is refused before the rest of it comes.
    if (text_ && !compressed_ && !utf8_.feed(bytes)) return fail(kNotUtf8);
    message_ += bytes;
  }
  return left_ == 0 ? end_frame() : Event::more;
}

WebSocketReader::Event WebSocketReader::end_frame() {
  in_frame_ = false;
  switch (head_.opcode) {
    case Opcode::ping:
      return Event::ping;
    case Opcode::pong:
      return Event::pong;
    case Opcode::close:
      return Event::close;
    default:
      return head_.fin ? end_message() : Event::more;
  }
}

WebSocketReader::Event WebSocketReader::end_message() {
  in_message_ = false;
  if (compressed_) {
    std::string plain;
    switch (deflate_->decompress(message_, plain, max_message_)) {
      case MessageDeflate::Result::done:
        break;
      case MessageDeflate::Result::too_large:
        return fail(kTooLarge);
      case MessageDeflate::Result::broken:
        return fail({close_code::bad_data, "a compressed message cannot be decompressed", "RFC 7692 §7.2.2"});
    }
    message_ = std::move(plain);
    if (text_ && !utf8_.feed(message_)) return fail(kNotUtf8);
  }
  if (text_ && !utf8_.complete()) return fail(kNotUtf8);
  return Event::message;
}

}  // namespace ashlar::http
