// Compression of answers, as the client's Accept-Encoding wants it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <ashlar/app/middleware.hpp>
#include <ashlar/http/content_coding.hpp>

namespace ashlar {

namespace detail {
class EncodedCopies;
}

struct CompressionOptions {
  std::size_t min_size = 1024;  ///< bytes; of smaller bodies compression saves no packet
  /// Offered, best first among those that the client likes equally.
  std::vector<http::ContentCoding> codings{http::kOfferedCodings.begin(), http::kOfferedCodings.end()};
  int level = http::Encoder::kCheap;
  /// Bytes of encoded files and other shared bodies that are kept for the next answers; 0: each answer is encoded anew.
  std::size_t memory = 32 * 1024 * 1024;
};

/// Compresses text, JSON and the like, and says Vary: Accept-Encoding. Left as they are: what is encoded already,
/// ranges, event streams, and what says Cache-Control: no-transform. A strong ETag becomes a weak one, as the bytes are
/// others. Bodies over 64 KiB are compressed on the way, piece by piece, off the loop; a stream's pieces are flushed
/// each, so that none waits for the next.
///
/// Files, and other bodies that answers share, are encoded once and kept while they stay the same: the next answer goes
/// out as if the encoded file lay beside it. Files beyond 4 MiB are encoded each time; put encoded ones beside them.
///
/// A secret and something that an attacker chooses, in one answer: the length of the compressed answer tells about the
/// secret (BREACH). Do not mirror input beside secrets, or answer such routes with no-transform.
class Compression final : public Middleware {
 public:
  explicit Compression(CompressionOptions options = {});
  void after(http::Exchange& exchange) noexcept override;

 private:
  void apply(http::Exchange& exchange) const;
  CompressionOptions options_;
  std::shared_ptr<detail::EncodedCopies> copies_;
};

}  // namespace ashlar
