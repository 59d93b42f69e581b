// TLS of a program that serves: from its settings to certificates that stay fresh.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <ashlar/app/serve.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/net/tls_context.hpp>

namespace ashlar::metrics {
class Collector;
}

namespace ashlar::detail {

class ServeTls {
 public:
  [[nodiscard]] static bool asked_for(const ServeSettings& settings) noexcept;
  /// What to tell people about the development certificate.
  [[nodiscard]] static std::string development_advice();

  /// Null when the settings ask for no TLS. Makes the development certificate when they ask for that. Throws Invalid or
  /// Unavailable that say what is wrong and what to do. `ticket_seed`: of the keys that all workers share; empty: none.
  [[nodiscard]] static std::unique_ptr<ServeTls> make(const ServeSettings& settings, std::string_view ticket_seed = {});

  [[nodiscard]] const std::shared_ptr<net::TlsContext>& context() const noexcept { return context_; }
  /// Takes up changed files, renews the development certificate, and warns of one that runs out. Ends when cancelled.
  Task<void> watch();
  void collect(metrics::Collector& out) const;

 private:
  ServeTls(std::shared_ptr<net::TlsContext> context, double look_every_seconds) noexcept;
  net::TlsContext::Changes look();
  void warn_of_expiry();

  std::shared_ptr<net::TlsContext> context_;
  double look_every_seconds_;
  std::string development_folder_;  // empty: certificates of one's own
  DateTime development_looked_{};
  DateTime warned_{};
};

}  // namespace ashlar::detail
