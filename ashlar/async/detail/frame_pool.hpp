// Memory for coroutine frames: per-thread free lists by size class, so that a request allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ashlar::async {

/// Counts of this thread's frame pool since it started.
struct FrameStats {
  std::uint64_t allocated = 0;  ///< frames handed out
  std::uint64_t fresh = 0;      ///< of those, how many came from the heap
  std::uint64_t live = 0;       ///< handed out and not yet given back on this thread (wraps when frames migrate)
};

/// This thread's counts; the difference of two calls is what the work between them cost.
FrameStats frame_stats() noexcept;

namespace detail {
void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;
}  // namespace detail

}  // namespace ashlar::async
