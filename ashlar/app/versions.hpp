// Versions of an API side by side, each an application of its own: App::versions.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace ashlar {

class App;

struct ApiVersion {
  std::string name;  ///< "2", "2026-03-01": letters, digits, '.', '-' and '_'
  App& app;          ///< must outlive the one that it is a version of
  /// Since when, or from when on, nobody should begin to use it: told in each answer (`Deprecation`, RFC 9745).
  std::optional<std::chrono::sys_seconds> deprecated = {};
  /// When it will be gone: told in each answer (`Sunset`, RFC 8594). It is answered until somebody removes it.
  std::optional<std::chrono::sys_seconds> sunset = {};
};

/// How a request says which version it wants: below its path; else by the header; else by what it accepts.
struct VersionOptions {
  std::string path = "/v";             ///< before the name: "/v2/orders", "/v2/docs"; empty: not by path
  std::string header = "API-Version";  ///< a version that there is not: 400; empty: not by header
  /// `application/vnd.shop+json; version=2` for "application/vnd.shop+json", `application/vnd.shop.v2+json` for
  /// "application/vnd.shop.v{version}+json"; accepting only versions that there are not: 406. Empty: not by media type.
  std::string media_type = {};
  std::string fallback = {};  ///< the version of who names none; empty: 400
};

}  // namespace ashlar
