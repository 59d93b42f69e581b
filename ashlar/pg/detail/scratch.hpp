// Scratch: an empty database beside that of the program, to find out what migrations make; dropped at the end.
#pragma once

#include <string>
#include <utility>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::pg::detail {

class Scratch {
 public:
  explicit Scratch(Db& db) : db_(db) {}

  /// Makes the database on the program's server, awaits body(Connection&) with a session of it, and drops it, also when
  /// the body throws. Where the server does not allow that, on a throwaway server of this machine. What a killed
  /// program has left there is dropped by the next. Throws the server's errors, and Unavailable when there is neither.
  template <class F>
  Task<void> run(F body) {
    HolderOf<F> holder(body);
    co_await run_holder(holder);
  }

  /// A session of the program's own database, without a limit of time.
  template <class F>
  static Task<void> session(Db& db, F body) {
    co_await db.with_session([&body](Connection& connection) -> Task<void> { co_await body(connection); });
  }

 private:
  struct Holder {
    virtual Task<void> run(Connection& connection) = 0;

   protected:
    ~Holder() = default;
  };
  template <class F>
  struct HolderOf final : Holder {
    explicit HolderOf(F& f) : function(f) {}
    Task<void> run(Connection& connection) override { return function(connection); }
    F& function;
  };
  Task<void> run_holder(Holder& body);
  Task<void> elsewhere(Holder& body);
  Task<std::string> make(Connection& keeper);
  static Task<void> drop(Connection& keeper, std::string name);

  Db& db_;
};

}  // namespace ashlar::pg::detail
