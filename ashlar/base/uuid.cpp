#include <ashlar/base/uuid.hpp>

#include <chrono>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/clock.hpp>

namespace ashlar {
namespace {

// One system call for 64 identifiers.
void take_random(std::uint8_t* out, std::size_t size) {
  thread_local struct {
    std::array<std::uint8_t, 1024> bytes;
    std::size_t used = 1024;
  } pool;
  if (pool.used + size > pool.bytes.size()) {
    random_bytes(pool.bytes.data(), pool.bytes.size());
    pool.used = 0;
  }
  __builtin_memcpy(out, pool.bytes.data() + pool.used, size);
  __builtin_memset(pool.bytes.data() + pool.used, 0, size);
  pool.used += size;
}

void mark(Uuid& id, int version) {
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0F) | (version << 4));
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3F) | 0x80);
}

// 0-15, or a value with high bits set.
constexpr auto kHexValues = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(0xFF);
  for (std::uint8_t i = 0; i < 10; ++i) table['0' + i] = i;
  for (std::uint8_t i = 0; i < 6; ++i) table['a' + i] = table['A' + i] = static_cast<std::uint8_t>(10 + i);
  return table;
}();

constexpr auto kHexDigits = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> table{};
  for (std::size_t i = 0; i < 256; ++i) table[i] = {kDigits[i >> 4], kDigits[i & 15]};
  return table;
}();

}  // namespace

Uuid Uuid::v4() {
  Uuid id;
  take_random(id.bytes.data(), 16);
  mark(id, 4);
  return id;
}

Uuid Uuid::v7() {
  // 48 bits of milliseconds and, in place of rand_a, 12 bits of the millisecond's fraction (RFC 9562, 6.2, method 3).
  thread_local std::uint64_t last = 0;
  const auto now = SystemClock::now().time_since_epoch();
  const auto micros = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  std::uint64_t stamp = (micros / 1000) << 12 | (micros % 1000) * 4096 / 1000;
  if (stamp <= last) stamp = last + 1;
  last = stamp;
  Uuid id;
  for (int i = 0; i < 6; ++i) id.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(stamp >> (52 - 8 * i));
  id.bytes[6] = static_cast<std::uint8_t>(stamp >> 8 & 0x0F);
  id.bytes[7] = static_cast<std::uint8_t>(stamp);
  take_random(id.bytes.data() + 8, 8);
  mark(id, 7);
  return id;
}

std::optional<Uuid> Uuid::parse(std::string_view text) noexcept {
  if (text.starts_with("urn:uuid:")) text.remove_prefix(9);
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') text = text.substr(1, 36);
  const bool hyphens = text.size() == 36;
  if (!hyphens && text.size() != 32) return std::nullopt;
  Uuid id;
  const char* p = text.data();
  unsigned wrong = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10)) wrong |= *p++ == '-' ? 0U : 0x80U;
    const unsigned high = kHexValues[static_cast<unsigned char>(p[0])];
    const unsigned low = kHexValues[static_cast<unsigned char>(p[1])];
    wrong |= high | low;
    id.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    p += 2;
  }
  if (wrong > 15) return std::nullopt;
  return id;
}

void Uuid::write_to(std::span<char, 36> out) const noexcept {
  // Where each byte's two digits stand.
  static constexpr std::uint8_t kAt[] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
  for (std::size_t i = 0; i < 16; ++i) __builtin_memcpy(out.data() + kAt[i], kHexDigits[bytes[i]].data(), 2);
  out[8] = out[13] = out[18] = out[23] = '-';
}

void Uuid::append_to(std::string& out) const {
  char text[36];
  write_to(text);
  out.append(text, sizeof text);
}

std::string Uuid::to_string() const {
  std::string out(36, '\0');
  write_to(std::span<char, 36>{out.data(), 36});
  return out;
}

}  // namespace ashlar
