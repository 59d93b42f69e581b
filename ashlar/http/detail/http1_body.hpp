// The body of a request of HTTP/1.1 that its handler reads while it arrives.
#pragma once

#include <cstdint>
#include <optional>

#include <ashlar/http/detail/http1_connection.hpp>
#include <ashlar/http/request_body.hpp>

namespace ashlar::http::detail {

/// Memory for a body grows by this as it comes, not as it is announced.
inline constexpr std::uint32_t kBodyStep = 64 * 1024;

class Http1Connection::Body final : public RequestBody {
 public:
  Body(Http1Connection& connection, std::optional<std::uint64_t> length) noexcept : connection_(connection) {
    length_ = length;
  }
  [[nodiscard]] Task<std::string_view> next() override;

 private:
  Http1Connection& connection_;
  bool failed_ = false;
};

}  // namespace ashlar::http::detail
