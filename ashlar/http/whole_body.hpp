// WholeBody: a body that has arrived in one piece, for those who make exchanges without a connection.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/request_body.hpp>

namespace ashlar::http {

class WholeBody final : public RequestBody {
 public:
  /// The bytes must stay while they are read. More than `most` of them: next() throws TooLarge, as a server's does.
  void hold(std::string_view bytes, std::uint64_t most) {
    rest_ = bytes;
    most_ = most;
    length_ = bytes.size();
  }
  Task<std::string_view> next() override {
    if (rest_.size() > most_) throw TooLarge("The body is larger than this server allows.");
    co_return std::exchange(rest_, {});
  }

 private:
  std::string_view rest_;
  std::uint64_t most_ = 0;
};

}  // namespace ashlar::http
