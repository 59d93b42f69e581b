// A certificate with its chain, key and OCSP answer, as it is shown to the other end.
#pragma once

#include <string>
#include <vector>

#include <ashlar/net/detail/openssl.hpp>

namespace ashlar::net::detail {

struct Certificate {
  X509Ptr own;
  std::vector<X509Ptr> chain;  // from its issuer upwards
  KeyPtr key;
  std::vector<std::string> host_names;  // lower case
  DateTime not_after;
  std::string file;     // for messages
  std::string ocsp;     // DER; empty: none
  DateTime ocsp_until;  // after it, the answer is not shown any more

  /// Gives it to one connection or to all. Throws Invalid when OpenSSL does not take it, for example a key that is too
  /// small.
  void use_in(SSL_CTX* context) const;
  [[nodiscard]] bool use_in(SSL* connection) const noexcept;
};

/// `key_file` empty: the key is in the certificate's file. `ocsp_file` empty: none. Throws Invalid that names the file
/// and what to do when one cannot be read, the key belongs to another certificate, the certificate has expired or is
/// not valid yet, or the OCSP answer is not about it.
[[nodiscard]] Certificate load_certificate(const std::string& certificate_file, const std::string& key_file,
                                           const std::string& ocsp_file);

}  // namespace ashlar::net::detail
