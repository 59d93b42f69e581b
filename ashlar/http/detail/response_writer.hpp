// Writes the head of a response (RFC 9112 §4) into a loop's output buffer.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include <ashlar/http/detail/cork.hpp>
#include <ashlar/http/response.hpp>

namespace ashlar::http::detail {

/// How the length of the body is told.
enum class Framing : std::uint8_t {
  none,  ///< 204, 304: no body and no length (RFC 9110 §8.6)
  length,
  chunked,
  until_close,  ///< a stream of unknown length to HTTP/1.0
};

/// What a connection adds to what the handler said.
struct HeadExtras {
  Framing framing = Framing::length;
  std::uint64_t length = 0;
  std::string_view connection;  ///< "close", "keep-alive" for HTTP/1.0; empty: no Connection header
};

/// The start of every head, formatted once a second: status line, Date, Server. One a loop.
class HeadStart {
 public:
  /// `server` becomes the Server header; empty: none.
  explicit HeadStart(std::string_view server);
  /// Call it before writing; formats again when the second has changed.
  void refresh() noexcept;
  /// "HTTP/1.1 200 OK\r\nDate: …\r\n"
  [[nodiscard]] std::string_view ok() const noexcept { return ok_; }
  /// "Date: …\r\n", with the Server line.
  [[nodiscard]] std::string_view lines() const noexcept { return std::string_view(ok_).substr(kStatusLine.size()); }
  /// The value of Date; stays where it is, and always is one.
  [[nodiscard]] std::string_view date() const noexcept { return {date_, kDateSize}; }

 private:
  static constexpr std::string_view kStatusLine = "HTTP/1.1 200 OK\r\n";
  static constexpr std::size_t kDateSize = 29;
  std::time_t second_ = -1;
  char date_[32] = {};
  std::string server_;
  std::string ok_;
};

/// IMF-fixdate (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", 29 characters, to `out`; returns its end.
char* write_http_date(std::time_t when, char* out) noexcept;

/// Appends the head, empty line included. A status that is no final one is sent as 500.
void write_head(Cork& cork, const HeadStart& start, const Response& response, const HeadExtras& extras);

/// RFC 9457 problem details for a refusal of the server itself.
[[nodiscard]] std::string problem_json(int status, std::string_view detail);

}  // namespace ashlar::http::detail
