#include <ashlar/http/known_header.hpp>

#include <array>
#include <cstring>

namespace ashlar::http {
namespace {

constexpr std::array<std::string_view, kKnownHeaderCount> kNames = {
    "",
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "authorization",
    "accept",
    "accept-encoding",
    "accept-language",
    "cookie",
    "expect",
    "origin",
    "referer",
    "user-agent",
    "upgrade",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "range",
    "cache-control",
    "te",
    "trailer",
    "date",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "idempotency-key",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "access-control-request-method",
    "access-control-request-headers",
    "last-event-id",
    "x-csrf-token",
    "x-api-key",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "x-requested-with",
    "prefer",
    "keep-alive",
    "proxy-connection",
    "via",
    "pragma",
    "x-request-timeout-ms",
};

// A perfect hash over length, first, last and three-quarter character. The factors were found by trying; build_table
// does not compile when two names meet in one slot, then find new ones.
constexpr std::size_t kSlots = 128;

constexpr std::size_t slot(std::string_view name) {
  const auto lower = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(name[i]) | 0x20U);
  };
  return (name.size() * 55 + lower(0) * 2 + lower(name.size() - 1) * 55 + lower(name.size() * 3 / 4) * 26) &
         (kSlots - 1);
}

consteval std::array<std::uint8_t, kSlots> build_table() {
  std::array<std::uint8_t, kSlots> table{};
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    const std::size_t at = slot(kNames[i]);
    if (table[at] != 0) throw "two known headers share a slot";
    table[at] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr std::array<std::uint8_t, kSlots> kTable = build_table();

template <class Word>
Word load_lower(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word | static_cast<Word>(0x2020202020202020U);
}

// Only for token characters on the left: among them |0x20 maps nothing but upper-case letters onto a name's characters.
bool token_equals_lower(const char* token, const char* lower, std::size_t size) {
  if (size >= 8) {
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
      if (load_lower<std::uint64_t>(token + i) != load_lower<std::uint64_t>(lower + i)) return false;
    }
    return load_lower<std::uint64_t>(token + size - 8) == load_lower<std::uint64_t>(lower + size - 8);
  }
  if (size >= 4) {
    return load_lower<std::uint32_t>(token) == load_lower<std::uint32_t>(lower) &&
           load_lower<std::uint32_t>(token + size - 4) == load_lower<std::uint32_t>(lower + size - 4);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if ((token[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

}  // namespace

KnownHeader find_known_header(std::string_view name) noexcept {
  if (name.empty()) return KnownHeader::other;
  const std::uint8_t candidate = kTable[slot(name)];
  const std::string_view known = kNames[candidate];
  if (known.size() != name.size() || !token_equals_lower(name.data(), known.data(), name.size())) {
    return KnownHeader::other;
  }
  return static_cast<KnownHeader>(candidate);
}

std::string_view to_string(KnownHeader header) noexcept { return kNames[static_cast<std::size_t>(header)]; }

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace ashlar::http
