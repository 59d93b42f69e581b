// One HTTP response as a handler makes it. The server reuses the object, so that its strings keep their memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/async/generator.hpp>

namespace ashlar::http {

class Response {
 public:
  int status = 200;
  /// Static storage (a literal). Empty: no Content-Type is sent.
  std::string_view content_type;
  /// Sent with its Content-Length. Ignored when a stream or static body is set; never sent for 204, 304 and HEAD.
  std::string body;
  /// Sends `Connection: close` and closes after this answer.
  bool close_connection = false;

  Response() noexcept = default;
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;

  /// Appends a header. Throws Internal when the name is not a token or the value has a control character (CR, LF, NUL,
  /// …: response splitting), or when it is one the server writes itself (Content-Length, Transfer-Encoding, Connection,
  /// Date, and Content-Type, which has its member).
  void header(std::string_view name, std::string_view value);
  /// Replaces every header with this name by one.
  void replace_header(std::string_view name, std::string_view value);
  void remove_header(std::string_view name) noexcept;
  /// The first with this name, in any case; the view lives until the next change.
  [[nodiscard]] std::optional<std::string_view> find_header(std::string_view name) const noexcept;
  /// All of them as they go over the wire: "Name: value\r\n"…
  [[nodiscard]] std::string_view header_lines() const noexcept { return headers_; }
  /// Appends lines that are known to be well-formed ("Name: value\r\n"…), unchecked: for headers formatted once at
  /// start-up.
  void append_header_lines(std::string_view lines) { headers_ += lines; }

  /// A body in static storage (a page made at start-up): sent without a copy. Must stay valid while the server runs.
  void static_body(std::string_view bytes) noexcept {
    static_body_ = bytes;
    has_static_body_ = true;
  }

  /// A body made piece by piece: each string is sent as soon as the generator gives it, and the next one is asked for
  /// when the client has taken enough of the earlier ones. Chunked for HTTP/1.1 unless `length` is known; ended by the
  /// close of the connection for HTTP/1.0. The generator runs in the exchange's context after finish(), without the
  /// request's deadline; the client's leaving cancels it. A generator that throws breaks the connection off, so that
  /// the client sees that the body is incomplete.
  void stream(Generator<std::string> generator, std::optional<std::uint64_t> length = std::nullopt);
  [[nodiscard]] bool streaming() const noexcept { return stream_.has_value(); }

  /// What will be sent as the body, when it is not a stream.
  [[nodiscard]] std::string_view body_bytes() const noexcept {
    return has_static_body_ ? static_body_ : std::string_view(body);
  }

  /// For those who send responses.
  [[nodiscard]] Generator<std::string> take_stream();
  [[nodiscard]] std::optional<std::uint64_t> stream_length() const noexcept { return stream_length_; }
  /// Back to an empty 200; keeps the strings' memory up to a bound.
  void clear() noexcept;

 private:
  std::string headers_;
  std::string_view static_body_;
  std::optional<Generator<std::string>> stream_;
  std::optional<std::uint64_t> stream_length_;
  bool has_static_body_ = false;
};

/// "Not Found" (RFC 9110 §15, IANA registry); "Unknown" for a code that is not registered.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

}  // namespace ashlar::http
