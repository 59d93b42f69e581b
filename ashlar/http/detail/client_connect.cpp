#include <ashlar/http/detail/client_connect.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/http/response_parser.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http::detail {
namespace {

constexpr auto kAttemptDelay = std::chrono::milliseconds{250};  // RFC 8305 §8
constexpr std::size_t kMostAddresses = 8;

// Families in turn, beginning with the one that the system's resolver put first.
std::vector<net::Address> in_turn(std::vector<net::Address> addresses) {
  if (addresses.empty()) return addresses;
  const int first = addresses.front().family();
  std::array<std::vector<net::Address>, 2> families;
  for (net::Address& one : addresses) families[one.family() == first ? 0 : 1].push_back(one);
  addresses.clear();
  for (std::size_t i = 0; i < std::max(families[0].size(), families[1].size()); ++i) {
    for (const auto& family : families) {
      if (i < family.size() && addresses.size() < kMostAddresses) addresses.push_back(family[i]);
    }
  }
  return addresses;
}

struct Reached {
  net::Fd fd;
  net::Address address;
};

Task<Reached> reach(net::Address address, async::Event& failed) {
  try {
    net::Fd fd = co_await net::connect(address);
    co_return Reached{std::move(fd), address};
  } catch (...) {
    failed.set();
    throw;
  }
}

Task<Reached> reach_from(const std::vector<net::Address>& addresses, std::size_t i);

// The next addresses' turn is when this one has failed, or has taken too long.
Task<Reached> reach_later(const std::vector<net::Address>& addresses, std::size_t i, async::Event& failed) {
  const auto wait = [](async::Event& event) -> Task<void> { co_await event.wait(); };
  try {
    co_await async::timeout(kAttemptDelay, wait(failed));
  } catch (const DeadlineExceeded&) {  // if it was the caller's, the next wait says so
  }
  co_return co_await reach_from(addresses, i);
}

Task<Reached> reach_from(const std::vector<net::Address>& addresses, std::size_t i) {
  async::Event failed;
  if (i + 1 == addresses.size()) co_return co_await reach(addresses[i], failed);
  co_return co_await async::any(reach(addresses[i], failed), reach_later(addresses, i + 1, failed));
}

Task<void> write_all(net::Transport& transport, std::string_view bytes) {
  while (!bytes.empty()) {
    const net::Io io = transport.write(bytes);
    if (io.state == net::Io::State::done) {
      bytes.remove_prefix(io.bytes);
    } else if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport.fd(), EPOLLOUT);
    } else {
      throw Unavailable("the proxy closed the connection");
    }
  }
}

// RFC 9110 §9.3.6
Task<void> tunnel(net::Transport& transport, const ClientRoute& route, std::size_t max_head) {
  const bool brackets = route.url.host.find(':') != std::string::npos;
  const std::string target =
      fmt::format("{}{}{}:{}", brackets ? "[" : "", route.url.host, brackets ? "]" : "", route.url.port);
  std::string request = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", target);
  if (!route.proxy->authorization.empty()) {
    request += fmt::format("Proxy-Authorization: {}\r\n", route.proxy->authorization);
  }
  co_await write_all(transport, request + "\r\n");
  std::string answer;
  for (;;) {
    std::array<char, 2048> bytes;
    const net::Io io = transport.read(bytes);
    if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport.fd(), EPOLLIN);
      continue;
    }
    if (io.state != net::Io::State::done) throw Unavailable("the proxy closed the connection before it answered");
    answer.append(bytes.data(), io.bytes);
    std::size_t used = 0;
    ResponseHead head = parse_response_head(answer, max_head, true);
    while (head.state == ResponseHead::State::complete && head.status < 200) {
      used += head.head_size;
      if (used > max_head) throw Hopeless("a bad answer from the proxy: interim answers without end");
      head = parse_response_head(std::string_view(answer).substr(used), max_head, true);
    }
    if (head.state == ResponseHead::State::refused) {
      throw Hopeless(fmt::format("a bad answer from the proxy: {}", head.refusal.detail));
    }
    if (head.state == ResponseHead::State::incomplete) continue;
    if (head.status == 407) throw Hopeless("the proxy wants credentials, or others (407)");
    if (head.status >= 300) throw Unavailable(fmt::format("the proxy answered CONNECT with {}", head.status));
    // The other side does not speak before TLS does: what is here already is not its.
    if (used + head.head_size != answer.size()) throw Hopeless("a bad answer from the proxy: bytes behind its head");
    co_return;
  }
}

}  // namespace

std::string ClientRoute::key() const {
  if (!unix_socket.empty()) return fmt::format("unix:{} {}", unix_socket, url.secure ? url.origin() : "http");
  if (forwarded()) return "proxy " + proxy->origin();
  if (proxy != nullptr) return fmt::format("{} by {}", url.origin(), proxy->origin());
  return url.origin();
}

Task<std::vector<net::Address>> ClientResolver::resolve(std::string host, std::uint16_t port) {
  if (const auto numeric = net::Address::ip(host, port)) co_return std::vector{*numeric};
  const std::string name = fmt::format("{}:{}", host, port);
  for (;;) {
    const async::TimePoint now = async::Clock::now();
    Entry& entry = entries_[name];
    if (!entry.addresses.empty() && entry.until > now) co_return entry.addresses;
    if (entry.looking == nullptr) break;
    const std::shared_ptr<async::Event> looking = entry.looking;
    co_await looking->wait();
  }
  const auto looking = std::make_shared<async::Event>();
  entries_[name].looking = looking;
  struct Done {  // also when the lookup fails or is cancelled: then the next one asks
    ClientResolver& resolver;
    const std::string& name;
    std::shared_ptr<async::Event> looking;
    ~Done() {
      const auto found = resolver.entries_.find(name);
      if (found != resolver.entries_.end()) {
        found->second.looking.reset();
        if (found->second.addresses.empty()) resolver.entries_.erase(found);
      }
      looking->set();
    }
  };
  const Done done{*this, name, looking};
  std::vector<net::Address> addresses = in_turn(co_await net::resolve(std::move(host), port));
  const async::TimePoint now = async::Clock::now();
  Entry& entry = entries_[name];
  entry.addresses = addresses;
  entry.until = now + believed_;
  if (entries_.size() > kMostNames) make_room(now);
  co_return addresses;
}

void ClientResolver::make_room(async::TimePoint now) {
  std::erase_if(entries_, [&](const auto& one) { return one.second.looking == nullptr && one.second.until <= now; });
  if (entries_.size() > kMostNames) {
    std::erase_if(entries_, [](const auto& one) { return one.second.looking == nullptr; });
  }
}

Task<ClientConnected> connect_client(const ClientRoute& route, const ClientOptions& options,
                                     std::shared_ptr<net::TlsContext> tls, std::vector<std::string> alpn,
                                     ClientResolver& resolver) {
  std::vector<net::Address> addresses;
  if (!route.unix_socket.empty()) {
    const auto address = net::Address::unix_path(route.unix_socket);
    if (!address) throw Invalid(fmt::format("'{}' is too long for a Unix socket", route.unix_socket));
    addresses.push_back(*address);
  } else if (route.proxy != nullptr) {
    addresses = co_await resolver.resolve(route.proxy->host, route.proxy->port);
  } else {
    addresses = co_await resolver.resolve(route.url.host, route.url.port);
    std::erase_if(addresses, [&](const net::Address& one) {
      const Destinations& may = options.destinations;
      return !(route.from_global ? may.allowed_from_global(route.url.host, one) : may.allowed(route.url.host, one)) ||
             !may.allowed(route.url.host, one);
    });
    if (addresses.empty()) throw DestinationRefused(route.url.host);
  }
  Reached reached = co_await reach_from(addresses, 0);
  const bool global = route.proxy == nullptr && scope_of(reached.address) == AddressScope::global;
  net::Transport transport(std::move(reached.fd));
  if (route.url.secure) {
    if (route.proxy != nullptr) co_await tunnel(transport, route, options.max_head);
    co_await transport.start_tls_client(std::move(tls), route.url.host, std::move(alpn));
  }
  co_return ClientConnected{std::move(transport), global};
}

}  // namespace ashlar::http::detail
