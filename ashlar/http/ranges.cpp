#include <ashlar/http/ranges.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

// Digits only; one that is larger than any file is the largest.
std::optional<std::uint64_t> position(std::string_view text) noexcept {
  if (text.empty() || !detail::all(text, detail::kDigit)) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc::result_out_of_range ? std::numeric_limits<std::uint64_t>::max() : value;
}

std::size_t overlaps(const std::vector<ByteRange>& ranges) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    for (std::size_t j = i + 1; j < ranges.size(); ++j) {
      const ByteRange& a = ranges[i];
      const ByteRange& b = ranges[j];
      if (a.first < b.first + b.length && b.first < a.first + a.length) ++count;
    }
  }
  return count;
}

}  // namespace

RangeChoice choose_ranges(std::string_view header, std::uint64_t size) {
  header = detail::trim(header);
  const std::size_t equals = header.find('=');
  if (equals == std::string_view::npos || !equal_ignoring_case(header.substr(0, equals), "bytes")) return {};
  RangeChoice choice;
  std::size_t asked = 0;
  bool malformed = false;
  detail::for_each_element(header.substr(equals + 1), [&](std::string_view element) {
    const std::size_t dash = element.find('-');
    if (malformed || dash == std::string_view::npos || ++asked > kMostRanges) {
      malformed = true;
      return;
    }
    const std::string_view first_text = element.substr(0, dash);
    const std::string_view last_text = element.substr(dash + 1);
    if (first_text.empty()) {  // the last so many
      const auto suffix = position(last_text);
      if (!suffix) return static_cast<void>(malformed = true);
      const std::uint64_t length = std::min(*suffix, size);
      if (length != 0) choice.ranges.push_back({size - length, length});
      return;
    }
    const auto first = position(first_text);
    const auto last = last_text.empty() ? std::numeric_limits<std::uint64_t>::max() : position(last_text);
    if (!first || !last || *last < *first) return static_cast<void>(malformed = true);
    if (*first < size) choice.ranges.push_back({*first, std::min(*last, size - 1) - *first + 1});
  });
  if (malformed || asked == 0 || overlaps(choice.ranges) > kMostOverlaps) return {};
  choice.kind = choice.ranges.empty() ? RangeChoice::Kind::unsatisfiable : RangeChoice::Kind::parts;
  return choice;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return fmt::format("bytes {}-{}/{}", range.first, range.first + range.length - 1, size);
}

}  // namespace ashlar::http
