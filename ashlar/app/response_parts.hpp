// Headers and cookies of an answer as parts of its type: With<T, Parts…>. What is in the type is in OpenAPI.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <ashlar/app/detail/respond.hpp>
#include <ashlar/http/response.hpp>
#include <ashlar/schema/fixed_string.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar {

/// When a browser sends a cookie with requests that pages of other sites make (RFC 6265bis, 5.2): with links that are
/// followed, never, or always, which needs `secure`.
enum class SameSite : std::uint8_t { lax, strict, none };

struct CookieOptions {
  std::optional<std::chrono::seconds> max_age = {};  ///< none: until the browser is closed
  std::string path = "/";
  std::string domain = {};   ///< empty: this host alone
  bool http_only = true;     ///< scripts do not see it
  bool secure = true;        ///< over TLS only, and to localhost
  bool partitioned = false;  ///< one for each site that embeds this one; needs `secure`
  SameSite same_site = SameSite::lax;
};

/// Adds a Set-Cookie. Throws Internal for what browsers would refuse or read as something else (RFC 6265, 4.1.1): a
/// name that is no token, white space, quotes, commas, semicolons and backslashes in the value (percent_encode it), a
/// path or domain with a semicolon, SameSite::none or `partitioned` without `secure`, and a __Host- or __Secure- name
/// without what it promises.
void set_cookie(http::Response& response, std::string_view name, std::string_view value,
                const CookieOptions& options = {});
/// Takes it away from the browser. `options`: path and domain as it was set with.
void remove_cookie(http::Response& response, std::string_view name, CookieOptions options = {});

/// A cookie that an answer sets, as a part of With: see set_cookie.
template <FixedString Name>
struct SetCookie {
  static constexpr std::string_view name = Name.view();
  std::string value;
  CookieOptions options = {};
  bool remove = false;  ///< as remove_cookie
};

/// An answer with headers and cookies that its type says. A part is a struct, whose members are headers
/// (`x_total_count` is X-Total-Count; a null is none, a list one for each element), a SetCookie, or an std::optional of
/// them:
///
///   struct Paging { std::uint64_t x_total_count; std::optional<std::string> link; };
///   app.get<"/books">([] { return With<std::vector<Book>, Paging>{books, {.x_total_count = 42}}; });
///   app.post<"/login">([](Form<Login> form) -> With<User, SetCookie<"session">> { … return {user, {token}}; });
///
/// Of several answers (std::variant, std::expected) each has its own: `std::expected<With<Book, Paging>, Problem>`.
template <class T, class... Parts>
struct With {
  using value_type = T;
  T value;
  std::tuple<Parts...> parts;
  With(T v, Parts... p) : value(std::move(v)), parts(std::move(p)...) {}  // NOLINT: meant to be implicit
};

namespace detail {

void write_header_part(Call& call, const schema::TypeInfo& type, const void* headers);
void write_cookie_part(Call& call, std::string_view name, std::string_view value, const CookieOptions& options,
                       bool remove);
void add_part(OperationInfo& info, std::size_t from, ResponsePartInfo part);

template <class P>
struct ResponsePart {
  static_assert(
      schema::Reflected<P>,
      "a part of With is a struct whose members are headers, SetCookie<\"name\">, or an std::optional of them");
  static void write(Call& call, const P& headers) { write_header_part(call, schema::type_info<P>(), &headers); }
  static ResponsePartInfo info() { return {.type = &schema::type_info<P>()}; }
};
template <FixedString Name>
struct ResponsePart<SetCookie<Name>> {
  static void write(Call& call, const SetCookie<Name>& cookie) {
    write_cookie_part(call, Name.view(), cookie.value, cookie.options, cookie.remove);
  }
  static ResponsePartInfo info() { return {.in = In::cookie, .name = std::string(Name.view())}; }
};
template <class P>
struct ResponsePart<std::optional<P>> {
  static void write(Call& call, const std::optional<P>& part) {
    if (part) ResponsePart<P>::write(call, *part);
  }
  static ResponsePartInfo info() {
    ResponsePartInfo info = ResponsePart<P>::info();
    info.required = false;
    return info;
  }
};

template <class T, class... Parts>
struct Respond<With<T, Parts...>> {
  static_assert(
      !std::is_base_of_v<Problem, T> && !kIs<T, std::variant> && !kIs<T, std::expected>,
      "With is one answer: put it into the std::variant or std::expected, not around; a Problem has headers of "
      "its own");
  static constexpr bool kLater = kRespondsLater<T>;
  static Task<void> write_later(Call& call, With<T, Parts...> answer) {
    co_await respond_later<T>(call, std::move(answer.value));
    write_parts(call, answer.parts);
  }
  static void write(Call& call, With<T, Parts...> answer) {
    Respond<T>::write(call, std::move(answer.value));
    write_parts(call, answer.parts);
  }
  static void describe(OperationInfo& info) {
    const std::size_t before = info.responses.size();
    Respond<T>::describe(info);
    (add_part(info, before, ResponsePart<Parts>::info()), ...);
  }

 private:
  static void write_parts(Call& call, const std::tuple<Parts...>& parts) {
    std::apply([&](const Parts&... part) { (ResponsePart<Parts>::write(call, part), ...); }, parts);
  }
};

}  // namespace detail
}  // namespace ashlar
