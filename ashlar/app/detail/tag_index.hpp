// TagIndex: what has a tag, and how to take it out again without a look at what else has it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace ashlar::detail {

template <class Value>
class TagIndex {
  using Map = std::multimap<std::string, Value, std::less<>>;

 public:
  /// Valid until it is removed.
  using Place = typename Map::iterator;

  Place add(const std::string& tag, Value value) { return by_tag_.emplace(tag, std::move(value)); }
  void remove(Place place) noexcept { by_tag_.erase(place); }
  /// One of those that have the tag; null: nothing has it.
  [[nodiscard]] const Value* find(std::string_view tag) const {
    const auto found = by_tag_.find(tag);
    return found == by_tag_.end() ? nullptr : &found->second;
  }

 private:
  Map by_tag_;
};

}  // namespace ashlar::detail
