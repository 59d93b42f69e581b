// Messages out of the bytes that a WebSocket peer sends: frames, fragments, UTF-8, decompression, limits. No I/O.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <ashlar/http/websocket.hpp>
#include <ashlar/http/websocket_deflate.hpp>
#include <ashlar/http/websocket_frame.hpp>

namespace ashlar::http {

class WebSocketReader {
 public:
  /// `deflate`: what was agreed on; null: nothing. It must outlive the reader.
  WebSocketReader(WebSocketSide from, std::uint64_t max_message, MessageDeflate* deflate) noexcept
      : deflate_(deflate), max_message_(max_message), from_(from) {}

  enum class Event : std::uint8_t { more, message, ping, pong, close, fault };
  /// Takes bytes from the front of `in`, unmasking them where they are, until something is complete; `more`: all of
  /// `in` is taken. After `close` and `fault` nothing more may be fed. Throws std::bad_alloc.
  [[nodiscard]] Event feed(std::span<char>& in);

  /// After `message`.
  [[nodiscard]] WebSocketMessage take_message() noexcept { return {std::move(message_), text_}; }
  /// After `ping`, `pong` and `close`: the payload, until the next feed().
  [[nodiscard]] std::string_view control() const noexcept { return control_; }
  /// After `fault`.
  [[nodiscard]] const WebSocketFault& fault() const noexcept { return fault_; }
  /// Something has begun and is not complete.
  [[nodiscard]] bool within() const noexcept { return in_frame_ || in_message_ || partial_size_ != 0; }

 private:
  [[nodiscard]] bool read_head(std::span<char>& in);
  [[nodiscard]] Event begin_frame();
  [[nodiscard]] Event read_payload(std::span<char>& in);
  [[nodiscard]] Event end_frame();
  [[nodiscard]] Event end_message();
  Event fail(const WebSocketFault& fault) noexcept {
    fault_ = fault;
    return Event::fault;
  }

  MessageDeflate* deflate_;
  std::uint64_t max_message_;
  std::uint64_t left_ = 0;  // of the current frame's payload
  FrameHead head_;
  std::string message_;
  std::string control_;
  WebSocketFault fault_;
  Utf8Check utf8_;
  WebSocketSide from_;
  bool in_frame_ = false;
  bool in_message_ = false;  // a data message has begun, and not all its fragments have come
  bool compressed_ = false;
  bool text_ = false;
  std::uint8_t partial_size_ = 0;
  char partial_[kMostFrameHead];  // a head that was cut
};

}  // namespace ashlar::http
