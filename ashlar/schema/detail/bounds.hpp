// ge, gt, le, lt and multiple_of of whatever can be compared.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <ashlar/schema/detail/scalar.hpp>

namespace ashlar::schema::detail {

/// `unit` stands behind the number in the message: " second", and "s" for more than one.
Failure bound_failure(std::string_view type, std::string_view words, std::string_view key, const Bound& bound,
                      std::string_view unit = {});

/// compare(bound) is <0, 0 or >0; is_multiple(step) is true or false.
template <class Compare, class Multiple>
std::optional<Failure> check_bounds(const Rules& r, Compare compare, Multiple is_multiple, std::string_view unit = {}) {
  if (r.multiple_of && !is_multiple(r.multiple_of)) {
    return bound_failure("multiple_of", "a multiple of", "multiple_of", r.multiple_of, unit);
  }
  if (r.le && compare(r.le) > 0) return bound_failure("less_than_equal", "less than or equal to", "le", r.le, unit);
  if (r.lt && compare(r.lt) >= 0) return bound_failure("less_than", "less than", "lt", r.lt, unit);
  if (r.ge && compare(r.ge) < 0) {
    return bound_failure("greater_than_equal", "greater than or equal to", "ge", r.ge, unit);
  }
  if (r.gt && compare(r.gt) <= 0) return bound_failure("greater_than", "greater than", "gt", r.gt, unit);
  return std::nullopt;
}

}  // namespace ashlar::schema::detail
