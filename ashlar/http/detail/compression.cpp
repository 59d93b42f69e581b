#include <ashlar/http/detail/compression.hpp>

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include <ashlar/base/error.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kStep = 16 * 1024;

/// Lets f(char* to, std::size_t room) write behind what `out` has; it gives how much it wrote.
template <class F>
std::size_t append(std::string& out, F&& f) {
  std::size_t made = 0;
  const std::size_t had = out.size();
  out.resize_and_overwrite(had + kStep, [&](char* data, std::size_t) {
    made = f(data + had, kStep);
    return had + made;
  });
  return made;
}

Bytef* bytes(std::string_view text) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib reads only, and says so too late
}

uInt clamp(std::size_t size) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

constexpr int kGzipWindow = 15 + 16;
constexpr int kZlibWindow = 15;
constexpr int kRawWindow = -15;

class ZlibCompressor final : public Compressor {
 public:
  ZlibCompressor(ContentCoding coding, int level) : Compressor(coding, level) {
    constexpr int kMemory = 8;  // zlib's default: 128 KiB for its tables, as much for the window
    if (deflateInit2(&stream_, level, Z_DEFLATED, coding == ContentCoding::gzip ? kGzipWindow : kZlibWindow, kMemory,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~ZlibCompressor() override { deflateEnd(&stream_); }

  void run(std::string_view in, Flush flush, std::string& out) override {
    do {
      stream_.next_in = bytes(in);
      stream_.avail_in = clamp(in.size());
      const bool last = stream_.avail_in == in.size();
      in.remove_prefix(stream_.avail_in);
      const int how = !last || flush == Flush::none ? Z_NO_FLUSH : flush == Flush::sync ? Z_SYNC_FLUSH : Z_FINISH;
      int result = Z_OK;
      // A full buffer may mean that more waits; a flush is over when it left room.
      while (append(out, [&](char* to, std::size_t room) {
               stream_.next_out = reinterpret_cast<Bytef*>(to);
               stream_.avail_out = static_cast<uInt>(room);
               result = deflate(&stream_, how);
               return room - stream_.avail_out;
             }) == kStep) {
      }
      if (result == Z_STREAM_ERROR) throw Internal("zlib could not compress");
    } while (!in.empty());
  }
  bool reset() noexcept override { return deflateReset(&stream_) == Z_OK; }
  [[nodiscard]] std::size_t size() const noexcept override { return std::size_t{268} * 1024; }

 private:
  z_stream stream_{};
};

class BrotliCompressor final : public Compressor {
 public:
  explicit BrotliCompressor(int level) : Compressor(ContentCoding::br, level) {}
  ~BrotliCompressor() override { BrotliEncoderDestroyInstance(state_); }

  void run(std::string_view in, Flush flush, std::string& out) override {
    if (state_ == nullptr) begin();
    const BrotliEncoderOperation operation = flush == Flush::none   ? BROTLI_OPERATION_PROCESS
                                             : flush == Flush::sync ? BROTLI_OPERATION_FLUSH
                                                                    : BROTLI_OPERATION_FINISH;
    const auto* next = reinterpret_cast<const std::uint8_t*>(in.data());
    std::size_t left = in.size();
    do {
      std::size_t no_room = 0;
      if (BrotliEncoderCompressStream(state_, operation, &left, &next, &no_room, nullptr, nullptr) == BROTLI_FALSE) {
        throw Internal("brotli could not compress");
      }
      while (BrotliEncoderHasMoreOutput(state_) != BROTLI_FALSE) {
        std::size_t size = 0;
        const std::uint8_t* const made = BrotliEncoderTakeOutput(state_, &size);
        out.append(reinterpret_cast<const char*>(made), size);
      }
    } while (left != 0 || (operation == BROTLI_OPERATION_FINISH && BrotliEncoderIsFinished(state_) == BROTLI_FALSE));
  }
  bool reset() noexcept override {
    BrotliEncoderDestroyInstance(state_);
    state_ = nullptr;
    return true;
  }
  // What is made on first use is not worth a place in the pool.
  [[nodiscard]] std::size_t size() const noexcept override { return std::numeric_limits<std::size_t>::max(); }

 private:
  void begin() {
    state_ = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
    if (state_ == nullptr) throw std::bad_alloc();
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, static_cast<std::uint32_t>(level));
    constexpr int kCheapest = 6;  // to it a window of 512 KiB, beyond it brotli's own of 4 MiB
    if (level <= kCheapest) BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, 19);
  }
  BrotliEncoderState* state_ = nullptr;
};

class ZstdCompressor final : public Compressor {
 public:
  explicit ZstdCompressor(int level) : Compressor(ContentCoding::zstd, level), context_(ZSTD_createCCtx()) {
    if (context_ == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
    // A window of 512 KiB keeps a stream small; no level that is allowed goes beyond the 8 MiB of RFC 9659.
    constexpr int kCheapest = 9;
    if (level <= kCheapest) ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog, 19);
  }
  ~ZstdCompressor() override { ZSTD_freeCCtx(context_); }

  void run(std::string_view in, Flush flush, std::string& out) override {
    const ZSTD_EndDirective how = flush == Flush::none   ? ZSTD_e_continue
                                  : flush == Flush::sync ? ZSTD_e_flush
                                                         : ZSTD_e_end;
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    std::size_t left = 0;
    do {
      append(out, [&](char* to, std::size_t room) {
        ZSTD_outBuffer into{to, room, 0};
        left = ZSTD_compressStream2(context_, &into, &from, how);
        return into.pos;
      });
      if (ZSTD_isError(left) != 0) throw Internal(std::string("zstd could not compress: ") + ZSTD_getErrorName(left));
    } while (from.pos != from.size || (flush != Flush::none && left != 0));
  }
  bool reset() noexcept override { return ZSTD_isError(ZSTD_CCtx_reset(context_, ZSTD_reset_session_only)) == 0; }
  [[nodiscard]] std::size_t size() const noexcept override { return ZSTD_sizeof_CCtx(context_); }

 private:
  ZSTD_CCtx* context_;
};

class ZlibDecompressor final : public Decompressor {
 public:
  explicit ZlibDecompressor(ContentCoding coding) : Decompressor(coding) {
    if (inflateInit2(&stream_, coding == ContentCoding::gzip ? kGzipWindow : kZlibWindow) != Z_OK)
      throw std::bad_alloc();
  }
  ~ZlibDecompressor() override { inflateEnd(&stream_); }

  Step run(std::string_view& in, char* to, std::size_t room) noexcept override {
    if (coding == ContentCoding::deflate && seen_ < start_.size() && !sniff(in)) return {0, {}};
    Step step{0, {}};
    while (step.error.empty() && step.made != room) {
      std::string_view waiting = std::string_view(start_.data(), seen_).substr(std::min(used_, seen_));
      const bool of_start = !waiting.empty();
      std::string_view& from = of_start ? waiting : in;
      const std::size_t had = from.size();
      const std::size_t made = step.made;
      inflate_some(from, to, room, step);
      if (of_start) used_ += had - from.size();
      if (from.size() == had && step.made == made) break;
    }
    return step;
  }
  [[nodiscard]] bool complete() const noexcept override { return ended_; }
  bool reset() noexcept override {
    seen_ = used_ = 0;
    ended_ = second_ = false;
    return inflateReset2(&stream_, coding == ContentCoding::gzip ? kGzipWindow : kZlibWindow) == Z_OK;
  }
  [[nodiscard]] std::size_t size() const noexcept override { return std::size_t{48} * 1024; }

 private:
  void inflate_some(std::string_view& in, char* to, std::size_t room, Step& step) noexcept {
    if (ended_) {
      if (in.empty()) return;
      if (coding != ContentCoding::gzip || in.front() != '\x1f') {
        step.error = "The content has something behind its end.";
        return;
      }
      inflateReset(&stream_);
      ended_ = false;
      second_ = true;
    }
    stream_.next_in = bytes(in);
    stream_.avail_in = clamp(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to) + step.made;
    stream_.avail_out = clamp(room - step.made);
    const uInt given = stream_.avail_in;
    const uInt had_room = stream_.avail_out;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    in.remove_prefix(given - stream_.avail_in);
    step.made += had_room - stream_.avail_out;
    if (result == Z_MEM_ERROR) step.out_of_memory = true;
    if (result == Z_STREAM_END) {
      ended_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      step.error = second_ ? "The content has something behind its end." : "The content is malformed.";
    }
  }

  // The two bytes that tell zlib's format (RFC 1950 §2.2) from a bare one. False: they have not come yet.
  bool sniff(std::string_view& in) noexcept {
    while (seen_ < start_.size() && !in.empty()) {
      start_[seen_++] = in.front();
      in.remove_prefix(1);
    }
    if (seen_ < start_.size()) return false;
    const unsigned method = static_cast<unsigned char>(start_[0]);
    const unsigned check = static_cast<unsigned char>(start_[1]);
    if ((method & 0x0f) != Z_DEFLATED || (method * 256 + check) % 31 != 0) inflateReset2(&stream_, kRawWindow);
    return true;
  }

  z_stream stream_{};
  std::array<char, 2> start_{};
  std::size_t seen_ = 0;
  std::size_t used_ = 0;
  bool ended_ = false;
  bool second_ = false;  // within a second gzip member, or later
};

class BrotliDecompressor final : public Decompressor {
 public:
  BrotliDecompressor() : Decompressor(ContentCoding::br) {}
  ~BrotliDecompressor() override { BrotliDecoderDestroyInstance(state_); }

  Step run(std::string_view& in, char* to, std::size_t room) noexcept override {
    if (state_ == nullptr) state_ = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
    if (state_ == nullptr) return {0, {}, true};
    if (complete()) {
      return {0, in.empty() ? std::string_view() : "The content has something behind its end."};
    }
    const auto* next = reinterpret_cast<const std::uint8_t*>(in.data());
    std::size_t left = in.size();
    auto* into = reinterpret_cast<std::uint8_t*>(to);
    std::size_t space = room;
    const BrotliDecoderResult result = BrotliDecoderDecompressStream(state_, &left, &next, &space, &into, nullptr);
    in.remove_prefix(in.size() - left);
    Step step{room - space, {}};
    if (result == BROTLI_DECODER_RESULT_ERROR) {
      const BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(state_);
      step.out_of_memory =
          code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
      step.error = "The content is malformed.";
    } else if (result == BROTLI_DECODER_RESULT_SUCCESS && !in.empty()) {
      step.error = "The content has something behind its end.";
    }
    return step;
  }
  [[nodiscard]] bool complete() const noexcept override {
    return state_ != nullptr && BrotliDecoderIsFinished(state_) != BROTLI_FALSE;
  }
  bool reset() noexcept override {
    BrotliDecoderDestroyInstance(state_);
    state_ = nullptr;
    return true;
  }
  [[nodiscard]] std::size_t size() const noexcept override { return std::numeric_limits<std::size_t>::max(); }

 private:
  BrotliDecoderState* state_ = nullptr;
};

class ZstdDecompressor final : public Decompressor {
 public:
  ZstdDecompressor() : Decompressor(ContentCoding::zstd), context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, 23);  // 8 MiB, what a decoder must take (RFC 9659 §3)
  }
  ~ZstdDecompressor() override { ZSTD_freeDCtx(context_); }

  Step run(std::string_view& in, char* to, std::size_t room) noexcept override {
    ZSTD_outBuffer into{to, room, 0};
    Step step{0, {}};
    // Called again and again when it can do nothing, it gives up.
    while (into.pos != room && !(in.empty() && drained_)) {
      ZSTD_inBuffer from{in.data(), in.size(), 0};
      const std::size_t left = ZSTD_decompressStream(context_, &into, &from);
      in.remove_prefix(from.pos);
      if (ZSTD_isError(left) != 0) {
        step.out_of_memory = ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation;
        step.error = complete_ ? "The content has something behind its end." : "The content is malformed.";
        break;
      }
      complete_ = left == 0;
      drained_ = in.empty() && (complete_ || into.pos != room);
    }
    step.made = into.pos;
    return step;
  }
  [[nodiscard]] bool complete() const noexcept override { return complete_; }
  bool reset() noexcept override {
    complete_ = false;
    drained_ = true;
    return ZSTD_isError(ZSTD_DCtx_reset(context_, ZSTD_reset_session_only)) == 0;
  }
  [[nodiscard]] std::size_t size() const noexcept override { return ZSTD_sizeof_DCtx(context_); }

 private:
  ZSTD_DCtx* context_;
  bool complete_ = false;
  bool drained_ = true;  // nothing comes out before more goes in
};

class Unchanged final : public Compressor {
 public:
  Unchanged() noexcept : Compressor(ContentCoding::identity, 0) {}
  void run(std::string_view in, Flush, std::string& out) override { out.append(in); }
  bool reset() noexcept override { return true; }
  [[nodiscard]] std::size_t size() const noexcept override { return std::numeric_limits<std::size_t>::max(); }
};

class UnchangedBack final : public Decompressor {
 public:
  UnchangedBack() noexcept : Decompressor(ContentCoding::identity) {}
  Step run(std::string_view& in, char* to, std::size_t room) noexcept override {
    const std::size_t size = in.copy(to, room);
    in.remove_prefix(size);
    return {size, {}};
  }
  [[nodiscard]] bool complete() const noexcept override { return true; }
  bool reset() noexcept override { return true; }
  [[nodiscard]] std::size_t size() const noexcept override { return std::numeric_limits<std::size_t>::max(); }
};

}  // namespace

std::unique_ptr<Compressor> make_compressor(ContentCoding coding, int level) {
  switch (coding) {
    case ContentCoding::gzip:
    case ContentCoding::deflate:
      return std::make_unique<ZlibCompressor>(coding, level);
    case ContentCoding::br:
      return std::make_unique<BrotliCompressor>(level);
    case ContentCoding::zstd:
      return std::make_unique<ZstdCompressor>(level);
    case ContentCoding::identity:
      break;
  }
  return std::make_unique<Unchanged>();
}

std::unique_ptr<Decompressor> make_decompressor(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::gzip:
    case ContentCoding::deflate:
      return std::make_unique<ZlibDecompressor>(coding);
    case ContentCoding::br:
      return std::make_unique<BrotliDecompressor>();
    case ContentCoding::zstd:
      return std::make_unique<ZstdDecompressor>();
    case ContentCoding::identity:
      break;
  }
  return std::make_unique<UnchangedBack>();
}

}  // namespace ashlar::http::detail
