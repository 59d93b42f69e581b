#include <ashlar/async/detail/frame_pool.hpp>

#include <array>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ASHLAR_FRAMES_FROM_HEAP 1  // a recycled frame would hide a use after free
#endif
#endif

namespace ashlar::async {
namespace {

constexpr std::size_t kGranule = 64;
constexpr std::size_t kClasses = 64;  // frames up to 4 KiB are pooled
constexpr std::uint32_t kKeep = 256;  // per class and thread

struct FreeFrame {
  FreeFrame* next;
};

struct Pool {
  std::array<FreeFrame*, kClasses> heads{};
  std::array<std::uint32_t, kClasses> counts{};
  FrameStats stats{};
};

constinit thread_local Pool pool;

// Gives the lists back to the heap when the thread ends. Touched on the slow path only: a thread_local with a
// destructor costs a guard at each access.
struct Cleaner {
  bool armed = false;
  ~Cleaner() {
    for (auto& head : pool.heads) {
      while (head != nullptr) {
        auto* next = head->next;
        ::operator delete(head);
        head = next;
      }
    }
    pool.counts.fill(kKeep);  // frames freed after this point go to the heap
  }
};
thread_local Cleaner cleaner;

}  // namespace

FrameStats frame_stats() noexcept { return pool.stats; }

namespace detail {

void* allocate_frame(std::size_t size) {
  const std::size_t index = (size + kGranule - 1) / kGranule - 1;
  ++pool.stats.allocated;
  ++pool.stats.live;
#ifndef ASHLAR_FRAMES_FROM_HEAP
  if (index < kClasses) [[likely]] {
    if (FreeFrame* frame = pool.heads[index]; frame != nullptr) [[likely]] {
      pool.heads[index] = frame->next;
      --pool.counts[index];
      return frame;
    }
    cleaner.armed = true;
    ++pool.stats.fresh;
    return ::operator new((index + 1) * kGranule);
  }
#endif
  (void)index;
  ++pool.stats.fresh;
  return ::operator new(size);
}

void free_frame(void* frame, std::size_t size) noexcept {
  --pool.stats.live;
#ifndef ASHLAR_FRAMES_FROM_HEAP
  const std::size_t index = (size + kGranule - 1) / kGranule - 1;
  if (index < kClasses && pool.counts[index] < kKeep) [[likely]] {
    auto* node = static_cast<FreeFrame*>(frame);
    node->next = pool.heads[index];
    pool.heads[index] = node;
    ++pool.counts[index];
    return;
  }
#endif
  (void)size;
  ::operator delete(frame);
}

}  // namespace detail
}  // namespace ashlar::async
