// JSON text put together piece by piece.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <ashlar/schema/json.hpp>

namespace ashlar::detail {

// Writes members and elements in the order of the calls.
class JsonWriter {
 public:
  JsonWriter& open(char bracket) {
    separate();
    out_ += bracket;
    return *this;
  }
  JsonWriter& close(char bracket) {
    out_ += bracket;
    return *this;
  }
  JsonWriter& key(std::string_view name) {
    separate();
    schema::append_json_string(name, out_);
    out_ += ':';
    return *this;
  }
  JsonWriter& raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
  }
  JsonWriter& text(std::string_view value) {
    separate();
    schema::append_json_string(value, out_);
    return *this;
  }
  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& member_if(std::string_view name, std::string_view value) {
    return value.empty() ? *this : member(name, value);
  }
  JsonWriter& flag(std::string_view name) { return key(name).raw("true"); }
  JsonWriter& reference(std::string_view to) { return open('{').member("$ref", to).close('}'); }
  std::string take() { return std::move(out_); }

 private:
  void separate() {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
  }
  std::string out_;
};

}  // namespace ashlar::detail
