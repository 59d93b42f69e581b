// StatementObserver: told of every statement that the connections of a thread send. For tests; see testing::Statements.
#pragma once

#include <string_view>

namespace ashlar::pg {

class Statement;

class StatementObserver {
 public:
  /// On the connection's loop, when the statement goes into its send buffer or waits until it is prepared: once, even
  /// when the server makes it run again. `statement` is null for what is no query of the program: begin, commit,
  /// savepoints, COPY in a format of its own.
  virtual void on_statement(const Statement* statement, std::string_view sql) noexcept = 0;

 protected:
  ~StatementObserver() = default;
};

/// Of this thread; null: nobody.
inline constinit thread_local StatementObserver* statement_observer = nullptr;

}  // namespace ashlar::pg
