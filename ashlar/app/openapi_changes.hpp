// What changed between two OpenAPI documents of a service, and whether clients of the first one notice.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ashlar {

struct ApiChange {
  bool breaking = false;
  std::string text;  ///< "POST /articles body.title: is required now"
};

/// Compares by what a client of `before` meets in a service of `after`: operations and their ids, parameters, what is
/// taken (less than before breaks), what is answered (less than promised, or something new in its place, breaks),
/// security. Of callbacks and webhooks, which the service sends, the sides change places. Texts, examples and the order
/// do not count. Breaking changes come first. Throws Invalid for text that is
/// not JSON.
[[nodiscard]] std::vector<ApiChange> compare_openapi(std::string_view before, std::string_view after);

}  // namespace ashlar
