#include <ashlar/http/detail/response_writer.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <iterator>

namespace ashlar::http::detail {
namespace {

char* put(char* at, std::string_view text) noexcept {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

char* put_two(char* at, int number) noexcept {
  at[0] = static_cast<char>('0' + number / 10);
  at[1] = static_cast<char>('0' + number % 10);
  return at + 2;
}

}  // namespace

char* write_http_date(std::time_t when, char* out) noexcept {
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  out = put(out, kDays.substr(static_cast<std::size_t>(parts.tm_wday) * 3, 3));
  out = put(out, ", ");
  out = put_two(out, parts.tm_mday);
  *out++ = ' ';
  out = put(out, kMonths.substr(static_cast<std::size_t>(parts.tm_mon) * 3, 3));
  *out++ = ' ';
  const int year = parts.tm_year + 1900;
  out = put_two(out, year / 100 % 100);
  out = put_two(out, year % 100);
  *out++ = ' ';
  out = put_two(out, parts.tm_hour);
  *out++ = ':';
  out = put_two(out, parts.tm_min);
  *out++ = ':';
  out = put_two(out, parts.tm_sec);
  return put(out, " GMT");
}

HeadStart::HeadStart(std::string_view server) {
  if (!server.empty()) server_ = fmt::format("Server: {}\r\n", server);
  refresh();
}

void HeadStart::refresh() noexcept {
  // The coarse clock is a few instructions in the vDSO; its few milliseconds do not matter for a whole second.
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec == second_) [[likely]]
    return;
  second_ = now.tv_sec;
  write_http_date(second_, date_);
  ok_.assign(kStatusLine).append("Date: ").append(date()).append("\r\n").append(server_);
}

void write_head(Cork& cork, const HeadStart& start, const Response& response, const HeadExtras& extras) {
  constexpr std::size_t kFixed = 256;  // status line without Date and Server, Content-Length, Connection, framing
  const std::string_view headers = response.header_lines();
  char* at = cork.room(kFixed + start.ok().size() + response.content_type.size() + headers.size());
  if (response.status == 200) [[likely]] {
    at = put(at, start.ok());
  } else {
    const int status = response.status >= 200 && response.status <= 999 ? response.status : 500;
    at = put(at, "HTTP/1.1 ");
    *at++ = static_cast<char>('0' + status / 100);
    at = put_two(at, status % 100);
    *at++ = ' ';
    at = put(at, reason_phrase(status));
    at = put(at, "\r\n");
    at = put(at, start.lines());
  }
  if (!response.content_type.empty()) {
    at = put(at, "Content-Type: ");
    at = put(at, response.content_type);
    at = put(at, "\r\n");
  }
  switch (extras.framing) {
    case Framing::length:
      at = put(at, "Content-Length: ");
      at = std::to_chars(at, at + 20, extras.length).ptr;
      at = put(at, "\r\n");
      break;
    case Framing::chunked:
      at = put(at, "Transfer-Encoding: chunked\r\n");
      break;
    case Framing::none:
    case Framing::until_close:
      break;
  }
  if (!extras.connection.empty()) {
    at = put(at, "Connection: ");
    at = put(at, extras.connection);
    at = put(at, "\r\n");
  }
  at = put(at, headers);
  at = put(at, "\r\n");
  cork.wrote_to(at);
}

std::string problem_json(int status, std::string_view detail) {
  // `detail` is a literal of the parsers: nothing in it needs escaping.
  return fmt::format(R"({{"type":"about:blank","title":"{}","status":{},"detail":"{}"}})", reason_phrase(status),
                     status, detail);
}

}  // namespace ashlar::http::detail
