#include <ashlar/pg/detail/lint.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/base/text.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {
namespace {

/// "drop-column" and the reason, of the comment "ashlar: allow drop-column the reason".
struct Allowance {
  std::string_view rule, reason;
};

std::optional<Allowance> allowance(std::string_view comment) {
  constexpr std::string_view kAllow = "ashlar: allow ";
  comment = trim(comment);
  if (!comment.starts_with(kAllow)) return std::nullopt;
  comment = trim(comment.substr(kAllow.size()));
  const std::size_t end = std::min(comment.find_first_of(" :"), comment.size());
  return Allowance{comment.substr(0, end), trim(comment.substr(std::min(end + 1, comment.size())))};
}

bool is_rule(std::string_view name) {
  return std::ranges::any_of(lint_rules(), [name](const LintRule& rule) { return rule.name == name; });
}

/// Whether a token is this name, as a word or with quotes.
bool mentions(SqlTokens tokens, std::string_view name) {
  return std::ranges::any_of(tokens,
                             [name](const SqlToken& token) { return token.is_name() && name_of(token) == name; });
}

}  // namespace

std::string used_by_queries(std::string_view table, std::string_view column) {
  const std::string_view own = table.substr(table.rfind('.') + 1);
  std::vector<std::string> names;
  Statement::for_each([&](const Statement& statement) {
    const auto tokens = sql_tokens(statement.sql());
    if (mentions(tokens, own) && (column.empty() || mentions(tokens, column))) names.push_back(statement.name());
  });
  if (names.empty()) return {};
  std::ranges::sort(names);
  const auto [last, end] = std::ranges::unique(names);
  names.erase(last, end);
  constexpr std::size_t kShown = 3;
  const std::size_t more = names.size() > kShown ? names.size() - kShown : 0;
  names.resize(names.size() - more);
  return fmt::format("; this program uses it in {}{}", fmt::join(names, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

const LintFact* Linter::fact() const noexcept {
  if (!options_.facts || at_ >= statements_.size()) return nullptr;
  for (const LintFact& fact : *options_.facts) {
    if (fact.version == migration_->version && fact.line == statements_[at_].line) return &fact;
  }
  return nullptr;
}

/// Rules that comments beside the statement allow; without a reason they do not count.
std::vector<std::string> Linter::allowed() {
  std::vector<std::string> out;
  for (const std::string_view comment : statements_[at_].comments) {
    if (const auto one = allowance(comment); one && !one->reason.empty()) out.emplace_back(one->rule);
  }
  return out;
}

void Linter::report(std::string_view rule, std::string why, std::string safer) {
  if (!spoken_of()) return;
  const auto rules = allowed();
  if (std::ranges::find(rules, rule) != rules.end()) return;
  out_.push_back({std::string(rule), migration_->file, statements_[at_].line, std::move(why), std::move(safer)});
}

void Linter::file(const Migration& migration) {
  migration_ = &migration;
  statements_ = sql_statements(migration.up);
  made_here_.clear();
  if (!options_.together) indexes_of_new_tables_.clear();
  added_here_.clear();
  locked_.clear();
  told_of_locks_ = false;
  std::size_t several = 0;
  for (at_ = 0; at_ < statements_.size(); ++at_) {
    for (const std::string_view comment : statements_[at_].comments) {
      const auto one = allowance(comment);
      if (!one) continue;
      if (!is_rule(one->rule)) {
        report("unknown-rule", fmt::format("`{}` is allowed, but there is no such rule", one->rule), "");
      } else if (one->reason.empty()) {
        report("allow-without-reason", fmt::format("`{}` is allowed without a reason, which does not count", one->rule),
               fmt::format("-- ashlar: allow {} why that is all right here", one->rule));
      }
    }
    statement();
    if (migration.transactional) locks();
    if (!migration.transactional && !SqlCursor(statements_[at_].tokens).at("set")) ++several;
  }
  if (several > 1) {
    at_ = statements_.size() - 1;
    report("several-statements",
           "when one of them fails, those before it stay, and cannot run again: the file is stuck half-way",
           "-- one statement in each file that is marked `-- migrate:no-transaction`");
  }
}

void Linter::statement() {
  const SqlStatement& one = statements_[at_];
  SqlCursor cursor(one.tokens);
  const bool concurrently = contains_words(one.tokens, "concurrently") &&
                            (cursor.at("create") || cursor.at("drop") || cursor.at("reindex") || cursor.at("alter"));
  if (concurrently && migration_->transactional && !cursor.at("refresh"))
    report("concurrently-in-transaction", "fails: what is done concurrently is no part of a transaction",
           "-- migrate:no-transaction\n-- as the first line of a file that holds this statement alone");
  if (cursor.accept("create")) {
    create(cursor);
  } else if (cursor.accept("alter table")) {
    alter_table(cursor);
  } else if (cursor.accept("alter type")) {
    alter_type(cursor);
  } else if (cursor.accept("drop")) {
    drop(cursor);
  } else if (cursor.accept("reindex")) {
    reindex(cursor);
  } else if (cursor.accept("truncate")) {
    truncate(cursor);
  } else if (cursor.accept("update")) {
    write(cursor, "update");
  } else if (cursor.accept("delete from")) {
    write(cursor, "delete");
  } else if (cursor.accept("refresh materialized view")) {
    refresh(cursor);
  } else if (cursor.accept("vacuum")) {
    vacuum();
  } else if (cursor.accept("cluster")) {
    const std::string table = cursor.name();
    if (!is_new(table))
      report("vacuum-full",
             fmt::format("writes all of {} anew under an ACCESS EXCLUSIVE lock: nobody reads or writes it meanwhile",
                         table),
             "");
  } else if (cursor.accept("lock")) {
    cursor.accept("table");
    exclusive(cursor.name());
  }
  measured();
}

void Linter::create(SqlCursor cursor) {
  for (const std::string_view word : {"global", "local", "temporary", "temp", "unlogged", "foreign"})
    cursor.accept(word);
  if (cursor.accept("table") || cursor.accept("materialized view")) {
    cursor.accept("if not exists");
    const std::string name = cursor.name();
    made_here_.insert(name);
    if (spoken_of()) made_.insert(name);  // those before it have been applied
    return;
  }
  if (cursor.accept("schema")) {
    cursor.accept("if not exists");
    made_here_.insert(cursor.name());
    return;
  }
  if (cursor.accept("type")) {
    made_here_.insert(cursor.name());
    return;
  }
  cursor.accept("unique");
  if (cursor.accept("index")) create_index(cursor);
}

void Linter::create_index(SqlCursor cursor) {
  const bool concurrently = cursor.accept("concurrently");
  cursor.accept("if not exists");
  std::string name;
  if (!cursor.at("on")) name = cursor.name();
  cursor.accept("on");
  cursor.accept("only");
  const std::string table = cursor.name();
  if (is_new(table)) {
    if (spoken_of()) indexes_of_new_tables_.insert(name);
    return;
  }
  if (concurrently) return;
  std::string sql(statements_[at_].text);
  const std::string lower = to_lower_ascii(sql);
  if (const std::size_t at = lower.find("index"); at != std::string::npos) sql.insert(at + 5, " concurrently");
  report("index-without-concurrently",
         fmt::format("nobody writes to {} while the index is built (a SHARE lock)", table),
         fmt::format("-- migrate:no-transaction\n{};", sql));
}

void Linter::drop(SqlCursor cursor) {
  if (cursor.accept("table")) {
    cursor.accept("if exists");
    while (!cursor.done()) {
      SqlCursor one(cursor.item());
      const std::string table = one.name();
      exclusive(table);
      if (is_new(table)) continue;
      report("drop-table",
             fmt::format("the program that still runs while this one starts may use {}, and its rows are lost{}", table,
                         used_by_queries(table, {})),
             "-- first ship a program that does not use it; then, in a later release, drop it and write above it:\n-- "
             "ashlar: allow "
             "drop-table no program has used it since VERSION");
    }
    return;
  }
  if (cursor.accept("schema")) {
    cursor.accept("if exists");
    while (!cursor.done()) {
      SqlCursor one(cursor.item());
      const std::string schema = one.name();
      if (made_here_.contains(schema)) continue;
      report("drop-schema",
             fmt::format("the program that still runs may use what is in {}; with CASCADE all its tables are lost",
                         schema),
             "-- drop its tables first, each by its name, so that each is looked at; then the schema, which is empty, "
             "without CASCADE, and write above it:\n-- ashlar: allow drop-schema nothing is in it");
    }
    return;
  }
  if (!cursor.accept("index")) return;
  if (cursor.accept("concurrently")) return;
  cursor.accept("if exists");
  const std::string index = cursor.name();
  if (made_here_.contains(index) || indexes_of_new_tables_.contains(index)) return;
  report("drop-index-without-concurrently",
         fmt::format(
             "takes an ACCESS EXCLUSIVE lock on the table of {}: it waits for all who read it, and all wait for it",
             index),
         fmt::format("-- migrate:no-transaction\ndrop index concurrently {};", identifier(index)));
}

void Linter::reindex(SqlCursor cursor) {
  if (!cursor.done() && cursor.rest().front().text == "(") {
    if (contains_words(cursor.parentheses(), "concurrently")) return;
  }
  cursor.skip();  // index, table, schema, database
  if (cursor.accept("concurrently")) return;
  const std::string name = cursor.name();
  if (is_new(name)) return;
  report("index-without-concurrently",
         fmt::format("nobody writes to the table of {} while its indexes are built", name),
         fmt::format("-- migrate:no-transaction\nreindex {} concurrently {};",
                     to_lower_ascii(statements_[at_].tokens[1].text), identifier(name)));
}

void Linter::truncate(SqlCursor cursor) {
  cursor.accept("table");
  cursor.accept("only");
  while (!cursor.done()) {
    SqlCursor one(cursor.item());
    const std::string table = one.name();
    exclusive(table);
    if (!is_new(table))
      report("truncate",
             fmt::format("all rows of {} are lost, and it waits for all who read it under an ACCESS EXCLUSIVE lock",
                         table),
             "");
  }
}

void Linter::write(SqlCursor cursor, std::string_view verb) {
  cursor.accept("only");
  const std::string table = cursor.name();
  if (is_new(table) || contains_words(cursor.rest(), "where")) return;
  report("write-all-rows",
         fmt::format(
             "{}s every row of {} in one transaction: each stays locked until the end, and as many dead rows are left",
             verb, table),
         "-- in the program, or a job of its own: some thousand rows a transaction, by ranges of the key");
}

void Linter::refresh(SqlCursor cursor) {
  if (cursor.accept("concurrently")) return;
  const std::string view = cursor.name();
  if (!is_new(view))
    report("refresh-without-concurrently",
           fmt::format("takes an ACCESS EXCLUSIVE lock on {}: nobody reads it until it is made anew", view),
           fmt::format("refresh materialized view concurrently {};  -- needs a unique index", identifier(view)));
}

void Linter::vacuum() {
  const SqlTokens all = statements_[at_].tokens;
  if (migration_->transactional)
    report("concurrently-in-transaction", "fails: vacuum is no part of a transaction",
           "-- migrate:no-transaction\n-- as the first line of a file that holds this statement alone");
  if (!contains_words(all, "full")) return;
  report("vacuum-full",
         "writes the whole table anew under an ACCESS EXCLUSIVE lock: nobody reads or writes it meanwhile",
         "vacuum (analyze) …;  -- gives room to new rows, and holds nobody up");
}

/// A value that was added is not there for the statements of the same transaction.
void Linter::alter_type(SqlCursor cursor) {
  const std::string type = cursor.name();
  if (cursor.accept("rename value")) {
    report("rename-enum-value",
           fmt::format("the program that still runs while this one starts writes the old value of {}", type), "");
    return;
  }
  if (!cursor.accept("add value") || !migration_->transactional || is_new(type)) return;
  cursor.accept("if not exists");
  if (cursor.done()) return;
  const std::string_view label = cursor.rest().front().text;
  for (std::size_t later = at_ + 1; later < statements_.size(); ++later) {
    const bool used = std::ranges::any_of(statements_[later].tokens, [label](const SqlToken& token) {
      return token.kind == SqlToken::Kind::string && token.text == label;
    });
    if (!used) continue;
    report(
        "enum-value-in-transaction",
        fmt::format("fails: the new value {} cannot be used before the transaction that adds it is committed", label),
        "-- use the value in the next file");
    return;
  }
}

/// Two tables locked one after the other: a transaction that takes them the other way round is a deadlock.
void Linter::locks() {
  if (const LintFact* measured = fact(); measured != nullptr) {
    for (const std::string& table : measured->locked) exclusive(table);
  }
  if (told_of_locks_ || locked_.size() < 2) return;
  told_of_locks_ = true;
  report("several-locked-tables",
         fmt::format(
             "{} are locked against all others until the commit; a transaction that uses them in another order is a "
             "deadlock, and all wait for the slowest",
             fmt::join(locked_, ", ")),
         "-- one migration for each table");
}

/// What the server did and no rule has told.
void Linter::measured() {
  const LintFact* measured = fact();
  if (measured == nullptr) return;
  SqlCursor cursor(statements_[at_].tokens);
  if (cursor.at("truncate") || cursor.at("vacuum") || cursor.at("cluster") || cursor.at("refresh")) return;
  for (const std::string& table : measured->rewritten) {
    if (is_new(table)) continue;
    const bool told = std::ranges::any_of(out_, [&](const LintFinding& finding) {
      return finding.file == migration_->file && finding.line == statements_[at_].line &&
             finding.rule.ends_with("rewrite");
    });
    const auto rules = allowed();
    const bool is_allowed =
        std::ranges::any_of(rules, [](const std::string& rule) { return rule.ends_with("rewrite"); });
    if (!told && !is_allowed)
      report("table-rewrite",
             fmt::format("writes all of {} anew under an ACCESS EXCLUSIVE lock: nobody reads or writes it meanwhile",
                         table),
             "");
  }
}

}  // namespace ashlar::pg::detail
