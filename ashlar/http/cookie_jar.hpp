// The cookies that a client keeps, by RFC 6265 as its revision (draft-ietf-httpbis-rfc6265bis) tightened it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/clock.hpp>

namespace ashlar::http {

struct CookieJarLimits {
  std::size_t cookies = 3000;           ///< beyond it the ones used longest ago go
  std::size_t cookies_per_domain = 50;  ///< likewise
  std::size_t size = 4096;              ///< bytes of a name and its value together; larger ones are not kept
};

/// Give it to a client as ClientOptions::cookies. May be shared by clients and threads.
///
/// Domain, path, Secure, expiry and the prefixes __Host- and __Secure- are honoured; HttpOnly and SameSite are for
/// browsers and say nothing to a client. There is no list of public suffixes: a Domain of one label ("com") is refused,
/// one such as "co.uk" is not. Use a jar a site where sites do not trust each other.
class CookieJar {
 public:
  using Clock = SystemClock;

  explicit CookieJar(CookieJarLimits limits = {}) : limits_(limits) {}

  /// Keeps what a Set-Cookie field of the answer from this URL says; what it may not say is ignored (§5.6 and §5.7).
  void store(std::string_view url, std::string_view set_cookie, Clock::time_point now = Clock::now());
  /// The Cookie field for a request to this URL; empty when there is none.
  [[nodiscard]] std::string header(std::string_view url, Clock::time_point now = Clock::now());

  [[nodiscard]] std::size_t size() const;
  void clear();

 private:
  struct Cookie {
    std::string name, value, domain, path;
    Clock::time_point expires;
    std::uint64_t created = 0;  // both in the order of the jar's events
    std::uint64_t used = 0;
    bool host_only = true;
    bool secure = false;
  };
  void make_room(std::string_view domain);

  const CookieJarLimits limits_;
  mutable std::mutex mutex_;
  std::vector<Cookie> cookies_;
  std::uint64_t events_ = 0;
};

}  // namespace ashlar::http
