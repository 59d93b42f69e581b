#include <ashlar/schema/text_io.hpp>

#include <algorithm>
#include <cstddef>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

using detail::Failure;
using detail::MemberState;

constexpr std::size_t kLongestInput = 200;

void report(Errors& errors, Failure failure, Where where, std::string_view name, std::int64_t index,
            std::string_view input, bool secret) {
  ErrorItem item{.type = std::move(failure.type),
                 .msg = std::move(failure.msg),
                 .loc = {},
                 .input = {},
                 .ctx = std::move(failure.ctx)};
  if (!where.in.empty()) item.loc.emplace_back(std::string(where.in));
  if (!where.name.empty()) item.loc.emplace_back(std::string(where.name));
  if (!name.empty()) item.loc.emplace_back(std::string(name));
  if (index >= 0) item.loc.emplace_back(index);
  if (!secret && input.data() && input.size() <= kLongestInput) append_json_string(input, item.input);
  errors.add(std::move(item));
}

bool is_text(const TypeInfo& type) {
  const TypeInfo* t = &type;
  while (t->kind == Kind::optional || t->kind == Kind::patch || t->kind == Kind::secret) t = t->inner;
  return t->kind == Kind::string;
}

std::optional<Failure> parse_one(const TypeInfo& type, std::string_view text, void* into) {
  if ((type.kind == Kind::optional || type.kind == Kind::patch) && text.empty() && !is_text(type)) {
    type.optional->reset(into);
    return std::nullopt;
  }
  auto failure = detail::parse_scalar(type, text, into);
  return failure ? failure : detail::check_rules(type, into);
}

// Lists take every text; everything else the last.
void read_member(const TypeInfo& type, std::span<const std::string_view> texts, void* into, Errors& errors, Where where,
                 std::string_view name, bool secret) {
  if (type.kind == Kind::list) {
    const std::size_t before = errors.size();
    type.list->clear(into);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      void* element = type.list->append(into);
      if (detail::is_scalar(*type.inner)) {
        if (auto failure = parse_one(*type.inner, texts[i], element)) {
          report(errors, std::move(*failure), where, name, static_cast<std::int64_t>(i), texts[i], secret);
        }
      } else {
        read_json(*type.inner, texts[i], element, errors, {where.in, name});
      }
      if (type.list->commit) type.list->commit(into, element);
    }
    if (errors.size() != before) return;
    if (auto failure = detail::check_rules(type, into)) {
      report(errors, std::move(*failure), where, name, -1, {}, secret);
    }
    return;
  }
  const std::string_view text = texts.back();
  if ((type.kind == Kind::optional || type.kind == Kind::patch) && !detail::is_scalar(type)) {
    return read_member(*type.inner, texts, type.optional->emplace(into), errors, where, name, secret);
  }
  if (!detail::is_scalar(type)) {
    read_json(type, text, into, errors, {where.in, name.empty() ? where.name : name});
    return;
  }
  if (auto failure = parse_one(type, text, into)) {
    report(errors, std::move(*failure), where, name, -1, text, secret);
  }
}

bool same_name(std::string_view given, std::string_view wire, Names names) {
  if (names == Names::exact) return given == wire;
  const auto plain = [](char c) { return c == '-' ? '_' : to_lower_ascii(c); };
  return std::ranges::equal(given, wire, [&](char a, char b) { return plain(a) == plain(b); });
}

}  // namespace

bool read_text(const TypeInfo& type, std::string_view text, void* into, Errors& errors, Where where) {
  if (detail::is_scalar(type)) {  // on the path of most requests: work out nothing that only an error needs
    auto failure = parse_one(type, text, into);
    if (!failure) return true;
    report(errors, std::move(*failure), where, {}, -1, text, detail::contains_secret(type));
    return false;
  }
  const std::size_t before = errors.size();
  read_member(type, std::span(&text, 1), into, errors, where, {}, detail::contains_secret(type));
  return errors.size() == before;
}

bool read_pairs(const TypeInfo& type, std::span<const Pair> pairs, void* into, Errors& errors, Where where,
                Names names) {
  if (type.kind != Kind::object) throw Internal("pairs are read into a struct, not into " + std::string(type.name));
  const ObjectState& state = detail::object_state_of(type);
  const std::size_t before = errors.size();
  std::vector<std::string_view> texts;
  for (const MemberState& member : state.members) {
    texts.clear();
    for (const Pair& pair : pairs) {
      if (same_name(pair.name, member.wire, names)) texts.push_back(pair.value);
    }
    if (texts.empty() || !member.readable) {
      if (member.required) report(errors, {"missing", "Field required", ""}, where, member.wire, -1, {}, true);
      continue;
    }
    read_member(*member.type, texts, static_cast<std::byte*>(into) + member.offset, errors, where, member.wire,
                member.type->kind == Kind::secret || (state.contains_secret && detail::contains_secret(*member.type)));
  }
  if (type.object->options.extra == Extra::forbid && names == Names::exact) {
    for (const Pair& pair : pairs) {
      if (state.find(pair.name) == state.members.size()) {
        report(errors, {"extra_forbidden", "Extra inputs are not permitted", ""}, where, pair.name, -1, pair.value,
               state.contains_secret);
      }
    }
  }
  if (errors.size() != before || !type.object->validate) return errors.size() == before;
  Violations violations;
  type.object->validate(into, violations);
  for (const auto& [name, message] : violations.items()) {
    std::string_view wire = name;
    for (const MemberState& m : state.members) {
      if (m.name == name) wire = m.wire;
    }
    report(errors, {"value_error", "Value error, " + message, ""}, where, wire, -1, {}, true);
  }
  return errors.size() == before;
}

void write_text(const TypeInfo& type, const void* value, std::string& out) {
  if (detail::is_scalar(type)) {
    detail::append_scalar(type, value, out);
  } else {
    write_json(type, value, out);
  }
}

bool parse_key(const TypeInfo& type, std::string_view text, void* into) {
  return !detail::parse_scalar(type, text, into) && !detail::check_rules(type, into);
}

void append_key(const TypeInfo& type, const void* key, std::string& out) { detail::append_scalar(type, key, out); }

}  // namespace ashlar::schema
