#include <ashlar/pg/advisor.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/migration_file.hpp>
#include <ashlar/pg/migrations.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg {
namespace {

std::string size_of(std::int64_t bytes) {
  return bytes >= 10 << 20 ? fmt::format("{} MB", bytes >> 20) : fmt::format("{} kB", (bytes + 1023) >> 10);
}

std::string indented(std::string_view text, std::string_view with) {
  std::string out(with);
  for (const char c : text) {
    out += c;
    if (c == '\n') out += with;
  }
  return out;
}

std::string proof_text(const Finding& finding) {
  const Proof& proof = finding.proof;
  const std::string size = proof.bytes > 0 ? ", " + size_of(proof.bytes) : "";
  std::string costs =
      fmt::format("cost {} -> {}", detail::grouped(proof.cost_before), detail::grouped(proof.cost_after));
  switch (proof.kind) {
    case ProofKind::none:
      return proof.bytes > 0 ? size_of(proof.bytes) : std::string();
    case ProofKind::structure:
      return "the planner takes it when there is something to gain; the table here is too small for costs to tell";
    case ProofKind::hypothetical:
      return fmt::format("{}{}, by hypopg", costs, size);
    case ProofKind::built:
      return fmt::format("{}{}, built on a copy", costs, size);
    case ProofKind::planned:
      return costs;
  }
  return {};
}

/// "0007_articles_author_id_idx.sql": of the last statement, what it makes.
std::string file_name(std::uint64_t version, const Finding& finding) {
  std::string words;
  for (const char c : finding.rule + "_" + finding.table) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain || (!words.empty() && words.back() != '_')) words += plain ? c : '_';
  }
  return fmt::format("{:04}_{}.sql", version, words.substr(0, 100));
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

std::string in_one_line(std::string_view sql) {
  std::string out;
  for (const char c : sql) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space || (!out.empty() && out.back() != ' ')) out += space ? ' ' : c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// What cannot run in a transaction: one statement a file.
std::string concurrent_file(const Finding& finding) {
  std::string up, down;
  for (std::string* side : {&up, &down}) {
    const std::string& sql = side == &up ? finding.proposal : finding.takes_back;
    const auto unique = without_prefix(sql, "CREATE UNIQUE INDEX ");  // as PostgreSQL prints those that are dropped
    if (const auto rest = without_prefix(without_prefix(sql, "create index "), "CREATE INDEX ");
        rest.size() != sql.size()) {
      *side = fmt::format("create index concurrently {};\n", rest);
    } else if (unique.size() != sql.size()) {
      *side = fmt::format("create unique index concurrently {};\n", unique);
    } else if (const auto dropped = without_prefix(sql, "drop index "); dropped.size() != sql.size()) {
      *side = fmt::format("drop index concurrently {};\n", dropped);
    } else {
      *side = sql + ";\n";
    }
  }
  return fmt::format("-- migrate:no-transaction\n-- {}: {}\n{}\n-- migrate:down\n{}", finding.rule,
                     in_one_line(finding.message), up, down);
}

std::string plain_file(const Finding& finding) {
  return fmt::format("-- {}: {}\n{};\n{}", finding.rule, in_one_line(finding.message), finding.proposal,
                     finding.takes_back.empty()
                         ? std::string("\n-- migrate:down\nselect;  -- there is nothing to take back\n")
                         : fmt::format("\n-- migrate:down\n{};\n", finding.takes_back));
}

struct PlanLine {
  std::string name;
  std::string sql;
  std::vector<TableRead> reads;
};

/// "queries.hpp:12" names a line, which moves: such a query is known by its SQL.
bool is_given(const ExplainedQuery& query) {
  return !query.where.ends_with("/" + query.name) && query.where != query.name;
}

std::string describe(const TableRead& read) {
  std::string out = read.how;
  if (!read.indexes.empty()) out += fmt::format(" {}", fmt::join(read.indexes, ", "));
  if (!read.served.empty()) out += fmt::format(" by {}", fmt::join(read.served, " and "));
  if (!read.filtered.empty()) out += fmt::format(", then dropped unless {}", fmt::join(read.filtered, " and "));
  return out;
}

void compare_reads(const std::string& query, const PlanLine& before, const ExplainedQuery& now,
                   std::vector<PlanChange>& out) {
  std::multimap<std::string, const TableRead*> reads;
  for (const TableRead& read : now.reads) reads.emplace(read.alias, &read);
  for (const TableRead& read : before.reads) {
    const auto it = reads.find(read.alias);
    if (it == reads.end()) {
      out.push_back({query, fmt::format("{} is read no more", read.table), false});
      continue;
    }
    const TableRead& other = *it->second;
    reads.erase(it);
    const bool lost = read.how == "index" && other.how != "index";
    if (lost || describe(read) != describe(other))
      out.push_back(
          {query, fmt::format("{} was read by {}; now by {}", read.table, describe(read), describe(other)), lost});
  }
}

}  // namespace

std::vector<fs::path> write_migrations(const fs::path& folder, const Advice& advice) {
  std::uint64_t version = 0;
  for (const Migration& migration : load_migrations(folder)) version = std::max(version, migration.version);
  std::vector<fs::path> files;
  std::set<std::string> extensions;
  for (const Finding& finding : advice.findings) {
    if (!finding.is_migration) continue;
    Finding one = finding;
    // An extension is a statement of its own, and `create index concurrently` must be the only one of its file.
    if (const std::size_t line = one.proposal.find(";\n");
        one.proposal.starts_with("create extension") && line != std::string::npos) {
      const std::string extension = one.proposal.substr(0, line);
      one.proposal.erase(0, line + 2);
      if (extensions.insert(extension).second) {
        Finding first{
            .rule = "extension", .table = finding.table, .message = "for the next migration", .proposal = extension};
        files.push_back(folder / file_name(++version, first));
        detail::write_migration(files.back(), plain_file(first));
      }
    }
    const bool concurrent = one.proposal.starts_with("create index ") || one.proposal.starts_with("drop index ");
    files.push_back(folder / file_name(++version, one));
    detail::write_migration(files.back(), concurrent ? concurrent_file(one) : plain_file(one));
  }
  return files;
}

std::string to_text(const Advice& advice) {
  std::string out;
  for (const Finding& finding : advice.findings) {
    out += fmt::format("{}{}{}\n", finding.rule, finding.table.empty() ? "" : " on ", finding.table);
    for (std::size_t i = 0; i < finding.queries.size(); ++i) {
      if (i == 5 && finding.queries.size() > 6) {
        out += fmt::format("  and {} more\n", finding.queries.size() - i);
        break;
      }
      out += fmt::format("  {}\n", finding.queries[i]);
    }
    out += fmt::format("  {}\n", finding.message);
    if (!finding.proposal.empty()) out += indented(finding.proposal, "    ") + "\n";
    if (const std::string proof = proof_text(finding); !proof.empty()) out += fmt::format("  {}\n", proof);
    out += "\n";
  }
  if (!advice.effects.empty()) out += "With all of the indexes:\n";
  for (const Effect& effect : advice.effects)
    out += fmt::format("  {}: cost {} -> {}\n", effect.query, detail::grouped(effect.cost_before),
                       detail::grouped(effect.cost_after));
  for (const std::string& note : advice.notes) out += fmt::format("note: {}\n", note);
  out += fmt::format("{} queries, {} finding{}\n", advice.queries, advice.findings.size(),
                     advice.findings.size() == 1 ? "" : "s");
  return out;
}

std::string to_text(const std::vector<ExplainedQuery>& queries) {
  std::string out;
  for (const ExplainedQuery& query : queries) {
    out += fmt::format("{}{}\n", query.name, is_given(query) ? fmt::format(" ({})", query.where) : "");
    if (!query.problem.empty()) {
      out += fmt::format("  not planned: {}\n", query.problem);
      continue;
    }
    for (const TableRead& read : query.reads)
      out += fmt::format("  {}{}: {}\n", read.table, read.alias == read.table ? "" : " " + read.alias, describe(read));
    for (const std::string& flaw : query.flaws) out += fmt::format("  ! {}\n", flaw);
    out += fmt::format("  cost {}\n", detail::grouped(query.cost));
    if (query.milliseconds >= 0)
      out += fmt::format("  {:.1f} ms, {} pages{}{}\n", query.milliseconds, detail::grouped(query.pages),
                         query.values.empty() ? "" : " with ", fmt::join(query.values, ", "));
  }
  return out;
}

std::string plans_to_json(const std::vector<ExplainedQuery>& queries) {
  std::string out = "[";
  for (const ExplainedQuery& query : queries) {
    if (!query.problem.empty()) continue;
    out += out.size() == 1 ? "\n" : ",\n";
    schema::write_json(PlanLine{is_given(query) ? query.name : std::string(), in_one_line(query.sql), query.reads},
                       out);
  }
  out += "\n]\n";
  return out;
}

std::vector<PlanChange> compare_plans(std::string_view earlier, const std::vector<ExplainedQuery>& now) {
  std::vector<PlanLine> lines;
  schema::Errors errors;
  if (!schema::parse_json(earlier, lines, errors)) throw Invalid("this is no file that `explain --write` made");
  std::map<std::string, const PlanLine*> by_key;
  for (const PlanLine& line : lines) by_key[line.name.empty() ? line.sql : line.name] = &line;
  std::vector<PlanChange> out;
  for (const ExplainedQuery& query : now) {
    const std::string key = is_given(query) ? query.name : in_one_line(query.sql);
    const auto it = by_key.find(key);
    if (it == by_key.end()) {
      if (query.problem.empty()) out.push_back({query.name, "is new", false});
      continue;
    }
    if (!query.problem.empty()) {
      out.push_back({query.name, "has no plan any more: " + query.problem, true});
    } else {
      compare_reads(query.name, *it->second, query, out);
    }
    by_key.erase(it);
  }
  for (const auto& [key, line] : by_key) out.push_back({key, "is gone", false});
  return out;
}

}  // namespace ashlar::pg
