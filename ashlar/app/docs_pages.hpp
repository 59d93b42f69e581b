// The documentation pages of a service: Swagger UI at /docs, Scalar at /docs/scalar, everything they load below
// /docs/assets.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/description.hpp>
#include <ashlar/app/detail/assets.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/http/request.hpp>
#include <ashlar/http/response.hpp>

namespace ashlar::detail {

struct DocsContext {
  std::string_view title;
  std::string_view docs_path;     ///< "/docs"
  std::string_view openapi_path;  ///< "/openapi.json"
  /// URL and description, as in AppOptions: "Try it out" may talk to these origins beside this one.
  std::span<const std::pair<std::string, std::string>> servers = {};
  std::span<const Asset> assets = web_assets();
  /// "Authorize" may get tokens from where they say; null: there are none.
  const std::map<std::string, SecurityScheme>* security_schemes = nullptr;
};

/// Answers a GET below docs_path; what stands before docs_path in the request (a mount) does not matter, because every
/// URL in the pages is relative. Sets headers in `response`. Throws NotFound for an unknown page or asset.
///
/// The pages come with a strict Content-Security-Policy of their own: scripts only from files of this origin, no inline
/// ones and no eval, requests only to this origin, to the servers that the document names and to where tokens come
/// from. Inline *styles* are
/// allowed, because both programs write them (Scalar adds <style> elements, Swagger UI style attributes); a style
/// cannot run code, and with `img-src` closed to other hosts it cannot send anything out either.
[[nodiscard]] Content docs_page(const http::Request& request, http::Response& response, const DocsContext& context);

}  // namespace ashlar::detail
