#include <ashlar/app/detail/serve_tls.hpp>

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/development_certificate.hpp>
#include <ashlar/net/ticket_keys.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWarnBefore{std::chrono::days{14}};
constexpr Duration kWarnEvery{24h};
constexpr Duration kRenewEvery{1h};

std::string development_folder() {
  const char* const data = std::getenv("ASHLAR_DATA_DIR");
  return std::filesystem::absolute(data != nullptr && *data != '\0' ? data : ".ashlar").string() + "/tls";
}

net::TlsVersion version_of(const std::string& text) {
  if (text == "1.2") return net::TlsVersion::tls12;
  if (text == "1.3") return net::TlsVersion::tls13;
  throw Invalid(fmt::format("--tls-min-version is '{}': 1.2 and 1.3 are possible", text));
}

void check(const ServeSettings& settings) {
  const bool any = ServeTls::asked_for(settings);
  if (settings.tls_dev && !settings.tls_cert.empty()) {
    throw Invalid("--tls-dev makes a certificate and --tls-cert gives one: choose one of the two");
  }
  if (!any && (!settings.tls_key.empty() || !settings.tls_ocsp.empty() || settings.tls_client_ca)) {
    throw Invalid("--tls-key, --tls-ocsp and --tls-client-ca need a certificate: --tls-cert FILE, or --tls-dev");
  }
  if (any && settings.unix_socket) {
    throw Invalid("a Unix socket is served without TLS: leave out --unix-socket, or the --tls options");
  }
  if (!settings.tls_key.empty() && settings.tls_key.size() != settings.tls_cert.size()) {
    throw Invalid(
        fmt::format("{} --tls-cert and {} --tls-key are given: give one key for each certificate in the same order, or "
                    "none when each file holds both",
                    settings.tls_cert.size(), settings.tls_key.size()));
  }
  if (settings.tls_ocsp.size() > settings.tls_cert.size()) {
    throw Invalid("more --tls-ocsp than --tls-cert are given: each is the answer for the certificate at its place");
  }
  if (settings.tls_client != "optional" && settings.tls_client != "required") {
    throw Invalid(fmt::format("--tls-client is '{}': optional and required are possible", settings.tls_client));
  }
}

}  // namespace

ServeTls::ServeTls(std::shared_ptr<net::TlsContext> context, double look_every_seconds) noexcept
    : context_(std::move(context)), look_every_seconds_(look_every_seconds) {}

std::unique_ptr<ServeTls> ServeTls::make(const ServeSettings& settings, std::string_view ticket_seed) {
  check(settings);
  if (!asked_for(settings)) return nullptr;
  net::TlsServerOptions options;
  options.min_version = version_of(settings.tls_min_version);
  options.client_ca_file = settings.tls_client_ca.value_or("");
  options.client_certificate = settings.tls_client == "optional" ? net::TlsServerOptions::ClientCertificate::optional
                                                                 : net::TlsServerOptions::ClientCertificate::required;
  if (!ticket_seed.empty()) options.ticket_keys = std::make_shared<net::TicketKeys>(ticket_seed);
  std::string folder;
  if (settings.tls_dev) {
    folder = development_folder();
    auto made = net::development_certificate(folder);
    options.certificate_file = made.certificate_file;
    options.key_file = made.key_file;
  }
  for (std::size_t i = 0; i < settings.tls_cert.size(); ++i) {
    net::CertificateFiles files{settings.tls_cert[i], i < settings.tls_key.size() ? settings.tls_key[i] : "",
                                i < settings.tls_ocsp.size() ? settings.tls_ocsp[i] : ""};
    if (i == 0) {
      options.certificate_file = std::move(files.certificate_file);
      options.key_file = std::move(files.key_file);
      options.ocsp_file = std::move(files.ocsp_file);
    } else {
      options.more_certificates.push_back(std::move(files));
    }
  }
  auto made =
      std::unique_ptr<ServeTls>(new ServeTls(net::TlsContext::server(std::move(options)), settings.tls_reload_seconds));
  made->development_folder_ = std::move(folder);
  made->development_looked_ = DateTime::now();
  return made;
}

bool ServeTls::asked_for(const ServeSettings& settings) noexcept {
  return settings.tls_dev || !settings.tls_cert.empty();
}

std::string ServeTls::development_advice() {
  const std::string authority = development_folder() + "/authority.pem";
  return fmt::format(
      "a certificate for development, good on this machine only. To trust it:\n"
      "               curl        --cacert {0}\n"
      "               the system  sudo cp {0} /usr/local/share/ca-certificates/ashlar.crt\n"
      "                           sudo update-ca-certificates\n"
      "               a browser   import that file as an authority",
      authority);
}

net::TlsContext::Changes ServeTls::look() {
  const DateTime now = DateTime::now();
  if (!development_folder_.empty() && now - development_looked_ > kRenewEvery) {
    development_looked_ = now;
    static_cast<void>(net::development_certificate(development_folder_));
  }
  return context_->reload_if_changed();
}

Task<void> ServeTls::watch() {
  const auto every = std::chrono::duration_cast<async::Nanoseconds>(std::chrono::duration<double>(look_every_seconds_));
  for (;;) {
    warn_of_expiry();
    co_await async::sleep(every);
    try {
      const auto changes = co_await async::offload([this] { return look(); });
      if (changes != net::TlsContext::Changes::reloaded) continue;
      warned_ = {};
      for (const auto& one : context_->certificates()) {
        log::info("the TLS certificate was reloaded",
                  {{"file", std::string_view(one.file)}, {"expires", std::string_view(one.not_after.to_string())}});
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::deadline_exceeded) throw;
      log::error("the TLS files have changed and cannot be used; what was there before stays in use",
                 {{"error", std::string_view(error.message())}});
    }
  }
}

void ServeTls::warn_of_expiry() {
  const DateTime now = DateTime::now();
  if (!development_folder_.empty() || now - warned_ < kWarnEvery) return;
  for (const auto& one : context_->certificates()) {
    if (one.not_after - now > kWarnBefore) continue;
    warned_ = now;
    log::warn(one.not_after > now ? "the TLS certificate expires soon; renew it" : "the TLS certificate has expired",
              {{"file", std::string_view(one.file)}, {"expires", std::string_view(one.not_after.to_string())}});
  }
}

void ServeTls::collect(metrics::Collector& out) const {
  const net::TlsStats stats = context_->stats();
  const auto number = [](std::uint64_t value) { return static_cast<double>(value); };
  const metrics::Description handshakes{.name = "ashlar.tls.handshakes", .help = "TLS handshakes completed."};
  out.counter(handshakes, number(stats.handshakes_tls12), {{"version", "1.2"}});
  out.counter(handshakes, number(stats.handshakes_tls13), {{"version", "1.3"}});
  out.counter({.name = "ashlar.tls.resumed", .help = "TLS handshakes that resumed a session."}, number(stats.resumed));
  for (std::size_t i = 1; i < net::kTlsFailures; ++i) {
    out.counter({.name = "ashlar.tls.failed_handshakes", .help = "TLS handshakes that failed."},
                number(stats.failed[i]), {{"reason", net::to_string(static_cast<net::TlsFailure>(i))}});
  }
  const metrics::Description reloads{.name = "ashlar.tls.reloads", .help = "Times that changed TLS files were read."};
  out.counter(reloads, number(stats.reloads), {{"result", "done"}});
  out.counter(reloads, number(stats.failed_reloads), {{"result", "failed"}});
  const DateTime now = DateTime::now();
  for (const auto& one : context_->certificates()) {
    out.gauge({.name = "ashlar.tls.certificate_expiry", .help = "Time until the certificate expires.", .unit = "s"},
              static_cast<double>((one.not_after - now).micros) * 1e-6, {{"file", one.file}});
  }
}

}  // namespace ashlar::detail
