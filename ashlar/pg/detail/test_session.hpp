// For the tests of this module: one session of a database, outside of its pool.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/background.hpp>

namespace ashlar::pg::test {

/// Runs `body(connection)`, and closes it.
template <class F>
Task<void> with_session(std::string url, F body) {
  auto config = std::make_shared<detail::ConnectionConfig>();
  config->options = ConnectOptions::parse(url);
  detail::Background background;
  std::exception_ptr error;
  {
    detail::Connection connection(async::Loop::current(), std::move(config), background, nullptr);
    try {
      co_await connection.open();
      co_await body(connection);
    } catch (...) {
      error = std::current_exception();
    }
  }
  co_await async::shield(background.stop());
  if (error) std::rethrow_exception(error);
}

}  // namespace ashlar::pg::test
