#include <ashlar/http/response_parser.hpp>

#include <algorithm>
#include <array>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/fields.hpp>
#include <ashlar/http/detail/framing.hpp>

namespace ashlar::http {
namespace {

using State = ResponseHead::State;

ResponseHead refused(std::string_view detail, std::string_view section) {
  ResponseHead head;
  head.state = State::refused;
  head.refusal = {502, detail, section};
  return head;
}

bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

// "HTTP/1.1 200 OK\r\n": sets status and keep_alive and gives the size of the line; 0: incomplete.
std::size_t status_line(std::string_view bytes, ResponseHead& head) {
  constexpr std::string_view kSection = "RFC 9112 §4";
  constexpr std::string_view kName = "HTTP/1.";
  if (!kName.starts_with(bytes.substr(0, kName.size()))) {
    head = refused("it does not begin with an HTTP/1.1 status line", kSection);
    return 0;
  }
  if (bytes.size() < 13) return 0;
  const std::string_view code = bytes.substr(9, 3);
  if (!digit(bytes[7]) || bytes[8] != ' ' || !std::ranges::all_of(code, digit) || code[0] == '0') {
    head = refused("its status line is malformed", kSection);
    return 0;
  }
  head.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  head.keep_alive = bytes[7] != '0';
  // The space before an empty reason is often left out.
  const char* const end = bytes.data() + bytes.size();
  const char* const at = detail::skip(bytes.data() + 12, end, detail::kFieldChar);
  if (end - at < 2 && (at == end || *at == '\r')) return 0;
  if ((bytes[12] != ' ' && bytes[12] != '\r') || at[0] != '\r' || at[1] != '\n') {
    head = refused("its status line is malformed", kSection);
    return 0;
  }
  return static_cast<std::size_t>(at + 2 - bytes.data());
}

}  // namespace

ResponseHead parse_response_head(std::string_view bytes, std::size_t max_head, bool to_head) {
  ResponseHead head;
  const auto more = [&] {
    return bytes.size() >= max_head ? refused("its head is larger than the client allows", "RFC 9110 §5.4")
                                    : ResponseHead();
  };
  const std::size_t line = status_line(bytes.substr(0, max_head), head);
  if (line == 0) return head.state == State::refused ? head : more();

  const char* at = bytes.data() + line;
  const char* const end = bytes.data() + std::min(bytes.size(), max_head);
  detail::TransferCodings codings;
  bool has_codings = false;
  bool has_length = false;
  const auto take = [&](const Header& header, KnownHeader known) {
    head.headers.push_back(header);
    switch (known) {
      case KnownHeader::content_length: {
        std::uint64_t length = 0;
        const Refusal refusal = detail::parse_length(header.value, length);
        if (!refusal.detail.empty()) {
          head.refusal = {502, "its Content-Length is not one number", "RFC 9112 §6.3"};
        } else if (has_length) {
          head.refusal = {502, "it has more than one Content-Length", "RFC 9112 §6.3"};
        }
        has_length = true;
        head.content_length = length;
        return head.refusal.detail.empty();
      }
      case KnownHeader::transfer_encoding:
        has_codings = true;
        codings.add(header.value);
        return true;
      case KnownHeader::connection:
        detail::for_each_element(header.value, [&](std::string_view token) {
          if (equal_ignoring_case(token, "close")) head.keep_alive = false;
          if (equal_ignoring_case(token, "keep-alive") && bytes[7] == '0') head.keep_alive = true;
        });
        return true;
      default:
        return true;
    }
  };
  std::array<Header, 16> lines;
  switch (detail::read_fields(at, bytes.data(), end, head.refusal, lines, take)) {
    case detail::FieldsStep::end:
      break;
    case detail::FieldsStep::more:
      return more();
    case detail::FieldsStep::refused:
      head.refusal.status = 502;
      head.state = State::refused;
      return head;
  }
  head.head_size = static_cast<std::size_t>(at - bytes.data());
  head.state = State::complete;
  if (has_codings && has_length) return refused("it has Content-Length and Transfer-Encoding", "RFC 9112 §6.3");
  if (has_codings && !codings.check().detail.empty()) {
    return refused("its transfer coding is not chunked", "RFC 9112 §6.3");
  }
  if (has_codings && bytes[7] == '0') return refused("it has Transfer-Encoding in HTTP/1.0", "RFC 9112 §6.1");
  if (to_head || head.status < 200 || head.status == 204 || head.status == 304) {
    head.framing = ResponseFraming::none;
    // These must not be there (RFC 9112 §6.1, RFC 9110 §8.6): a server that sends them may send a body as well.
    const bool bodyless = head.status < 200 || head.status == 204;
    if (bodyless && (has_codings || head.content_length != 0)) head.keep_alive = false;
  } else if (has_codings) {
    head.framing = ResponseFraming::chunked;
  } else if (has_length) {
    head.framing = ResponseFraming::length;
  } else {
    head.framing = ResponseFraming::until_close;
    head.keep_alive = false;
  }
  return head;
}

}  // namespace ashlar::http
