// One HTTP response as a handler makes it. The server reuses the object, so that its strings keep their memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/context.hpp>
#include <ashlar/async/generator.hpp>

namespace ashlar::http {

class FileBody;

/// How a body that is made piece by piece is sent.
struct StreamOptions {
  std::optional<std::uint64_t> length = {};  ///< bytes, when they are known beforehand
  /// Sent whenever the generator has given nothing for so long, so that proxies keep the connection and a client that
  /// is gone is noticed. 0: nothing is. It may come half a second late.
  async::Nanoseconds heartbeat{0};
  std::string_view heartbeat_bytes = {};  ///< static storage
  /// It has no end of its own, as events have none: a drain cancels the generator at once and ends the body in order,
  /// in place of waiting until drain_timeout and breaking it off.
  bool open_ended = false;
};

class Response {
 public:
  int status = 200;
  /// Static storage (a literal). Empty: no Content-Type is sent.
  std::string_view content_type;
  /// Sent with its Content-Length. Ignored when a stream, file, static or shared body is set; never sent for 204, 304
  /// and HEAD.
  std::string body;
  /// Sends `Connection: close` and closes after this answer.
  bool close_connection = false;

  Response() noexcept;
  ~Response();
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

  /// A body that others share, sent without a copy. `owner` keeps the bytes until they are sent.
  void shared_body(std::shared_ptr<const void> owner, std::string_view bytes) noexcept {
    static_body(bytes);
    body_owner_ = std::move(owner);
  }

  /// An open file, or a part of it: sent by sendfile(2) where the connection allows. A file that becomes shorter
  /// meanwhile breaks the connection off.
  void file(FileBody file);

  /// A body made piece by piece: each string is sent as soon as the generator gives it, and the next one is asked for
  /// when the client has taken enough of the earlier ones. Chunked for HTTP/1.1 unless `length` is known; ended by the
  /// close of the connection for HTTP/1.0. The generator runs in the exchange's context after finish(), without the
  /// request's deadline; the client's leaving cancels it. A generator that throws breaks the connection off, so that
  /// the client sees that the body is incomplete.
  void stream(Generator<std::string> generator, std::optional<std::uint64_t> length = std::nullopt);
  void stream(Generator<std::string> generator, StreamOptions options);
  [[nodiscard]] bool streaming() const noexcept { return stream_.has_value(); }

  /// What will be sent as the body, when it is neither a stream nor a file.
  [[nodiscard]] std::string_view body_bytes() const noexcept {
    return has_static_body_ ? static_body_ : std::string_view(body);
  }

  /// Takes away whatever was to be the body.
  void remove_body() noexcept;

  /// For those who send responses.
  [[nodiscard]] Generator<std::string> take_stream();
  [[nodiscard]] const StreamOptions& stream_options() const noexcept { return stream_options_; }
  [[nodiscard]] std::optional<std::uint64_t> stream_length() const noexcept { return stream_options_.length; }
  /// Null: the body is no file.
  [[nodiscard]] const FileBody* file_body() const noexcept { return file_.get(); }
  [[nodiscard]] FileBody take_file();
  /// Makes a file body a stream of known length, read piece by piece off the loop: for those who cannot send files.
  void stream_file();
  /// Whoever sends body_bytes() without a copy after clear() keeps this. Null: nobody shares them.
  [[nodiscard]] const std::shared_ptr<const void>& body_owner() const noexcept { return body_owner_; }
  /// Back to an empty 200; keeps the strings' memory up to a bound.
  void clear() noexcept;

 private:
  std::string headers_;
  std::string_view static_body_;
  std::optional<Generator<std::string>> stream_;
  StreamOptions stream_options_;
  std::unique_ptr<FileBody> file_;
  std::shared_ptr<const void> body_owner_;
  bool has_static_body_ = false;
};

/// "Not Found" (RFC 9110 §15, IANA registry); "Unknown" for a code that is not registered.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

}  // namespace ashlar::http
