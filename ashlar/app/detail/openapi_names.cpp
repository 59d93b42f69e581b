#include <ashlar/app/detail/openapi_names.hpp>

#include <algorithm>

#include <ashlar/app/openapi.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_word(char c) { return is_alpha_ascii(c) || is_digit_ascii(c); }

// Appends the letters and digits of `text`, with one '_' for everything else.
void append_words(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (is_word(c)) {
      out += c;
    } else if (out.back() != '_') {
      out += '_';
    }
  }
}

}  // namespace

Pattern read_pattern(std::string_view pattern) {
  Pattern out;
  std::size_t at = 0;
  while (at < pattern.size()) {
    if (pattern[at] != '{') {
      out.path += pattern[at];
      out.shape += pattern[at];
      ++at;
      continue;
    }
    const std::size_t end = std::min(pattern.find('}', at), pattern.size());
    std::string_view name = pattern.substr(at + 1, end - at - 1);
    name = name.substr(0, name.find(':'));
    out.names.emplace_back(name);
    out.path.append("{").append(name).append("}");
    out.shape += "{}";
    at = end + 1;
  }
  if (out.path.empty()) out.path = out.shape = "/";
  return out;
}

std::string operation_id(http::Method method, std::string_view pattern) {
  std::string out = to_lower_ascii(http::to_string(method));
  std::size_t at = 0;
  while (at < pattern.size()) {
    const std::size_t end = std::min(pattern.find('/', at + 1), pattern.size());
    std::string_view segment = pattern.substr(at, end - at);
    at = end;
    if (segment.starts_with('/')) segment.remove_prefix(1);
    if (segment.empty()) continue;
    if (segment.starts_with('{')) {
      segment = segment.substr(1, segment.find_first_of(":}") - 1);
      out += "_by";
    }
    out += '_';
    append_words(segment, out);
    if (out.back() == '_') out.pop_back();
  }
  return out;
}

std::string operation_id_of_sent(std::string_view within, std::string_view name) {
  std::string out(within);
  out += '_';
  append_words(name, out);
  if (out.back() == '_') out.pop_back();
  return out;
}

std::string summary_of(std::string_view operation_id) {
  std::string out;
  for (std::size_t i = 0; i < operation_id.size(); ++i) {
    const char c = operation_id[i];
    if (!is_word(c)) {
      if (!out.empty() && out.back() != ' ') out += ' ';
      continue;
    }
    // A word begins at a capital that follows a small letter, and at the last of several: "getHTTPPage" is three words.
    const bool follows_small = i > 0 && !is_upper(operation_id[i - 1]) && is_word(operation_id[i - 1]);
    const bool before_small =
        i + 1 < operation_id.size() && is_alpha_ascii(operation_id[i + 1]) && !is_upper(operation_id[i + 1]);
    const bool in_capitals = i > 0 && is_upper(operation_id[i - 1]);
    const bool begins = is_upper(c) && (follows_small || (in_capitals && before_small));
    if (begins && !out.empty() && out.back() != ' ') out += ' ';
    const bool acronym =
        is_upper(c) && !before_small && (in_capitals || (i + 1 < operation_id.size() && is_upper(operation_id[i + 1])));
    out += acronym ? c : to_lower_ascii(c);
  }
  while (out.ends_with(' ')) out.pop_back();
  if (!out.empty()) out[0] = to_upper_ascii(out[0]);
  return out;
}

std::string header_name(std::string_view member) {
  std::string out(member);
  if (std::ranges::any_of(member, [](char c) { return c == '-' || is_upper(c); })) return out;
  bool begins = true;
  for (char& c : out) {
    if (c == '_') c = '-';
    if (begins) c = to_upper_ascii(c);
    begins = c == '-';
  }
  return out;
}

}  // namespace ashlar::detail
