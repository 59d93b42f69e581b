// From a certificate to who it names.
#pragma once

#include <string>
#include <vector>

#include <ashlar/net/detail/openssl.hpp>
#include <ashlar/net/peer_identity.hpp>

namespace ashlar::net::detail {

[[nodiscard]] PeerIdentity identity_of(const X509* certificate);

/// The DNS names among the subject's alternative names, lower case. Nothing else names a host (RFC 9525 §2).
[[nodiscard]] std::vector<std::string> host_names_of(const X509* certificate);

}  // namespace ashlar::net::detail
