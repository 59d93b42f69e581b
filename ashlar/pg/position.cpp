#include <ashlar/pg/position.hpp>

#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include <ashlar/base/error.hpp>

namespace ashlar::pg {

std::string Position::to_string() const { return empty() ? std::string{} : fmt::format("{:x}-{:x}", timeline, lsn); }

Position Position::parse(std::string_view text) {
  Position out;
  if (text.empty()) return out;
  const std::size_t dash = text.find('-');
  const auto number = [](std::string_view digits, auto& to) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to, 16);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  if (dash == std::string_view::npos || !number(text.substr(0, dash), out.timeline) ||
      !number(text.substr(dash + 1), out.lsn) || out.timeline == 0 || out.lsn == 0)
    throw Invalid("this is not a position of the database: it looks like 1-16b3748");
  return out;
}

}  // namespace ashlar::pg
