// Idempotency: a request that is sent again, with the same Idempotency-Key, is answered as the first time and not done
// again.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include <ashlar/app/scope.hpp>
#include <ashlar/async/idempotency_store.hpp>

namespace ashlar {

namespace detail {
struct IdempotencyRules;
}

struct IdempotencyOptions {
  std::chrono::seconds keep = std::chrono::hours{24};  ///< how long a key is remembered; at least as long as the lease
  bool required = false;                               ///< a request without a key: 400
  /// What a handler that failed (5xx, an exception that is no answer) has answered is given again, too, also when its
  /// client had left (503) or its time was over (504). Off: the key is free again, as what rolls back has done nothing.
  /// On: for handlers whose effects outlive their failure.
  bool repeat_failures = false;
  std::size_t max_answer = 1024 * 1024;  ///< bytes of an answer; of a larger one only that it was done is kept
  /// When a process dies in the middle, its keys are free again after so long, or after the request's deadline if that
  /// is later. Longer than any handler runs.
  std::chrono::milliseconds lease = std::chrono::minutes{1};
  /// In metrics, and apart from other names: the same key under two names is two keys.
  std::string name = "default";
};

/// draft-ietf-httpapi-idempotency-key-header-07, for POST, PUT, PATCH and DELETE: `{.idempotency = keys}` in the
/// options of routes. The first request with a key runs, and what it answers (below 500) is kept: status, headers and
/// body. The same request with the same key gets it again, with `Idempotency-Replayed: true`. While the first one runs:
/// 409. The key with another method, target or body: 422. A key is 1–255 visible ASCII characters, as a string in
/// quotes (the draft) or without (as most clients send it); another one: 400.
///
/// `of` says whose keys they are: nobody is given what another was answered. The answer of 401, 408, 425 and 429 frees
/// the key: the request has not been done.
class Idempotency {
 public:
  static constexpr bool kOfRoutes = true;

  /// Kept in the memory of this process: its keys are gone with it, and other processes do not know them.
  explicit Idempotency(Scope of, IdempotencyOptions options = {});
  /// Kept in a store of all processes, such as pg::IdempotencyKeys. It must outlive the application.
  Idempotency(Scope of, async::IdempotencyStore& store, IdempotencyOptions options = {});

  /// For the application that uses it.
  [[nodiscard]] const detail::IdempotencyRules& rules() const noexcept { return *rules_; }

 private:
  std::shared_ptr<const detail::IdempotencyRules> rules_;
};

}  // namespace ashlar
