// permessage-deflate (RFC 7692): what two sides agree on, and the messages themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <ashlar/http/websocket_frame.hpp>

namespace ashlar::http {

struct WebSocketCompression {
  bool enabled = true;
  std::size_t threshold = 1024;  ///< bytes; a shorter message is sent as it is
  /// Lets messages refer to earlier ones: smaller for many similar messages, but a compressor (about 260 KiB) and a
  /// decompressor (about 40 KiB) for every connection. Without it both are taken from a pool of the thread for as long
  /// as a message takes.
  bool context_takeover = false;
  int window_bits = 15;  ///< of what we send, 9–15; the peer may ask for less
  int level = 5;         ///< 1 (fast) – 9 (small)
};

/// What both sides know after the handshake.
struct DeflateAgreement {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  int server_window_bits = 15;
  int client_window_bits = 15;
  bool answer_client_window_bits = false;  ///< the client has offered to be told
  friend bool operator==(const DeflateAgreement&, const DeflateAgreement&) = default;
};

/// The server's choice among the offers of one Sec-WebSocket-Extensions field: the first permessage-deflate whose
/// parameters it knows and can keep (RFC 7692 §7.1). Others, and other extensions, are declined.
[[nodiscard]] std::optional<DeflateAgreement> accept_deflate(std::string_view offers,
                                                             const WebSocketCompression& options);
/// The server's answer, the value of Sec-WebSocket-Extensions.
[[nodiscard]] std::string deflate_answer(const DeflateAgreement& agreement);
/// What a client offers.
[[nodiscard]] std::string deflate_offer(const WebSocketCompression& options);
/// What a server has answered to that. Empty: it breaks the rules, and the client must fail the connection.
[[nodiscard]] std::optional<DeflateAgreement> read_deflate_answer(std::string_view answer,
                                                                  const WebSocketCompression& options);

/// Compresses and decompresses the messages of one side of one connection. Holds nothing between messages unless the
/// agreement has a context takeover. One thread.
class MessageDeflate {
 public:
  MessageDeflate(WebSocketSide side, const DeflateAgreement& agreement, const WebSocketCompression& options);
  ~MessageDeflate();
  MessageDeflate(const MessageDeflate&) = delete;
  MessageDeflate& operator=(const MessageDeflate&) = delete;

  /// Worth compressing, by its size.
  [[nodiscard]] bool wants(std::size_t size) const noexcept { return size >= options_.threshold; }
  /// Appends the compressed message. False: it would not be smaller, nothing is appended, and it is to be sent as it
  /// is.
  [[nodiscard]] bool compress(std::string_view message, std::string& out);

  enum class Result : std::uint8_t { done, too_large, broken };
  /// Appends the message; stops as soon as it is longer than `limit`, which is what a decompression bomb is.
  [[nodiscard]] Result decompress(std::string_view compressed, std::string& out, std::uint64_t limit);

  /// Messages compressed once may be sent to many: nothing of ours is kept between them, and the window is full size.
  [[nodiscard]] bool takes_shared() const noexcept { return !keeps_ours_ && our_bits_ == 15; }

 private:
  struct Deflater;
  struct Inflater;
  WebSocketCompression options_;
  int our_bits_;
  int their_bits_;
  bool keeps_ours_;
  bool keeps_theirs_;
  std::unique_ptr<Deflater> deflater_;
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace ashlar::http
