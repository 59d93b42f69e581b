#include <ashlar/app/middleware.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/base/uuid.hpp>

namespace ashlar {
namespace {

constexpr std::size_t kMadeSize = 36;  // of an identifier that RequestId makes

std::string join(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, ", ")); }

// RFC 6797 §8.1.1: an IP address is no HSTS host.
bool is_public_name(std::string_view authority) noexcept {
  const std::string_view host = authority.substr(0, authority.rfind(':'));
  if (host.empty() || authority.starts_with('[') || is_digit_ascii(host.back())) return false;
  return !equals_ignore_case(host, "localhost") &&
         (host.size() < 10 || !equals_ignore_case(host.substr(host.size() - 10), ".localhost"));
}

bool is_request_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

}  // namespace

Cors::Cors(CorsOptions options) : options_(std::move(options)) {
  any_ = std::ranges::find(options_.origins, "*") != options_.origins.end();
  if (any_ && options_.credentials) {
    throw Invalid("CORS: origins {\"*\"} with credentials is refused by browsers; name the origins");
  }
  if (any_) simple_lines_ = "Access-Control-Allow-Origin: *\r\n";
  if (options_.credentials) simple_lines_ += "Access-Control-Allow-Credentials: true\r\n";
  preflight_lines_ = simple_lines_;
  if (!options_.expose.empty()) {
    simple_lines_ += fmt::format("Access-Control-Expose-Headers: {}\r\n", join(options_.expose));
  }
  preflight_lines_ += fmt::format(
      "Access-Control-Allow-Methods: {}\r\nAccess-Control-Allow-Headers: {}\r\nAccess-Control-Max-Age: {}\r\n",
      join(options_.methods), join(options_.headers), options_.max_age.count());
}

bool Cors::allowed(std::string_view origin) const noexcept {
  return any_ || std::ranges::find(options_.origins, origin) != options_.origins.end();
}

bool Cors::before(http::Exchange& exchange) {
  const auto& request = exchange.request;
  if (request.method != http::Method::options || !request.header("access-control-request-method")) return true;
  const auto origin = request.header(http::KnownHeader::origin);
  if (!origin) return true;
  auto& response = exchange.response;
  response.status = 204;
  if (allowed(*origin)) response.append_header_lines(preflight_lines_);
  return false;
}

void Cors::after(http::Exchange& exchange) noexcept {
  const auto origin = exchange.request.header(http::KnownHeader::origin);
  auto& response = exchange.response;
  if (!any_) response.append_header_lines("Vary: Origin\r\n");
  if (!origin || !allowed(*origin)) return;
  if (!any_) response.header("Access-Control-Allow-Origin", *origin);
  if (response.status == 204 && exchange.request.method == http::Method::options) return;  // the preflight's are there
  response.append_header_lines(simple_lines_);
}

SecurityHeaders::SecurityHeaders(SecurityHeadersOptions options)
    : policy_line_(options.content_security_policy.empty()
                       ? std::string()
                       : fmt::format("Content-Security-Policy: {}\r\n", options.content_security_policy)),
      hsts_line_(options.hsts.count() == 0
                     ? std::string()
                     : fmt::format("Strict-Transport-Security: max-age={}{}\r\n", options.hsts.count(),
                                   options.hsts_subdomains ? "; includeSubDomains" : "")) {
  lines_ = fmt::format("X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: {}\r\n{}",
                       options.referrer_policy, policy_line_);
}

void SecurityHeaders::after(http::Exchange& exchange) noexcept {
  auto& response = exchange.response;
  const bool own_policy =
      !response.header_lines().empty() && response.find_header("Content-Security-Policy").has_value();
  std::string_view lines = lines_;
  if (own_policy) lines.remove_suffix(policy_line_.size());
  response.append_header_lines(lines);
  if (exchange.request.secure && !hsts_line_.empty() && is_public_name(exchange.request.authority))
    response.append_header_lines(hsts_line_);
}

bool RequestId::before(http::Exchange& exchange) {
  const auto given = exchange.request.header(http::KnownHeader::x_request_id);
  if (given && is_request_id(*given)) {
    exchange.context.request_id = *given;
    return true;
  }
  const std::span<char, kMadeSize> text{static_cast<char*>(exchange.scratch.allocate(kMadeSize, 1)), kMadeSize};
  Uuid::v7().write_to(text);
  exchange.context.request_id = {text.data(), text.size()};
  return true;
}

void RequestId::after(http::Exchange& exchange) noexcept {
  auto& response = exchange.response;
  const std::string_view id = exchange.context.request_id;
  if (id.size() == kMadeSize) [[likely]] {  // one we made: all sizes are known, so the copies are a few moves
    constexpr std::string_view kName = "X-Request-Id: ";
    char line[kName.size() + kMadeSize + 2];
    std::memcpy(line, kName.data(), kName.size());
    std::memcpy(line + kName.size(), id.data(), kMadeSize);
    std::memcpy(line + kName.size() + kMadeSize, "\r\n", 2);
    return response.append_header_lines({line, sizeof line});
  }
  response.append_header_lines("X-Request-Id: ");
  response.append_header_lines(id);
  response.append_header_lines("\r\n");
}

}  // namespace ashlar
