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
            std::string_view input, bool secret, std::span<const LocItem> below = {}) {
  if (secret) detail::hide_input(failure);
  ErrorItem item{.type = std::move(failure.type),
                 .msg = std::move(failure.msg),
                 .loc = {},
                 .input = {},
                 .ctx = std::move(failure.ctx)};
  if (!where.in.empty()) item.loc.emplace_back(std::string(where.in));
  if (!where.name.empty()) item.loc.emplace_back(std::string(where.name));
  if (!name.empty()) item.loc.emplace_back(std::string(name));
  if (index >= 0) item.loc.emplace_back(index);
  item.loc.insert(item.loc.end(), below.begin(), below.end());
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

// JSON inside of text. Its errors lie below where the text is; the lines are those of no document.
void read_as_json(const TypeInfo& type, std::string_view text, void* into, Errors& errors, Where where,
                  std::string_view name, std::int64_t index) {
  Errors found;
  if (read_json(type, text, into, found)) return;
  for (ErrorItem& item : found.take()) {
    const std::vector<LocItem> below = std::move(item.loc);
    report(errors, {std::move(item.type), std::move(item.msg), std::move(item.ctx)}, where, name, index, {}, true,
           below);
  }
}

// A choice of scalars takes the first that reads the text: std::variant<int, std::string>. What is no scalar is JSON.
void read_variant(const TypeInfo& type, std::string_view text, void* into, Errors& errors, Where where,
                  std::string_view name, std::int64_t index, bool secret) {
  const std::string_view start = trim(text);
  const bool is_json =
      start.starts_with('{') || start.starts_with('[') || (type.rules && !type.rules->discriminator.empty());
  Errors all;
  for (std::size_t i = 0; i < type.variant->count && !is_json; ++i) {
    const TypeInfo& alternative = *type.variant->types[i];
    if (!detail::is_scalar(alternative)) continue;
    auto failure = parse_one(alternative, text, type.variant->emplace(into, i));
    if (!failure) return;
    const LocItem label = detail::type_label(alternative);
    report(all, std::move(*failure), where, name, index, text, secret, std::span(&label, 1));
  }
  if (all.empty()) return read_as_json(type, text, into, errors, where, name, index);
  errors.append(all);
}

void read_one(const TypeInfo& type, std::string_view text, void* into, Errors& errors, Where where,
              std::string_view name, std::int64_t index, bool secret) {
  if (detail::is_scalar(type)) {
    if (auto failure = parse_one(type, text, into)) {
      report(errors, std::move(*failure), where, name, index, text, secret);
    }
  } else if (type.kind == Kind::optional || type.kind == Kind::patch) {
    read_one(*type.inner, text, type.optional->emplace(into), errors, where, name, index, secret);
  } else if (type.kind == Kind::variant) {
    read_variant(type, text, into, errors, where, name, index, secret);
  } else {
    read_as_json(type, text, into, errors, where, name, index);
  }
}

// Lists take every text; everything else the last.
void read_member(const TypeInfo& type, std::span<const std::string_view> texts, void* into, Errors& errors, Where where,
                 std::string_view name, bool secret) {
  if (type.kind == Kind::list) {
    const std::size_t before = errors.size();
    type.list->clear(into);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      void* element = type.list->append(into);
      read_one(*type.inner, texts[i], element, errors, where, name, static_cast<std::int64_t>(i), secret);
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
  read_one(type, text, into, errors, where, name, -1, secret);
}

bool same_name(std::string_view given, std::string_view wire, Names names) {
  if (names == Names::exact) return given == wire;
  const auto plain = [](char c) { return c == '-' ? '_' : to_lower_ascii(c); };
  return std::ranges::equal(given, wire, [&](char a, char b) { return plain(a) == plain(b); });
}

bool is_name_of(std::string_view given, const MemberState& member, Names names) {
  bool found = same_name(given, member.wire, names);
  if (member.rules && !found) {
    detail::each_text(member.rules->also,
                      [&](std::string_view also) { found = found || same_name(given, also, names); });
  }
  return found;
}

// Names that the struct does not know, into its map for them.
void read_rest(const MemberState& rest, const ObjectState& state, std::span<const Pair> pairs, void* into,
               Errors& errors, Where where, Names names) {
  void* map = static_cast<std::byte*>(into) + rest.offset;
  const bool secret = detail::contains_secret(*rest.type);
  const std::size_t before = errors.size();
  for (const Pair& pair : pairs) {
    const bool known =
        std::ranges::any_of(state.members, [&](const MemberState& m) { return is_name_of(pair.name, m, names); });
    if (known) continue;
    std::vector<std::string_view> texts;
    for (const Pair& p : pairs) {
      if (p.name == pair.name) texts.push_back(p.value);
    }
    bool valid = false;
    void* place = rest.type->map->insert(map, pair.name, valid);
    if (!place) continue;  // a name that comes again: its texts have been read
    // Any JSON is here the text itself.
    if (rest.type->inner->kind == Kind::json) {
      std::string json;
      append_json_string(texts.back(), json);
      rest.type->inner->json->assign(place, json);
    } else {
      read_member(*rest.type->inner, texts, place, errors, where, pair.name, secret);
    }
  }
  if (errors.size() != before) return;
  if (auto failure = detail::check_rules(*rest.type, map)) {
    report(errors, std::move(*failure), where, rest.name, -1, {}, true);
  }
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
      if (is_name_of(pair.name, member, names)) texts.push_back(pair.value);
    }
    if (texts.empty() || !member.readable) {
      if (member.required) report(errors, {"missing", "Field required", ""}, where, member.wire, -1, {}, true);
      continue;
    }
    read_member(*member.type, texts, static_cast<std::byte*>(into) + member.offset, errors, where, member.wire,
                member.type->kind == Kind::secret || (state.contains_secret && detail::contains_secret(*member.type)));
  }
  if (state.rest) {
    read_rest(*state.rest, state, pairs, into, errors, where, names);
  } else if (type.object->options.extra == Extra::forbid && names == Names::exact) {
    for (const Pair& pair : pairs) {
      if (state.find(pair.name) == state.members.size()) {
        report(errors, {"extra_forbidden", "Extra inputs are not permitted", ""}, where, pair.name, -1, pair.value,
               state.contains_secret);
      }
    }
  }
  if (errors.size() != before) return false;
  for (Violation& v : detail::violations_of(type, into)) {
    report(errors, {std::move(v.type), std::move(v.message), ""}, where, {}, -1, {}, true, v.loc);
  }
  return errors.size() == before;
}

std::vector<std::pair<std::string, std::string>> write_pairs(const TypeInfo& type, const void* value) {
  if (type.kind != Kind::object) throw Internal("pairs are written of a struct, not of " + std::string(type.name));
  struct Writer {
    std::vector<std::pair<std::string, std::string>> pairs;

    void add(std::string_view name, const TypeInfo& member, const void* at) {
      if (member.kind == Kind::optional || member.kind == Kind::patch) {
        if (const void* inner = member.optional->get(at)) add(name, *member.inner, inner);
      } else if (member.kind == Kind::list) {
        Element element{this, name, member.inner};
        member.list->each(at, &element, [](void* context, const void* each) {
          const Element& e = *static_cast<Element*>(context);
          std::string text;
          write_text(*e.type, each, text);
          e.writer->pairs.emplace_back(e.name, std::move(text));
        });
      } else {
        std::string text;
        write_text(member, at, text);
        pairs.emplace_back(name, std::move(text));
      }
    }
    struct Element {
      Writer* writer;
      std::string_view name;
      const TypeInfo* type;
    };
  } writer;
  const auto* base = static_cast<const std::byte*>(value);
  const ObjectState& state = detail::object_state_of(type);
  for (const MemberState& member : state.members) {
    if (member.writable) writer.add(member.wire, *member.type, base + member.offset);
  }
  if (state.rest) {
    Writer::Element rest{&writer, {}, state.rest->type->inner};
    state.rest->type->map->each(base + state.rest->offset, &rest,
                                [](void* context, std::string_view name, const void* each) {
                                  const auto& e = *static_cast<Writer::Element*>(context);
                                  e.writer->add(name, *e.type, each);
                                });
  }
  return std::move(writer.pairs);
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
