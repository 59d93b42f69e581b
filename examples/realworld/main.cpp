// RealWorld ("Conduit"): a blogging service. ./realworld serve, and see http://127.0.0.1:8000/docs
#include <chrono>
#include <cstdint>
#include <memory>

#include <ashlar/ashlar.hpp>

#include "routes.hpp"
#include "services.hpp"

using namespace ashlar;

// What a hash of a password costs. For a database that is thrown away, as that of `fuzz`, it may be little:
// CONDUIT_PASSWORD_MEMORY_KIB=8 CONDUIT_PASSWORD_ITERATIONS=1
struct Settings {
  Annotated<std::uint32_t, ge{8}, le{1'048'576}> password_memory_kib = auth::PasswordOptions{}.memory_kib;
  Annotated<std::uint32_t, ge{1}, le{64}> password_iterations = auth::PasswordOptions{}.iterations;
};

int main(int argc, char** argv) {
  App app{{.title = "RealWorld Conduit API", .version = "2.0.0", .description = "Conduit API documentation"}};

  pg::Db db{{.migrations = CONDUIT_MIGRATIONS}};
  const auto& settings = app.settings<Settings>("CONDUIT");
  auth::Passwords passwords{{.memory_kib = settings.password_memory_kib, .iterations = settings.password_iterations}};
  app.provide(db).provide(passwords);
  app.provide<auth::Tokens>([] {
    return std::make_unique<auth::Tokens>(
        auth::TokenOptions{.keys = {auth::Key::hs256(auth::local_secret("JWT_SECRET"))},
                           .issuer = "conduit",
                           .lifetime = std::chrono::days(7)});
  });

  conduit::add_conduit(app);
  app.command("seed", "Add a few users and articles", conduit::seed);
  app.on_start([](pg::Db& own, auth::Passwords& hasher) -> Task<void> {
    if (own.private_server() != nullptr) co_await conduit::seed(own, hasher);
  });
  return run(app, argc, argv);
}
