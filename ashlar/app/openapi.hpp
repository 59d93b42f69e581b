// The OpenAPI 3.1 document of a service, made from its routes: https://spec.openapis.org/oas/v3.1.1.html
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/description.hpp>
#include <ashlar/http/request.hpp>

namespace ashlar {

/// What the document says about the service as a whole. What is empty is left out.
struct ApiInfo {
  std::string title = "API";
  std::string version = "0.1.0";  ///< of the service, not of OpenAPI
  std::string summary = {};
  std::string description = {};       ///< Markdown (CommonMark), as all descriptions
  std::string terms_of_service = {};  ///< a URL
  std::string contact_name = {}, contact_url = {}, contact_email = {};
  std::string license_name = {}, license_url = {};
  std::vector<std::pair<std::string, std::string>> servers = {};  ///< URL and description; none: where the document is
  std::vector<ApiTag> tags = {};                                  ///< in the order to show
  ExternalDocs external_docs = {};
  std::map<std::string, SecurityScheme> security_schemes = {};  ///< by the name that its parameter has
  std::vector<OutgoingRequest> webhooks = {};
};

namespace detail {

/// One operation. `options` must outlive the call that it is given to.
struct Operation {
  http::Method method = http::Method::get;
  std::string_view pattern;  ///< "/articles/{slug}", "/files/{rest:path}"
  const RouteOptions* options = nullptr;
  OperationInfo info;
};

/// What every error looks like. Without a type: RFC 9457 problem details, with `errors` as Ashlar gives them.
struct ErrorFormat {
  std::string content_type = "application/problem+json";
  const schema::TypeInfo* type = nullptr;
};

/// The document as JSON text. The same operations in the same order give the same bytes: paths in the order of the
/// operations, schemas by name. Hidden operations are left out, as are those that OpenAPI cannot tell from an earlier
/// one (`GET /files/{rest:path}` beside `GET /files/{name}`) and CONNECT.
[[nodiscard]] std::string make_openapi(const ApiInfo& info, std::span<const Operation> operations,
                                       const ErrorFormat& errors);

/// `GET /articles/{slug}/comments` → "get_articles_by_slug_comments". It depends on nothing else, so that generated
/// clients keep their names while a service grows; a name that another operation has already gets a number in the
/// document.
[[nodiscard]] std::string operation_id(http::Method method, std::string_view pattern);

/// "get_articles_by_slug" → "Get articles by slug"; "CreateArticle" → "Create article".
[[nodiscard]] std::string summary_of(std::string_view operation_id);

/// "user_agent" → "User-Agent". A name with a hyphen or a capital is left as it is: it has been chosen.
[[nodiscard]] std::string header_name(std::string_view member);

}  // namespace detail
}  // namespace ashlar
