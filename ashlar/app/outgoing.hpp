// callback(): a request that the service sends because of another, as a part of the document.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <ashlar/app/api_docs.hpp>
#include <ashlar/app/detail/handler.hpp>

namespace ashlar {

namespace detail {

template <class P>
consteval bool can_be_sent() {
  if constexpr (kIsDependency<P> || !Extractable<parameter_t<P>>) {
    return false;
  } else {
    constexpr Source source = source_of<P>();
    return source == Source::outside || source == Source::body || source == Source::form;
  }
}

// Written with the signature, so that the compiler shows it.
template <class Signature>
inline constexpr bool kCanBeSent = false;
template <class R, class... P>
inline constexpr bool kCanBeSent<R(P...)> = (can_be_sent<P>() && ...) && count_bodies(List<P...>{}) <= 1;

template <class F>
void describe_outgoing(OperationInfo& info) {
  static_assert(std::is_function_v<F>,
                "a request that the service sends is written as a function: NoContent(Delivery), what comes back and "
                "what is sent");
  if constexpr (std::is_function_v<F>) {
    static_assert(kCanBeSent<F>,
                  "a request that the service sends consists of at most one body (a struct, Body<T> or Form<T>) and of "
                  "Query<T>, Header<T>, Cookie<T>, Credentials and ApiKey: other parameters are for handlers");
    if constexpr (kCanBeSent<F>) {
      describe_all(info, typename Signature<F>::Parameters{});
      Respond<typename Signature<F>::Result>::describe(info);
    }
  }
}

}  // namespace detail

/// For RouteOptions::callbacks: a request that the service sends to a place that the client names, as a function of
/// what is sent that gives what comes back: `callback<NoContent(Delivery)>("delivered", "{$request.body#/notify}")`.
/// The address has OpenAPI's runtime expressions (https://spec.openapis.org/oas/v3.1.1.html#runtime-expressions);
/// start-up refuses one that names what the request or its answer does not have. It is a part of the document: the
/// sending is the program's.
template <class Signature>
[[nodiscard]] OutgoingRequest callback(std::string name, std::string url, OutgoingOptions options = {}) {
  return {std::move(name), std::move(url), std::move(options), &detail::describe_outgoing<Signature>};
}

}  // namespace ashlar
