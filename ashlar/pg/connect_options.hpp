// ConnectOptions: where the server is and how to reach it, from a postgresql:// URL.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::pg {

enum class SslMode : std::uint8_t { disable, prefer, require, verify_ca, verify_full };
enum class SessionAttributes : std::uint8_t { any, read_write, read_only, primary, standby, prefer_standby };
/// As libpq's URLs and environment have it: "verify-full", "read-write".
[[nodiscard]] std::string_view to_string(SslMode mode) noexcept;
[[nodiscard]] std::string_view to_string(SessionAttributes session) noexcept;

struct ConnectOptions {
  struct Host {
    std::string host;  ///< name, address, or a folder (begins with '/') that holds the server's unix socket
    std::uint16_t port = 5432;
    friend bool operator==(const Host&, const Host&) = default;
  };
  std::vector<Host> hosts;  ///< tried in order
  std::string user;
  std::string password;  ///< never printed: see to_string()
  std::string database;
  std::string application_name = "ashlar";
  SslMode ssl_mode = SslMode::prefer;
  std::string ssl_root_cert;  ///< file with the certificates to trust; empty: the system's
  std::string ssl_cert;       ///< client certificate and key
  std::string ssl_key;
  SessionAttributes session = SessionAttributes::any;
  std::chrono::milliseconds connect_timeout = std::chrono::seconds{5};
  std::vector<std::pair<std::string, std::string>>
      parameters;  ///< sent at start: `search_path`, `statement_timeout`, …

  /// postgresql://user:password@host:port,host2/database?sslmode=verify-full&host=/run/postgresql&…
  /// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). Throws Invalid naming the part
  /// that is wrong; the message never holds the password.
  [[nodiscard]] static ConnectOptions parse(std::string_view url);
  /// The same as a URL with the password masked, for logs.
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] static bool is_unix(const Host& host) noexcept { return host.host.starts_with('/'); }
};

}  // namespace ashlar::pg
