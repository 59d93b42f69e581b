// Any bytes as a chunked body: the same data, end and refusal however they are cut, and never more than allowed.
#include <string>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/chunked.hpp>

namespace {

using ashlar::http::ChunkedDecoder;

struct Decoded {
  ChunkedDecoder::State state = ChunkedDecoder::State::more;
  std::string data;
  std::string trailers;
  std::size_t used = 0;
  int status = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

// In pieces of `step` bytes, each in a block of its own.
Decoded decode(std::string_view bytes, std::size_t step) {
  constexpr std::uint64_t kMaxBody = 256;
  ChunkedDecoder decoder;
  Decoded decoded;
  while (decoded.used < bytes.size() && decoded.state == ChunkedDecoder::State::more) {
    const ashlar::fuzz::Block piece(bytes.substr(decoded.used, step));
    std::string_view in = piece.view();
    decoded.state = decoder.feed(in, decoded.data, kMaxBody);
    decoded.used += piece.view().size() - in.size();
    if (decoded.state == ChunkedDecoder::State::more) ashlar::fuzz::require(in.empty());
  }
  ashlar::fuzz::require(decoded.data.size() <= kMaxBody);
  if (decoded.state == ChunkedDecoder::State::refused) {
    ashlar::fuzz::require(decoder.refusal().status >= 400 && !decoder.refusal().detail.empty());
    decoded.status = decoder.refusal().status;
  }
  if (decoded.state == ChunkedDecoder::State::done) decoded.trailers = decoder.trailers();
  ashlar::fuzz::require(decoder.trailers().size() <= ChunkedDecoder::kMaxTrailers + 2);
  return decoded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Decoded whole = decode(bytes, size + 1);
  if (size < 2048) ashlar::fuzz::require(decode(bytes, 1) == whole);
  ashlar::fuzz::require(decode(bytes, 7) == whole);
  // A complete body is complete without what follows.
  if (whole.state == ChunkedDecoder::State::done) {
    ashlar::fuzz::require(decode(bytes.substr(0, whole.used), size + 1) == whole);
    ashlar::fuzz::require(bytes.substr(0, whole.used).ends_with("\r\n\r\n"));
    ashlar::fuzz::require(whole.trailers.empty() || whole.trailers.ends_with("\r\n"));
    for (const std::string_view name : {"content-length", "Transfer-Encoding", "host", "cookie"}) {
      ashlar::fuzz::require(!ashlar::http::find_trailer(whole.trailers, name));
    }
  }
  return 0;
}
