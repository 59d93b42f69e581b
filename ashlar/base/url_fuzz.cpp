// Any text as a URL: its parts lie in it, in order, and what it prints is the same URL.
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/url.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ashlar::Url;
  using ashlar::fuzz::require;
  const ashlar::fuzz::Block block(data, size);
  const auto url = Url::parse_or_reason(block.view());
  require(url.has_value() == Url::parse(block.view()).has_value());
  if (!url) {
    require(!url.error().empty());
    return 0;
  }
  const std::string_view text = url->to_string();
  for (const char c : text) require(static_cast<unsigned char>(c) > ' ' && c != 0x7f);
  const auto again = Url::parse(text);
  require(again.has_value() && *again == *url);
  require(again->scheme() == url->scheme() && again->userinfo() == url->userinfo() && again->host() == url->host());
  require(again->port() == url->port() && again->target() == url->target() && again->fragment() == url->fragment());
  require(text.starts_with(url->scheme()));
  if (url->scheme() == "http" || url->scheme() == "https") require(!url->host().empty());
  require(url->host().find_first_of("/?#@") == std::string_view::npos);
  require(url->path().empty() || url->path().front() == '/');
  require(url->path().find_first_of("?#") == std::string_view::npos);
  require(url->query().find('#') == std::string_view::npos);
  return 0;
}
