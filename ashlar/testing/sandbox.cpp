#include <ashlar/testing/sandbox.hpp>

#include <map>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/testing/database.hpp>

namespace ashlar::testing {

struct detail::KeptSandbox {
  explicit KeptSandbox(const std::filesystem::path& migrations)
      : database(migrations, {.fresh = true}), sandbox(database.url()) {}
  Database database;
  pg::Sandbox sandbox;
  unsigned uses = 0;
};

namespace {

using Kept = detail::KeptSandbox;

const log::Logger logger{"testing.sandbox"};

// Rows that were undone make every scan of their table longer.
constexpr unsigned kVacuumAfter = 100;

std::map<std::filesystem::path, std::vector<std::unique_ptr<Kept>>>& kept_sandboxes() {
  Database::server();  // goes after them
  static std::map<std::filesystem::path, std::vector<std::unique_ptr<Kept>>> all;
  return all;
}

}  // namespace

Sandbox::Sandbox(const std::filesystem::path& migrations) : migrations_(migrations) {
  auto& free = kept_sandboxes()[migrations];
  if (free.empty()) {
    kept_ = std::make_unique<Kept>(migrations);
    return;
  }
  kept_ = std::move(free.back());
  free.pop_back();
}

Sandbox::~Sandbox() {
  try {
    const bool vacuum = ++kept_->uses % kVacuumAfter == 0;
    if (vacuum ? kept_->sandbox.undo_and_vacuum() : kept_->sandbox.undo())
      kept_sandboxes()[migrations_].push_back(std::move(kept_));
  } catch (const Error& error) {
    logger.error("the sandbox of a test cannot be used again", {{"because", error.message()}});
  }
}

pg::Options Sandbox::options() { return kept_->sandbox.options(); }

}  // namespace ashlar::testing
