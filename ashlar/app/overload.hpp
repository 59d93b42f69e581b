// Who is served when there is more to do than can be done in time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ashlar {

/// `normal` is shed when the service cannot keep up, `sheddable` (prefetches, reports, crawlers) before it. `critical`
/// is always served: health probes and metrics are, by themselves.
enum class Priority : std::uint8_t { critical, normal, sheddable };

[[nodiscard]] constexpr std::string_view to_string(Priority priority) noexcept {
  constexpr std::string_view names[] = {"critical", "normal", "sheddable"};
  return names[static_cast<std::size_t>(priority)];
}

}  // namespace ashlar
