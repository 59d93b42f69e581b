// Encoded copies of bodies that answers share, made once.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <ashlar/http/content_coding.hpp>

namespace ashlar::detail {

/// Bounded by bytes; the least recently used goes. A copy is valid as long as the content's owner is the one it was
/// made from: a file that has changed has another. Thread-safe.
class EncodedCopies {
 public:
  struct Key {
    const void* content;  ///< where the bytes are, or the open file
    std::uint64_t offset;
    std::uint64_t length;
    http::ContentCoding coding;
    auto operator<=>(const Key&) const = default;
  };

  /// Bytes that a copy needs beside its own: most are small, and there are many of them.
  static constexpr std::size_t kOverhead = 256;

  explicit EncodedCopies(std::size_t capacity) : capacity_(capacity) {}

  /// Null: there is none.
  [[nodiscard]] std::shared_ptr<const std::string> find(const Key& key);
  /// `owner` null: the content is in static storage.
  void keep(const Key& key, const std::shared_ptr<const void>& owner, std::string encoded);
  /// Bytes now, kOverhead for each copy with them.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Copy {
    Key key;
    std::shared_ptr<const std::string> encoded;
    std::weak_ptr<const void> owner;
    bool owned;
  };
  using Copies = std::list<Copy>;
  void drop(Copies::iterator copy);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  Copies copies_;  // the one used last at the front
  std::map<Key, Copies::iterator> by_key_;
  std::size_t size_ = 0;
};

}  // namespace ashlar::detail
