// A program's settings as one struct: defaults < TOML file < environment < flags.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/text_io.hpp>

namespace ashlar::schema {

/// Where settings come from.
///
/// With the prefix "BLOG", the member `port` is BLOG_PORT, and `url` of the member `database` is BLOG_DATABASE__URL. A
/// variable with `_FILE` behind its name (BLOG_DATABASE__PASSWORD_FILE) names a file that holds the value, as Docker
/// and Kubernetes hand out secrets. Lists are written `a,b,c` or as JSON; maps and variants as JSON.
struct SettingsSources {
  std::string prefix = {};
  std::string file = {};  // TOML; none when empty
  bool file_must_exist = true;
  std::span<const Pair> flags = {};                   // {"port", "8080"}, {"database.url", "…"}
  std::optional<std::vector<Pair>> environment = {};  // in place of the process's own
};

/// One setting for people: `program settings`, the console. Secrets are masked.
struct Setting {
  std::string name;      // "database.url"
  std::string variable;  // "BLOG_DATABASE__URL"
  std::string value;
  std::string description;
};

/// Into an object that has been value-initialised. False: see `errors`, whose `loc` names the variable, the flag or the
/// key and whose line is that of the file. A key of the file that is no setting is an error. Throws Invalid when the
/// file cannot be read or is no TOML.
bool read_settings(const TypeInfo& type, void* into, const SettingsSources& sources, Errors& errors);
[[nodiscard]] std::vector<Setting> list_settings(const TypeInfo& type, const void* value, std::string_view prefix);

/// The names that flags and keys of a file may have: "port", "database.url".
[[nodiscard]] std::vector<std::string> setting_names(const TypeInfo& type);
/// "; did you mean port?", of the name that is nearest to a wrong one, or nothing when none is near.
[[nodiscard]] std::string did_you_mean(std::string_view wrong, std::span<const std::string> names);

/// Throws ValidationError with every setting that is missing or wrong, and how to set it.
template <class T>
[[nodiscard]] T load_settings(const SettingsSources& sources = {}) {
  T value{};
  Errors errors;
  if (!read_settings(type_info<T>(), &value, sources, errors)) throw ValidationError(std::move(errors));
  return value;
}

template <class T>
[[nodiscard]] std::vector<Setting> describe_settings(const T& value, std::string_view prefix = {}) {
  return list_settings(type_info<T>(), &value, prefix);
}

}  // namespace ashlar::schema
