#include <ashlar/pg/connect_options.hpp>

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>

#include <ashlar/base/error.hpp>

namespace ashlar::pg {
namespace {

int hex(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text, std::string_view part) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
      throw Invalid(fmt::format("database URL: bad percent-encoding in its {}", part));
    const char c = static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    if (c == 0) throw Invalid(fmt::format("database URL: a NUL byte in its {}", part));
    out += c;
    i += 2;
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::uint16_t parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535)
    throw Invalid(fmt::format("database URL: {:?} is not a port", text));
  return static_cast<std::uint16_t>(port);
}

ConnectOptions::Host parse_host(std::string_view text) {
  ConnectOptions::Host out;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) throw Invalid("database URL: '[' without ']' in its host");
    out.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.starts_with(':')) out.port = parse_port(text.substr(1));
    return out;
  }
  const std::size_t colon = text.find(':');
  out.host = decode(text.substr(0, colon), "host");
  if (colon != std::string_view::npos && colon + 1 < text.size()) out.port = parse_port(text.substr(colon + 1));
  return out;
}

template <class Enum, std::size_t N>
Enum choose(std::string_view name, std::string_view value,
            const std::array<std::pair<std::string_view, Enum>, N>& values) {
  std::string known;
  for (const auto& [text, result] : values) {
    if (text == value) return result;
    known += known.empty() ? "" : ", ";
    known += text;
  }
  throw Invalid(fmt::format("database URL: {}={} is unknown; use one of {}", name, value, known));
}

std::string os_user() {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return entry.pw_name;
  return "postgres";
}

}  // namespace

std::string_view to_string(SslMode mode) noexcept {
  constexpr std::array<std::string_view, 5> kNames{"disable", "prefer", "require", "verify-ca", "verify-full"};
  return kNames[static_cast<std::size_t>(mode)];
}
std::string_view to_string(SessionAttributes session) noexcept {
  constexpr std::array<std::string_view, 6> kNames{"any",     "read-write", "read-only",
                                                   "primary", "standby",    "prefer-standby"};
  return kNames[static_cast<std::size_t>(session)];
}

ConnectOptions ConnectOptions::parse(std::string_view url) {
  ConnectOptions out;
  if (url.starts_with("postgresql://")) {
    url.remove_prefix(13);
  } else if (url.starts_with("postgres://")) {
    url.remove_prefix(11);
  } else {
    throw Invalid(
        "database URL: it must begin with postgresql://, for example postgresql://user:password@localhost/database");
  }
  std::string_view query;
  if (const std::size_t at = url.find('?'); at != std::string_view::npos) {
    query = url.substr(at + 1);
    url = url.substr(0, at);
  }
  std::string_view authority = url;
  if (const std::size_t at = url.find('/'); at != std::string_view::npos) {
    authority = url.substr(0, at);
    out.database = decode(url.substr(at + 1), "database name");
  }
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const std::size_t colon = user.find(':');
    out.user = decode(user.substr(0, colon), "user");
    if (colon != std::string_view::npos) out.password = decode(user.substr(colon + 1), "password");
  }
  if (!authority.empty()) {
    for (const std::string_view host : split(authority, ',')) out.hosts.push_back(parse_host(host));
  }
  std::vector<std::string> ports;
  if (!query.empty()) {
    for (const std::string_view pair : split(query, '&')) {
      if (pair.empty()) continue;
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) throw Invalid(fmt::format("database URL: {} has no value", pair));
      const std::string name = decode(pair.substr(0, equals), "parameters");
      const std::string value = decode(pair.substr(equals + 1), "parameters");
      if (name == "host") {
        out.hosts.clear();
        for (const std::string_view host : split(value, ',')) out.hosts.push_back({std::string(host), 5432});
      } else if (name == "port") {
        for (const std::string_view port : split(value, ',')) ports.emplace_back(port);
      } else if (name == "user") {
        out.user = value;
      } else if (name == "password") {
        out.password = value;
      } else if (name == "dbname") {
        out.database = value;
      } else if (name == "sslmode") {
        out.ssl_mode = choose<SslMode, 6>(name, value,
                                          {{{"disable", SslMode::disable},
                                            {"allow", SslMode::prefer},
                                            {"prefer", SslMode::prefer},
                                            {"require", SslMode::require},
                                            {"verify-ca", SslMode::verify_ca},
                                            {"verify-full", SslMode::verify_full}}});
      } else if (name == "sslrootcert") {
        out.ssl_root_cert = value;
      } else if (name == "sslcert") {
        out.ssl_cert = value;
      } else if (name == "sslkey") {
        out.ssl_key = value;
      } else if (name == "application_name") {
        out.application_name = value;
      } else if (name == "connect_timeout") {
        unsigned seconds = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
        if (error != std::errc{} || end != value.data() + value.size())
          throw Invalid(fmt::format("database URL: connect_timeout={} is not a number of seconds", value));
        out.connect_timeout = std::chrono::seconds(seconds);
      } else if (name == "target_session_attrs") {
        out.session = choose<SessionAttributes, 6>(name, value,
                                                   {{{"any", SessionAttributes::any},
                                                     {"read-write", SessionAttributes::read_write},
                                                     {"read-only", SessionAttributes::read_only},
                                                     {"primary", SessionAttributes::primary},
                                                     {"standby", SessionAttributes::standby},
                                                     {"prefer-standby", SessionAttributes::prefer_standby}}});
      } else if (name == "channel_binding" || name == "gssencmode") {
        // SCRAM-PLUS is used whenever TLS and the server allow it; GSS never
      } else {
        out.parameters.emplace_back(name, value);
      }
    }
  }
  if (out.hosts.empty()) {
    const char* folder = ::access("/var/run/postgresql", F_OK) == 0 ? "/var/run/postgresql" : "localhost";
    out.hosts.push_back({folder, 5432});
  }
  for (std::size_t i = 0; i < out.hosts.size() && !ports.empty(); ++i)
    out.hosts[i].port = parse_port(ports.size() == 1 ? ports[0] : ports.at(std::min(i, ports.size() - 1)));
  if (out.user.empty()) out.user = os_user();
  if (out.database.empty()) out.database = out.user;
  return out;
}

std::string ConnectOptions::to_string() const {
  std::string where;
  for (const Host& host : hosts) {
    if (!where.empty()) where += ",";
    where += fmt::format("{}:{}", host.host, host.port);
  }
  return fmt::format("postgresql://{}{}@{}/{}", user, password.empty() ? "" : ":***", where, database);
}

}  // namespace ashlar::pg
