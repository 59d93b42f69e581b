// Any bytes as the head of a response: what is taken keeps the parser's promises, however it arrives.
#include <algorithm>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/response_parser.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ashlar::http;
  using ashlar::fuzz::Block;
  using ashlar::fuzz::require;
  using State = ResponseHead::State;
  constexpr std::size_t kMaxHead = 512;

  const Block block(data, size);
  const std::string_view bytes = block.view();
  const ResponseHead whole = parse_response_head(bytes, kMaxHead, false);
  if (whole.state == State::complete) {
    require(whole.head_size <= size && whole.head_size <= kMaxHead);
    require(bytes.substr(0, whole.head_size).ends_with("\r\n\r\n"));
    require(whole.status >= 100 && whole.status <= 999);
    for (const Header& header : whole.headers) {
      require(block.holds(header.name) && block.holds(header.value) && !header.name.empty());
      require(header.name.find_first_of(" \t\r\n:") == std::string_view::npos);
      require(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
    if (whole.framing == ResponseFraming::until_close) require(!whole.keep_alive);
    if (whole.status < 200 || whole.status == 204 || whole.status == 304) {
      require(whole.framing == ResponseFraming::none);
    }
    // The same to a HEAD request, but for the body, and the same without what follows.
    const ResponseHead to_head = parse_response_head(bytes, kMaxHead, true);
    require(to_head.state == State::complete && to_head.framing == ResponseFraming::none);
    require(to_head.head_size == whole.head_size);
    const Block alone(bytes.substr(0, whole.head_size));
    require(parse_response_head(alone.view(), kMaxHead, false).head_size == whole.head_size);
  }
  if (whole.state == State::refused) require(!whole.refusal.detail.empty() && !whole.refusal.section.empty());
  if (whole.state == State::incomplete) require(size < kMaxHead);

  for (std::size_t cut = 0; cut < std::min<std::size_t>(size, 96); ++cut) {
    const Block part(bytes.substr(0, cut));
    const ResponseHead head = parse_response_head(part.view(), kMaxHead, false);
    if (whole.state == State::complete && cut < whole.head_size) require(head.state == State::incomplete);
    if (head.state == State::refused) require(whole.state == State::refused);
  }
  return 0;
}
