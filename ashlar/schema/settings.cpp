#include <ashlar/schema/settings.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <ashlar/base/small_file.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

using detail::MemberState;

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

std::vector<Pair> process_environment() {
  std::vector<Pair> all;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) all.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return all;
}

// A table and the file that it stands in. Of several, the later one wins.
struct Layer {
  std::string_view file;
  const toml::table* table;
};
struct Node {
  std::string_view file = {};
  const toml::node* node = nullptr;
};

class SettingsReader {
 public:
  SettingsReader(const TypeInfo& type, const SettingsSources& sources, Errors& errors, SettingsReport& report)
      : type_(type),
        sources_(sources),
        errors_(errors),
        report_(report),
        environment_(sources.environment ? *sources.environment : process_environment()) {}

  void read_struct(const TypeInfo& type, void* into, const std::string& path, const std::string& variable,
                   std::string_view separator, std::span<const Layer> layers) {
    const ObjectState& state = detail::object_state_of(type);
    const std::size_t before = errors_.size();
    for (const MemberState& m : state.members) {
      const std::string name = joined(path, ".", m.wire);
      const std::string var = joined(variable, separator, variable_part(m.name));
      read_member(m, static_cast<std::byte*>(into) + m.offset, name, var, layers);
    }
    // The last one first: of a map, the key that is there stays.
    for (std::size_t i = layers.size(); i-- > 0;) read_rest(state, into, path, layers[i]);
    if (errors_.size() != before) return;
    for (Violation& v : detail::violations_of(type, into)) {
      add({std::move(v.type), std::move(v.message), ""}, joined(path, ".", loc_text(v.loc)), {"settings", nullptr});
    }
  }

 private:
  void read_member(const MemberState& m, void* into, const std::string& name, const std::string& variable,
                   std::span<const Layer> layers) {
    const TypeInfo& inner = behind_optional(*m.type);
    if (inner.kind == Kind::object) {
      std::vector<Layer> below;
      for (const Layer& layer : layers) {
        const toml::node* const node = find_node(*layer.table, m);
        if (!node) continue;
        if (!node->as_table()) return add({"dict_type", "Input should be a table", ""}, name, {layer.file, node});
        below.push_back({layer.file, node->as_table()});
      }
      void* place = into;
      if (m.nullable) {
        if (below.empty() && !any_below(name + ".", variable + "__")) return;
        for (const TypeInfo* t = m.type; t != &inner; t = t->inner) place = t->optional->emplace(place);
      }
      return read_struct(inner, place, name, variable, "__", below);
    }
    if (const Pair* flag = find_last(sources_.flags, name)) {
      note(name, "flag", flag->value);
      return from_text(m, into, flag->value, "flag", "--" + name);
    }
    if (const Pair* value = find_last(environment_, variable)) {
      note(name, variable, value->value);
      return from_text(m, into, value->value, "environment", variable);
    }
    if (const Pair* file = find_last(environment_, variable + "_FILE")) {
      report_.files.emplace_back(file->value);
      std::string text = read_small_file(std::string(file->value), variable + "_FILE");
      while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
      note(name, variable + "_FILE", text);
      return from_text(m, into, text, "environment", variable + "_FILE");
    }
    Node found;
    for (const Layer& layer : layers) {
      if (const toml::node* node = find_node(*layer.table, m)) found = {layer.file, node};
    }
    if (found.node) return from_toml(*m.type, into, found, name);
    if (m.required) {
      std::string hint = fmt::format("Field required: set {}", variable);
      if (!sources_.file.empty()) hint += fmt::format(", or {} in {}", name, sources_.file);
      add({"missing", hint, ""}, name, {"settings", nullptr});
    }
  }

  // The keys that no member has.
  void read_rest(const ObjectState& state, void* into, const std::string& path, const Layer& layer) {
    for (const auto& [key, value] : *layer.table) {
      if (state.find(key.str()) != state.members.size()) continue;
      const std::string name = joined(path, ".", key.str());
      if (!state.rest) {
        add({"extra_forbidden", "There is no such setting" + did_you_mean(name, setting_names(type_)), ""}, name,
            {layer.file, &value});
        continue;
      }
      bool valid = false;
      void* place = state.rest->type->map->insert(static_cast<std::byte*>(into) + state.rest->offset, key.str(), valid);
      if (place) from_toml(*state.rest->type->inner, place, {layer.file, &value}, name);
    }
  }

  void note(const std::string& name, std::string place, std::string_view text) {
    report_.origins[name] = {std::move(place), std::hash<std::string_view>{}(text)};
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

  void from_toml(const TypeInfo& type, void* into, Node from, const std::string& name) {
    std::string json;
    append_toml(*from.node, json);
    note(name, fmt::format("{}:{}", from.file, from.node->source().begin.line), json);
    keep(type, [&](Errors& errors) { read_json(type, json, into, errors, {from.file, name}); }, from.node);
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

  void add(detail::Failure failure, const std::string& name, Node at) {
    ErrorItem item{.type = std::move(failure.type),
                   .msg = std::move(failure.msg),
                   .loc = {std::string(at.file), name},
                   .input = {},
                   .ctx = std::move(failure.ctx)};
    if (at.node) {
      item.line = static_cast<std::uint32_t>(at.node->source().begin.line);
      item.column = static_cast<std::uint32_t>(at.node->source().begin.column);
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
  SettingsReport& report_;
  std::vector<Pair> environment_;
};

toml::table parse_file(const std::string& file) {
  toml::parse_result parsed = toml::parse(read_small_file(file, "settings"), file);
  if (!parsed) {
    const toml::parse_error& e = parsed.error();
    throw Invalid(fmt::format("{}:{}:{}: {}", file, e.source().begin.line, e.source().begin.column, e.description()));
  }
  return std::move(parsed).table();
}

bool is_there(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// The profiles that have a file.
std::vector<std::string> profiles_of(const std::string& file) {
  std::vector<std::string> all;
  const std::filesystem::path path(file);
  const std::string stem = path.stem().string() + ".";
  std::error_code error;
  for (std::filesystem::directory_iterator at(path.has_parent_path() ? path.parent_path() : ".", error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (at->path().extension() != path.extension() || !name.starts_with(stem)) continue;
    const std::size_t behind = stem.size() + path.extension().string().size();
    if (name.size() > behind) all.push_back(name.substr(stem.size(), name.size() - behind));
  }
  std::ranges::sort(all);
  return all;
}

void require_profile(const SettingsSources& sources, const std::string& file) {
  if (is_there(file)) return;
  const auto profiles = profiles_of(sources.file);
  throw Invalid(fmt::format("the profile '{}' is read from {}, which is not there (it may be empty){}{}",
                            sources.profile, file, did_you_mean(sources.profile, profiles),
                            profiles.empty() ? "" : fmt::format("; there are: {}", fmt::join(profiles, ", "))));
}

// Calls f(name, variable) for each setting that is no struct.
template <class F>
void each_setting(const TypeInfo& type, const std::string& path, const std::string& variable,
                  std::string_view separator, int depth, const F& f) {
  constexpr int kDeepest = 16;  // structs may contain themselves, in an optional
  for (const MemberState& m : detail::object_state_of(type).members) {
    std::string name = joined(path, ".", m.wire);
    std::string var = joined(variable, separator, variable_part(m.name));
    const TypeInfo& inner = behind_optional(*m.type);
    if (inner.kind == Kind::object) {
      if (depth < kDeepest) each_setting(inner, name, var, "__", depth + 1, f);
    } else {
      f(std::move(name), std::move(var));
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

// Null: none is near.
const std::string* nearest(std::string_view wrong, std::span<const std::string> names) {
  constexpr std::size_t kLongest = 128;  // longer ones are no slip
  if (wrong.size() > kLongest) return nullptr;
  const std::string* found = nullptr;
  std::size_t least = std::max<std::size_t>(1, wrong.size() / 3) + 1;
  for (const std::string& name : names) {
    if (name.size() > kLongest) continue;
    const std::size_t far = distance(wrong, name);
    if (far < least) {
      least = far;
      found = &name;
    }
  }
  return found;
}

struct OtherVariables {
  std::mutex mutex;
  std::set<std::string, std::less<>> names;
};
OtherVariables& other_variables() {
  static OtherVariables all;
  return all;
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

void check(const TypeInfo& type, const void* value, const std::string& path, Errors& errors) {
  for (Violation& v : detail::violations_of(type, value)) {
    errors.add(ErrorItem{.type = std::move(v.type),
                         .msg = std::move(v.message),
                         .loc = {"settings", joined(path, ".", loc_text(v.loc))}});
  }
  for (const MemberState& m : detail::object_state_of(type).members) {
    const void* at = static_cast<const std::byte*>(value) + m.offset;
    const TypeInfo* inner = m.type;
    while (at && (inner->kind == Kind::optional || inner->kind == Kind::patch)) {
      at = inner->optional->get(at);
      inner = inner->inner;
    }
    if (at && inner->kind == Kind::object) check(*inner, at, joined(path, ".", m.wire), errors);
  }
}

}  // namespace

bool read_settings(const TypeInfo& type, void* into, const SettingsSources& sources, Errors& errors,
                   SettingsReport* report) {
  if (type.kind != Kind::object) throw Internal("settings are read into a struct");
  const std::size_t before = errors.size();
  SettingsReport own;
  SettingsReport& found = report ? *report : own;
  std::vector<std::pair<std::string, toml::table>> tables;
  if (!sources.file.empty()) {
    found.files.push_back(sources.file);
    if (sources.file_must_exist || is_there(sources.file)) tables.emplace_back(sources.file, parse_file(sources.file));
    if (!sources.profile.empty()) {
      const std::string file = profile_file(sources.file, sources.profile);
      found.files.push_back(file);
      require_profile(sources, file);
      tables.emplace_back(file, parse_file(file));
    }
  }
  std::vector<Layer> layers;
  for (const auto& [file, table] : tables) layers.push_back({file, &table});
  SettingsReader(type, sources, errors, found).read_struct(type, into, {}, sources.prefix, "_", layers);
  return errors.size() == before;
}

std::string profile_file(std::string_view file, std::string_view profile) {
  const bool good = !profile.empty() && profile.size() <= 64 && std::ranges::all_of(profile, [](char c) {
    return is_alpha_ascii(c) || is_digit_ascii(c) || c == '-' || c == '_';
  });
  if (!good) throw Invalid(fmt::format("'{}' is no profile: it is letters, digits, - and _", profile));
  const std::filesystem::path path(file);
  return (path.parent_path() / (path.stem().string() + "." + std::string(profile) + path.extension().string()))
      .string();
}

std::vector<Setting> list_settings(const TypeInfo& type, const void* value, std::string_view prefix) {
  std::vector<Setting> all;
  if (type.kind == Kind::object) list(type, value, {}, std::string(prefix), "_", all);
  return all;
}

std::vector<std::string> setting_names(const TypeInfo& type) {
  std::vector<std::string> out;
  each_setting(type, "", "", "_", 0, [&](std::string name, const std::string&) { out.push_back(std::move(name)); });
  return out;
}

std::string_view setting_at(const TypeInfo& type, std::size_t offset) {
  for (const MemberState& m : detail::object_state_of(type).members) {
    if (m.offset == offset) return m.wire;
  }
  return {};
}

void check_settings(const TypeInfo& type, const void* value, Errors& errors) { check(type, value, {}, errors); }

std::vector<std::string> setting_variables(const TypeInfo& type, std::string_view prefix) {
  std::vector<std::string> out;
  each_setting(type, "", std::string(prefix), "_", 0,
               [&](const std::string&, std::string variable) { out.push_back(std::move(variable)); });
  return out;
}

std::string did_you_mean(std::string_view wrong, std::span<const std::string> names) {
  const std::string* const name = nearest(wrong, names);
  return name ? fmt::format("; did you mean {}?", *name) : std::string();
}

std::vector<UnknownVariable> unknown_variables(std::span<const std::string> prefixes,
                                               std::span<const std::string> known,
                                               const std::optional<std::vector<Pair>>& environment) {
  std::vector<UnknownVariable> unknown;
  std::set<std::string, std::less<>> all(known.begin(), known.end());
  {
    const std::lock_guard lock(other_variables().mutex);
    all.insert(other_variables().names.begin(), other_variables().names.end());
  }
  for (const Pair& pair : environment ? *environment : process_environment()) {
    const bool ours = std::ranges::any_of(prefixes, [&](const std::string& prefix) {
      return !prefix.empty() && pair.name.size() > prefix.size() && pair.name.starts_with(prefix) &&
             pair.name[prefix.size()] == '_';
    });
    if (!ours || all.contains(pair.name)) continue;
    std::string_view without = pair.name;
    if (without.ends_with("_FILE")) without.remove_suffix(5);
    if (all.contains(without)) continue;
    const std::string* const near = nearest(pair.name, known);
    unknown.push_back({std::string(pair.name), near ? *near : std::string()});
  }
  std::ranges::sort(unknown, {}, &UnknownVariable::name);
  return unknown;
}

void know_variable(std::string name) {
  const std::lock_guard lock(other_variables().mutex);
  other_variables().names.insert(std::move(name));
}

}  // namespace ashlar::schema
