// Which version of an API a request wants, when its path does not say.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/middleware.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/app/versions.hpp>
#include <ashlar/http/request.hpp>

namespace ashlar::detail {

class Versions {
 public:
  /// Throws Invalid with what contradicts itself.
  Versions(VersionOptions options, std::vector<ApiVersion> versions);
  Versions(const Versions&) = delete;
  Versions& operator=(const Versions&) = delete;

  /// Null: none of them, see refusal().
  [[nodiscard]] App* choose(const http::Request& request) const noexcept;
  /// Why it is none of them.
  [[nodiscard]] Problem refusal(const http::Request& request) const;
  [[nodiscard]] const std::vector<ApiVersion>& all() const noexcept { return versions_; }
  [[nodiscard]] const VersionOptions& options() const noexcept { return options_; }

 private:
  [[nodiscard]] const ApiVersion* find(std::string_view name) const noexcept;
  /// The name that a media range has in place of {version}, or as a parameter; no data: none.
  [[nodiscard]] std::string_view version_of(std::string_view range) const noexcept;

  VersionOptions options_;
  std::vector<ApiVersion> versions_;
  std::string media_begin_, media_end_;  // around {version}
  const ApiVersion* fallback_ = nullptr;
};

/// What each answer of a version says of it: its name, its end, and what it was chosen by (Vary).
[[nodiscard]] std::shared_ptr<Middleware> headers_of_version(const VersionOptions& options, const ApiVersion& version);

}  // namespace ashlar::detail
