// The way of OpenSSL to a socket: as its own, but without a SIGPIPE when the other end is gone.
#pragma once

#include <openssl/bio.h>

namespace ashlar::net::detail {

/// For a non-blocking socket that stays its owner's. Null when there is no memory.
[[nodiscard]] BIO* make_socket_bio(int fd) noexcept;

}  // namespace ashlar::net::detail
