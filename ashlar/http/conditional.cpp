#include <ashlar/http/conditional.hpp>

#include <ashlar/http/date.hpp>
#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http {
namespace {

// The tag at the front of the list, taken off it with the comma behind; empty: there is none, or it is malformed. Tags
// may hold commas (RFC 9110 §8.8.3).
std::string_view next_tag(std::string_view& list) noexcept {
  while (!list.empty() && (list.front() == ' ' || list.front() == '\t' || list.front() == ',')) list.remove_prefix(1);
  const std::size_t weak = list.starts_with("W/") ? 2 : 0;
  if (list.size() <= weak || list[weak] != '"') return {};
  const std::size_t quote = list.find('"', weak + 1);
  if (quote == std::string_view::npos) return {};
  const std::string_view tag = list.substr(0, quote + 1);
  list = detail::trim(list.substr(quote + 1));
  if (!list.empty() && list.front() != ',') return {};
  return tag;
}

bool any_tag(const Request& request, KnownHeader known, std::string_view etag, bool exists,
             bool (*same)(std::string_view, std::string_view) noexcept) noexcept {
  for (const Header& header : request.headers()) {  // the list may stand in several lines
    if (find_known_header(header.name) != known) continue;
    if (detail::trim(header.value) == "*") {
      if (exists) return true;
      continue;
    }
    std::string_view list = header.value;
    for (std::string_view tag = next_tag(list); !tag.empty(); tag = next_tag(list)) {
      if (exists && same(tag, etag)) return true;
    }
  }
  return false;
}

std::optional<std::time_t> date_of(const Request& request, KnownHeader known) noexcept {
  const auto value = request.header(known);
  return value ? parse_http_date(*value) : std::nullopt;
}

std::string_view opaque(std::string_view tag) noexcept { return tag.substr(tag.starts_with("W/") ? 2 : 0); }

}  // namespace

bool same_strongly(std::string_view a, std::string_view b) noexcept {
  return !a.empty() && a == b && !a.starts_with("W/");
}

bool same_weakly(std::string_view a, std::string_view b) noexcept {
  return !a.empty() && !b.empty() && opaque(a) == opaque(b);
}

Condition check_conditions(const Request& request, const Validators& current, bool exists) noexcept {
  const bool reads = request.method == Method::get || request.method == Method::head;
  if (request.has(KnownHeader::if_match)) {
    if (!any_tag(request, KnownHeader::if_match, current.etag, exists, &same_strongly)) return Condition::failed;
  } else if (const auto date = date_of(request, KnownHeader::if_unmodified_since); date && current.last_modified) {
    if (*current.last_modified > *date) return Condition::failed;
  }
  if (request.has(KnownHeader::if_none_match)) {
    if (any_tag(request, KnownHeader::if_none_match, current.etag, exists, &same_weakly)) {
      return reads ? Condition::not_modified : Condition::failed;
    }
  } else if (const auto date = date_of(request, KnownHeader::if_modified_since);
             reads && date && current.last_modified) {
    if (*current.last_modified <= *date) return Condition::not_modified;
  }
  return Condition::proceed;
}

bool range_is_wanted(const Request& request, const Validators& current) noexcept {
  const auto condition = request.header(KnownHeader::if_range);
  if (!condition) return true;
  if (condition->starts_with('"') || condition->starts_with("W/")) return same_strongly(*condition, current.etag);
  const auto date = parse_http_date(*condition);
  return date && current.last_modified && *date == *current.last_modified;
}

}  // namespace ashlar::http
