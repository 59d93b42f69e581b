#include <ashlar/auth/jwt.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include <ashlar/base/bytes.hpp>

namespace ashlar::auth {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// The clock of the tests: seconds since 1970.
std::int64_t t_now = 1'700'000'000;
std::chrono::system_clock::time_point test_now() noexcept {
  return std::chrono::system_clock::time_point(std::chrono::seconds(t_now));
}
struct At {
  std::int64_t before = t_now;
  explicit At(std::int64_t now) { t_now = now; }
  ~At() { t_now = before; }
};

const Key& hs256() {
  static const Key key = Key::hs256(Secret<>(std::string("0123456789abcdef0123456789abcdef")), "hs");
  return key;
}
const Key& rs256() {
  static const Key key = Key::generate(Algorithm::rs256, "rs");
  return key;
}
const Key& es256() {
  static const Key key = Key::generate(Algorithm::es256, "es");
  return key;
}
const Key& eddsa() {
  static const Key key = Key::generate(Algorithm::eddsa, "ed");
  return key;
}

Tokens tokens(std::vector<Key> keys, TokenOptions options = {}) {
  options.keys = std::move(keys);
  options.now = test_now;
  return Tokens(std::move(options));
}

// A token with any header and payload, signed with the key as it is asked for.
std::string forge(const Key& key, std::string_view header, std::string_view payload) {
  std::string token = base64url_encode(header) + "." + base64url_encode(payload);
  return token + "." + base64url_encode(key.sign(token));
}
constexpr std::string_view kHeader = R"({"alg":"HS256","kid":"hs"})";
constexpr std::string_view kPayload = R"({"sub":"1","exp":1700000100})";

std::optional<TokenFault> fault_of(const Tokens& tokens, std::string_view token) {
  try {
    static_cast<void>(tokens.verify_json(token));
    return std::nullopt;
  } catch (const TokenError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unauthenticated);
    return error.fault();
  }
}

class EveryKey : public testing::TestWithParam<const Key& (*)()> {};
INSTANTIATE_TEST_SUITE_P(Tokens, EveryKey, testing::Values(&hs256, &rs256, &es256, &eddsa),
                         [](const auto& info) { return std::string(to_string(info.param().algorithm())); });

TEST_P(EveryKey, IssuesWhatItVerifies) {
  Tokens ours = tokens({GetParam()()}, {.issuer = "blog", .audience = "readers", .lifetime = 60s});
  std::string token = ours.issue_json(R"({"sub":"42","roles":["admin"]})", 60s);
  EXPECT_EQ(ours.verify_json(token),
            R"({"sub":"42","roles":["admin"],"iss":"blog","aud":"readers","iat":1700000000,"exp":1700000060})");
}

TEST_P(EveryKey, RefusesEveryChangeOfOneCharacter) {
  Tokens ours = tokens({GetParam()()});
  std::string token = ours.issue_json(R"({"sub":"42"})", 60s);
  std::size_t step = token.size() > 400 ? 5 : 1;
  for (std::size_t i = 0; i < token.size(); i += step) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(fault_of(ours, changed)) << i;
  }
}

TEST_P(EveryKey, RefusesEveryTruncation) {
  Tokens ours = tokens({GetParam()()});
  std::string token = ours.issue_json(R"({"sub":"42"})", 60s);
  for (std::size_t size = 0; size < token.size(); size += 3) {
    EXPECT_TRUE(fault_of(ours, std::string_view(token).substr(0, size))) << size;
    EXPECT_TRUE(fault_of(ours, std::string_view(token).substr(token.size() - size))) << size;
  }
}

TEST_P(EveryKey, RefusesATokenOfAnotherKey) {
  Tokens ours = tokens({GetParam()()});
  for (const Key& other : {hs256(), rs256(), es256(), eddsa()}) {
    if (other.id() == GetParam()().id()) continue;
    EXPECT_EQ(fault_of(ours, tokens({other}).issue_json("{}", 60s)), TokenFault::unknown_key);
  }
}

struct Session {
  std::string sub;
  std::vector<std::string> roles = {};
  std::optional<std::int64_t> exp = {};
};

TEST(Tokens, CarryAStruct) {
  Tokens ours = tokens({hs256()}, {.issuer = "blog"});
  std::string token = ours.issue(Session{.sub = "42", .roles = {"a", "b"}}, 60s);
  Session session = ours.verify<Session>(token);
  EXPECT_EQ(session.sub, "42");
  EXPECT_EQ(session.roles, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(session.exp, 1'700'000'060) << "a struct sees the claims it has a member for";
}

TEST(Tokens, WriteAClaimAsTheStructHasIt) {
  Tokens ours = tokens({hs256()});
  EXPECT_EQ(ours.verify<Session>(ours.issue(Session{.sub = "42", .exp = 1'700'000'001}, 60s)).exp, 1'700'000'001);
}

TEST(Tokens, AreRefusedWhenTheirClaimsDoNotFitTheStruct) {
  Tokens ours = tokens({hs256()});
  for (std::string_view claims : {"{}", R"({"sub":{}})", R"({"sub":"1","roles":"admin"})"}) {
    try {
      static_cast<void>(ours.verify<Session>(ours.issue_json(claims, 60s)));
      ADD_FAILURE() << claims;
    } catch (const TokenError& error) {
      EXPECT_EQ(error.fault(), TokenFault::claims);
    }
  }
}

// ---- the examples of the standards ----

constexpr std::string_view kRfc7515Payload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

void expect_rfc7515_claims(const Key& key, std::string_view header, std::string_view signature) {
  At then(1'300'819'000);
  Tokens joes = tokens({key}, {.issuer = "joe"});
  std::string token = fmt::format("{}.{}.{}", header, kRfc7515Payload, signature);
  EXPECT_EQ(joes.verify_json(token),
            "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
  t_now = 1'300'819'380 + 30;
  EXPECT_EQ(fault_of(joes, token), TokenFault::expired);
}

TEST(Tokens, VerifyHs256OfRfc7515A1) {
  expect_rfc7515_claims(
      Key::from_jwk(
          R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})"),
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST(Tokens, VerifyRs256OfRfc7515A2) {
  expect_rfc7515_claims(
      Key::from_jwk(
          R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})"),
      "eyJhbGciOiJSUzI1NiJ9",
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
      "O8W2Fp5jujGbds9uJdbF9CUAr7t1d"
      "nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
      "xi12jzDwu"
      "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
      "IoypGlUPQGe77R"
      "w");
}

TEST(Tokens, VerifyEs256OfRfc7515A3) {
  expect_rfc7515_claims(
      Key::from_jwk(
          R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})"),
      "eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
}

// ---- attacks ----

TEST(TokenAttacks, AlgNone) {
  Tokens ours = tokens({hs256(), rs256()});
  for (std::string_view none : {"none", "None", "NONE", "nOnE", ""}) {
    for (std::string_view kid : {"", R"(,"kid":"hs")", R"(,"kid":"rs")"}) {
      std::string header = fmt::format(R"({{"alg":"{}"{}}})", none, kid);
      std::string token = base64url_encode(header) + "." + base64url_encode(kPayload) + ".";
      EXPECT_EQ(fault_of(ours, token), TokenFault::malformed);
      EXPECT_EQ(fault_of(ours, token + "AAAA"), TokenFault::algorithm);
    }
  }
}

TEST(TokenAttacks, PublicKeyAsHmacSecret) {
  Tokens ours = tokens({rs256().public_key()});
  for (const std::string& known : {rs256().to_jwk(), jwks({{rs256()}})}) {
    Key confused = Key::hs256(Secret<>(known), "rs");
    EXPECT_EQ(fault_of(ours, forge(confused, R"({"alg":"HS256","kid":"rs"})", kPayload)), TokenFault::algorithm);
    EXPECT_EQ(fault_of(ours, forge(confused, R"({"alg":"RS256","kid":"rs"})", kPayload)), TokenFault::bad_signature);
    EXPECT_EQ(fault_of(ours, forge(confused, R"({"alg":"HS256"})", kPayload)), TokenFault::algorithm);
  }
}

TEST(TokenAttacks, OtherAlgorithmOfTheSameKey) {
  for (std::string_view algorithm :
       {"HS384", "HS512", "RS256", "PS256", "ES256", "ES512", "EdDSA", "hs256", "HS256 "}) {
    std::string header = fmt::format(R"({{"alg":"{}","kid":"hs"}})", algorithm);
    EXPECT_EQ(fault_of(tokens({hs256(), rs256()}), forge(hs256(), header, kPayload)), TokenFault::algorithm)
        << algorithm;
  }
}

TEST(TokenAttacks, KeyIdOfAnotherKey) {
  Tokens ours = tokens({hs256(), rs256(), es256()});
  EXPECT_EQ(fault_of(ours, forge(hs256(), R"({"alg":"HS256","kid":"rs"})", kPayload)), TokenFault::algorithm);
  for (std::string_view kid : {"../../dev/null", "' or 1=1 --", "", "HS", "hs\\u0000"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), fmt::format(R"({{"alg":"HS256","kid":"{}"}})", kid), kPayload)),
              TokenFault::unknown_key)
        << kid;
  }
  for (std::string_view kid : {"7", "null", "[\"hs\"]", "{}"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), fmt::format(R"({{"alg":"HS256","kid":{}}})", kid), kPayload)),
              TokenFault::malformed)
        << kid;
  }
}

TEST(TokenAttacks, KeyInsideTheToken) {
  Tokens ours = tokens({es256().public_key()});
  Key evil = Key::generate(Algorithm::es256, "es");
  for (std::string_view extra :
       {R"("jku":"https://evil.example/jwks.json")", R"("x5u":"https://evil.example/cert.pem")", R"("x5c":["MIIB"])"}) {
    EXPECT_EQ(fault_of(ours, forge(evil, fmt::format(R"({{"alg":"ES256","kid":"es",{}}})", extra), kPayload)),
              TokenFault::bad_signature);
  }
  std::string header = fmt::format(R"({{"alg":"ES256","kid":"es","jwk":{}}})", evil.to_jwk());
  EXPECT_EQ(fault_of(ours, forge(evil, header, kPayload)), TokenFault::bad_signature);
}

TEST(TokenAttacks, PsychicSignatures) {
  // CVE-2022-21449: r and s zero; and their neighbours at the order of the group.
  Tokens ours = tokens({es256().public_key()});
  std::string message = base64url_encode(R"({"alg":"ES256","kid":"es"})") + "." + base64url_encode(kPayload);
  std::string order = *hex_decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  std::string zero(32, '\0');
  std::string one = std::string(31, '\0') + '\1';
  for (const std::string& raw :
       {zero + zero, zero + one, one + zero, order + order, one + order, order + one, one + one,
        std::string(64, '\xff'), zero, std::string(63, '\1'), std::string(65, '\1')}) {
    EXPECT_EQ(fault_of(ours, message + "." + base64url_encode(raw)), TokenFault::bad_signature);
  }
}

TEST(TokenAttacks, DerInsteadOfRawEcdsaSignature) {
  // A right signature in the wrong form: SEQUENCE of r and s.
  Tokens ours = tokens({es256()});
  std::string message = base64url_encode(R"({"alg":"ES256","kid":"es"})") + "." + base64url_encode(kPayload);
  std::string raw = es256().sign(message);
  auto integer = [](std::string bytes) {
    if ((bytes[0] & 0x80) != 0) bytes.insert(0, 1, '\0');
    return std::string("\x02") + static_cast<char>(bytes.size()) + bytes;
  };
  std::string both = integer(raw.substr(0, 32)) + integer(raw.substr(32));
  std::string der = std::string("\x30") + static_cast<char>(both.size()) + both;
  EXPECT_FALSE(fault_of(ours, message + "." + base64url_encode(raw)));
  EXPECT_EQ(fault_of(ours, message + "." + base64url_encode(der)), TokenFault::bad_signature);
}

TEST(TokenAttacks, SameTokenInAnotherSpelling) {
  Tokens ours = tokens({hs256()});
  std::string token = forge(hs256(), kHeader, kPayload);
  ASSERT_FALSE(fault_of(ours, token));
  // 32 bytes leave two stray bits in the last of 43 characters.
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::size_t last = kAlphabet.find(token.back());
  for (std::size_t bits = 1; bits < 4; ++bits) {
    std::string other = token;
    other.back() = kAlphabet[last ^ bits];
    EXPECT_EQ(fault_of(ours, other), TokenFault::malformed);
  }
  for (const std::string& other :
       {token + "=", token + " ", " " + token, token + "\n", token + std::string(1, '\0'), token + ".", "." + token}) {
    EXPECT_TRUE(fault_of(ours, other)) << other;
  }
  std::size_t dot = token.find('.');
  EXPECT_TRUE(fault_of(ours, token.substr(0, dot) + "=" + token.substr(dot)));
  EXPECT_TRUE(fault_of(ours, token.substr(0, dot) + "\r\n" + token.substr(dot)));
  // The other alphabet of base64: find a signature that needs it.
  for (int i = 0;; ++i) {
    std::string wordy = forge(hs256(), kHeader, fmt::format(R"({{"n":{},"exp":1700000100}})", i));
    if (std::size_t at = wordy.find_last_of("-_"); at != wordy.npos && at > wordy.rfind('.')) {
      wordy[at] = wordy[at] == '-' ? '+' : '/';
      EXPECT_EQ(fault_of(ours, wordy), TokenFault::malformed);
      break;
    }
  }
}

TEST(TokenAttacks, MembersThatAreThereTwice) {
  Tokens ours = tokens({hs256()});
  for (std::string_view header : {R"({"alg":"HS256","alg":"HS256"})", R"({"alg":"none","\u0061lg":"HS256"})",
                                  R"({"alg":"HS256","x":{"a":1,"a":2}})"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), header, kPayload)), TokenFault::malformed);
  }
  for (std::string_view payload : {R"({"sub":"1","sub":"2","exp":1700000100})", R"({"exp":1,"\u0065xp":1700000100})",
                                   R"({"exp":1700000100,"x":[{"a":1,"a":2}]})"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), kHeader, payload)), TokenFault::malformed);
  }
}

TEST(TokenAttacks, ExtensionsThatMustBeUnderstood) {
  Tokens ours = tokens({hs256()});
  for (std::string_view header :
       {R"({"alg":"HS256","crit":["exp"],"exp":1})", R"({"alg":"HS256","crit":[]})", R"({"alg":"HS256","crit":null})",
        R"({"alg":"HS256","b64":false,"crit":["b64"]})", R"({"alg":"HS256","b64":false})"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), header, kPayload)), TokenFault::algorithm) << header;
  }
}

TEST(TokenAttacks, GarbageThatIsSigned) {
  Tokens ours = tokens({hs256()});
  for (std::string_view header : {"", "x", "[]", "7", "{}", R"({"alg":7})", R"({"alg":["HS256"]})",
                                  R"({"alg":"HS256"}x)", "{\"alg\":\"HS256\xff\"}", R"({"alg":"HS256","typ":7})"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), header, kPayload)), TokenFault::malformed) << header;
  }
  for (std::string_view payload :
       {"", "x", "[]", "\"text\"", "{\"exp\":1700000100", "{\"exp\":1700000100,\"a\":\"\xff\"}"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), kHeader, payload)), TokenFault::malformed) << payload;
  }
  std::string deep = "{\"exp\":1700000100,\"a\":" + std::string(200, '[') + std::string(200, ']') + "}";
  EXPECT_EQ(fault_of(ours, forge(hs256(), kHeader, deep)), TokenFault::malformed);
  for (std::string_view token : {"", ".", "..", "...", "a.b", "a.b.c.d.e", "....", "eyJ.eyJ.eyJ"}) {
    EXPECT_EQ(fault_of(ours, token), TokenFault::malformed) << token;
  }
}

TEST(TokenAttacks, HugeTokensAreNotLookedAt) {
  EXPECT_EQ(fault_of(tokens({hs256()}), std::string(8193, 'A')), TokenFault::too_large);
}

TEST(TokenAttacks, ATokenOfAnotherPurpose) {
  Tokens access = tokens({hs256()}, {.type = "at+jwt"});
  EXPECT_FALSE(fault_of(access, access.issue_json("{}", 60s)));
  EXPECT_FALSE(fault_of(access, forge(hs256(), R"({"alg":"HS256","typ":"application/at+JWT"})", kPayload)));
  EXPECT_EQ(fault_of(access, forge(hs256(), kHeader, kPayload)), TokenFault::type);
  EXPECT_EQ(fault_of(access, tokens({hs256()}).issue_json("{}", 60s)), TokenFault::type);
  EXPECT_EQ(fault_of(tokens({hs256()}), access.issue_json("{}", 60s)), TokenFault::type);
}

// ---- claims ----

TEST(TokenClaims, EndAtTheirExpiryPlusLeeway) {
  Tokens ours = tokens({hs256()}, {.leeway = 30s});
  std::string token = ours.issue_json("{}", 60s);
  At then(1'700'000'060 + 29);
  EXPECT_FALSE(fault_of(ours, token));
  t_now = 1'700'000'060 + 30;
  EXPECT_EQ(fault_of(ours, token), TokenFault::expired);
}

TEST(TokenClaims, MustExpireAtANumber) {
  Tokens ours = tokens({hs256()});
  for (std::string_view payload :
       {R"({})", R"({"exp":null})", R"({"exp":"1700000100"})", R"({"exp":true})", R"({"exp":[1]})",
        R"({"exp":1700000100,"nbf":"0"})", R"({"exp":1700000100,"iat":{}})"}) {
    EXPECT_EQ(fault_of(ours, forge(hs256(), kHeader, payload)), TokenFault::claims) << payload;
  }
  EXPECT_FALSE(fault_of(ours, forge(hs256(), kHeader, R"({"exp":1700000100.5})")));
  EXPECT_EQ(fault_of(ours, forge(hs256(), kHeader, R"({"exp":-1})")), TokenFault::expired);
  EXPECT_EQ(fault_of(ours, forge(hs256(), kHeader, R"({"exp":-9223372036854775808})")), TokenFault::expired);
  EXPECT_FALSE(fault_of(ours, forge(hs256(), kHeader, R"({"exp":18446744073709551615})")));
}

TEST(TokenClaims, DoNotComeFromTheFuture) {
  Tokens ours = tokens({hs256()}, {.leeway = 30s});
  for (std::string_view claim : {"nbf", "iat"}) {
    auto token = [&](std::int64_t at) {
      return forge(hs256(), kHeader, fmt::format(R"({{"exp":1800000000,"{}":{}}})", claim, at));
    };
    EXPECT_FALSE(fault_of(ours, token(1'700'000'030)));
    EXPECT_EQ(fault_of(ours, token(1'700'000'031)), TokenFault::not_yet_valid);
  }
}

TEST(TokenClaims, AreOfOurIssuerForOurAudience) {
  Tokens ours = tokens({hs256()}, {.issuer = "us", .audience = "api"});
  auto with = [&](std::string_view claims) {
    return fault_of(ours, forge(hs256(), kHeader, fmt::format(R"({{"exp":1700000100{}}})", claims)));
  };
  EXPECT_EQ(with(R"(,"iss":"us","aud":"api")"), std::nullopt);
  EXPECT_EQ(with(R"(,"iss":"us","aud":["x","api"])"), std::nullopt);
  EXPECT_EQ(with(R"(,"iss":"them","aud":"api")"), TokenFault::issuer);
  EXPECT_EQ(with(R"(,"iss":["us"],"aud":"api")"), TokenFault::issuer);
  EXPECT_EQ(with(R"(,"aud":"api")"), TokenFault::issuer);
  EXPECT_EQ(with(R"(,"iss":"us")"), TokenFault::audience);
  EXPECT_EQ(with(R"(,"iss":"us","aud":"apis")"), TokenFault::audience);
  EXPECT_EQ(with(R"(,"iss":"us","aud":[])"), TokenFault::audience);
  EXPECT_EQ(with(R"(,"iss":"us","aud":7)"), TokenFault::claims);
  EXPECT_EQ(with(R"(,"iss":"us","aud":[7])"), TokenFault::claims);
  EXPECT_EQ(fault_of(tokens({hs256()}), forge(hs256(), kHeader, R"({"exp":1700000100,"aud":"api"})")),
            TokenFault::audience);
}

// ---- keys ----

TEST(TokenKeys, RotateByTheirId) {
  Key before = Key::generate(Algorithm::eddsa, "2025");
  Key after = Key::generate(Algorithm::eddsa, "2026");
  std::string old_token = tokens({before}).issue_json("{}", 60s);
  Tokens rotated = tokens({after, before.public_key()});
  EXPECT_FALSE(fault_of(rotated, old_token));
  std::string new_token = rotated.issue_json("{}", 60s);
  EXPECT_FALSE(fault_of(tokens({after.public_key()}), new_token));
  EXPECT_EQ(fault_of(tokens({before}), new_token), TokenFault::unknown_key);
  EXPECT_THAT(rotated.jwks(), HasSubstr("\"2025\""));
}

TEST(TokenKeys, WithoutAnIdAreAllTried) {
  Key a = Key::generate(Algorithm::hs256), b = Key::generate(Algorithm::hs256);
  Tokens both = tokens({a, b});
  EXPECT_FALSE(fault_of(both, tokens({a}).issue_json("{}", 60s)));
  EXPECT_FALSE(fault_of(both, tokens({b}).issue_json("{}", 60s)));
  EXPECT_EQ(fault_of(both, tokens({Key::generate(Algorithm::hs256)}).issue_json("{}", 60s)), TokenFault::bad_signature);
}

TEST(TokenKeys, MustBeThereAndDistinctAndOneMustSign) {
  EXPECT_THROW(tokens({}), Invalid);
  EXPECT_THROW(tokens({hs256(), hs256()}), Invalid);
  EXPECT_THROW(static_cast<void>(tokens({rs256().public_key()}).issue_json("{}", 60s)), Invalid);
}

TEST(Tokens, MayBeVerifiedOnManyThreadsAtOnce) {
  Tokens ours = tokens({hs256(), es256()});
  std::vector<std::string> all{ours.issue_json("{}", 60s), tokens({es256()}).issue_json("{}", 60s)};
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) {
          for (const std::string& token : all) good += ours.verify_json(token).size() > 2 ? 1 : 0;
        }
      });
    }
  }
  EXPECT_EQ(good, 160);
}

TEST(TokenError, SaysWhyAndNothingElse) {
  EXPECT_STREQ(TokenError(TokenFault::bad_signature).what(), "invalid token: bad signature");
  EXPECT_STREQ(TokenError(TokenFault::expired).what(), "invalid token: expired");
}

}  // namespace
}  // namespace ashlar::auth
