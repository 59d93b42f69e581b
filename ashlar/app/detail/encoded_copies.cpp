#include <ashlar/app/detail/encoded_copies.hpp>

#include <iterator>
#include <utility>

namespace ashlar::detail {

std::shared_ptr<const std::string> EncodedCopies::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto copy = found->second;
  if (copy->owned && copy->owner.expired()) {  // others' bytes may be there by now
    drop(copy);
    return nullptr;
  }
  copies_.splice(copies_.begin(), copies_, copy);
  return copy->encoded;
}

void EncodedCopies::keep(const Key& key, const std::shared_ptr<const void>& owner, std::string encoded) {
  if (encoded.size() > capacity_ / 4) return;  // one must not drive out all others
  encoded.shrink_to_fit();
  auto shared = std::make_shared<const std::string>(std::move(encoded));
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
  size_ += shared->size() + kOverhead;
  copies_.push_front({key, std::move(shared), owner, owner != nullptr});
  by_key_.emplace(key, copies_.begin());
  while (size_ > capacity_) drop(std::prev(copies_.end()));
}

void EncodedCopies::drop(Copies::iterator copy) {
  size_ -= copy->encoded->size() + kOverhead;
  by_key_.erase(copy->key);
  copies_.erase(copy);
}

std::size_t EncodedCopies::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

}  // namespace ashlar::detail
