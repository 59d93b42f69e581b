// What a program says about its API and what is not so.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/openapi.hpp>

namespace ashlar::detail {

/// Whether there is anything to look at: examples, texts of answers, callbacks, extensions, webhooks.
[[nodiscard]] bool says_more(const RouteOptions& options) noexcept;

/// Examples that do not fit, answers that are never given, addresses of callbacks that name what is not there, names
/// that come twice. Each begins with its operation. `document` is what make_openapi() gives for the other two.
[[nodiscard]] std::vector<std::string> openapi_problems(const ApiInfo& info, std::span<const Operation> operations,
                                                        std::string_view document);

}  // namespace ashlar::detail
