#include <ashlar/telemetry/trace.hpp>

#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>

namespace ashlar::trace {
namespace {

// xoshiro256++ (https://prng.di.unimi.it): fast; ids must not collide, they need not be unpredictable.
class Random {
 public:
  Random() noexcept {
    std::size_t have = 0;
    auto* bytes = reinterpret_cast<unsigned char*>(state_.data());
    while (have < sizeof state_) {
      ssize_t n = ::getrandom(bytes + have, sizeof state_ - have, 0);
      if (n < 0) break;
      have += static_cast<std::size_t>(n);
    }
    if (have < sizeof state_) {  // a kernel without getrandom(2): distinct by time, process and thread
      state_[0] ^= static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
      state_[1] ^= static_cast<std::uint64_t>(::getpid());
      state_[2] ^= reinterpret_cast<std::uintptr_t>(this);
    }
    state_[3] |= 1;  // all zero is the one state without a successor
  }
  std::uint64_t next() noexcept {
    std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

template <std::size_t N>
void fill(std::array<std::uint8_t, N>& id) noexcept {
  static_assert(N % 8 == 0);
  thread_local Random random;
  do {
    for (std::size_t i = 0; i < N; i += 8) {
      std::uint64_t bits = random.next();
      std::memcpy(id.data() + i, &bits, 8);
    }
  } while (id == std::array<std::uint8_t, N>{});  // all zero is not an id
}

template <std::size_t N>
char* put_hex(const std::array<std::uint8_t, N>& bytes, char* out) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  for (std::uint8_t byte : bytes) {
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 15];
  }
  return out;
}

// Lower case only: §3.2.2 refuses upper case.
int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

template <std::size_t N>
bool get_hex(std::string_view text, std::array<std::uint8_t, N>& out) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    int high = digit(text[2 * i]);
    int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace

TraceContext start(bool sampled) noexcept {
  TraceContext context;
  fill(context.trace_id);
  fill(context.span_id);
  context.flags = sampled ? kSampled : 0;
  return context;
}

TraceContext child_of(const TraceContext& parent) noexcept {
  if (!parent.valid()) return start();
  TraceContext context = parent;
  fill(context.span_id);
  return context;
}

std::optional<TraceContext> parse_traceparent(std::string_view header) noexcept {
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  std::array<std::uint8_t, 1> version;
  std::array<std::uint8_t, 1> flags;
  TraceContext context;
  if (!get_hex(header, version) || version[0] == 0xff) return std::nullopt;
  if (version[0] == 0 && header.size() != 55) return std::nullopt;
  if (header.size() > 55 && header[55] != '-') return std::nullopt;
  if (!get_hex(header.substr(3), context.trace_id) || !get_hex(header.substr(36), context.span_id)) return std::nullopt;
  if (!get_hex(header.substr(53), flags)) return std::nullopt;
  if (!context.valid() || context.span_id == decltype(context.span_id){}) return std::nullopt;
  context.flags = flags[0] & kSampled;  // others are not defined and must not be passed on as set
  return context;
}

FixedText<55> to_traceparent(const TraceContext& context) noexcept {
  FixedText<55> text;
  char* out = put_hex(std::array<std::uint8_t, 1>{0}, text.data.data());
  *out++ = '-';
  out = put_hex(context.trace_id, out);
  *out++ = '-';
  out = put_hex(context.span_id, out);
  *out++ = '-';
  put_hex(std::array<std::uint8_t, 1>{context.flags}, out);
  return text;
}

FixedText<32> trace_id(const TraceContext& context) noexcept {
  FixedText<32> text;
  put_hex(context.trace_id, text.data.data());
  return text;
}

FixedText<16> span_id(const TraceContext& context) noexcept {
  FixedText<16> text;
  put_hex(context.span_id, text.data.data());
  return text;
}

}  // namespace ashlar::trace
