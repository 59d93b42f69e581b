// zlib, brotli and zstd behind one interface each way, and the pools that keep their states for the next use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <ashlar/http/content_coding.hpp>

namespace ashlar::http::detail {

enum class Flush : std::uint8_t { none, sync, end };

class Compressor {
 public:
  Compressor(ContentCoding coding, int level) noexcept : coding(coding), level(level) {}
  virtual ~Compressor() = default;
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  /// Uses all of `in` and appends what comes out. Throws Internal when the library fails.
  virtual void run(std::string_view in, Flush flush, std::string& out) = 0;
  /// False: it can't be used again.
  virtual bool reset() noexcept = 0;
  /// Bytes that it holds.
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;

  const ContentCoding coding;
  const int level;
};

class Decompressor {
 public:
  explicit Decompressor(ContentCoding coding) noexcept : coding(coding) {}
  virtual ~Decompressor() = default;
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  struct Step {
    std::size_t made;
    std::string_view error;      ///< not empty: refused
    bool out_of_memory = false;  ///< said, not thrown: it runs where nothing may be thrown
  };
  /// Uses `in` from its front until it is empty or `room` bytes (at least 1) are made; less made than that means that
  /// it wants more input.
  virtual Step run(std::string_view& in, char* to, std::size_t room) noexcept = 0;
  [[nodiscard]] virtual bool complete() const noexcept = 0;
  virtual bool reset() noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;

  const ContentCoding coding;
};

/// `level` must be one of the coding's. Throws bad_alloc.
[[nodiscard]] std::unique_ptr<Compressor> make_compressor(ContentCoding coding, int level);
[[nodiscard]] std::unique_ptr<Decompressor> make_decompressor(ContentCoding coding);

}  // namespace ashlar::http::detail
