// For the tests of this module: one throwaway server a test program, and a database of its own for each test that asks.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::pg::test {

inline std::shared_ptr<PrivateServer>& server_slot() {
  static std::shared_ptr<PrivateServer> server;
  return server;
}

class ServerEnvironment final : public ::testing::Environment {
 public:
  void TearDown() override { server_slot().reset(); }
};

/// Started when first asked for, stopped when all tests have run.
inline std::shared_ptr<PrivateServer> server() {
  auto& slot = server_slot();
  if (slot == nullptr) slot = PrivateServer::start();
  return slot;
}
inline const auto* const registered = ::testing::AddGlobalTestEnvironment(new ServerEnvironment);

/// Runs `body(db)` on a fresh loop against a fresh database.
template <class F>
void with_db(F body, Options options = {}) {
  const TestDatabase database(server(), "template1");
  if (options.url.empty()) options.url = database.url();
  options.check_queries = false;
  async::run([](Options settings, F& function) -> Task<void> {
    Db db(std::move(settings));
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    std::exception_ptr error;
    try {
      co_await function(db);
    } catch (...) {
      error = std::current_exception();
    }
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
    if (error) std::rethrow_exception(error);
  }(std::move(options), body));
}

/// The exception of type E that `task` throws; fails the test when there is none.
template <class E, class T>
Task<std::unique_ptr<E>> caught(Task<T> task) {
  try {
    (void)co_await std::move(task);
  } catch (const E& error) {
    co_return std::make_unique<E>(error);
  }
  ADD_FAILURE() << "expected an exception";
  co_return nullptr;
}
template <class E>
Task<std::unique_ptr<E>> caught(Task<void> task) {
  try {
    co_await std::move(task);
  } catch (const E& error) {
    co_return std::make_unique<E>(error);
  }
  ADD_FAILURE() << "expected an exception";
  co_return nullptr;
}

}  // namespace ashlar::pg::test
