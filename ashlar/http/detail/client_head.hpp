// The head of a request as a client writes it.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/http/client.hpp>
#include <ashlar/http/detail/client_connect.hpp>
#include <ashlar/http/detail/client_url.hpp>

namespace ashlar::http::detail {

[[nodiscard]] bool given(const ClientRequest& request, std::string_view name) noexcept;
/// RFC 9110 §9.2.2, or the caller's word for it.
[[nodiscard]] bool repeatable(const ClientRequest& request) noexcept;
/// This client decodes the answer of this request. A part of an encoded content (Range) says nothing by itself.
[[nodiscard]] bool decodes(const ClientRequest& request, const ClientOptions& options) noexcept;

/// Without the line that ends it. `cookies`: empty for none. Throws Invalid.
[[nodiscard]] std::string write_request_head(const ClientRequest& request, const ClientRoute& route,
                                             std::string_view cookies, const ClientOptions& options);

/// The URL with the request's query added. Throws Invalid.
[[nodiscard]] std::string with_query(const ClientRequest& request);

/// Changes the request into the one that a redirect asks for (RFC 9110 §15.4).
void redirect(ClientRequest& request, int status, std::string_view location);

}  // namespace ashlar::http::detail
