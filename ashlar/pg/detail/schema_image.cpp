#include <ashlar/pg/detail/schema_image.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/blocking_client.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr std::string_view kOwn = "ashlar_";  // tables that the library makes when they are needed

class Comparison {
 public:
  Comparison(const Image& live, const Image& wanted) : live_(live), wanted_(wanted) {}

  std::vector<SchemaDifference> run() {
    for (const ImageKind kind : {ImageKind::trigger, ImageKind::policy, ImageKind::view, ImageKind::index,
                                 ImageKind::constraint, ImageKind::function})
      drop_extra(kind);
    for (const ImageKind kind : {ImageKind::extension, ImageKind::schema}) make_missing(kind);
    enums();
    for (const ImageKind kind : {ImageKind::domain, ImageKind::composite, ImageKind::sequence, ImageKind::function})
      make_missing(kind);
    tables();
    for (const ImageKind kind :
         {ImageKind::constraint, ImageKind::index, ImageKind::view, ImageKind::trigger, ImageKind::policy})
      make_missing(kind);
    for (const ImageKind kind :
         {ImageKind::sequence, ImageKind::composite, ImageKind::domain, ImageKind::schema, ImageKind::extension})
      drop_extra(kind);
    return std::move(out_);
  }

 private:
  void add(std::string object, std::string text, std::string sql) {
    out_.push_back({std::move(object), std::move(text), std::move(sql)});
  }

  static std::string object_of(ImageKind kind, const std::string& name) {
    return fmt::format("{} {}", to_string(kind), name);
  }

  /// Its table is no table of the other side, where it is told of as a whole.
  static bool goes_with_table(const ImageItem& item, const Image& other) {
    return !item.table.empty() && !other.tables.contains(item.table) &&
           !other.items.contains({ImageKind::view, item.table});
  }

  void drop_extra(ImageKind kind) {
    for (const auto& [key, item] : live_.items) {
      if (key.first != kind || wanted_.items.contains(key) || goes_with_table(item, wanted_)) continue;
      add(object_of(kind, key.second), "is not of the migrations", item.drop + ";");
    }
  }

  void make_missing(ImageKind kind) {
    for (const auto& [key, item] : wanted_.items) {
      if (key.first != kind) continue;
      const auto it = live_.items.find(key);
      if (it == live_.items.end()) {
        if (!goes_with_table(item, live_)) add(object_of(kind, key.second), "is missing", item.create + ";");
      } else {
        change(kind, key.second, it->second, item);
      }
    }
  }

  void change(ImageKind kind, const std::string& name, const ImageItem& live, const ImageItem& wanted) {
    if (live.definition == wanted.definition) {
      if (live.valid == wanted.valid) return;
      if (kind == ImageKind::index)
        add(object_of(kind, name),
            live.valid ? "is valid; that of the migrations is not" : "is not valid: it was not built to its end",
            live.valid ? "" : fmt::format("{};\n{};", live.drop, wanted.create));
      return;
    }
    // Of a constraint only the rows that are there were not looked at: its definition says NOT VALID.
    const std::string not_valid = " NOT VALID";
    if (kind == ImageKind::constraint && live.definition == wanted.definition + not_valid) {
      const std::size_t dot = live.drop.rfind(" drop constraint ");
      add(object_of(kind, name), "is not validated",
          fmt::format("{} validate constraint {};", live.drop.substr(0, dot), live.drop.substr(dot + 17)));
      return;
    }
    const bool replaces =
        wanted.create.starts_with("CREATE OR REPLACE") || wanted.create.starts_with("create or replace");
    const bool one_line =
        live.definition.find('\n') == std::string::npos && wanted.definition.find('\n') == std::string::npos;
    add(object_of(kind, name),
        one_line ? fmt::format("is `{}`; the migrations make `{}`", live.definition, wanted.definition)
                 : std::string("is not as the migrations make it"),
        replaces ? wanted.create + ";" : fmt::format("{};\n{};", live.drop, wanted.create));
  }

  void enums() {
    for (const auto& [name, labels] : wanted_.enums) {
      const auto it = live_.enums.find(name);
      if (it == live_.enums.end()) {
        std::string list;
        for (const std::string& label : labels) list += (list.empty() ? "" : ", ") + quote_literal(label);
        add("enum " + name, "is missing", fmt::format("create type {} as enum ({});", name, list));
        continue;
      }
      labels_of(name, it->second, labels);
    }
    for (const auto& [name, labels] : live_.enums) {
      if (!wanted_.enums.contains(name))
        add("enum " + name, "is not of the migrations", fmt::format("drop type {};", name));
    }
  }

  void labels_of(const std::string& name, const std::vector<std::string>& live,
                 const std::vector<std::string>& wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (std::ranges::find(live, wanted[i]) != live.end()) continue;
      const std::string where = i > 0          ? " after " + quote_literal(wanted[i - 1])
                                : live.empty() ? std::string()
                                               : " before " + quote_literal(live.front());
      add("enum " + name, fmt::format("lacks the value {}", quote_literal(wanted[i])),
          fmt::format("alter type {} add value {}{};", name, quote_literal(wanted[i]), where));
    }
    std::vector<std::string> common_live, common_wanted;
    for (const std::string& label : live) {
      if (std::ranges::find(wanted, label) == wanted.end()) {
        add("enum " + name,
            fmt::format("has the value {}, which the migrations do not make (PostgreSQL cannot take it away)",
                        quote_literal(label)),
            "");
      } else {
        common_live.push_back(label);
      }
    }
    for (const std::string& label : wanted) {
      if (std::ranges::find(live, label) != live.end()) common_wanted.push_back(label);
    }
    if (common_live != common_wanted)
      add("enum " + name, "has its values in another order, which tells in comparisons (PostgreSQL cannot change it)",
          "");
  }

  void tables() {
    for (const auto& [name, table] : wanted_.tables) {
      const auto it = live_.tables.find(name);
      if (it == live_.tables.end()) {
        create(name, table);
      } else {
        columns_of(name, it->second, table);
      }
    }
    for (const auto& [name, table] : live_.tables) {
      if (wanted_.tables.contains(name) || name.starts_with(kOwn)) continue;
      add("table " + name, "is not of the migrations", fmt::format("drop table {};", name));
    }
  }

  void create(const std::string& name, const ImageTable& table) {
    std::string columns;
    for (const ImageColumn& column : table.columns)
      columns += fmt::format("{}  {}", columns.empty() ? "" : ",\n", column_sql(column));
    std::string sql = fmt::format("create {}table {} (\n{}\n){};", table.unlogged ? "unlogged " : "", name, columns,
                                  table.partition_key.empty() ? "" : " partition by " + table.partition_key);
    for (const auto& [key, item] : wanted_.items) {
      if (item.table == name) sql += "\n" + item.create + ";";
    }
    if (table.row_security) sql += fmt::format("\nalter table {} enable row level security;", name);
    add("table " + name, "is missing", std::move(sql));
  }

  void columns_of(const std::string& name, const ImageTable& live, const ImageTable& wanted) {
    if (live.partition_key != wanted.partition_key)
      add("table " + name,
          fmt::format("is partitioned by `{}`; the migrations make it `{}`", live.partition_key, wanted.partition_key),
          "");
    if (live.unlogged != wanted.unlogged)
      add("table " + name, live.unlogged ? "is unlogged" : "is logged",
          fmt::format("alter table {} set {};", name, wanted.unlogged ? "unlogged" : "logged"));
    if (live.row_security != wanted.row_security)
      add("table " + name, live.row_security ? "has row level security" : "lacks row level security",
          fmt::format("alter table {} {} row level security;", name, wanted.row_security ? "enable" : "disable"));
    if (live.row_security_forced != wanted.row_security_forced)
      add("table " + name,
          live.row_security_forced ? "forces row level security on its owner"
                                   : "does not force row level security on its owner",
          fmt::format("alter table {} {}force row level security;", name, wanted.row_security_forced ? "" : "no "));
    for (const ImageColumn& column : wanted.columns) {
      const ImageColumn* other = live.find(column.name);
      const std::string object = fmt::format("column {}.{}", name, column.name);
      if (other == nullptr) {
        add(object, "is missing", fmt::format("alter table {} add column {};", name, column_sql(column)));
      } else {
        column_of(name, object, *other, column);
      }
    }
    for (const ImageColumn& column : live.columns) {
      if (wanted.find(column.name) == nullptr)
        add(fmt::format("column {}.{}", name, column.name), "is not of the migrations",
            fmt::format("alter table {} drop column {};", name, column.name));
    }
  }

  void column_of(const std::string& table, const std::string& object, const ImageColumn& live,
                 const ImageColumn& wanted) {
    const std::string alter = fmt::format("alter table {} alter column {}", table, wanted.name);
    if (live.type != wanted.type || live.collation != wanted.collation) {
      const auto with_collation = [](const ImageColumn& column) {
        return column.type + (column.collation.empty() ? "" : " collate " + column.collation);
      };
      add(object, fmt::format("is {}; the migrations make it {}", with_collation(live), with_collation(wanted)),
          fmt::format("{} type {} using {}::{};", alter, with_collation(wanted), wanted.name, wanted.type));
    }
    if (live.generated != wanted.generated || (wanted.generated && live.default_value != wanted.default_value)) {
      add(object, live.generated ? "is generated in another way" : "is not generated",
          fmt::format("alter table {0} drop column {1};\nalter table {0} add column {2};", table, wanted.name,
                      column_sql(wanted)));
      return;
    }
    if (live.identity != wanted.identity) {
      add(object, live.identity.empty() ? "is no identity" : fmt::format("is an identity, generated {}", live.identity),
          wanted.identity.empty() ? fmt::format("{} drop identity;", alter)
          : live.identity.empty() ? fmt::format("{} add generated {} as identity;", alter, wanted.identity)
                                  : fmt::format("{} set generated {};", alter, wanted.identity));
    }
    if (live.default_value != wanted.default_value) {
      add(object,
          live.default_value.empty() ? std::string("has no default")
          : wanted.default_value.empty()
              ? fmt::format("has the default {}; that of the migrations has none", live.default_value)
              : fmt::format("has the default {}; the migrations give it {}", live.default_value, wanted.default_value),
          wanted.default_value.empty() ? fmt::format("{} drop default;", alter)
                                       : fmt::format("{} set default {};", alter, wanted.default_value));
    }
    if (live.not_null != wanted.not_null)
      add(object, live.not_null ? "is not null" : "may be null",
          fmt::format("{} {} not null;", alter, wanted.not_null ? "set" : "drop"));
  }

  const Image& live_;
  const Image& wanted_;
  std::vector<SchemaDifference> out_;
};

}  // namespace

std::string_view to_string(ImageKind kind) noexcept {
  switch (kind) {
    case ImageKind::extension:
      return "extension";
    case ImageKind::schema:
      return "schema";
    case ImageKind::domain:
      return "domain";
    case ImageKind::composite:
      return "type";
    case ImageKind::sequence:
      return "sequence";
    case ImageKind::function:
      return "function";
    case ImageKind::constraint:
      return "constraint";
    case ImageKind::index:
      return "index";
    case ImageKind::view:
      return "view";
    case ImageKind::trigger:
      return "trigger";
    case ImageKind::policy:
      return "policy";
  }
  return "?";
}

const ImageColumn* ImageTable::find(std::string_view column) const noexcept {
  const auto it = std::ranges::find(columns, column, &ImageColumn::name);
  return it == columns.end() ? nullptr : &*it;
}

std::string column_sql(const ImageColumn& column) {
  std::string out = fmt::format("{} {}", column.name, column.type);
  if (!column.collation.empty()) out += " collate " + column.collation;
  if (column.generated) {
    out += fmt::format(" generated always as ({}) stored", column.default_value);
  } else if (!column.identity.empty()) {
    out += fmt::format(" generated {} as identity", column.identity);
  } else if (!column.default_value.empty()) {
    out += " default " + column.default_value;
  }
  if (column.not_null) out += " not null";
  return out;
}

std::vector<SchemaDifference> compare_images(const Image& live, const Image& wanted) {
  return Comparison(live, wanted).run();
}

}  // namespace ashlar::pg::detail
