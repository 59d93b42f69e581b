// JSON Web Tokens (RFC 7519), signed (RFC 7515), as RFC 8725 says they are safe.
//
//   struct Session { std::string sub; std::vector<std::string> roles = {}; };
//
//   auth::Tokens tokens{{.keys = {auth::Key::hs256(settings.token_secret)}, .issuer = "blog", .audience = "blog"}};
//   std::string token = tokens.issue(Session{.sub = user.id.to_string()});
//   Session session = tokens.verify<Session>(token);    // throws TokenError: 401
//
// The claims are a struct: its members become the payload. `iss`, `aud`, `iat` and `exp` are added by themselves and
// checked by themselves; a struct that wants to see one has a member of that name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/auth/key.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::auth {

enum class TokenFault : std::uint8_t {
  malformed,  // not three parts of strict base64url, or JSON that is broken or has a member twice
  too_large,
  algorithm,    // not the one of the key, "none", an extension that must be understood (`crit`)
  type,         // `typ` is another than expected: an ID token used as an access token
  unknown_key,  // no key with this `kid`
  bad_signature,
  expired,
  not_yet_valid,  // `nbf` or `iat` lies in the future
  issuer,
  audience,
  claims,  // the claims do not fit the struct, or `exp` is missing
};
[[nodiscard]] std::string_view to_string(TokenFault fault) noexcept;

// Why a token was refused. The message names the fault in words a client may see, and nothing else.
class TokenError : public Unauthenticated {
 public:
  explicit TokenError(TokenFault fault);
  [[nodiscard]] TokenFault fault() const noexcept { return fault_; }

 private:
  TokenFault fault_;
};

struct TokenOptions {
  // The first that can sign signs; all verify. To rotate: publish the new one last, then move it to the front, and drop
  // the old one when its last token has expired.
  std::vector<Key> keys;
  std::string issuer = {};  // `iss`: written, and demanded, when set
  std::string audience =
      {};  // `aud`: written, and demanded, when set; a token with an audience is refused when not set
  std::chrono::seconds lifetime = std::chrono::minutes(15);
  std::chrono::seconds leeway = std::chrono::seconds(30);  // how far clocks may differ
  std::string type = "JWT";  // `typ`; another than "JWT" is demanded of every token ("at+jwt": RFC 9068)
  std::size_t max_bytes = 8 * 1024;
  std::chrono::system_clock::time_point (*now)() noexcept = nullptr;  // for tests; nullptr: the system's clock
};

// Issues and verifies. Immutable; any thread. HS256 takes about two microseconds, public keys 20 to 150.
class Tokens {
 public:
  // Throws Invalid: no keys, or two keys with one id.
  explicit Tokens(TokenOptions options);

  // A signed token that lives `lifetime` from now. A member of the struct named iss, aud, iat or exp is written as it
  // is, unless it is null. Throws Invalid when no key can sign.
  template <class Claims>
  [[nodiscard]] std::string issue(const Claims& claims) const {
    return issue(claims, options_.lifetime);
  }
  template <class Claims>
  [[nodiscard]] std::string issue(const Claims& claims, std::chrono::seconds lifetime) const {
    std::string json;
    schema::write_json(claims, json);
    return issue_json(json, lifetime);
  }

  // The claims of a token that is genuine, current, ours, and meant for us. Throws TokenError.
  template <class Claims>
  [[nodiscard]] Claims verify(std::string_view token) const {
    std::string payload = verify_json(token);
    try {
      return schema::parse_json<Claims>(payload);
    } catch (const Error&) {
      throw TokenError(TokenFault::claims);
    }
  }

  // The same with claims as a JSON object.
  [[nodiscard]] std::string issue_json(std::string_view claims, std::chrono::seconds lifetime) const;
  [[nodiscard]] std::string verify_json(std::string_view token) const;

  // For /.well-known/jwks.json.
  [[nodiscard]] std::string jwks() const { return auth::jwks(options_.keys); }
  [[nodiscard]] const TokenOptions& options() const noexcept { return options_; }

 private:
  [[nodiscard]] std::int64_t now() const noexcept;
  [[nodiscard]] bool signed_by_ours(std::string_view header, std::string_view message,
                                    std::string_view signature) const;
  void check_claims(std::string_view payload) const;

  TokenOptions options_;
  std::vector<std::string> headers_;  // of each key, encoded: what we write, and recognise without parsing
};

}  // namespace ashlar::auth
