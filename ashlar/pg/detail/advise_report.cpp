// From measured candidates, and from the catalog, to findings for people.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr auto kRules = std::to_array<std::string_view>({"missing-index",
                                                         "wider-index",
                                                         "partial-index",
                                                         "sort-without-index",
                                                         "function-on-column",
                                                         "missing-gin-index",
                                                         "missing-gist-index",
                                                         "missing-trigram-index",
                                                         "missing-brin-index",
                                                         "covering-index",
                                                         "foreign-key-without-index",
                                                         "not-in-subquery",
                                                         "offset-pagination",
                                                         "any-of-column",
                                                         "or-condition",
                                                         "stale-statistics",
                                                         "extended-statistics",
                                                         "duplicate-index",
                                                         "unused-index",
                                                         "invalid-index"});

/// Statistics miss more than half of the table, and that is not little.
constexpr double kStaleShare = 0.5;
constexpr std::int64_t kStaleRows = 1000;
constexpr std::int64_t kStalePages = 50;
/// Below, a scan or two are nothing to conclude from.
constexpr std::int64_t kScansToConclude = 1000;
constexpr std::int64_t kBytesToMention = 1 << 20;

std::string why(const IndexSpec& spec, std::string_view rule, const CatalogTable& table) {
  if (rule == "foreign-key-without-index")
    return fmt::format("every row that is deleted from the other table makes PostgreSQL read all of {}",
                       table.qualified());
  if (rule == "wider-index")
    return fmt::format("an index of {} serves only some of the conditions: rows are read, then dropped or sorted",
                       table.qualified());
  if (rule == "sort-without-index")
    return fmt::format("all rows of {} are sorted to give the first few", table.qualified());
  if (rule == "partial-index")
    return fmt::format("of {} only rows are wanted that satisfy {}: an index of those alone is small",
                       table.qualified(), spec.predicate);
  if (rule == "function-on-column")
    return fmt::format("an index on the column cannot serve a condition on {}: one on the expression can",
                       spec.keys.front());
  if (rule == "missing-gin-index" || rule == "missing-gist-index")
    return fmt::format("no B-tree can serve what is asked of {} here; {} can", spec.keys.front(),
                       spec.method == "gin" ? "GIN" : "GiST");
  if (rule == "covering-index")
    return fmt::format("of the rows that are found only {} more is wanted: an index that holds it spares reading {}",
                       fmt::join(spec.include, ", "), table.qualified());
  if (rule == "or-condition")
    return fmt::format("all of {} is read: no index can serve conditions that OR joins, one for each of them can",
                       table.qualified());
  if (rule == "missing-brin-index")
    return fmt::format("rows of {} lie in the order of {}: to know what is in each 128 pages is enough",
                       table.qualified(), spec.keys.front());
  if (rule == "missing-trigram-index") return "a pattern that may begin with a wildcard is found by trigrams only";
  return fmt::format("all of {} is read: no index serves the conditions", table.qualified());
}

/// What a BRIN is expected to do, and what a B-tree in its place would be.
std::string instead_of_tree(const Study& study, const Candidate& brin, const CatalogTable& table) {
  if (brin.spec.method != "brin") return {};
  std::string out;
  for (const Trial& trial : brin.trials) {
    if (!out.empty() || !trial.used || std::ranges::find(brin.wins, trial.subject) == brin.wins.end()) continue;
    const auto pages = static_cast<double>(table.pages_now);
    out = fmt::format("; of {} pages some {} are read, one after the other, which costs about {}", grouped(pages),
                      grouped(trial.share * pages), grouped(trial.expected));
  }
  for (const Candidate& tree : study.candidates) {
    IndexSpec spec = brin.spec;
    spec.method = "btree";
    if (tree.spec != spec || tree.trials.empty() || tree.bytes == 0) continue;
    for (const std::size_t number : brin.wins) {
      if (const Trial* const trial = tree.trial_of(number))
        return out + fmt::format("; a B-tree would be {} times as large, {} kB, and bring the cost to {}",
                                 grouped(static_cast<double>(tree.bytes) /
                                         static_cast<double>(std::max<std::int64_t>(brin.bytes, 1))),
                                 grouped(static_cast<double>(tree.bytes) / 1024), grouped(trial->after));
    }
  }
  return out;
}

/// What the new index costs those who write.
std::string writers(const Study& study, const CatalogTable& table) {
  std::size_t count = 0;
  for (const Subject& subject : study.subjects) {
    const auto written = written_by(subject.normal, study.catalog);
    if (std::ranges::find(written, &table) != written.end()) ++count;
  }
  std::string out = count == 0   ? "no query of the program writes to the table"
                    : count == 1 ? "1 query of the program writes to the table"
                                 : fmt::format("{} queries of the program write to the table", count);
  if (table.updates > 0)
    out += fmt::format(
        "; {:.0f} % of its updates touched no index (HOT), which one on a column that they change would end",
        100.0 * static_cast<double>(table.hot_updates) / static_cast<double>(table.updates));
  return out;
}

Finding index_finding(const Study& study, const Candidate& candidate, std::string_view name) {
  const CatalogTable& table = *study.catalog.find(candidate.spec.schema, candidate.spec.table);
  std::vector<std::size_t> wins = candidate.wins;
  std::ranges::sort(wins);
  const auto repeated = std::ranges::unique(wins);
  wins.erase(repeated.begin(), repeated.end());
  const auto gain = [&](std::size_t number) {
    const Trial* const trial = candidate.trial_of(number);
    return trial == nullptr ? 0.0 : trial->before - trial->after;
  };
  std::ranges::sort(wins, [&](std::size_t a, std::size_t b) { return gain(a) != gain(b) ? gain(a) > gain(b) : a < b; });
  const bool only_keys =
      std::ranges::all_of(wins, [&](std::size_t i) { return study.subjects[i].foreign_key != nullptr; });
  const auto of_query =
      std::ranges::find_if(wins, [&](std::size_t i) { return study.subjects[i].foreign_key == nullptr; });

  Finding finding;
  finding.rule = only_keys ? "foreign-key-without-index" : candidate.spec.rule;
  finding.table = table.qualified();
  for (const std::size_t i : wins) finding.queries.push_back(study.subjects[i].described());
  finding.message = fmt::format("{}{}; {}", why(candidate.spec, finding.rule, table),
                                instead_of_tree(study, candidate, table), writers(study, table));
  finding.proposal = candidate.spec.sql(name);
  if (!candidate.spec.extension.empty())
    finding.proposal =
        fmt::format("create extension if not exists {};\n{}", candidate.spec.extension, finding.proposal);
  finding.takes_back = fmt::format("drop index {}", table.beside(name));
  finding.proof = {.kind = candidate.proof, .bytes = candidate.bytes};
  const std::size_t shown = of_query != wins.end() ? *of_query : wins.empty() ? 0 : wins.front();
  if (const Trial* trial = candidate.trial_of(shown)) {
    finding.proof.cost_before = trial->before;
    finding.proof.cost_after = trial->after;
  }
  finding.is_migration = candidate.proof != ProofKind::none;
  if (candidate.proof == ProofKind::none) finding.message += "; this was not proved";
  return finding;
}

/// A function or a cast stands around a column, and no index can be made of it.
void report_functions(Study& study) {
  for (const Subject& subject : study.subjects) {
    if (!subject.problem.empty() || subject.allows("function-on-column")) continue;
    for (const Access& access : subject.reads) {
      if (access.how == Access::How::index) continue;
      for (const Condition& condition : access.unserved) {
        if (condition.expression.empty() || condition.alias != access.alias || condition.constant ||
            (condition.kind != Condition::Kind::equal && condition.kind != Condition::Kind::range))
          continue;
        const std::string key = "(" + condition.expression + ")";
        const auto tried = std::ranges::find_if(study.candidates, [&](const Candidate& c) {
          return c.spec.schema == access.table->schema && c.spec.table == access.table->name &&
                 c.spec.keys.size() == 1 && c.spec.keys.front() == key;
        });
        if (tried == study.candidates.end() || tried->failure.empty()) continue;
        Finding finding;
        finding.rule = "function-on-column";
        finding.queries = {subject.described()};
        finding.table = access.table->qualified();
        finding.message = fmt::format("{} is computed for every row, and cannot be indexed: {}", condition.expression,
                                      tried->failure);
        if (condition.expression.ends_with("::date") && condition.operation == "=") {
          std::string column = condition.expression.substr(0, condition.expression.size() - 6);
          if (column.starts_with('(') && column.ends_with(')')) column = column.substr(1, column.size() - 2);
          finding.proposal =
              fmt::format("{0} >= $1::date and {0} < $1::date + 1 -- in place of {1}", column, condition.text);
        } else {
          finding.proposal = "compare the column as it is, with a value or a range computed from the parameter";
        }
        study.advice.findings.push_back(std::move(finding));
      }
    }
  }
}

/// value = any (column) is contains, written so that no index serves it.
void report_any_of_column(Study& study) {
  for (const Subject& subject : study.subjects) {
    if (!subject.problem.empty() || subject.allows("any-of-column")) continue;
    for (const Access& access : subject.reads) {
      for (const Condition& condition : access.unserved) {
        if (condition.operation != "any of" || condition.alias != access.alias) continue;
        Finding finding;
        finding.rule = "any-of-column";
        finding.queries = {subject.described()};
        finding.table = access.table->qualified();
        finding.message = fmt::format("no index serves {}, whatever there is on {}", condition.text, condition.column);
        finding.proposal =
            fmt::format("{} @> array[…] -- which a GIN index on the column serves", identifier(condition.column));
        study.advice.findings.push_back(std::move(finding));
      }
    }
  }
}

void report_unknown_rules(Study& study) {
  for (const Subject& subject : study.subjects) {
    for (const std::string& rule : subject.allowed) {
      if (std::ranges::find(kRules, rule) != kRules.end()) continue;
      Finding finding;
      finding.rule = "unknown-rule";
      finding.queries = {subject.described()};
      finding.message =
          fmt::format("`{}` is allowed beside the SQL, but there is no such rule: {}", rule, fmt::join(kRules, ", "));
      study.advice.findings.push_back(std::move(finding));
    }
  }
}

/// The longer one has more keys or columns, and serves all that the shorter one does.
bool is_part(const CatalogIndex& shorter, const CatalogIndex& longer) {
  return shorter.method == "btree" && longer.method == "btree" && shorter.predicate == longer.predicate &&
         is_beginning(shorter.full_keys, shorter.included, longer.full_keys, longer.included) &&
         !is_beginning(longer.full_keys, longer.included, shorter.full_keys, shorter.included);
}

/// What follows the name in `create index name on …`: equal for indexes that do the same.
std::string_view without_name(const CatalogIndex& index) {
  const std::string_view definition = index.definition;
  const std::string name = identifier(index.name) + " ON ";
  const std::size_t at = definition.find(name);
  return at == std::string_view::npos ? definition : definition.substr(at + name.size());
}

void drop_finding(Study& study, const CatalogTable& table, const CatalogIndex& index, std::string_view rule,
                  std::string message) {
  if (comment_allows(index.comment, rule) || comment_allows(table.comment, rule)) return;
  Finding finding;
  finding.rule = rule;
  finding.table = table.qualified();
  finding.message = std::move(message);
  finding.proposal = fmt::format("drop index {}", table.beside(index.name));
  finding.takes_back = index.definition;
  finding.is_migration = true;
  finding.proof.bytes = index.bytes;
  study.advice.findings.push_back(std::move(finding));
}

/// Indexes that the table will have when the proposals are applied.
std::vector<CatalogIndex> with_proposals(const Study& study, const CatalogTable& table) {
  std::vector<CatalogIndex> out = table.indexes;
  for (const std::size_t i : study.chosen) {
    const Candidate& candidate = study.candidates[i];
    if (candidate.proof == ProofKind::none || candidate.spec.schema != table.schema ||
        candidate.spec.table != table.name)
      continue;
    out.push_back({.name = candidate.name,
                   .method = candidate.spec.method,
                   .keys = candidate.spec.keys,
                   .full_keys = candidate.spec.keys,
                   .included = candidate.spec.include,
                   .predicate = candidate.spec.predicate});
  }
  return out;
}

void report_index(Study& study, const CatalogTable& table, const std::vector<CatalogIndex>& all,
                  const CatalogIndex& index, const std::set<std::string>& used) {
  if (!index.valid)
    return drop_finding(
        study, table, index, "invalid-index",
        fmt::format("{} is not valid: `create index concurrently` failed half-way. It serves nobody and slows "
                    "writes; drop it, then create it again",
                    index.name));
  if (index.constraint) return;
  for (const CatalogIndex& other : all) {
    if (other.name == index.name || !other.valid || index.unique) continue;
    if (is_part(index, other))
      return drop_finding(
          study, table, index, "duplicate-index",
          fmt::format("{} is the beginning of {}, which serves the same conditions", index.name, other.name));
  }
  for (const CatalogIndex& other : table.indexes) {
    const bool twin = other.name != index.name && other.valid && without_name(index) == without_name(other);
    // Of two that are the same, the one without a constraint goes; else the one that sorts last.
    if (twin &&
        (other.constraint || other.unique > index.unique || (other.unique == index.unique && other.name < index.name)))
      return drop_finding(study, table, index, "duplicate-index",
                          fmt::format("{} does what {} does", index.name, other.name));
  }
  if (!index.unique && index.scans == 0 && table.scans >= kScansToConclude && index.bytes >= kBytesToMention &&
      !used.contains(index.name))
    drop_finding(
        study, table, index, "unused-index",
        fmt::format("no query of the program uses {}, and nobody has since {}, while the table was read {} times",
                    index.name,
                    study.catalog.counters_since.empty() ? "the server's counters began" : study.catalog.counters_since,
                    table.scans));
}

bool has_grown(const CatalogTable& table) noexcept {
  return static_cast<double>(table.pages_now - table.pages_then) >
         static_cast<double>(kStalePages) + kStaleShare * static_cast<double>(table.pages_then);
}

}  // namespace

bool is_stale(const CatalogTable& table) noexcept {
  if (table.rows < 0 || (table.rows == 0 && table.pages_then == 0)) return table.pages_now >= kStalePages;
  const bool changed =
      static_cast<double>(table.changed_since_analyze) > static_cast<double>(kStaleRows) + kStaleShare * table.rows;
  return has_grown(table) || changed;
}

std::string grouped(double number) {
  std::string digits = fmt::format("{:.0f}", std::max(number, 0.0));
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

void report_indexes(Study& study) {
  Catalog names = study.catalog;
  for (const std::size_t i : study.chosen) {
    Candidate& candidate = study.candidates[i];
    candidate.name = candidate.spec.name(names);
    names.tables[{candidate.spec.schema, candidate.spec.table}].indexes.push_back({.name = candidate.name});
    study.advice.findings.push_back(index_finding(study, candidate, candidate.name));
  }
  report_functions(study);
  report_any_of_column(study);
}

void report_schema(Study& study) {
  std::set<std::string> used;
  for (const Subject& subject : study.subjects) {
    for (const Plan* plan : {&subject.normal, &subject.structural}) {
      for_each_node(plan->root, [&](const PlanNode& node) { used.insert(node.index); });
    }
  }
  for (const auto& [name, table] : study.catalog.tables) {
    if (is_stale(table) && !comment_allows(table.comment, "stale-statistics")) {
      Finding finding;
      finding.rule = "stale-statistics";
      finding.table = table.qualified();
      finding.message =
          table.rows < 0 ? fmt::format("{} was never analyzed: the planner guesses", table.qualified())
          : has_grown(table)
              ? fmt::format(
                    "the planner takes {} for a table of {} rows, but it has about {}: it chooses plans for a table "
                    "that is no more",
                    table.qualified(), grouped(table.rows), grouped(table.rows_now()))
              : fmt::format(
                    "{} rows were written or deleted since {} was analyzed, when it had {}: the planner may "
                    "guess wrongly what is in it",
                    grouped(static_cast<double>(table.changed_since_analyze)), table.qualified(), grouped(table.rows));
      finding.proposal = fmt::format("analyze {}", table.qualified());
      finding.is_migration = true;
      study.advice.findings.push_back(std::move(finding));
    }
    const auto all = with_proposals(study, table);
    for (const CatalogIndex& index : table.indexes) report_index(study, table, all, index, used);
  }
  report_unknown_rules(study);
  for (const Subject& subject : study.subjects) {
    if (!subject.problem.empty())
      study.advice.notes.push_back(fmt::format("{} was not planned: {}", subject.described(), subject.problem));
  }
}

}  // namespace ashlar::pg::detail
