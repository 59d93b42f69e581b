// RealWorld ("Conduit"): a blogging service. ./realworld serve, and see http://127.0.0.1:8000/docs
#include <chrono>
#include <memory>

#include <ashlar/ashlar.hpp>

#include "routes.hpp"
#include "services.hpp"

using namespace ashlar;

int main(int argc, char** argv) {
  App app{{.title = "RealWorld Conduit API", .version = "2.0.0", .description = "Conduit API documentation"}};

  pg::Db db{{.migrations = CONDUIT_MIGRATIONS}};
  auth::Passwords passwords;
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
