// The connections of a client on one loop: kept ones, limits, the queue for them, the budget of retries a host.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/client_options.hpp>
#include <ashlar/http/detail/client_connect.hpp>
#include <ashlar/http/detail/client_connection.hpp>
#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::http::detail {

/// A number of the client, and the metric that shows it of all clients together.
class ClientCount {
 public:
  explicit ClientCount(metrics::Counter counter) : counter_(counter) {}
  void add(std::uint64_t n = 1) {
    value_.fetch_add(n, std::memory_order_relaxed);
    counter_.add(n);
  }
  [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
  metrics::Counter counter_;
};

class ClientGauge {
 public:
  explicit ClientGauge(metrics::UpDownCounter gauge) : gauge_(gauge) {}
  void add(std::int64_t n) {
    value_.fetch_add(static_cast<std::uint64_t>(n), std::memory_order_relaxed);
    gauge_.add(n);
  }
  [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
  metrics::UpDownCounter gauge_;
};

/// One more, for as long as it lives.
class [[nodiscard]] ClientCounted {
 public:
  ClientCounted() noexcept = default;
  explicit ClientCounted(ClientGauge& gauge) : gauge_(&gauge) { gauge.add(1); }
  ClientCounted(ClientCounted&& other) noexcept : gauge_(std::exchange(other.gauge_, nullptr)) {}
  ClientCounted& operator=(ClientCounted&& other) noexcept {
    std::swap(gauge_, other.gauge_);
    return *this;
  }
  ~ClientCounted() {
    if (gauge_ != nullptr) gauge_->add(-1);
  }

 private:
  ClientGauge* gauge_ = nullptr;
};

class ClientHttp2;
class ClientPool;
class Http2Place;

/// What a client is on all loops.
struct ClientState {
  explicit ClientState(ClientOptions given);
  ~ClientState();

  /// Of the current loop.
  ClientPool& pool();
  /// Made on first use. Throws Invalid.
  std::shared_ptr<net::TlsContext> tls_context();

  const ClientOptions options;
  const ClientProxies proxies;
  ClientCount requests, connects, reused, retries, failures;
  ClientGauge idle, active, waiting;

 private:
  std::mutex mutex_;
  std::unordered_map<async::Loop*, std::unique_ptr<ClientPool>> pools_;
  std::shared_ptr<net::TlsContext> tls_;
};

/// A request that waits for a place on a connection of HTTP/2, or for its turn to make one.
class ClientPlaceWait;

/// One origin, or proxy.
struct ClientHost {
  enum class Speaks : std::uint8_t { unknown, http1, http2 };

  ClientHost(std::size_t most, double budget) : free(most), retries(budget) {}
  async::Semaphore free;
  std::vector<std::unique_ptr<ClientConnection>> idle;  // the last is the one used last
  std::vector<std::shared_ptr<ClientHttp2>> shared;     // those of HTTP/2 that take requests, in use or not
  std::list<ClientPlaceWait*> queue;                    // in the order they came
  Speaks speaks = Speaks::unknown;
  bool http1_wanted = false;      // by the server, of a request in HTTP/2
  bool connecting = false;        // one makes the next connection of HTTP/2, and the others wait what comes of it
  async::TimePoint more_after{};  // when one more than there are may be tried again
  std::size_t users = 0;          // leases, and requests that wait for one
  double retries;                 // that its budget allows now
};

/// A connection, and the right to have one.
struct ClientLease {
  ClientLease() = default;
  ClientLease(ClientLease&& other) noexcept;
  ClientLease& operator=(ClientLease&& other) noexcept;
  ~ClientLease();
  /// Lets the pool have the connection for the next request.
  void keep() noexcept;

  ClientPool* pool = nullptr;
  ClientHost* host = nullptr;
  async::Permit of_host{};
  async::Permit of_loop{};
  ClientCounted active{};
  std::unique_ptr<ClientConnection> connection{};
  bool reused = false;
};

class ClientPool {
 public:
  explicit ClientPool(ClientState& state);
  ~ClientPool();

  /// On a kept connection, unless `fresh`, or a new one. `where`: see ClientExchange. Throws what connect_client does,
  /// and Hopeless when too many wait.
  Task<std::unique_ptr<ClientExchange>> begin(const ClientRoute& route, std::string where, bool fresh);
  /// From now on this server is asked in HTTP/1.1.
  void use_http1(const ClientRoute& route);
  void close_idle() noexcept;

  /// A request to this host adds to the budget, ...
  void earn_retry(const std::string& key);
  /// ... and a retry takes from it. False: it is used up.
  [[nodiscard]] bool spend_retry(const std::string& key);

  // By connections of HTTP/2.
  /// Some place may have become free.
  void on_room(ClientHost& host) noexcept;
  /// Nobody has a place on it any more.
  void rest(ClientHost& host, ClientHttp2& connection) noexcept;
  /// There is no way to the host: those that wait would only find out the same, each in its turn.
  void fail_waiting(ClientHost& host, const std::exception_ptr& error) noexcept;
  /// It takes no more requests.
  void forget(ClientHost& host, ClientHttp2& connection) noexcept;

 private:
  friend struct ClientLease;
  friend class ClientPlaceWait;
  class Connecting;
  class Waiting;
  ClientHost& host(const std::string& key);
  Task<async::Permit> permit(async::Semaphore& of);
  Task<ClientLease> occupy(ClientHost& host);
  std::optional<ClientLease> try_occupy(ClientHost& host);
  ClientLease make_lease(ClientHost& host, async::Permit of_host, async::Permit of_loop);
  [[nodiscard]] bool shares(const ClientHost& host, const ClientRoute& route) const noexcept;
  Http2Place find_place(ClientHost& host, const ClientRoute& route);
  std::shared_ptr<ClientHttp2> find_resting(ClientHost& host, const ClientRoute& route);
  Http2Place wake_up(std::shared_ptr<ClientHttp2> connection, ClientLease lease);
  Task<ClientConnected> connect(const ClientRoute& route, bool offer_http2);
  Task<std::unique_ptr<ClientExchange>> begin_leased(ClientHost& host, const ClientRoute& route, ClientLease lease,
                                                     std::string where, bool fresh);
  std::unique_ptr<ClientConnection> take_idle(ClientHost& host, const ClientRoute& route);
  void keep(ClientHost& host, std::unique_ptr<ClientConnection> connection);
  void sweep(async::TimePoint now) noexcept;
  void close_longest_idle() noexcept;
  void end_resting(ClientHost& host, async::TimePoint since) noexcept;

  ClientState& state_;
  ClientResolver resolver_;
  async::Semaphore free_;
  std::map<std::string, std::unique_ptr<ClientHost>, std::less<>> hosts_;
  std::size_t idle_ = 0;
  std::size_t active_ = 0;
  std::size_t waiting_ = 0;
  async::TimePoint swept_{};
};

/// Records http.client.request.duration as OpenTelemetry names its attributes. `error`: the kind of the error, or
/// empty. `version`: of HTTP.
void record_duration(const ClientUrl& url, std::string_view method, int status, std::string_view error,
                     std::string_view version, async::Nanoseconds elapsed);

}  // namespace ashlar::http::detail
