#include <ashlar/http/detail/line_scan.hpp>

#include <array>
#include <cstring>

#include <ashlar/http/detail/characters.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ashlar::http::detail {
namespace {

// One byte after the other: for processors without a set of their own, and what all others are tested against.
namespace plain {

const char* scan_target(const char* at, const char* /*begin*/, const char* end) noexcept {
  return skip(at, end, kTargetChar);
}

FieldsEnd scan_fields(const char* at, const char* /*begin*/, const char* end, Header* lines,
                      std::size_t room) noexcept {
  using Why = FieldsEnd::Why;
  std::size_t count = 0;
  while (true) {
    const char* const line = at;
    const char* const colon = skip(line, end, kToken);
    if (colon == end) return {Why::more, count, line, line};
    if (colon == line && *colon == '\r') {
      if (end - colon < 2) return {Why::more, count, line, line};
      if (colon[1] == '\n') return {Why::end, count, colon + 2, line};
    }
    if (*colon != ':' || colon == line) return {Why::name, count, colon, line};
    const char* const stop = skip(colon + 1, end, kFieldChar);
    if (stop == end || (end - stop == 1 && *stop == '\r')) return {Why::more, count, line, line};
    if (stop[0] != '\r' || stop[1] != '\n') return {Why::value, count, stop, line};
    if (count == room) return {Why::full, count, line, line};
    lines[count++] = {{line, colon}, trim({colon + 1, stop})};
    at = stop + 2;
  }
}

}  // namespace plain

#if defined(__x86_64__) || defined(__aarch64__)

constexpr std::ptrdiff_t kWindow = 64;

struct Masks {
  std::uint64_t no_token;  // bytes that names do not have: all that are no token's, and unusual ones that are
  std::uint64_t no_value;  // bytes that no value may have
};

#endif
#if defined(__x86_64__)

namespace sse2 {  // every x86-64 has it

class Block {
 public:
  static constexpr std::ptrdiff_t kWidth = 16;
  explicit Block(const char* at) noexcept : bytes_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))) {}

  // All but letters, digits and the hyphen: of what else a token may hold, hardly a name has any.
  [[nodiscard]] std::uint32_t no_token() const noexcept {
    const __m128i letter = within(_mm_or_si128(bytes_, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i digit = within(bytes_, '0', '9');
    const __m128i hyphen = _mm_cmpeq_epi8(bytes_, _mm_set1_epi8('-'));
    return mask(_mm_or_si128(_mm_or_si128(letter, digit), hyphen)) ^ 0xffffU;
  }
  // Controls but the tab, and DEL.
  [[nodiscard]] std::uint32_t no_value() const noexcept {
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes_, _mm_set1_epi8(0x1f)), bytes_);
    const __m128i tab = _mm_cmpeq_epi8(bytes_, _mm_set1_epi8('\t'));
    return mask(_mm_or_si128(_mm_andnot_si128(tab, control), _mm_cmpeq_epi8(bytes_, _mm_set1_epi8(0x7f))));
  }
  // Signed, everything below '!' is a control, the space, or beyond ASCII.
  [[nodiscard]] std::uint32_t no_target() const noexcept {
    return mask(_mm_or_si128(
        _mm_cmplt_epi8(bytes_, _mm_set1_epi8('!')),
        _mm_or_si128(_mm_cmpeq_epi8(bytes_, _mm_set1_epi8(0x7f)), _mm_cmpeq_epi8(bytes_, _mm_set1_epi8('#')))));
  }

 private:
  static __m128i within(__m128i bytes, char first, char last) noexcept {
    const __m128i distance = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(distance, _mm_set1_epi8(static_cast<char>(last - first))), distance);
  }
  static std::uint32_t mask(__m128i bytes) noexcept { return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes)); }
  __m128i bytes_;
};

Masks load(const char* at) noexcept {
  const Block a(at), b(at + 16), c(at + 32), d(at + 48);
  const auto join = [](std::uint64_t one, std::uint64_t two, std::uint64_t three, std::uint64_t four) {
    return one | two << 16 | three << 32 | four << 48;
  };
  return {join(a.no_token(), b.no_token(), c.no_token(), d.no_token()),
          join(a.no_value(), b.no_value(), c.no_value(), d.no_value())};
}

#include <ashlar/http/detail/line_scan.inl>

}  // namespace sse2

// Which of the bytes 0x10 * n + row are of a token: bit n.
consteval std::array<std::uint8_t, 16> make_token_rows() {
  std::array<std::uint8_t, 16> rows{};
  for (std::size_t c = 0; c < 0x80; ++c) {
    if ((kCharacterClasses[c] & kToken) != 0) rows[c % 16] |= static_cast<std::uint8_t>(1 << (c / 16));
  }
  return rows;
}
constexpr std::array<std::uint8_t, 16> kTokenRows = make_token_rows();
constexpr std::array<std::uint8_t, 16> kTokenColumns = {1, 2, 4, 8, 16, 32, 64, 128};

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
namespace avx2 {

class Block {
 public:
  static constexpr std::ptrdiff_t kWidth = 32;
  explicit Block(const char* at) noexcept : bytes_(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))) {}

  // A byte is a token's when its low half's row has the bit of its high half. Beyond ASCII the shuffle gives no row.
  [[nodiscard]] std::uint32_t no_token() const noexcept {
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes_, 4), _mm256_set1_epi8(0x0f));
    const __m256i row = _mm256_shuffle_epi8(both_halves(kTokenRows), bytes_);
    const __m256i column = _mm256_shuffle_epi8(both_halves(kTokenColumns), high);
    return mask(_mm256_cmpeq_epi8(_mm256_and_si256(row, column), _mm256_setzero_si256()));
  }
  [[nodiscard]] std::uint32_t no_value() const noexcept {
    const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes_, _mm256_set1_epi8(0x1f)), bytes_);
    const __m256i tab = _mm256_cmpeq_epi8(bytes_, _mm256_set1_epi8('\t'));
    return mask(_mm256_or_si256(_mm256_andnot_si256(tab, control), _mm256_cmpeq_epi8(bytes_, _mm256_set1_epi8(0x7f))));
  }
  [[nodiscard]] std::uint32_t no_target() const noexcept {
    return mask(_mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8('!'), bytes_),
                                _mm256_or_si256(_mm256_cmpeq_epi8(bytes_, _mm256_set1_epi8(0x7f)),
                                                _mm256_cmpeq_epi8(bytes_, _mm256_set1_epi8('#')))));
  }

 private:
  static __m256i both_halves(const std::array<std::uint8_t, 16>& table) noexcept {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data())));
  }
  static std::uint32_t mask(__m256i bytes) noexcept { return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes)); }
  __m256i bytes_;
};

Masks load(const char* at) noexcept {
  const Block a(at), b(at + 32);
  return {a.no_token() | std::uint64_t{b.no_token()} << 32, a.no_value() | std::uint64_t{b.no_value()} << 32};
}

#include <ashlar/http/detail/line_scan.inl>

}  // namespace avx2
#pragma clang attribute pop

constexpr LineScan kScans[] = {{"plain", plain::scan_target, plain::scan_fields},
                               {"sse2", sse2::scan_target, sse2::scan_fields},
                               {"avx2", avx2::scan_target, avx2::scan_fields}};

std::size_t usable() noexcept {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  return avx2 ? 3 : 2;
}

#elif defined(__aarch64__)

namespace neon {  // every aarch64 has it

// Comparisons give 0xff or 0 for each byte.
class Block {
 public:
  static constexpr std::ptrdiff_t kWidth = 16;
  explicit Block(const char* at) noexcept : bytes_(vld1q_u8(reinterpret_cast<const std::uint8_t*>(at))) {}

  // As for sse2: letters, digits and the hyphen.
  [[nodiscard]] uint8x16_t no_token() const noexcept {
    const uint8x16_t letter = within(vorrq_u8(bytes_, vdupq_n_u8(0x20)), 'a', 'z');
    const uint8x16_t hyphen = vceqq_u8(bytes_, vdupq_n_u8('-'));
    return vmvnq_u8(vorrq_u8(vorrq_u8(letter, within(bytes_, '0', '9')), hyphen));
  }
  // Controls but the tab, and DEL.
  [[nodiscard]] uint8x16_t no_value() const noexcept {
    const uint8x16_t control = vcltq_u8(bytes_, vdupq_n_u8(0x20));
    const uint8x16_t tab = vceqq_u8(bytes_, vdupq_n_u8('\t'));
    return vorrq_u8(vbicq_u8(control, tab), vceqq_u8(bytes_, vdupq_n_u8(0x7f)));
  }
  // Signed, everything below '!' is a control, the space, or beyond ASCII.
  [[nodiscard]] std::uint32_t no_target() const noexcept {
    const uint8x16_t low = vcltq_s8(vreinterpretq_s8_u8(bytes_), vdupq_n_s8('!'));
    const uint8x16_t stops =
        vorrq_u8(low, vorrq_u8(vceqq_u8(bytes_, vdupq_n_u8(0x7f)), vceqq_u8(bytes_, vdupq_n_u8('#'))));
    return static_cast<std::uint32_t>(mask(stops, vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)));
  }

  // One bit for each of 64 bytes: each byte keeps its own bit of eight, and neighbours are added until eight are one
  // byte.
  static std::uint64_t mask(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) noexcept {
    const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t ab = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
    const uint8x16_t cd = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
    const uint8x16_t abcd = vpaddq_u8(ab, cd);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)), 0);
  }

 private:
  static uint8x16_t within(uint8x16_t bytes, char first, char last) noexcept {
    const uint8x16_t distance = vsubq_u8(bytes, vdupq_n_u8(static_cast<std::uint8_t>(first)));
    return vcleq_u8(distance, vdupq_n_u8(static_cast<std::uint8_t>(last - first)));
  }
  uint8x16_t bytes_;
};

Masks load(const char* at) noexcept {
  const Block a(at), b(at + 16), c(at + 32), d(at + 48);
  return {Block::mask(a.no_token(), b.no_token(), c.no_token(), d.no_token()),
          Block::mask(a.no_value(), b.no_value(), c.no_value(), d.no_value())};
}

#include <ashlar/http/detail/line_scan.inl>

}  // namespace neon

constexpr LineScan kScans[] = {{"plain", plain::scan_target, plain::scan_fields},
                               {"neon", neon::scan_target, neon::scan_fields}};
std::size_t usable() noexcept { return 2; }

#else

constexpr LineScan kScans[] = {{"plain", plain::scan_target, plain::scan_fields}};
std::size_t usable() noexcept { return 1; }

#endif

}  // namespace

std::span<const LineScan> line_scans() noexcept {
  static const std::span<const LineScan> usable_ones(kScans, usable());
  return usable_ones;
}

const LineScan& line_scan() noexcept {
  static const LineScan& best = line_scans().back();
  return best;
}

}  // namespace ashlar::http::detail
