// Any bytes as the head of a request: what is taken keeps the parser's promises, however it arrives.
#include <algorithm>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/request_parser.hpp>

namespace {

using namespace ashlar::http;
using ashlar::fuzz::Block;
using ashlar::fuzz::require;

constexpr HeadLimits kLimits{.max_head = 512, .max_target = 128, .max_headers = 10};

void check_complete(const Request& request, const HeadResult& result, const Block& block) {
  const std::string_view bytes = block.view();
  require(result.head_size <= bytes.size() && result.head_size <= kLimits.max_head);
  require(bytes.substr(0, result.head_size).ends_with("\r\n\r\n"));
  require(request.headers().size() <= kLimits.max_headers);
  for (const std::string_view view :
       {request.method_text, request.target, request.path, request.query, request.authority}) {
    require(block.holds(view));
  }
  require(request.path.starts_with('/') || request.path == "*");
  require(request.target.find_first_of(std::string_view(" \t\r\n\0#", 6)) == std::string_view::npos);
  require(!request.method_text.empty() && request.target.size() <= kLimits.max_target);
  for (const Header& header : request.headers()) {
    require(block.holds(header.name) && block.holds(header.value) && !header.name.empty());
    require(header.name.find_first_of(" \t\r\n:") == std::string_view::npos);
    require(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    require(!header.value.starts_with(' ') && !header.value.ends_with('\t'));
    require(request.header(header.name).has_value());
  }
  require(!(request.has(KnownHeader::content_length) && request.has(KnownHeader::transfer_encoding)));
  require((result.body_kind == BodyKind::chunked) == request.has(KnownHeader::transfer_encoding));
  require((result.body_kind == BodyKind::length) == request.has(KnownHeader::content_length));
  require(request.version == Version::http10 || request.has(KnownHeader::host));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Block block(data, size);
  const std::string_view bytes = block.view();

  Request request;
  const HeadResult whole = parse_request_head(bytes, kLimits, request);
  switch (whole.state) {
    case HeadResult::State::complete: {
      check_complete(request, whole, block);
      // What is complete with these bytes is complete without the rest.
      const Block head(bytes.substr(0, whole.head_size));
      Request again;
      require(parse_request_head(head.view(), kLimits, again).head_size == whole.head_size);
      HeadScanner scanner;
      require(scanner.worth_parsing(head.view()));
      break;
    }
    case HeadResult::State::refused:
      require(whole.refusal.status >= 400 && !whole.refusal.detail.empty() && !whole.refusal.section.empty());
      break;
    case HeadResult::State::incomplete:
      require(size < kLimits.max_head);
      break;
  }

  // Byte by byte: the scanner misses no end, and nothing is complete, or refused for another reason, before it is
  // there.
  HeadScanner scanner;
  for (std::size_t cut = 0; cut < std::min<std::size_t>(size, 96); ++cut) {
    const Block part(bytes.substr(0, cut));
    Request partial;
    const HeadResult result = parse_request_head(part.view(), kLimits, partial);
    const bool worth = scanner.worth_parsing(part.view());
    if (whole.state == HeadResult::State::complete && cut == whole.head_size) require(worth);
    if (whole.state == HeadResult::State::complete && cut < whole.head_size) {
      require(result.state == HeadResult::State::incomplete);
    }
    if (result.state == HeadResult::State::refused) {
      require(whole.state == HeadResult::State::refused && whole.refusal.status == result.refusal.status);
    }
  }
  return 0;
}
