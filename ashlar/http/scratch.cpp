#include <ashlar/http/scratch.hpp>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace ashlar::http {

void* Scratch::allocate_slowly(std::size_t size, std::size_t align) {
  const std::size_t room = std::max(least_, size + align);
  auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + room));
  if (block == nullptr) throw std::bad_alloc();
  *block = {blocks_, room};
  blocks_ = block;
  next_ = reinterpret_cast<char*>(block + 1);
  end_ = next_ + room;
  return allocate(size, align);
}

void Scratch::release() noexcept {
  while (blocks_ != nullptr) std::free(std::exchange(blocks_, blocks_->before));
  next_ = end_ = nullptr;
}

}  // namespace ashlar::http
