#include <ashlar/app/pagination.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <ashlar/app/detail/seal.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/errors.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar {
namespace {

constexpr std::size_t kMostPosition = 4096;
constexpr std::string_view kPurpose =
    "ashlar cursor 1";                   // authenticated, too: other uses of the secret give no cursors
constexpr std::size_t kMostLink = 4096;  // bytes of a query that is repeated in links

}  // namespace

Cursors::Cursors(const Secret<>& secret) : key_(detail::sealing_key(secret, kPurpose, "cursors")) {}

std::string Cursors::seal(std::string_view position) const {
  if (position.empty() || position.size() > kMostPosition) {
    throw Internal(fmt::format("a position in a list has {} bytes; a cursor holds 1 to {}: sort by shorter columns",
                               position.size(), kMostPosition));
  }
  return base64url_encode(detail::seal(key_, kPurpose, position));
}

std::optional<std::string> Cursors::open(const std::optional<std::string>& cursor) const {
  if (!cursor) return std::nullopt;
  auto bytes = base64url_decode(*cursor);
  auto position = bytes ? detail::unseal(key_, kPurpose, std::move(*bytes)) : std::nullopt;
  if (position) return position;
  schema::Errors errors;
  errors.add("cursor_invalid", "Input should be a cursor of another page of this list", {"query", "cursor"});
  throw schema::ValidationError(std::move(errors));
}

namespace detail {
namespace {

// The request's query without the parameter, and ready for one more. What a URL has no place for is escaped: it stands
// between < and > in a header.
std::string query_without(std::string_view query, std::string_view name) {
  std::string out = "?";
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty() || pair.substr(0, pair.find('=')) == name) continue;
    for (const char c : pair) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= ' ' || byte >= 127 || c == '<' || c == '>' || c == '"' || c == '\\') {
        out += fmt::format("%{:02X}", byte);
      } else {
        out += c;
      }
    }
    out += '&';
  }
  return out;
}

class Links {
 public:
  Links(Call& call, std::string_view parameter)
      : call_(call), parameter_(parameter), start_(query_without(call.exchange.request.query, parameter)) {}
  void add(std::string_view relation, std::string_view value) {
    text_ += fmt::format("{}<{}{}={}>; rel=\"{}\"", text_.empty() ? "" : ", ", start_, parameter_, value, relation);
  }
  void write() {
    if (!text_.empty() && start_.size() <= kMostLink) call_.exchange.response.header("Link", text_);
  }

 private:
  Call& call_;
  std::string_view parameter_;
  std::string start_;
  std::string text_;
};

}  // namespace

void add_page_links(Call& call, std::int64_t total, std::int64_t limit, std::int64_t offset) {
  if (limit <= 0 || total <= 0 || (total <= limit && offset == 0)) return;  // there is one page
  Links links(call, "offset");
  const std::int64_t last = (total - 1) / limit * limit;
  links.add("first", "0");
  if (offset > 0) links.add("prev", fmt::format("{}", std::clamp<std::int64_t>(offset - limit, 0, last)));
  if (offset < total - limit) links.add("next", fmt::format("{}", offset + limit));
  links.add("last", fmt::format("{}", last));
  links.write();
}

void add_cursor_links(Call& call, const std::optional<std::string>& next, const std::optional<std::string>& previous) {
  if (!next && !previous) return;
  Links links(call, "cursor");
  if (previous) links.add("prev", *previous);
  if (next) links.add("next", *next);
  links.write();
}

}  // namespace detail
}  // namespace ashlar
