// The base of every error Ashlar throws: a kind, which decides the HTTP status, and a message for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <expected>
#include <string>
#include <string_view>

namespace ashlar {

enum class ErrorKind : std::uint8_t {
  invalid,
  malformed,
  unauthenticated,
  forbidden,
  not_found,
  conflict,
  precondition_failed,
  too_large,
  rate_limited,
  request_timeout,
  cancelled,
  deadline_exceeded,
  unavailable,
  unsupported,
  internal,
};

/// The name of a kind as it is written above, for example "not_found".
[[nodiscard]] std::string_view to_string(ErrorKind kind) noexcept;

/// A message of kind `internal` is logged and never shown to a client; every other message is shown as it is, so it
/// must hold no secret.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message);
  ~Error() override;
  Error(const Error&) = default;
  Error(Error&&) = default;
  Error& operator=(const Error&) = default;
  Error& operator=(Error&&) = default;

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  [[nodiscard]] const char* what() const noexcept override;
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

 private:
  std::string message_;
  ErrorKind kind_;
};

class Invalid : public Error {
 public:
  explicit Invalid(std::string message);
};

/// What came breaks the rules of its protocol.
class Malformed : public Error {
 public:
  explicit Malformed(std::string message);
};

class Unauthenticated : public Error {
 public:
  explicit Unauthenticated(std::string message);
};

class Forbidden : public Error {
 public:
  explicit Forbidden(std::string message);
};

class NotFound : public Error {
 public:
  explicit NotFound(std::string message);
};

class Conflict : public Error {
 public:
  explicit Conflict(std::string message);
};

class PreconditionFailed : public Error {
 public:
  explicit PreconditionFailed(std::string message);
};

class TooLarge : public Error {
 public:
  explicit TooLarge(std::string message);
};

/// The client was too slow in sending its request.
class RequestTimeout : public Error {
 public:
  explicit RequestTimeout(std::string message);
};

class Cancelled : public Error {
 public:
  explicit Cancelled(std::string message = "cancelled");
};

class DeadlineExceeded : public Error {
 public:
  explicit DeadlineExceeded(std::string message = "deadline exceeded");
};

class Unsupported : public Error {
 public:
  explicit Unsupported(std::string message);
};

class Internal : public Error {
 public:
  explicit Internal(std::string message);
};

/// Overload or a dependency that is down: worth another try after `retry_after()`.
class Unavailable : public Error {
 public:
  explicit Unavailable(std::string message, std::chrono::seconds retry_after = std::chrono::seconds{1});
  [[nodiscard]] std::chrono::seconds retry_after() const noexcept { return retry_after_; }

 private:
  std::chrono::seconds retry_after_;
};

/// The caller asked more often than its limit allows: worth another try after `retry_after()`.
class RateLimited : public Error {
 public:
  explicit RateLimited(std::string message, std::chrono::seconds retry_after = std::chrono::seconds{1});
  [[nodiscard]] std::chrono::seconds retry_after() const noexcept { return retry_after_; }

 private:
  std::chrono::seconds retry_after_;
};

/// Where failure is expected in a hot path: the value or the error, nothing thrown.
template <class T, class E = Error>
using Result = std::expected<T, E>;

}  // namespace ashlar
