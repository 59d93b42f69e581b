// Media types of files by their names, and which are worth compressing.
#pragma once

#include <string_view>

namespace ashlar::http {

/// By the extension, in any case: "text/css; charset=utf-8" for "a/site.css"; application/octet-stream when it is not
/// known. Static storage.
[[nodiscard]] std::string_view media_type_of(std::string_view file_name) noexcept;

/// Text, JSON, XML, fonts and programs are; images, video and archives are compressed already. Parameters are not
/// looked at.
[[nodiscard]] bool is_compressible(std::string_view media_type) noexcept;

}  // namespace ashlar::http
