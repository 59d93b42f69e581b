#include <ashlar/http/detail/connection.hpp>

#include <ashlar/http/server_stats.hpp>

namespace ashlar::http::detail {

void ServerExchange::clear() noexcept {
  constexpr std::size_t kKeptBody = 64 * 1024;
  body = nullptr;
  response.clear();
  scratch.clear();
  scope.reset();
  context = async::Context{};
  body_storage.clear();
  if (body_storage.capacity() > kKeptBody) [[unlikely]]
    body_storage.shrink_to_fit();
}

void count_refusal(ServerStats& stats, int status) noexcept {
  switch (status) {
    case 408:
      break;  // counted where the time ran out
    case 413:
      return stats.bodies_too_large.add();
    case 414:
      return stats.targets_too_long.add();
    case 431:
      return stats.heads_too_large.add();
    default:
      return stats.malformed.add();
  }
}

}  // namespace ashlar::http::detail
