#include <ashlar/schema/settings.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <sstream>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

using detail::MemberState;

std::string read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Invalid(fmt::format("{}: cannot read {}", what, path));
  return {std::istreambuf_iterator<char>(file), {}};
}

void append_toml(const toml::node& node, std::string& out) {
  if (const auto* table = node.as_table()) {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : *table) {
      if (!first) out += ',';
      first = false;
      append_json_string(key.str(), out);
      out += ':';
      append_toml(value, out);
    }
    out += '}';
  } else if (const auto* array = node.as_array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ',';
      append_toml((*array)[i], out);
    }
    out += ']';
  } else if (const auto* text = node.as_string()) {
    append_json_string(text->get(), out);
  } else if (const auto* integer = node.as_integer()) {
    out += std::to_string(integer->get());
  } else if (const auto* boolean = node.as_boolean()) {
    out += boolean->get() ? "true" : "false";
  } else if (const auto* number = node.as_floating_point()) {
    write_json(number->get(), out);
  } else {
    std::ostringstream stream;  // dates and times
    if (const auto* date = node.as_date()) stream << date->get();
    if (const auto* time = node.as_time()) stream << time->get();
    if (const auto* point = node.as_date_time()) stream << point->get();
    append_json_string(stream.str(), out);
  }
}

// "a,b" and "[…]" as a JSON array; the elements are read laxly from strings.
std::string list_as_json(std::string_view text) {
  if (trim(text).starts_with('[')) return std::string(text);
  std::string out = "[";
  while (!trim(text).empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (out.size() > 1) out += ',';
    append_json_string(trim(text.substr(0, comma)), out);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out + ']';
}

const TypeInfo& behind_optional(const TypeInfo& type) {
  const TypeInfo* t = &type;
  while (t->kind == Kind::optional || t->kind == Kind::patch) t = t->inner;
  return *t;
}

std::string variable_part(std::string_view name) { return detail::respell(name, Naming::upper_case); }

std::string joined(std::string_view outer, std::string_view separator, std::string_view inner) {
  return outer.empty() ? std::string(inner) : fmt::format("{}{}{}", outer, separator, inner);
}

class SettingsReader {
 public:
  SettingsReader(const TypeInfo& type, const SettingsSources& sources, Errors& errors)
      : type_(type), sources_(sources), errors_(errors) {
    if (sources.environment) {
      environment_ = *sources.environment;
    } else {
      for (char** entry = environ; entry && *entry; ++entry) {
        const std::string_view text(*entry);
        const auto equals = text.find('=');
        if (equals != std::string_view::npos) environment_.push_back({text.substr(0, equals), text.substr(equals + 1)});
      }
    }
  }

  void read_struct(const TypeInfo& type, void* into, const std::string& path, const std::string& variable,
                   std::string_view separator, const toml::table* table) {
    const ObjectState& state = detail::object_state_of(type);
    const std::size_t before = errors_.size();
    for (const MemberState& m : state.members) {
      const std::string name = joined(path, ".", m.wire);
      const std::string var = joined(variable, separator, variable_part(m.name));
      const toml::node* node = table ? find_node(*table, m) : nullptr;
      read_member(m, static_cast<std::byte*>(into) + m.offset, name, var, node);
    }
    if (table) {
      for (const auto& [key, value] : *table) {
        if (state.find(key.str()) != state.members.size()) continue;
        if (state.rest) {
          bool valid = false;
          void* place =
              state.rest->type->map->insert(static_cast<std::byte*>(into) + state.rest->offset, key.str(), valid);
          if (place) from_toml(*state.rest->type->inner, place, value, joined(path, ".", key.str()));
        } else {
          const std::string name = joined(path, ".", key.str());
          add({"extra_forbidden", "There is no such setting" + did_you_mean(name, setting_names(type_)), ""},
              sources_.file, name, &value);
        }
      }
    }
    if (errors_.size() != before) return;
    for (Violation& v : detail::violations_of(type, into)) {
      add({std::move(v.type), std::move(v.message), ""}, "settings", joined(path, ".", loc_text(v.loc)), nullptr);
    }
  }

 private:
  void read_member(const MemberState& m, void* into, const std::string& name, const std::string& variable,
                   const toml::node* node) {
    const TypeInfo& inner = behind_optional(*m.type);
    if (inner.kind == Kind::object) {
      const toml::table* table = node ? node->as_table() : nullptr;
      if (node && !table) return add({"dict_type", "Input should be a table", ""}, sources_.file, name, node);
      void* place = into;
      if (m.nullable) {
        if (!table && !any_below(name + ".", variable + "__")) return;
        for (const TypeInfo* t = m.type; t != &inner; t = t->inner) place = t->optional->emplace(place);
      }
      return read_struct(inner, place, name, variable, "__", table);
    }
    if (const Pair* flag = find_last(sources_.flags, name)) return from_text(m, into, flag->value, "flag", "--" + name);
    if (const Pair* value = find_last(environment_, variable)) {
      return from_text(m, into, value->value, "environment", variable);
    }
    if (const Pair* file = find_last(environment_, variable + "_FILE")) {
      std::string text = read_file(std::string(file->value), variable + "_FILE");
      while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
      return from_text(m, into, text, "environment", variable + "_FILE");
    }
    if (node) return from_toml(*m.type, into, *node, name);
    if (m.required) {
      std::string hint = fmt::format("Field required: set {}", variable);
      if (!sources_.file.empty()) hint += fmt::format(", or {} in {}", name, sources_.file);
      add({"missing", hint, ""}, "settings", name, nullptr);
    }
  }

  void from_text(const MemberState& m, void* into, std::string_view text, std::string_view source,
                 const std::string& name) {
    const Where where{source, name};
    const TypeInfo& inner = behind_optional(*m.type);
    if (inner.kind == Kind::list || inner.kind == Kind::array || inner.kind == Kind::tuple) {
      keep(*m.type, [&](Errors& errors) { read_json(*m.type, list_as_json(text), into, errors, where); }, nullptr);
    } else {
      keep(*m.type, [&](Errors& errors) { read_text(*m.type, text, into, errors, where); }, nullptr);
    }
  }

  void from_toml(const TypeInfo& type, void* into, const toml::node& node, const std::string& name) {
    std::string json;
    append_toml(node, json);
    keep(type, [&](Errors& errors) { read_json(type, json, into, errors, {sources_.file, name}); }, &node);
  }

  // The lines that the reader counted are those of a text made up here; the file's own take their place.
  template <class F>
  void keep(const TypeInfo& type, F&& read, const toml::node* node) {
    Errors errors;
    read(errors);
    const bool secret = detail::contains_secret(type);
    for (ErrorItem item : errors.take()) {
      if (secret) item.input.clear();
      item.line = node ? static_cast<std::uint32_t>(node->source().begin.line) : 0;
      item.column = node ? static_cast<std::uint32_t>(node->source().begin.column) : 0;
      errors_.add(std::move(item));
    }
  }

  void add(detail::Failure failure, std::string_view source, const std::string& name, const toml::node* node) {
    ErrorItem item{.type = std::move(failure.type),
                   .msg = std::move(failure.msg),
                   .loc = {std::string(source), name},
                   .input = {},
                   .ctx = std::move(failure.ctx)};
    if (node) {
      item.line = static_cast<std::uint32_t>(node->source().begin.line);
      item.column = static_cast<std::uint32_t>(node->source().begin.column);
    }
    errors_.add(std::move(item));
  }

  static const toml::node* find_node(const toml::table& table, const MemberState& m) {
    const toml::node* node = table.get(m.wire);
    if (m.rules && !node) {
      detail::each_text(m.rules->also, [&](std::string_view name) { node = node ? node : table.get(name); });
    }
    return node;
  }
  static const Pair* find_last(std::span<const Pair> pairs, std::string_view name) {
    const Pair* found = nullptr;
    for (const Pair& pair : pairs) {
      if (pair.name == name) found = &pair;
    }
    return found;
  }
  bool any_below(std::string_view flag, std::string_view variable) const {
    for (const Pair& pair : sources_.flags) {
      if (pair.name.starts_with(flag)) return true;
    }
    for (const Pair& pair : environment_) {
      if (pair.name.starts_with(variable)) return true;
    }
    return false;
  }

  const TypeInfo& type_;
  const SettingsSources& sources_;
  Errors& errors_;
  std::vector<Pair> environment_;
};

void names(const TypeInfo& type, const std::string& path, int depth, std::vector<std::string>& out) {
  constexpr int kDeepest = 16;  // structs may contain themselves, in an optional
  for (const MemberState& m : detail::object_state_of(type).members) {
    std::string name = joined(path, ".", m.wire);
    const TypeInfo& inner = behind_optional(*m.type);
    if (inner.kind == Kind::object) {
      if (depth < kDeepest) names(inner, name, depth + 1, out);
    } else {
      out.push_back(std::move(name));
    }
  }
}

// How many letters to add, take away, change or exchange with their neighbour (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

void list(const TypeInfo& type, const void* value, const std::string& path, const std::string& variable,
          std::string_view separator, std::vector<Setting>& out) {
  for (const MemberState& m : detail::object_state_of(type).members) {
    const std::string name = joined(path, ".", m.wire);
    const std::string var = joined(variable, separator, variable_part(m.name));
    const void* at = static_cast<const std::byte*>(value) + m.offset;
    const TypeInfo* inner = m.type;
    while (at && (inner->kind == Kind::optional || inner->kind == Kind::patch)) {
      at = inner->optional->get(at);
      inner = inner->inner;
    }
    if (at && inner->kind == Kind::object) {
      list(*inner, at, name, var, "__", out);
      continue;
    }
    Setting& setting = out.emplace_back(Setting{name, var, {}, m.rules ? std::string(m.rules->description) : ""});
    if (at) write_text(*inner, at, setting.value);
  }
}

}  // namespace

bool read_settings(const TypeInfo& type, void* into, const SettingsSources& sources, Errors& errors) {
  if (type.kind != Kind::object) throw Internal("settings are read into a struct");
  const std::size_t before = errors.size();
  toml::table table;
  bool has_file = false;
  if (!sources.file.empty() && (sources.file_must_exist || access(sources.file.c_str(), F_OK) == 0)) {
    toml::parse_result parsed = toml::parse(read_file(sources.file, "settings"), sources.file);
    if (!parsed) {
      const toml::parse_error& e = parsed.error();
      throw Invalid(
          fmt::format("{}:{}:{}: {}", sources.file, e.source().begin.line, e.source().begin.column, e.description()));
    }
    table = std::move(parsed).table();
    has_file = true;
  }
  SettingsReader(type, sources, errors).read_struct(type, into, {}, sources.prefix, "_", has_file ? &table : nullptr);
  return errors.size() == before;
}

std::vector<Setting> list_settings(const TypeInfo& type, const void* value, std::string_view prefix) {
  std::vector<Setting> all;
  if (type.kind == Kind::object) list(type, value, {}, std::string(prefix), "_", all);
  return all;
}

std::vector<std::string> setting_names(const TypeInfo& type) {
  std::vector<std::string> out;
  names(type, "", 0, out);
  return out;
}

std::string did_you_mean(std::string_view wrong, std::span<const std::string> names) {
  constexpr std::size_t kLongest = 128;  // longer ones are no slip
  if (wrong.size() > kLongest) return {};
  const std::string* nearest = nullptr;
  std::size_t least = std::max<std::size_t>(1, wrong.size() / 3) + 1;
  for (const std::string& name : names) {
    if (name.size() > kLongest) continue;
    const std::size_t far = distance(wrong, name);
    if (far < least) {
      least = far;
      nearest = &name;
    }
  }
  return nearest ? fmt::format("; did you mean {}?", *nearest) : std::string();
}

}  // namespace ashlar::schema
