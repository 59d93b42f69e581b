// Any text as a URL for the client, and as a Location seen from one: nothing of it can end a line or name another host.
#include <string>
#include <string_view>

#include <ashlar/base/error.hpp>
#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/detail/client_url.hpp>

namespace {

using ashlar::fuzz::require;
using ashlar::http::detail::ClientUrl;

bool clean(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '#') return false;
  }
  return true;
}

void check(const ClientUrl& url) {
  require(clean(url.target) && url.target.starts_with('/'));
  require(clean(url.authority) && url.authority.find_first_of("/?@\\") == std::string::npos);
  require(!url.host.empty() && clean(url.host) && url.port != 0);
  // Parsed again, it is the same.
  const ClientUrl again = ClientUrl::parse((url.secure ? "https://" : "http://") + url.authority + url.target);
  require(again.origin() == url.origin() && again.target == url.target);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::fuzz::Block block(data, size);
  try {
    check(ClientUrl::parse(block.view()));
  } catch (const ashlar::Invalid&) {  // the other good end
  }
  try {
    static const ClientUrl kBase = ClientUrl::parse("https://api.example:8443/v1/items?page=2");
    check(ClientUrl::parse(kBase.resolve(block.view())));
  } catch (const ashlar::Invalid&) {
  }
  return 0;
}
