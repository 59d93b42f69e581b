// What a database does and how it fares, for people at a terminal, for CI and for alerts:
//
//   ./service db                 an overview, and what is wrong
//   ./service db locks           who waits for whom, by the names of the program's queries
//   ./service db check           exits with 1 or 2 when something is wrong
//
// Everything comes from PostgreSQL's own statistics views (13 or newer). Nothing is changed, no table is read, and no
// lock is waited for. What the role may not see is said in the notes; a member of pg_monitor sees all.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar::pg {

class Db;

/// What the text in a cell means: numbers are as JSON has them; `seconds`, `bytes` and shares (1 is all) are unrounded.
enum class Measure : std::uint8_t { text, number, bytes, seconds, share, yes_no };

struct StatisticsColumn {
  std::string name;
  Measure measure = Measure::text;
  bool is_hidden = false;  ///< in the text; JSON has it
};

struct StatisticsTable {
  std::string view;
  std::string name;  ///< in JSON
  std::string title;
  std::vector<StatisticsColumn> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;  ///< as many cells as columns; empty: NULL, or not known
  bool is_list = false;                                       ///< one row, shown as a list of names and values

  /// A cell by the name of its column; empty when there is none.
  [[nodiscard]] std::string_view text(std::size_t row, std::string_view column) const noexcept;
  [[nodiscard]] std::optional<double> number(std::size_t row, std::string_view column) const noexcept;
};

enum class AlertLevel : std::uint8_t { warning, critical };

/// Something is wrong, by a rule.
struct Alert {
  std::string rule;
  AlertLevel level = AlertLevel::warning;
  std::string subject;  ///< a table, a session, …; empty: the database
  std::string message;
  std::string advice;  ///< what to do
};

/// When a number is wrong. Beyond both limits upwards, or below them where `critical` is less than `warning`.
struct AlertRule {
  std::string_view name;
  Measure measure;
  double warning;
  double critical;
  std::string_view what;  ///< the number that is compared
};
/// All of them, with the limits that hold unless others are given.
[[nodiscard]] std::span<const AlertRule> alert_rules() noexcept;

struct Statistics {
  std::string view;
  std::vector<StatisticsTable> tables;
  std::vector<Alert> alerts;       ///< the critical ones first
  std::vector<std::string> notes;  ///< what could not be looked at, and what is needed for it
};

struct AlertLimit {
  std::string rule;
  double warning = 0;
  double critical = 0;
};

struct StatisticsOptions {
  /// Of each table.
  std::size_t rows = 20;
  /// Column that `top` is sorted by: total, mean, max, calls, rows, read.
  std::string order = "total";
  /// Instead of the limits of the rules. Throws Invalid when there is no such rule.
  std::vector<AlertLimit> limits = {};
  /// Rules that do not count here.
  std::vector<std::string> allow = {};
};

/// Names of views, in the order of the help: overview, top, locks, …
[[nodiscard]] std::vector<std::string_view> statistics_views();
/// One view; `check` looks at all of them and gives their alerts. Throws Invalid when there is no such view, or an
/// option is wrong; ConnectionLost. What fails in one part is a note, and the other parts are there.
[[nodiscard]] Task<Statistics> statistics(Db& db, std::string view, StatisticsOptions options = {});

/// For people: 120 columns at most.
[[nodiscard]] std::string to_text(const Statistics& statistics);
/// {"view": …, "tables": {name: [{column: value}]}, "alerts": […], "notes": […]}
[[nodiscard]] std::string to_json(const Statistics& statistics);

}  // namespace ashlar::pg
