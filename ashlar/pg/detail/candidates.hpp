// Which indexes would serve the way a query reads a table: guesses, for the planner to judge.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/detail/accesses.hpp>
#include <ashlar/pg/detail/advise_catalog.hpp>

namespace ashlar::pg::detail {

struct IndexSpec {
  std::string schema, table;
  std::string on;  ///< the table as SQL names it
  std::string method = "btree";
  std::vector<std::string> keys;     ///< as they stand in `create index`
  std::vector<std::string> include;  ///< columns that are read from it, and not searched by
  std::string predicate;
  std::string extension;  ///< that must be there first: pg_trgm
  std::string rule;       ///< what it would mend

  /// articles_author_id_created_at_idx; cut so that it fits into 63 bytes, and unlike the names of `taken`.
  [[nodiscard]] std::string name(const Catalog& catalog) const;
  /// `create index …`
  [[nodiscard]] std::string sql(std::string_view index_name, std::string_view words = "index") const;
  friend bool operator==(const IndexSpec& a, const IndexSpec& b) {
    return a.schema == b.schema && a.table == b.table && a.method == b.method && a.keys == b.keys &&
           a.include == b.include && a.predicate == b.predicate;
  }
};

/// At most 16 and some that cover, those that serve most conditions first; none that an index of the table already is
/// the beginning of. `updated`: columns that queries of the program change.
[[nodiscard]] std::vector<IndexSpec> candidates_for(const Access& access, const std::set<std::string>& updated);

/// The table has such an index already.
[[nodiscard]] bool has_index(const CatalogTable& table, const IndexSpec& spec);

/// What `shorter` serves, `longer` does: the same keys first, and all that it includes.
[[nodiscard]] bool is_beginning(const std::vector<std::string>& shorter,
                                const std::vector<std::string>& shorter_included,
                                const std::vector<std::string>& longer,
                                const std::vector<std::string>& longer_included);

}  // namespace ashlar::pg::detail
