#include <ashlar/http/chunked.hpp>

#include <algorithm>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/framing.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

constexpr std::string_view kSection = "RFC 9112 §7.1";

}  // namespace

ChunkedDecoder::State ChunkedDecoder::feed(std::string_view& in, std::string& out, std::uint64_t max_body) {
  while (at_ != At::done) {
    if (in.empty()) return State::more;
    if (at_ == At::data) {
      const std::size_t size = std::min<std::uint64_t>(left_, in.size());
      out.append(in.substr(0, size));
      in.remove_prefix(size);
      left_ -= size;
      if (left_ == 0) at_ = At::data_cr;
      continue;
    }
    const char c = in.front();
    in.remove_prefix(1);
    if (!framing_byte(c)) return State::refused;
    // Refused as soon as the size is known, before a byte of the chunk is kept.
    if (at_ == At::data && (left_ > max_body || out.size() > max_body - left_)) {
      return refuse(413, "The body is larger than this server allows.", "RFC 9110 §15.5.14");
    }
  }
  return State::done;
}

bool ChunkedDecoder::framing_byte(char c) {
  switch (at_) {
    case At::size_first:
    case At::size: {
      const char lower = static_cast<char>(c | 0x20);
      const bool decimal = c >= '0' && c <= '9';
      if (decimal || (lower >= 'a' && lower <= 'f')) {
        if (++digits_ > 15) return bad("A chunk's size has too many digits.", kSection);
        left_ = left_ * 16 + static_cast<std::uint64_t>(decimal ? c - '0' : lower - 'a' + 10);
        at_ = At::size;
        return true;
      }
      if (at_ == At::size_first) return bad("A chunk must start with its size in hexadecimal.", kSection);
      if (c == '\r') {
        at_ = At::size_lf;
        return true;
      }
      if (c != ';' && c != ' ' && c != '\t') return bad("A chunk's size is malformed.", kSection);
      spaced_ = false;
      at_ = At::extension;
      return extension_byte(c);
    }
    case At::size_lf:
      if (c != '\n') return bad("A CR without a LF is not allowed.", kSection);
      digits_ = 0;
      at_ = left_ == 0 ? At::trailer_first : At::data;
      return true;
    case At::data_cr:
      if (c != '\r') return bad("A chunk is longer than its size says.", kSection);
      at_ = At::data_lf;
      return true;
    case At::data_lf:
      if (c != '\n') return bad("A CR without a LF is not allowed.", kSection);
      at_ = At::size_first;
      return true;
    case At::trailer_first:
    case At::trailer:
    case At::trailer_lf:
      return trailer_byte(c);
    case At::last_lf:
      if (c != '\n') return bad("A CR without a LF is not allowed.", kSection);
      at_ = At::done;
      return true;
    case At::data:
    case At::done:
      return true;
    default:
      return extension_byte(c);
  }
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ): each case but the last two begins where BWS may stand.
bool ChunkedDecoder::extension_byte(char c) noexcept {
  constexpr std::string_view kExtensions = "RFC 9112 §7.1.1";
  if (++extensions_ > kMaxExtensions) return bad("The chunk extensions are too long.", kExtensions);
  if (at_ == At::extension_quoted || at_ == At::extension_escaped) {
    if (!detail::is(c, detail::kFieldChar)) return bad("A chunk extension is malformed.", kExtensions);
    if (at_ == At::extension_escaped || (c != '\\' && c != '"')) {
      at_ = At::extension_quoted;
    } else {
      at_ = c == '"' ? At::extension : At::extension_escaped;
    }
    return true;
  }
  const bool ends = at_ == At::extension || at_ == At::extension_name || at_ == At::extension_token;
  if (c == '\r') {
    if (spaced_) return bad("White space after a chunk's size or extension is not allowed.", kSection);
    if (!ends) return bad("A chunk extension is malformed.", kExtensions);
    at_ = At::size_lf;
    return true;
  }
  spaced_ = c == ' ' || c == '\t';
  if (spaced_) {
    if (at_ == At::extension_name) at_ = At::extension_name_end;
    if (at_ == At::extension_token) at_ = At::extension;
    return true;
  }
  if (c == ';' && (ends || at_ == At::extension_name_end)) {
    at_ = At::extension_name_first;
    return true;
  }
  switch (at_) {
    case At::extension_name_first:
    case At::extension_name:
      if (detail::is(c, detail::kToken)) {
        at_ = At::extension_name;
        return true;
      }
      [[fallthrough]];
    case At::extension_name_end:
      if (c != '=' || at_ == At::extension_name_first) break;
      at_ = At::extension_value_first;
      return true;
    case At::extension_value_first:
      if (c == '"') {
        at_ = At::extension_quoted;
        return true;
      }
      [[fallthrough]];
    case At::extension_token:
      if (!detail::is(c, detail::kToken)) break;
      at_ = At::extension_token;
      return true;
    default:
      break;
  }
  return bad("A chunk extension is malformed.", kExtensions);
}

bool ChunkedDecoder::trailer_byte(char c) {
  constexpr std::string_view kTrailers = "RFC 9112 §7.1.2";
  if (at_ == At::trailer_first && c == '\r') {
    at_ = At::last_lf;
    return true;
  }
  if (++trailer_bytes_ > kMaxTrailers) {
    refuse(431, "The trailers are too long.", "RFC 6585 §5");
    return false;
  }
  if (at_ == At::trailer_lf) {
    if (c != '\n') return bad("A CR without a LF is not allowed.", kTrailers);
    trailers_ += c;
    const std::string_view line = std::string_view(trailers_).substr(line_);
    if (!detail::allowed_trailer(line.substr(0, line.find(':')))) trailers_.resize(line_);
    at_ = At::trailer_first;
    return true;
  }
  if (at_ == At::trailer_first) {
    if (c == ':') return bad("A trailer has no name.", kTrailers);
    trailer_colon_ = false;
    line_ = trailers_.size();
    at_ = At::trailer;
  }
  if (c == '\r') {
    if (!trailer_colon_) return bad("A trailer has no colon.", kTrailers);
    at_ = At::trailer_lf;
  } else {
    if (c == ':') trailer_colon_ = true;
    if (!detail::is(c, trailer_colon_ ? detail::kFieldChar : detail::kToken)) {
      return bad("A trailer is malformed.", kTrailers);
    }
  }
  trailers_ += c;
  return true;
}

std::optional<std::string_view> find_trailer(std::string_view trailers, std::string_view name) noexcept {
  while (!trailers.empty()) {
    const std::string_view line = trailers.substr(0, trailers.find("\r\n"));
    const std::size_t colon = std::min(line.find(':'), line.size() - 1);
    if (equal_ignoring_case(line.substr(0, colon), name)) return detail::trim(line.substr(colon + 1));
    trailers.remove_prefix(std::min(line.size() + 2, trailers.size()));
  }
  return std::nullopt;
}

std::string_view format_chunk_size(std::size_t size, char (&out)[kMostChunkDigits]) noexcept {
  std::size_t first = kMostChunkDigits;
  for (; size != 0; size >>= 4) out[--first] = "0123456789abcdef"[size & 15];
  return {out + first, kMostChunkDigits - first};
}

}  // namespace ashlar::http
