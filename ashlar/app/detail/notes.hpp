// Notes on an exchange: what middleware and parameters keep for one request.
#pragma once

#include <new>
#include <string_view>
#include <type_traits>

#include <ashlar/http/exchange.hpp>

namespace ashlar {
struct CsrfOptions;
}

namespace ashlar::detail {

/// Null: there is none with this key.
template <class T>
[[nodiscard]] T* find_note(const http::Exchange& exchange, const void* key) noexcept {
  for (auto* note = exchange.notes; note != nullptr; note = note->next) {
    if (note->key == key) return static_cast<T*>(note);
  }
  return nullptr;
}

template <class T>
T& add_note(http::Exchange& exchange, const void* key) {
  static_assert(std::is_trivially_destructible_v<T>, "scratch memory runs no destructors");
  T* const note = new (exchange.scratch.allocate(sizeof(T), alignof(T))) T;
  note->key = key;
  note->next = exchange.notes;
  exchange.notes = note;
  return *note;
}

inline constexpr char kCsrfNote = 0;
inline constexpr char kNonceNote = 0;
inline constexpr char kPersonalNote = 0;  // of a plain note: the answer is for who sent the request

struct CsrfNote final : http::Exchange::Note {
  const CsrfOptions* options = nullptr;
  std::string_view token;  // of the cookie, when it is good for this session; or a new one
  bool is_new = false;
  bool is_taken = false;  // it is in the answer
};

/// Something that is other in each answer is in this one: it is for nobody else.
[[nodiscard]] inline bool is_for_one_request(const http::Exchange& exchange) noexcept {
  const auto* const csrf = find_note<CsrfNote>(exchange, &kCsrfNote);
  return (csrf != nullptr && csrf->is_taken) || find_note<http::Exchange::Note>(exchange, &kNonceNote) != nullptr ||
         find_note<http::Exchange::Note>(exchange, &kPersonalNote) != nullptr;
}

}  // namespace ashlar::detail
