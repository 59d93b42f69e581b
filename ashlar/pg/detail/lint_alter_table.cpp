// Rules of `alter table` (https://www.postgresql.org/docs/current/sql-altertable.html).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/pg/detail/lint.hpp>

namespace ashlar::pg::detail {
namespace {

/// The tokens after the word, up to a word that ends a default.
SqlTokens default_of(SqlTokens tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].is("default") || (i >= 1 && tokens[i - 1].is("by"))) continue;
    std::size_t end = i + 1;
    constexpr std::array kEnds = std::to_array<std::string_view>(
        {"not", "null", "check", "unique", "primary", "references", "constraint", "collate", "generated"});
    while (end < tokens.size() && (end == i + 1 || tokens[end].depth > tokens[i].depth ||
                                   std::ranges::none_of(kEnds, [&](auto word) { return tokens[end].is(word); })))
      ++end;
    return tokens.subspan(i + 1, end - i - 1);
  }
  return {};
}

bool is_null(SqlTokens tokens) { return tokens.empty() || (tokens.size() == 1 && tokens[0].is("null")); }

/// The column of `(column is not null)`.
std::string not_null_column(SqlTokens condition) {
  condition = without_parentheses(condition);
  if (condition.size() != 4 || !condition[0].is_name() || !condition[1].is("is") || !condition[2].is("not") ||
      !condition[3].is("null"))
    return {};
  return name_of(condition[0]);
}

}  // namespace

std::string volatile_call(SqlTokens tokens) {
  constexpr std::array kVolatile = std::to_array<std::string_view>(
      {"clock_timestamp", "gen_random_uuid", "nextval", "random", "timeofday", "uuid_generate_v1", "uuid_generate_v1mc",
       "uuid_generate_v4", "uuidv4", "uuidv7"});
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].is_name() && tokens[i + 1].text == "(" &&
        std::ranges::find(kVolatile, name_of(tokens[i])) != kVolatile.end())
      return name_of(tokens[i]);
  }
  return {};
}

void Linter::alter_table(SqlCursor cursor) {
  cursor.accept("if exists");
  cursor.accept("only");
  const std::string table = cursor.name();
  if (!cursor.done() && cursor.rest().front().text == "*") cursor.skip();
  while (!cursor.done()) alter_action(table, cursor.item());
}

void Linter::alter_action(const std::string& table, SqlTokens action) {
  SqlCursor cursor(action);
  if (cursor.accept("validate constraint")) return validate(table, cursor.name());
  if (cursor.accept("attach partition")) {
    if (!is_new(table))
      report("attach-partition",
             fmt::format(
                 "reads all of the partition, while nobody may use it, unless a valid constraint proves that its rows "
                 "fit; {} itself stays in use",
                 table),
             "-- before, in a migration of its own:\nalter table PARTITION add constraint fits check (…) not "
             "valid;\nalter table "
             "PARTITION validate constraint fits;");
    return;
  }
  if (cursor.accept("detach partition")) {
    if (!is_new(table) && !contains_words(action, "concurrently") && !contains_words(action, "finalize"))
      report("detach-partition-without-concurrently",
             fmt::format("takes an ACCESS EXCLUSIVE lock on {}: nobody reads or writes any of its partitions meanwhile",
                         table),
             fmt::format("-- migrate:no-transaction\nalter table {} {} concurrently;", table, text_of(action)));
    return;
  }
  const bool foreign_key = contains_words(action, "foreign key");
  if (!foreign_key && !(cursor.at("alter") && contains_words(action, "set statistics"))) exclusive(table);
  if (cursor.accept("add constraint")) return add_constraint(table, cursor);
  for (const std::string_view begin : {"primary key", "unique", "check", "foreign key", "exclude"}) {
    SqlCursor unnamed(action);
    if (!unnamed.accept("add")) break;
    SqlCursor probe = unnamed;
    if (probe.accept(begin)) return add_constraint(table, unnamed);
  }
  if (cursor.accept("add")) return add_column(table, cursor);
  if (cursor.accept("drop constraint") || cursor.accept("rename constraint")) return;
  if (cursor.accept("drop")) return drop_column(table, cursor);
  if (cursor.accept("rename")) return rename(table, cursor);
  if (cursor.accept("alter")) return alter_column(table, cursor);
  if (!is_new(table) && (cursor.accept("set logged") || cursor.accept("set unlogged") ||
                         cursor.accept("set tablespace") || cursor.accept("set access method")))
    report(
        "table-rewrite",
        fmt::format("writes all of {} anew under an ACCESS EXCLUSIVE lock: nobody reads or writes it meanwhile", table),
        "");
}

void Linter::add_column(const std::string& table, SqlCursor cursor) {
  cursor.accept("column");
  cursor.accept("if not exists");
  const std::string column = cursor.name();
  const SqlTokens rest = cursor.rest();
  if (is_new(table)) return;
  const SqlTokens value = default_of(rest);
  const bool serial = !rest.empty() && (rest[0].is("serial") || rest[0].is("bigserial") || rest[0].is("smallserial"));
  const bool generated = contains_words(rest, "generated");
  const bool has_value = serial || generated || !is_null(value);
  const std::string call = volatile_call(value);
  if (serial || generated || !call.empty()) {
    const std::string reason = serial      ? "a serial"
                               : generated ? "a generated column"
                                           : fmt::format("{}(), which differs for each row,", call);
    report("add-column-rewrite",
           fmt::format(
               "{} is written into every row: all of {} is written anew under an ACCESS EXCLUSIVE lock; nobody reads "
               "or writes it meanwhile",
               reason, table),
           fmt::format("alter table {0} add column {1} TYPE;  -- without a value\nalter table {0} alter column {1} set "
                       "default {2};  -- for "
                       "new rows\n-- then, in a program: update {0} set {1} = … where {1} is null, some thousand rows "
                       "a transaction",
                       identifier(table), identifier(column), value.empty() ? "…" : text_of(value)));
  }
  if (contains_words(rest, "not null") && !has_value)
    report("add-column-not-null", fmt::format("fails when {} has rows: they have no value for it", table),
           fmt::format("alter table {} add column {} TYPE not null default …;  -- a constant default costs nothing",
                       identifier(table), identifier(column)));
  if (contains_words(rest, "unique") || contains_words(rest, "primary key"))
    report("unique-without-index",
           fmt::format("builds an index under an ACCESS EXCLUSIVE lock: nobody reads or writes {} meanwhile", table),
           fmt::format("alter table {0} add column {1} TYPE;\n-- in a file of its own:\n-- "
                       "migrate:no-transaction\ncreate unique index "
                       "concurrently {2} on {0} ({1});\n-- in the next:\nalter table {0} add constraint {2} unique "
                       "using index {2};",
                       identifier(table), identifier(column), identifier(table + "_" + column + "_key")));
  if (contains_words(rest, "check"))
    report("check-without-not-valid",
           fmt::format("reads all of {} under an ACCESS EXCLUSIVE lock to check the rows that are there", table),
           fmt::format("alter table {0} add column {1} TYPE;\nalter table {0} add constraint {2} check (…) not "
                       "valid;\n-- in the next "
                       "file:\nalter table {0} validate constraint {2};",
                       identifier(table), identifier(column), identifier(table + "_" + column + "_check")));
  if (contains_words(rest, "references") && has_value)
    report("foreign-key-without-not-valid",
           fmt::format("reads all of {} to check its new values, while nobody writes it or the table that it refers to",
                       table),
           fmt::format("alter table {0} add column {1} TYPE;\nalter table {0} add constraint {2} foreign key ({1}) "
                       "references … not "
                       "valid;\n-- in the next file:\nalter table {0} validate constraint {2};",
                       identifier(table), identifier(column), identifier(table + "_" + column + "_fkey")));
}

void Linter::add_constraint(const std::string& table, SqlCursor cursor) {
  SqlCursor after_name = cursor;
  std::string name;
  if (!cursor.at("primary") && !cursor.at("unique") && !cursor.at("check") && !cursor.at("foreign") &&
      !cursor.at("exclude")) {
    name = after_name.name();
  }
  const std::string shown = name.empty() ? "NAME" : identifier(name);
  const SqlTokens definition = after_name.rest();
  const bool not_valid = contains_words(definition, "not valid");
  if (!name.empty()) added_here_.insert({table, name});
  SqlCursor kind = after_name;
  if (kind.accept("check")) {
    if (const std::string column = not_null_column(kind.parentheses()); !column.empty() && !name.empty())
      checks_[{table, name}] = {column, !not_valid};
    if (not_valid || is_new(table)) return;
    report("check-without-not-valid",
           fmt::format("reads all of {} under an ACCESS EXCLUSIVE lock: nobody reads or writes it meanwhile", table),
           fmt::format("alter table {0} add constraint {1} {2} not valid;\n-- in the next file:\nalter table {0} "
                       "validate constraint "
                       "{1};",
                       identifier(table), shown, text_of(definition)));
  } else if (kind.accept("foreign key")) {
    if (not_valid || is_new(table)) return;
    report("foreign-key-without-not-valid",
           fmt::format("reads all of {}, while nobody writes it or the table that it refers to", table),
           fmt::format("alter table {0} add constraint {1} {2} not valid;\n-- in the next file:\nalter table {0} "
                       "validate constraint "
                       "{1};",
                       identifier(table), shown, text_of(definition)));
  } else if (kind.accept("exclude")) {
    if (is_new(table)) return;
    report(
        "exclusion-constraint",
        fmt::format(
            "builds an index under an ACCESS EXCLUSIVE lock: nobody reads or writes {} meanwhile, and PostgreSQL knows "
            "no other way",
            table),
        "");
  } else if (!contains_words(definition, "using index") && !is_new(table)) {
    const bool primary = kind.at("primary");
    SqlCursor columns = kind;
    columns.accept(primary ? "primary key" : "unique");
    report("unique-without-index",
           fmt::format("builds an index under an ACCESS EXCLUSIVE lock: nobody reads or writes {} meanwhile", table),
           fmt::format("-- in a file of its own:\n-- migrate:no-transaction\ncreate unique index concurrently {1} on "
                       "{0} ({2});\n-- in the "
                       "next:\nalter table {0} add constraint {1} {3} using index {1};",
                       identifier(table), shown, text_of(columns.parentheses()), primary ? "primary key" : "unique"));
  }
}

void Linter::alter_column(const std::string& table, SqlCursor cursor) {
  cursor.accept("column");
  const std::string column = cursor.name();
  if (cursor.accept("type") || cursor.accept("set data type")) return change_type(table, column, cursor.rest());
  if (cursor.accept("set not null")) return set_not_null(table, column);
}

void Linter::change_type(const std::string& table, const std::string& column, SqlTokens action) {
  if (is_new(table)) return;
  const LintFact* measured = fact();
  const bool is_rewrite =
      measured != nullptr && std::ranges::find(measured->rewritten, table) != measured->rewritten.end();
  const bool unknown = !options_.facts.has_value();
  if (is_rewrite || unknown)
    report(
        "column-type-rewrite",
        fmt::format("{} all of {} and its indexes anew under an ACCESS EXCLUSIVE lock: nobody reads or writes it "
                    "meanwhile; the "
                    "program that still runs has the old type",
                    is_rewrite ? "writes" : "may write", table),
        fmt::format("alter table {0} add column {1} {2};\n-- let the program write both, and fill in the rows that are "
                    "there, some "
                    "thousand a transaction;\n-- then let it read {1}, and drop {3} when no program uses it any more",
                    identifier(table), identifier(column + "_new"), text_of(action), identifier(column)));
}

void Linter::set_not_null(const std::string& table, const std::string& column) {
  if (is_new(table)) return;
  const bool proved = std::ranges::any_of(checks_, [&](const auto& check) {
    return check.first.first == table && check.second.column == column && check.second.valid;
  });
  if (proved) return;
  report("set-not-null",
         fmt::format("reads all of {} under an ACCESS EXCLUSIVE lock: nobody reads or writes it meanwhile", table),
         fmt::format("alter table {0} add constraint {2} check ({1} is not null) not valid;\n-- in the next file, "
                     "without that lock:\nalter "
                     "table {0} validate constraint {2};\n-- which proves it, so that this reads nothing:\nalter table "
                     "{0} alter column {1} "
                     "set not null;\nalter table {0} drop constraint {2};",
                     identifier(table), identifier(column), identifier(column + "_not_null")));
}

void Linter::drop_column(const std::string& table, SqlCursor cursor) {
  cursor.accept("column");
  cursor.accept("if exists");
  const std::string column = cursor.name();
  if (is_new(table)) return;
  report("drop-column",
         fmt::format("the program that still runs while this one starts may use {}.{}, and its values are lost{}",
                     table, column, used_by_queries(table, column)),
         "-- first ship a program that does not use it; then, in a later release, drop it and write above it:\n-- "
         "ashlar: allow "
         "drop-column no program has used it since VERSION");
}

void Linter::rename(const std::string& table, SqlCursor cursor) {
  if (is_new(table)) return;
  if (cursor.accept("to")) {
    const std::string to = cursor.name();
    report("rename-table",
           fmt::format("the program that still runs while this one starts asks for {}{}", table,
                       used_by_queries(table, {})),
           fmt::format("alter table {0} rename to {1};\ncreate view {0} as select * from {1};  -- in the same "
                       "transaction; dropped when "
                       "no program asks for it",
                       identifier(table), identifier(to)));
    return;
  }
  cursor.accept("column");
  const std::string from = cursor.name();
  cursor.accept("to");
  const std::string to = cursor.name();
  report("rename-column",
         fmt::format("the program that still runs while this one starts asks for {}.{}{}", table, from,
                     used_by_queries(table, from)),
         fmt::format("alter table {} add column {} TYPE;\n-- let the program write both, fill in the rows that are "
                     "there, read the new "
                     "one, and drop {} when no program uses it",
                     identifier(table), identifier(to), identifier(from)));
}

void Linter::validate(const std::string& table, const std::string& constraint) {
  if (const auto it = checks_.find({table, constraint}); it != checks_.end()) it->second.valid = true;
  if (is_new(table) || !migration_->transactional || !added_here_.contains({table, constraint})) return;
  report(
      "validate-in-same-transaction",
      fmt::format(
          "the lock of `add constraint` lasts until the commit, so that nobody uses {} while its rows are read: `not "
          "valid` has gained nothing",
          table),
      fmt::format("-- in the next file:\nalter table {} validate constraint {};", identifier(table),
                  identifier(constraint)));
}

}  // namespace ashlar::pg::detail
