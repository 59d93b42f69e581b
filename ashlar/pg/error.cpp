#include <ashlar/pg/error.hpp>

#include <fmt/format.h>

#include <utility>

namespace ashlar::pg {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

// What a client may read: column names of a key are part of its own request; values and constraint internals are not.
std::string unique_message(const ErrorFields& fields) {
  const auto columns = fields.columns();
  if (columns.empty()) return "already exists";
  return fmt::format("this {} is already taken", joined(columns));
}

std::string foreign_key_message(const ErrorFields& fields) {
  const auto columns = fields.columns();
  if (fields.detail.find("still referenced") != std::string::npos) return "still in use by other data";
  if (columns.empty()) return "refers to something that does not exist";
  return fmt::format("{} refers to something that does not exist", joined(columns));
}

}  // namespace

ErrorFields::~ErrorFields() = default;

std::string ErrorFields::text() const {
  std::string out = fmt::format("{} {}: {}", severity.empty() ? "ERROR" : severity, code, primary);
  if (!detail.empty()) out += fmt::format("; detail: {}", detail);
  if (!hint.empty()) out += fmt::format("; hint: {}", hint);
  if (!constraint_name.empty()) out += fmt::format("; constraint {}", constraint_name);
  if (position != 0) out += fmt::format("; at character {}", position);
  if (context.starts_with("COPY ")) out += fmt::format("; at {}", context);
  if (!query.empty()) out += fmt::format("; query {}", query);
  if (!file.empty()) out += fmt::format(" ({}:{})", file, line);
  return out;
}

std::vector<std::string> ErrorFields::columns() const {
  std::vector<std::string> out;
  if (!column_name.empty()) {
    out.push_back(column_name);
    return out;
  }
  constexpr std::string_view kKey = "Key (";
  const std::string_view text = detail;
  const std::size_t start = text.find(kKey);
  if (start == std::string_view::npos) return out;
  const std::size_t from = start + kKey.size();
  const std::size_t end = text.find(")=(", from);
  if (end == std::string_view::npos) return out;
  std::string_view list = text.substr(from, end - from);
  while (!list.empty()) {
    const std::size_t comma = list.find(", ");
    out.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 2);
  }
  return out;
}

DatabaseError::DatabaseError(ErrorFields fields) : Internal(fields.text()), ErrorFields(std::move(fields)) {}
UniqueViolation::UniqueViolation(ErrorFields fields)
    : Conflict(unique_message(fields)), ErrorFields(std::move(fields)) {}
ExclusionViolation::ExclusionViolation(ErrorFields fields)
    : Conflict("conflicts with existing data"), ErrorFields(std::move(fields)) {}
ForeignKeyViolation::ForeignKeyViolation(ErrorFields fields)
    : Conflict(foreign_key_message(fields)), ErrorFields(std::move(fields)) {}
CheckViolation::CheckViolation(ErrorFields fields)
    : Invalid(fmt::format("violates the rule {}", fields.constraint_name)), ErrorFields(std::move(fields)) {}
NotNullViolation::NotNullViolation(ErrorFields fields) : Internal(fields.text()), ErrorFields(std::move(fields)) {}
SerializationFailure::SerializationFailure(ErrorFields fields)
    : Unavailable("too many concurrent changes to the same data; try again"), ErrorFields(std::move(fields)) {}
Deadlock::Deadlock(ErrorFields fields)
    : Unavailable("concurrent changes waited for each other; try again"), ErrorFields(std::move(fields)) {}
LockNotAvailable::LockNotAvailable(ErrorFields fields)
    : Unavailable("the data is locked by another change; try again"), ErrorFields(std::move(fields)) {}
QueryCanceled::QueryCanceled(ErrorFields fields)
    : DeadlineExceeded("the database took too long"), ErrorFields(std::move(fields)) {}
ServerUnavailable::ServerUnavailable(ErrorFields fields)
    : Unavailable("the database is not available at the moment"), ErrorFields(std::move(fields)) {}

ConnectionLost::ConnectionLost(std::string reason, bool sent)
    : Unavailable(sent ? "the database connection was lost; it is unknown whether the request was carried out"
                       : "the database is not available at the moment"),
      reason_(std::move(reason)),
      sent_(sent) {}
PoolExhausted::PoolExhausted(std::string message) : Unavailable(std::move(message)) {}
NoRow::NoRow(std::string message) : NotFound(std::move(message)) {}
TooManyRows::TooManyRows(std::string message) : Internal(std::move(message)) {}
QueryMismatch::QueryMismatch(std::string message) : Internal(std::move(message)) {}
BadArgument::BadArgument(std::string message) : Invalid(std::move(message)) {}
ProtocolError::ProtocolError(std::string message) : Internal(std::move(message)) {}

std::exception_ptr make_error(ErrorFields fields) {
  const std::string_view code = fields.code;
  if (code == "23505") return std::make_exception_ptr(UniqueViolation(std::move(fields)));
  if (code == "23503") return std::make_exception_ptr(ForeignKeyViolation(std::move(fields)));
  if (code == "23502") return std::make_exception_ptr(NotNullViolation(std::move(fields)));
  if (code == "23514") return std::make_exception_ptr(CheckViolation(std::move(fields)));
  if (code == "23P01") return std::make_exception_ptr(ExclusionViolation(std::move(fields)));
  if (code == "40001") return std::make_exception_ptr(SerializationFailure(std::move(fields)));
  if (code == "40P01") return std::make_exception_ptr(Deadlock(std::move(fields)));
  if (code == "55P03") return std::make_exception_ptr(LockNotAvailable(std::move(fields)));
  if (code == "57014") return std::make_exception_ptr(QueryCanceled(std::move(fields)));
  if (code.starts_with("53") || code == "57P01" || code == "57P02" || code == "57P03" || code == "57P05" ||
      code.starts_with("08"))
    return std::make_exception_ptr(ServerUnavailable(std::move(fields)));
  return std::make_exception_ptr(DatabaseError(std::move(fields)));
}

std::string explain(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ConnectionLost& lost) {
    return lost.reason();
  } catch (const ErrorFields& fields) {
    return fields.text();
  } catch (const std::exception& other) {
    return other.what();
  } catch (...) {
    return "an unknown exception";
  }
}

bool is_retryable(std::string_view sqlstate) noexcept { return sqlstate == "40001" || sqlstate == "40P01"; }

}  // namespace ashlar::pg
