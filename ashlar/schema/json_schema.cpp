#include <ashlar/schema/json_schema.hpp>

#include <fmt/format.h>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

using detail::MemberState;
using detail::object_state_of;

const void* identity(const TypeInfo& type) { return type.none; }
bool is_named(const TypeInfo& type) { return type.kind == Kind::object || type.kind == Kind::enumeration; }

// Appends `"key":` with a comma where one is needed.
void key(std::string& out, std::string_view name) {
  if (out.back() != '{') out += ',';
  append_json_string(name, out);
  out += ':';
}
void text(std::string& out, std::string_view name, std::string_view value) {
  key(out, name);
  append_json_string(value, out);
}
void raw(std::string& out, std::string_view name, std::string_view json) {
  key(out, name);
  out += json;
}
void number(std::string& out, std::string_view name, std::int64_t value) {
  if (value >= 0) raw(out, name, std::to_string(value));
}
void bound(std::string& out, std::string_view name, const Bound& b) {
  if (b) raw(out, name, b.kind == Bound::Kind::integer ? fmt::format("{}", b.integer) : fmt::format("{}", b.number));
}

// An example is written as text; for a type that is not text in JSON it is JSON already.
std::string example_json(std::string_view example, const TypeInfo& type) {
  const bool is_text = type.kind == Kind::string || type.kind == Kind::value || type.kind == Kind::enumeration;
  if (const auto json = is_text ? std::nullopt : Json::from(example)) return json->text();
  std::string out;
  append_json_string(example, out);
  return out;
}
std::string first_example(const Rules& r, const TypeInfo& type) {
  return r.examples.empty() ? "" : example_json(r.examples.substr(0, r.examples.find('\0')), type);
}
std::string all_examples(const Rules& r, const TypeInfo& type) {
  std::string out;
  detail::each_text(r.examples, [&](std::string_view e) { out += (out.empty() ? "" : ",") + example_json(e, type); });
  return '[' + out + ']';
}

void describe_rules(const Rules& r, const TypeInfo& type, std::string& out) {
  if (!r.title.empty()) text(out, "title", r.title);
  if (!r.description.empty()) text(out, "description", r.description);
  if (!r.examples.empty()) raw(out, "examples", all_examples(r, type));
  if (r.deprecated) raw(out, "deprecated", "true");
  if (r.read_only) raw(out, "readOnly", "true");
  if (r.write_only) raw(out, "writeOnly", "true");
}

std::string schemes_pattern(const Rules& r) {
  std::string all;
  detail::each_text(r.schemes, [&](std::string_view scheme) {
    if (!all.empty()) all += '|';
    all += scheme;
  });
  return fmt::format("^({})://", all);
}

const TypeInfo& behind_nullable(const TypeInfo& type) {
  const TypeInfo* t = &type;
  while (t->kind == Kind::optional || t->kind == Kind::patch || t->kind == Kind::secret) t = t->inner;
  return *t;
}

bool is_required(const MemberState& m, Mode mode, const SchemaOptions& options) {
  if (mode == Mode::input) return m.required;
  if (m.type->kind == Kind::patch) return false;
  return !(options.omit_null && m.nullable);
}
bool is_present(const MemberState& m, Mode mode) { return mode == Mode::input ? m.readable : m.writable; }

// Calls f(TypeInfo) for each type that is a part of this one.
template <class F>
void each_part(const TypeInfo& type, Mode mode, F&& f) {
  if (type.inner) f(*type.inner);
  if (type.kind == Kind::tuple || type.kind == Kind::variant) {
    const TypeInfo* const* types = type.kind == Kind::tuple ? type.tuple->types : type.variant->types;
    for (; *types; ++types) f(**types);
  }
  if (type.kind == Kind::object) {
    for (const MemberState& m : object_state_of(type).members) {
      if (is_present(m, mode)) f(*m.type);
    }
    if (const auto& rest = object_state_of(type).rest) f(*rest->type->inner);
  }
}

}  // namespace

SchemaSet::Component& SchemaSet::component(const TypeInfo& type) {
  const auto [at, added] = components_.try_emplace(identity(type), Component{&type, {}});
  Component& c = at->second;
  if (!added) return c;
  const std::string_view given = type.kind == Kind::object ? type.object->options.name : std::string_view{};
  c.name = given.empty() ? detail::component_name(type.name) : std::string(given);
  if (c.name.empty()) c.name = "Type";
  // Two types of one name, from two namespaces: the later one takes its namespace along, then a number.
  if (names_.contains(c.name)) {
    std::string_view scope = type.name.substr(0, type.name.find('<'));
    if (const auto end = scope.rfind("::"); end != std::string_view::npos) {
      scope = scope.substr(0, end);
      if (const auto begin = scope.rfind("::"); begin != std::string_view::npos) scope.remove_prefix(begin + 2);
      std::string word = detail::component_name(scope);
      if (!word.empty()) word[0] = to_upper_ascii(word[0]);
      c.name = word + c.name;
    }
    const std::string stem = c.name;
    for (int i = 2; names_.contains(c.name); ++i) c.name = stem + std::to_string(i);
  }
  names_.emplace(c.name, identity(type));
  std::set<const void*> seen;
  c.differs = differs(type, seen);
  return c;
}

bool SchemaSet::differs(const TypeInfo& type, std::set<const void*>& seen) {
  if (type.kind == Kind::object) {
    if (!seen.insert(identity(type)).second) return false;
    for (const MemberState& m : object_state_of(type).members) {
      if (is_present(m, Mode::input) != is_present(m, Mode::output)) return true;
      if (m.nullable && type.object->options.omit_null) return true;  // null comes in, but does not go out
      if (is_required(m, Mode::input, type.object->options) != is_required(m, Mode::output, type.object->options)) {
        return true;
      }
    }
  }
  bool any = false;
  each_part(type, Mode::output, [&](const TypeInfo& part) { any = any || differs(part, seen); });
  return any;
}

void SchemaSet::add(const TypeInfo& type, Mode mode) {
  if (is_named(type)) {
    Component& c = component(type);
    bool& used = c.used[static_cast<std::size_t>(mode)];
    if (used) return;
    used = true;
  }
  each_part(type, mode, [&](const TypeInfo& part) { add(part, mode); });
}

std::string SchemaSet::name_of(const TypeInfo& type, Mode mode) {
  const Component& c = component(type);
  return c.differs && c.used[0] && c.used[1] && mode == Mode::input ? c.name + "Input" : c.name;
}

std::string SchemaSet::schema(const TypeInfo& type, Mode mode) {
  add(type, mode);
  std::string out;
  write(type, mode, out);
  return out;
}

std::string SchemaSet::inline_schema(const TypeInfo& type, Mode mode) {
  if (!is_named(type)) return schema(type, mode);
  each_part(type, mode, [&](const TypeInfo& part) { add(part, mode); });
  std::string out;
  write_named(type, mode, out);
  return out;
}

std::string SchemaSet::components() {
  std::map<std::string, std::string> all;
  for (const auto& [_, c] : components_) {
    for (const Mode mode : {Mode::output, Mode::input}) {
      if (!c.used[static_cast<std::size_t>(mode)]) continue;
      std::string& out = all[name_of(*c.type, mode)];
      if (out.empty()) write_named(*c.type, mode, out);
    }
  }
  std::string out = "{";
  for (const auto& [name, json] : all) raw(out, name, json);
  out += '}';
  return out;
}

void SchemaSet::write_named(const TypeInfo& type, Mode mode, std::string& out) {
  if (type.kind == Kind::object) return write_object(type, mode, out);
  out += "{\"type\":\"string\",\"enum\":[";
  for (std::size_t i = 0; i < type.enumeration->count; ++i) {
    if (i > 0) out += ',';
    append_json_string(type.enumeration->enumerators[i].name, out);
  }
  out += "]}";
}

void SchemaSet::write_object(const TypeInfo& type, Mode mode, std::string& out) {
  const SchemaOptions& options = type.object->options;
  out += '{';
  if (!options.title.empty()) text(out, "title", options.title);
  if (!options.description.empty()) text(out, "description", options.description);
  text(out, "type", "object");
  std::string names;
  key(out, "properties");
  out += '{';
  for (const Property& p : properties(type, mode)) {
    raw(out, p.name, p.schema);
    if (!p.required) continue;
    names += names.empty() ? "" : ",";
    append_json_string(p.name, names);
  }
  out += '}';
  if (!names.empty()) raw(out, "required", "[" + names + "]");
  if (const auto& rest = object_state_of(type).rest) {
    key(out, "additionalProperties");
    write(*rest->type->inner, mode, out);
  } else if (options.extra == Extra::forbid) {
    raw(out, "additionalProperties", "false");
  }
  if (!options.example.empty()) raw(out, "examples", fmt::format("[{}]", options.example));
  if (options.deprecated) raw(out, "deprecated", "true");
  out += '}';
}

std::vector<SchemaSet::Property> SchemaSet::properties(const TypeInfo& object, Mode mode) {
  const bool omits = object.kind == Kind::object && object.object->options.omit_null;
  return members(object, mode, mode == Mode::output && omits ? Nulls::never : Nulls::described);
}

std::vector<SchemaSet::Property> SchemaSet::parameters(const TypeInfo& object) {
  return members(object, Mode::input, Nulls::never);
}

SchemaSet::Property SchemaSet::parameter(const TypeInfo& type) {
  const TypeInfo& value = behind_nullable(type);
  Property p;
  p.required = &value == &type;
  p.schema = schema(value, Mode::input);
  if (value.rules) {
    p.description = value.rules->description;
    p.deprecated = value.rules->deprecated;
    p.example = first_example(*value.rules, value);
  }
  return p;
}

std::vector<SchemaSet::Property> SchemaSet::members(const TypeInfo& type, Mode mode, Nulls nulls) {
  std::vector<Property> all;
  if (type.kind != Kind::object) return all;
  const ObjectState& state = object_state_of(type);
  for (const MemberState& m : state.members) {
    if (!is_present(m, mode)) continue;
    add(*m.type, mode);
    Property& p = all.emplace_back();
    p.name = m.wire;
    p.required = is_required(m, mode, type.object->options);
    const bool has_null = m.type->kind == Kind::optional || m.type->kind == Kind::patch;
    write(nulls == Nulls::never && has_null ? *m.type->inner : *m.type, mode, p.schema);
    if (m.rules) {
      p.description = m.rules->description;
      p.deprecated = m.rules->deprecated;
      p.example = first_example(*m.rules, behind_nullable(*m.type));
    }
    // What is always there has no use for a default; tools would take it for the example.
    const bool shows_default = mode == Mode::input && !m.required && state.defaults && m.type->kind != Kind::patch &&
                               m.readable && !detail::contains_secret(*m.type);
    if (!shows_default) continue;
    const void* value = static_cast<const std::byte*>(state.defaults) + m.offset;
    if (m.nullable && !m.type->optional->get(value)) continue;
    std::string json;
    write_json(*m.type, value, json);
    p.schema.pop_back();
    if (p.schema.size() > 1) p.schema += ',';
    p.schema += "\"default\":" + json + '}';
  }
  return all;
}

void SchemaSet::write_nullable(const TypeInfo& inner, Mode mode, std::string& out) {
  std::string schema;
  write(inner, mode, schema);
  constexpr std::string_view kType = "{\"type\":\"";
  // One plain type takes "null" beside it; anything else (a reference, a choice) becomes one of two.
  if (schema.starts_with(kType) && schema.find("\"enum\"") == std::string::npos &&
      schema.find("\"const\"") == std::string::npos) {
    const auto end = schema.find('"', kType.size());
    out += "{\"type\":[\"" + schema.substr(kType.size(), end - kType.size()) + "\",\"null\"]" + schema.substr(end + 1);
  } else if (schema == "{}") {
    out += schema;
  } else {
    out += "{\"anyOf\":[" + schema + ",{\"type\":\"null\"}]}";
  }
}

void SchemaSet::write_variant(const TypeInfo& type, Mode mode, std::string& out) {
  const bool tagged = type.rules && !type.rules->discriminator.empty();
  std::string mapping = "{";
  out += tagged ? "{\"oneOf\":[" : "{\"anyOf\":[";
  for (std::size_t i = 0; i < type.variant->count; ++i) {
    if (i > 0) out += ',';
    const TypeInfo& alternative = behind_nullable(*type.variant->types[i]);
    if (!tagged || alternative.kind != Kind::object) {
      write(*type.variant->types[i], mode, out);
      continue;
    }
    const ObjectState& state = object_state_of(alternative);
    const std::size_t at = state.find(type.rules->discriminator);
    const std::string reference = prefix_ + name_of(alternative, mode);
    if (at < state.members.size()) {
      const TypeInfo& member = *state.members[at].type;
      text(mapping, member.kind == Kind::literal ? member.text : std::string_view(state.tag), reference);
      write(alternative, mode, out);
    } else {
      text(mapping, state.tag, reference);
      out += "{\"allOf\":[";
      write(alternative, mode, out);
      out += ",{\"type\":\"object\",\"properties\":{";
      append_json_string(type.rules->discriminator, out);
      out += ":{\"const\":";
      append_json_string(state.tag, out);
      out += "}},\"required\":[";
      append_json_string(type.rules->discriminator, out);
      out += "]}]}";
    }
  }
  out += ']';
  if (tagged) {
    key(out, "discriminator");
    out += '{';
    text(out, "propertyName", type.rules->discriminator);
    raw(out, "mapping", mapping + "}");
    out += '}';
  }
  out += '}';
}

void SchemaSet::write(const TypeInfo& type, Mode mode, std::string& out) {
  const Rules none;
  const Rules& r = type.rules ? *type.rules : none;
  switch (type.kind) {
    case Kind::null:
      out += "{\"type\":\"null\"}";
      break;
    case Kind::boolean:
      out += "{\"type\":\"boolean\"}";
      break;
    case Kind::integer: {
      out += "{\"type\":\"integer\"";
      text(out, "format", fmt::format("{}int{}", type.is_signed ? "" : "u", type.size * 8));
      if (!type.is_signed && !r.ge && !r.gt) raw(out, "minimum", "0");
      out += '}';
      break;
    }
    case Kind::number:
      out += fmt::format("{{\"type\":\"number\",\"format\":\"{}\"}}", type.size == 4 ? "float" : "double");
      break;
    case Kind::string:
    case Kind::string_view:
      out += "{\"type\":\"string\"}";
      break;
    case Kind::value:
      out += "{\"type\":\"string\"";
      if (!type.value->format.empty()) text(out, "format", type.value->format);
      out += '}';
      break;
    case Kind::literal:
      out += "{\"type\":\"string\"";
      text(out, "const", type.text);
      out += '}';
      break;
    case Kind::json:
      out += "{}";
      break;
    case Kind::secret:
      write(*type.inner, mode, out);
      out.pop_back();
      text(out, "format", "password");
      raw(out, "writeOnly", "true");
      out += '}';
      return;
    case Kind::optional:
    case Kind::patch:
      if (r.not_null && mode == Mode::input) return write(*type.inner, mode, out);
      write_nullable(*type.inner, mode, out);
      return;
    case Kind::list:
      out += "{\"type\":\"array\",\"items\":";
      write(*type.inner, mode, out);
      if (type.list->is_set) raw(out, "uniqueItems", "true");
      out += '}';
      break;
    case Kind::array:
      out += "{\"type\":\"array\",\"items\":";
      write(*type.inner, mode, out);
      number(out, "minItems", type.count);
      number(out, "maxItems", type.count);
      out += '}';
      break;
    case Kind::tuple:
      out += "{\"type\":\"array\",\"prefixItems\":[";
      for (std::uint32_t i = 0; i < type.count; ++i) {
        if (i > 0) out += ',';
        write(*type.tuple->types[i], mode, out);
      }
      out += "],\"items\":{}";  // none is left by maxItems; some tools want `items` beside every array
      number(out, "minItems", type.count);
      number(out, "maxItems", type.count);
      out += '}';
      break;
    case Kind::map:
      out += "{\"type\":\"object\",\"additionalProperties\":";
      write(*type.inner, mode, out);
      out += '}';
      break;
    case Kind::variant:
      write_variant(type, mode, out);
      break;
    case Kind::object:
    case Kind::enumeration:
      out += "{\"$ref\":";
      append_json_string(prefix_ + name_of(type, mode), out);
      out += '}';
      break;
  }
  if (!type.rules) return;
  out.pop_back();
  switch (type.kind) {
    case Kind::integer:
    case Kind::number:
      bound(out, "minimum", r.ge);
      bound(out, "exclusiveMinimum", r.gt);
      bound(out, "maximum", r.le);
      bound(out, "exclusiveMaximum", r.lt);
      bound(out, "multipleOf", r.multiple_of);
      break;
    case Kind::string:
      number(out, "minLength", r.min_length);
      number(out, "maxLength", r.max_length);
      if (!r.pattern.empty()) text(out, "pattern", r.pattern);
      break;
    case Kind::list:
      number(out, "minItems", r.min_length);
      number(out, "maxItems", r.max_length);
      if (r.unique_items && !type.list->is_set) raw(out, "uniqueItems", "true");
      break;
    case Kind::value:
      // Lengths of bytes are not those of their text; four characters hold three bytes.
      if (type.value->builtin == Builtin::bytes) {
        if (r.min_length >= 0) number(out, "minLength", (r.min_length * 4 + 2) / 3);
        if (r.max_length >= 0) number(out, "maxLength", (r.max_length + 2) / 3 * 4);
      } else if (type.value->builtin == Builtin::url) {
        number(out, "minLength", r.min_length);
        number(out, "maxLength", r.max_length);
        if (!r.schemes.empty()) text(out, "pattern", schemes_pattern(r));
      } else if (!r.pattern.empty()) {
        text(out, "pattern", r.pattern);
      }
      break;
    case Kind::map:
      number(out, "minProperties", r.min_length);
      number(out, "maxProperties", r.max_length);
      break;
    default:
      break;
  }
  if (!r.format.empty()) text(out, "format", r.format);
  describe_rules(r, type, out);
  out += '}';
}

std::string json_schema(const TypeInfo& type, Mode mode) {
  SchemaSet set("#/$defs/");
  set.add(type, mode);
  std::string out = set.schema(type, mode);
  const std::string defs = set.components();
  out.insert(1, out == "{}" ? "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\""
                            : "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",");
  if (defs != "{}") {
    out.pop_back();
    raw(out, "$defs", defs);
    out += '}';
  }
  return out;
}

}  // namespace ashlar::schema
