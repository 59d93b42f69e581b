// Makes certificates: for development, and for tests. ECDSA on P-256, signed with SHA-256.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <ashlar/base/time.hpp>

namespace ashlar::net::detail {

struct CertificateRequest {
  std::string common_name;
  std::string organization{};
  /// As OpenSSL's configuration writes them: "DNS:localhost", "IP:127.0.0.1", "URI:spiffe://a/b", "email:a@b.example".
  std::vector<std::string> names{};
  DateTime not_before{};
  DateTime not_after{};
  bool authority = false;  ///< signs others
  /// Of an authority: the only names that those it signs may have, written as names are; "IP:127.0.0.0/255.0.0.0".
  std::vector<std::string> permitted{};
};

struct IssuedCertificate {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM, PKCS #8, in the clear
};

/// Signed by `issuer`, or by itself when that is null. Throws Internal when OpenSSL refuses.
[[nodiscard]] IssuedCertificate issue(const CertificateRequest& request, const IssuedCertificate* issuer = nullptr);

}  // namespace ashlar::net::detail
