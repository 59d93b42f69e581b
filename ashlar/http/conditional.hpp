// Conditional requests (RFC 9110 §13), for any representation that has a tag or a date.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

#include <ashlar/http/request.hpp>

namespace ashlar::http {

/// What a representation is known by.
struct Validators {
  std::string_view etag = {};  ///< with its quotes: `"abc"`, or `W/"abc"`; empty: none
  std::optional<std::time_t> last_modified = {};
};

/// Two tags are of the same bytes (RFC 9110 §8.8.3.2): weak ones never are.
[[nodiscard]] bool same_strongly(std::string_view a, std::string_view b) noexcept;
/// Two tags are of the same meaning.
[[nodiscard]] bool same_weakly(std::string_view a, std::string_view b) noexcept;

enum class Condition : std::uint8_t {
  proceed,       ///< do what was asked
  not_modified,  ///< 304, with the validators
  failed,        ///< 412
};

/// Decides in the order of RFC 9110 §13.2.2: If-Match, else If-Unmodified-Since; then If-None-Match, else
/// If-Modified-Since (GET and HEAD). `exists` false: there is no representation yet, as before a PUT that makes one.
/// A date that cannot be read is as if it were not there.
[[nodiscard]] Condition check_conditions(const Request& request, const Validators& current,
                                         bool exists = true) noexcept;

/// If-Range (RFC 9110 §13.1.5): whether the ranges that are asked for may be sent. True without that header. A weak
/// tag, and a date that is not exactly the same, do not match.
[[nodiscard]] bool range_is_wanted(const Request& request, const Validators& current) noexcept;

}  // namespace ashlar::http
