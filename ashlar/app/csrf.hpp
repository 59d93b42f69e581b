// Csrf: requests that a browser sends because a page of somebody else has made it are refused.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/extract.hpp>
#include <ashlar/app/middleware.hpp>
#include <ashlar/base/secret.hpp>

namespace ashlar {

struct CsrfOptions {
  /// Pages of these may send: "https://app.example.com".
  std::vector<std::string> trusted_origins = {};
  /// Paths that anybody may send to, as the hooks of others: "/hooks/stripe", or all below one: "/hooks/".
  std::vector<std::string> exempt = {};
  /// Asks for tokens, too, signed with this: at least 32 bytes (`openssl rand -base64 32`).
  std::optional<Secret<>> secret = {};
  /// The cookie that tells sessions apart; a token is good for one session. Without: for one browser.
  std::string session_cookie = {};
  std::string header = "X-CSRF-Token";  ///< where scripts put the token
  std::string field = "csrf_token";     ///< where forms do (application/x-www-form-urlencoded)
};

/// For POST, PUT, PATCH, DELETE and other methods that change something; GET, HEAD and OPTIONS must not.
///
/// Always: what the browser says about the page (Fetch Metadata, as Go 1.25's CrossOriginProtection has it).
/// Sec-Fetch-Site other than same-origin and none: 403. A browser without it: an Origin that is not the request's host:
/// 403. Neither of the two: no browser of this decade, let through. `trusted_origins` may send all the same.
///
/// With a `secret`: a token, too (OWASP, signed double-submit cookie). It is in a cookie, signed together with the
/// session, and must come again in a header or a field, which pages of others cannot write: for pages on subdomains
/// that are not trusted, which Sec-Fetch-Site of old browsers does not tell. Pages get it by a CsrfToken parameter.
/// Requests without any cookie need none: a browser adds nothing to them that a forger does not have.
///
/// Requests of WebSockets have their own check of the Origin (WebSocketRouteOptions::origins).
class Csrf final : public Middleware {
 public:
  /// Throws Invalid for an origin that is none, a path that is none, and a short secret.
  explicit Csrf(CsrfOptions options = {});
  bool before(http::Exchange& exchange) override;
  void after(http::Exchange& exchange) noexcept override;

 private:
  [[nodiscard]] bool comes_from_our_page(const http::Request& request) const noexcept;
  [[nodiscard]] bool brings_token(http::Exchange& exchange, std::string_view token) const;

  std::shared_ptr<const CsrfOptions> options_;
};

/// The token of this browser and session, for a page's forms and scripts: `<input type="hidden" name="csrf_token"
/// value="…">`. Made, and its cookie set, when there is none yet. The application uses Csrf with a secret, or the
/// handler is answered with 500. The view lives as long as the request. An answer of a handler that takes one is not
/// kept by a ResponseCache.
struct CsrfToken : std::string_view {};

namespace detail {

[[nodiscard]] std::string_view csrf_token_of(Call& call);

template <>
struct Extractor<CsrfToken> {
  using Slot = CsrfToken;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot = CsrfToken{csrf_token_of(call)}; }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo&) {}
};

}  // namespace detail
}  // namespace ashlar
