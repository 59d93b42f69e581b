// W3C Trace Context: how a trace crosses from one service to the next. https://www.w3.org/TR/trace-context/
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include <ashlar/async/context.hpp>

namespace ashlar::trace {

using async::TraceContext;

inline constexpr std::uint8_t kSampled = 0x01;

// A new trace with its first span. Ids are random and unique, not secret.
[[nodiscard]] TraceContext start(bool sampled = true) noexcept;
// A new span of the same trace; a new trace when there is none.
[[nodiscard]] TraceContext child_of(const TraceContext& parent) noexcept;

// The `traceparent` header: "00-" trace id "-" span id "-" flags. Nothing when it is not valid (§3.2.2: the receiver
// then starts a new trace); of later versions the known part is read.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view header) noexcept;

// Text without allocation; converts to a view of itself.
template <std::size_t N>
struct FixedText {
  std::array<char, N> data;
  operator std::string_view() const noexcept { return {data.data(), N}; }
};
[[nodiscard]] FixedText<55> to_traceparent(const TraceContext& context) noexcept;
// 32 and 16 lower-case hexadecimal digits.
[[nodiscard]] FixedText<32> trace_id(const TraceContext& context) noexcept;
[[nodiscard]] FixedText<16> span_id(const TraceContext& context) noexcept;

}  // namespace ashlar::trace
