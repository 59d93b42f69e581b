#include <ashlar/base/error.hpp>

#include <utility>

namespace ashlar {

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::invalid:
      return "invalid";
    case ErrorKind::malformed:
      return "malformed";
    case ErrorKind::unauthenticated:
      return "unauthenticated";
    case ErrorKind::forbidden:
      return "forbidden";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::precondition_failed:
      return "precondition_failed";
    case ErrorKind::too_large:
      return "too_large";
    case ErrorKind::rate_limited:
      return "rate_limited";
    case ErrorKind::request_timeout:
      return "request_timeout";
    case ErrorKind::cancelled:
      return "cancelled";
    case ErrorKind::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

Error::Error(ErrorKind kind, std::string message) : message_(std::move(message)), kind_(kind) {}
Error::~Error() = default;
const char* Error::what() const noexcept { return message_.c_str(); }

Invalid::Invalid(std::string message) : Error(ErrorKind::invalid, std::move(message)) {}
Malformed::Malformed(std::string message) : Error(ErrorKind::malformed, std::move(message)) {}
Unauthenticated::Unauthenticated(std::string message) : Error(ErrorKind::unauthenticated, std::move(message)) {}
Forbidden::Forbidden(std::string message) : Error(ErrorKind::forbidden, std::move(message)) {}
NotFound::NotFound(std::string message) : Error(ErrorKind::not_found, std::move(message)) {}
Conflict::Conflict(std::string message) : Error(ErrorKind::conflict, std::move(message)) {}
PreconditionFailed::PreconditionFailed(std::string message)
    : Error(ErrorKind::precondition_failed, std::move(message)) {}
TooLarge::TooLarge(std::string message) : Error(ErrorKind::too_large, std::move(message)) {}
RequestTimeout::RequestTimeout(std::string message) : Error(ErrorKind::request_timeout, std::move(message)) {}
Cancelled::Cancelled(std::string message) : Error(ErrorKind::cancelled, std::move(message)) {}
DeadlineExceeded::DeadlineExceeded(std::string message) : Error(ErrorKind::deadline_exceeded, std::move(message)) {}
Unsupported::Unsupported(std::string message) : Error(ErrorKind::unsupported, std::move(message)) {}
Internal::Internal(std::string message) : Error(ErrorKind::internal, std::move(message)) {}

Unavailable::Unavailable(std::string message, std::chrono::seconds retry_after)
    : Error(ErrorKind::unavailable, std::move(message)), retry_after_(retry_after) {}
RateLimited::RateLimited(std::string message, std::chrono::seconds retry_after)
    : Error(ErrorKind::rate_limited, std::move(message)), retry_after_(retry_after) {}

}  // namespace ashlar
