// Feeds the parsers any bytes: whole, cut in two, and grown byte by byte, and checks what must hold for all of them.
// clang++ -fsanitize=fuzzer,address,undefined; seeds in fuzz_corpus/.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <ashlar/http/chunked.hpp>
#include <ashlar/http/request_parser.hpp>
#include <ashlar/http/response_parser.hpp>

namespace {

using namespace ashlar::http;

void require(bool holds) {
  if (!holds) std::abort();
}

void inside(std::string_view view, std::string_view bytes) {
  constexpr std::string_view kRoot = "/";  // the path of a target without one
  if (view.empty() || view == kRoot) return;
  require(view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const HeadLimits limits{.max_head = 512, .max_target = 128, .max_headers = 10};
  // A block of exactly this size: one byte read past it is found.
  const auto block = std::make_unique<char[]>(size);
  std::copy_n(data, size, block.get());
  const std::string_view bytes(block.get(), size);

  Request request;
  const HeadResult whole = parse_request_head(bytes, limits, request);
  if (whole.state == HeadResult::State::complete) {
    require(whole.head_size <= bytes.size() && whole.head_size <= limits.max_head);
    require(bytes.substr(0, whole.head_size).ends_with("\r\n\r\n"));
    require(request.headers().size() <= limits.max_headers);
    for (const std::string_view view : {request.method_text, request.target, request.path, request.query}) {
      inside(view, bytes);
    }
    require(request.path.starts_with('/') || request.path == "*");
    for (const Header& header : request.headers()) {
      inside(header.name, bytes);
      inside(header.value, bytes);
      require(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
      require(request.header(header.name).has_value());
    }
    require(!(request.has(KnownHeader::content_length) && request.has(KnownHeader::transfer_encoding)));
    // What is complete with these bytes is complete without the rest, and with more behind.
    Request again;
    require(parse_request_head(bytes.substr(0, whole.head_size), limits, again).head_size == whole.head_size);
  }
  if (whole.state == HeadResult::State::refused) require(whole.refusal.status >= 400 && !whole.refusal.detail.empty());
  if (whole.state == HeadResult::State::incomplete) require(size < limits.max_head);

  // Cut anywhere before its end, a good head is incomplete; and the scanner asks for its parse at the end.
  HeadScanner scanner;
  for (std::size_t cut = 0; cut < std::min<std::size_t>(size, 64); ++cut) {
    Request part;
    const HeadResult result = parse_request_head(bytes.substr(0, cut), limits, part);
    if (whole.state == HeadResult::State::complete && cut < whole.head_size) {
      require(result.state == HeadResult::State::incomplete);
    }
  }
  if (whole.state == HeadResult::State::complete) require(scanner.worth_parsing(bytes.substr(0, whole.head_size)));

  // Chunks decode the same however they are cut.
  ChunkedDecoder at_once;
  std::string first;
  std::string_view in = bytes;
  const auto state = at_once.feed(in, first, 256);
  ChunkedDecoder by_bytes;
  std::string second;
  auto last = ChunkedDecoder::State::more;
  for (std::size_t i = 0; i < size && last == ChunkedDecoder::State::more; ++i) {
    std::string_view one = bytes.substr(i, 1);
    last = by_bytes.feed(one, second, 256);
  }
  require(state == last && first == second && first.size() <= 256);

  static_cast<void>(parse_response_head(bytes, 512, false));
  return 0;
}
