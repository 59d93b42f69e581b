// Where a request goes: a kept connection, a place on one of HTTP/2, or a new one that its server decides about.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/client_http1.hpp>
#include <ashlar/http/detail/client_http2.hpp>
#include <ashlar/http/detail/client_places.hpp>
#include <ashlar/http/detail/client_pool.hpp>

namespace ashlar::http::detail {
namespace {

using Speaks = ClientHost::Speaks;

constexpr auto kMoreLater = std::chrono::seconds{1};  // after one more connection than there are was not to be had

bool any_in_use(const ClientHost& host) noexcept {
  return std::ranges::any_of(host.shared, [](const auto& one) { return !one->resting(); });
}

// Which of its connections says how much it takes is about to be known.
bool any_not_greeted(const ClientHost& host) noexcept {
  return std::ranges::any_of(host.shared, [](const auto& one) { return !one->resting() && !one->greeted(); });
}

// Made for a request that had no such limit.
bool suits(const ClientHttp2& connection, const ClientRoute& route) noexcept {
  return !route.from_global || connection.global_peer() || route.proxy != nullptr;
}

bool may_connect(const ClientHost& host, async::TimePoint now) noexcept {
  return !host.connecting && now >= host.more_after && !any_not_greeted(host);
}

}  // namespace

ClientPool::Waiting::Waiting(ClientPool& pool) : pool_(pool) {
  if (pool.waiting_ >= pool.state_.options.max_waiting) {
    throw Hopeless(fmt::format("{} requests wait for a connection already (max_waiting)", pool.waiting_));
  }
  ++pool.waiting_;
  shown_ = ClientCounted(pool.state_.waiting);
}

bool ClientPool::shares(const ClientHost& host, const ClientRoute& route) const noexcept {
  if (route.forwarded() || host.http1_wanted || host.speaks == Speaks::http1) return false;
  const ClientHttp2Options& http2 = state_.options.http2;
  return host.speaks == Speaks::http2 || (route.url.secure ? http2.over_tls : http2.prior_knowledge);
}

void ClientPool::use_http1(const ClientRoute& route) {
  ClientHost& of = host(route.key());
  of.http1_wanted = true;
  of.speaks = Speaks::http1;
  on_room(of);
}

Task<std::unique_ptr<ClientExchange>> ClientPool::begin(const ClientRoute& route, std::string where, bool fresh) {
  sweep(async::Loop::current().now());
  ClientHost& of = host(route.key());
  struct User {
    ClientHost& host;
    explicit User(ClientHost& one) : host(one) { ++host.users; }
    ~User() { --host.users; }
    User(const User&) = delete;
    User& operator=(const User&) = delete;
  };
  const User user(of);
  bool waited = false;
  while (shares(of, route)) {
    std::optional<ClientLease> lease;
    std::optional<Connecting> connecting;
    if (waited || of.queue.empty()) {  // who came before goes before
      if (Http2Place place = find_place(of, route)) {
        state_.reused.add();
        co_return std::make_unique<Http2Exchange>(std::move(place), std::move(where), !fresh);
      }
      if (!any_in_use(of)) {
        if (!of.connecting) connecting.emplace(*this, of);
      } else if (may_connect(of, async::Loop::current().now())) {
        lease = try_occupy(of);
        if (lease) connecting.emplace(*this, of);
      }
    }
    if (!connecting) {
      const Waiting waiting(*this);
      ClientPlaceWait wait(of, route, waited);
      co_await wait;
      waited = true;
      if (wait.error) std::rethrow_exception(wait.error);
      if (wait.place) {
        state_.reused.add();
        co_return std::make_unique<Http2Exchange>(std::move(wait.place), std::move(where), !fresh);
      }
      if (!wait.lease) continue;
      lease.emplace(std::move(*wait.lease));
      connecting.emplace(std::move(*wait.connecting));
      wait.connecting.reset();
    }
    waited = true;
    const bool one_more = lease.has_value();
    if (!lease) {
      lease.emplace(co_await occupy(of));
      if (auto resting = find_resting(of, route)) {
        state_.reused.add();
        co_return std::make_unique<Http2Exchange>(wake_up(std::move(resting), std::move(*lease)), std::move(where),
                                                  !fresh);
      }
    }
    std::exception_ptr error;
    try {
      co_return co_await begin_leased(of, route, std::move(*lease), where, fresh);
    } catch (const Unavailable&) {
      error = std::current_exception();
    }
    if (one_more && any_in_use(of)) {  // then it waits like the others
      of.more_after = async::Loop::current().now() + kMoreLater;
      continue;
    }
    fail_waiting(of, error);
    std::rethrow_exception(error);
  }
  co_return co_await begin_leased(of, route, co_await occupy(of), std::move(where), fresh);
}

Task<std::unique_ptr<ClientExchange>> ClientPool::begin_leased(ClientHost& of, const ClientRoute& route,
                                                               ClientLease lease, std::string where, bool fresh) {
  if (!fresh) lease.connection = take_idle(of, route);
  lease.reused = lease.connection != nullptr;
  if (lease.reused) {
    state_.reused.add();
    co_return std::make_unique<Http1Exchange>(std::move(lease), std::move(where), state_.options.max_head);
  }
  if (active_ + idle_ > state_.options.max_connections) close_longest_idle();
  const ClientHttp2Options& http2 = state_.options.http2;
  const bool may_share = !of.http1_wanted && !route.forwarded();
  ClientConnected made = co_await connect(route, may_share && http2.over_tls);
  state_.connects.add();
  const bool shared = route.url.secure ? made.transport.alpn() == "h2" : may_share && http2.prior_knowledge;
  if (!shared) {
    of.speaks = Speaks::http1;
    lease.connection = std::make_unique<ClientConnection>(async::Loop::current(), std::move(made.transport));
    lease.connection->global_peer = made.global_peer;
    co_return std::make_unique<Http1Exchange>(std::move(lease), std::move(where), state_.options.max_head);
  }
  of.speaks = Speaks::http2;
  const auto connection = std::make_shared<ClientHttp2>(*this, of, std::move(made), state_.options);
  connection->occupy(std::move(lease));
  Http2Place place(connection);
  of.shared.reserve(of.shared.size() + 1);
  connection->open();
  if (connection->takes_requests()) of.shared.push_back(connection);
  co_return std::make_unique<Http2Exchange>(std::move(place), std::move(where), false);
}

Task<ClientConnected> ClientPool::connect(const ClientRoute& route, bool offer_http2) {
  std::vector<std::string> alpn;
  if (route.url.secure && offer_http2) alpn = {"h2", "http/1.1"};
  try {
    co_return co_await async::timeout(
        state_.options.connect_timeout,
        connect_client(route, state_.options, route.url.secure ? state_.tls_context() : nullptr, std::move(alpn),
                       resolver_));
  } catch (const DeadlineExceeded&) {
    const async::Context* const context = async::context();
    if (context != nullptr && context->scope != nullptr && context->scope->cancelled()) throw;
  }
  // Not the request's own deadline: that may have time for another try.
  throw Unavailable(fmt::format("no connection to {} within its time (connect_timeout)", route.url.origin()));
}

Http2Place ClientPool::find_place(ClientHost& of, const ClientRoute& route) {
  // The first that has room: the others may go to rest.
  for (const auto& one : of.shared) {
    if (!one->resting() && suits(*one, route) && one->room() != 0 && one->watched()) return Http2Place(one);
  }
  std::shared_ptr<ClientHttp2> resting = find_resting(of, route);
  if (resting == nullptr) return {};
  std::optional<ClientLease> lease = try_occupy(of);
  if (!lease) return {};
  return wake_up(std::move(resting), std::move(*lease));
}

std::shared_ptr<ClientHttp2> ClientPool::find_resting(ClientHost& of, const ClientRoute& route) {
  end_resting(of, async::Loop::current().now() - state_.options.idle_timeout);
  for (std::size_t i = 0; i < of.shared.size();) {
    const std::shared_ptr<ClientHttp2> one = of.shared[i];
    if (one->resting() && !one->watched()) {
      forget(of, *one);
      continue;
    }
    if (one->resting() && suits(*one, route) && one->room() != 0) return one;
    ++i;
  }
  return nullptr;
}

Http2Place ClientPool::wake_up(std::shared_ptr<ClientHttp2> connection, ClientLease lease) {
  --idle_;
  state_.idle.add(-1);
  connection->occupy(std::move(lease));
  return Http2Place(std::move(connection));
}

void ClientPool::on_room(ClientHost& of) noexcept {
  if (of.queue.empty()) return;
  if (of.speaks == Speaks::http1) {
    while (!of.queue.empty()) of.queue.front()->go_on();
    return;
  }
  for (auto at = of.queue.begin(); at != of.queue.end();) {
    ClientPlaceWait& one = **at++;
    one.place = find_place(of, one.route());
    if (one.place) {
      one.go_on();
    } else if (!one.route().from_global) {
      break;  // nor is there one for those behind
    }
  }
  if (of.queue.empty() || of.connecting) return;
  ClientPlaceWait& first = *of.queue.front();
  if (any_in_use(of)) {
    if (!may_connect(of, async::Loop::current().now())) return;
    first.lease = try_occupy(of);
    if (!first.lease) return;
    first.connecting.emplace(*this, of);
  }
  first.go_on();
}

void ClientPool::fail_waiting(ClientHost& of, const std::exception_ptr& error) noexcept {
  while (!of.queue.empty()) {
    ClientPlaceWait& one = *of.queue.front();
    one.error = error;
    one.go_on();
  }
}

void ClientPool::rest(ClientHost& of, ClientHttp2& connection) noexcept {
  ++idle_;
  state_.idle.add(1);
  const auto resting = std::ranges::count_if(of.shared, [](const auto& one) { return one->resting(); });
  if (static_cast<std::size_t>(resting) + of.idle.size() > state_.options.max_idle_per_host ||
      active_ + idle_ > state_.options.max_connections) {
    connection.end();
  }
  on_room(of);
}

void ClientPool::forget(ClientHost& of, ClientHttp2& connection) noexcept {
  const auto found = std::ranges::find_if(of.shared, [&](const auto& one) { return one.get() == &connection; });
  if (found == of.shared.end()) return;
  const std::shared_ptr<ClientHttp2> alive = std::move(*found);
  of.shared.erase(found);
  if (!alive->resting()) return;
  --idle_;
  state_.idle.add(-1);
}

void ClientPool::end_resting(ClientHost& of, async::TimePoint since) noexcept {
  for (std::size_t i = 0; i < of.shared.size();) {
    const std::shared_ptr<ClientHttp2> one = of.shared[i];
    if (one->resting() && one->resting_since() <= since) {
      one->end();
    } else {
      ++i;
    }
  }
}

}  // namespace ashlar::http::detail
