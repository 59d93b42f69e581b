// The body of a request of HTTP/2 that its handler reads while it arrives.
#pragma once

#include <cstdint>
#include <optional>

#include <ashlar/http/detail/http2_stream.hpp>
#include <ashlar/http/request_body.hpp>

namespace ashlar::http::detail {

class Http2Stream::Body final : public RequestBody {
 public:
  Body(Http2Stream& stream, std::optional<std::uint64_t> length) noexcept : stream_(stream) { length_ = length; }
  [[nodiscard]] Task<std::string_view> next() override;

 private:
  Http2Stream& stream_;
  bool failed_ = false;
};

}  // namespace ashlar::http::detail
