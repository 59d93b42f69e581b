#include <ashlar/app/docs_pages.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include <ashlar/app/detail/html_context.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/conditional.hpp>
#include <ashlar/http/content_coding.hpp>

namespace ashlar::detail {
namespace {

// Without JavaScript there is nothing to see but this; the main element must be empty for Scalar, which takes what it
// finds there for its own.
constexpr std::string_view kEmptyPage =
    "<noscript><p class=\"note\">This page needs JavaScript.</p></noscript>\n<main id=\"api\"></main>\n";
constexpr std::string_view kHtmlType = "text/html; charset=utf-8";
constexpr std::array kCodings = {http::ContentCoding::gzip};  // of the assets

std::string escape_html(std::string_view text) {
  std::string out;
  write_escaped(text, HtmlEscape::text, out);
  return out;
}

const Asset* find_asset(std::span<const Asset> assets, std::string_view path) {
  const auto at = std::ranges::find(assets, path, &Asset::path);
  return at == assets.end() ? nullptr : &*at;
}

// What follows "/docs" in "/mounted/docs/scalar". The last one counts; no page or asset has such a part in its own
// name.
std::string_view part_below(std::string_view path, std::string_view docs_path) {
  for (auto at = path.rfind(docs_path); at != std::string_view::npos; at = path.rfind(docs_path, at - 1)) {
    const std::string_view rest = path.substr(at + docs_path.size());
    if (rest.empty() || rest.front() == '/') return rest;
    if (at == 0) break;
  }
  return {};
}

// W/"0123" → 0123.
std::string_view opaque(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
  return tag;
}

// "https://api.example.com/v1" → "https://api.example.com"; nothing for a relative URL, or one with anything in its
// host that would end a directive of the policy.
std::optional<std::string> origin_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  const std::string_view origin = url.substr(0, url.find_first_of("/?#", scheme + 3));
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]/";
  if (origin.find_first_not_of(kPlain) != std::string_view::npos) return std::nullopt;
  return std::string(origin);
}

std::string content_security_policy(const DocsContext& context) {
  std::set<std::string> origins;
  const auto add = [&](std::string_view url) {
    if (auto origin = origin_of(url)) origins.insert(std::move(*origin));
  };
  for (const auto& [url, _] : context.servers) add(url);
  if (context.security_schemes != nullptr) {
    for (const auto& [_, scheme] : *context.security_schemes) {
      add(scheme.open_id_connect_url);
      for (const auto* flow :
           {&scheme.authorization_code, &scheme.client_credentials, &scheme.password, &scheme.implicit}) {
        if (!*flow) continue;
        add((*flow)->token_url);
        add((*flow)->refresh_url);
      }
    }
  }
  std::string connect = "'self'";
  for (const auto& origin : origins) connect += ' ' + origin;
  return fmt::format(
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src "
      "'self' data:; connect-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      connect);
}

// One page on its way: what it is about, and how its URLs begin.
class Page {
 public:
  Page(const DocsContext& context, std::string_view below) : context_(context) {
    // From "/docs" the root of the service is ".", from "/docs/scalar" and "/docs/" it is "..".
    const auto slashes = std::ranges::count(context.docs_path, '/') + std::ranges::count(below, '/');
    for (std::ptrdiff_t i = 1; i < slashes; ++i) up_ += "../";
  }

  [[nodiscard]] std::string url(std::string_view path) const {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    return up_ + std::string(path);
  }
  // With its tag, so that it may be cached for ever.
  [[nodiscard]] std::string asset_url(std::string_view path) const {
    const Asset* asset = find_asset(context_.assets, path);
    return fmt::format("{}/assets/{}?v={}", url(context_.docs_path), path, asset ? opaque(asset->etag) : "");
  }

  [[nodiscard]] std::string html(std::string_view current, std::string_view head, std::string_view body) const {
    const auto link = [&](std::string_view name, std::string_view to) {
      return fmt::format("<a href=\"{}\"{}>{}</a>", url(to), name == current ? " aria-current=\"page\"" : "", name);
    };
    const std::string docs(context_.docs_path);
    const std::string title = escape_html(context_.title);
    return fmt::format(
        R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · {current}</title>
<link rel="icon" href="{icon}">
{head}<link rel="stylesheet" href="{css}">
</head>
<body data-document="{document}" data-root="{root}">
<header class="bar"><img src="{icon}" alt=""><strong>{title}</strong><nav>{swagger}{scalar}{json}</nav></header>
{body}
</body>
</html>
)",
        fmt::arg("title", title), fmt::arg("current", current), fmt::arg("icon", asset_url("page/icon.svg")),
        fmt::arg("head", head), fmt::arg("css", asset_url("page/page.css")),
        fmt::arg("document", url(context_.openapi_path)), fmt::arg("root", up_.empty() ? "./" : up_),
        fmt::arg("swagger", link("Swagger UI", docs)), fmt::arg("scalar", link("Scalar", docs + "/scalar")),
        fmt::arg("json", link("JSON", context_.openapi_path)), fmt::arg("body", body));
  }

  [[nodiscard]] std::string script(std::string_view path) const {
    return fmt::format("<script src=\"{}\"></script>\n", asset_url(path));
  }

  [[nodiscard]] std::string swagger() const {
    return html("Swagger UI",
                fmt::format("<link rel=\"stylesheet\" href=\"{}\">\n", asset_url("swagger-ui/swagger-ui.css")),
                std::string(kEmptyPage) + script("swagger-ui/swagger-ui-bundle.js") + script("page/common.js") +
                    script("page/swagger.js"));
  }
  [[nodiscard]] std::string scalar() const {
    return html(
        "Scalar", "",
        std::string(kEmptyPage) + script("scalar/standalone.js") + script("page/common.js") + script("page/scalar.js"));
  }
  [[nodiscard]] std::string absent(std::string_view program) const {
    return html(
        program, "",
        fmt::format("<main class=\"note\"><h1>{0} is not part of this build</h1>\n"
                    "<p>It is fetched from the npm registry when Ashlar is built, and the registry could not be "
                    "reached then. The build's output says why, and building again with network access adds it. "
                    "Everything else works.</p>\n"
                    "<p>The OpenAPI document is here: <a href=\"{1}\">{1}</a>. Any OpenAPI 3.1 viewer can show "
                    "it.</p></main>",
                    program, url(context_.openapi_path)));
  }

 private:
  const DocsContext& context_;
  std::string up_;
};

Content asset(const http::Request& request, http::Response& response, const Asset& found) {
  // An address that carries the tag names these bytes and no others.
  const bool versioned = request.query == fmt::format("v={}", opaque(found.etag));
  response.header("Cache-Control", versioned ? "public, max-age=31536000, immutable" : "no-cache");
  response.header("ETag", found.etag);
  response.header("Vary", "Accept-Encoding");
  // Where an authorization server sends the browser back to: a page with a script of its own.
  if (found.content_type.starts_with("text/html"))
    response.header("Content-Security-Policy", "default-src 'none'; script-src 'self'; frame-ancestors 'none'");
  switch (http::check_conditions(request, {.etag = found.etag})) {
    case http::Condition::proceed:
      break;
    case http::Condition::not_modified:
      return {{}, {}, 304};
    case http::Condition::failed:
      return {{}, {}, 412};
  }
  const auto accepted = request.header(http::KnownHeader::accept_encoding).value_or(std::string_view());
  if (http::negotiate(accepted, kCodings) == http::ContentCoding::gzip) {
    response.header("Content-Encoding", "gzip");
    response.static_body(found.gzip);
  } else {
    response.static_body(found.bytes);
  }
  return {found.content_type, {}, 200};
}

}  // namespace

Content docs_page(const http::Request& request, http::Response& response, const DocsContext& context) {
  std::string_view below = part_below(request.path, context.docs_path);

  constexpr std::string_view kAssets = "/assets/";
  if (below.starts_with(kAssets)) {
    const Asset* found = find_asset(context.assets, below.substr(kAssets.size()));
    if (!found) throw NotFound(fmt::format("the documentation has no file '{}'", below.substr(kAssets.size())));
    return asset(request, response, *found);
  }

  const Page page{context, below};
  if (below.ends_with('/')) below.remove_suffix(1);
  const bool scalar = below == "/scalar";
  if (!scalar && !below.empty()) throw NotFound("the documentation has two pages: this one is neither of them");
  response.header("Cache-Control", "no-cache");
  response.header("Content-Security-Policy", content_security_policy(context));
  const std::string_view program = scalar ? "Scalar" : "Swagger UI";
  if (!find_asset(context.assets, scalar ? "scalar/standalone.js" : "swagger-ui/swagger-ui-bundle.js")) {
    return {kHtmlType, page.absent(program), 503};
  }
  return {kHtmlType, scalar ? page.scalar() : page.swagger()};
}

}  // namespace ashlar::detail
