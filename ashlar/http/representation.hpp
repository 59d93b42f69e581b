// A representation: content with its type and validators, answered as the request's conditions and ranges want it.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/http/conditional.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/request.hpp>
#include <ashlar/http/response.hpp>

namespace ashlar::http {

struct Representation {
  std::string_view content_type = {};  ///< static storage; empty: the response's own Content-Type header is there
  std::string_view etag = {};          ///< with quotes; empty: none
  std::optional<std::time_t> last_modified = {};

  /// The content: a file, or bytes that `owner` keeps valid (null: static storage).
  std::optional<FileBody> file = {};
  std::string_view bytes = {};
  std::shared_ptr<const void> owner = {};

  [[nodiscard]] std::uint64_t size() const noexcept { return file ? file->length() : bytes.size(); }
};

/// Fills in the answer to a GET or HEAD: 200, 206 (one range, or multipart/byteranges), 304, 412 or 416, with ETag,
/// Last-Modified and Accept-Ranges. Headers that were set before stay; of a body that was set nothing does.
void respond_with(const Request& request, Response& response, Representation representation);

}  // namespace ashlar::http
