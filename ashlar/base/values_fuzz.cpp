// Any text as each of the value types: what is read and printed reads the same again, and printing is stable.
#include <string>
#include <string_view>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>

namespace {

using namespace ashlar;
using fuzz::require;

template <class T>
void round_trip(std::string_view text) {
  const auto value = T::parse(text);
  if (!value) return;
  const std::string printed = value->to_string();
  const auto again = T::parse(printed);
  require(again.has_value() && *again == *value);
  require(again->to_string() == printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Block block(data, size);
  const std::string_view text = block.view();
  round_trip<Uuid>(text);
  round_trip<Decimal>(text);
  round_trip<Date>(text);
  round_trip<TimeOfDay>(text);
  round_trip<DateTime>(text);
  round_trip<Duration>(text);
  round_trip<IpAddress>(text);
  round_trip<Email>(text);
  round_trip<Bytes>(text);

  require(base64_decode(base64_encode(text)) == text);
  require(base64url_decode(base64url_encode(text)) == text);
  require(hex_decode(hex_encode(text)) == text);
  require(percent_decode(percent_encode(text)) == text);
  require(percent_decode(percent_encode(text), true) == text);
  if (const auto bytes = base64url_decode(text)) {
    // One text only for the same bytes: a token cannot be written in two ways.
    std::string_view unpadded = text;
    while (unpadded.ends_with('=')) unpadded.remove_suffix(1);
    require(base64url_encode(*bytes) == unpadded);
  }
  if (is_utf8(text)) require(utf8_length(text) <= size);
  static_cast<void>(percent_decode(text, true));
  return 0;
}
