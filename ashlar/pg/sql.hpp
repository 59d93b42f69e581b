// sql<parts…>: one statement from several constants, put together by the compiler. What several queries select is
// written once:
//
//   inline constexpr FixedString kAuthor{" u.username, u.image "};
//   inline const pg::Query<Author(std::string)> author{pg::sql<"select", kAuthor, "from users u where u.username =
//   $1">};
//
// Every part is a constant, so there is still nothing to inject.
#pragma once

#include <cstddef>
#include <string_view>

#include <ashlar/schema/fixed_string.hpp>

namespace ashlar::pg {

namespace detail {

template <FixedString... Parts>
struct JoinedSql {
  char text[(Parts.size() + ... + 1)]{};

  consteval JoinedSql() {
    std::size_t at = 0;
    (append(Parts.view(), at), ...);
  }

 private:
  consteval void append(std::string_view part, std::size_t& at) {
    for (const char c : part) text[at++] = c;
  }
};
template <FixedString... Parts>
inline constexpr JoinedSql<Parts...> kJoinedSql{};

}  // namespace detail

/// A string literal, for all that the language can tell. Parts bring their own spaces.
template <FixedString... Parts>
inline constexpr auto& sql = detail::kJoinedSql<Parts...>.text;

}  // namespace ashlar::pg
