#include <ashlar/pg/detail/advise.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <set>

#include <ashlar/base/text.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {
namespace {

// An index must save a quarter of a query's cost, and more than reading fifty pages.
constexpr double kWorthShare = 0.25;
constexpr double kWorthCost = 50;
// Costs that differ by less are the same: then the smaller index is better.
constexpr double kSame = 1.1;
// A partial index may cost a query this much more, if it is so much smaller. The planner thinks well of an index whose
// first column is a literal, because equal values lie together; the rows behind them do not.
constexpr double kPartialCost = 3;
constexpr std::int64_t kPartialSize = 4;
// An index that also holds columns must halve what a query costs without it, and save fifty pages, since writers pay
// for it.
constexpr double kCovering = 0.5;
// BRIN is hardly anything to write and to keep: it may cost a query twice as much as a B-tree ten times its size.
constexpr double kBrinCost = 2;
constexpr std::int64_t kBrinSize = 10;
constexpr std::size_t kMostCandidates = 1000;

std::vector<Subject> registered() {
  std::vector<const Statement*> statements;
  Statement::for_each([&](const Statement& statement) { statements.push_back(&statement); });
  std::ranges::sort(statements, [](const Statement* a, const Statement* b) {
    const int files = std::string_view(a->file()).compare(b->file());
    return files != 0 ? files < 0 : a->line() < b->line();
  });
  std::vector<Subject> out;
  std::set<std::string_view> seen;
  for (const Statement* statement : statements) {
    if (!seen.insert(statement->sql()).second || !has_plan(statement->sql())) continue;
    Subject& subject = out.emplace_back();
    subject.name = statement->name();
    subject.where = fmt::format("{}:{}", statement->file(), statement->line());
    subject.sql = statement->sql();
    subject.allowed = allowed_rules(statement->options().allow);
  }
  return out;
}

/// What PostgreSQL runs for every row that is deleted from the other table (ri_triggers.c).
Subject check_of(const CatalogForeignKey& key, const CatalogTable& table) {
  Subject subject;
  subject.name = fmt::format("foreign key {} of {}", key.name, table.qualified());
  subject.foreign_key = &key;
  subject.sql = fmt::format("select 1 from only {} x where ", table.qualified());
  for (std::size_t i = 0; i < key.columns.size(); ++i)
    subject.sql += fmt::format("{}x.{} = ${}", i == 0 ? "" : " and ", identifier(key.columns[i]), i + 1);
  subject.sql += " for key share of x";
  if (comment_allows(key.comment, "foreign-key-without-index") ||
      comment_allows(table.comment, "foreign-key-without-index"))
    subject.allowed.emplace_back("foreign-key-without-index");
  return subject;
}

const Access* access_to(const Subject& subject, const IndexSpec& spec) {
  const Access* found = nullptr;
  for (const Access& access : subject.reads) {
    if (access.table->schema != spec.schema || access.table->name != spec.table) continue;
    if (found == nullptr || lacks_index(subject, access)) found = &access;
  }
  return found;
}

std::string_view rule_for(const Subject& subject, const IndexSpec& spec) {
  return subject.foreign_key != nullptr ? std::string_view("foreign-key-without-index") : std::string_view(spec.rule);
}

}  // namespace

/// hypopg 1.3 knows GIN and GiST not. https://hypopg.readthedocs.io/en/rel1_stable/hypothetical_indexes.html
bool can_be_hypothetical(const IndexSpec& spec) { return spec.method == "btree" || spec.method == "brin"; }

bool is_selective(const Condition& condition) {
  return (condition.kind == Condition::Kind::equal && !condition.boolean && !condition.column.empty()) ||
         condition.kind == Condition::Kind::contains || condition.kind == Condition::Kind::match ||
         condition.kind == Condition::Kind::pattern ||
         (condition.kind == Condition::Kind::equal && !condition.expression.empty()) || is_either(condition);
}

bool is_either(const Condition& condition) {
  return condition.kind == Condition::Kind::either &&
         std::ranges::all_of(condition.alternatives,
                             [](const std::vector<Condition>& all) { return std::ranges::any_of(all, is_selective); });
}

bool lacks_index(const Subject& subject, const Access& access) {
  if (access.how == Access::How::index) return false;
  if (std::ranges::any_of(access.unserved, is_selective)) return true;
  // A join to a table that is narrowed down: its rows are looked up one by one.
  return std::ranges::any_of(access.joins, [&](const Condition& join) {
    return std::ranges::any_of(subject.reads, [&](const Access& other) {
      return other.alias == join.other_alias && other.alias != access.alias &&
             (std::ranges::any_of(
                  other.served, [](const Condition& c) { return c.kind == Condition::Kind::equal && !c.is_join(); }) ||
              std::ranges::any_of(other.unserved, is_selective));
    });
  });
}

bool uses(const Plan& plan, std::string_view index, bool narrowed) {
  bool found = false;
  for_each_node(plan.root, [&](const PlanNode& node) {
    if (node.index == index && (!narrowed || !node.index_condition.empty())) found = true;
  });
  return found;
}

Task<void> begin_trial(Connection& connection, bool hypothetical) {
  co_await TextQuery(connection, hypothetical ? "savepoint ashlar_trial" : "begin");
}
Task<void> end_trial(Connection& connection, bool hypothetical) {
  co_await TextQuery(connection, hypothetical
                                     ? "rollback to savepoint ashlar_trial; deallocate all; select hypopg_reset()"
                                     : "rollback; deallocate all");
}

Task<void> create_index(Connection& connection, Candidate& candidate, const Catalog& catalog, bool hypothetical) {
  if (hypothetical) {
    const std::string sql =
        fmt::format("select indexname, hypopg_relation_size(indexrelid) from hypopg_create_index({})",
                    quote_literal(candidate.spec.sql("hypothetical")));
    const auto rows = co_await TextQuery(connection, sql);
    candidate.name = rows.at(0).at(0).value_or("");
    candidate.bytes = std::strtoll(rows.at(0).at(1).value_or("0").c_str(), nullptr, 10);
    co_return;
  }
  candidate.name = candidate.spec.name(catalog);
  std::string sql;
  if (!candidate.spec.extension.empty())
    sql = fmt::format("create extension if not exists {}; ", identifier(candidate.spec.extension));
  sql += fmt::format("{}; select pg_relation_size({}::regclass)", candidate.spec.sql(candidate.name),
                     quote_literal(identifier(candidate.spec.schema) + "." + identifier(candidate.name)));
  const auto rows = co_await TextQuery(connection, sql);
  candidate.bytes = std::strtoll(rows.at(0).at(0).value_or("0").c_str(), nullptr, 10);
}

Task<std::string> create_indexes(Connection& connection, std::vector<Candidate*> candidates, const Catalog& catalog,
                                 bool hypothetical) {
  Catalog names = catalog;  // so that two of them do not take one name
  for (Candidate* const candidate : candidates) {
    std::string failure;
    try {
      co_await create_index(connection, *candidate, names, hypothetical);
    } catch (const ErrorFields& error) {
      failure = error.primary;
    }
    if (!failure.empty()) co_return failure;
    names.tables[{candidate->spec.schema, candidate->spec.table}].indexes.push_back({.name = candidate->name});
  }
  co_return std::string();
}

bool is_worth(double before, double after) noexcept {
  return before - after >= kWorthCost && before - after >= kWorthShare * before;
}

namespace {

bool is_index_only(const Plan& plan, std::string_view index) {
  bool found = false;
  for_each_node(plan.root, [&](const PlanNode& node) {
    if (node.index == index && node.type == "Index Only Scan") found = true;
  });
  return found;
}

/// What a plan costs when the blocks that a BRIN does not rule out are read one after the other: their share of what
/// the whole table costs. (By the default costs of PostgreSQL: a page is 1, a row 0.0125.)
struct Blocks {
  double cost = 0;
  double share = 1;
  bool found = false;
};
Blocks expect_blocks(const Plan& plan, const CatalogTable& table, std::string_view proposed = {}) {
  Blocks out{.cost = plan.root.total_cost};
  const double rows = std::max(table.rows_now(), 1.0);
  const double whole = static_cast<double>(table.pages_now) + 0.0125 * rows;
  const auto is_brin = [&](const std::string& name) {
    return name == proposed || std::ranges::any_of(table.indexes, [&](const CatalogIndex& index) {
             return index.name == name && index.method == "brin";
           });
  };
  for_each_node(plan.root, [&](const PlanNode& node) {
    if (node.type != "Bitmap Heap Scan" || node.relation != table.name || node.schema != table.schema ||
        node.children.empty() || !is_brin(node.children.front().index))
      return;
    out.found = true;
    out.share = std::min(node.children.front().rows / rows, 1.0);
    out.cost = std::max(out.cost - node.total_cost, 0.0) + out.share * whole;
  });
  return out;
}

Task<void> try_one(Connection& connection, Study& study, Candidate& candidate, bool hypothetical) {
  co_await begin_trial(connection, hypothetical);
  std::string failure;
  try {
    co_await create_index(connection, candidate, study.catalog, hypothetical);
    for (const std::size_t index : candidate.subjects) {
      const Subject& subject = study.subjects[index];
      Trial trial{.subject = index, .before = subject.normal.root.total_cost};
      const Plan plan = co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::normal);
      trial.after = trial.expected = plan.root.total_cost;
      if (candidate.spec.method == "brin") {
        const Blocks blocks =
            expect_blocks(plan, study.catalog.tables.at({candidate.spec.schema, candidate.spec.table}), candidate.name);
        trial.expected = blocks.cost;
        trial.share = blocks.share;
      }
      trial.used = uses(plan, candidate.name, false);
      trial.index_only = is_index_only(plan, candidate.name);
      const Plan structural =
          co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::structural);
      trial.used_structurally = uses(structural, candidate.name, true);
      candidate.trials.push_back(trial);
    }
    candidate.tried = hypothetical ? ProofKind::hypothetical : ProofKind::built;
  } catch (const ErrorFields& error) {
    failure = error.primary;
  }
  candidate.failure = failure;
  if (!failure.empty()) candidate.trials.clear();
  co_await end_trial(connection, hypothetical);
}

bool is_worth_covering(double without, double with) noexcept {
  return with <= kCovering * without && without - with >= kWorthCost;
}

/// How it is proved for this subject, if it is.
ProofKind proof_for(const Study& study, const Candidate& candidate, const Trial& trial) {
  const Subject& subject = study.subjects[trial.subject];
  const Access* const access = access_to(subject, candidate.spec);
  if (access == nullptr || subject.allows(rule_for(subject, candidate.spec))) return ProofKind::none;
  const bool covers = !candidate.spec.include.empty();
  if (covers && !(trial.index_only && is_worth_covering(trial.before, trial.after))) return ProofKind::none;
  // A BRIN that is there is not given up for less than it would be chosen for.
  if (const Blocks blocks = expect_blocks(subject.normal, *access->table);
      blocks.found && candidate.spec.method == "btree" && kBrinCost * trial.after >= blocks.cost)
    return ProofKind::none;
  if (trial.used && is_worth(trial.before, trial.expected)) return candidate.tried;
  if (covers || candidate.spec.method == "brin") return ProofKind::none;
  if (access->table->is_small() && trial.used_structurally && lacks_index(subject, *access))
    return ProofKind::structure;
  return ProofKind::none;
}

struct Choice {
  std::size_t candidate;
  ProofKind proof;
  double after;
};

bool is_better(const Study& study, const Choice& a, const Choice& b) {
  if ((a.proof == ProofKind::structure) != (b.proof == ProofKind::structure)) return b.proof == ProofKind::structure;
  if (a.proof == ProofKind::structure) return false;  // the first serves most conditions
  const Candidate& one = study.candidates[a.candidate];
  const Candidate& other = study.candidates[b.candidate];
  const auto is_small_part = [](const Candidate& part, double cost, const Candidate& whole, double whole_cost) {
    return !part.spec.predicate.empty() && whole.spec.predicate.empty() && part.bytes * kPartialSize <= whole.bytes &&
           cost <= kPartialCost * whole_cost;
  };
  if (one.spec.include.empty() != other.spec.include.empty())
    return one.spec.include.empty() ? !is_worth_covering(a.after, b.after) : is_worth_covering(b.after, a.after);
  const auto is_brin = [](const Candidate& candidate) { return candidate.spec.method == "brin"; };
  const auto replaces = [](const Candidate& brin, double cost, const Candidate& tree, double tree_cost) {
    return brin.bytes * kBrinSize <= tree.bytes && cost <= kBrinCost * tree_cost;
  };
  if (is_brin(one) && !is_brin(other)) return replaces(one, a.after, other, b.after);
  if (is_brin(other) && !is_brin(one)) return !replaces(other, b.after, one, a.after);
  if (is_small_part(one, a.after, other, b.after)) return true;
  if (is_small_part(other, b.after, one, a.after)) return false;
  if (a.after * kSame < b.after) return true;
  if (b.after * kSame < a.after) return false;
  if (static_cast<double>(one.bytes) * kSame < static_cast<double>(other.bytes)) return true;
  if (static_cast<double>(other.bytes) * kSame < static_cast<double>(one.bytes)) return false;
  return one.spec.keys.size() < other.spec.keys.size();
}

/// `longer` does what `shorter` does. A B-tree that begins with the column of a BRIN does that, too.
bool makes_redundant(const IndexSpec& longer, const IndexSpec& shorter) {
  return longer.schema == shorter.schema && longer.table == shorter.table && longer.method == "btree" &&
         longer.predicate == shorter.predicate && longer != shorter &&
         (shorter.method == "btree" || shorter.method == "brin") &&
         is_beginning(shorter.keys, shorter.include, longer.keys, longer.include);
}

void choose_for(Study& study, std::size_t number) {
  std::map<std::pair<std::string, std::string>, Choice> best;
  for (std::size_t i = 0; i < study.candidates.size(); ++i) {
    const Candidate& candidate = study.candidates[i];
    const Trial* const trial = candidate.trial_of(number);
    if (trial == nullptr) continue;
    const ProofKind proof = proof_for(study, candidate, *trial);
    if (proof == ProofKind::none) continue;
    const Choice choice{i, proof, trial->expected};
    const std::pair table{candidate.spec.schema, candidate.spec.table};
    const auto it = best.find(table);
    if (it == best.end()) {
      best.emplace(table, choice);
    } else if (is_better(study, choice, it->second)) {
      it->second = choice;
    }
  }
  for (const auto& [table, choice] : best) {
    Candidate& candidate = study.candidates[choice.candidate];
    candidate.wins.push_back(number);
    if (choice.proof != ProofKind::structure || candidate.wins.size() == 1) candidate.proof = choice.proof;
    if (std::ranges::find(study.chosen, choice.candidate) == study.chosen.end())
      study.chosen.push_back(choice.candidate);
  }
}

/// Where nothing could be tried, or GIN indexes could not be built: what the structure alone says.
void choose_unproved(Study& study, std::size_t number) {
  const Subject& subject = study.subjects[number];
  for (const Access& access : subject.reads) {
    if (!lacks_index(subject, access) || std::ranges::any_of(access.unserved, is_either)) continue;
    const auto serves = [&](std::size_t i) {
      const Candidate& c = study.candidates[i];
      return c.spec.table == access.table->name && c.spec.schema == access.table->schema &&
             std::ranges::find(c.wins, number) != c.wins.end();
    };
    if (std::ranges::any_of(study.chosen, serves)) continue;
    for (std::size_t i = 0; i < study.candidates.size(); ++i) {
      Candidate& candidate = study.candidates[i];
      if (candidate.tried != ProofKind::none || !candidate.failure.empty() ||
          candidate.spec.table != access.table->name || candidate.spec.schema != access.table->schema ||
          subject.allows(rule_for(subject, candidate.spec)) ||
          std::ranges::find(candidate.subjects, number) == candidate.subjects.end())
        continue;
      candidate.wins.push_back(number);
      if (std::ranges::find(study.chosen, i) == study.chosen.end()) study.chosen.push_back(i);
      break;
    }
  }
}

UpdatedColumns updated_columns(const Study& study) {
  UpdatedColumns out;
  for (const auto& [name, table] : study.catalog.tables) out[&table];
  for (const Subject& subject : study.subjects) {
    if (!subject.problem.empty() || subject.foreign_key != nullptr) continue;
    for (const CatalogTable* table : written_by(subject.normal, study.catalog))
      out[table].merge(columns_set_by(subject.sql));
  }
  return out;
}

}  // namespace

bool Subject::allows(std::string_view rule) const noexcept { return std::ranges::find(allowed, rule) != allowed.end(); }

const Trial* Candidate::trial_of(std::size_t subject) const noexcept {
  const auto it = std::ranges::find(trials, subject, &Trial::subject);
  return it == trials.end() ? nullptr : &*it;
}

std::vector<std::string> allowed_rules(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view one = text.substr(0, end);
    if (const std::string_view rule = trim(one.substr(0, one.find(':'))); !rule.empty()) out.emplace_back(rule);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool comment_allows(std::string_view comment, std::string_view rule) {
  constexpr std::string_view kAllow = "allow ";
  for (std::size_t at = comment.find(kAllow); at != std::string_view::npos; at = comment.find(kAllow, at + 1)) {
    const std::string_view rest = comment.substr(at + kAllow.size());
    if (rest.starts_with(rule) && (rest.size() == rule.size() || rest[rule.size()] == ':' || rest[rule.size()] == ' ' ||
                                   rest[rule.size()] == ';'))
      return true;
  }
  return false;
}

Task<void> look_around(Connection& connection, Study& study) {
  study.server_version = std::atoi(connection.parameter("server_version").c_str());
  study.catalog = co_await load_catalog(connection);
  const auto available = co_await TextQuery(
      connection, "select exists (select from pg_catalog.pg_available_extensions where name = 'hypopg')");
  study.has_hypopg = available.at(0).at(0) == "t";
  study.subjects = registered();
  study.advice.queries = study.subjects.size();
  for (const CatalogForeignKey& key : study.catalog.foreign_keys) {
    if (const CatalogTable* table = study.catalog.find(key.table)) study.subjects.push_back(check_of(key, *table));
  }
}

Task<void> plan_all(Connection& connection, Study& study) {
  co_await prepare_to_plan(connection);
  for (Subject& subject : study.subjects) {
    Description description(connection, subject.sql);
    co_await description;
    if (description.error) {
      subject.problem = fmt::format("{} {}", description.error->code, description.error->primary);
      continue;
    }
    subject.parameters = description.parameters.size();
    try {
      subject.normal = co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::normal);
      subject.structural = co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::structural);
      subject.reads = accesses_of(subject.structural, study.catalog);
    } catch (const ErrorFields& error) {
      subject.problem = fmt::format("{} {}", error.code, error.primary);
    } catch (const Invalid& error) {
      subject.problem = error.message();
    }
  }
}

std::vector<ExplainedQuery> explained(const Study& study) {
  std::vector<ExplainedQuery> out;
  for (const Subject& subject : study.subjects) {
    if (subject.foreign_key != nullptr) continue;
    ExplainedQuery& query = out.emplace_back();
    query.name = subject.name;
    query.where = subject.where;
    query.sql = subject.sql;
    query.problem = subject.problem;
    query.cost = subject.normal.root.total_cost;
    for (const Access& access : subject.reads) {
      query.reads.push_back(access.summary());
      if (lacks_index(subject, access) && !subject.allows("missing-index"))
        query.flaws.push_back(fmt::format("no index of {} serves its conditions", access.table->qualified()));
    }
  }
  return out;
}

void propose(Study& study) {
  const auto updated = updated_columns(study);
  for (std::size_t number = 0; number < study.subjects.size(); ++number) {
    for (const Access& access : study.subjects[number].reads) {
      for (IndexSpec& spec : candidates_for(access, updated.at(access.table))) {
        const auto found = candidate_of(study, std::move(spec));
        if (!found) {
          study.advice.notes.push_back(
              fmt::format("more than {} indexes are possible: those for queries after {} were not tried",
                          kMostCandidates, study.subjects[number].name));
          return;
        }
        auto& subjects = study.candidates[*found].subjects;
        if (subjects.empty() || subjects.back() != number) subjects.push_back(number);
      }
    }
  }
  propose_alternatives(study, updated);
}

std::optional<std::size_t> candidate_of(Study& study, IndexSpec spec) {
  const auto it = std::ranges::find(study.candidates, spec, &Candidate::spec);
  if (it != study.candidates.end()) return static_cast<std::size_t>(it - study.candidates.begin());
  if (study.candidates.size() >= kMostCandidates) return std::nullopt;
  study.candidates.push_back({.spec = std::move(spec)});
  return study.candidates.size() - 1;
}

Task<void> try_candidates(Connection& connection, Study& study, bool hypothetical) {
  for (Candidate& candidate : study.candidates) {
    if (candidate.tried != ProofKind::none || !candidate.failure.empty() || candidate.subjects.empty()) continue;
    if (hypothetical && !can_be_hypothetical(candidate.spec)) continue;
    co_await try_one(connection, study, candidate, hypothetical);
  }
  co_await try_alternatives(connection, study, hypothetical);
}

void choose(Study& study) {
  for (std::size_t number = 0; number < study.subjects.size(); ++number) choose_for(study, number);
  for (std::size_t number = 0; number < study.subjects.size(); ++number) choose_unproved(study, number);
  choose_alternatives(study);
  // What a longer one does as well is not needed.
  const std::vector<std::size_t> all = study.chosen;
  std::erase_if(study.chosen, [&](std::size_t i) {
    Candidate& shorter = study.candidates[i];
    for (const std::size_t other : all) {
      Candidate& longer = study.candidates[other];
      if (!makes_redundant(longer.spec, shorter.spec) || longer.tried == ProofKind::none) continue;
      if (makes_redundant(shorter.spec, longer.spec) && i < other) continue;  // of two that do the same, one stays
      longer.wins.insert(longer.wins.end(), shorter.wins.begin(), shorter.wins.end());
      return true;
    }
    return false;
  });
}

Task<void> try_together(Connection& connection, Study& study, bool hypothetical) {
  co_await begin_trial(connection, hypothetical);
  std::exception_ptr error;
  try {
    std::vector<Candidate*> candidates;
    for (const std::size_t i : study.chosen) {
      Candidate& candidate = study.candidates[i];
      if (candidate.tried != ProofKind::none && (!hypothetical || can_be_hypothetical(candidate.spec)))
        candidates.push_back(&candidate);
    }
    const std::string failure = co_await create_indexes(connection, candidates, study.catalog, hypothetical);
    if (!failure.empty()) throw Unavailable(fmt::format("the indexes cannot be made together: {}", failure));
    std::set<std::size_t> used;
    for (const Subject& subject : study.subjects) {
      if (!subject.problem.empty()) continue;
      const Plan plan = co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::normal);
      const Plan structural =
          co_await plan_statement(connection, subject.sql, subject.parameters, PlanMode::structural);
      for (const std::size_t i : study.chosen) {
        if (uses(plan, study.candidates[i].name, false) || uses(structural, study.candidates[i].name, true))
          used.insert(i);
      }
      const double before = subject.normal.root.total_cost;
      const double after = plan.root.total_cost;
      if (subject.foreign_key == nullptr && std::abs(after - before) > 0.01 * before)
        study.advice.effects.push_back({subject.described(), before, after});
    }
    std::erase_if(study.chosen,
                  [&](std::size_t i) { return study.candidates[i].tried != ProofKind::none && !used.contains(i); });
    co_await report_rewrites(connection, study, hypothetical);
  } catch (...) {
    error = std::current_exception();
  }
  if (connection.open_now()) co_await end_trial(connection, hypothetical);
  if (error) std::rethrow_exception(error);
}

}  // namespace ashlar::pg::detail
