// ContentSecurityPolicy: which scripts a page may run, by a nonce that is made for each answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/extract.hpp>
#include <ashlar/app/middleware.hpp>

namespace ashlar {

struct ContentSecurityPolicyOptions {
  /// CSP Level 3. "{nonce}" is replaced by one of 128 random bits, other for each answer.
  std::string policy =
      "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'nonce-{nonce}'; "
      "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
  bool report_only = false;  ///< browsers tell, and do not refuse: to try a policy
};

/// For services with pages: in place of the policy of SecurityHeaders, for answers that set none themselves and are
/// HTML. A handler puts the nonce into its page: `<script nonce="…">`, by a CspNonce parameter. A page whose handler
/// has taken none gets one that is nowhere in it: its inline scripts do not run.
class ContentSecurityPolicy final : public Middleware {
 public:
  /// Throws Invalid for a policy that cannot be a header.
  explicit ContentSecurityPolicy(ContentSecurityPolicyOptions options = {});
  void after(http::Exchange& exchange) noexcept override;

 private:
  std::string name_;
  std::vector<std::string> parts_;  // between the nonces
};

/// What `{nonce}` is in the policy of this answer; the same for all who ask in one request. The view lives as long as
/// the request. An answer of a handler that takes one is not kept by a ResponseCache.
struct CspNonce : std::string_view {};

namespace detail {

[[nodiscard]] std::string_view csp_nonce_of(http::Exchange& exchange);

template <>
struct Extractor<CspNonce> {
  using Slot = CspNonce;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot = CspNonce{csp_nonce_of(call.exchange)}; }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo&) {}
};

}  // namespace detail
}  // namespace ashlar
