// One HTTP request as a handler sees it: views into the bytes that arrived, nothing copied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <ashlar/http/known_header.hpp>

namespace ashlar::net {
class Address;
struct PeerIdentity;
}  // namespace ashlar::net

namespace ashlar::http {

enum class Method : std::uint8_t { get, head, post, put, del, connect, options, trace, patch, other };

/// `other` for a method that is not in the list; methods are case-sensitive (RFC 9110 §9.1).
[[nodiscard]] Method parse_method(std::string_view text) noexcept;
/// "GET"; empty for `other`.
[[nodiscard]] std::string_view to_string(Method method) noexcept;

enum class Version : std::uint8_t { http10, http11, http2 };

struct Header {
  std::string_view name;   ///< as sent
  std::string_view value;  ///< without the white space around it
};

/// Every view lives until the exchange is finished. Not copyable: a request is looked at where it is.
class Request {
 public:
  static constexpr std::size_t kMaxHeaders = 128;

  Method method = Method::get;
  Version version = Version::http11;
  bool keep_alive = true;         ///< the client lets the connection live after the answer (RFC 9112 §9.3)
  bool expects_continue = false;  ///< Expect: 100-continue; the server has dealt with it
  bool upgrade = false;           ///< Connection: upgrade, with an Upgrade header; HTTP/2: asks for a WebSocket
  std::string_view method_text;   ///< "GET"
  std::string_view target;        ///< the request-target as sent
  std::string_view path;          ///< starts with '/', still percent-encoded; "*" for OPTIONS *
  std::string_view query;         ///< after the '?', still encoded; empty when there is none
  std::string_view authority;     ///< Host, or the authority of an absolute-form target, which wins (RFC 9112 §3.2.2)
  std::string_view body;          ///< complete, chunks already joined
  std::string_view trailers;      ///< field lines behind the body, once it is read to its end: see trailer()
  const net::Address* peer = nullptr;  ///< the other end of the connection; null in a test without a socket
  bool secure = false;                 ///< came over TLS
  /// Who the client is, by the certificate that it showed and that was verified
  /// (net::TlsServerOptions::client_ca_file); null when it showed none.
  const net::PeerIdentity* client_certificate = nullptr;

  Request() noexcept = default;
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /// The first header with this name. O(1).
  [[nodiscard]] std::optional<std::string_view> header(KnownHeader known) const noexcept {
    const std::uint8_t at = first_[static_cast<std::size_t>(known)];
    if (at == 0) return std::nullopt;
    return headers_[at - 1].value;
  }
  /// The first header with this name, in any case. Linear in the number of headers when the name is not a known one.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;
  [[nodiscard]] bool has(KnownHeader known) const noexcept { return first_[static_cast<std::size_t>(known)] != 0; }

  /// The first trailer with this name, in any case (RFC 9110 §6.5): there when the body was chunked and is read to its
  /// end. Never one that frames, routes, authenticates or describes the message.
  [[nodiscard]] std::optional<std::string_view> trailer(std::string_view name) const noexcept;

  /// All headers in the order sent; repeated names appear as often as they came.
  [[nodiscard]] std::span<const Header> headers() const noexcept { return {headers_, count_}; }

  /// Calls f(name, value) for each.
  template <class F>
  void for_each_header(F&& f) const {
    for (const Header& header : headers()) f(header.name, header.value);
  }

  /// For those who make requests: the parser and the in-process test client.
  void clear() noexcept;
  /// Appends one; false when there is no room. `name` and `value` must outlive the request.
  bool add_header(std::string_view name, std::string_view value) noexcept {
    return add_header(name, value, find_known_header(name));
  }
  bool add_header(std::string_view name, std::string_view value, KnownHeader known) noexcept {
    if (count_ == room_ && !make_room()) [[unlikely]]
      return false;
    headers_[count_++] = {name, value};
    std::uint8_t& first = first_[static_cast<std::size_t>(known)];
    if (first == 0 && known != KnownHeader::other) first = static_cast<std::uint8_t>(count_);
    return true;
  }
  /// The bytes that the views of the head point into moved by this many bytes.
  void rebase(std::ptrdiff_t distance) noexcept;
  /// Moves the list of headers into `place`, which has room for just those there are, and gives the memory for more
  /// back: for a request that lives long (a WebSocket's). No header can be added before the next clear().
  void keep_headers_in(Header* place) noexcept;

 private:
  [[nodiscard]] bool make_room() noexcept;

  std::uint32_t count_ = 0;
  std::uint32_t room_ = 0;
  std::array<std::uint8_t, 64> first_{};  ///< 1 + index into headers_ by KnownHeader; 0: absent
  Header* headers_ = nullptr;             ///< own_, or what keep_headers_in() was given
  Header* own_ = nullptr;                 ///< kMaxHeaders of them, made when the first is added, then kept
};

}  // namespace ashlar::http
