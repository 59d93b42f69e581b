// The chunked transfer coding (RFC 9112 §7.1): decoding as the bytes come, and the framing of what is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http {

/// Takes a chunked body piece by piece. Strict: CR LF only, no sign or prefix on sizes. Extensions and trailers are
/// bounded, checked for control characters, and dropped.
class ChunkedDecoder {
 public:
  static constexpr std::size_t kMaxExtensions = 4096;  ///< bytes of extensions in one body
  static constexpr std::size_t kMaxTrailers = 8192;    ///< bytes of the trailer section

  enum class State : std::uint8_t { more, done, refused };

  /// Decodes from the front of `in`, appends the data to `out` and removes what it used from `in`. `done`: the body is
  /// complete, and `in` starts with whatever follows it. `refused` (see refusal()): malformed, or more data than
  /// `max_body` bytes in `out` (413).
  State feed(std::string_view& in, std::string& out, std::uint64_t max_body);

  [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }
  void reset() noexcept { *this = ChunkedDecoder(); }

 private:
  enum class At : std::uint8_t {
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_first,
    trailer,
    trailer_lf,
    last_lf,
    done
  };

  State refuse(int status, std::string_view detail, std::string_view section) noexcept {
    refusal_ = {status, detail, section};
    return State::refused;
  }
  /// One byte of the framing around the data. False: refused.
  bool framing_byte(char c) noexcept;

  At at_ = At::size_first;
  bool extension_began_ = false;
  bool trailer_colon_ = false;
  std::uint8_t digits_ = 0;
  std::uint64_t left_ = 0;  // of the current chunk
  std::size_t extensions_ = 0;
  std::size_t trailers_ = 0;
  Refusal refusal_;
};

inline constexpr std::size_t kMostChunkDigits = 2 * sizeof(std::size_t);
/// A chunk's size in hexadecimal, written to `out`. `size` must not be 0: that would end the body.
[[nodiscard]] std::string_view format_chunk_size(std::size_t size, char (&out)[kMostChunkDigits]) noexcept;
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace ashlar::http
