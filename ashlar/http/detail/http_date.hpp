// Dates as servers have written them over the decades.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace ashlar::http::detail {

/// The algorithm of RFC 6265 §5.1.1, which takes the three formats of RFC 9110 §5.6.7 and what resembles them. What is
/// too far away for the clock becomes its first or last moment.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> parse_lenient_date(std::string_view text) noexcept;

}  // namespace ashlar::http::detail
