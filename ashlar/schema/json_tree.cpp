#include <ashlar/schema/json_tree.hpp>

#include <charconv>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/json_scanner.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

using detail::JsonScanner;

bool read_text(JsonScanner& in, std::string& out) {
  detail::RawString raw;
  if (!in.read_string(raw)) return false;
  if (raw.escaped) {
    detail::unescape(raw.text, out);
  } else {
    out = raw.text;
  }
  return true;
}

bool read_value(JsonScanner& in, Tree& out, int depth);

bool read_list(JsonScanner& in, Tree& out, int depth) {
  out.kind = Tree::Kind::list;
  ++in.p;
  in.skip_space();
  if (in.take(']')) return true;
  for (bool more = true; more;) {
    if (!read_value(in, out.items.emplace_back(), depth + 1) || !in.next_item(']', more)) return false;
  }
  return true;
}

bool read_object(JsonScanner& in, Tree& out, int depth) {
  out.kind = Tree::Kind::object;
  ++in.p;
  in.skip_space();
  if (in.take('}')) return true;
  for (bool more = true; more;) {
    if (in.peek() != '"') return in.fail("expected a name");
    if (!read_text(in, out.names.emplace_back()) || !in.read_colon()) return false;
    if (!read_value(in, out.items.emplace_back(), depth + 1) || !in.next_item('}', more)) return false;
  }
  return true;
}

bool read_value(JsonScanner& in, Tree& out, int depth) {
  if (depth > detail::kMaxDepth) return in.fail("nested too deeply");
  in.skip_space();
  switch (in.peek()) {
    case 'n':
      return in.read_word("null");
    case 't':
      out = Tree::of(true);
      return in.read_word("true");
    case 'f':
      out = Tree::of(false);
      return in.read_word("false");
    case '"':
      out.kind = Tree::Kind::text;
      return read_text(in, out.text);
    case '[':
      return read_list(in, out, depth);
    case '{':
      return read_object(in, out, depth);
    default: {
      detail::Number number;
      if (!in.read_number(number)) return false;
      out = Tree::of_number(std::string(number.text));
      return true;
    }
  }
}

}  // namespace

const Tree* Tree::find(std::string_view name) const noexcept {
  if (kind != Kind::object) return nullptr;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &items[i];
  }
  return nullptr;
}

std::string_view Tree::text_of(std::string_view name) const noexcept {
  const Tree* const member = find(name);
  return member != nullptr && member->kind == Kind::text ? std::string_view(member->text) : std::string_view();
}

bool Tree::is_true(std::string_view name) const noexcept {
  const Tree* const member = find(name);
  return member != nullptr && member->kind == Kind::boolean && member->boolean;
}

long double Tree::number() const noexcept {
  long double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void Tree::write(std::string& out) const {
  switch (kind) {
    case Kind::null:
      out += "null";
      return;
    case Kind::boolean:
      out += boolean ? "true" : "false";
      return;
    case Kind::number:
      out += text;
      return;
    case Kind::text:
      append_json_string(text, out);
      return;
    case Kind::list:
      out += '[';
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out += ',';
        items[i].write(out);
      }
      out += ']';
      return;
    case Kind::object:
      out += '{';
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(names[i], out);
        out += ':';
        items[i].write(out);
      }
      out += '}';
      return;
  }
}

std::optional<Tree> parse_tree(std::string_view json) {
  if (!is_utf8(json)) return std::nullopt;
  JsonScanner in(json);
  Tree tree;
  if (!read_value(in, tree, 0) || !in.finish()) return std::nullopt;
  return tree;
}

}  // namespace ashlar::schema
