// RedirectToHttps: what a port for plain http is there for beside https: it sends everybody to the same place there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/host_names.hpp>
#include <ashlar/app/serve.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/listening.hpp>
#include <ashlar/http/server.hpp>

namespace ashlar::metrics {
class Collector;
}

namespace ashlar::detail {

/// Answers 308 (RFC 9110 §15.4.9: the method and the body stay) to https://HOST:PORT and the target as it was sent, and
/// reads no body. A Host that is none is answered with 400, one that is not among `hosts` with 421.
class RedirectToHttps final : public http::Handler {
 public:
  /// Throws Invalid when the settings ask for a redirection that cannot be.
  static void check(const ServeSettings& settings);
  /// Null when the settings ask for none. Throws as check() does.
  [[nodiscard]] static std::unique_ptr<RedirectToHttps> make(const ServeSettings& settings);

  /// `hosts`: none: every host.
  explicit RedirectToHttps(HostNames hosts) : hosts_(std::move(hosts)) {}

  /// Before it serves: the port of https.
  void to(std::uint16_t port) noexcept { port_ = port; }

  void handle(http::Exchange& exchange) noexcept override;
  http::BodyPlan plan_body(const http::Request& head, std::uint64_t standard) noexcept override;
  void collect(metrics::Collector& out) const;

 private:
  void answer(http::Exchange& exchange);

  HostNames hosts_;
  std::uint16_t port_ = 443;
  std::atomic<std::uint64_t> redirected_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// As the server of https has them, but that it listens on another port, without TLS.
http::ServerOptions redirect_options(const ServeSettings& settings);

/// All that is listened on, for this many loops: systemd's sockets, or else our own; with a redirection, what belongs
/// to it is the last. Throws as http::open_listening.
std::vector<http::Listening> open_all(const ServeSettings& settings, unsigned loops);
/// Takes out what systemd opened for the port of the redirection; false: it did not.
bool take_redirect(const ServeSettings& settings, std::vector<http::Listening>& from,
                   std::vector<http::Listening>& out);

}  // namespace ashlar::detail
