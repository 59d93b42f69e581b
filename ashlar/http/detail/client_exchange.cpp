#include <ashlar/http/detail/client_exchange.hpp>

#include <fmt/format.h>

namespace ashlar::http::detail {

void ClientExchange::fail(std::string_view why) const { throw Unavailable(fmt::format("{}: {}", where_, why)); }

void ClientExchange::fail_for_good(std::string_view why) const { throw Hopeless(fmt::format("{}: {}", where_, why)); }

void ClientExchange::check_stream_length(const ClientMessage& message, std::uint64_t given, bool at_end) const {
  if (!message.stream_length) return;
  if (given > *message.stream_length) throw Invalid(fmt::format("{}: the body is longer than stream_length", where_));
  if (at_end && given != *message.stream_length) {
    throw Invalid(fmt::format("{}: the body is shorter than stream_length", where_));
  }
}

}  // namespace ashlar::http::detail
