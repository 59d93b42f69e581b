#include <ashlar/http/chunked.hpp>

#include <algorithm>

#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http {

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

bool ChunkedDecoder::framing_byte(char c) noexcept {
  const auto bad = [this](std::string_view detail, std::string_view section) {
    refuse(400, detail, section);
    return false;
  };
  constexpr std::string_view kSection = "RFC 9112 §7.1";
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
      extension_began_ = false;
      at_ = At::extension;
      [[fallthrough]];
    }
    case At::extension:
      if (c == '\r') {
        if (!extension_began_) return bad("White space after a chunk's size is not allowed.", kSection);
        at_ = At::size_lf;
        return true;
      }
      if (!detail::is(c, detail::kFieldChar)) return bad("A chunk extension is malformed.", "RFC 9112 §7.1.1");
      if (!extension_began_ && c != ' ' && c != '\t') {
        if (c != ';') return bad("A chunk's size is malformed.", kSection);
        extension_began_ = true;
      }
      if (++extensions_ > kMaxExtensions) return bad("The chunk extensions are too long.", "RFC 9112 §7.1.1");
      return true;
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
      if (c == '\r') {
        at_ = At::last_lf;
        return true;
      }
      if (!detail::is(c, detail::kToken)) return bad("A trailer is malformed.", "RFC 9112 §7.1.2");
      trailer_colon_ = false;
      at_ = At::trailer;
      ++trailers_;
      return true;
    case At::trailer:
      if (c == '\r') {
        if (!trailer_colon_) return bad("A trailer has no colon.", "RFC 9112 §7.1.2");
        at_ = At::trailer_lf;
        return true;
      }
      if (++trailers_ > kMaxTrailers) {
        refuse(431, "The trailers are too long.", "RFC 6585 §5");
        return false;
      }
      if (c == ':') trailer_colon_ = true;
      if (!detail::is(c, trailer_colon_ ? detail::kFieldChar : detail::kToken)) {
        return bad("A trailer is malformed.", "RFC 9112 §7.1.2");
      }
      return true;
    case At::trailer_lf:
      if (c != '\n') return bad("A CR without a LF is not allowed.", kSection);
      at_ = At::trailer_first;
      return true;
    case At::last_lf:
      if (c != '\n') return bad("A CR without a LF is not allowed.", kSection);
      at_ = At::done;
      return true;
    case At::data:
    case At::done:
      break;
  }
  return true;
}

std::string_view format_chunk_size(std::size_t size, char (&out)[kMostChunkDigits]) noexcept {
  std::size_t first = kMostChunkDigits;
  for (; size != 0; size >>= 4) out[--first] = "0123456789abcdef"[size & 15];
  return {out + first, kMostChunkDigits - first};
}

}  // namespace ashlar::http
