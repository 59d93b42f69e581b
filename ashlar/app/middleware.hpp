// Middleware: what happens around every request, in the order it was added.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/http/exchange.hpp>

namespace ashlar {

struct Problem;
namespace detail {
class Core;
}

/// One object serves all loops at once: its state is constant or atomic.
class Middleware {
 public:
  virtual ~Middleware() = default;
  /// Before the route is chosen. False: the response is filled in, nothing further runs but the `after`s of those
  /// already passed.
  virtual bool before(http::Exchange& exchange) {
    static_cast<void>(exchange);
    return true;
  }
  /// When the response is filled in and not yet sent, in reverse order.
  virtual void after(http::Exchange& exchange) noexcept { static_cast<void>(exchange); }

 protected:
  /// Answers with a problem, in the application's error format; gives false: `return refuse(exchange, {.status =
  /// 403});`
  bool refuse(http::Exchange& exchange, const Problem& problem) const;
  /// The application that uses it; null before it starts.
  [[nodiscard]] const detail::Core* core() const noexcept { return core_; }

 private:
  friend class detail::Core;
  const detail::Core* core_ = nullptr;  // of the application that uses it
};

/// Cross-origin resource sharing (Fetch standard, §3.2). Answers preflights; other origins get no CORS headers, so
/// browsers refuse them.
struct CorsOptions {
  std::vector<std::string> origins = {};  ///< "https://app.example.com"; {"*"} for all, not together with credentials
  std::vector<std::string> methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
  std::vector<std::string> headers = {"Authorization", "Content-Type", "X-Request-Id"};
  std::vector<std::string> expose = {"X-Request-Id"};
  bool credentials = false;
  std::chrono::seconds max_age{600};
};
class Cors final : public Middleware {
 public:
  /// Throws Invalid for "*" with credentials, which browsers refuse.
  explicit Cors(CorsOptions options);
  bool before(http::Exchange& exchange) override;
  void after(http::Exchange& exchange) noexcept override;

 private:
  [[nodiscard]] bool allowed(std::string_view origin) const noexcept;
  CorsOptions options_;
  bool any_ = false;
  std::string preflight_lines_;
  std::string simple_lines_;
};

/// Headers that make browsers careful (OWASP Secure Headers). On by default: AppOptions::security_headers.
struct SecurityHeadersOptions {
  std::string content_security_policy =
      "default-src 'none'; frame-ancestors 'none'";  ///< for answers that set none themselves
  std::string referrer_policy = "no-referrer";
  /// Strict-Transport-Security (RFC 6797) on TLS: for so long browsers come by https only. Not for IP addresses, nor
  /// localhost, where it would hold for the http of every other program, too. 0: off.
  std::chrono::seconds hsts = std::chrono::days{30};
  bool hsts_subdomains = false;  ///< … for all names below it as well: only when each of them is served by TLS
};
class SecurityHeaders final : public Middleware {
 public:
  explicit SecurityHeaders(SecurityHeadersOptions options = {});
  void after(http::Exchange& exchange) noexcept override;

 private:
  std::string lines_;
  std::string policy_line_;
  std::string hsts_line_;
};

/// X-Request-Id: taken from the client when it is 1–128 characters of [A-Za-z0-9._-], made otherwise; on the answer, in
/// the logs and in `Context::request_id`. On by default: AppOptions::request_id.
class RequestId final : public Middleware {
 public:
  bool before(http::Exchange& exchange) override;
  void after(http::Exchange& exchange) noexcept override;
};

}  // namespace ashlar
