// A program's settings as one struct: defaults < TOML file < TOML file of the profile < environment < flags.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
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
  /// Which of the places that a program is deployed to this is: with "production", blog.production.toml goes over
  /// blog.toml. It must be there, and may be empty. Letters, digits, - and _.
  std::string profile = {};
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

/// Where a setting came from.
struct SettingOrigin {
  std::string place;     // "blog.toml:3", "BLOG_DATABASE__URL", "flag"
  std::size_t text = 0;  // a hash of what stands there, which tells whether it has changed
};
/// What was found while settings were read.
struct SettingsReport {
  std::map<std::string, SettingOrigin, std::less<>> origins;  // by name; one that is not here has its default
  std::vector<std::string> files;  // those that count, also when they are not there: TOML, and what …_FILE names
};

/// Into an object that has been value-initialised. False: see `errors`, whose `loc` names the variable, the flag or the
/// key and whose line is that of the file. A key of a file that is no setting is an error. Throws Invalid when a file
/// cannot be read or is no TOML, or the profile is none.
bool read_settings(const TypeInfo& type, void* into, const SettingsSources& sources, Errors& errors,
                   SettingsReport* report = nullptr);
/// "blog.production.toml"
[[nodiscard]] std::string profile_file(std::string_view file, std::string_view profile);
[[nodiscard]] std::vector<Setting> list_settings(const TypeInfo& type, const void* value, std::string_view prefix);

/// The names that flags and keys of a file may have: "port", "database.url".
[[nodiscard]] std::vector<std::string> setting_names(const TypeInfo& type);
/// The name of the member of a struct that begins at this many bytes; empty: none does.
[[nodiscard]] std::string_view setting_at(const TypeInfo& type, std::size_t offset);
/// What the structs' own validate() says against settings that were put together from several readings.
void check_settings(const TypeInfo& type, const void* value, Errors& errors);
/// The variables that they are read from: "BLOG_PORT", "BLOG_DATABASE__URL".
[[nodiscard]] std::vector<std::string> setting_variables(const TypeInfo& type, std::string_view prefix);
/// "; did you mean port?", of the name that is nearest to a wrong one, or nothing when none is near.
[[nodiscard]] std::string did_you_mean(std::string_view wrong, std::span<const std::string> names);

/// A variable that looks like a setting and is none.
struct UnknownVariable {
  std::string name;
  std::string nearest;  // of those that are known; empty: none is near
  friend bool operator==(const UnknownVariable&, const UnknownVariable&) = default;
};
/// Those of the environment that begin with one of the prefixes and "_", and are neither one of `known`, nor one with
/// _FILE behind it, nor told to know_variable(). By name.
[[nodiscard]] std::vector<UnknownVariable> unknown_variables(std::span<const std::string> prefixes,
                                                             std::span<const std::string> known,
                                                             const std::optional<std::vector<Pair>>& environment = {});
/// Says that a variable is read by other means. Any thread.
void know_variable(std::string name);

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
