#include <ashlar/app/response_parts.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <ashlar/app/openapi.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar {
namespace {

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) noexcept {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return is_alpha_ascii(c) || is_digit_ascii(c) || kOthers.find(c) != std::string_view::npos;
  });
}

// RFC 6265, 4.1.1: cookie-octet.
bool is_cookie_value(std::string_view text) noexcept {
  return std::ranges::all_of(
      text, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\'; });
}
// Of an attribute.
bool is_attribute_value(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f && c != ';'; });
}

std::string_view name_of(SameSite same_site) noexcept {
  switch (same_site) {
    case SameSite::strict:
      return "Strict";
    case SameSite::none:
      return "None";
    case SameSite::lax:
      break;
  }
  return "Lax";
}

// What is wrong with it; empty: nothing.
std::string_view problem_of(std::string_view name, std::string_view value, const CookieOptions& options) noexcept {
  if (!is_token(name)) return "its name is no token";
  if (!is_cookie_value(value)) return "its value has white space, a quote, comma, semicolon or backslash: encode it";
  if (!is_attribute_value(options.path) || !is_attribute_value(options.domain)) {
    return "its path or domain has a semicolon or a control character";
  }
  if (!options.secure && options.same_site == SameSite::none) return "SameSite::none needs .secure";
  if (!options.secure && options.partitioned) return ".partitioned needs .secure";
  // RFC 6265bis, 4.1.3: in any case of the letters.
  const auto begins = [&](std::string_view prefix) {
    return name.size() >= prefix.size() && equals_ignore_case(name.substr(0, prefix.size()), prefix);
  };
  if (begins("__Secure-") && !options.secure) return "a __Secure- cookie is .secure";
  if (begins("__Host-") && (!options.secure || options.path != "/" || !options.domain.empty())) {
    return "a __Host- cookie is .secure, of the path \"/\", and has no domain";
  }
  return {};
}

}  // namespace

void set_cookie(http::Response& response, std::string_view name, std::string_view value, const CookieOptions& options) {
  if (const auto problem = problem_of(name, value, options); !problem.empty()) {
    throw Internal(fmt::format("the cookie '{}' cannot be set: {}", name, problem));
  }
  std::string line = fmt::format("{}={}", name, value);
  if (options.max_age) line += fmt::format("; Max-Age={}", std::max<std::int64_t>(options.max_age->count(), 0));
  if (!options.path.empty()) line.append("; Path=").append(options.path);
  if (!options.domain.empty()) line.append("; Domain=").append(options.domain);
  if (options.secure) line += "; Secure";
  if (options.http_only) line += "; HttpOnly";
  line.append("; SameSite=").append(name_of(options.same_site));
  if (options.partitioned) line += "; Partitioned";
  response.header("Set-Cookie", line);
}

void remove_cookie(http::Response& response, std::string_view name, CookieOptions options) {
  options.max_age = std::chrono::seconds{0};
  set_cookie(response, name, {}, options);
}

namespace detail {

void write_header_part(Call& call, const schema::TypeInfo& type, const void* headers) {
  for (const auto& [name, value] : schema::write_pairs(type, headers)) {
    call.exchange.response.header(header_name(name), value);
  }
}

void write_cookie_part(Call& call, std::string_view name, std::string_view value, const CookieOptions& options,
                       bool remove) {
  if (remove) return remove_cookie(call.exchange.response, name, options);
  set_cookie(call.exchange.response, name, value, options);
}

void add_part(OperationInfo& info, std::size_t from, ResponsePartInfo part) {
  for (std::size_t i = from; i < info.responses.size(); ++i) {
    if (!info.responses[i].error) info.responses[i].parts.push_back(part);
  }
}

}  // namespace detail
}  // namespace ashlar
