// What a program says about its API beside its types: groups, examples, texts of answers, and the requests that it
// sends itself (callbacks, webhooks).
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/http/request.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar {

struct OperationInfo;

/// More about it, in another place.
struct ExternalDocs {
  std::string url = {};  ///< empty: there is none
  std::string description = {};
};

/// Operations that belong together.
struct ApiTag {
  std::string name;
  std::string description = {};
  ExternalDocs external_docs = {};
};

/// The value of an example: anything that the schema can write, a text, or, for what a value cannot say (a secret, a
/// member that is write_only), a `Json`.
class ExampleValue {
 public:
  ExampleValue() = default;
  template <class T>
    requires(!std::is_same_v<T, ExampleValue>)
  ExampleValue(const T& value) : json_() {  // NOLINT: meant to be implicit
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      schema::append_json_string(value, json_);
    } else {
      schema::write_json(value, json_);
    }
  }
  [[nodiscard]] const std::string& json() const noexcept { return json_; }

 private:
  std::string json_ = "null";
};

/// One of the examples of a body: `{.name = "chair", .value = Product{.name = "Chair"}}`. Start-up refuses one that
/// does not fit the body.
struct ApiExample {
  std::string name;
  std::string summary = {};
  std::string description = {};
  ExampleValue value = {};
  std::string media_type = {};  ///< of an answer that has several; empty: its first
};

/// What is said of an answer with this status. One of 400 and above may be answered then, as those in
/// RouteOptions::errors; start-up refuses another one that the route does not answer.
struct ApiAnswer {
  int status = 200;
  std::string description = {};  ///< empty: what the types say
  std::vector<ApiExample> examples = {};
};

/// What the program says about a request that it sends: see callback() and App::webhook().
struct OutgoingOptions {
  http::Method method = http::Method::post;
  std::string summary = {};
  std::string description = {};
  std::vector<std::string> tags = {};
  std::string operation_id = {};  ///< default: made of its name, and of a callback's operation; stable
  bool deprecated = false;
  ExternalDocs external_docs = {};
  std::vector<ApiExample> examples = {};  ///< of its body
  std::vector<ApiAnswer> answers = {};    ///< that the receiver may give, beside those of the signature
};

/// A request that the service sends, for the document.
struct OutgoingRequest {
  std::string name;
  std::string url;  ///< of a callback: where it goes, a URL with runtime expressions
  OutgoingOptions options;
  void (*describe)(OperationInfo&) = nullptr;
};

}  // namespace ashlar
