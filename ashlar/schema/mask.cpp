#include <ashlar/schema/mask.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

#include <ashlar/base/secret.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/json_scanner.hpp>
#include <ashlar/schema/detail/object_state.hpp>

namespace ashlar::schema {
namespace {

constexpr std::string_view kMask = Secret<>::kMask;
constexpr std::string_view kCut = "…";

// Takes text until there is enough of it.
class Shown {
 public:
  explicit Shown(std::size_t most) noexcept : most_(most) {}
  void put(std::string_view text) {
    if (full_) return;
    if (text.size() <= most_ - text_.size()) {
      text_ += text;
      return;
    }
    full_ = true;
    // Not in the middle of a character.
    std::size_t end = most_ - text_.size();
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text_ += text.substr(0, end);
    text_ += kCut;
  }
  [[nodiscard]] bool full() const noexcept { return full_; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::size_t most_;
  std::string text_;
  bool full_ = false;
};

class JsonMask {
 public:
  JsonMask(std::string_view json, const IsSecret& secret, Shown& out) noexcept
      : in_(json), secret_(secret), out_(out) {}

  // False: no JSON.
  bool run() {
    in_.skip_space();
    return value(0) && (out_.full() || in_.finish());
  }

 private:
  // What is behind the last byte that is shown is not looked at.
  bool value(int depth) {
    if (out_.full()) return true;
    const char first = in_.peek();
    if (depth < detail::kMaxDepth && first == '{') return object(depth);
    if (depth < detail::kMaxDepth && first == '[') return list(depth);
    const char* const from = in_.p;
    if (!in_.skip_value(depth)) return false;
    out_.put({from, static_cast<std::size_t>(in_.p - from)});
    return true;
  }

  bool object(int depth) {
    ++in_.p;
    out_.put("{");
    in_.skip_space();
    if (in_.take('}')) return out_.put("}"), true;
    for (bool more = true; more && !out_.full();) {
      detail::RawString name;
      if (in_.peek() != '"' || !in_.read_string(name)) return false;
      out_.put("\"");
      out_.put(name.text);
      out_.put("\":");
      if (!in_.read_colon()) return false;
      if (is_secret(name)) {
        if (!in_.skip_value(depth + 1)) return false;
        out_.put("\"");
        out_.put(kMask);
        out_.put("\"");
      } else if (!value(depth + 1)) {
        return false;
      }
      if (out_.full()) return true;
      if (!in_.next_item('}', more)) return false;
      out_.put(more ? "," : "}");
    }
    return true;
  }

  bool list(int depth) {
    ++in_.p;
    out_.put("[");
    in_.skip_space();
    if (in_.take(']')) return out_.put("]"), true;
    for (bool more = true; more && !out_.full();) {
      if (!value(depth + 1)) return false;
      if (out_.full()) return true;
      if (!in_.next_item(']', more)) return false;
      out_.put(more ? "," : "]");
    }
    return true;
  }

  bool is_secret(const detail::RawString& name) {
    if (!name.escaped) return secret_(name.text);
    name_.clear();
    detail::unescape(name.text, name_);
    return secret_(name_);
  }

  detail::JsonScanner in_;
  const IsSecret& secret_;
  Shown& out_;
  std::string name_;
};

// The next part of a text up to a separator, which goes with it.
std::string_view take_part(std::string_view& text, char separator) noexcept {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

void add_secret_names(const TypeInfo& type, std::set<const TypeInfo*>& seen, std::set<std::string>& names) {
  if (!seen.insert(&type).second) return;
  const auto below = [&](const TypeInfo* inner) {
    if (inner != nullptr) add_secret_names(*inner, seen, names);
  };
  if (type.kind == Kind::tuple) {
    for (std::uint32_t i = 0; i < type.count; ++i) below(type.tuple->types[i]);
    return;
  }
  if (type.kind == Kind::variant) {
    for (std::size_t i = 0; i < type.variant->count; ++i) below(type.variant->types[i]);
    return;
  }
  if (type.kind != Kind::object) return below(type.inner);
  for (const detail::MemberState& member : detail::object_state_of(type).members) {
    // Of a member that may be null, a list or a map of secrets, too.
    const TypeInfo* inner = member.type;
    while (inner->kind != Kind::secret && inner->kind != Kind::object && inner->inner != nullptr) inner = inner->inner;
    if (inner->kind == Kind::secret) {
      names.emplace(member.wire);
      names.emplace(member.name);
      if (member.rules != nullptr) {
        detail::each_text(member.rules->also, [&](std::string_view other) { names.emplace(other); });
      }
    }
    below(member.type);
  }
}

}  // namespace

std::optional<std::string> mask_json(std::string_view json, const IsSecret& is_secret, std::size_t most) {
  if (!is_utf8(json)) return std::nullopt;
  Shown out(most);
  if (!JsonMask(json, is_secret, out).run()) return std::nullopt;
  return out.take();
}

std::string mask_form(std::string_view form, const IsSecret& is_secret, std::size_t most) {
  Shown out(most);
  for (bool first = true; !form.empty() && !out.full(); first = false) {
    std::string_view value = take_part(form, '&');
    const bool has_value = value.find('=') != std::string_view::npos;
    const std::string_view name = take_part(value, '=');
    if (!first) out.put("&");
    out.put(name);
    if (!has_value) continue;
    out.put("=");
    const auto plain = percent_decode(name, true);
    out.put(!plain || is_secret(*plain) ? kMask : value);
  }
  return out.take();
}

std::set<std::string> secret_names(const TypeInfo& type) {
  std::set<const TypeInfo*> seen;
  std::set<std::string> names;
  add_secret_names(type, seen, names);
  return names;
}

}  // namespace ashlar::schema
