#include <ashlar/app/detail/settings_command.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/hand_over.hpp>
#include <ashlar/app/detail/live_settings.hpp>
#include <ashlar/app/detail/serve.hpp>
#include <ashlar/schema/settings.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

// What the library reads from the environment beside its settings.
constexpr std::array<std::string_view, 6> kOtherVariables = {"ASHLAR_CACHE_DIR",  "ASHLAR_DATA_DIR",
                                                             "ASHLAR_DEV_PAGE",   kProfileVariable,
                                                             kSupervisedVariable, "ASHLAR_UPDATE_SNAPSHOTS"};

struct Row {
  std::string name, value, origin;
};

void print_rows(std::string_view title, const std::vector<Row>& rows) {
  if (rows.empty()) return;
  constexpr std::size_t kWidest = 40;  // a longer value moves what is behind it
  std::size_t names = 0, values = 0;
  for (const Row& row : rows) {
    names = std::max(names, row.name.size());
    values = std::max(values, std::min(kWidest, row.value.size()));
  }
  fmt::print("# {}\n", title);
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}  {:<{}}  {}", row.name, names, row.value, values, row.origin);
    line.resize(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
  fmt::print("\n");
}

std::string origin_of(const schema::SettingsReport& report, const schema::Setting& setting) {
  const auto found = report.origins.find(setting.name);
  return found == report.origins.end() ? "default" : found->second.place;
}

Row row_of(const schema::Setting& setting, std::string origin) {
  if (!setting.description.empty()) origin += fmt::format("  ({})", setting.description);
  return {setting.variable, setting.value, std::move(origin)};
}

std::string title_of(const Core& core, const Core::ProgramSettings& one) {
  std::string sources = "defaults";
  for (const std::string& file : one.report.files) {
    if (file == one.file || file == one.profile_file) sources += " < " + file;
  }
  return fmt::format("{}: {} < environment < --set", core.options.title, sources);
}

}  // namespace

int print_settings(Core& core, const ServeSettings& settings, const ServeSettingsOrigins& origins) {
  const auto now = schema::describe_settings(settings, "ASHLAR");
  std::vector<Row> rows;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const bool flag = now[i].value != origins.values[i].value;
    rows.push_back(row_of(now[i], flag ? "flag" : origin_of(origins.report, now[i])));
  }
  print_rows("serving: defaults < environment < flags", rows);
  for (Core* one_core : core.all_cores()) {
    for (const auto& one : one_core->settings) {
      rows.clear();
      for (const auto& setting : schema::list_settings(*one.type, one.object.get(), one.prefix)) {
        std::string origin = origin_of(one.report, setting);
        if (one.live != nullptr && one.live->is_live(setting.name)) origin += ", live";
        rows.push_back(row_of(setting, std::move(origin)));
      }
      print_rows(title_of(*one_core, one), rows);
    }
  }
  for (auto* component : core.all_components()) {
    rows.clear();
    for (auto& [name, value] : component->settings()) rows.push_back({name, value, {}});
    print_rows(component->name(), rows);
  }
  return 0;
}

void warn_of_unknown_variables(Core& core) {
  std::vector<std::string> prefixes{"ASHLAR"};
  std::vector<std::string> known = schema::setting_variables(schema::type_info<ServeSettings>(), "ASHLAR");
  known.insert(known.end(), kOtherVariables.begin(), kOtherVariables.end());
  for (Core* one_core : core.all_cores()) {
    for (const auto& one : one_core->settings) {
      prefixes.push_back(one.prefix);
      std::ranges::move(schema::setting_variables(*one.type, one.prefix), std::back_inserter(known));
    }
  }
  for (auto* component : core.all_components()) {
    for (auto& [name, value] : component->settings()) known.push_back(std::move(name));
  }
  for (const auto& one : schema::unknown_variables(prefixes, known)) {
    if (one.nearest.empty()) {
      log::warn("no setting has the name of this variable", {{"variable", one.name}});
    } else {
      log::warn("no setting has the name of this variable", {{"variable", one.name}, {"did_you_mean", one.nearest}});
    }
  }
}

}  // namespace ashlar::detail
