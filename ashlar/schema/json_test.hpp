// Helpers of the tests of JSON: what is read, the errors in one line, and there and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/schema.hpp>

namespace ashlar::schema::test {

template <class T>
std::vector<ErrorItem> errors_of(std::string_view json, Where where = {}) {
  T value{};
  Errors errors;
  parse_json(json, value, errors, where);
  return errors.take();
}

// "type@loc" of every error, in order.
template <class T>
std::string outline(std::string_view json) {
  std::string out;
  for (const ErrorItem& e : errors_of<T>(json)) {
    if (!out.empty()) out += ' ';
    out += e.type + "@" + loc_text(e.loc);
  }
  return out;
}

template <class T>
std::string round_trip(std::string_view json) {
  return to_json(parse_json<T>(json));
}

}  // namespace ashlar::schema::test
