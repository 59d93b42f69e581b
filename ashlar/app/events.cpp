// Server-sent events as text (WHATWG HTML, 9.2.6).
#include <fmt/format.h>

#include <algorithm>

#include <ashlar/app/detail/respond.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::detail {
namespace {

// Each of its lines becomes a line of the event; CR, LF and CRLF end one.
void append_lines(std::string_view name, std::string_view text, std::string& out) {
  while (true) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    out.append(name).append(": ").append(text.substr(0, end)).push_back('\n');
    if (end == text.size()) return;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

void append_field(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    throw Internal(fmt::format("the {} of an event is one line", name));
  }
  out.append(name).append(": ").append(value).push_back('\n');
}

}  // namespace

std::string event_text(const std::string* data, std::string_view event, std::string_view id,
                       const std::optional<std::chrono::milliseconds>& retry, std::string_view comment) {
  std::string out;
  if (!comment.empty()) append_lines("", comment, out);
  append_field("event", event, out);
  append_field("id", id, out);
  if (retry) out += fmt::format("retry: {}\n", retry->count());
  if (data != nullptr) append_lines("data", *data, out);
  out += '\n';
  return out;
}

void respond_events(Call& call, Generator<std::string> pieces) {
  set_status(call, 200);
  http::Response& response = call.exchange.response;
  response.content_type = "text/event-stream";
  if (!response.find_header("Cache-Control")) response.append_header_lines("Cache-Control: no-cache\r\n");
  response.append_header_lines("X-Accel-Buffering: no\r\n");  // nginx would keep events back otherwise
  response.stream(std::move(pieces),
                  {.heartbeat = call.route->options.heartbeat, .heartbeat_bytes = ":\n\n", .open_ended = true});
}

}  // namespace ashlar::detail
