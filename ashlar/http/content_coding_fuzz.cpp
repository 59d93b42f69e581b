// Feeds the decoders any bytes: at once, byte by byte and through a narrow output, and checks that they agree; and that
// what is encoded in any cuts decodes to what it was. The first byte chooses the coding.
#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/content_coding.hpp>

using namespace ashlar::http;
using ashlar::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::uint64_t kMost = 1 << 16;
  const auto coding = static_cast<ContentCoding>(data[0] % 5);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  Decoder at_once(coding);
  std::string first;
  std::string_view in = bytes;
  const auto state = at_once.decode(in, first, kMost);
  require(first.size() <= kMost);
  require(state != Decoder::State::more || in.empty());
  require((state == Decoder::State::refused) == !at_once.refusal().detail.empty());

  // What is refused may be so some bytes sooner or later, when it comes in other cuts; what is good is the same in all.
  Decoder by_bytes(coding);
  std::string second;
  auto last = Decoder::State::more;
  for (std::size_t i = 0; i < bytes.size() && last == Decoder::State::more; ++i) {
    std::string_view one = bytes.substr(i, 1);
    last = by_bytes.decode(one, second, kMost);
  }
  require(last == state);
  require(at_once.complete() == by_bytes.complete());
  if (state != Decoder::State::refused) require(first == second);

  if (state == Decoder::State::more) {
    Decoder narrow(coding);
    std::string third;
    std::string piece;
    in = bytes;
    while (narrow.decode(in, piece, 7) == Decoder::State::full) {
      require(piece.size() == 7);
      third += piece;
      piece.clear();
    }
    require(narrow.refusal().detail.empty());
    require(third + piece == first);
  }

  Encoder encoder(coding);
  std::string encoded;
  encoder.encode(bytes.substr(0, bytes.size() / 3), encoded);
  if ((data[0] & 0x80) != 0) encoder.flush(encoded);
  encoder.encode(bytes.substr(bytes.size() / 3), encoded);
  encoder.finish(encoded);
  require(decode(coding, encoded, bytes.size()) == bytes);
  return 0;
}
