// Any bytes as a multipart form: the same parts and refusal however they are cut, and nothing that was not sent.
#include <string>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/multipart.hpp>

namespace {

using ashlar::http::MultipartParser;
using Event = MultipartParser::Event;

struct Parsed {
  std::string text;  // names, types and contents, one after the other
  std::size_t content = 0;
  bool complete = false;
  int status = 0;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

void add_part(const ashlar::http::MultipartPart& part, Parsed& parsed) {
  ashlar::fuzz::require(ashlar::is_utf8(part.name) && part.name.find('\n') == std::string::npos);
  parsed.text += "\x01" + part.name + "\x02" + part.content_type + "\x03";
  if (!part.filename) return;
  ashlar::fuzz::require(ashlar::is_utf8(*part.filename) && part.filename->find_first_of("/\\\n") == std::string::npos);
  parsed.text += *part.filename + "\x04";
}

Parsed parse(std::string_view bytes, std::size_t step) {
  MultipartParser parser("XX", {.max_parts = 8, .max_part_head = 256, .max_part_headers = 4});
  Parsed parsed;
  for (std::size_t at = 0; at < bytes.size() && parsed.status == 0; at += step) {
    const ashlar::fuzz::Block piece(bytes.substr(at, step));
    std::string_view in = piece.view();
    for (Event event = parser.next(in); event != Event::more; event = parser.next(in)) {
      if (event == Event::part) add_part(parser.part(), parsed);
      if (event == Event::data) {
        parsed.text += parser.data();
        parsed.content += parser.data().size();
      }
      if (event == Event::part_end) parsed.text += '\x05';
      if (event == Event::refused) {
        parsed.status = parser.refusal().status;
        ashlar::fuzz::require(parsed.status >= 400 && !parser.refusal().detail.empty());
        break;
      }
    }
    if (parsed.status == 0) ashlar::fuzz::require(in.empty());
  }
  ashlar::fuzz::require(parsed.content <= bytes.size());
  parsed.complete = parser.complete();
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Parsed whole = parse(bytes, size + 1);
  if (size < 2048) ashlar::fuzz::require(parse(bytes, 1) == whole);
  ashlar::fuzz::require(parse(bytes, 7) == whole);
  return 0;
}
