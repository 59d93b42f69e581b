// What the HTTP/2 connections of one loop share: how nghttp2 is set up, a buffer to read into, streams to use again.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <ashlar/http/server_options.hpp>

namespace ashlar::http::detail {

class Http2Connection;
class Http2Stream;

class Http2Loop {
 public:
  /// Throws std::bad_alloc.
  explicit Http2Loop(const ServerOptions& options);
  ~Http2Loop();
  Http2Loop(const Http2Loop&) = delete;
  Http2Loop& operator=(const Http2Loop&) = delete;

  /// A session that calls this connection, with its SETTINGS queued. Throws std::bad_alloc.
  [[nodiscard]] nghttp2_session* make_session(Http2Connection& connection);

  /// nghttp2 keeps what it needs of what it is given, so that all connections read into one place.
  [[nodiscard]] std::span<char> input() noexcept { return {input_.get(), kInput}; }
  /// The fields of the answer that is being submitted.
  [[nodiscard]] std::vector<nghttp2_nv>& fields() noexcept { return fields_; }

  [[nodiscard]] Http2Stream* take_stream();
  void give_stream(Http2Stream* stream) noexcept;

 private:
  static constexpr std::size_t kInput = 64 * 1024;

  const ServerOptions& options_;
  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_option* option_ = nullptr;
  std::unique_ptr<char[]> input_;
  std::vector<nghttp2_nv> fields_;
  std::vector<std::unique_ptr<Http2Stream>> streams_;  // free ones
};

/// How nghttp2 reads and writes a connection, in http2_session.cpp.
void set_http2_callbacks(nghttp2_session_callbacks* callbacks) noexcept;

}  // namespace ashlar::http::detail
