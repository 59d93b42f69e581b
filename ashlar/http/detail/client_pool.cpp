#include <ashlar/http/detail/client_pool.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include <ashlar/http/detail/client_http2_connection.hpp>
#include <ashlar/http/detail/client_places.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kMostHosts = 1024;  // beyond it, those that nobody uses are forgotten
constexpr auto kSweepEvery = std::chrono::seconds{1};

metrics::Counter counter(std::string_view name, std::string_view help, std::string_view unit) {
  return metrics::default_registry().counter({.name = name, .help = help, .unit = unit});
}
metrics::UpDownCounter connections(std::string_view state) {
  return metrics::default_registry().up_down_counter(
      {.name = "ashlar.http.client.connections", .help = "Connections of the HTTP clients.", .unit = "{connection}"},
      {{"state", state}});
}

}  // namespace

ClientState::ClientState(ClientOptions given)
    : options(std::move(given)),
      proxies(options.proxy),
      requests(counter("ashlar.http.client.requests", "Requests that programs sent, redirects included.", "{request}")),
      connects(counter("ashlar.http.client.connects", "Connections made.", "{connection}")),
      reused(counter("ashlar.http.client.reused", "Requests on a kept connection.", "{request}")),
      retries(counter("ashlar.http.client.retries", "Requests sent again.", "{request}")),
      failures(counter("ashlar.http.client.failures", "Requests without an answer.", "{request}")),
      idle(connections("idle")),
      active(connections("active")),
      waiting(metrics::default_registry().up_down_counter(
          {.name = "ashlar.http.client.waiting", .help = "Requests that wait for a connection.", .unit = "{request}"})),
      tls_(options.tls) {
  if (proxies.any() && options.destinations.is_public_only()) {
    throw Invalid(
        "Destinations::public_only() cannot be kept through a proxy, which looks the names up itself: have the proxy "
        "refuse private addresses, or ask without it");
  }
  const ClientHttp2Options& http2 = options.http2;
  constexpr std::uint32_t kLargestWindow = 0x7fff'ffff;
  constexpr std::uint32_t kFirstWindow = 0xffff;  // that every connection has (RFC 9113 §6.9.2)
  if (http2.max_concurrent_streams == 0) throw Invalid("the client's http2.max_concurrent_streams is 0");
  if (http2.stream_window == 0 || http2.stream_window > kLargestWindow || http2.connection_window < kFirstWindow ||
      http2.connection_window > kLargestWindow) {
    throw Invalid("the client's windows of HTTP/2 are from 1 (of a connection: 65535) to 2147483647 bytes");
  }
}

ClientState::~ClientState() = default;

ClientPool& ClientState::pool() {
  const std::lock_guard lock(mutex_);
  auto& found = pools_[&async::Loop::current()];
  if (!found) found = std::make_unique<ClientPool>(*this);
  return *found;
}

std::shared_ptr<net::TlsContext> ClientState::tls_context() {
  const std::lock_guard lock(mutex_);
  if (!tls_) tls_ = net::TlsContext::client({});
  return tls_;
}

ClientLease::ClientLease(ClientLease&& other) noexcept
    : pool(std::exchange(other.pool, nullptr)),
      host(other.host),
      of_host(std::move(other.of_host)),
      of_loop(std::move(other.of_loop)),
      active(std::move(other.active)),
      connection(std::move(other.connection)),
      reused(other.reused) {}

ClientLease& ClientLease::operator=(ClientLease&& other) noexcept {
  std::swap(pool, other.pool);
  std::swap(host, other.host);
  std::swap(of_host, other.of_host);
  std::swap(of_loop, other.of_loop);
  std::swap(active, other.active);
  std::swap(connection, other.connection);
  std::swap(reused, other.reused);
  return *this;
}

ClientLease::~ClientLease() {
  if (pool == nullptr) return;
  --pool->active_;
  --host->users;
}

void ClientLease::keep() noexcept {
  if (async::Loop::current_or_null() == nullptr) return;  // dropped when the loop was gone
  try {
    pool->keep(*host, std::move(connection));
  } catch (const std::bad_alloc&) {  // then it is closed
  }
}

ClientPool::ClientPool(ClientState& state)
    : state_(state), resolver_(state.options.dns_cache), free_(state.options.max_connections) {}

ClientPool::~ClientPool() {
  if (idle_ != 0) state_.idle.add(-static_cast<std::int64_t>(idle_));
}

ClientHost& ClientPool::host(const std::string& key) {
  const auto found = hosts_.find(key);
  if (found != hosts_.end()) return *found->second;
  if (hosts_.size() >= kMostHosts) {
    std::erase_if(hosts_, [](const auto& one) {
      return one.second->users == 0 && one.second->idle.empty() && one.second->shared.empty();
    });
  }
  auto made = std::make_unique<ClientHost>(state_.options.max_connections_per_host, state_.options.retry.burst);
  return *hosts_.emplace(key, std::move(made)).first->second;
}

void ClientPool::earn_retry(const std::string& key) {
  ClientHost& one = host(key);
  one.retries = std::min(one.retries + state_.options.retry.budget, state_.options.retry.burst);
}

bool ClientPool::spend_retry(const std::string& key) {
  ClientHost& one = host(key);
  if (one.retries < 1) return false;
  one.retries -= 1;
  return true;
}

Task<async::Permit> ClientPool::permit(async::Semaphore& of) {
  if (async::Permit free = of.try_acquire()) co_return free;
  const Waiting waiting(*this);
  co_return co_await of.acquire();
}

ClientLease ClientPool::make_lease(ClientHost& of, async::Permit of_host, async::Permit of_loop) {
  ClientLease lease;
  lease.pool = this;
  lease.host = &of;
  lease.of_host = std::move(of_host);
  lease.of_loop = std::move(of_loop);
  lease.active = ClientCounted(state_.active);
  ++active_;
  ++of.users;
  return lease;
}

Task<ClientLease> ClientPool::occupy(ClientHost& of) {
  async::Permit of_host = co_await permit(of.free);
  async::Permit of_loop = co_await permit(free_);
  co_return make_lease(of, std::move(of_host), std::move(of_loop));
}

std::optional<ClientLease> ClientPool::try_occupy(ClientHost& of) {
  async::Permit of_host = of.free.try_acquire();
  if (!of_host) return std::nullopt;
  async::Permit of_loop = free_.try_acquire();
  if (!of_loop) return std::nullopt;
  return make_lease(of, std::move(of_host), std::move(of_loop));
}

std::unique_ptr<ClientConnection> ClientPool::take_idle(ClientHost& of, const ClientRoute& route) {
  const async::TimePoint now = async::Loop::current().now();
  while (!of.idle.empty()) {
    std::unique_ptr<ClientConnection> connection = std::move(of.idle.back());
    of.idle.pop_back();
    --idle_;
    state_.idle.add(-1);
    if (now - connection->resting_since() >= state_.options.idle_timeout || !connection->wake_up()) continue;
    // Made for a request that had no such limit.
    if (route.from_global && !connection->global_peer && route.proxy == nullptr) continue;
    return connection;
  }
  return nullptr;
}

void ClientPool::keep(ClientHost& of, std::unique_ptr<ClientConnection> connection) {
  if (of.idle.size() >= state_.options.max_idle_per_host || active_ + idle_ > state_.options.max_connections) return;
  connection->rest(async::Loop::current().now());
  of.idle.push_back(std::move(connection));
  ++idle_;
  state_.idle.add(1);
}

// Connections that died or rested too long, also of hosts that nobody asks any more.
void ClientPool::sweep(async::TimePoint now) noexcept {
  if (now - swept_ < kSweepEvery) return;
  swept_ = now;
  for (auto& [key, one] : hosts_) {
    const std::size_t gone = std::erase_if(one->idle, [&](const std::unique_ptr<ClientConnection>& connection) {
      return connection->dead() || now - connection->resting_since() >= state_.options.idle_timeout;
    });
    idle_ -= gone;
    if (gone != 0) state_.idle.add(-static_cast<std::int64_t>(gone));
    end_resting(*one, now - state_.options.idle_timeout);
  }
}

void ClientPool::close_longest_idle() noexcept {
  ClientHost* longest = nullptr;
  ClientHttp2* shared = nullptr;  // then that one of them
  async::TimePoint since = async::TimePoint::max();
  for (auto& [key, one] : hosts_) {
    if (!one->idle.empty() && one->idle.front()->resting_since() < since) {
      longest = one.get();
      shared = nullptr;
      since = one->idle.front()->resting_since();
    }
    for (const auto& connection : one->shared) {
      if (!connection->resting() || connection->resting_since() >= since) continue;
      shared = connection.get();
      since = connection->resting_since();
    }
  }
  if (shared != nullptr) {
    const auto alive = shared->shared_from_this();
    return alive->end();
  }
  if (longest == nullptr) return;
  longest->idle.erase(longest->idle.begin());
  --idle_;
  state_.idle.add(-1);
}

void ClientPool::close_idle() noexcept {
  for (auto& [key, one] : hosts_) {
    idle_ -= one->idle.size();
    state_.idle.add(-static_cast<std::int64_t>(one->idle.size()));
    one->idle.clear();
    end_resting(*one, async::TimePoint::max());
  }
}

void record_duration(const ClientUrl& url, std::string_view method, int status, std::string_view error,
                     std::string_view version, async::Nanoseconds elapsed) {
  constexpr std::array<std::string_view, 9> kMethods = {"GET",     "POST",  "PUT",   "DELETE", "HEAD",
                                                        "OPTIONS", "PATCH", "TRACE", "CONNECT"};
  if (std::ranges::find(kMethods, method) == kMethods.end()) method = "_OTHER";
  const std::string port = fmt::format("{}", url.port);
  const std::string code = status == 0 ? std::string() : fmt::format("{}", status);
  if (status >= 400) error = code;
  metrics::default_registry()
      .histogram({.name = "http.client.request.duration", .help = "Duration of HTTP requests sent.", .unit = "s"},
                 {{"http.request.method", method},
                  {"server.address", url.host},
                  {"server.port", port},
                  {"http.response.status_code", code},
                  {"network.protocol.version", version},
                  {"error.type", error}})
      .record(elapsed);
}

}  // namespace ashlar::http::detail
