// What can go wrong with PostgreSQL, as types: catch the one you can handle, let the rest become the right HTTP status.
#pragma once

#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/error.hpp>

namespace ashlar::pg {

/// Everything the server said about an error (https://www.postgresql.org/docs/current/protocol-error-fields.html), and
/// the query it happened in. Every error reported by the server derives from it: `catch (const pg::ErrorFields& e)`.
/// These fields are for logs: they may hold data and must not be sent to clients.
struct ErrorFields {
  std::string severity;  ///< ERROR, FATAL, PANIC
  std::string code;      ///< SQLSTATE, five characters
  std::string primary;   ///< the server's message
  std::string detail;
  std::string hint;
  std::string context;
  std::string schema_name;
  std::string table_name;
  std::string column_name;
  std::string type_name;
  std::string constraint_name;
  std::string routine;         ///< function in the server's source; never translated
  std::uint32_t position = 0;  ///< in the SQL, in characters from 1; 0: unknown
  std::string query;           ///< name of the query, or the start of its SQL
  std::string file;            ///< where the query is written
  std::uint32_t line = 0;

  ErrorFields() = default;
  ErrorFields(const ErrorFields&) = default;
  ErrorFields(ErrorFields&&) = default;
  ErrorFields& operator=(const ErrorFields&) = default;
  ErrorFields& operator=(ErrorFields&&) = default;
  virtual ~ErrorFields();

  /// All of it in one line: what happened, in which query, where it is written, what the server advises.
  [[nodiscard]] std::string text() const;
  /// Columns of the violated constraint, taken from `detail` ("Key (a, b)=(…)"); or `column_name`; may be empty.
  [[nodiscard]] std::vector<std::string> columns() const;
  [[nodiscard]] const std::string& constraint() const noexcept { return constraint_name; }
  [[nodiscard]] const std::string& table() const noexcept { return table_name; }
};

/// Any error of the server without a type of its own. Internal: shown to nobody, logged with everything.
class DatabaseError : public Internal, public ErrorFields {
 public:
  explicit DatabaseError(ErrorFields fields);
};

/// 23505: a row with this key is already there.
class UniqueViolation : public Conflict, public ErrorFields {
 public:
  explicit UniqueViolation(ErrorFields fields);
};
/// 23P01: the row conflicts with an exclusion constraint.
class ExclusionViolation : public Conflict, public ErrorFields {
 public:
  explicit ExclusionViolation(ErrorFields fields);
};
/// 23503: refers to a row that is not there, or is still referred to.
class ForeignKeyViolation : public Conflict, public ErrorFields {
 public:
  explicit ForeignKeyViolation(ErrorFields fields);
};
/// 23514: a CHECK constraint says no.
class CheckViolation : public Invalid, public ErrorFields {
 public:
  explicit CheckViolation(ErrorFields fields);
};
/// 23502: no value for a NOT NULL column; a mistake of the program.
class NotNullViolation : public Internal, public ErrorFields {
 public:
  explicit NotNullViolation(ErrorFields fields);
};
/// 40001: transactions disturbed each other. `Db::transaction` retries it; seen only when the attempts are used up.
class SerializationFailure : public Unavailable, public ErrorFields {
 public:
  explicit SerializationFailure(ErrorFields fields);
};
/// 40P01: transactions waited for each other. `Db::transaction` retries it. `detail` names both statements.
class Deadlock : public Unavailable, public ErrorFields {
 public:
  explicit Deadlock(ErrorFields fields);
};
/// 55P03: `nowait`, or lock_timeout has passed.
class LockNotAvailable : public Unavailable, public ErrorFields {
 public:
  explicit LockNotAvailable(ErrorFields fields);
};
/// 57014: statement_timeout has passed, or somebody cancelled the statement.
class QueryCanceled : public DeadlineExceeded, public ErrorFields {
 public:
  explicit QueryCanceled(ErrorFields fields);
};
/// 53xxx and 57P0x: too many connections, shutting down, starting up: worth another try.
class ServerUnavailable : public Unavailable, public ErrorFields {
 public:
  explicit ServerUnavailable(ErrorFields fields);
};

/// The connection broke, or could not be made. When `sent()`, the query had been handed to the server and may have been
/// carried out. The message is fit for clients; `reason()` is for logs: addresses, query, file:line.
class ConnectionLost : public Unavailable {
 public:
  ConnectionLost(std::string reason, bool sent);
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  [[nodiscard]] bool sent() const noexcept { return sent_; }

 private:
  std::string reason_;
  bool sent_;
};

/// No connection, or no room in the queue for one.
class PoolExhausted : public Unavailable {
 public:
  explicit PoolExhausted(std::string message);
};

/// `one` found no row.
class NoRow : public NotFound {
 public:
  explicit NoRow(std::string message);
};

/// `one` or `maybe` found more than one row.
class TooManyRows : public Internal {
 public:
  explicit TooManyRows(std::string message);
};

/// A query does not fit its C++ types, or a value does not fit its C++ type. The message names query, column, both
/// types and file:line.
class QueryMismatch : public Internal {
 public:
  explicit QueryMismatch(std::string message);
};

/// A value given as an argument does not fit the parameter's type in PostgreSQL (for example 70000 for an int2).
class BadArgument : public Invalid {
 public:
  explicit BadArgument(std::string message);
};

/// The server sent what the protocol does not allow.
class ProtocolError : public Internal {
 public:
  explicit ProtocolError(std::string message);
};

/// The exception for a server error, by its SQLSTATE.
[[nodiscard]] std::exception_ptr make_error(ErrorFields fields);
/// Everything an exception has to say, for logs and for people at a terminal.
[[nodiscard]] std::string explain(const std::exception_ptr& error);
/// True for 40001 and 40P01: the whole transaction may be run again.
[[nodiscard]] bool is_retryable(std::string_view sqlstate) noexcept;

}  // namespace ashlar::pg
