// Sandbox: a migrated database whose every change is undone when a test ends.
#pragma once

#include <filesystem>
#include <memory>

#include <ashlar/pg/sandbox.hpp>

namespace ashlar::testing {

namespace detail {
struct KeptSandbox;
}

/// `testing::Sandbox sandbox{"migrations"}; pg::Db db{sandbox.options()};` All tests of the process share a database
/// and a session with it, in which statements stay prepared; each test works in a transaction that is rolled back: less
/// than a millisecond a test, where a testing::Database takes some ten. pg::Sandbox says what is different in it: above
/// all now() stands still, sequences go on, and there is one session, so that nothing happens at once. Take a Database
/// for a test of concurrency, of notifications, or that changes the schema.
///
/// Destroy the Db, and the Client that serves it, before the Sandbox: declare them after it. Several at once have a
/// database each. Not from several threads at once. Throws what Database throws.
class Sandbox {
 public:
  explicit Sandbox(const std::filesystem::path& migrations);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// For the Db of the test.
  [[nodiscard]] pg::Options options();

 private:
  std::filesystem::path migrations_;
  std::unique_ptr<detail::KeptSandbox> kept_;
};

}  // namespace ashlar::testing
