// What is counted of TLS handshakes, and why one failed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/base/time.hpp>

namespace ashlar::net {

/// Why a handshake failed.
enum class TlsFailure : std::uint8_t {
  none,
  plain_http,            ///< the client spoke HTTP without TLS
  version,               ///< no protocol version that both accept
  cipher,                ///< no cipher, curve or signature that both accept
  application_protocol,  ///< none of the offers (ALPN) is spoken here
  certificate,           ///< the peer showed no certificate, or one that is not trusted
  refused_by_peer,       ///< its alert: it does not trust our certificate, for example
  peer_gone,             ///< left before the end
  cancelled,             ///< took too long, or was given up
  malformed,             ///< anything else that is not TLS
};
inline constexpr std::size_t kTlsFailures = 10;

/// As written above: "plain_http".
[[nodiscard]] std::string_view to_string(TlsFailure failure) noexcept;

/// Of one context, over all loops and reloads.
struct TlsStats {
  std::uint64_t handshakes_tls12 = 0;                ///< completed
  std::uint64_t handshakes_tls13 = 0;                ///< completed
  std::uint64_t resumed = 0;                         ///< of those, without a new exchange of certificates
  std::array<std::uint64_t, kTlsFailures> failed{};  ///< by TlsFailure
  std::uint64_t reloads = 0;
  std::uint64_t failed_reloads = 0;  ///< the certificate before it stayed in use
};

/// A certificate in use.
struct TlsCertificateInfo {
  std::string file;
  DateTime not_after;
};

}  // namespace ashlar::net
