#include <ashlar/app/detail/form.hpp>
#include <ashlar/app/detail/read.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/websocket_handshake.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::detail {
namespace {

// "application/json; charset=utf-8" and "application/merge-patch+json" are JSON.
bool is_json(std::string_view type) {
  type = trim(type.substr(0, type.find(';')));
  if (equals_ignore_case(type, "application/json")) return true;
  return type.size() > 5 && equals_ignore_case(type.substr(type.size() - 5), "+json");
}

// The views point into the request, or into its scratch memory where something had to be decoded.
class Pairs {
 public:
  explicit Pairs(http::Scratch& scratch) noexcept : scratch_(scratch) {}

  void add(std::string_view name, std::string_view value) { pairs_.push_back({name, value}); }
  void add_encoded(std::string_view name, std::string_view value) { add(decode(name), decode(value)); }
  [[nodiscard]] std::span<const schema::Pair> get() const noexcept { return pairs_; }
  [[nodiscard]] std::vector<schema::Pair> take() { return std::move(pairs_); }

 private:
  std::string_view decode(std::string_view text) {
    if (text.find_first_of("%+") == std::string_view::npos) return text;
    const auto decoded = percent_decode(text, true);
    if (!decoded) {
      Problem problem;
      problem.status = 400;
      problem.detail = fmt::format("'{}' has a '%' that is not followed by two hexadecimal digits", text);
      throw problem;
    }
    return scratch_.copy(*decoded);
  }

  http::Scratch& scratch_;
  std::vector<schema::Pair> pairs_;
};

Pairs split_encoded(std::string_view text, http::Scratch& scratch) {  // WHATWG URL, application/x-www-form-urlencoded
  Pairs pairs{scratch};
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    pairs.add_encoded(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
  }
  return pairs;
}

Pairs split_cookies(std::string_view text, http::Scratch& scratch) {  // RFC 6265, 4.2
  Pairs pairs{scratch};
  while (!text.empty()) {
    const auto end = std::min(text.find(';'), text.size());
    const std::string_view pair = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    pairs.add(pair.substr(0, equals), value);
  }
  return pairs;
}

}  // namespace

void read_path(Call& call, std::string_view name, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  schema::read_text(type, call.path_value(name), out, errors, {"path", name});
}

void read_query(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  const auto pairs = split_encoded(call.exchange.request.query, call.exchange.scratch);
  schema::read_pairs(type, pairs.get(), out, errors, {"query", {}});
}

void read_headers(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  Pairs pairs{call.exchange.scratch};
  for (const auto& header : call.exchange.request.headers()) pairs.add(header.name, header.value);
  schema::read_pairs(type, pairs.get(), out, errors, {"header", {}}, schema::Names::header);
}

void read_cookies(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  const auto text = call.exchange.request.header(http::KnownHeader::cookie).value_or(std::string_view());
  const auto pairs = split_cookies(text, call.exchange.scratch);
  schema::read_pairs(type, pairs.get(), out, errors, {"cookie", {}});
}

bool is_form_type(std::string_view type) noexcept {
  return equals_ignore_case(trim(type.substr(0, type.find(';'))), "application/x-www-form-urlencoded");
}

std::vector<schema::Pair> form_fields(std::string_view text, http::Scratch& scratch) {
  return split_encoded(text, scratch).take();
}

void read_form(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  if (call.form != nullptr) return call.form->read(call, type, out, errors);
  const auto& request = call.exchange.request;
  const auto content_type = request.header(http::KnownHeader::content_type).value_or(std::string_view());
  if (is_form_type(content_type)) {
    schema::read_pairs(type, split_encoded(request.body, call.exchange.scratch).get(), out, errors, {"body", {}});
  } else if (equals_ignore_case(trim(content_type.substr(0, content_type.find(';'))), "multipart/form-data")) {
    read_whole_form(call, type, out, errors);
  } else {
    throw Unsupported("this takes a form: send Content-Type: application/x-www-form-urlencoded");
  }
}

void read_json(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  const auto& request = call.exchange.request;
  // No Content-Type is taken for JSON: there is nothing else it could be. A wrong one is refused: browsers send
  // text/plain and forms across origins without asking, JSON only after a preflight.
  if (const auto content_type = request.header(http::KnownHeader::content_type);
      content_type && !is_json(*content_type)) {
    throw Unsupported("this takes JSON: send Content-Type: application/json");
  }
  if (const auto encoding = request.header(http::KnownHeader::content_encoding); encoding && *encoding != "identity") {
    throw Unsupported(fmt::format("the body's Content-Encoding '{}' is not understood; send it as it is", *encoding));
  }
  if (request.body.empty()) {
    errors.add("missing", "Field required", {"body", {}});
    return;
  }
  schema::read_json(type, request.body, out, errors, {"body", {}});
}

std::string_view read_credentials(Call& call, std::string_view scheme) noexcept {
  const auto header = call.exchange.request.header(http::KnownHeader::authorization);
  if (!header) {
    // A browser's page cannot set Authorization for a WebSocket, but it can name subprotocols.
    const auto* const socket = call.route->websocket.get();
    if (socket == nullptr || !socket->bearer_subprotocol || scheme != "Bearer") return {};
    return http::bearer_of_subprotocols(call.exchange.request);
  }
  const auto space = header->find(' ');
  if (space == std::string_view::npos || !equals_ignore_case(header->substr(0, space), scheme)) return {};
  const auto token = trim(header->substr(space + 1));
  return token.empty() ? std::string_view() : token;
}

std::string_view read_api_key(Call& call, In in, std::string_view name) {
  const auto& request = call.exchange.request;
  if (in == In::header) return trim(request.header(name).value_or(std::string_view()));
  const Pairs pairs = in == In::query
                          ? split_encoded(request.query, call.exchange.scratch)
                          : split_cookies(request.header(http::KnownHeader::cookie).value_or(std::string_view()),
                                          call.exchange.scratch);
  for (const auto& pair : pairs.get()) {
    if (pair.name == name) return pair.value;
  }
  return {};
}

namespace {
std::string_view place_of(In in) {
  return in == In::header ? "header" : in == In::query ? "query parameter" : "cookie";
}
}  // namespace

void describe_api_key(OperationInfo& info, In in, std::string_view name, bool optional) {
  info.security.push_back({std::string(name), "apiKey", std::string(name), {}, optional, in});
}

void add_dependency(OperationInfo& info, DependencyInfo one) {
  const auto same = [&](const DependencyInfo& other) { return other.name == one.name; };
  if (std::ranges::none_of(info.dependencies, same)) info.dependencies.push_back(std::move(one));
}

void add_scopes(OperationInfo& info, std::span<const std::string_view> scopes,
                const std::vector<SecurityInfo>& schemes) {
  const auto add = [](std::vector<std::string>& into, std::string_view scope) {
    if (std::ranges::find(into, scope) == into.end()) into.emplace_back(scope);
  };
  for (const auto scope : scopes) {
    add(info.scopes, scope);
    for (auto& one : info.security) {
      const auto same = [&](const SecurityInfo& scheme) { return scheme.scheme == one.scheme; };
      if (std::ranges::any_of(schemes, same)) add(one.scopes, scope);
    }
  }
}

void throw_missing_api_key(In in, std::string_view name) {
  Problem problem;
  problem.status = 401;
  problem.detail = fmt::format("the key is missing: send it in the {} {}", place_of(in), name);
  problem.headers.emplace_back("WWW-Authenticate", "ApiKey");  // RFC 9110 §15.5.2 wants one; no scheme is registered
  throw problem;
}

void throw_missing_credentials(std::string_view scheme) {
  Problem problem;
  problem.status = 401;
  problem.detail = fmt::format("credentials are missing: send Authorization: {} <token>", scheme);
  problem.headers.emplace_back("WWW-Authenticate", std::string(scheme));
  throw problem;
}

// No 401: that would have to name a scheme for the Authorization header (RFC 9110 §15.5.2).
void throw_missing_client_certificate() {
  throw Forbidden("this needs a client's certificate: connect with one that an authority of this service has signed");
}

void throw_invalid(schema::Errors& errors) { throw schema::ValidationError(std::move(errors)); }

}  // namespace ashlar::detail
