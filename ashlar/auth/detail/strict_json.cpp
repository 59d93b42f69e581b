#include <ashlar/auth/detail/strict_json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace ashlar::auth::detail {
namespace {

constexpr std::size_t kMaxDepth = 32;

bool unambiguous(const simdjson::dom::element& element) {
  if (element.is_array()) {
    for (simdjson::dom::element item : element.get_array().value_unsafe()) {
      if (!unambiguous(item)) return false;
    }
    return true;
  }
  if (!element.is_object()) return true;
  std::vector<std::string_view> names;  // unescaped, so "a" and "\u0061" are the same
  for (auto [name, value] : element.get_object().value_unsafe()) {
    names.push_back(name);
    if (!unambiguous(value)) return false;
  }
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

}  // namespace

std::optional<simdjson::dom::object> parse_strict_object(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  if (parser.max_depth() != kMaxDepth || parser.capacity() < text.size()) {
    if (parser.allocate(std::max<std::size_t>(text.size(), 4096), kMaxDepth) != simdjson::SUCCESS) return std::nullopt;
  }
  simdjson::dom::element root;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) return std::nullopt;
  if (!root.is_object() || !unambiguous(root)) return std::nullopt;
  return root.get_object().value_unsafe();
}

std::optional<simdjson::dom::element> member(const simdjson::dom::object& object, std::string_view name) {
  simdjson::dom::element value;
  if (object.at_key(name).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

std::optional<std::string_view> text_member(const simdjson::dom::object& object, std::string_view name) {
  std::string_view text;
  if (object.at_key(name).get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

void append_json_string(std::string_view text, std::string& out) {
  out.push_back('"');
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace ashlar::auth::detail
