#include <ashlar/pg/detail/statistics_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/schema/json.hpp>

namespace ashlar::pg {
namespace detail {
namespace {

constexpr std::size_t kWidth = 120;
constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 8;

std::string scaled(double value, double step, std::span<const std::string_view> units) {
  std::size_t unit = 0;
  while (std::abs(value) >= step * 0.9995 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const bool whole = unit == 0 && value == std::floor(value);
  return fmt::format("{:.{}f}{}", value, whole || std::abs(value) >= 99.95 ? 0 : 1, units[unit]);
}

std::string seconds(double value) {
  static constexpr auto kLong = std::to_array<std::pair<double, std::string_view>>(
      {{365.25 * 86400, " years"}, {86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}, {1e-3, " ms"}});
  for (const auto& [size, unit] : kLong) {
    if (std::abs(value) >= size)
      return fmt::format("{:.{}f}{}", value / size, std::abs(value / size) >= 99.95 ? 0 : 1, unit);
  }
  return value == 0 ? "0 s" : fmt::format("{:.0f} µs", value * 1e6);
}

/// Of UTF-8 text on a terminal; wide characters are not known.
std::size_t width_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string cut(std::string_view text, std::size_t width) {
  if (width_of(text) <= width) return std::string(text);
  std::size_t end = 0;
  for (std::size_t left = width - 1; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xc0) != 0x80 && left-- == 0) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string cell_text(const StatisticsTable& table, std::size_t row, std::size_t column) {
  const auto& cell = table.rows[row][column];
  if (!cell) return "-";
  const StatisticsColumn& about = table.columns[column];
  if (about.measure == Measure::yes_no) return *cell == "t" || *cell == "on" ? "yes" : "no";
  if (about.measure == Measure::text) return in_one_line(*cell, 200);
  if (about.name == "session") {  // a number, but nothing to count; below the one that it waits for
    const double depth = table.number(row, "depth").value_or(0);
    return depth > 0 ? std::string(static_cast<std::size_t>(2 * (depth - 1)), ' ') + "└ " + *cell : *cell;
  }
  const auto value = table.number(row, about.name);
  return value ? format_measure(about.measure, *value) : *cell;
}

std::string heading(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '_', ' ');
  return out;
}

void write_list(const StatisticsTable& table, std::string& out) {
  std::size_t width = 0;
  for (const StatisticsColumn& column : table.columns) width = std::max(width, column.name.size());
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    out += fmt::format("  {:<{}}  {}\n", heading(table.columns[i].name), width, cell_text(table, 0, i));
}

void write_table(const StatisticsTable& table, std::string& out) {
  struct Shown {
    std::size_t column;
    bool is_left;
    std::size_t width;
    std::vector<std::string> cells;
  };
  std::vector<Shown> shown;
  std::size_t total = 0;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].is_hidden) continue;
    const bool is_left = table.columns[i].measure == Measure::text || table.columns[i].name == "session";
    Shown column{.column = i, .is_left = is_left, .width = width_of(heading(table.columns[i].name)), .cells = {}};
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      column.cells.push_back(cell_text(table, row, i));
      column.width = std::max(column.width, width_of(column.cells.back()));
    }
    total += column.width + kGap;
    shown.push_back(std::move(column));
  }
  // The widest texts give way.
  while (total > kWidth) {
    Shown* widest = nullptr;
    for (Shown& column : shown) {
      if (table.columns[column.column].measure == Measure::text && column.width > kNarrowest &&
          (widest == nullptr || column.width > widest->width))
        widest = &column;
    }
    if (widest == nullptr) break;
    --widest->width;
    --total;
  }
  const auto line = [&](auto text_of) {
    std::string text;
    for (const Shown& column : shown) {
      const std::string cell = cut(text_of(column), column.width);
      const std::string pad(column.width - std::min(column.width, width_of(cell)), ' ');
      text += std::string(kGap, ' ') + (column.is_left ? cell + pad : pad + cell);
    }
    while (text.ends_with(' ')) text.pop_back();
    out += text + "\n";
  };
  line([&](const Shown& column) { return heading(table.columns[column.column].name); });
  for (std::size_t row = 0; row < table.rows.size(); ++row)
    line([&](const Shown& column) { return column.cells[row]; });
}

/// Words as they fit, the lines after the first indented by four.
std::string wrapped(std::string_view text) {
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const std::size_t width = width_of(word);
    if (used != 0 && used + 1 + width > kWidth) {
      out += "\n    ";
      used = 4;
    } else if (used != 0) {
      out += ' ';
      ++used;
    }
    out += word;
    used += width;
  }
  return out + "\n";
}

void write_cell(const std::optional<std::string>& cell, Measure measure, std::string& out) {
  if (!cell) {
    out += "null";
  } else if (measure == Measure::text) {
    schema::append_json_string(*cell, out);
  } else if (measure == Measure::yes_no) {
    out += *cell == "t" || *cell == "on" ? "true" : "false";
  } else {
    const std::string_view numbers = "0123456789+-.eE";
    const bool is_number = !cell->empty() && cell->find_first_not_of(numbers) == std::string::npos;
    out += is_number ? *cell : "null";  // NaN and infinity
  }
}

std::string_view word_of(AlertLevel level) noexcept { return level == AlertLevel::critical ? "critical" : "warning"; }

}  // namespace

std::string format_measure(Measure measure, double value) {
  static constexpr std::array<std::string_view, 5> kCounts{"", " k", " M", " G", " T"};
  static constexpr std::array<std::string_view, 6> kBytes{" B", " kB", " MB", " GB", " TB", " PB"};
  switch (measure) {
    case Measure::number:
      return std::abs(value) < 100'000 && value == std::floor(value) ? fmt::format("{:.0f}", value)
                                                                     : scaled(value, 1000, kCounts);
    case Measure::bytes:
      return scaled(value, 1024, kBytes);
    case Measure::seconds:
      return seconds(value);
    case Measure::share:
      return fmt::format("{:.1f} %", value * 100);
    case Measure::yes_no:
      return value != 0 ? "yes" : "no";
    case Measure::text:
      break;
  }
  return fmt::format("{}", value);
}

}  // namespace detail

std::string to_text(const Statistics& statistics) {
  std::string out;
  for (const StatisticsTable& table : statistics.tables) {
    out += table.title + "\n";
    if (table.rows.empty()) {
      out += "  none\n";
    } else if (table.is_list) {
      detail::write_list(table, out);
    } else {
      detail::write_table(table, out);
    }
    out += "\n";
  }
  for (const Alert& alert : statistics.alerts) {
    out += detail::wrapped(fmt::format("{}: {}: {}{}{}", detail::word_of(alert.level), alert.rule, alert.subject,
                                       alert.subject.empty() ? "" : " ", alert.message));
    out += "    " + detail::wrapped(alert.advice);
  }
  for (const std::string& note : statistics.notes) out += detail::wrapped("note: " + note);
  if (statistics.alerts.empty() && (statistics.view == "check" || statistics.view == "overview"))
    out += "nothing is wrong by any rule\n";
  return out;
}

std::string to_json(const Statistics& statistics) {
  std::string out = "{\"view\":";
  schema::append_json_string(statistics.view, out);
  out += ",\"tables\":{";
  for (const StatisticsTable& table : statistics.tables) {
    if (!out.ends_with('{')) out += ',';
    schema::append_json_string(table.name, out);
    out += ":[";
    for (const auto& row : table.rows) {
      if (!out.ends_with('[')) out += ',';
      out += '{';
      for (std::size_t i = 0; i < table.columns.size(); ++i) {
        if (i != 0) out += ',';
        schema::append_json_string(table.columns[i].name, out);
        out += ':';
        detail::write_cell(row[i], table.columns[i].measure, out);
      }
      out += '}';
    }
    out += ']';
  }
  out += "},\"alerts\":[";
  for (const Alert& alert : statistics.alerts) {
    if (!out.ends_with('[')) out += ',';
    out += fmt::format("{{\"rule\":\"{}\",\"level\":\"{}\",\"subject\":", alert.rule, detail::word_of(alert.level));
    schema::append_json_string(alert.subject, out);
    out += ",\"message\":";
    schema::append_json_string(alert.message, out);
    out += ",\"advice\":";
    schema::append_json_string(alert.advice, out);
    out += '}';
  }
  out += "],\"notes\":[";
  for (const std::string& note : statistics.notes) {
    if (!out.ends_with('[')) out += ',';
    schema::append_json_string(note, out);
  }
  return out + "]}";
}

}  // namespace ashlar::pg
