// Frames of the WebSocket protocol (RFC 6455 §5): their heads, masking, close codes, and UTF-8 that comes in pieces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ashlar::http {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Which side sends a frame: a client's frames are masked, a server's are not (RFC 6455 §5.1).
enum class WebSocketSide : std::uint8_t { client, server };

/// RFC 6455 §7.4.1.
namespace close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unsupported = 1003;
inline constexpr std::uint16_t none = 1005;      ///< never sent: the peer's Close had no code
inline constexpr std::uint16_t abnormal = 1006;  ///< never sent: the connection ended without a Close
inline constexpr std::uint16_t bad_data = 1007;  ///< text that is no UTF-8, a message that does not fit its type
inline constexpr std::uint16_t policy = 1008;    ///< what came is well-formed, but not allowed
inline constexpr std::uint16_t too_large = 1009;
inline constexpr std::uint16_t internal = 1011;
inline constexpr std::uint16_t try_again = 1013;  ///< IANA registry: overload
}  // namespace close_code

/// May be sent in a Close frame: 1000–1003, 1007–1014, 3000–4999 (RFC 6455 §7.4, IANA registry).
[[nodiscard]] bool valid_close_code(std::uint16_t code) noexcept;

/// Why a connection must be failed, and the code to say it with. No fault: code is 0.
struct WebSocketFault {
  std::uint16_t code = 0;
  std::string_view reason;   ///< for the peer; static storage
  std::string_view section;  ///< "RFC 6455 §5.5"
  [[nodiscard]] explicit operator bool() const noexcept { return code != 0; }
};

struct FrameHead {
  bool fin = true;
  bool compressed = false;  ///< RSV1 (RFC 7692 §6)
  Opcode opcode = Opcode::text;
  bool masked = false;
  std::array<std::uint8_t, 4> mask{};
  std::uint64_t length = 0;
  [[nodiscard]] bool control() const noexcept { return opcode >= Opcode::close; }
};

inline constexpr std::size_t kMostFrameHead = 14;
inline constexpr std::size_t kMostControlPayload = 125;

struct FrameHeadResult {
  enum class State : std::uint8_t { complete, incomplete, refused };
  State state = State::incomplete;
  std::size_t size = 0;  ///< complete: bytes of the head
  FrameHead head;
  WebSocketFault fault;  ///< refused
};

/// Reads the head of a frame that `from` has sent, at the start of `bytes`. Refuses, as soon as its byte is there:
/// reserved bits (RSV1 but with `compression`, and there only on the first frame of a data message), reserved opcodes,
/// fragmented control frames and such above 125 bytes, a length not in its shortest form or above 2^63, a client's
/// frame without mask and a server's with one.
[[nodiscard]] FrameHeadResult parse_frame_head(std::string_view bytes, WebSocketSide from, bool compression) noexcept;

/// Writes a head (at most kMostFrameHead bytes) and gives its end.
char* write_frame_head(char* out, const FrameHead& head) noexcept;

/// Masks or unmasks in place. `offset`: of data[0] within the payload.
void mask_bytes(char* data, std::size_t size, const std::array<std::uint8_t, 4>& mask, std::uint64_t offset) noexcept;

/// Well-formed UTF-8 (RFC 3629) in pieces that may end within a character. A wrong byte is found in the piece it is in.
class Utf8Check {
 public:
  /// False: no text begins like this.
  [[nodiscard]] bool feed(std::string_view bytes) noexcept;
  /// No character is cut off.
  [[nodiscard]] bool complete() const noexcept { return left_ == 0; }
  void reset() noexcept { *this = Utf8Check(); }

 private:
  std::uint8_t left_ = 0;  // bytes of the current character that are still to come
  std::uint8_t low_ = 0x80;
  std::uint8_t high_ = 0xbf;
};

/// The payload of a Close frame. A reason is cut to what fits, between characters. `code` none: an empty payload.
[[nodiscard]] std::string close_payload(std::uint16_t code, std::string_view reason);

struct ClosePayload {
  std::uint16_t code = close_code::none;
  std::string_view reason;
  WebSocketFault fault;
};
/// Refuses a payload of one byte, codes that may not be sent, and a reason that is no UTF-8 (RFC 6455 §5.5.1).
[[nodiscard]] ClosePayload parse_close_payload(std::string_view payload) noexcept;

}  // namespace ashlar::http
