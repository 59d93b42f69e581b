// TrustedHosts: only requests for the names that the service has.
#pragma once

#include <string>
#include <vector>

#include <ashlar/app/detail/host_names.hpp>
#include <ashlar/app/middleware.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar {

struct TrustedHostsOptions {
  /// Paths that any host gets: "/status", or all below one: "/health/". Probes ask by an address.
  std::vector<std::string> except = {"/health/", "/metrics"};
};

/// Requests whose host (the Host header, or :authority) is not in the list are answered with 421 (RFC 9110 §15.5.20),
/// in the application's error format:
///
///   app.use(TrustedHosts{{"example.com", "*.example.com"}});
///
/// Without it whoever sends a request chooses the host that a link of yours shows, as in a mail that resets a password;
/// and a page of somebody else can reach a service of this machine by a name that it lets point here (DNS rebinding).
/// Behind a proxy it is the host that clients asked for, where TrustedProxies comes first.
class TrustedHosts final : public Middleware {
 public:
  /// Names without ports, "*.example.com" for all names below one, "[::1]" for an IPv6 address. Throws Invalid for what
  /// is none, for none at all, and for a path that is none.
  explicit TrustedHosts(const std::vector<std::string>& hosts, TrustedHostsOptions options = {});

  bool before(http::Exchange& exchange) override;

 private:
  detail::HostNames hosts_;
  TrustedHostsOptions options_;
  metrics::Counter refused_;
};

}  // namespace ashlar
