// What a route takes and gives, as data: read by OpenAPI, `routes`, and the start-up checks. Filled in from the
// handler's type.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/api_docs.hpp>
#include <ashlar/app/idempotency.hpp>
#include <ashlar/app/overload.hpp>
#include <ashlar/app/parameters.hpp>
#include <ashlar/app/principal_limit.hpp>
#include <ashlar/app/rate_limit.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/http/request.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar::schema {
struct TypeInfo;
}

namespace ashlar {

/// One parameter outside of the body.
struct ParameterInfo {
  std::string name;  ///< as on the wire
  In in = In::query;
  bool required = true;
  const schema::TypeInfo* type = nullptr;
};

/// Members of a struct that are read from the query string, headers or cookies, one parameter each.
struct ParameterModelInfo {
  In in = In::query;
  const schema::TypeInfo* type = nullptr;
};

struct BodyInfo {
  std::string content_type = "application/json";
  const schema::TypeInfo* type = nullptr;  ///< null: any bytes
  bool required = true;
};

/// Headers or a cookie of an answer.
struct ResponsePartInfo {
  In in = In::header;                      ///< or cookie
  const schema::TypeInfo* type = nullptr;  ///< a struct, whose members are headers; null: see `name`
  std::string name = {};                   ///< of one header that is text, or of a cookie
  bool required = true;                    ///< it is always there
};

struct ResponseInfo {
  int status = 200;
  std::string description;                 ///< empty: the status's reason phrase
  std::string content_type;                ///< empty: no body
  const schema::TypeInfo* type = nullptr;  ///< null: no schema, as for HTML
  bool error = false;                      ///< described by the application's error format
  bool sequence = false;                   ///< `type` is one of many items, sent one after the other
  std::vector<ResponsePartInfo> parts = {};
};

struct SecurityInfo {
  std::string scheme;  ///< name in components.securitySchemes
  std::string kind;    ///< "http", "apiKey" or "mutualTLS"
  std::string detail;  ///< http: "bearer", "basic"; apiKey: its name
  std::vector<std::string> scopes;
  bool optional = false;
  In in = In::header;  ///< of an apiKey
};

/// A way to get a token (RFC 6749), for OpenAPI and the pages' "Authorize".
struct OAuthFlow {
  std::string authorization_url = {};  ///< may be a path of this service
  std::string token_url = {};
  std::string refresh_url = {};
  std::vector<std::pair<std::string, std::string>> scopes = {};  ///< name and description
};

/// What the document says of credentials beside what their parameter says. A flow makes it "oauth2".
struct SecurityScheme {
  std::string description = {};
  std::string bearer_format = {};        ///< "JWT"
  std::string open_id_connect_url = {};  ///< of the discovery document; makes it "openIdConnect"
  std::optional<OAuthFlow> authorization_code = {}, client_credentials = {}, password = {}, implicit = {};
};

/// One dependency of a route.
struct DependencyInfo {
  std::string name;                ///< of its function
  std::string result;              ///< its C++ type
  std::vector<std::string> takes;  ///< C++ types of its parameters that are no dependencies
  std::vector<std::string> needs;  ///< names of the dependencies among its parameters
  bool suspends = false;           ///< it is a task
  bool cleaned_up_after_answer = false;
  bool once_per_connection = false;
};

/// The messages of a WebSocket, when they are JSON.
struct WebSocketInfo {
  const schema::TypeInfo* receives = nullptr;  ///< what the client sends
  const schema::TypeInfo* sends = nullptr;
};

/// Everything known about one operation.
struct OperationInfo {
  std::vector<ParameterInfo> parameters;
  std::vector<ParameterModelInfo> parameter_models;
  std::optional<BodyInfo> body;
  std::vector<ResponseInfo> responses;
  std::vector<SecurityInfo> security;
  std::optional<WebSocketInfo> websocket;
  std::vector<std::string> resources;        ///< C++ names of the resources that the handler and its dependencies use
  std::vector<std::string> scopes;           ///< asked for by Security<…>, each once
  std::vector<DependencyInfo> dependencies;  ///< each after those that it needs
  std::vector<std::string> needs;            ///< names of the handler's own, and of those of the routers before it
};

/// How the forms of a route that takes files are received. The body as a whole is bounded by RouteOptions::max_body.
struct UploadOptions {
  std::size_t in_memory = 64 * 1024;  ///< bytes; a larger file goes to a temporary one without a name
  std::uint64_t max_file = 0;         ///< bytes of one file: 413; 0: whatever the body may have
  std::size_t max_files = 64;         ///< 413
  std::size_t max_field = 64 * 1024;  ///< bytes of a field that is no file: 413
  std::string directory = {};         ///< for temporary files; default: $TMPDIR, or /tmp
};

/// What the program says about a route.
struct RouteOptions {
  std::string summary = {};
  std::string description = {};
  std::vector<std::string> tags = {};
  std::string operation_id = {};  ///< default: made from method and path, stable
  bool deprecated = false;
  bool hidden = false;           ///< not in OpenAPI
  int status = 0;                ///< of the successful answer; 0: what the return type says
  std::vector<int> errors = {};  ///< statuses that the handler may answer beside those known from its parameters
  ExternalDocs external_docs = {};
  std::vector<ApiExample> examples = {};                      ///< of its body
  std::vector<ApiAnswer> answers = {};                        ///< texts and examples of its answers
  std::vector<OutgoingRequest> callbacks = {};                ///< made by callback<…>(): what the service then sends
  std::vector<std::pair<std::string, Json>> extensions = {};  ///< "x-…": for tools that know them
  std::optional<std::uint64_t> max_body = {};                 ///< bytes; default: the server's
  Priority priority = Priority::normal;                       ///< who is shed first when there is more than can be done
  std::vector<RateLimit> rate_limits = {};                    ///< asked in order, before its dependencies; 429
  std::vector<PrincipalLimit> principal_limits = {};          ///< asked in order, once it is known who asks; 429
  std::optional<Idempotency> idempotency = {};  ///< POST, PUT, PATCH, DELETE: done once for an Idempotency-Key
  std::optional<CachedAnswers> cache = {};      ///< GET: answers that are given again
  std::chrono::milliseconds heartbeat{15'000};  ///< of an event stream whose generator waits; 0: none
  UploadOptions uploads = {};
};

}  // namespace ashlar
