// BodyLog: what clients send and what they are answered, in the log, without what is secret in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/app/middleware.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {

struct BodyLogOptions {
  /// Paths whose requests are logged: "/orders", or all below one: "/hooks/". None: all.
  std::vector<std::string> paths = {};
  std::vector<std::string> except = {"/health/", "/metrics"};
  int from_status = 0;              ///< answers with a lower status are not logged: 400 for what has failed
  std::uint32_t sample_one_in = 1;  ///< of the requests that are left, each loop logs one in so many
  std::size_t max_bytes = 4096;     ///< of each body; what is behind that is cut off, with "…"
  bool headers = false;             ///< those of the request and of the answer, too
  /// Names of members, fields, parameters and headers whose values are hidden, beside those that are anyhow.
  std::vector<std::string> mask = {};
  log::Level level = log::Level::debug;
};

/// One line for each request, by the logger `http.body`: what is asked, the body, the status, and the answer's body.
///
///   app.use(BodyLog{{.paths = {"/orders/"}, .from_status = 400}});
///
/// It writes at level debug, so that nothing is written until the level says so: ASHLAR_LOG_LEVEL=info,http.body=debug,
/// or log::set_level("http.body", log::Level::debug) while the program runs. Until then it costs a request two calls
/// that return at once.
///
/// JSON and forms are shown, of other bodies and of streams, files and compressed ones the size alone. Hidden are the
/// values of names that log::is_sensitive() knows, of `mask`, of each member that is a Secret<T> in what any route of
/// the application takes or gives, and of the parameters that a route reads credentials from; in JSON at any depth and
/// whatever the value is, in query strings, in headers, and in paths by the name of the parameter. A body that says it
/// is JSON and is none is not shown at all.
///
/// Add it behind Compression: what is added later sees the answer before.
class BodyLog final : public Middleware {
 public:
  /// Throws Invalid for a path that is none, and for a sample of none.
  explicit BodyLog(BodyLogOptions options = {});

  void after(http::Exchange& exchange) noexcept override;

 private:
  struct State;
  void write(const http::Exchange& exchange) const;
  std::shared_ptr<State> state_;
};

}  // namespace ashlar
