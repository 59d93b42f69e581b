#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/app/detail/dev_page.hpp>

namespace ashlar::detail {

std::shared_ptr<DevPage> DevPage::from_environment() {
  const char* file = ::getenv("ASHLAR_DEV_PAGE");
  if (file == nullptr || *file == '\0') return nullptr;
  return std::make_shared<DevPage>(file);
}

bool DevPage::before(http::Exchange& exchange) {
  const auto& request = exchange.request;
  if (request.method != http::Method::get && request.method != http::Method::head) return true;
  const auto accept = request.header(http::KnownHeader::accept);
  if (!accept || !accept->contains("text/html")) return true;
  std::ifstream file(file_, std::ios::binary);
  if (!file) return true;
  std::string page{std::istreambuf_iterator<char>(file), {}};
  auto& response = exchange.response;
  response.status = 503;
  response.content_type = "text/html; charset=utf-8";
  response.header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  response.header("Cache-Control", "no-store");
  response.header("Retry-After", "1");
  response.body = std::move(page);
  return false;
}

}  // namespace ashlar::detail
