#include <ashlar/pg/detail/scratch.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <random>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/private_server.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr std::int64_t kLock = 0x6173'6873'6372;  // shared by those who use a scratch database
constexpr std::string_view kMark = "a scratch database of `migrate`, which drops it";

}  // namespace

// The session that makes the database stays until the end: its lock tells others that it is in use.
Task<void> Scratch::run_holder(Holder& body) {
  std::exception_ptr error;
  bool refused = false;
  co_await db_.with_session([&](Connection& keeper) -> Task<void> {
    const std::string name = co_await make(keeper);
    refused = name.empty();
    if (refused) co_return;
    try {
      co_await db_.with_session([&body](Connection& connection) -> Task<void> { co_await body.run(connection); }, name);
    } catch (...) {
      error = std::current_exception();
    }
    co_await async::shield(drop(keeper, name));
  });
  if (refused) co_await elsewhere(body);
  if (error) std::rethrow_exception(error);
}

Task<void> Scratch::elsewhere(Holder& body) {
  std::unique_ptr<PrivateServer> server;
  std::exception_ptr error;
  co_await async::offload([&server] { server = PrivateServer::start(); });
  {
    Db other({.url = server->url("postgres")});
    Scratch there(other);
    try {
      co_await there.run_holder(body);
    } catch (...) {
      error = std::current_exception();
    }
  }
  co_await async::shield([](std::unique_ptr<PrivateServer>& started) -> Task<void> {
    co_await async::offload([&started] { started.reset(); });
  }(server));
  if (error) std::rethrow_exception(error);
}

/// Empty: this user may not make databases.
Task<std::string> Scratch::make(Connection& keeper) {
  const std::string alone = fmt::format("select pg_try_advisory_lock({})", kLock);
  const auto locked = co_await TextQuery(keeper, alone);
  if (locked.at(0).at(0) == "t") {  // nobody uses one, so those that are there were left
    const std::string left = fmt::format(
        "select datname from pg_catalog.pg_database where starts_with(datname, 'ashlar_scratch_') and "
        "shobj_description(oid, 'pg_database') = {}",
        quote_literal(kMark));
    for (const auto& row : co_await TextQuery(keeper, left)) {
      const std::string name = row.at(0).value_or("");
      co_await drop(keeper, name);
    }
  }
  const std::string shared = fmt::format("select pg_advisory_lock_shared({})", kLock);
  co_await TextQuery(keeper, shared);
  if (locked.at(0).at(0) == "t") {
    const std::string unlock = fmt::format("select pg_advisory_unlock({})", kLock);
    co_await TextQuery(keeper, unlock);
  }
  const auto like = co_await TextQuery(
      keeper,
      "select pg_encoding_to_char(encoding), datcollate, datctype from pg_catalog.pg_database where datname = "
      "current_database()");
  std::string name = fmt::format("ashlar_scratch_{}_{:08x}", ::getpid(), std::random_device{}());
  const std::string create =
      fmt::format("create database {} template template0 encoding {} lc_collate {} lc_ctype {}", quote_identifier(name),
                  quote_literal(like.at(0).at(0).value_or("UTF8")), quote_literal(like.at(0).at(1).value_or("C")),
                  quote_literal(like.at(0).at(2).value_or("C")));
  bool refused = false;
  try {
    co_await TextQuery(keeper, create);
  } catch (const ErrorFields& error) {
    if (error.code != "42501") throw;
    refused = true;
  }
  if (refused) co_return std::string();
  const std::string mark = fmt::format("comment on database {} is {}", quote_identifier(name), quote_literal(kMark));
  co_await TextQuery(keeper, mark);
  co_return name;
}

Task<void> Scratch::drop(Connection& keeper, std::string name) {
  const std::string sql = fmt::format("drop database if exists {} with (force)", quote_identifier(name));
  co_await TextQuery(keeper, sql);
}

}  // namespace ashlar::pg::detail
