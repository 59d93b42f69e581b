// Who the other end of a TLS connection is, as its certificate says.
#pragma once

#include <string>
#include <vector>

#include <ashlar/base/time.hpp>

namespace ashlar::net {

/// Taken from a certificate that was verified against the authorities of the context. A value: it refers to nothing.
struct PeerIdentity {
  std::string subject;                 ///< RFC 2253, the most specific part first: "CN=billing,O=Example"
  std::string common_name;             ///< the last CN of the subject; empty when it has none
  std::string issuer;                  ///< RFC 2253
  std::vector<std::string> dns_names;  ///< of the subject's alternative names, as written
  std::vector<std::string> uris;       ///< "spiffe://example.org/billing"
  std::vector<std::string> emails;
  std::string fingerprint;  ///< SHA-256 of the certificate, lower-case hexadecimal
  std::string serial;       ///< lower-case hexadecimal; unique for one issuer
  DateTime not_after;
};

}  // namespace ashlar::net
