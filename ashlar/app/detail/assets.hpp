// Files for browsers that are part of the library: Swagger UI and Scalar, so that /docs needs no network and no source
// tree. The build fetches them from npm (web/embed) and puts them into read-only data, whose pages are loaded from disk
// when they are first served.
#pragma once

#include <span>
#include <string_view>

namespace ashlar::detail {

struct Asset {
  std::string_view path;          // "swagger-ui/swagger-ui.css"
  std::string_view content_type;  // "text/css; charset=utf-8"
  std::string_view etag;          // with its quotes; weak, as both forms share it (RFC 9110, 8.8.3)
  std::string_view bytes;
  std::string_view gzip;  // the same bytes as Content-Encoding: gzip
};

// All of them; the views are static. When the build could not reach the npm registry, only those of page/, our own.
[[nodiscard]] std::span<const Asset> web_assets() noexcept;

}  // namespace ashlar::detail
