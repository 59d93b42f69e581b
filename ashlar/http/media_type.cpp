#include <ashlar/http/media_type.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

using Entry = std::pair<std::string_view, std::string_view>;

// Sorted by extension. Registered types (IANA), JavaScript by RFC 9239.
constexpr auto kTypes = std::to_array<Entry>({
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"br", "application/octet-stream"},
    {"bz2", "application/x-bzip2"},
    {"cjs", "text/javascript; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"geojson", "application/geo+json"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonl", "application/jsonl"},
    {"jsonld", "application/ld+json"},
    {"jxl", "image/jxl"},
    {"m4a", "audio/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"vtt", "text/vtt; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
});
static_assert(std::ranges::is_sorted(kTypes, {}, &Entry::first));

constexpr std::size_t kLongest = 11;  // "webmanifest"

}  // namespace

std::string_view media_type_of(std::string_view file_name) noexcept {
  constexpr std::string_view kUnknown = "application/octet-stream";
  const std::string_view name = file_name.substr(file_name.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot - 1 > kLongest) return kUnknown;
  std::array<char, kLongest> lower{};
  std::size_t size = 0;
  for (const char c : name.substr(dot + 1)) lower[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  const std::string_view extension(lower.data(), size);
  const auto* const at = std::ranges::lower_bound(kTypes, extension, {}, &Entry::first);
  return at != kTypes.end() && at->first == extension ? at->second : kUnknown;
}

bool is_compressible(std::string_view media_type) noexcept {
  const std::string_view type = detail::trim(media_type.substr(0, media_type.find(';')));
  const auto starts = [&](std::string_view text) { return equal_ignoring_case(type.substr(0, text.size()), text); };
  const auto ends = [&](std::string_view text) {
    return type.size() > text.size() && equal_ignoring_case(type.substr(type.size() - text.size()), text);
  };
  if (starts("text/") || ends("+json") || ends("+xml") || ends("+text")) return true;
  constexpr auto kOthers = std::to_array<std::string_view>(
      {"application/json", "application/jsonl", "application/x-ndjson", "application/javascript", "application/xml",
       "application/yaml", "application/wasm", "application/rtf", "application/vnd.ms-fontobject", "font/ttf",
       "font/otf", "image/bmp", "image/vnd.microsoft.icon", "application/x-tar", "application/graphql"});
  return std::ranges::any_of(kOthers, [&](std::string_view one) { return equal_ignoring_case(type, one); });
}

}  // namespace ashlar::http
