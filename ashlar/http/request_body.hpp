// The body of a request that is read while it arrives, in place of waiting until it is complete.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <ashlar/async/task.hpp>

namespace ashlar::http {

/// Belongs to one exchange. The client is held up (by TCP, or by the window of an HTTP/2 stream) while nobody reads.
/// What is left unread when the exchange is finished is dropped, and an HTTP/1.1 connection closed.
class RequestBody {
 public:
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;

  /// The next bytes, as they came; empty: that was all, and stays so. The view lives until the next call. One reader at
  /// a time, on the exchange's loop. Throws TooLarge (413) past the limit, RequestTimeout (408) when the client sends
  /// slower than ServerOptions allows, Malformed (400), and Cancelled when the client leaves or the scope is cancelled;
  /// after any of them nothing more comes.
  [[nodiscard]] virtual Task<std::string_view> next() = 0;

  /// Content-Length; absent when the client did not say (chunked, or HTTP/2 without it).
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept { return length_; }

 protected:
  RequestBody() = default;
  ~RequestBody() = default;
  std::optional<std::uint64_t> length_;
};

}  // namespace ashlar::http
