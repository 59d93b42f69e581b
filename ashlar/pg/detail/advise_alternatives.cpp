// Conditions that OR joins: an index for each alternative, whose bitmaps PostgreSQL puts together; or, where the
// alternatives are of several tables, the query as UNION ALL.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
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

constexpr std::string_view kRule = "or-condition";
constexpr std::size_t kMostAlternatives = 4;
/// A single index that costs so much more than all of them is good enough.
constexpr double kSame = 1.1;

/// An index for what few rows satisfy of conditions that AND joins; nullopt: there is one.
std::optional<IndexSpec> index_for(const Access& access, const std::vector<Condition>& conditions,
                                   const std::set<std::string>& updated) {
  Access alone;
  alone.table = access.table;
  alone.alias = access.alias;
  alone.unserved = conditions;
  for (IndexSpec& spec : candidates_for(alone, updated)) {
    const bool serves = std::ranges::any_of(conditions, [&](const Condition& condition) {
      const std::string key =
          condition.column.empty() ? "(" + condition.expression + ")" : identifier(condition.column);
      return is_selective(condition) && (spec.keys.front() == key || spec.keys.front().starts_with(key + " "));
    });
    if (!serves) continue;
    IndexSpec shortest = spec;
    shortest.keys.resize(1);
    if (has_index(*access.table, shortest)) return std::nullopt;
    spec.rule = kRule;
    return std::move(spec);
  }
  return std::nullopt;
}

/// What the word joins at the depth of the first token; the AND of BETWEEN joins nothing.
std::vector<SqlTokens> split(SqlTokens tokens, std::string_view word) {
  std::vector<SqlTokens> out;
  if (tokens.empty()) return out;
  const std::uint32_t depth = tokens.front().depth;
  std::size_t from = 0;
  bool between = false;
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    if (i < tokens.size()) {
      if (tokens[i].depth != depth) continue;
      if (tokens[i].is("between")) between = true;
      if (!tokens[i].is(word)) continue;
      if (word == "and" && std::exchange(between, false)) continue;
    }
    out.push_back(tokens.subspan(from, i - from));
    from = i + 1;
  }
  return out;
}

struct Where {
  std::vector<std::string> alternatives;
  std::string rest;  ///< what must be so in any case
};

std::optional<Where> alternatives_in(SqlTokens where) {
  if (where.empty() || std::ranges::any_of(where, [](const SqlToken& token) { return token.is("case"); }))
    return std::nullopt;
  const auto fits = [](const std::vector<SqlTokens>& parts) {
    return parts.size() > 1 && parts.size() <= kMostAlternatives &&
           std::ranges::none_of(parts, [](SqlTokens part) { return part.empty(); });
  };
  Where out;
  const auto take = [&](const std::vector<SqlTokens>& parts) {
    for (const SqlTokens part : parts) out.alternatives.emplace_back(text_of(without_parentheses(part)));
  };
  if (const auto whole = split(without_parentheses(where), "or"); whole.size() > 1) {
    if (!fits(whole)) return std::nullopt;
    take(whole);
    return out;
  }
  for (const SqlTokens condition : split(without_parentheses(where), "and")) {
    const auto parts = split(without_parentheses(condition), "or");
    if (out.alternatives.empty() && fits(parts)) {
      take(parts);
    } else {
      out.rest += fmt::format("{}{}", out.rest.empty() ? "" : " and ", text_of(condition));
    }
  }
  return out.alternatives.empty() ? std::nullopt : std::optional(std::move(out));
}

/// select … where a or b → select … where a union all select … where b and (a) is not true: the same rows, each as
/// often.
std::optional<std::string> as_union(const Subject& subject) {
  auto all = sql_tokens(subject.sql);
  while (!all.empty() && all.back().text == ";") all.pop_back();
  const SqlTokens tokens(all);
  if (tokens.empty() || !tokens.front().is("select")) return std::nullopt;
  std::size_t where = tokens.size(), end = tokens.size();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].depth != 0) continue;
    for (const std::string_view word :
         {"group", "having", "union", "intersect", "except", "distinct", "window", "into", "for", ";"}) {
      if (tokens[i].is(word) || tokens[i].text == word) return std::nullopt;
    }
    if (tokens[i].is("where") && where == tokens.size()) where = i;
    for (const std::string_view word : {"order", "limit", "offset", "fetch"}) {
      if (tokens[i].is(word)) end = std::min(end, i);
    }
  }
  if (where >= end) return std::nullopt;
  bool counts = false;  // rows are put together: their number matters, or there is one for all
  for_each_node(subject.normal.root, [&](const PlanNode& node) {
    for (const std::string_view type : {"Aggregate", "WindowAgg", "Group", "Unique"})
      counts = counts || node.type == type;
  });
  const auto found = counts ? std::nullopt : alternatives_in(tokens.subspan(where + 1, end - where - 1));
  if (!found) return std::nullopt;
  const std::string head = subject.sql.substr(0, tokens[where].at);
  std::string out;
  for (std::size_t i = 0; i < found->alternatives.size(); ++i) {
    out += fmt::format("{}{}where {}{}({})", i == 0 ? "" : "\nunion all\n", head, found->rest,
                       found->rest.empty() ? "" : " and ", found->alternatives[i]);
    for (std::size_t before = 0; before < i; ++before)
      out += fmt::format(" and ({}) is not true", found->alternatives[before]);
  }
  if (end < tokens.size())
    out += fmt::format("\n{}", std::string_view(subject.sql).substr(tokens[end].at, all.back().end() - tokens[end].at));
  return out;
}

/// Nullopt: the text is no valid SQL here.
Task<std::optional<Plan>> plan_of(Connection& connection, std::string sql, std::size_t parameters, PlanMode mode) {
  std::optional<Plan> plan;
  co_await TextQuery(connection, "savepoint ashlar_union");
  try {
    plan = co_await plan_statement(connection, std::move(sql), parameters, mode);
  } catch (const ErrorFields&) {
    plan.reset();
  } catch (const Invalid&) {
    plan.reset();  // nested too deep
  }
  co_await TextQuery(connection, "rollback to savepoint ashlar_union");
  if (!plan) co_await TextQuery(connection, "deallocate all");
  co_return plan;
}

/// Indexes that the new text lacks.
std::vector<Candidate> lacking(const Subject& subject) {
  std::vector<Candidate> out;
  for (const Access& access : subject.reads) {
    if (!lacks_index(subject, access) && std::ranges::none_of(access.unserved, is_selective)) continue;
    const auto specs = candidates_for(access, {});
    if (!specs.empty() && std::ranges::find(out, specs.front(), &Candidate::spec) == out.end())
      out.push_back({.spec = specs.front()});
  }
  return out;
}

struct Costs {
  double before = 0, after = 0;
};
Task<std::optional<Costs>> costs_of(Connection& connection, const Subject& subject, const Subject& rewritten) {
  const auto before = co_await plan_of(connection, subject.sql, subject.parameters, PlanMode::normal);
  const auto after = co_await plan_of(connection, rewritten.sql, subject.parameters, PlanMode::normal);
  if (!before || !after) co_return std::nullopt;
  co_return Costs{before->root.total_cost, after->root.total_cost};
}

/// With the indexes of `candidates`, which are gone afterwards.
Task<std::optional<Costs>> costs_with(Connection& connection, const Study& study, const Subject& subject,
                                      const Subject& rewritten, std::vector<Candidate>& candidates, bool hypothetical) {
  if (hypothetical && !std::ranges::all_of(candidates, [](const Candidate& c) { return can_be_hypothetical(c.spec); }))
    co_return std::nullopt;
  Catalog names = study.catalog;
  for (const std::size_t i : study.chosen) {
    const Candidate& chosen = study.candidates[i];
    names.tables[{chosen.spec.schema, chosen.spec.table}].indexes.push_back({.name = chosen.name});
  }
  std::vector<Candidate*> made;
  for (Candidate& candidate : candidates) made.push_back(&candidate);
  co_await TextQuery(connection, "savepoint ashlar_lacking");
  const std::string failure = co_await create_indexes(connection, made, names, hypothetical);
  std::optional<Costs> costs;
  if (failure.empty()) costs = co_await costs_of(connection, subject, rewritten);
  co_await TextQuery(connection, "rollback to savepoint ashlar_lacking");
  for (std::size_t i = 0; hypothetical && i < candidates.size(); ++i) {  // of these no rollback knows
    const std::string drop =
        fmt::format("select hypopg_drop_index(indexrelid) from hypopg_list_indexes where index_name = {}",
                    quote_literal(candidates[i].name));
    co_await TextQuery(connection, drop);
  }
  co_return costs;
}

}  // namespace

void propose_alternatives(Study& study, const UpdatedColumns& updated) {
  for (std::size_t number = 0; number < study.subjects.size(); ++number) {
    const Subject& subject = study.subjects[number];
    if (subject.allows(kRule)) continue;
    for (const Access& access : subject.reads) {
      if (access.how == Access::How::index) continue;
      for (const Condition& condition : access.unserved) {
        if (!is_either(condition) || condition.alternatives.size() > kMostAlternatives) continue;
        Together together{.subject = number, .access = &access};
        for (const std::vector<Condition>& alternative : condition.alternatives) {
          auto spec = index_for(access, alternative, updated.at(access.table));
          const auto found = spec ? candidate_of(study, std::move(*spec)) : std::nullopt;
          if (found && std::ranges::find(together.candidates, *found) == together.candidates.end())
            together.candidates.push_back(*found);
        }
        if (!together.candidates.empty()) study.together.push_back(std::move(together));
      }
    }
  }
}

Task<void> try_alternatives(Connection& connection, Study& study, bool hypothetical) {
  for (Together& together : study.together) {
    std::vector<Candidate*> candidates;
    bool can = together.tried == ProofKind::none;
    for (const std::size_t i : together.candidates) {
      candidates.push_back(&study.candidates[i]);
      can = can && (!hypothetical || can_be_hypothetical(candidates.back()->spec));
    }
    if (!can) continue;
    const Subject& subject = study.subjects[together.subject];
    co_await begin_trial(connection, hypothetical);
    std::string failure = co_await create_indexes(connection, candidates, study.catalog, hypothetical);
    if (failure.empty()) {
      const auto plan = co_await plan_of(connection, subject.sql, subject.parameters, PlanMode::normal);
      const auto structural = co_await plan_of(connection, subject.sql, subject.parameters, PlanMode::structural);
      Trial& trial = together.trial;
      trial = {.subject = together.subject,
               .before = subject.normal.root.total_cost,
               .after = 0,
               .expected = 0,
               .used = true,
               .used_structurally = true};
      for (const Candidate* candidate : candidates) {
        trial.used = trial.used && plan && uses(*plan, candidate->name, false);
        trial.used_structurally = trial.used_structurally && structural && uses(*structural, candidate->name, true);
      }
      if (plan) trial.after = trial.expected = plan->root.total_cost;
      together.tried = hypothetical ? ProofKind::hypothetical : ProofKind::built;
    }
    co_await end_trial(connection, hypothetical);
    for (Candidate* candidate : candidates) {
      if (candidate->tried != ProofKind::none) continue;
      candidate->tried = together.tried;
      candidate->failure = failure;
    }
  }
}

void choose_alternatives(Study& study) {
  for (const Together& together : study.together) {
    const Trial& trial = together.trial;
    ProofKind proof = ProofKind::none;
    if (together.tried != ProofKind::none) {
      if (trial.used && is_worth(trial.before, trial.after)) {
        proof = together.tried;
      } else if (together.access->table->is_small() && trial.used_structurally) {
        proof = ProofKind::structure;
      } else {
        continue;
      }
    }
    const auto is_failed = [&](std::size_t i) { return !study.candidates[i].failure.empty(); };
    const auto is_enough = [&](std::size_t i) {
      const Candidate& chosen = study.candidates[i];
      const Trial* const alone = chosen.trial_of(together.subject);
      return chosen.spec.table == together.access->table->name &&
             chosen.spec.schema == together.access->table->schema && alone != nullptr && alone->used &&
             std::ranges::find(chosen.wins, together.subject) != chosen.wins.end() &&
             alone->after <= kSame * trial.after;
    };
    if (std::ranges::any_of(together.candidates, is_failed) || std::ranges::any_of(study.chosen, is_enough)) continue;
    for (const std::size_t i : together.candidates) {
      Candidate& candidate = study.candidates[i];
      candidate.wins.push_back(together.subject);
      if (candidate.trial_of(together.subject) == nullptr) candidate.trials.push_back(trial);
      if (candidate.proof == ProofKind::none || candidate.proof == ProofKind::structure) candidate.proof = proof;
      if (std::ranges::find(study.chosen, i) == study.chosen.end()) study.chosen.push_back(i);
    }
  }
}

Task<void> report_alternatives(Connection& connection, Study& study, const Subject& subject, bool hypothetical) {
  if (subject.allows(kRule)) co_return;
  const auto sql = as_union(subject);
  if (!sql) co_return;
  Subject rewritten;
  rewritten.name = subject.name;
  rewritten.sql = *sql;
  auto costs = co_await costs_of(connection, subject, rewritten);
  std::vector<Candidate> candidates;
  if (costs && !is_worth(costs->before, costs->after)) {
    if (auto plan = co_await plan_of(connection, rewritten.sql, subject.parameters, PlanMode::structural)) {
      rewritten.structural = std::move(*plan);
      rewritten.reads = accesses_of(rewritten.structural, study.catalog);
      candidates = lacking(rewritten);
    }
    costs.reset();
    if (!candidates.empty() && candidates.size() <= kMostAlternatives)
      costs = co_await costs_with(connection, study, subject, rewritten, candidates, hypothetical);
  }
  if (!costs || !is_worth(costs->before, costs->after)) co_return;
  std::string indexes;
  for (const Candidate& candidate : candidates)
    indexes += fmt::format("{}{}", indexes.empty() ? "" : "; ", candidate.spec.sql(candidate.spec.name(study.catalog)));
  Finding finding;
  finding.rule = kRule;
  finding.queries = {subject.described()};
  finding.message = fmt::format("OR joins conditions that no index can serve together; each by itself one can{}{}",
                                indexes.empty() ? "" : ", with what `advise` will then propose: ", indexes);
  finding.proposal = *sql;
  finding.proof = {.kind = ProofKind::planned, .cost_before = costs->before, .cost_after = costs->after};
  study.advice.findings.push_back(std::move(finding));
}

}  // namespace ashlar::pg::detail
