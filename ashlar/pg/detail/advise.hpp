// The advisor's work, step by step: what is looked at, what is tried, what is chosen.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/accesses.hpp>
#include <ashlar/pg/detail/advise_catalog.hpp>
#include <ashlar/pg/detail/candidates.hpp>
#include <ashlar/pg/detail/plan.hpp>

namespace ashlar::pg::detail {

/// Of every table, the columns that queries of the program change.
using UpdatedColumns = std::map<const CatalogTable*, std::set<std::string>>;

/// A statement that is planned: a query of the program, or what PostgreSQL runs to check a foreign key.
struct Subject {
  std::string name;
  std::string where;
  std::string sql;
  std::size_t parameters = 0;
  std::vector<std::string> allowed;  ///< rules switched off beside the SQL
  const CatalogForeignKey* foreign_key = nullptr;
  std::string problem;  ///< not planned, and why
  Plan normal, structural;
  std::vector<Access> reads;        ///< of the structural plan
  std::vector<std::string> values;  ///< SQL, that it was run with
  std::optional<Plan> ran;
  std::string not_run;  ///< and why

  [[nodiscard]] std::string described() const { return where.empty() ? name : name + " (" + where + ")"; }
  [[nodiscard]] bool allows(std::string_view rule) const noexcept;
};

/// What an index did to one subject.
struct Trial {
  std::size_t subject = 0;
  double before = 0, after = 0;
  /// What it will cost, as far as we can tell: `after`, but for BRIN. Of its rows the planner takes for granted that
  /// they lie scattered (cost_bitmap_heap_scan), when they lie side by side.
  double expected = 0;
  double share = 1;                ///< of the table, that is read
  bool used = false;               ///< in the plan as it would be
  bool used_structurally = false;  ///< with whole tables as the last resort
  bool index_only = false;         ///< the table is not looked at
};

struct Candidate {
  IndexSpec spec;
  std::string name;
  std::vector<std::size_t> subjects;  ///< that asked for it
  std::vector<Trial> trials;
  ProofKind tried = ProofKind::none;  ///< how it was created
  ProofKind proof = ProofKind::none;  ///< what it was chosen for
  std::int64_t bytes = 0;
  std::string failure;            ///< the server's words
  std::vector<std::size_t> wins;  ///< subjects for which it is the best

  [[nodiscard]] const Trial* trial_of(std::size_t subject) const noexcept;
};

/// Indexes that serve the alternatives of one condition (a = $1 or b = $2) of one subject: worth something together.
struct Together {
  std::size_t subject = 0;
  const Access* access = nullptr;       ///< of the subject
  std::vector<std::size_t> candidates;  ///< those that are missing
  ProofKind tried = ProofKind::none;
  Trial trial;  ///< used: all of them
};

struct Study {
  Catalog catalog;
  std::vector<Subject> subjects;
  std::vector<Candidate> candidates;
  std::vector<Together> together;
  Advice advice;
  std::vector<std::size_t> chosen;  ///< candidates
  bool has_hypopg = false;
  int server_version = 0;
};

/// The catalog; and what is to be planned: registered statements in the order of their files, and the checks of foreign
/// keys.
[[nodiscard]] Task<void> look_around(Connection& connection, Study& study);
/// Plans each subject twice: as it would be, and with whole tables as the last resort.
[[nodiscard]] Task<void> plan_all(Connection& connection, Study& study);
/// What EXPLAIN says of each query of the program.
[[nodiscard]] std::vector<ExplainedQuery> explained(const Study& study);
/// Runs the queries with values out of the tables; only on a copy.
[[nodiscard]] Task<void> run_all(Connection& connection, Study& study);
void add_runs(const Study& study, std::vector<ExplainedQuery>& queries);
/// Fills in the candidates.
void propose(Study& study);
/// Plans with each candidate that is not tried yet: by hypopg where `hypothetical`, else by building it in a
/// transaction that is rolled back.
[[nodiscard]] Task<void> try_candidates(Connection& connection, Study& study, bool hypothetical);
/// For conditions that OR joins: the indexes of all alternatives at once.
void propose_alternatives(Study& study, const UpdatedColumns& updated);
[[nodiscard]] Task<void> try_alternatives(Connection& connection, Study& study, bool hypothetical);
void choose_alternatives(Study& study);
/// Takes the best candidates.
void choose(Study& study);
/// All chosen ones at once: drops what nobody uses then, and records what happens to every query. While they are there,
/// looks for NOT IN, OFFSET and the like, and plans the new texts.
[[nodiscard]] Task<void> try_together(Connection& connection, Study& study, bool hypothetical);
[[nodiscard]] Task<void> report_rewrites(Connection& connection, Study& study, bool hypothetical);
/// OR that one index cannot serve, as UNION ALL, where that is cheaper.
[[nodiscard]] Task<void> report_alternatives(Connection& connection, Study& study, const Subject& subject,
                                             bool hypothetical);
/// Only on a copy: it analyzes tables, in transactions that are rolled back.
[[nodiscard]] Task<void> report_statistics(Connection& connection, Study& study);
/// From what was chosen, and from the catalog, to findings.
void report_indexes(Study& study);
void report_schema(Study& study);
/// The candidate of this shape, a new one if there is none; nullopt: there are too many.
[[nodiscard]] std::optional<std::size_t> candidate_of(Study& study, IndexSpec spec);
/// Something that few rows satisfy, as far as one can tell without rows.
[[nodiscard]] bool is_selective(const Condition& condition);
/// Alternatives that few rows satisfy, each of them.
[[nodiscard]] bool is_either(const Condition& condition);
/// The table lacks an index for something that few rows satisfy.
[[nodiscard]] bool lacks_index(const Subject& subject, const Access& access);
[[nodiscard]] bool uses(const Plan& plan, std::string_view index, bool narrowed);
[[nodiscard]] bool can_be_hypothetical(const IndexSpec& spec);
[[nodiscard]] bool is_worth(double before, double after) noexcept;
/// What is between these is taken back.
[[nodiscard]] Task<void> begin_trial(Connection& connection, bool hypothetical);
[[nodiscard]] Task<void> end_trial(Connection& connection, bool hypothetical);
/// Fills in name and bytes. Throws the server's error.
[[nodiscard]] Task<void> create_index(Connection& connection, Candidate& candidate, const Catalog& catalog,
                                      bool hypothetical);
/// Several, under names of their own; the error of the server, if there was one.
[[nodiscard]] Task<std::string> create_indexes(Connection& connection, std::vector<Candidate*> candidates,
                                               const Catalog& catalog, bool hypothetical);
/// Its statistics are older than its rows: costs are guesses.
[[nodiscard]] bool is_stale(const CatalogTable& table) noexcept;
/// `comment on … is '… allow RULE: why'` switches a rule off for a table, an index or a foreign key.
[[nodiscard]] bool comment_allows(std::string_view comment, std::string_view rule);
/// The rules that a text such as "offset-pagination: ten pages; missing-index" names.
[[nodiscard]] std::vector<std::string> allowed_rules(std::string_view text);
/// A number of rows or a cost as people read it: 1 234 567.
[[nodiscard]] std::string grouped(double number);

}  // namespace ashlar::pg::detail
