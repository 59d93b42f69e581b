#include <ashlar/app/detail/redirect_http.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include <ashlar/app/detail/hand_over.hpp>
#include <ashlar/app/detail/serve.hpp>
#include <ashlar/app/detail/serve_tls.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {
namespace {

HostNames parse_hosts(std::string_view list) {
  std::vector<std::string> hosts;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view one = trim(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (!one.empty()) hosts.emplace_back(one);
  }
  if (hosts.empty()) throw Invalid("--redirect-hosts names no host: leave it out to redirect every one");
  return {hosts, "--redirect-hosts"};
}

void say(http::Response& response, int status, std::string_view why) {
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.static_body(why);
}

}  // namespace

void RedirectToHttps::check(const ServeSettings& settings) {
  if (!settings.redirect_http) {
    if (!settings.redirect_to_port && !settings.redirect_hosts) return;
    throw Invalid("--redirect-to-port and --redirect-hosts are of --redirect-http PORT, which is not given");
  }
  if (!ServeTls::asked_for(settings)) {
    throw Invalid("--redirect-http sends clients to https, which is not served: give --tls-cert FILE, or --tls-dev");
  }
  if (*settings.redirect_http == settings.port && settings.port != 0) {
    throw Invalid(fmt::format("--redirect-http and --port are both {}: https needs a port of its own", settings.port));
  }
  if (settings.redirect_hosts) static_cast<void>(parse_hosts(*settings.redirect_hosts));
}

std::unique_ptr<RedirectToHttps> RedirectToHttps::make(const ServeSettings& settings) {
  check(settings);
  if (!settings.redirect_http) return nullptr;
  return std::make_unique<RedirectToHttps>(settings.redirect_hosts ? parse_hosts(*settings.redirect_hosts)
                                                                   : HostNames());
}

void RedirectToHttps::answer(http::Exchange& exchange) {
  const http::Request& request = exchange.request;
  http::Response& response = exchange.response;
  const std::string_view host = host_of(request.authority);  // nothing else gets into an address that we send
  if (host.empty()) return say(response, 400, "This serves https, and the request names no host to find it at.\n");
  if (!hosts_.empty() && !hosts_.contains(host)) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return say(response, 421, "This host is not served here.\n");
  }
  std::string to = fmt::format("https://{}", host);
  if (port_ != 443) to += fmt::format(":{}", port_);
  to += request.path.starts_with('/') ? request.path : "/";
  if (!request.query.empty()) to.append("?").append(request.query);
  response.status = 308;
  response.header("Location", to);
  redirected_.fetch_add(1, std::memory_order_relaxed);
}

void RedirectToHttps::handle(http::Exchange& exchange) noexcept {
  try {
    answer(exchange);
  } catch (const std::exception&) {  // no memory
    exchange.response.clear();
    exchange.response.status = 503;
  }
  exchange.finish();
}

http::BodyPlan RedirectToHttps::plan_body(const http::Request&, std::uint64_t standard) noexcept {
  return {.limit = standard, .stream = true};  // so that it is not waited for
}

void RedirectToHttps::collect(metrics::Collector& out) const {
  const metrics::Description redirected{.name = "ashlar.http.redirected_to_https",
                                        .help = "Requests on the port for plain http."};
  const auto count = [](const std::atomic<std::uint64_t>& number) {
    return static_cast<double>(number.load(std::memory_order_relaxed));
  };
  out.counter(redirected, count(redirected_), {{"result", "redirected"}});
  out.counter(redirected, count(refused_), {{"result", "foreign_host"}});
}

http::ServerOptions redirect_options(const ServeSettings& settings) {
  ServeSettings plain = settings;
  plain.port = settings.redirect_http.value_or(0);
  return server_options(plain);
}

bool take_redirect(const ServeSettings& settings, std::vector<http::Listening>& from,
                   std::vector<http::Listening>& out) {
  const auto found = std::ranges::find_if(from, [&](const http::Listening& one) {
    return !one.address.is_unix() && one.address.port() == settings.redirect_http.value_or(0);
  });
  if (found == from.end() || from.size() == 1) return false;
  out.push_back(std::move(*found));
  from.erase(found);
  return true;
}

std::vector<http::Listening> open_all(const ServeSettings& settings, unsigned loops) {
  std::vector<http::Listening> all = take_activation();
  std::vector<http::Listening> redirect;
  if (settings.redirect_http && !take_redirect(settings, all, redirect)) {
    redirect = http::open_listening(redirect_options(settings), loops);
  }
  if (all.empty()) all = http::open_listening(server_options(settings), loops);
  std::ranges::move(redirect, std::back_inserter(all));
  return all;
}

}  // namespace ashlar::detail
