// The rules of RFC 9112 §6 that requests and responses share: how a message says how long its body is.
#pragma once

#include <cstdint>
#include <string_view>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http::detail {

/// A Content-Length value: digits only, no list, no sign. An empty `detail` means that it is good.
[[nodiscard]] Refusal parse_length(std::string_view value, std::uint64_t& length) noexcept;

/// All Transfer-Encoding fields of a message. The only coding taken is a single, last chunked.
class TransferCodings {
 public:
  void add(std::string_view value) noexcept;
  /// An empty `detail` means exactly one chunked.
  [[nodiscard]] Refusal check() const noexcept;

 private:
  unsigned chunked_ = 0;
  bool other_ = false;
  bool empty_ = false;
  bool chunked_last_ = false;
};

/// uri-host [":" port] (RFC 9110 §7.2) with a host, as http and https demand it (§4.2.1): a name or IPv4 address whose
/// percent signs encode something, or an IPv6 address in brackets; a port up to 65535, or none behind the colon.
[[nodiscard]] bool valid_host(std::string_view host) noexcept;

/// Whether a field may come behind the body (RFC 9110 §6.5.1). `name` is a token.
[[nodiscard]] bool allowed_trailer(std::string_view name) noexcept;

}  // namespace ashlar::http::detail
