// From exceptions to problems, and from problems to answers.
#include <fmt/format.h>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/respond.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {

int status_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::invalid:
      return 422;
    case ErrorKind::malformed:
      return 400;
    case ErrorKind::unauthenticated:
      return 401;
    case ErrorKind::forbidden:
      return 403;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::precondition_failed:
      return 412;
    case ErrorKind::too_large:
      return 413;
    case ErrorKind::rate_limited:
      return 429;
    case ErrorKind::request_timeout:
      return 408;
    case ErrorKind::deadline_exceeded:
      return 504;
    case ErrorKind::cancelled:
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::unsupported:
      return 415;
    case ErrorKind::internal:
      return 500;
  }
  return 500;
}

namespace {

Problem from_error(const Error& error) {
  Problem problem;
  problem.status = status_of(error.kind());
  if (error.kind() == ErrorKind::internal) {
    problem.detail = "something went wrong here; it has been logged";
  } else {
    problem.detail = error.message();
  }
  if (const auto* invalid = dynamic_cast<const schema::ValidationError*>(&error)) {
    problem.errors = invalid->errors();
    problem.detail = problem.errors.size() == 1 ? "the request has an error" : "the request has errors";
  }
  if (const auto* unavailable = dynamic_cast<const Unavailable*>(&error)) {
    problem.headers.emplace_back("Retry-After", std::to_string(unavailable->retry_after().count()));
  } else if (const auto* limited = dynamic_cast<const RateLimited*>(&error)) {
    problem.headers.emplace_back("Retry-After", std::to_string(limited->retry_after().count()));
  } else if (error.kind() == ErrorKind::cancelled) {
    problem.headers.emplace_back("Retry-After", "1");
  }
  return problem;
}

void log_failure(std::string_view what, std::string_view message) {
  log::error("request failed", {{"error.type", what}, {"error.message", message}});
}

void append_json_text(std::string_view name, std::string_view value, std::string& out) {
  out += out.size() > 1 ? ",\"" : "\"";
  out += name;
  out += "\":";
  schema::write_json(std::string(value), out);
}

}  // namespace

Problem Core::problem_of(const std::exception_ptr& error) const {
  try {
    std::rethrow_exception(error);
  } catch (const Problem& problem) {
    return problem;
  } catch (const std::exception& exception) {
    for (auto mapping = mappings.rbegin(); mapping != mappings.rend(); ++mapping) {
      if (auto problem = (*mapping)(exception)) return std::move(*problem);
    }
    if (const auto* ours = dynamic_cast<const Error*>(&exception)) {
      Problem problem = from_error(*ours);
      if (problem.status == 500) log_failure(to_string(ours->kind()), ours->message());
      return problem;
    }
    log_failure(typeid(exception).name(), exception.what());
  } catch (...) {
    log_failure("unknown", "an exception that is no std::exception");
  }
  return from_error(Internal(""));
}

void Core::write_problem(http::Exchange& exchange, const Problem& problem) const {
  auto& response = exchange.response;
  // What the middleware has set stays in spite of this: it sets its headers when the answer is there.
  response.clear();
  response.status = problem.status;
  for (const auto& [name, value] : problem.headers) response.header(name, value);
  if (error_writer) {
    error_writer(problem, response.body);
    response.content_type = error_content_type;
    return;
  }
  response.content_type = "application/problem+json";
  std::string& out = response.body;
  out += '{';
  append_json_text("type", problem.type.empty() ? "about:blank" : problem.type, out);
  append_json_text("title", problem.title.empty() ? http::reason_phrase(problem.status) : problem.title, out);
  out += fmt::format(",\"status\":{}", problem.status);
  if (!problem.detail.empty()) append_json_text("detail", problem.detail, out);
  append_json_text("instance", exchange.request.path, out);
  if (!exchange.context.request_id.empty()) append_json_text("request_id", exchange.context.request_id, out);
  if (!problem.errors.empty()) {
    out += ",\"errors\":";
    schema::append_errors_json(problem.errors, out);
  }
  out += '}';
}

}  // namespace ashlar::detail

bool ashlar::Middleware::refuse(http::Exchange& exchange, const Problem& problem) const {
  if (core_ == nullptr) throw problem;  // not App::use()d: by hand, in a test
  core_->write_problem(exchange, problem);
  return false;
}

namespace ashlar::detail {

// ---- answers that are no template

void set_status(Call& call, int status) noexcept {
  const int chosen = call.route->options.status;
  call.exchange.response.status = chosen != 0 && status < 400 ? chosen : status;
}

void respond_text(Call& call, int status, std::string_view type, std::string body) {
  set_status(call, status);
  call.exchange.response.content_type = type;
  call.exchange.response.body = std::move(body);
}

void respond_stream(Call& call, Stream stream) {
  set_status(call, 200);
  call.exchange.response.content_type = stream.type;
  call.exchange.response.stream(std::move(stream.pieces));
}

void respond_problem(Call& call, const Problem& problem) { call.core.write_problem(call.exchange, problem); }

void respond_redirect(Call& call, const Redirect& redirect) {
  // "//host" and "/\host" are other hosts to a browser.
  const std::string_view to = redirect.location;
  const bool local = to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\");
  if (!local && !redirect.external) {
    throw Internal("a Redirect goes to a path of this service; use Redirect::anywhere for other places");
  }
  set_status(call, redirect.status);
  call.exchange.response.header("Location", to);
}

}  // namespace ashlar::detail
