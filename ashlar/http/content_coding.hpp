// Content codings (RFC 9110 §8.4.1): gzip, deflate, br and zstd, as streams, and the choice among them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http {

enum class ContentCoding : std::uint8_t { identity, gzip, deflate, br, zstd };

/// The name as it stands in Content-Encoding.
[[nodiscard]] std::string_view to_string(ContentCoding coding) noexcept;
/// The coding with this name in any case; x-gzip is gzip (RFC 9110 §8.4.1.3).
[[nodiscard]] std::optional<ContentCoding> find_content_coding(std::string_view name) noexcept;

/// What to offer for content that is made for each request, best first. 40 kB of JSON at the cheap levels: zstd 58 µs
/// to 8.2 %, br 168 µs to 8.8 %, gzip 253 µs to 10.1 %. deflate is read but not offered: clients disagree about what it
/// is.
inline constexpr std::array kOfferedCodings = {ContentCoding::zstd, ContentCoding::br, ContentCoding::gzip};

/// A weight of Accept or Accept-…, what stands behind "q=", in thousandths; nullopt: malformed (RFC 9110 §12.4.2).
[[nodiscard]] std::optional<int> parse_weight(std::string_view text) noexcept;

/// The coding that a request wants by its Accept-Encoding (all lines joined; empty and absent are the same here): the
/// one with the highest weight, the first of `available` among equals. identity needs not be in `available`: it is
/// taken when nothing listed fits or when the client prefers it. Elements that are malformed count as not there.
/// nullopt: the client refuses everything that there is, identity included (RFC 9110 §12.5.3).
[[nodiscard]] std::optional<ContentCoding> negotiate(
    std::string_view accept_encoding, std::span<const ContentCoding> available = kOfferedCodings) noexcept;

namespace detail {
class Compressor;
class Decompressor;
struct ReturnCompressor {
  void operator()(Compressor* compressor) const noexcept;
};
struct ReturnDecompressor {
  void operator()(Decompressor* decompressor) const noexcept;
};
}  // namespace detail

/// Encodes one content as it comes. The states of zlib and zstd are dear to make and cheap to use again: each thread
/// keeps a few. May be used by one thread at a time.
class Encoder {
 public:
  static constexpr int kCheap = -1000;  ///< gzip and deflate 4, br 3, zstd 3: for content made for each request

  /// Levels: gzip and deflate 1 to 9, br 0 to 11, zstd 1 to 19. Throws Invalid for another one.
  explicit Encoder(ContentCoding coding, int level = kCheap);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  /// Appends to `out` what is ready of the encoded content; often nothing.
  void encode(std::string_view in, std::string& out);
  /// Appends everything up to here, so that the other side can decode all that was given. Costs some bytes each time.
  void flush(std::string& out);
  /// Ends the content. Then only reset() may follow: anything else throws Internal.
  void finish(std::string& out);
  /// Begins another content, with the same coding and level.
  void reset();

 private:
  void run(std::string_view in, int how, std::string& out);
  std::unique_ptr<detail::Compressor, detail::ReturnCompressor> compressor_;
  bool finished_ = false;
};

/// Encodes at once.
[[nodiscard]] std::string encode(ContentCoding coding, std::string_view content, int level = Encoder::kCheap);

/// Decodes one content as it comes. Strict: anything behind its end is refused. Several members of gzip, and several
/// frames of zstd, in a row are one content (RFC 1952 §2.2, RFC 8878 §3.1). May be used by one thread at a time.
class Decoder {
 public:
  /// So much output is free of the ratio: a short text may well be one byte a thousand times.
  static constexpr std::uint64_t kUnchecked = 1024 * 1024;

  enum class State : std::uint8_t { more, full, refused };

  /// Beyond kUnchecked, more than `max_ratio` bytes of output a byte of input are refused. deflate takes zlib's format
  /// and the bare one that some servers send (RFC 9110 §8.4.1.2).
  explicit Decoder(ContentCoding coding, unsigned max_ratio = 512);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  /// Decodes from the front of `in`, appends to `out` and removes what it used from `in`. `more`: all of `in` was used.
  /// `full`: `out` has `max_out` bytes and at least one more would come; take them away and call again, also with an
  /// empty `in`, or give up. `refused` (see refusal()): malformed (400), or a bomb (413).
  [[nodiscard]] State decode(std::string_view& in, std::string& out, std::uint64_t max_out);
  /// Whether the content may end here. False where the input ends: it was cut off.
  [[nodiscard]] bool complete() const noexcept;
  [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }
  void reset();

 private:
  State refuse(int status, std::string_view detail, std::string_view section) noexcept;
  std::unique_ptr<detail::Decompressor, detail::ReturnDecompressor> decompressor_;
  std::uint64_t in_total_ = 0;
  std::uint64_t out_total_ = 0;
  unsigned max_ratio_;
  bool spilled_ = false;  // spill_ is decoded, and had no place in `out`
  char spill_ = 0;
  Refusal refusal_;
};

/// Decodes at once. Throws Invalid for what is malformed or cut off, TooLarge for more than `max_out` bytes.
[[nodiscard]] std::string decode(ContentCoding coding, std::string_view content, std::uint64_t max_out);

}  // namespace ashlar::http
