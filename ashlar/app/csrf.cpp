#include <ashlar/app/csrf.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include <ashlar/app/detail/digest.hpp>
#include <ashlar/app/detail/notes.hpp>
#include <ashlar/app/detail/path_list.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/http/websocket_handshake.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace {

constexpr std::size_t kRandom = 16;  // bytes
constexpr std::size_t kMac = 32;

using detail::CsrfNote;

std::string_view cookie_of(const http::Request& request, std::string_view name) noexcept {
  std::string_view found;
  request.for_each_header([&](std::string_view header, std::string_view rest) {
    if (!equals_ignore_case(header, "Cookie")) return;
    while (!rest.empty() && found.data() == nullptr) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name) found = pair.substr(equals + 1);
    }
  });
  return found;
}

// Browsers take a cookie with this prefix only over TLS and from this host alone: a subdomain cannot put one there.
std::string_view cookie_name(const http::Request& request) noexcept { return request.secure ? "__Host-csrf" : "csrf"; }

std::string mac_of(const CsrfOptions& options, const http::Request& request, std::string_view random) {
  const std::string_view session =
      options.session_cookie.empty() ? std::string_view() : cookie_of(request, options.session_cookie);
  return detail::hmac_sha256(options.secret->reveal(), fmt::format("csrf!{}!{}!{}", session.size(), session, random));
}

bool is_good(const CsrfOptions& options, const http::Request& request, std::string_view token) {
  const auto bytes = base64url_decode(token);
  if (!bytes || bytes->size() != kRandom + kMac) return false;
  const std::string_view all = *bytes;
  return equals_constant_time(all.substr(kRandom), mac_of(options, request, all.substr(0, kRandom)));
}

bool changes_nothing(http::Method method) noexcept {
  return method == http::Method::get || method == http::Method::head || method == http::Method::options ||
         method == http::Method::trace;
}

Problem forbidden(std::string detail) {
  Problem problem;
  problem.status = 403;
  problem.detail = std::move(detail);
  return problem;
}

}  // namespace

Csrf::Csrf(CsrfOptions options) {
  for (const std::string& origin : options.trusted_origins) {
    const auto url = Url::parse(origin);
    // A browser writes it in one way, and that is compared.
    if (!url || url->to_string() != origin + "/" || url->host().empty() || !url->userinfo().empty()) {
      throw Invalid(fmt::format("'{}' is no origin: \"https://app.example.com\", without a path", origin));
    }
  }
  for (const std::string& path : options.exempt) {
    if (!path.starts_with('/')) throw Invalid(fmt::format("'{}' is no path to exempt from Csrf", path));
  }
  if (options.secret && options.secret->reveal().size() < 32) {
    throw Invalid("the secret of Csrf has at least 32 bytes: openssl rand -base64 32");
  }
  options_ = std::make_shared<const CsrfOptions>(std::move(options));
}

bool Csrf::comes_from_our_page(const http::Request& request) const noexcept {
  const auto origin = request.header(http::KnownHeader::origin);
  const auto site = request.header(http::KnownHeader::sec_fetch_site);
  if (site && (*site == "same-origin" || *site == "none")) return true;
  if (!site && (!origin || http::same_origin(*origin, request.authority))) return true;
  return origin && std::ranges::find(options_->trusted_origins, *origin) != options_->trusted_origins.end();
}

bool Csrf::brings_token(http::Exchange& exchange, std::string_view token) const {
  const http::Request& request = exchange.request;
  if (const auto header = request.header(options_->header)) return equals_constant_time(*header, token);
  if (!detail::is_form_type(request.header(http::KnownHeader::content_type).value_or(std::string_view()))) return false;
  for (const auto& field : detail::form_fields(request.body, exchange.scratch)) {
    if (field.name == options_->field) return equals_constant_time(field.value, token);
  }
  return false;
}

bool Csrf::before(http::Exchange& exchange) {
  const http::Request& request = exchange.request;
  CsrfNote* note = nullptr;
  if (options_->secret) {
    note = &detail::add_note<CsrfNote>(exchange, &detail::kCsrfNote);
    note->options = options_.get();
    const std::string_view token = cookie_of(request, cookie_name(request));
    if (!token.empty() && is_good(*options_, request, token)) note->token = token;
  }
  if (changes_nothing(request.method) || detail::is_among(options_->exempt, request.path)) return true;
  if (!comes_from_our_page(request)) return refuse(exchange, forbidden("pages of this origin may not send this"));
  if (note == nullptr || !request.has(http::KnownHeader::cookie)) return true;
  if (!note->token.empty() && brings_token(exchange, note->token)) return true;
  return refuse(exchange, forbidden(fmt::format("the token against forged requests is missing, or of another session: "
                                                "send it as {}, or as the form's {}",
                                                options_->header, options_->field)));
}

std::string_view detail::csrf_token_of(Call& call) {
  auto* const note = find_note<CsrfNote>(call.exchange, &kCsrfNote);
  if (note == nullptr) throw Internal("a handler takes a CsrfToken: add app.use(Csrf{{.secret = …}})");
  if (note->token.empty()) {
    const std::string random = random_bytes(kRandom);
    note->token =
        call.exchange.scratch.copy(base64url_encode(random + mac_of(*note->options, call.exchange.request, random)));
    note->is_new = true;
  }
  note->is_taken = true;
  return note->token;
}

void Csrf::after(http::Exchange& exchange) noexcept {
  const auto* const note = detail::find_note<CsrfNote>(exchange, &detail::kCsrfNote);
  if (note == nullptr || !note->is_new) return;
  try {
    exchange.response.append_header_lines(fmt::format("Set-Cookie: {}={}; Path=/; SameSite=Lax{}\r\n",
                                                      cookie_name(exchange.request), note->token,
                                                      exchange.request.secure ? "; Secure" : ""));
  } catch (const std::exception& error) {
    log::error("a token against forged requests could not be set", {{"error.message", std::string_view(error.what())}});
  }
}

}  // namespace ashlar
