// Folders of files, and files within the program, as parts of a service: App::files.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar {

struct FilesOptions {
  std::string index = "index.html";  ///< answers for a folder; empty: none does
  /// A single-page application's page: answers, with 200, for a path that has no file, when a browser asks for a page
  /// (Accept with text/html). Scripts and images that are missing stay 404.
  std::string fallback = {};
  std::string cache_control = "no-cache";  ///< clients ask each time, which costs a 304 when nothing has changed
  /// Below these folders ("assets/") every file's name changes with its content, so that clients never ask again.
  std::vector<std::string> immutable = {};
  bool hidden_files = false;  ///< serve those whose name, or folder's name, begins with '.'; /.well-known always is
  bool precompressed = true;  ///< FILE.br, FILE.zst, FILE.gz go out in place of FILE to those who take them
  /// Of HTML pages; the service's own allows nothing. Empty: the service's own.
  std::string content_security_policy =
      "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'";
};

/// A file within the program. The views are static.
struct EmbeddedFile {
  std::string_view path;  ///< "css/site.css"
  std::string_view bytes;
  std::string_view br = {};  ///< the same bytes encoded; empty: not at hand
  std::string_view zstd = {};
  std::string_view gzip = {};
};

namespace detail {

class Core;
struct Route;
/// GET and HEAD of everything below a prefix.
std::vector<Route> files_routes(std::string_view prefix, std::string folder, FilesOptions options);
std::vector<Route> files_routes(std::string_view prefix, std::span<const EmbeddedFile> files, FilesOptions options);
/// What is wrong with a folder to be served; empty: nothing.
std::string folder_problem(const std::string& folder);

consteval bool is_files_prefix(std::string_view prefix) {
  return prefix.starts_with('/') && prefix.find_first_of("{}") == std::string_view::npos &&
         (prefix.size() == 1 || !prefix.ends_with('/'));
}

}  // namespace detail
}  // namespace ashlar
