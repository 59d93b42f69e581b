// For tests of Replicas: a Db with its Replicas on a fresh loop.
#pragma once

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/replicas.hpp>

namespace ashlar::pg::test {

/// Runs `body(db, replicas)`.
template <class F>
void with_replicas(std::string url, ReplicasOptions options, F body) {
  async::run([](std::string where, ReplicasOptions settings, F& function) -> Task<void> {
    Db db({.url = std::move(where), .check_queries = false});
    Replicas replicas{db, std::move(settings)};
    async::Loop& loop = async::Loop::current();
    co_await db.start();
    co_await replicas.start();
    co_await db.start_loop(loop);
    co_await replicas.start_loop(loop);
    std::exception_ptr error;
    try {
      co_await function(db, replicas);
    } catch (...) {
      error = std::current_exception();
    }
    co_await replicas.stop_loop(loop);
    co_await db.stop_loop(loop);
    co_await replicas.stop();
    co_await db.stop();
    if (error) std::rethrow_exception(error);
  }(std::move(url), std::move(options), body));
}

/// How many servers reads go to.
inline long serves(const Replicas& replicas) {
  return std::ranges::count_if(replicas.servers(), &ServerStatus::serves_reads);
}

}  // namespace ashlar::pg::test
