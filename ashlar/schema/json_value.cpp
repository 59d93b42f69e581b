#include <ashlar/schema/json_value.hpp>

#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/json_scanner.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar {
namespace {

using schema::detail::JsonScanner;
using schema::detail::RawString;

// Calls f(key, value text) for each member or element; f says whether to go on. The text is valid JSON.
template <class F>
void walk(std::string_view text, F&& f) {
  JsonScanner scan(text);
  scan.skip_space();
  const char open = scan.peek();
  if (open != '{' && open != '[') return;
  const char close = open == '{' ? '}' : ']';
  ++scan.p;
  scan.skip_space();
  std::string key;
  for (bool more = !scan.take(close); more;) {
    if (open == '{') {
      RawString raw;
      if (!scan.read_string(raw) || !scan.read_colon()) return;
      schema::detail::unescape(raw.text, key);
    }
    const char* start = scan.p;
    if (!scan.skip_value(0)) return;
    if (!f(key, std::string_view(start, static_cast<std::size_t>(scan.p - start)))) return;
    if (!scan.next_item(close, more)) return;
  }
}

}  // namespace

Json::Json(std::string_view text) {
  auto json = from(text);
  if (!json) throw Invalid("this text is no JSON");
  *this = std::move(*json);
}

std::optional<Json> Json::from(std::string_view text) {
  text = trim(text);
  JsonScanner scan(text);
  if (!is_utf8(text) || !scan.skip_value(0) || !scan.finish()) return std::nullopt;
  return trusted(std::string(text));
}

Json Json::trusted(std::string text) {
  Json json;
  json.text_ = std::move(text);
  return json;
}

Json::Kind Json::kind() const noexcept {
  switch (text_.empty() ? 'n' : text_.front()) {
    case '{':
      return Kind::object;
    case '[':
      return Kind::array;
    case '"':
      return Kind::string;
    case 't':
    case 'f':
      return Kind::boolean;
    case 'n':
      return Kind::null;
    default:
      return Kind::number;
  }
}

std::optional<Json> Json::find(std::string_view wanted) const {
  std::optional<Json> found;
  if (kind() != Kind::object) return found;
  walk(text_, [&](const std::string& key, std::string_view value) {
    if (key != wanted) return true;
    found = trusted(std::string(value));
    return false;
  });
  return found;
}

std::optional<Json> Json::at(std::size_t index) const {
  std::optional<Json> found;
  if (kind() != Kind::array) return found;
  walk(text_, [&](const std::string&, std::string_view value) {
    if (index-- > 0) return true;
    found = trusted(std::string(value));
    return false;
  });
  return found;
}

std::vector<Json> Json::elements() const {
  std::vector<Json> all;
  walk(text_, [&](const std::string&, std::string_view value) {
    all.push_back(trusted(std::string(value)));
    return true;
  });
  return all;
}

std::vector<std::string> Json::keys() const {
  std::vector<std::string> all;
  if (kind() != Kind::object) return all;
  walk(text_, [&](const std::string& key, std::string_view) {
    all.push_back(key);
    return true;
  });
  return all;
}

std::optional<std::string> Json::as_string() const {
  if (kind() != Kind::string) return std::nullopt;
  std::string out;
  schema::detail::unescape(std::string_view(text_).substr(1, text_.size() - 2), out);
  return out;
}

std::optional<std::int64_t> Json::as_integer() const {
  if (kind() != Kind::number) return std::nullopt;
  JsonScanner scan(text_);
  schema::detail::Number number;
  std::int64_t value = 0;
  if (!scan.read_number(number)) return std::nullopt;
  if (schema::detail::store_number(schema::type_info<std::int64_t>(), number, &value, false)) return std::nullopt;
  return value;
}

std::optional<double> Json::as_number() const {
  if (kind() != Kind::number) return std::nullopt;
  JsonScanner scan(text_);
  schema::detail::Number number;
  if (!scan.read_number(number)) return std::nullopt;
  return number.to_double();
}

std::optional<bool> Json::as_bool() const {
  if (kind() != Kind::boolean) return std::nullopt;
  return text_ == "true";
}

}  // namespace ashlar
