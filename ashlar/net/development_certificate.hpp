// A certificate for this machine alone, so that TLS can be had while developing.
#pragma once

#include <string>

#include <ashlar/base/time.hpp>

namespace ashlar::net {

struct DevelopmentCertificate {
  std::string certificate_file;  ///< for localhost, 127.0.0.1 and ::1, with its issuer
  std::string key_file;
  std::string authority_file;   ///< what a browser or client has to trust
  bool made_authority = false;  ///< now: nobody can trust it yet
};

/// Those in `folder`, made there when they are missing, cannot be used, or run out within 30 days. The authority is
/// good for ten years and can vouch for this machine's own names only, whoever gets hold of its key; the certificate
/// for 90 days. Keys are readable by their owner only. Two programs may do this at once. Throws Unavailable when the
/// folder cannot be written, saying which. Reads and writes files: not on a loop.
[[nodiscard]] DevelopmentCertificate development_certificate(const std::string& folder, DateTime now = DateTime::now());

}  // namespace ashlar::net
