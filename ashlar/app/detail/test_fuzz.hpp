// For the tests of `fuzz`: a service is tried, and what was found is named.
#pragma once

#include <set>
#include <string>
#include <utility>

#include <ashlar/app/app.hpp>
#include <ashlar/app/fuzz.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::test {

/// Its logs are silent meanwhile.
inline FuzzReport report_of(App& app, FuzzOptions options = {.cases = 400}) {
  const std::string levels = log::levels();
  log::set_levels("off");
  FuzzReport report = async::run([](App& own, FuzzOptions with) -> Task<FuzzReport> {
    co_await own.start();
    FuzzReport found = co_await fuzz(own, std::move(with));
    co_await own.stop();
    co_return found;
  }(app, std::move(options)));
  log::set_levels(levels);
  return report;
}

/// "server-error GET /me", …
inline std::set<std::string> found(const FuzzReport& report) {
  std::set<std::string> out;
  for (const auto& one : report.findings) out.insert(one.check + " " + one.operation);
  return out;
}

}  // namespace ashlar::test
