// CachedRoute: ResponseCache around one route.
#pragma once

#include <memory>

#include <ashlar/app/detail/answer_cache.hpp>
#include <ashlar/app/detail/around.hpp>
#include <ashlar/app/response_cache.hpp>

namespace ashlar::detail {

struct CacheRules {
  std::shared_ptr<AnswerCache> cache;
  Scope scope;
  CacheOptions options;
};

/// Throws Invalid for a route that is no GET, or that reads something of which the rule does not know.
[[nodiscard]] std::shared_ptr<const Around> make_cached(Route& route, const CachedAnswers& answers);

}  // namespace ashlar::detail
