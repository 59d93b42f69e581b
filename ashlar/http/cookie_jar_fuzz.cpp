// Any bytes as a Set-Cookie field, and as a date: what is sent back is a good header, to whom it belongs, and bounded.
#include <string>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/cookie_jar.hpp>
#include <ashlar/http/detail/http_date.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ashlar::fuzz::require;
  const ashlar::fuzz::Block block(data, size);
  static_cast<void>(ashlar::http::detail::parse_lenient_date(block.view()));

  constexpr std::size_t kMost = 256;
  ashlar::http::CookieJar jar({.cookies = 2, .cookies_per_domain = 1, .size = kMost});
  jar.store("https://a.b.test/x/y", block.view());
  const std::string secure = jar.header("https://a.b.test/x/y");
  require(jar.size() <= 1 && secure.size() <= kMost + 1);
  for (const char c : secure) require(c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f'));
  require(secure.find(';') == std::string::npos);
  require(jar.header("https://other.test/x/y").empty());
  require(jar.header("https://test/x/y").empty());
  const std::string plain = jar.header("http://a.b.test/x/y");
  require(plain.empty() || plain == secure);
  return 0;
}
