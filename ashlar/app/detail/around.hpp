// Around: what a route has between its routers' dependencies and its handler: limits by principal, idempotency, a
// cache. A route without has the handler's own function in Route::invoke, and pays nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/call.hpp>
#include <ashlar/async/task.hpp>

namespace ashlar::detail {

class Around {
 public:
  virtual ~Around() = default;
  /// As Route::invoke: true: the response is filled in; false: a task runs and will tell the call. Throws what becomes
  /// a problem.
  virtual bool invoke(Call& call) const = 0;
};

/// The handler with its dependencies, as a part of a task. Throws what it throws.
Task<void> run_handler(Call& call);

/// Puts what the options of the route ask for around its handler. After the dependencies of the routers are there.
/// Throws Invalid when they do not fit it.
void put_around(Route& route);

/// The names of what a route reads from one place of the request, as on the wire.
[[nodiscard]] std::vector<std::string> names_read(const OperationInfo& info, In where);

/// Who a scope says it is; empty for `anyone`. Its dependency has run.
[[nodiscard]] std::string scope_text(const Scope& scope, Call& call);

/// A response as the handler has left it.
struct Captured {
  bool whole = true;    ///< false: it is a stream or a file
  std::string headers;  ///< "Name: value\r\n"…, Content-Type with them
};
/// `mark`: the length of the header lines before the handler ran, which belong to the middleware.
[[nodiscard]] Captured capture(const http::Response& response, std::size_t mark);

}  // namespace ashlar::detail
