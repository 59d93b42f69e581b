#include <ashlar/auth/jwt.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <ashlar/auth/detail/strict_json.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/clock.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::auth {
namespace {

using detail::member;
using detail::text_member;
using simdjson::dom::element;
using simdjson::dom::object;

[[noreturn]] void refuse(TokenFault fault) { throw TokenError(fault); }

struct Parts {
  std::string_view header, payload, signature;
  std::string_view message;  // what is signed: header "." payload
};

Parts split(std::string_view token) {
  std::size_t first = token.find('.');
  std::size_t second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) refuse(TokenFault::malformed);
  return {token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
          token.substr(0, second)};
}

// One spelling of every token: what is denied or cached by its text cannot come back in another.
std::string decode(std::string_view part) {
  auto bytes = part.empty() || part.find('=') != part.npos ? std::nullopt : base64url_decode(part);
  if (!bytes) refuse(TokenFault::malformed);
  return std::move(*bytes);
}

// RFC 7519 §2 NumericDate: seconds, perhaps with a fraction.
std::optional<double> date(const object& claims, std::string_view name) {
  auto value = member(claims, name);
  if (!value) return std::nullopt;
  double seconds = 0;
  if (value->get_double().get(seconds) != simdjson::SUCCESS || !std::isfinite(seconds)) refuse(TokenFault::claims);
  return seconds;
}

bool names_audience(const element& value, std::string_view audience) {
  std::string_view text;
  if (value.get_string().get(text) == simdjson::SUCCESS) return text == audience;
  simdjson::dom::array list;
  if (value.get_array().get(list) != simdjson::SUCCESS) refuse(TokenFault::claims);
  for (element item : list) {
    if (item.get_string().get(text) != simdjson::SUCCESS) refuse(TokenFault::claims);
    if (text == audience) return true;
  }
  return false;
}

std::string_view media_type(std::string_view type) {
  constexpr std::string_view kPrefix = "application/";  // RFC 7515 §4.1.9: may be left out
  return type.size() > kPrefix.size() && equals_ignore_case(type.substr(0, kPrefix.size()), kPrefix)
             ? type.substr(kPrefix.size())
             : type;
}

}  // namespace

std::string_view to_string(TokenFault fault) noexcept {
  switch (fault) {
    case TokenFault::malformed:
      return "malformed";
    case TokenFault::too_large:
      return "too large";
    case TokenFault::algorithm:
      return "algorithm not accepted";
    case TokenFault::type:
      return "not the expected type";
    case TokenFault::unknown_key:
      return "unknown key";
    case TokenFault::bad_signature:
      return "bad signature";
    case TokenFault::expired:
      return "expired";
    case TokenFault::not_yet_valid:
      return "not yet valid";
    case TokenFault::issuer:
      return "not the expected issuer";
    case TokenFault::audience:
      return "not the expected audience";
    case TokenFault::claims:
      return "unexpected claims";
  }
  return "malformed";
}

TokenError::TokenError(TokenFault fault)
    : Unauthenticated(fmt::format("invalid token: {}", to_string(fault))), fault_(fault) {}

Tokens::Tokens(TokenOptions options) : options_(std::move(options)) {
  if (options_.keys.empty()) throw Invalid("tokens need at least one key");
  for (const Key& key : options_.keys) {
    bool twice = std::ranges::count_if(options_.keys, [&](const Key& other) { return other.id() == key.id(); }) > 1;
    if (twice && !key.id().empty()) throw Invalid("tokens have two keys with one id");
    std::string header = fmt::format(R"({{"alg":"{}")", to_string(key.algorithm()));
    if (!key.id().empty()) header += fmt::format(R"(,"kid":"{}")", key.id());
    header += R"(,"typ":)";
    detail::append_json_string(options_.type, header);
    header.push_back('}');
    headers_.push_back(base64url_encode(header));
  }
}

std::int64_t Tokens::now() const noexcept {
  auto time = options_.now != nullptr ? options_.now() : SystemClock::now();
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string Tokens::issue_json(std::string_view claims, std::chrono::seconds lifetime) const {
  auto signer = std::ranges::find_if(options_.keys, &Key::can_sign);
  if (signer == options_.keys.end()) throw Invalid("no key can sign: give a secret or a private key");
  auto given = detail::parse_strict_object(claims);
  if (!given) throw Internal("the claims of a token must be a JSON object without a member twice");

  std::string payload = "{";
  auto name = [&](std::string_view text) {
    if (payload.size() > 1) payload.push_back(',');
    detail::append_json_string(text, payload);
    payload.push_back(':');
  };
  for (auto [key, value] : *given) {
    if (value.is_null()) continue;  // a claim without a value is no claim
    name(key);
    payload += simdjson::minify(value);
  }
  auto add_text = [&](std::string_view claim, std::string_view value) {
    if (value.empty() || member(*given, claim)) return;
    name(claim);
    detail::append_json_string(value, payload);
  };
  auto add_time = [&](std::string_view claim, std::int64_t value) {
    if (member(*given, claim)) return;
    name(claim);
    payload += std::to_string(value);
  };
  std::int64_t time = now();
  add_text("iss", options_.issuer);
  add_text("aud", options_.audience);
  add_time("iat", time);
  add_time("exp", time + lifetime.count());
  payload.push_back('}');

  std::string token = headers_[static_cast<std::size_t>(signer - options_.keys.begin())];
  token.push_back('.');
  token += base64url_encode(payload);
  std::string signature = signer->sign(token);
  token.push_back('.');
  token += base64url_encode(signature);
  return token;
}

bool Tokens::signed_by_ours(std::string_view header, std::string_view message, std::string_view signature) const {
  for (std::size_t i = 0; i < headers_.size(); ++i) {
    if (headers_[i] == header) {
      const Key& key = options_.keys[i];
      if (!key.id().empty()) return key.verify(message, signature);
      break;  // without an id another key may be meant
    }
  }

  std::string json = decode(header);
  auto fields = detail::parse_strict_object(json);
  if (!fields) refuse(TokenFault::malformed);
  // RFC 7515 §4.1.11: what must be understood and is not. RFC 7797: another way to sign.
  if (fields->at_key("crit").error() == simdjson::SUCCESS || fields->at_key("b64").error() == simdjson::SUCCESS) {
    refuse(TokenFault::algorithm);
  }
  auto algorithm = text_member(*fields, "alg");
  if (!algorithm) refuse(TokenFault::malformed);
  auto type = text_member(*fields, "typ");
  if (member(*fields, "typ") && !type) refuse(TokenFault::malformed);
  if (type ? !equals_ignore_case(media_type(*type), media_type(options_.type)) : options_.type != "JWT") {
    refuse(TokenFault::type);
  }
  auto id = text_member(*fields, "kid");
  if (fields->at_key("kid").error() == simdjson::SUCCESS && !id) refuse(TokenFault::malformed);
  // `jwk`, `jku`, `x5u` and `x5c` are never looked at: a token does not choose its own judge.

  bool known = false;
  bool fits = false;
  for (const Key& key : options_.keys) {
    // A key without an id of its own takes tokens with any: there is nothing to tell them by.
    if (id && !key.id().empty() && key.id() != *id) continue;
    known = true;
    if (*algorithm != to_string(key.algorithm())) continue;
    fits = true;
    if (key.verify(message, signature)) return true;
  }
  if (!known) refuse(TokenFault::unknown_key);
  if (!fits) refuse(TokenFault::algorithm);
  return false;
}

void Tokens::check_claims(std::string_view payload) const {
  auto claims = detail::parse_strict_object(payload);
  if (!claims) refuse(TokenFault::malformed);
  auto time = static_cast<double>(now());
  auto leeway = static_cast<double>(options_.leeway.count());
  auto expires = date(*claims, "exp");
  if (!expires) refuse(TokenFault::claims);
  if (time >= *expires + leeway) refuse(TokenFault::expired);
  if (auto from = date(*claims, "nbf"); from && time + leeway < *from) refuse(TokenFault::not_yet_valid);
  if (auto issued = date(*claims, "iat"); issued && time + leeway < *issued) refuse(TokenFault::not_yet_valid);
  if (!options_.issuer.empty() && text_member(*claims, "iss") != options_.issuer) refuse(TokenFault::issuer);
  // RFC 7519 §4.1.3: a token with audiences is for those only.
  auto audience = member(*claims, "aud");
  if (audience.has_value() != !options_.audience.empty()) refuse(TokenFault::audience);
  if (audience && !names_audience(*audience, options_.audience)) refuse(TokenFault::audience);
}

std::string Tokens::verify_json(std::string_view token) const {
  if (token.size() > options_.max_bytes) refuse(TokenFault::too_large);
  Parts parts = split(token);
  std::string signature = decode(parts.signature);
  if (!signed_by_ours(parts.header, parts.message, signature)) refuse(TokenFault::bad_signature);
  std::string payload = decode(parts.payload);
  check_claims(payload);
  return payload;
}

}  // namespace ashlar::auth
