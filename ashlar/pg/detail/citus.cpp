#include <ashlar/pg/detail/citus.hpp>

#include <fmt/format.h>

#include <optional>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg::detail {
namespace {

const log::Logger logger{"pg.shards"};

constexpr std::string_view kThere = "select to_regclass('citus_tables')";
constexpr std::string_view kBegin = "begin; select pg_advisory_xact_lock(hashtextextended('ashlar_citus', 0))";

struct Placed {
  std::string how;  // "reference" or "distributed"
  std::string key;
};

std::string literal_of(const std::string& table) { return quote_literal(quote_identifier(table)); }

Task<std::optional<Placed>> placed(Connection& connection, const std::string& table) {
  const std::string sql = fmt::format(
      "select citus_table_type, distribution_column from citus_tables where table_name = {}::regclass and "
      "citus_table_type in ('reference', 'distributed')",
      literal_of(table));
  const auto rows = co_await TextQuery(connection, sql);
  if (rows.empty()) co_return std::nullopt;
  co_return Placed{rows[0].at(0).value_or(""), rows[0].at(1).value_or("")};
}

}  // namespace

Task<std::vector<std::string>> citus_steps(Connection& connection, const ShardedTables& tables,
                                           const std::vector<std::string>& reference_tables) {
  std::vector<std::string> steps;
  if (!(co_await TextQuery(connection, kThere)).at(0).at(0)) co_return steps;
  for (const std::string& table : reference_tables) {
    const auto now = co_await placed(connection, table);
    if (!now) steps.push_back(fmt::format("select create_reference_table({})", literal_of(table)));
    if (now && now->how != "reference") {
      throw Invalid(
          fmt::format("{} is a reference table, and Citus distributes it by {}: `select "
                      "undistribute_table({})` on the coordinator, or name it among the sharded tables",
                      table, now->key, literal_of(table)));
    }
  }
  for (const auto& [table, key] : tables) {
    const auto now = co_await placed(connection, table);
    if (!now) {
      steps.push_back(fmt::format("select create_distributed_table({}, {})", literal_of(table), quote_literal(key)));
    } else if (now->how != "distributed" || now->key != key) {
      throw Invalid(fmt::format(
          "{} is sharded by {}, and in Citus it is {}: `select {}` on the coordinator, or say so "
          "in the program",
          table, key, now->how == "distributed" ? fmt::format("distributed by {}", now->key) : "a reference table",
          now->how == "distributed" ? fmt::format("alter_distributed_table({}, "
                                                  "distribution_column := {})",
                                                  literal_of(table), quote_literal(key))
                                    : fmt::format("undistribute_table({})", literal_of(table))));
    }
  }
  co_return steps;
}

Task<void> distribute_by_citus(Connection& connection, const ShardedTables& tables,
                               const std::vector<std::string>& reference_tables) {
  if ((co_await citus_steps(connection, tables, reference_tables)).empty()) co_return;
  co_await TextQuery(connection, kBegin);
  const auto steps = co_await citus_steps(connection, tables, reference_tables);
  for (const std::string& step : steps) {
    logger.info("Citus distributes a table", {{"sql", step}});
    co_await TextQuery(connection, step);
  }
  co_await TextQuery(connection, "commit");
}

}  // namespace ashlar::pg::detail
