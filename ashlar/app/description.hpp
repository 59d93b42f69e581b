// What a route takes and gives, as data: read by OpenAPI, `routes`, and the start-up checks. Filled in from the
// handler's type.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/idempotency.hpp>
#include <ashlar/app/overload.hpp>
#include <ashlar/app/principal_limit.hpp>
#include <ashlar/app/rate_limit.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/http/request.hpp>

namespace ashlar::schema {
struct TypeInfo;
}

namespace ashlar {

enum class In : std::uint8_t { path, query, header, cookie };

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

struct ResponseInfo {
  int status = 200;
  std::string description;                 ///< empty: the status's reason phrase
  std::string content_type;                ///< empty: no body
  const schema::TypeInfo* type = nullptr;  ///< null: no schema, as for HTML
  bool error = false;                      ///< described by the application's error format
  bool sequence = false;                   ///< `type` is one of many items, sent one after the other
};

struct SecurityInfo {
  std::string scheme;  ///< name in components.securitySchemes
  std::string kind;    ///< "http", "apiKey" or "mutualTLS"
  std::string detail;  ///< http: "bearer", "basic"; apiKey: the header's name
  std::vector<std::string> scopes;
  bool optional = false;
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
  std::vector<std::string> resources;  ///< C++ names of the resources that the handler and its dependencies use
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
  std::optional<std::uint64_t> max_body = {};         ///< bytes; default: the server's
  Priority priority = Priority::normal;               ///< who is shed first when there is more than can be done
  std::vector<RateLimit> rate_limits = {};            ///< asked in order, before its dependencies; 429
  std::vector<PrincipalLimit> principal_limits = {};  ///< asked in order, once it is known who asks; 429
  std::optional<Idempotency> idempotency = {};        ///< POST, PUT, PATCH, DELETE: done once for an Idempotency-Key
  std::optional<CachedAnswers> cache = {};            ///< GET: answers that are given again
  std::chrono::milliseconds heartbeat{15'000};        ///< of an event stream whose generator waits; 0: none
  UploadOptions uploads = {};
};

}  // namespace ashlar
