// Where a handler's parameters come from, said by their types.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ashlar/net/peer_identity.hpp>
#include <ashlar/schema/fixed_string.hpp>

namespace ashlar {

/// Where a parameter stands that is not in the body.
enum class In : std::uint8_t { path, query, header, cookie };

namespace detail {

// A value that is used as the T it holds: derived from it where that is possible, converting where it is not.
template <class T, bool = std::is_class_v<T> && !std::is_final_v<T>>
struct Held : T {
  using T::T;
  Held() = default;
  Held(T value) : T(std::move(value)) {}  // NOLINT
  [[nodiscard]] T& get() noexcept { return *this; }
  [[nodiscard]] const T& get() const noexcept { return *this; }
};
template <class T>
struct Held<T, false> {
  T value{};
  Held() = default;
  constexpr Held(T v) : value(std::move(v)) {}                    // NOLINT
  constexpr operator const T&() const noexcept { return value; }  // NOLINT
  [[nodiscard]] constexpr T& get() noexcept { return value; }
  [[nodiscard]] constexpr const T& get() const noexcept { return value; }
};

template <class T>
concept NoStruct = !std::is_class_v<T>;

}  // namespace detail

/// One segment of the path: `Path<"id", std::int64_t> id` for `/users/{id}`; the rest of it for `{rest:path}`. The
/// route must have it, or the program does not compile. T is anything that can be read from text, with its constraints:
/// `Path<"id", Annotated<int, ge{1}>>`.
template <FixedString Name, class T = std::string>
struct Path : detail::Held<T> {
  using detail::Held<T>::Held;
  static constexpr std::string_view name = Name.view();
  using value_type = T;
};

/// The query string as a struct: each member one parameter, by its (wire) name; vectors take repeated ones.
template <class T>
struct Query : T {
  using value_type = T;
};
template <detail::NoStruct T>
struct Query<T> {};  // no parameter: the route says so

/// Headers as a struct: `std::string user_agent` is `User-Agent`.
template <class T>
struct Header : T {
  using value_type = T;
};
template <detail::NoStruct T>
struct Header<T> {};  // no parameter: the route says so

/// Cookies as a struct.
template <class T>
struct Cookie : T {
  using value_type = T;
};
template <detail::NoStruct T>
struct Cookie<T> {};  // no parameter: the route says so

/// An application/x-www-form-urlencoded body as a struct.
template <class T>
struct Form : T {
  using value_type = T;
};
template <detail::NoStruct T>
struct Form<T> {};  // no parameter: the route says so

/// A JSON body that is not a struct: `Body<std::vector<Item>> items`. A struct needs no wrapper.
template <class T>
struct Body : detail::Held<T> {
  using detail::Held<T>::Held;
  using value_type = T;
};

/// The credentials of `Authorization: <Scheme> <token>`. Missing or of another scheme: 401 with WWW-Authenticate; in
/// an std::optional: missing is nullopt. It checks nothing: that is for the dependency that takes it. The view lives as
/// long as the request.
template <FixedString Scheme>
struct Credentials {
  static constexpr std::string_view scheme = Scheme.view();
  std::string_view token;
};
using Bearer = Credentials<"Bearer">;

/// A key that the client sends with each request: `ApiKey<In::header, "X-API-Key"> key`. Missing or empty: 401; in an
/// std::optional: missing is nullopt. It checks nothing: that is for the dependency that takes it, with
/// equals_constant_time. In the query it ends up in logs of proxies: prefer a header. The view lives as long as the
/// request.
template <In Where, FixedString Name>
struct ApiKey {
  static constexpr std::string_view name = Name.view();
  std::string_view value;
};

/// What the route asks of who calls it: the scopes of every Security<…> in its parameters, its dependencies and the
/// routers around it, each once. For the dependency that knows what the caller may do. It lives as long as the
/// application.
struct SecurityScopes {
  std::span<const std::string> names;
  [[nodiscard]] auto begin() const noexcept { return names.begin(); }
  [[nodiscard]] auto end() const noexcept { return names.end(); }
  [[nodiscard]] bool empty() const noexcept { return names.empty(); }
};

/// Who the client is, by the certificate that it showed when it connected and that `--tls-client-ca` vouches for.
/// Missing: 403; in an std::optional: nullopt. Whether this client may do something is for the dependency that takes
/// it. What it refers to lives as long as the request.
struct ClientCertificate {
  const net::PeerIdentity* identity = nullptr;  ///< of a parameter: never null
  [[nodiscard]] const net::PeerIdentity& operator*() const noexcept { return *identity; }
  [[nodiscard]] const net::PeerIdentity* operator->() const noexcept { return identity; }
};

/// The Last-Event-ID of a client that connects to an event stream again; empty: it comes for the first time.
struct LastEventId : std::string {
  using std::string::string;
};

/// The result of a dependency: a plain function whose own parameters are bound in the same way. It runs once a request,
/// before the parameters of the handler are read; what it returns is destroyed when the handler has ended.
template <auto Function>
class Depends;

/// A Depends that asks for scopes, too: see depends.hpp.
template <auto Function, FixedString... Scopes>
class Security;

}  // namespace ashlar
