#include <ashlar/app/trusted_hosts.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include <ashlar/app/detail/path_list.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar {

TrustedHosts::TrustedHosts(const std::vector<std::string>& hosts, TrustedHostsOptions options)
    : hosts_(hosts, "TrustedHosts"), options_(std::move(options)) {
  if (hosts_.empty()) throw Invalid("TrustedHosts names no host: nobody could ask for anything");
  for (const std::string& path : options_.except) {
    if (!path.starts_with('/')) throw Invalid(fmt::format("'{}' is no path that any host gets", path));
  }
  refused_ = metrics::default_registry().counter(
      {.name = "ashlar.http.hosts_refused", .help = "Requests for a host that is none of this service: 421."});
}

bool TrustedHosts::before(http::Exchange& exchange) {
  if (hosts_.contains(detail::host_of(exchange.request.authority))) [[likely]]
    return true;
  if (detail::is_among(options_.except, exchange.request.path)) return true;
  refused_.add();
  return refuse(exchange, {.status = 421, .detail = "this host is not served here"});
}

}  // namespace ashlar
