// What every context, of clients and servers, has in common.
#pragma once

#include <ashlar/net/detail/openssl.hpp>

namespace ashlar::net::detail {

/// TLS 1.2 and 1.3, without compression and renegotiation. Throws Internal when OpenSSL gives none.
[[nodiscard]] ContextPtr make_context(const SSL_METHOD* method);

/// Whether the peer has said that it ends its side (close_notify), so that nothing was cut off.
[[nodiscard]] bool has_ended_in_order(const SSL* ssl) noexcept;

}  // namespace ashlar::net::detail
