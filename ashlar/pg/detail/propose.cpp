#include <ashlar/pg/detail/propose.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg::detail {
namespace {

std::string column_list(const TableRule& rule) {
  std::string out;
  for (const std::string_view column : rule.columns()) out += (out.empty() ? "" : ", ") + identifier(column);
  return out;
}

/// Up and down of one file.
class File {
 public:
  void up(std::string_view sql) { up_ += fmt::format("{};\n", sql); }
  void comment(std::string_view text) { up_ += fmt::format("-- {}\n", text); }
  /// The last statement is taken back first.
  void down(std::string_view sql) { down_ = fmt::format("{};\n{}", sql, down_); }
  [[nodiscard]] bool empty() const noexcept { return up_.empty(); }
  [[nodiscard]] ProposedMigration finish(std::string name, bool transactional = true) const {
    return {std::move(name),
            fmt::format("{}{}\n-- migrate:down\n{}", transactional ? "" : "-- migrate:no-transaction\n", up_,
                        down_.empty() ? "select;  -- there is nothing to take back\n" : down_)};
  }

 private:
  std::string up_, down_;
};

/// "(a, b)" of "… USING btree (a, b)", "UNIQUE (a, b)", "PRIMARY KEY (a, b)"; empty: it is of some rows only, or
/// another kind.
std::string_view key_of(std::string_view definition) {
  if (definition.find(" WHERE ") != std::string_view::npos) return {};
  const std::size_t btree = definition.find(" USING btree (");
  if (btree != std::string_view::npos) return definition.substr(btree + 13);
  if (definition.starts_with("UNIQUE (")) return definition.substr(7);
  if (definition.starts_with("PRIMARY KEY (")) return definition.substr(12);
  return {};
}
bool begins_with_key(std::string_view key, std::string_view wanted) {
  wanted.remove_suffix(1);  // the parenthesis
  return key.starts_with(wanted) && key.size() > wanted.size() &&
         (key[wanted.size()] == ')' || key[wanted.size()] == ',');
}

std::string without_not_valid(std::string definition) {
  constexpr std::string_view kNotValid = " NOT VALID";
  if (definition.ends_with(kNotValid)) definition.resize(definition.size() - kNotValid.size());
  return definition;
}

/// "FOREIGN KEY (shop_id)" of a definition.
std::string_view key_columns(std::string_view foreign_key) { return foreign_key.substr(0, foreign_key.find(')')); }

std::string word(std::string_view name) {
  std::string out;
  for (const char c : name) out += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
  return out;
}

class Proposer {
 public:
  Proposer(const Image& now, const Image& wanted, const TypeMap& types) : now_(now), wanted_(wanted), types_(types) {}

  MigrationProposal run(const std::vector<DeclaredTable>& tables) {
    create(tables);
    for (const DeclaredTable& table : tables) {
      if (now_.tables.contains(table.name)) change(table);
    }
    return std::move(out_);
  }

 private:
  using Item = std::pair<const std::pair<ImageKind, std::string>, ImageItem>;

  static std::string name_of(const Item& item) { return item.first.second.substr(item.first.second.rfind('.') + 1); }

  std::vector<const Item*> items_of(const Image& image, const std::string& table, ImageKind kind) const {
    std::vector<const Item*> out;
    for (const Item& item : image.items) {
      if (item.first.first == kind && item.second.table == table) out.push_back(&item);
    }
    return out;
  }

  void create(const std::vector<DeclaredTable>& tables) {
    File file;
    std::string names;
    std::vector<std::string> later;
    for (const DeclaredTable& table : tables) {
      if (now_.tables.contains(table.name)) continue;
      names += "_" + word(table.name);
      std::string columns;
      for (const ImageColumn& column : wanted_.tables.at(table.name).columns)
        columns += fmt::format("{}  {}", columns.empty() ? "" : ",\n", column_sql(column));
      for (const Item* item : items_of(wanted_, table.name, ImageKind::constraint)) {
        if (item->second.definition.starts_with("FOREIGN KEY")) {
          later.push_back(item->second.create);
        } else {
          columns += fmt::format(",\n  constraint {} {}", name_of(*item), item->second.definition);
        }
      }
      if (const std::size_t dot = table.name.find('.'); dot != std::string::npos) {
        const std::string schema = table.name.substr(0, dot);
        if (!now_.items.contains({ImageKind::schema, schema}))
          file.up(fmt::format("create schema if not exists {}", schema));
      }
      file.up(fmt::format("create table {} (\n{}\n)", table.name, columns));
      file.down(fmt::format("drop table {}", table.name));
      for (const Item* item : items_of(wanted_, table.name, ImageKind::index)) later.push_back(item->second.create);
    }
    for (const std::string& sql : later) file.up(sql);
    if (!file.empty()) out_.files.push_back(file.finish("create" + names));
  }

  void change(const DeclaredTable& table) {
    table_ = &table;
    const ImageTable& now = now_.tables.at(table.name);
    const ImageTable& wanted = wanted_.tables.at(table.name);
    const auto specs = table.declaration->spec().columns;
    File columns, validated;
    std::string added;
    std::vector<const ImageColumn*> new_columns;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const ImageColumn& column = wanted.columns[i];
      const ImageColumn* before = now.find(column.name);
      if (before == nullptr) {
        new_columns.push_back(&column);
        added = added.empty() ? word(column.name) : added + "_" + word(column.name);
        add(column, columns);
      } else {
        alter(specs[i], *before, column, columns, validated);
      }
    }
    lost(now, wanted, new_columns, columns);
    constraints(columns, validated);
    const std::string stem = word(table.name);
    if (!columns.empty())
      out_.files.push_back(
          columns.finish(added.empty() || added.size() > 40 ? stem + "_change" : stem + "_add_" + added));
    if (!validated.empty()) out_.files.push_back(validated.finish(stem + "_validate"));
    indexes();
  }

  void add(const ImageColumn& column, File& file) {
    ImageColumn made = column;
    const bool lacks_value = column.not_null && column.default_value.empty() && column.identity.empty();
    made.not_null = column.not_null && !lacks_value;
    if (lacks_value)
      file.comment(fmt::format(
          "Rows that are there have no value for {0}: fill them in, some thousand a transaction; then `migrate "
          "diff` proposes `not null`. Or give the declaration pg::default_value{{\"{0}\", …}}.",
          column.name));
    file.up(fmt::format("alter table {} add column {}", table_->name, column_sql(made)));
    file.down(fmt::format("alter table {} drop column {}", table_->name, column.name));
  }

  void alter(const TableColumn& spec, const ImageColumn& before, const ImageColumn& column, File& file,
             File& validated) {
    const std::string alter = fmt::format("alter table {} alter column {}", table_->name, column.name);
    const bool fits = spec.type_is_given ? before.type == column.type : spec.accepts(types_, before.type_id);
    if (!fits) {
      file.comment(
          fmt::format("This may write all of {} anew while nobody uses it: see `migrate lint`.", table_->name));
      file.up(fmt::format("{} type {} using {}::{}", alter, column.type, column.name, column.type));
      file.down(fmt::format("{} type {} using {}::{}", alter, before.type, column.name, before.type));
    }
    if (!column.default_value.empty() && column.default_value != before.default_value) {
      file.up(fmt::format("{} set default {}", alter, column.default_value));
      file.down(before.default_value.empty() ? fmt::format("{} drop default", alter)
                                             : fmt::format("{} set default {}", alter, before.default_value));
    }
    if (before.not_null && !column.not_null) {
      file.up(fmt::format("{} drop not null", alter));
      file.comment(fmt::format("the way back needs a value in every row of {}.{}", table_->name, column.name));
      file.down(fmt::format("{} set not null", alter));
    } else if (!before.not_null && column.not_null) {
      const std::string name = identifier(fmt::format("{}_{}_not_null", word(table_->name), word(column.name)));
      file.up(fmt::format("alter table {} add constraint {} check ({} is not null) not valid", table_->name, name,
                          column.name));
      file.down(fmt::format("alter table {} drop constraint if exists {}", table_->name, name));
      validated.up(fmt::format("alter table {} validate constraint {}", table_->name, name));
      validated.up(fmt::format("{} set not null", alter));
      validated.up(fmt::format("alter table {} drop constraint {}", table_->name, name));
      validated.down(fmt::format("{} drop not null", alter));
    }
    if (!column.identity.empty() && before.identity.empty() && !before.default_value.starts_with("nextval(")) {
      File& after = before.not_null ? file : validated;  // it must be so first
      after.up(fmt::format("{} add generated {} as identity", alter, column.identity));
      after.up(fmt::format("select setval(pg_get_serial_sequence({}, {}), coalesce(max({}), 0) + 1, false) from {}",
                           quote_literal(table_->name), quote_literal(spec.name), column.name, table_->name));
      after.down(fmt::format("{} drop identity", alter));
    }
    labels(spec, before, file);
  }

  /// Values that the C++ enum has and the one of the database lacks.
  void labels(const TableColumn& spec, const ImageColumn& before, File& file) {
    const auto type = now_.enums.find(before.type);
    if (type == now_.enums.end()) return;
    for (const schema::Enumerator& value : spec.values) {
      if (std::ranges::find(type->second, value.name) == type->second.end())
        file.up(fmt::format("alter type {} add value if not exists {}", before.type, quote_literal(value.name)));
    }
  }

  /// Columns that no member has: never dropped, since rows would lose them.
  void lost(const ImageTable& now, const ImageTable& wanted, const std::vector<const ImageColumn*>& added, File& file) {
    for (const ImageColumn& column : now.columns) {
      if (wanted.find(column.name) != nullptr) continue;
      std::string note = fmt::format(
          "{}.{} is no member of {} ({}:{}). When no program uses it any more: alter table {} drop column {};",
          table_->name, column.name, table_->declaration->spec().cpp_type(), table_->declaration->file(),
          table_->declaration->line(), table_->name, column.name);
      for (const ImageColumn* other : added) {
        if (other->type != column.type) continue;
        note += fmt::format(
            " Is {0} its new name? Then take `add column {0}` out: alter table {1} rename column {2} to {0}; the "
            "program that still runs would miss the old one.",
            other->name, table_->name, column.name);
      }
      if (!file.empty()) file.comment(note);
      if (column.not_null && column.default_value.empty() && column.identity.empty())
        note += fmt::format(" It may not be null: inserts fail until: alter table {} alter column {} drop not null;",
                            table_->name, column.name);
      out_.notes.push_back(std::move(note));
    }
  }

  /// Whether the first columns of an index or a key that is there are these.
  [[nodiscard]] bool has_key(std::string_view wanted, bool unique) const {
    for (const ImageKind kind : {ImageKind::constraint, ImageKind::index}) {
      for (const Item* item : items_of(now_, table_->name, kind)) {
        const std::string& definition = item->second.definition;
        const std::string_view key = key_of(definition);
        if (key.empty() || !item->second.valid) continue;
        if (unique ? key == wanted && (kind == ImageKind::constraint || definition.starts_with("CREATE UNIQUE"))
                   : begins_with_key(key, wanted))
          return true;
      }
    }
    return false;
  }

  void constraints(File& file, File& validated) {
    const auto now = items_of(now_, table_->name, ImageKind::constraint);
    for (const Item* item : items_of(wanted_, table_->name, ImageKind::constraint)) {
      const std::string& definition = item->second.definition;
      if (!key_of(definition).empty()) continue;  // see indexes()
      const bool is_foreign_key = definition.starts_with("FOREIGN KEY");
      bool is_there = false;
      std::string replaced;
      for (const Item* other : now) {
        const std::string there = without_not_valid(other->second.definition);
        if (there == definition) is_there = true;
        const bool same = is_foreign_key
                              ? there.starts_with("FOREIGN KEY") && key_columns(there) == key_columns(definition)
                              : name_of(*other) == name_of(*item);
        if (same && there != definition) {
          replaced = other->second.drop;
          file.up(other->second.drop);
        }
      }
      if (is_there) continue;
      const std::string name = name_of(*item);
      file.up(fmt::format("alter table {} add constraint {} {} not valid", table_->name, name, definition));
      file.down(item->second.drop);
      validated.up(fmt::format("alter table {} validate constraint {}", table_->name, name));
    }
  }

  // Each a file of its own: what is built concurrently is no part of a transaction.
  void indexes() {
    const std::string stem = word(table_->name);
    for (const Item* item : items_of(wanted_, table_->name, ImageKind::constraint)) {
      const std::string& definition = item->second.definition;
      const std::string_view key = key_of(definition);
      const bool primary = definition.starts_with("PRIMARY KEY");
      if (key.empty() || (primary ? has_primary_key() : has_key(key, true))) continue;
      if (primary && has_other_primary_key(key)) continue;
      const std::string name = name_of(*item);
      File build, use;
      build.up(fmt::format("create unique index concurrently {} on {} {}", name, table_->name, key));
      build.down(fmt::format("drop index concurrently if exists {}", name));
      out_.files.push_back(build.finish(fmt::format("{}_index_{}", stem, word(name)), false));
      use.up(fmt::format("alter table {} add constraint {} {} using index {}", table_->name, name,
                         primary ? "primary key" : "unique", name));
      use.down(item->second.drop);
      out_.files.push_back(use.finish(fmt::format("{}_{}", stem, word(name))));
    }
    for (const Item* item : items_of(wanted_, table_->name, ImageKind::index)) {
      const std::string_view key = key_of(item->second.definition);
      if (has_key(key, false)) continue;
      const std::string name = name_of(*item);
      File file;
      file.up(fmt::format("create index concurrently {} on {} {}", name, table_->name, key));
      file.down(fmt::format("drop index concurrently {}", name));
      out_.files.push_back(file.finish(fmt::format("{}_index_{}", stem, word(name)), false));
    }
  }

  [[nodiscard]] bool has_primary_key() const {
    for (const Item* item : items_of(wanted_, table_->name, ImageKind::constraint)) {
      if (!item->second.definition.starts_with("PRIMARY KEY")) continue;
      for (const Item* other : items_of(now_, table_->name, ImageKind::constraint)) {
        if (other->second.definition == item->second.definition) return true;
      }
    }
    return false;
  }
  bool has_other_primary_key(std::string_view key) {
    for (const Item* other : items_of(now_, table_->name, ImageKind::constraint)) {
      if (!other->second.definition.starts_with("PRIMARY KEY")) continue;
      out_.notes.push_back(
          fmt::format("the key of {} is {} in the database and {} in the declaration: write that migration yourself",
                      table_->name, key_of(other->second.definition), key));
      return true;
    }
    return false;
  }

  const Image& now_;
  const Image& wanted_;
  const TypeMap& types_;
  const DeclaredTable* table_ = nullptr;
  MigrationProposal out_;
};

}  // namespace

std::string create_sql(const TableSpec& spec) {
  std::string out;
  for (const TableColumn& column : spec.columns)
    out += fmt::format("{}  {} {}{}{}{}", out.empty() ? "" : ",\n", identifier(column.name), column.sql_type(),
                       column.identity ? " generated always as identity" : "",
                       column.default_value.empty() ? "" : fmt::format(" default {}", column.default_value),
                       column.nullable ? "" : " not null");
  for (const TableRule& rule : spec.rules) {
    if (rule.kind == TableRuleKind::primary_key) out += fmt::format(",\n  primary key ({})", column_list(rule));
    if (rule.kind == TableRuleKind::unique) out += fmt::format(",\n  unique ({})", column_list(rule));
    if (rule.kind == TableRuleKind::constraint)
      out += fmt::format(",\n  constraint {} {}", identifier(rule.columns().front()), rule.sql);
  }
  return fmt::format("create table {} (\n{}\n)", identifier_of_table(spec.name), out);
}

std::vector<std::string> later_sql(const TableSpec& spec) {
  std::vector<std::string> out;
  for (const TableRule& rule : spec.rules) {
    if (rule.kind == TableRuleKind::references)
      out.push_back(fmt::format("alter table {} add foreign key ({}) references {}", identifier_of_table(spec.name),
                                column_list(rule), rule.sql));
    if (rule.kind == TableRuleKind::index)
      out.push_back(fmt::format("create index on {} ({})", identifier_of_table(spec.name), column_list(rule)));
  }
  return out;
}

MigrationProposal propose(const std::vector<DeclaredTable>& tables, const Image& now, const Image& wanted,
                          const TypeMap& types) {
  return Proposer(now, wanted, types).run(tables);
}

}  // namespace ashlar::pg::detail
