// What a handler may return beside a plain value, which is answered as JSON with 200.
#pragma once

#include <cstdint>
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

/// An error as it goes to the client: RFC 9457 problem details. Throw it, or return it in std::expected<T, Problem>.
struct Problem {
  int status = 500;
  std::string title = {};  ///< default: the reason phrase of the status
  std::string detail = {};
  std::string type = {};                       ///< a URI; default: about:blank
  std::vector<schema::ErrorItem> errors = {};  ///< what is wrong with the input, each with its place
  std::vector<std::pair<std::string, std::string>> headers = {};
};

}  // namespace ashlar
