// What a handler may return beside a plain value, which is answered as JSON with 200.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/generator.hpp>
#include <ashlar/schema/errors.hpp>

namespace ashlar {

/// 201 with a JSON body and, if given, a Location.
template <class T>
struct Created {
  using value_type = T;
  T value;
  std::string location;
  Created(T v, std::string where = {})
      : value(std::move(v)), location(std::move(where)) {}  // NOLINT: meant to be implicit
};

/// 202 with a JSON body: the work goes on.
template <class T>
struct Accepted {
  using value_type = T;
  T value;
  Accepted(T v) : value(std::move(v)) {}  // NOLINT
};

/// 204.
struct NoContent {};

/// Another status than the type itself says: `std::variant<Item, Status<202, Job>>`, `std::expected<Item, Status<409,
/// Taken>>`. Without a T: no body. An error that looks as all errors do is a ProblemOf, a redirection a Redirect.
template <int Code, class T = void>
struct Status {
  static_assert(Code >= 200 && Code <= 599 && Code != 204 && Code != 205 && Code != 304,
                "Status<code, T> is an answer with a body: 200 to 599, but 204, 205 and 304, which have none");
  using value_type = T;
  T value;
  Status(T v) : value(std::move(v)) {}  // NOLINT: meant to be implicit
};
template <int Code>
struct Status<Code, void> {
  static_assert(Code >= 200 && Code <= 599, "Status<code> is an answer: 200 to 599");
};

/// text/plain in UTF-8; what a handler that returns a std::string answers too.
struct Text {
  std::string body;
};

/// text/html in UTF-8. The caller has escaped it.
struct Html {
  std::string body;
};

/// A redirection: 303 See Other by default, 307 or 308 to keep the method. Only to a path of this service ("/…");
/// another place must be said with `Redirect::anywhere`, so that an unchecked parameter does not become an open
/// redirect.
struct Redirect {
  std::string location;
  int status = 303;
  bool external = false;
  static Redirect anywhere(std::string url, int status = 303) { return {std::move(url), status, true}; }
};

/// Bytes of any type.
struct Content {
  std::string_view type;  ///< static storage
  std::string body;
  int status = 200;
};

/// A body made piece by piece, sent as it comes.
struct Stream {
  std::string_view type;  ///< static storage
  Generator<std::string> pieces;
};

/// A file of this machine: with its validators, so that ranges and conditional requests are answered, and sent by the
/// kernel. What is no regular file, or not there, is 404.
struct File {
  std::string path;
  /// Set: `path` may come from a client; it is looked for in this folder and nothing leads out of it, no "..", no link.
  std::string root = {};
  std::string_view type = {};    ///< static storage; default: by the extension
  std::string download_as = {};  ///< Content-Disposition: attachment, with this name in any language
  std::string cache_control = {};
};

/// Something that happened, as text/event-stream has it (WHATWG HTML, 9.2).
template <class T>
struct Event {
  std::optional<T> data = {};  ///< JSON, but for std::string, which is sent as it is; none: a comment, or a new `retry`
  std::string event = {};      ///< its type; empty: "message"
  std::string id = {};         ///< what a client that connects again sends as Last-Event-ID
  std::optional<std::chrono::milliseconds> retry = {};  ///< how long clients wait before they connect again
  std::string comment = {};
};

/// Server-sent events: `[](LastEventId last, Prices& prices) -> Events<Price> { … co_yield {.data = price}; }`. While
/// it waits, a comment goes out every RouteOptions::heartbeat. A client's leaving cancels it, and so does the service's
/// drain, which ends the answer in order: the client connects to another instance. Parameters that are references to
/// the results of dependencies are gone when it runs; take them by value.
template <class T>
struct Events : Generator<Event<T>> {
  using value_type = T;
  Events(Generator<Event<T>> generator) noexcept : Generator<Event<T>>(std::move(generator)) {}  // NOLINT
};

/// application/jsonl: a JSON value a line, each sent as it is yielded: `[](pg::Db& db) -> JsonLines<Row> { … co_yield
/// row; }`.
template <class T>
struct JsonLines : Generator<T> {
  using value_type = T;
  JsonLines(Generator<T> generator) noexcept : Generator<T>(std::move(generator)) {}  // NOLINT
};

/// An error as it goes to the client: RFC 9457 problem details. Throw it, or return it in std::expected<T, Problem>;
/// RouteOptions::errors then says which statuses it may have.
struct Problem {
  int status = 500;
  std::string title = {};  ///< default: the reason phrase of the status
  std::string detail = {};
  std::string type = {};                       ///< a URI; default: about:blank
  std::vector<schema::ErrorItem> errors = {};  ///< what is wrong with the input, each with its place
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// A Problem whose status its type says, so that OpenAPI names it: `std::expected<Book, ProblemOf<404>>`. Throw it or
/// return it.
template <int Code>
struct ProblemOf : Problem {
  static_assert(Code >= 400 && Code <= 599, "the status of a problem is 400 to 599");
  explicit ProblemOf(std::string text = {}) { status = Code, detail = std::move(text); }
  explicit ProblemOf(Problem other) : Problem(std::move(other)) { status = Code; }
};

/// One of several: `std::expected<Book, Problems<404, 410>>`, made of a ProblemOf of one of them and of nothing else.
template <int... Codes>
struct Problems : Problem {
  template <int Code>
    requires((Code == Codes) || ...)
  Problems(ProblemOf<Code> one) : Problem(std::move(one)) {}  // NOLINT: meant to be implicit
};

}  // namespace ashlar
