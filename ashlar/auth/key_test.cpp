#include <ashlar/auth/key.hpp>

#include <initializer_list>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::auth {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string refusal(auto make) {
  try {
    make();
  } catch (const Invalid& error) {
    return error.message();
  }
  return "accepted";
}

constexpr std::string_view kRfc7638Modulus =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
    "BJECPebWKRXjBZCiFV4n3oknjhMst"
    "n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
    "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
    "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
// RFC 7515 A.3.1.
constexpr std::string_view kEcX = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
constexpr std::string_view kEcY = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
constexpr std::string_view kEcD = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
// RFC 8037 A.1.
constexpr std::string_view kEdD = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
constexpr std::string_view kEdX = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

std::string jwk(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  std::string json = "{";
  for (auto [name, value] : members) {
    if (json.size() > 1) json += ",";
    json += "\"" + std::string(name) + "\":\"" + std::string(value) + "\"";
  }
  return json + "}";
}

class EveryAlgorithm : public testing::TestWithParam<Algorithm> {};
INSTANTIATE_TEST_SUITE_P(Keys, EveryAlgorithm,
                         testing::Values(Algorithm::hs256, Algorithm::rs256, Algorithm::es256, Algorithm::eddsa),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST_P(EveryAlgorithm, SignsWhatItVerifiesAndNothingElse) {
  Key key = Key::generate(GetParam(), "k1");
  EXPECT_EQ(key.algorithm(), GetParam());
  EXPECT_EQ(key.id(), "k1");
  std::string signature = key.sign("message");
  EXPECT_TRUE(key.verify("message", signature));
  EXPECT_FALSE(key.verify("Message", signature));
  EXPECT_FALSE(key.verify("message", ""));
  EXPECT_FALSE(key.verify("message", signature + "x"));
  EXPECT_FALSE(key.verify("message", std::string_view(signature).substr(1)));
  EXPECT_FALSE(key.verify("message", std::string(signature.size(), '\0')));
  EXPECT_FALSE(key.verify("message", std::string(signature.size(), '\xff')));
  for (std::size_t i = 0; i < signature.size(); i += 7) {
    std::string changed = signature;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(key.verify("message", changed)) << i;
  }
  EXPECT_FALSE(Key::generate(GetParam()).verify("message", signature));
}

TEST_P(EveryAlgorithm, HasAPublicHalfThatOnlyVerifies) {
  Key key = Key::generate(GetParam());
  if (GetParam() == Algorithm::hs256) {
    EXPECT_THAT(refusal([&] { return key.public_key(); }), HasSubstr("is a secret"));
    EXPECT_THAT(refusal([&] { return key.to_jwk(); }), HasSubstr("is a secret"));
    EXPECT_THAT(refusal([&] { return key.to_private_pem(); }), HasSubstr("no private part"));
    return;
  }
  Key half = key.public_key();
  EXPECT_TRUE(key.can_sign());
  EXPECT_FALSE(half.can_sign());
  EXPECT_EQ(half.id(), key.id());
  EXPECT_TRUE(half.verify("message", key.sign("message")));
  EXPECT_THAT(refusal([&] { return half.sign("message"); }), HasSubstr("cannot sign"));
  EXPECT_THAT(refusal([&] { return half.to_private_pem(); }), HasSubstr("no private part"));
}

TEST_P(EveryAlgorithm, SurvivesJwkAndPem) {
  if (GetParam() == Algorithm::hs256) return;
  Key key = Key::generate(GetParam());
  std::string json = key.to_jwk();
  EXPECT_THAT(json, Not(HasSubstr("\"d\"")));
  Key half = Key::from_jwk(json);
  EXPECT_FALSE(half.can_sign());
  EXPECT_EQ(half.id(), key.id());
  Key whole = Key::from_pem(key.to_private_pem().reveal());
  EXPECT_TRUE(whole.can_sign());
  EXPECT_EQ(whole.id(), key.id()) << "the id is the thumbprint of the public key";
  EXPECT_TRUE(half.verify("message", whole.sign("message")));
}

TEST(Key, TakesItsIdFromTheThumbprintOfRfc7638) {
  Key rsa = Key::from_jwk(jwk({{"kty", "RSA"}, {"n", kRfc7638Modulus}, {"e", "AQAB"}, {"alg", "RS256"}}));
  EXPECT_EQ(rsa.id(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  Key ed = Key::from_jwk(jwk({{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", kEdX}}));
  EXPECT_EQ(ed.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");  // RFC 8037 A.3
}

TEST(Key, SignsTheExampleOfRfc8037) {
  Key key = Key::from_jwk(jwk({{"kty", "OKP"}, {"crv", "Ed25519"}, {"d", kEdD}, {"x", kEdX}}));
  std::string_view message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  EXPECT_EQ(base64url_encode(key.sign(message)),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
}

TEST(Key, RefusesWhatIsTooWeak) {
  EXPECT_THAT(refusal([] { return Key::hs256(Secret<>(std::string(31, 'x'))); }),
              HasSubstr("31 bytes and needs at least 32"));
  // RFC 7517's old 1024-bit example shape: any odd number of 1024 bits will do.
  std::string small(128, '\xc1');
  EXPECT_THAT(
      refusal([&] { return Key::from_jwk(jwk({{"kty", "RSA"}, {"n", base64url_encode(small)}, {"e", "AQAB"}})); }),
      HasSubstr("1024 bits"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(jwk({{"kty", "RSA"}, {"n", kRfc7638Modulus}, {"e", "AQ"}})); }),
              HasSubstr("exponent"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(jwk({{"kty", "RSA"}, {"n", kRfc7638Modulus}, {"e", "Ag"}})); }),
              HasSubstr("exponent"));
  // secp256k1, P-384
  EXPECT_THAT(refusal([] {
                return Key::from_pem(
                    "-----BEGIN PUBLIC KEY-----\n"
                    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ\n"
                    "WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA==\n"
                    "-----END PUBLIC KEY-----\n");
              }),
              HasSubstr("other than P-256"));
}

TEST(Key, RefusesJwksThatLie) {
  auto ec = [](std::string_view x, std::string_view y, std::string_view d = "") {
    return d.empty() ? jwk({{"kty", "EC"}, {"crv", "P-256"}, {"x", x}, {"y", y}})
                     : jwk({{"kty", "EC"}, {"crv", "P-256"}, {"x", x}, {"y", y}, {"d", d}});
  };
  EXPECT_EQ(refusal([&] { return Key::from_jwk(ec(kEcX, kEcY, kEcD)); }), "accepted");
  EXPECT_THAT(refusal([&] { return Key::from_jwk(ec(kEcX, kEcX)); }), HasSubstr("token key"));  // not on the curve
  EXPECT_THAT(refusal([&] { return Key::from_jwk(ec(kEcX, kEcY, kEcX)); }), HasSubstr("private part of another key"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(ec(kEcX, "AA")); }), HasSubstr("32 bytes"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(ec(kEcX, std::string(kEcY) + "=")); }), HasSubstr("base64url"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(jwk({{"kty", "EC"}, {"crv", "P-384"}, {"x", kEcX}, {"y", kEcY}})); }),
              HasSubstr("P-256"));
  EXPECT_THAT(
      refusal([&] { return Key::from_jwk(jwk({{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", kEdX}, {"d", kEcD}})); }),
      HasSubstr("another key"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(jwk({{"kty", "OKP"}, {"crv", "X25519"}, {"x", kEdX}})); }),
              HasSubstr("Ed25519"));
  EXPECT_THAT(refusal([&] {
                return Key::from_jwk(jwk({{"kty", "RSA"}, {"n", kRfc7638Modulus}, {"e", "AQAB"}, {"alg", "PS256"}}));
              }),
              HasSubstr("another algorithm than RS256"));
  EXPECT_THAT(refusal([&] {
                return Key::from_jwk(jwk({{"kty", "RSA"}, {"n", kRfc7638Modulus}, {"e", "AQAB"}, {"use", "enc"}}));
              }),
              HasSubstr("not for signatures"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(R"({"kty":"oct","k":"AA","key_ops":["encrypt"]})"); }),
              HasSubstr("not for signatures"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk(R"({"kty":"oct","k":"AA","\u006b":"AA"})"); }),
              HasSubstr("distinct members"));
  EXPECT_THAT(refusal([&] { return Key::from_jwk("[]"); }), HasSubstr("JSON object"));
  EXPECT_THAT(refusal([&] { return Key::generate(Algorithm::eddsa, "a\"b"); }), HasSubstr("id"));
}

TEST(Key, RefusesPemItCannotReadWithoutAskingAnybody) {
  EXPECT_THAT(refusal([] { return Key::from_pem(""); }), HasSubstr("cannot be read as PEM"));
  EXPECT_THAT(refusal([] { return Key::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"); }),
              HasSubstr("cannot be read as PEM"));
  EXPECT_THAT(
      refusal([] {
        return Key::from_pem("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n");
      }),
      HasSubstr("unencrypted"));
}

TEST(Jwks, HoldsPublicPartsOnlyAndIsReadBack) {
  Key rsa = Key::generate(Algorithm::rs256);
  Key ec = Key::generate(Algorithm::es256, "second");
  std::vector<Key> keys{rsa, ec, Key::generate(Algorithm::hs256, "secret")};
  std::string json = jwks(keys);
  EXPECT_THAT(json, Not(HasSubstr("secret")));
  EXPECT_THAT(json, Not(HasSubstr("\"d\"")));
  auto read = Key::from_jwks(json);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].id(), rsa.id());
  EXPECT_EQ(read[1].id(), "second");
  EXPECT_TRUE(read[1].verify("m", ec.sign("m")));
}

TEST(Jwks, LeavesOutKeysOfOtherUsesAndRefusesTwoOfOneId) {
  std::string ed = jwk({{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", kEdX}, {"kid", "a"}});
  EXPECT_EQ(Key::from_jwks(R"({"keys":[{"kty":"oct","k":"AAAA"},{"kty":"new"},7,)" + ed + "]}").size(), 1u);
  EXPECT_THROW(static_cast<void>(Key::from_jwks(R"({"keys":[)" + ed + "," + ed + "]}")), Invalid);
  EXPECT_THROW(static_cast<void>(Key::from_jwks("{}")), Invalid);
}

}  // namespace
}  // namespace ashlar::auth
