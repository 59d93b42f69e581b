// Maintenance: the service says that it is closed for a while, and its probes still answer.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/middleware.hpp>
#include <ashlar/base/ip_address.hpp>

namespace ashlar {

struct MaintenanceOptions {
  /// Paths that stay open: "/status", or all below one: "/health/".
  std::vector<std::string> open_paths = {"/health/", "/metrics"};
  /// Who comes through all the same, to look before the others do: "10.0.0.0/8", "::1". Behind a proxy it takes
  /// TrustedProxies to see the client.
  std::vector<std::string> open_to = {};
  /// What Retry-After says when begin() gives no end.
  std::chrono::seconds retry_after = std::chrono::minutes{2};
  std::string detail = "the service is closed for maintenance";
};

/// While it is closed, requests are answered with 503 and Retry-After, in the application's error format; requests that
/// are being handled go on. Copies are one switch; it may be turned on any thread, by a handler, a signal or a setting:
///
///   Maintenance maintenance{{.open_to = {"10.0.0.0/8"}}};
///   app.use(maintenance);
///   maintenance.begin(15min);   // …
///   maintenance.end();
///
/// Of this process: with several, each is told. Open, it costs a request one load.
class Maintenance final : public Middleware {
 public:
  /// Throws Invalid for a path or a network that is none.
  explicit Maintenance(MaintenanceOptions options = {});

  /// Closes; `expected`: when it will be open again, for Retry-After, and not more than a hint.
  void begin(std::chrono::seconds expected = std::chrono::seconds{0}) const noexcept;
  void end() const noexcept;
  [[nodiscard]] bool closed() const noexcept;

  bool before(http::Exchange& exchange) override;

 private:
  struct Switch;
  [[nodiscard]] bool comes_through(const http::Request& request) const noexcept;

  std::shared_ptr<Switch> switch_;
};

}  // namespace ashlar
