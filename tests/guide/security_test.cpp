// The code of docs/guide/security.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/auth/jwt.hpp>
#include <ashlar/auth/password.hpp>
#include <ashlar/base/error.hpp>

namespace {

using namespace ashlar;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

struct User {
  std::string email;
  std::string password_hash;
};
std::map<std::string, User> g_users;

std::optional<User> find_user(const std::string& email) {
  auto found = g_users.find(email);
  return found == g_users.end() ? std::nullopt : std::optional(found->second);
}

// sample: sign-up
Task<User> sign_up(auth::Passwords& passwords, std::string email, Secret<> password) {
  User user{.email = email, .password_hash = co_await passwords.hash(password)};
  g_users[email] = user;
  co_return user;
}
// end of sample

// sample: sign-in
Task<User> sign_in(auth::Passwords& passwords, std::string email, Secret<> password) {
  std::optional<User> user = find_user(email);
  // No such user takes as long as a wrong password, and looks the same.
  bool right = co_await passwords.verify(password, user ? std::optional(user->password_hash) : std::nullopt);
  if (!right) throw Unauthenticated("the email or the password is wrong");
  if (passwords.needs_rehash(user->password_hash)) {
    g_users[email].password_hash = co_await passwords.hash(password);
  }
  co_return *user;
}
// end of sample

TEST(SecurityGuide, SignsUpAndIn) {
  auth::Passwords passwords(auth::PasswordOptions::cheap());
  async::run(sign_up(passwords, "ada@example.org", Secret<>("correct horse")));
  EXPECT_EQ(async::run(sign_in(passwords, "ada@example.org", Secret<>("correct horse"))).email, "ada@example.org");
  EXPECT_THROW(async::run(sign_in(passwords, "ada@example.org", Secret<>("wrong"))), Unauthenticated);
  EXPECT_THROW(async::run(sign_in(passwords, "bob@example.org", Secret<>("correct horse"))), Unauthenticated);
  auth::Passwords stronger({.memory_kib = 16, .iterations = 1});
  async::run(sign_in(stronger, "ada@example.org", Secret<>("correct horse")));
  EXPECT_FALSE(stronger.needs_rehash(g_users["ada@example.org"].password_hash));
}

// sample: claims
struct Session {
  std::string sub;
  std::vector<std::string> roles = {};
};
// end of sample

TEST(SecurityGuide, IssuesAndVerifies) {
  Secret<> secret("0123456789abcdef0123456789abcdef");
  // sample: tokens
  auth::Tokens tokens({.keys = {auth::Key::hs256(secret)}, .issuer = "blog", .audience = "blog", .lifetime = 15min});

  std::string token = tokens.issue(Session{.sub = "42", .roles = {"editor"}});
  Session session = tokens.verify<Session>(token);  // or auth::TokenError, which is answered with 401
  // end of sample
  EXPECT_EQ(session.sub, "42");
  EXPECT_EQ(session.roles, std::vector<std::string>{"editor"});
  EXPECT_THROW(static_cast<void>(tokens.verify<Session>(token + "x")), auth::TokenError);
}

TEST(SecurityGuide, Rotates) {
  std::string old_pem = auth::Key::generate(auth::Algorithm::eddsa).to_private_pem().reveal();
  std::string new_pem = auth::Key::generate(auth::Algorithm::eddsa).to_private_pem().reveal();
  // sample: rotation
  auth::Key next = auth::Key::from_pem(new_pem);
  auth::Key last = auth::Key::from_pem(old_pem);
  auth::Tokens tokens({.keys = {next, last.public_key()}, .issuer = "accounts"});  // the first that can sign signs
  std::string published = tokens.jwks();                                           // for /.well-known/jwks.json
  // end of sample
  EXPECT_THAT(published, HasSubstr(last.id()));
  EXPECT_THAT(published, Not(HasSubstr("\"d\"")));

  // sample: remote
  auth::Tokens theirs({.keys = auth::Key::from_jwks(published), .issuer = "accounts"});
  Session session = theirs.verify<Session>(tokens.issue(Session{.sub = "7"}));
  // end of sample
  EXPECT_EQ(session.sub, "7");
}

}  // namespace
