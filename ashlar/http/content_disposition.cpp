#include <ashlar/http/content_disposition.hpp>

namespace ashlar::http {
namespace {

// attr-char of RFC 8187 §3.2.1.
bool goes_as_it_is(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace

std::string content_disposition(std::string_view kind, std::string_view file_name) {
  const std::size_t slash = file_name.find_last_of("/\\");
  if (slash != std::string_view::npos) file_name.remove_prefix(slash + 1);
  std::string out(kind);
  if (file_name.empty()) return out;
  bool exact = true;
  out += "; filename=\"";
  for (const char c : file_name) {
    const auto byte = static_cast<unsigned char>(c);
    // Quotes, and the percent sign that some browsers decode, would be read in different ways.
    const bool plain = byte >= 0x20 && byte < 0x7f && c != '"' && c != '%';
    exact = exact && plain;
    if (plain) {
      out += c;
    } else if (byte < 0x80 || byte >= 0xc0) {
      out += '_';  // one for a whole character of UTF-8
    }
  }
  out += '"';
  if (exact) return out;
  out += "; filename*=UTF-8''";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : file_name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += '_';
    } else if (goes_as_it_is(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace ashlar::http
