#include <ashlar/app/detail/fuzz_stock.hpp>

#include <algorithm>
#include <utility>

namespace ashlar::detail {
namespace {

constexpr std::size_t kMost = 8;  // of one operation

// Is the same thing among what an entry was made of?
bool is_made_of(const FuzzMade& one, const FuzzAnswers& other) {
  return std::ranges::any_of(one.answers, [&](const auto& answer) { return answer == other.back(); });
}

}  // namespace

FuzzStock::Entry FuzzStock::add(std::size_t operation, Entry entry) {
  if (entries_.size() <= operation) entries_.resize(operation + 1);
  entries_[operation].push_back(std::move(entry));
  if (entries_[operation].size() <= kMost) return nullptr;
  Entry oldest = entries_[operation].front();
  drop(oldest);
  return oldest;
}

FuzzStock::Entry FuzzStock::any(std::size_t operation, schema::Random& random) const {
  if (entries_.size() <= operation || entries_[operation].empty()) return nullptr;
  return random.pick(entries_[operation]);
}

FuzzStock::Entry FuzzStock::take(std::size_t operation, schema::Random& random) {
  Entry entry = any(operation, random);
  if (entry != nullptr) drop(entry);
  return entry;
}

void FuzzStock::drop(const Entry& entry) {
  for (auto& all : entries_)
    std::erase_if(all, [&](const Entry& one) { return one == entry || is_made_of(*one, entry->answers); });
}

}  // namespace ashlar::detail
