// CookieSession: a struct that a browser keeps between its requests, in a cookie that only the service can read.
//
//   struct Visitor { std::string name; std::vector<std::int64_t> cart; };
//   app.use(CookieSessions{{.secret = auth::local_secret("SHOP_SECRET")}});
//   app.post<"/cart">([](CookieSession<Visitor> session, Item item) { session->cart.push_back(item.id); });
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ashlar/app/detail/extract.hpp>
#include <ashlar/app/middleware.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar {

struct CookieSessionOptions {
  Secret<> secret;  ///< at least 32 bytes: auth::local_secret("SHOP_SECRET"), `openssl rand -base64 32`
  std::vector<Secret<>> earlier = {};  ///< of the secret's predecessors: what they sealed is still read
  std::string cookie = "session";      ///< over TLS with "__Host-" before it, so that no other host can set it
  std::chrono::seconds lifetime = std::chrono::days(14);  ///< from when it is written; renewed in the second half of it
};

/// For handlers that take a CookieSession. It is enciphered and authenticated (AES-SIV), so that who has the cookie can
/// neither read nor change it. It cannot be taken back, either: who copied it has it until it ends. Where that matters,
/// keep an id in it, and the rest in a database.
///
/// A cookie that is changed, too old or not ours is none. An answer whose session is new or other sets the cookie, one
/// whose session is as a new one (`*session = {}`) takes it away. A session of more than 3 KB does not fit in a cookie:
/// 500. Requests at once each change what they got: the last answer stays.
class CookieSessions final : public Middleware {
 public:
  /// Throws Invalid for a short secret, a lifetime that is none, and a name that no cookie can have.
  explicit CookieSessions(CookieSessionOptions options);
  bool before(http::Exchange& exchange) override;
  void after(http::Exchange& exchange) noexcept override;

  struct State;

 private:
  std::shared_ptr<const State> state_;
};

/// The session of the request; the same one for all who take it in one request, who must name the same type: a struct
/// with default values, kept as its JSON (members that are Secret or write_only are not kept). It lives as long as the
/// handler. The application uses CookieSessions, or the handler is answered with 500. What changes after the head of
/// the answer has gone, as in a WebSocket's handler, is lost, and said in the log.
template <class T>
class CookieSession {
 public:
  explicit CookieSession(T& value) noexcept : value_(&value) {}
  T* operator->() const noexcept { return value_; }
  T& operator*() const noexcept { return *value_; }

 private:
  T* value_;
};

namespace detail {

struct SessionNote;

/// From the cookie to a struct, and back at its end.
class SessionLink {
 public:
  using Write = std::string (*)(const void* value);

  SessionLink() = default;
  /// Notes what the value is now.
  ~SessionLink();
  SessionLink(const SessionLink&) = delete;
  SessionLink& operator=(const SessionLink&) = delete;

  /// True: the value was read into `own`, or there is none yet. False: it did not fit, and `own` may be anything.
  /// Throws Internal without CookieSessions, and when another type is taken in this request.
  bool begin(Call& call, const schema::TypeInfo& type, void* own, Write write);
  [[nodiscard]] void* value() const noexcept { return value_; }

 private:
  http::Exchange* exchange_ = nullptr;  // null: another one, earlier in this request, is alive
  SessionNote* note_ = nullptr;
  const schema::TypeInfo* type_ = nullptr;
  void* value_ = nullptr;
  Write write_ = nullptr;
};

template <class T>
struct Extractor<CookieSession<T>> {
  static_assert(schema::Reflected<T> && std::is_default_constructible_v<T>,
                "a session is a struct whose members have default values");
  struct Slot {
    T value{};
    SessionLink link;  // goes first
  };
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    const auto write = [](const void* value) { return schema::to_json(*static_cast<const T*>(value)); };
    if (!slot.link.begin(call, schema::type_info<T>(), &slot.value, write)) slot.value = T{};
  }
  static CookieSession<T> pass(const Slot& slot) { return CookieSession<T>(*static_cast<T*>(slot.link.value())); }
  static void describe(OperationInfo&) {}
};

}  // namespace detail
}  // namespace ashlar
