#include <ashlar/http/detail/client_proxy.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http::detail {
namespace {

std::string environment(const char* name) {
  if (const char* const value = std::getenv(name); value != nullptr && *value != 0) return value;
  // https://httpoxy.org: there, HTTP_PROXY is the header Proxy of whoever asks the CGI program.
  if (std::string_view(name) == "http_proxy" && std::getenv("REQUEST_METHOD") != nullptr) return {};
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](char c) { return to_upper_ascii(c); });
  const char* const value = std::getenv(upper.c_str());
  return value != nullptr ? value : "";
}

std::optional<std::uint16_t> port_of(std::string_view digits) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

ClientProxy ClientProxy::parse(std::string_view url) {
  const auto refuse = [](std::string_view why) {  // it may hold a password
    throw Invalid(fmt::format("the client cannot use the proxy: {}", why));
  };
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) {
    if (!equals_ignore_case(url.substr(0, scheme), "http")) refuse("its URL must begin with http://");
    url.remove_prefix(scheme + 3);
  }
  url = url.substr(0, url.find('/'));
  ClientProxy proxy;
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const auto user = percent_decode(url.substr(0, at));
    if (!user) refuse("its user or password is badly percent-encoded");
    const bool has_password = user->find(':') != std::string::npos;
    proxy.authorization = "Basic " + base64_encode(has_password ? *user : *user + ":");
    url.remove_prefix(at + 1);
  }
  const ClientUrl parsed = ClientUrl::parse(fmt::format("http://{}", url));
  proxy.host = parsed.host;
  proxy.port = parsed.port;
  return proxy;
}

std::string ClientProxy::origin() const {
  return host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

ClientProxies::ClientProxies(ProxyOptions options) {
  if (options.from_environment) {
    if (options.http.empty()) options.http = environment("http_proxy");
    if (options.https.empty()) options.https = environment("https_proxy");
    if (options.bypass.empty()) options.bypass = environment("no_proxy");
  }
  if (!options.http.empty()) http_ = ClientProxy::parse(options.http);
  if (!options.https.empty()) https_ = ClientProxy::parse(options.https);
  for_each_element(options.bypass, [&](std::string_view entry) { add_bypass(entry); });
}

void ClientProxies::add_bypass(std::string_view entry) {
  if (entry == "*") {
    bypass_all_ = true;
    return;
  }
  if (const auto network = IpAddress::parse(entry)) {
    bypass_.push_back({.network = network});
    return;
  }
  Bypass one;
  // Not one within the brackets of an IPv6 address.
  if (const std::size_t colon = entry.rfind(':');
      colon != std::string_view::npos && entry.find(']', colon) == std::string_view::npos) {
    const auto port = port_of(entry.substr(colon + 1));
    if (!port) throw Invalid(fmt::format("the client cannot use '{}' as a host to ask without the proxy", entry));
    one.port = *port;
    entry = entry.substr(0, colon);
  }
  if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
  if (entry.starts_with('*')) entry.remove_prefix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  one.network = IpAddress::parse(entry);
  if (!one.network) one.host = to_lower_ascii(entry);
  bypass_.push_back(std::move(one));
}

const ClientProxy* ClientProxies::for_url(const ClientUrl& url) const noexcept {
  const auto& proxy = url.secure ? https_ : http_;
  if (!proxy || bypass_all_) return nullptr;
  const auto address = IpAddress::parse(url.host);
  for (const Bypass& one : bypass_) {
    if (one.port != 0 && one.port != url.port) continue;
    if (one.network) {
      if (address && one.network->contains(*address)) return nullptr;
      continue;
    }
    const std::string_view host = url.host;
    const bool below =
        host.size() > one.host.size() && host.ends_with(one.host) && host[host.size() - one.host.size() - 1] == '.';
    if (host == one.host || below) return nullptr;
  }
  return &*proxy;
}

}  // namespace ashlar::http::detail
