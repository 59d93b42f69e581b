// Who counts queries: a flag that every query looks at, and what is behind it.
#pragma once

#include <atomic>
#include <cstddef>

#include <ashlar/async/context.hpp>

namespace ashlar::pg {
class Statement;
}

namespace ashlar::pg::detail {

/// How many want to be told of every query; mostly none.
inline constinit std::atomic<unsigned> query_watchers{0};

/// A query is about to be sent. The context is its request's; null outside of any.
void note_query(const Statement& statement, const async::Context* context) noexcept;

/// Writes a warning when one request runs a query `limit` times. Of the whole process; the lowest limit counts.
class RepeatWarnings {
 public:
  explicit RepeatWarnings(std::size_t limit) noexcept;
  ~RepeatWarnings();
  RepeatWarnings(const RepeatWarnings&) = delete;
  RepeatWarnings& operator=(const RepeatWarnings&) = delete;

 private:
  std::size_t limit_;
};

}  // namespace ashlar::pg::detail
