#include <ashlar/app/detail/host_names.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

bool is_name(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_alpha_ascii(c) || is_digit_ascii(c) || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

std::string_view host_of(std::string_view authority) noexcept {
  const std::size_t end = authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':');
  const std::string_view host = authority.substr(0, end);
  const std::string_view port = authority.substr(host.size());
  if (!port.empty() && (port.front() != ':' || !std::ranges::all_of(port.substr(1), &is_digit_ascii))) return {};
  if (!host.starts_with('[')) return is_name(host) ? host : std::string_view();
  const auto of_address = [](char c) {
    return is_digit_ascii(c) || (to_lower_ascii(c) >= 'a' && to_lower_ascii(c) <= 'f') || c == ':' || c == '.';
  };
  return host.size() > 2 && std::ranges::all_of(host.substr(1, host.size() - 2), of_address) ? host
                                                                                             : std::string_view();
}

HostNames::HostNames(const std::vector<std::string>& names, std::string_view what) {
  for (const std::string& one : names) {
    if (one.empty() || (host_of(one) != one && !(one.starts_with("*.") && is_name(std::string_view(one).substr(2))))) {
      throw Invalid(
          fmt::format("{}: '{}' is no host: write names without ports, *.example.com for all names below one, [::1] "
                      "for an IPv6 address",
                      what, one));
    }
    names_.push_back(to_lower_ascii(one));
  }
}

bool HostNames::contains(std::string_view host) const noexcept {
  if (host.ends_with('.')) host.remove_suffix(1);  // the same name, written in full
  return std::ranges::any_of(names_, [host](const std::string& one) {
    if (!one.starts_with("*.")) return equals_ignore_case(one, host);
    const std::string_view below = std::string_view(one).substr(1);
    return host.size() > below.size() && equals_ignore_case(host.substr(host.size() - below.size()), below);
  });
}

}  // namespace ashlar::detail
