// How each kind of result becomes an answer, and how it is described. The one place to touch for a new kind.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <ashlar/app/call.hpp>
#include <ashlar/app/detail/traits.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::detail {

inline constexpr std::string_view kJson = "application/json; charset=utf-8";
inline constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
inline constexpr std::string_view kHtml = "text/html; charset=utf-8";

void respond_text(Call& call, int status, std::string_view type, std::string body);
void respond_redirect(Call& call, const Redirect& redirect);
void respond_problem(Call& call, const Problem& problem);
void respond_stream(Call& call, Stream stream);
Task<void> respond_file(Call& call, File file);
void describe_file(OperationInfo& info);
void respond_events(Call& call, Generator<std::string> pieces);
// The fields of an event as they are sent, and the empty line; `data` null: none.
std::string event_text(const std::string* data, std::string_view event, std::string_view id,
                       const std::optional<std::chrono::milliseconds>& retry, std::string_view comment);
void set_status(Call& call, int status) noexcept;  // unless the route says another for what is no error

template <class T>
void respond_json(Call& call, int status, const T& value) {
  set_status(call, status);
  call.exchange.response.content_type = kJson;
  schema::write_json(value, call.exchange.response.body);
}

inline void describe_response(OperationInfo& info, int status, std::string_view content_type,
                              const schema::TypeInfo* type = nullptr) {
  info.responses.push_back({status, {}, std::string(content_type), type, false});
}

template <class T>
struct Respond;

/// What an error's kind is to a client.
int status_of(ErrorKind kind) noexcept;

// Of the classes that say a kind; nullopt: only the object knows.
template <class E>
consteval std::optional<ErrorKind> kind_of() {
  if (std::is_base_of_v<Invalid, E>) return ErrorKind::invalid;
  if (std::is_base_of_v<Malformed, E>) return ErrorKind::malformed;
  if (std::is_base_of_v<Unauthenticated, E>) return ErrorKind::unauthenticated;
  if (std::is_base_of_v<Forbidden, E>) return ErrorKind::forbidden;
  if (std::is_base_of_v<NotFound, E>) return ErrorKind::not_found;
  if (std::is_base_of_v<Conflict, E>) return ErrorKind::conflict;
  if (std::is_base_of_v<PreconditionFailed, E>) return ErrorKind::precondition_failed;
  if (std::is_base_of_v<TooLarge, E>) return ErrorKind::too_large;
  if (std::is_base_of_v<RequestTimeout, E>) return ErrorKind::request_timeout;
  if (std::is_base_of_v<Cancelled, E>) return ErrorKind::cancelled;
  if (std::is_base_of_v<DeadlineExceeded, E>) return ErrorKind::deadline_exceeded;
  if (std::is_base_of_v<Unsupported, E>) return ErrorKind::unsupported;
  if (std::is_base_of_v<Internal, E>) return ErrorKind::internal;
  if (std::is_base_of_v<Unavailable, E>) return ErrorKind::unavailable;
  if (std::is_base_of_v<RateLimited, E>) return ErrorKind::rate_limited;
  return std::nullopt;
}

inline void describe_problem(OperationInfo& info, int status) {
  info.responses.push_back({status, {}, {}, nullptr, true});
}

// Whether a type says that it is no ordinary answer. The error of an std::expected must, or it would go out with 200.
template <class E>
inline constexpr bool kSaysStatus = std::is_base_of_v<Error, E> || std::is_base_of_v<Problem, E> ||
                                    std::is_same_v<E, Redirect> || std::is_same_v<E, Content>;
template <int Code, class T>
inline constexpr bool kSaysStatus<Status<Code, T>> = true;
template <class... E>
inline constexpr bool kSaysStatus<std::variant<E...>> = (kSaysStatus<E> && ...);

// An answer that has to wait for something before it is complete has write_later in place of write.
template <class T>
inline constexpr bool kRespondsLater = false;
template <class T>
  requires requires { Respond<T>::kLater; }
inline constexpr bool kRespondsLater<T> = Respond<T>::kLater;

template <class T>
Task<void> respond_later(Call& call, T value) {
  if constexpr (kRespondsLater<T>) {
    co_await Respond<T>::write_later(call, std::move(value));
  } else {
    Respond<T>::write(call, std::move(value));
    co_return;
  }
}

template <class T>
std::string data_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else {
    return schema::to_json(value);
  }
}
template <class T>
Generator<std::string> event_pieces(Generator<Event<T>> events) {
  while (std::optional<Event<T>> one = co_await events.next()) {
    std::string data;
    if (one->data) data = data_text(*one->data);
    co_yield event_text(one->data ? &data : nullptr, one->event, one->id, one->retry, one->comment);
  }
}
template <class T>
Generator<std::string> json_lines(Generator<T> values) {
  while (std::optional<T> value = co_await values.next()) {
    std::string line = schema::to_json(*value);
    line += '\n';
    co_yield std::move(line);
  }
}

// Any value that the schema can write: JSON with 200.
template <class T>
struct Respond {
  static void write(Call& call, const T& value) { respond_json(call, 200, value); }
  static void describe(OperationInfo& info) {
    describe_response(info, 200, "application/json", &schema::type_info<T>());
  }
};
// Annotations are rules for what comes in.
template <class T, auto... Rules>
struct Respond<Annotated<T, Rules...>> : Respond<T> {};
template <>
struct Respond<void> {
  static void write(Call& call) { set_status(call, 204); }
  static void describe(OperationInfo& info) { describe_response(info, 204, {}); }
};
template <>
struct Respond<NoContent> {
  static void write(Call& call, NoContent) { set_status(call, 204); }
  static void describe(OperationInfo& info) { describe_response(info, 204, {}); }
};
template <class T>
struct Respond<Created<T>> {
  static void write(Call& call, const Created<T>& created) {
    if (!created.location.empty()) call.exchange.response.header("Location", created.location);
    respond_json(call, 201, created.value);
  }
  static void describe(OperationInfo& info) {
    describe_response(info, 201, "application/json", &schema::type_info<T>());
    info.responses.back().parts.push_back({.name = "Location", .required = false});
  }
};
template <class T>
struct Respond<Accepted<T>> {
  static void write(Call& call, const Accepted<T>& accepted) { respond_json(call, 202, accepted.value); }
  static void describe(OperationInfo& info) {
    describe_response(info, 202, "application/json", &schema::type_info<T>());
  }
};
template <int Code, class T>
struct Respond<Status<Code, T>> {
  static_assert(!std::is_base_of_v<Problem, T>, "a problem with a status of its own is a ProblemOf<status>");
  static_assert(!kRespondsLater<T>, "a File says its status itself");
  static void write(Call& call, Status<Code, T> answer) {
    Respond<T>::write(call, std::move(answer.value));
    set_status(call, Code);
  }
  static void describe(OperationInfo& info) {
    const std::size_t before = info.responses.size();
    Respond<T>::describe(info);
    for (std::size_t i = before; i < info.responses.size(); ++i) info.responses[i].status = Code;
  }
};
template <int Code>
struct Respond<Status<Code, void>> {
  static void write(Call& call, Status<Code, void>) { set_status(call, Code); }
  static void describe(OperationInfo& info) { describe_response(info, Code, {}); }
};
template <>
struct Respond<std::string> {
  static void write(Call& call, std::string text) { respond_text(call, 200, kPlainText, std::move(text)); }
  static void describe(OperationInfo& info) { describe_response(info, 200, "text/plain"); }
};
template <>
struct Respond<std::string_view> {
  static void write(Call& call, std::string_view text) {
    set_status(call, 200);
    call.exchange.response.content_type = kPlainText;
    call.exchange.response.body.append(text);
  }
  static void describe(OperationInfo& info) { describe_response(info, 200, "text/plain"); }
};
template <>
struct Respond<const char*> : Respond<std::string_view> {};
template <>
struct Respond<Text> {
  static void write(Call& call, Text text) { respond_text(call, 200, kPlainText, std::move(text.body)); }
  static void describe(OperationInfo& info) { describe_response(info, 200, "text/plain"); }
};
template <>
struct Respond<Html> {
  static void write(Call& call, Html html) { respond_text(call, 200, kHtml, std::move(html.body)); }
  static void describe(OperationInfo& info) { describe_response(info, 200, "text/html"); }
};
template <>
struct Respond<Content> {
  static void write(Call& call, Content content) {
    respond_text(call, content.status, content.type, std::move(content.body));
  }
  static void describe(OperationInfo& info) { describe_response(info, 200, "application/octet-stream"); }
};
template <>
struct Respond<Stream> {
  static void write(Call& call, Stream stream) { respond_stream(call, std::move(stream)); }
  static void describe(OperationInfo& info) { describe_response(info, 200, "application/octet-stream"); }
};
template <>
struct Respond<File> {
  static constexpr bool kLater = true;
  static Task<void> write_later(Call& call, File file) { return respond_file(call, std::move(file)); }
  static void describe(OperationInfo& info) { describe_file(info); }
};
template <class T>
struct Respond<Events<T>> {
  static void write(Call& call, Events<T> events) { respond_events(call, event_pieces<T>(std::move(events))); }
  static void describe(OperationInfo& info) {
    info.responses.push_back({200, {}, "text/event-stream", &schema::type_info<T>(), false, true});
  }
};
template <class T>
struct Respond<JsonLines<T>> {
  static void write(Call& call, JsonLines<T> values) {
    respond_stream(call, {"application/jsonl", json_lines<T>(std::move(values))});
  }
  static void describe(OperationInfo& info) {
    info.responses.push_back({200, {}, "application/jsonl", &schema::type_info<T>(), false, true});
  }
};
template <>
struct Respond<Redirect> {
  static void write(Call& call, const Redirect& redirect) { respond_redirect(call, redirect); }
  static void describe(OperationInfo& info) { describe_response(info, 303, {}); }
};
template <>
struct Respond<Problem> {
  static void write(Call& call, const Problem& problem) { respond_problem(call, problem); }
  static void describe(OperationInfo&) {}  // its status is only known when it happens: see RouteOptions::errors
};
template <int Code>
struct Respond<ProblemOf<Code>> : Respond<Problem> {
  static void describe(OperationInfo& info) { describe_problem(info, Code); }
};
template <int... Codes>
struct Respond<Problems<Codes...>> : Respond<Problem> {
  static void describe(OperationInfo& info) { (describe_problem(info, Codes), ...); }
};
template <class T, class E>
struct Respond<std::expected<T, E>> {
  static_assert(kSaysStatus<E>,
                "the error of a handler's std::expected must say its status, or it would go out with 200: Status<409, "
                "T>, ProblemOf<404>, Problem, an ashlar::Error, or a std::variant of these");
  static constexpr bool kLater = kRespondsLater<T> || kRespondsLater<E>;
  static Task<void> write_later(Call& call, std::expected<T, E> result) {
    if (result) {
      if constexpr (std::is_void_v<T>) {
        Respond<void>::write(call);
      } else {
        co_await respond_later<T>(call, std::move(*result));
      }
    } else if constexpr (std::is_base_of_v<Error, E>) {
      throw std::move(result.error());
    } else {
      co_await respond_later<E>(call, std::move(result.error()));
    }
  }
  static void write(Call& call, std::expected<T, E> result) {
    if (result) {
      if constexpr (std::is_void_v<T>) {
        Respond<void>::write(call);
      } else {
        Respond<T>::write(call, std::move(*result));
      }
    } else if constexpr (std::is_base_of_v<Error, E>) {
      throw std::move(result.error());  // the exception mapping knows what to make of it
    } else {
      Respond<E>::write(call, std::move(result.error()));
    }
  }
  static void describe(OperationInfo& info) {
    Respond<T>::describe(info);
    if constexpr (!std::is_base_of_v<Error, E>) {
      Respond<E>::describe(info);
    } else if constexpr (constexpr auto kind = kind_of<E>(); kind.has_value()) {
      describe_problem(info, status_of(*kind));
    }
  }
};
template <class... T>
struct Respond<std::variant<T...>> {
  static constexpr bool kLater = (kRespondsLater<T> || ...);
  static Task<void> write_later(Call& call, std::variant<T...> result) {
    co_await std::visit([&]<class V>(V& value) { return respond_later<V>(call, std::move(value)); }, result);
  }
  static void write(Call& call, std::variant<T...> result) {
    std::visit([&]<class V>(V& value) { Respond<V>::write(call, std::move(value)); }, result);
  }
  static void describe(OperationInfo& info) { (Respond<T>::describe(info), ...); }
};

}  // namespace ashlar::detail
