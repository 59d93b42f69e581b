// How a plan reads each of its tables: by which conditions, served by an index or not, and what is sorted afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/detail/advise_catalog.hpp>
#include <ashlar/pg/detail/conditions.hpp>
#include <ashlar/pg/detail/plan.hpp>

namespace ashlar::pg::detail {

/// One table in one plan.
struct Access {
  enum class How : std::uint8_t {
    index,       ///< by an index whose conditions narrow what is read
    walk,        ///< the whole of an index
    sequential,  ///< the whole table
  };
  const CatalogTable* table = nullptr;
  std::string alias;
  How how = How::sequential;
  std::vector<std::string> indexes;
  std::vector<Condition> served;    ///< by the index
  std::vector<Condition> unserved;  ///< rows are read and then dropped
  std::vector<Condition> joins;     ///< equalities with other tables that no index of this one serves
  std::vector<SortKey> sort;        ///< a sort of rows of this table alone, above it
  bool limited = false;             ///< only the first of the sorted rows are wanted
  double rows = 0;
  /// Columns that the query needs of it; nullopt: all of them, or what is in no column.
  std::optional<std::set<std::string>> columns;

  /// Conditions are sorted: the same for the same plan.
  [[nodiscard]] TableRead summary() const;
};
[[nodiscard]] std::string_view to_string(Access::How how) noexcept;

/// Tables that the catalog does not have (of the system, foreign ones, functions) are left out.
[[nodiscard]] std::vector<Access> accesses_of(const Plan& plan, const Catalog& catalog);

/// The tables that the plan writes to.
[[nodiscard]] std::vector<const CatalogTable*> written_by(const Plan& plan, const Catalog& catalog);

/// Columns that UPDATE, ON CONFLICT and MERGE of this text set.
[[nodiscard]] std::set<std::string> columns_set_by(std::string_view sql);

}  // namespace ashlar::pg::detail
