#include <ashlar/base/bytes.hpp>

#include <sys/random.h>

#include <array>
#include <cerrno>

#include <ashlar/base/error.hpp>

namespace ashlar {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> inverse(std::string_view alphabet) {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}
constexpr auto kFromBase64 = inverse(kBase64);
constexpr auto kFromBase64Url = inverse(kBase64Url);

std::string encode(std::string_view bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  const auto at = [&](std::size_t k) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[k])); };
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t word = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out += alphabet[word >> 18];
    out += alphabet[word >> 12 & 63];
    out += alphabet[word >> 6 & 63];
    out += alphabet[word & 63];
  }
  const std::size_t rest = bytes.size() - i;
  if (rest > 0) {
    const std::uint32_t word = at(i) << 16 | (rest == 2 ? at(i + 1) << 8 : 0);
    out += alphabet[word >> 18];
    out += alphabet[word >> 12 & 63];
    if (rest == 2) out += alphabet[word >> 6 & 63];
    if (pad) out.append(3 - rest, '=');
  }
  return out;
}

std::optional<std::string> decode(std::string_view text, const std::array<std::int8_t, 256>& table) {
  std::size_t size = text.size();
  if (size % 4 == 0) {
    if (size > 0 && text[size - 1] == '=') --size;
    if (size > 0 && size < text.size() && text[size - 1] == '=') --size;
  }
  if (size % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(size / 4 * 3 + 2);
  std::uint32_t word = 0;
  int bits = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const int value = table[static_cast<unsigned char>(text[i])];
    if (value < 0) return std::nullopt;
    word = word << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(word >> bits & 0xFF);
    }
  }
  if (bits > 0 && (word & ((1U << bits) - 1)) != 0) return std::nullopt;
  return out;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<Bytes> Bytes::parse(std::string_view text) {
  auto decoded = base64_decode(text);
  if (!decoded) decoded = base64url_decode(text);
  if (!decoded) return std::nullopt;
  return copy_of(*decoded);
}

std::string Bytes::to_string() const { return base64_encode(view()); }

std::string base64_encode(std::string_view bytes) { return encode(bytes, kBase64, true); }
std::string base64url_encode(std::string_view bytes) { return encode(bytes, kBase64Url, false); }
std::optional<std::string> base64_decode(std::string_view text) { return decode(text, kFromBase64); }
std::optional<std::string> base64url_decode(std::string_view text) { return decode(text, kFromBase64Url); }

std::string hex_encode(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::optional<std::string> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

bool equals_constant_time(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  // Keeps the compiler from leaving the loop early.
  asm volatile("" : "+r"(difference));
  return difference == 0;
}

void random_bytes(void* buffer, std::size_t size) {
  auto* p = static_cast<char*>(buffer);
  while (size > 0) {
    const auto got = getrandom(p, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw Internal("getrandom failed: the kernel gave no random bytes");
    }
    p += got;
    size -= static_cast<std::size_t>(got);
  }
}

std::string random_bytes(std::size_t size) {
  std::string out(size, '\0');
  random_bytes(out.data(), size);
  return out;
}

}  // namespace ashlar
