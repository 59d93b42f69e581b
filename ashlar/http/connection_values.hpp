// ConnectionValues: what those who answer requests keep as long as the connection lives.
#pragma once

#include <utility>

namespace ashlar::http {

/// A few values, each found by its key. Belongs to the loop of the connection; they go with it, the newest first, when
/// no exchange of it is out any more.
class ConnectionValues {
 public:
  struct Value {
    const void* key = nullptr;  ///< the address of something of whoever keeps it
    Value* next = nullptr;
    void (*destroy)(Value*) noexcept = nullptr;
  };

  ConnectionValues() noexcept = default;
  ConnectionValues(ConnectionValues&& other) noexcept : newest_(std::exchange(other.newest_, nullptr)) {}
  ConnectionValues& operator=(ConnectionValues&& other) noexcept {
    std::swap(newest_, other.newest_);
    return *this;
  }
  ~ConnectionValues() { clear(); }

  /// Null: there is none.
  [[nodiscard]] Value* find(const void* key) const noexcept {
    Value* one = newest_;
    while (one != nullptr && one->key != key) one = one->next;
    return one;
  }
  /// Takes it over.
  void keep(Value& value) noexcept {
    value.next = newest_;
    newest_ = &value;
  }
  void clear() noexcept {
    while (newest_ != nullptr) {
      Value* const one = std::exchange(newest_, newest_->next);
      one->destroy(one);
    }
  }

 private:
  Value* newest_ = nullptr;
};

}  // namespace ashlar::http
