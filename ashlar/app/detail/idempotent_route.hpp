// IdempotentRoute: Idempotency around one route.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/app/detail/around.hpp>
#include <ashlar/app/idempotency.hpp>
#include <ashlar/async/idempotency_store.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

struct IdempotencyRules {
  Scope scope;
  IdempotencyOptions options;
  std::unique_ptr<async::IdempotencyStore> own;  // null: `store` is the program's
  async::IdempotencyStore* store = nullptr;
  mutable metrics::Counter first, replayed, running, other_request, freed, lost;
};

/// The key in a field value: an item that is a string (RFC 9651 §3.3.3), or as it is. Nullopt: it is none.
[[nodiscard]] std::optional<std::string> parse_idempotency_key(std::string_view field);

/// Throws Invalid for a route that has no body of its own, or reads it while it arrives.
[[nodiscard]] std::shared_ptr<const Around> make_idempotent(Route& route, const Idempotency& idempotency);

}  // namespace ashlar::detail
