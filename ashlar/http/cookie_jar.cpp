#include <ashlar/http/cookie_jar.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/client_url.hpp>
#include <ashlar/http/detail/http_date.hpp>
#include <ashlar/http/known_header.hpp>
#include <ashlar/net/address.hpp>

namespace ashlar::http {
namespace {

using detail::ClientUrl;
using detail::trim;
using Clock = CookieJar::Clock;

constexpr auto kLongest = std::chrono::days{400};  // §5.5
constexpr std::size_t kLongestAttribute = 1024;

bool starts_ignoring_case(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// "within" in the sense of §5.1.3: the same, or below it at a dot.
bool domain_matches(std::string_view host, std::string_view domain) noexcept {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.' &&
         !net::Address::ip(host, 0);
}

bool path_matches(std::string_view path, std::string_view cookie) noexcept {
  if (!path.starts_with(cookie)) return false;
  return path.size() == cookie.size() || cookie.ends_with('/') || path[cookie.size()] == '/';
}

std::string_view path_of(const ClientUrl& url) noexcept {
  return std::string_view(url.target).substr(0, url.target.find('?'));
}

std::string_view default_path(const ClientUrl& url) noexcept {
  const std::string_view path = path_of(url);
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

std::optional<Clock::time_point> parse_max_age(std::string_view text, Clock::time_point now) noexcept {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || !detail::all(digits, detail::kDigit)) return std::nullopt;
  if (negative) return Clock::time_point::min();
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc()) seconds = std::chrono::seconds(kLongest).count();
  if (seconds == 0) return Clock::time_point::min();
  return now + std::min(std::chrono::seconds(seconds), std::chrono::seconds(kLongest));
}

struct Attributes {
  std::optional<std::string> domain;
  std::optional<std::string> path;
  std::optional<Clock::time_point> expires;
  std::optional<Clock::time_point> max_age;
  bool secure = false;
};

Attributes parse_attributes(std::string_view text, Clock::time_point now) {
  Attributes result;
  while (!text.empty()) {
    text.remove_prefix(1);  // the semicolon
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(end);
    const std::size_t equals = std::min(one.find('='), one.size());
    const std::string_view name = trim(one.substr(0, equals));
    std::string_view value = equals == one.size() ? std::string_view() : trim(one.substr(equals + 1));
    if (value.size() > kLongestAttribute) continue;
    if (equal_ignoring_case(name, "expires")) {
      if (const auto date = detail::parse_lenient_date(value)) result.expires = date;
    } else if (equal_ignoring_case(name, "max-age")) {
      if (const auto age = parse_max_age(value, now)) result.max_age = age;
    } else if (equal_ignoring_case(name, "domain")) {
      if (value.starts_with('.')) value.remove_prefix(1);
      result.domain = to_lower_ascii(value);
    } else if (equal_ignoring_case(name, "path")) {
      result.path.reset();
      if (value.starts_with('/')) result.path = value;
    } else if (equal_ignoring_case(name, "secure")) {
      result.secure = true;
    }
  }
  return result;
}

}  // namespace

void CookieJar::store(std::string_view url_text, std::string_view set_cookie, Clock::time_point now) {
  const ClientUrl url = ClientUrl::parse(url_text);
  const char* const end = set_cookie.data() + set_cookie.size();
  if (set_cookie.empty() || detail::skip_field_chars(set_cookie.data(), end) != end) return;

  const std::size_t semicolon = std::min(set_cookie.find(';'), set_cookie.size());
  const std::string_view pair = set_cookie.substr(0, semicolon);
  const std::size_t equals = pair.find('=');
  Cookie cookie;
  // Without a "=" it is a value without a name (§5.6).
  if (equals != std::string_view::npos) cookie.name = trim(pair.substr(0, equals));
  cookie.value = trim(equals == std::string_view::npos ? pair : pair.substr(equals + 1));
  if (cookie.name.size() + cookie.value.size() > limits_.size || (cookie.name.empty() && cookie.value.empty())) return;

  const Attributes attributes = parse_attributes(set_cookie.substr(semicolon), now);
  const auto expires = attributes.max_age ? attributes.max_age : attributes.expires;
  cookie.expires =
      std::min(expires.value_or(Clock::time_point::max()), expires ? now + kLongest : Clock::time_point::max());
  cookie.secure = attributes.secure;
  cookie.domain = url.host;
  if (attributes.domain && !attributes.domain->empty() && *attributes.domain != url.host) {
    if (attributes.domain->find('.') == std::string::npos || !domain_matches(url.host, *attributes.domain)) return;
    cookie.domain = *attributes.domain;
  }
  cookie.host_only = !attributes.domain || attributes.domain->empty() || net::Address::ip(url.host, 0).has_value();
  cookie.path = attributes.path ? *attributes.path : std::string(default_path(url));

  if (cookie.secure && !url.secure) return;
  // Also a value that looks so when it has no name: servers could not tell them apart.
  const std::string_view shown = cookie.name.empty() ? std::string_view(cookie.value) : std::string_view(cookie.name);
  if (starts_ignoring_case(shown, "__Secure-") && (cookie.name.empty() || !cookie.secure)) return;
  if (starts_ignoring_case(shown, "__Host-") &&
      (cookie.name.empty() || !cookie.secure || attributes.domain || cookie.path != "/" || !attributes.path)) {
    return;
  }

  const std::lock_guard lock(mutex_);
  std::erase_if(cookies_, [&](const Cookie& one) { return one.expires <= now; });
  if (!url.secure) {
    // What was set over TLS is not replaced from where anybody could write (§5.7, step 16).
    const bool guarded = std::ranges::any_of(cookies_, [&](const Cookie& one) {
      return one.secure && one.name == cookie.name && path_matches(cookie.path, one.path) &&
             (domain_matches(one.domain, cookie.domain) || domain_matches(cookie.domain, one.domain));
    });
    if (guarded) return;
  }
  cookie.created = cookie.used = ++events_;
  const auto same = std::ranges::find_if(cookies_, [&](const Cookie& one) {
    return one.name == cookie.name && one.domain == cookie.domain && one.host_only == cookie.host_only &&
           one.path == cookie.path;
  });
  if (same != cookies_.end()) {
    cookie.created = same->created;
    cookies_.erase(same);
  }
  if (cookie.expires <= now) return;
  make_room(cookie.domain);
  cookies_.push_back(std::move(cookie));
}

// Precondition: mutex_ is held.
void CookieJar::make_room(std::string_view domain) {
  const auto longest_unused = [&](auto&& among) {
    auto oldest = cookies_.end();
    for (auto one = cookies_.begin(); one != cookies_.end(); ++one) {
      if (among(*one) && (oldest == cookies_.end() || one->used < oldest->used)) oldest = one;
    }
    if (oldest != cookies_.end()) cookies_.erase(oldest);
  };
  const auto of_domain = [&](const Cookie& one) { return one.domain == domain; };
  if (static_cast<std::size_t>(std::ranges::count_if(cookies_, of_domain)) >= limits_.cookies_per_domain) {
    longest_unused(of_domain);
  }
  if (cookies_.size() >= limits_.cookies) longest_unused([](const Cookie&) { return true; });
}

std::string CookieJar::header(std::string_view url_text, Clock::time_point now) {
  const ClientUrl url = ClientUrl::parse(url_text);
  const std::string_view path = path_of(url);
  const std::lock_guard lock(mutex_);
  std::vector<Cookie*> sent;
  for (Cookie& one : cookies_) {
    const bool host = one.host_only ? one.domain == url.host : domain_matches(url.host, one.domain);
    if (host && one.expires > now && (!one.secure || url.secure) && path_matches(path, one.path)) sent.push_back(&one);
  }
  std::ranges::sort(sent, [](const Cookie* a, const Cookie* b) {
    return a->path.size() != b->path.size() ? a->path.size() > b->path.size() : a->created < b->created;
  });
  std::string line;
  ++events_;
  for (Cookie* const one : sent) {
    one->used = events_;
    if (!line.empty()) line += "; ";
    if (!one->name.empty()) line.append(one->name).append("=");
    line += one->value;
  }
  return line;
}

std::size_t CookieJar::size() const {
  const std::lock_guard lock(mutex_);
  return cookies_.size();
}

void CookieJar::clear() {
  const std::lock_guard lock(mutex_);
  cookies_.clear();
}

}  // namespace ashlar::http
