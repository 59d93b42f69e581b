// Content-Disposition (RFC 6266), with file names in any language (RFC 8187).
#pragma once

#include <string>
#include <string_view>

namespace ashlar::http {

/// `attachment; filename="r_sum_.pdf"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf`. `kind` is "attachment" or "inline". Of a
/// name with slashes the last part counts; control characters become '_'. An empty name: only the kind.
[[nodiscard]] std::string content_disposition(std::string_view kind, std::string_view file_name);

}  // namespace ashlar::http
