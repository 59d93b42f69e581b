// Columns that depend on each other: the planner takes conditions for independent, and multiplies their chances.
// (https://www.postgresql.org/docs/current/planner-stats.html#PLANNER-STATS-EXTENDED)
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::pg::detail {
namespace {

/// Of the rows, so many must be as the dependency says.
constexpr double kDegree = 0.8;
/// The estimate must have been wrong by so much.
constexpr double kWrong = 5;
constexpr std::size_t kMostPairs = 50;

struct Pair {
  const CatalogTable* table = nullptr;
  std::string one, other;
  std::set<std::size_t> subjects;
};

std::vector<Pair> pairs_of(const Study& study) {
  std::vector<Pair> out;
  for (std::size_t number = 0; number < study.subjects.size(); ++number) {
    const Subject& subject = study.subjects[number];
    if (subject.foreign_key != nullptr || subject.allows("extended-statistics")) continue;
    for (const Access& access : subject.reads) {
      if (access.table->is_small() || comment_allows(access.table->comment, "extended-statistics")) continue;
      std::set<std::string> columns;
      for (const std::vector<Condition>* conditions : {&access.served, &access.unserved}) {
        for (const Condition& condition : *conditions) {
          if (condition.kind == Condition::Kind::equal && condition.alias == access.alias &&
              !condition.column.empty() && !condition.is_join())
            columns.insert(condition.column);
        }
      }
      for (auto one = columns.begin(); one != columns.end(); ++one) {
        for (auto other = std::next(one); other != columns.end(); ++other) {
          const auto known = std::ranges::find_if(out, [&](const Pair& pair) {
            return pair.table == access.table && pair.one == *one && pair.other == *other;
          });
          if (known != out.end()) {
            known->subjects.insert(number);
          } else if (out.size() < kMostPairs) {
            out.push_back({access.table, *one, *other, {number}});
          }
        }
      }
    }
  }
  return out;
}

/// The strongest of "1 => 2": 0.98, "2 => 1": 0.02.
double strongest(const std::string& dependencies) {
  double most = 0;
  if (const auto tree = schema::parse_tree(dependencies)) {
    for (const schema::Tree& degree : tree->items) most = std::max(most, static_cast<double>(degree.number()));
  }
  return most;
}

double rows_of(const Plan& plan, const CatalogTable& table) {
  double rows = -1;
  for_each_node(plan.root, [&](const PlanNode& node) {
    if (node.relation == table.name && node.schema == table.schema && node.type != "ModifyTable") rows = node.rows;
  });
  return rows;
}

/// So that it fits into 63 bytes, and no character is cut.
std::string cut_name(std::string name) {
  std::size_t room = std::min<std::size_t>(name.size(), 63);
  while (room > 0 && room < name.size() && (static_cast<unsigned char>(name[room]) & 0xC0) == 0x80) --room;
  name.resize(room);
  return name;
}

struct Estimate {
  std::size_t subject = 0;
  double before = 0, after = 0;
};

/// With statistics on the pair, how many rows the planner expects; nullopt: they say nothing new.
Task<std::optional<Estimate>> try_pair(Connection& connection, const Study& study, const Pair& pair) {
  const std::string sql = fmt::format(
      "begin; create statistics ashlar_statistics (dependencies) on {}, {} from {}; analyze {}; "
      "select e.dependencies::text from pg_catalog.pg_stats_ext e where e.statistics_name = 'ashlar_statistics'",
      identifier(pair.one), identifier(pair.other), pair.table->qualified(), pair.table->qualified());
  std::optional<Estimate> wrong;
  try {
    const auto rows = co_await TextQuery(connection, sql);
    if (!rows.empty() && strongest(rows.front().at(0).value_or("{}")) >= kDegree) {
      for (const std::size_t number : pair.subjects) {
        const Subject& subject = study.subjects[number];
        const Plan plan = co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::normal);
        const Estimate estimate{number, rows_of(subject.normal, *pair.table), rows_of(plan, *pair.table)};
        if (estimate.before > 0 && estimate.after >= kWrong * estimate.before &&
            (!wrong || estimate.after > wrong->after))
          wrong = estimate;
      }
    }
  } catch (const ErrorFields&) {
    wrong.reset();  // a column of a type without statistics
  }
  co_await TextQuery(connection, "rollback; deallocate all");
  co_return wrong;
}

}  // namespace

Task<void> report_statistics(Connection& connection, Study& study) {
  const auto pairs = pairs_of(study);
  for (const Pair& pair : pairs) {
    const auto estimate = co_await try_pair(connection, study, pair);
    if (!estimate) continue;
    const std::string name = cut_name(fmt::format("{}_{}_{}_stat", pair.table->name, pair.one, pair.other));
    Finding finding;
    finding.rule = "extended-statistics";
    finding.table = pair.table->qualified();
    for (const std::size_t number : pair.subjects) finding.queries.push_back(study.subjects[number].described());
    finding.message = fmt::format(
        "{} and {} depend on each other: the planner expects {} rows of {} where it should expect {}, and chooses "
        "joins for so few",
        pair.one, pair.other, grouped(estimate->before), study.subjects[estimate->subject].name,
        grouped(estimate->after));
    finding.proposal =
        fmt::format("create statistics {} (dependencies) on {}, {} from {};\nanalyze {}", pair.table->beside(name),
                    identifier(pair.one), identifier(pair.other), pair.table->qualified(), pair.table->qualified());
    finding.takes_back = fmt::format("drop statistics {}", pair.table->beside(name));
    finding.is_migration = true;
    study.advice.findings.push_back(std::move(finding));
  }
}

}  // namespace ashlar::pg::detail
