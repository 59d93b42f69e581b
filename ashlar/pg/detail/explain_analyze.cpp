// Runs each query once with values taken from the tables, on a copy of the database, in a transaction that is rolled
// back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg::detail {
namespace {

/// Rows expected and found that differ by so much, and are not few.
constexpr double kWrong = 10;
constexpr double kMany = 1000;
constexpr std::size_t kShownValue = 40;

/// The parameters that a condition compares its column with.
std::vector<std::size_t> parameters_in(std::string_view text) {
  std::vector<std::size_t> out;
  for (const SqlToken& token : sql_tokens(text)) {
    if (token.kind == SqlToken::Kind::parameter && token.text.size() < 6)
      out.push_back(static_cast<std::size_t>(std::atoi(std::string(token.text.substr(1)).c_str())));
  }
  return out;
}

/// SQL that gives a value for the parameter as text: from the column it is compared with, of a row in the middle of the
/// first few thousand.
std::optional<std::string> from_table(const Subject& subject, std::size_t parameter, std::string_view type) {
  for (const Access& access : subject.reads) {
    for (const std::vector<Condition>* conditions : {&access.served, &access.unserved}) {
      for (const Condition& condition : *conditions) {
        if (condition.alias != access.alias || condition.is_join()) continue;
        const auto found = parameters_in(condition.text);
        if (found.size() != 1 || found.front() != parameter) continue;
        const std::string what = condition.column.empty() ? condition.expression : identifier(condition.column);
        if (what.empty()) continue;
        const bool list = type.ends_with("[]") && condition.kind == Condition::Kind::equal;
        return fmt::format(
            "select ({}{}{})::text from (select {} as value from {} where {} is not null limit 5000) as rows_of offset "
            "(select least(count(*), "
            "5000) / 2 from (select from {} limit 5000) as counted) limit 1",
            list ? "array[" : "", "value", list ? "]" : "", what, access.table->qualified(), what,
            access.table->qualified());
      }
    }
  }
  return std::nullopt;
}

/// What is compared with nothing: limits, values to insert.
std::string plain_value(std::string_view type) {
  for (const std::string_view number : {"smallint", "integer", "bigint", "numeric", "real", "double precision"}) {
    if (type == number) return "20";
  }
  if (type == "boolean") return "true";
  if (type == "text" || type.starts_with("character")) return "a";
  if (type.starts_with("timestamp") || type == "date") return "2024-01-01";
  if (type == "uuid") return "00000000-0000-4000-8000-000000000000";
  if (type == "json" || type == "jsonb") return "{}";
  if (type.ends_with("[]")) return "{}";
  return {};
}

Task<std::vector<std::string>> values_for(Connection& connection, const Subject& subject, std::vector<Oid> types) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string name_sql = fmt::format("select format_type({}, null)", types[i]);
    const auto names = co_await TextQuery(connection, name_sql);
    const std::string type = names.at(0).at(0).value_or("text");
    std::optional<std::string> value;
    if (const auto sql = from_table(subject, i + 1, type)) {
      const auto rows = co_await TextQuery(connection, *sql);
      if (!rows.empty()) value = rows.front().at(0);
    }
    if (!value) value = plain_value(type);
    out.push_back(value->empty() && type != "text" ? std::string("null") : quote_literal(*value));
  }
  co_return out;
}

void judge(const PlanNode& node, std::vector<std::string>& flaws) {
  const std::string what = node.relation.empty() ? node.type : fmt::format("{} of {}", node.type, node.relation);
  if (node.disk_kb > 0)
    flaws.push_back(fmt::format("{} does not fit into work_mem: {} kB on disk", what, grouped(node.disk_kb)));
  if (node.actual_loops > 0) {
    const double expected = std::max(node.rows, 1.0);
    const double found = std::max(node.actual_rows, 1.0);
    const double times = std::max(found / expected, expected / found);
    if (times >= kWrong && std::max(found, expected) * std::max(node.actual_loops, 1.0) >= kMany)
      flaws.push_back(
          fmt::format("{}: {} rows were expected, {} came", what, grouped(expected), grouped(node.actual_rows)));
    const double dropped = node.removed_rows * node.actual_loops;
    if (dropped >= kMany && node.removed_rows >= kWrong * found)
      flaws.push_back(fmt::format("{} reads and drops {} rows to keep {}", what, grouped(dropped),
                                  grouped(node.actual_rows * node.actual_loops)));
  }
}

}  // namespace

Task<void> run_all(Connection& connection, Study& study) {
  co_await TextQuery(connection,
                     "set plan_cache_mode = force_custom_plan; set enable_seqscan = on; set statement_timeout = '10s'");
  for (Subject& subject : study.subjects) {
    if (!subject.problem.empty() || subject.foreign_key != nullptr) continue;
    std::string failure;
    try {
      Description description(connection, subject.sql);
      co_await description;
      subject.values = co_await values_for(connection, subject, description.parameters);
      const std::string values = subject.values.empty() ? "" : fmt::format("({})", fmt::join(subject.values, ", "));
      const std::string sql = fmt::format(
          "begin; prepare ashlar_run as {}\n; explain (analyze, buffers, timing off, format json) execute "
          "ashlar_run{}; rollback; "
          "deallocate ashlar_run",
          subject.sql, values);
      const auto rows = co_await TextQuery(connection, sql);
      subject.ran = parse_plan(rows.at(0).at(0).value_or(""));
    } catch (const ErrorFields& error) {
      failure = fmt::format("{} {}", error.code, error.primary);
    } catch (const Invalid& error) {
      failure = error.message();
    }
    if (failure.empty()) continue;
    subject.not_run = failure;
    co_await TextQuery(connection, "rollback; deallocate all");
  }
}

void add_runs(const Study& study, std::vector<ExplainedQuery>& queries) {
  std::size_t at = 0;
  for (const Subject& subject : study.subjects) {
    if (subject.foreign_key != nullptr) continue;
    ExplainedQuery& query = queries.at(at++);
    if (!subject.not_run.empty()) query.flaws.push_back("could not be run: " + subject.not_run);
    if (!subject.ran) continue;
    query.milliseconds = subject.ran->execution_ms;
    query.pages = subject.ran->root.blocks;
    for (const std::string& value : subject.values)
      query.values.push_back(value.size() > kShownValue ? value.substr(0, kShownValue) + "…" : value);
    for_each_node(subject.ran->root, [&](const PlanNode& node) { judge(node, query.flaws); });
  }
}

}  // namespace ashlar::pg::detail
