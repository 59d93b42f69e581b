#include <ashlar/auth/password.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::auth {
namespace {

using testing::StartsWith;

TEST(Passwords, VerifyTheRightOneOnly) {
  Passwords passwords(PasswordOptions::cheap());
  std::string stored = async::run(passwords.hash("correct horse"));
  EXPECT_THAT(stored, StartsWith("$argon2id$v=19$m=8,t=1,p=1$"));
  EXPECT_TRUE(async::run(passwords.verify("correct horse", stored)));
  EXPECT_FALSE(async::run(passwords.verify("correct hors", stored)));
  EXPECT_FALSE(async::run(passwords.verify("", stored)));
}

TEST(Passwords, AreSaltedEachTime) {
  Passwords passwords(PasswordOptions::cheap());
  EXPECT_NE(async::run(passwords.hash("same")), async::run(passwords.hash("same")));
}

TEST(Passwords, MayHoldAnyBytes) {
  Passwords passwords(PasswordOptions::cheap());
  std::string odd("a\0b\xff", 4);
  std::string stored = async::run(passwords.hash(odd));
  EXPECT_TRUE(async::run(passwords.verify(odd, stored)));
  EXPECT_FALSE(async::run(passwords.verify(std::string("a"), stored)));
}

TEST(Passwords, UseTheOwaspParametersByDefault) {
  Passwords passwords;
  std::string stored = async::run(passwords.hash("correct horse"));
  EXPECT_THAT(stored, StartsWith("$argon2id$v=19$m=19456,t=2,p=1$"));
  EXPECT_TRUE(async::run(passwords.verify("correct horse", stored)));
}

// Made by `argon2 somesalt -id -t 2 -m 16 -p 1 -l 32` for "password" (the test suite of the reference implementation).
TEST(Passwords, VerifyHashesOfOtherPrograms) {
  Passwords passwords(PasswordOptions::cheap());
  EXPECT_TRUE(async::run(passwords.verify(
      "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")));
}

TEST(Passwords, OfNobodyOrOfABrokenHashAreWrongAfterTheSameWork) {
  Passwords passwords(PasswordOptions::cheap());
  std::vector<std::optional<std::string>> broken{std::nullopt,
                                                 "",
                                                 "!",
                                                 "plain",
                                                 "$argon2id$v=19$m=8,t=1,p=1$",
                                                 "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAA",
                                                 "$argon2id$v=19$m=8,t=4294967295,p=1$c2FsdHNhbHQ$AAAA",
                                                 "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
                                                 "$2b$12$abcdefghijklmnopqrstuv"};
  for (const auto& stored : broken)
    EXPECT_FALSE(async::run(passwords.verify("x", stored))) << stored.value_or("nobody");
}

TEST(Passwords, AskForAnotherHashWhenTheParametersChanged) {
  Passwords old(PasswordOptions::cheap());
  Passwords now({.memory_kib = 16, .iterations = 1});
  std::string stored = async::run(old.hash("x"));
  EXPECT_FALSE(old.needs_rehash(stored));
  EXPECT_TRUE(now.needs_rehash(stored));
  EXPECT_TRUE(now.needs_rehash("$2b$12$abcdefghijklmnopqrstuv"));
}

TEST(Passwords, HaveAnUpperLength) {
  Passwords passwords(PasswordOptions::cheap());
  EXPECT_THROW(async::run(passwords.hash(std::string(4097, 'x'))), Invalid);
  EXPECT_FALSE(async::run(passwords.verify(std::string(4097, 'x'), std::nullopt)));
}

TEST(Passwords, AreRefusedWhenTooManyWait) {
  auto options = PasswordOptions::cheap();
  options.max_concurrent = 1;
  options.max_waiting = 2;
  Passwords passwords(options);
  int done = 0, refused = 0;
  async::run([&]() -> Task<void> {
    auto one = [&]() -> Task<void> {
      try {
        co_await passwords.hash("x");
        ++done;
      } catch (const Unavailable&) {
        ++refused;
      }
    };
    co_await async::all(one(), one(), one(), one(), one());
  }());
  EXPECT_EQ(done, 3);
  EXPECT_EQ(refused, 2);
  EXPECT_NO_THROW(async::run(passwords.hash("x")));  // the places were given back
}

TEST(Passwords, RefuseParametersThatArgon2DoesNotTake) {
  EXPECT_THROW(Passwords({.memory_kib = 4}), Invalid);
  EXPECT_THROW(Passwords({.iterations = 0}), Invalid);
  EXPECT_THROW(Passwords({.parallelism = 0}), Invalid);
}

}  // namespace
}  // namespace ashlar::auth
