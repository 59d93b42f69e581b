// Position: a place in the write-ahead log of a PostgreSQL cluster, as a short text that clients carry.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace ashlar::pg {

/// What was committed before a position was asked for can be read on every server that has come that far. Positions
/// are compared by timeline first: a failover begins a new one, which goes on where the old one was left.
/// (https://www.postgresql.org/docs/current/wal-internals.html)
struct Position {
  std::uint32_t timeline = 0;
  std::uint64_t lsn = 0;  ///< bytes of the log

  /// No position: whatever a server has will do.
  [[nodiscard]] bool empty() const noexcept { return lsn == 0; }
  /// "1-16b3748", both in hexadecimal; "" when empty. Fit for a header or a cookie; it says how much the cluster has
  /// written, and nothing else.
  [[nodiscard]] std::string to_string() const;
  /// The reverse. Throws Invalid for a text that is none.
  [[nodiscard]] static Position parse(std::string_view text);

  friend auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace ashlar::pg
