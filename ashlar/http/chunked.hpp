// The chunked transfer coding (RFC 9112 §7.1): decoding as the bytes come, and the framing of what is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http {

/// Takes a chunked body piece by piece. Strict: CR LF only, no sign, prefix or white space on sizes, extensions by
/// their grammar, trailers as strictly as headers. Extensions are dropped, and so are trailers that have no place
/// behind a body.
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
  /// `done`: the trailer section without its last, empty line, as field lines that end with CR LF; find_trailer() reads
  /// it. Without the fields that frame, route, authenticate or describe a message, or ask for something: those count in
  /// the head or not at all (RFC 9110 §6.5.1).
  [[nodiscard]] const std::string& trailers() const noexcept { return trailers_; }
  void reset() noexcept { *this = ChunkedDecoder(); }

 private:
  enum class At : std::uint8_t {
    size_first,
    size,
    extension,
    extension_name_first,
    extension_name,
    extension_name_end,
    extension_value_first,
    extension_token,
    extension_quoted,
    extension_escaped,
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
  bool framing_byte(char c);
  bool extension_byte(char c) noexcept;
  bool trailer_byte(char c);
  bool bad(std::string_view detail, std::string_view section) noexcept {
    refuse(400, detail, section);
    return false;
  }

  At at_ = At::size_first;
  bool spaced_ = false;  // white space was the last of an extension
  bool trailer_colon_ = false;
  std::uint8_t digits_ = 0;
  std::uint64_t left_ = 0;  // of the current chunk
  std::size_t extensions_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t line_ = 0;  // where the current trailer began in trailers_
  std::string trailers_;
  Refusal refusal_;
};

/// The first field with this name, in any case, of a trailer section as ChunkedDecoder gives it.
[[nodiscard]] std::optional<std::string_view> find_trailer(std::string_view trailers, std::string_view name) noexcept;

inline constexpr std::size_t kMostChunkDigits = 2 * sizeof(std::size_t);
/// A chunk's size in hexadecimal, written to `out`. `size` must not be 0: that would end the body.
[[nodiscard]] std::string_view format_chunk_size(std::size_t size, char (&out)[kMostChunkDigits]) noexcept;
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace ashlar::http
