#include <ashlar/pg/detail/advise_catalog.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <utility>

#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::pg::detail {
namespace {

using Row = TextQuery::Row;

std::string text_at(const Row& row, std::size_t i) { return row.at(i).value_or(""); }
std::int64_t integer_at(const Row& row, std::size_t i) {
  std::int64_t value = 0;
  if (const auto& text = row.at(i)) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}
double real_at(const Row& row, std::size_t i) { return row.at(i) ? std::strtod(row.at(i)->c_str(), nullptr) : 0; }
bool bool_at(const Row& row, std::size_t i) { return row.at(i) == "t"; }
std::vector<std::string> list_at(const Row& row, std::size_t i) {
  std::vector<std::string> out;
  if (const auto tree = schema::parse_tree(row.at(i).value_or("[]"))) {
    for (const schema::Tree& item : tree->items) out.push_back(item.text);
  }
  return out;
}

// Tables and materialised views of the program's own; partitioned ones by their partitions, which hold the rows.
#define ASHLAR_OURS                                                                                     \
  "c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ " \
  "'^pg_(toast|temp)'"

constexpr std::string_view kTables =
    "select c.oid, n.nspname, c.relname, c.reltuples, c.relpages, pg_relation_size(c.oid) / "
    "current_setting('block_size')::int, s.n_mod_since_analyze, s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd, "
    "s.n_tup_del, "
    "s.seq_scan + coalesce(s.idx_scan, 0), obj_description(c.oid, 'pg_class'), pg_table_is_visible(c.oid) "
    "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
    "left join pg_catalog.pg_stat_all_tables s on s.relid = c.oid where " ASHLAR_OURS;
// n_distinct below zero is a share of the rows. https://www.postgresql.org/docs/current/view-pg-stats.html
constexpr std::string_view kColumns =
    "select c.oid, a.attname, coalesce(b.typname, t.typname), coalesce(b.typcategory, t.typcategory), "
    "case when s.n_distinct < 0 then -s.n_distinct * greatest(c.reltuples, 0) else s.n_distinct end, "
    "case when a.attlen > 0 then a.attlen "
    "when coalesce(b.typname, t.typname) in ('varchar', 'bpchar') and greatest(a.atttypmod, t.typtypmod) > 4 "
    "then 4 * greatest(a.atttypmod, t.typtypmod) "
    "when coalesce(b.typname, t.typname) = 'numeric' and greatest(a.atttypmod, t.typtypmod) > 4 "
    "then 8 + ((greatest(a.atttypmod, t.typtypmod) - 4) >> 16) / 2 end, s.avg_width, s.correlation "
    "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
    "join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
    "join pg_catalog.pg_type t on t.oid = a.atttypid left join pg_catalog.pg_type b on b.oid = t.typbasetype "
    "left join pg_catalog.pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname "
    "and not s.inherited where " ASHLAR_OURS;
// One that is being built is not valid yet, and nobody's to judge.
constexpr std::string_view kIndexes =
    "select c.oid, i.relname, m.amname, (select json_agg(pg_get_indexdef(x.indexrelid, k, true) order by k) "
    "from generate_series(1, x.indnkeyatts) k), pg_get_expr(x.indpred, x.indrelid, true), x.indisunique, "
    "p.index_relid is not null or i.relispartition or x.indisreplident or exists (select from pg_catalog.pg_constraint "
    "where conindid = "
    "x.indexrelid "
    "and contype in ('p', 'u', 'x', 'f')), "
    "x.indisvalid and x.indisready or p.index_relid is not null, pg_relation_size(x.indexrelid), s.idx_scan, "
    "pg_get_indexdef(x.indexrelid), "
    "obj_description(i.oid, 'pg_class') "
    "from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indrelid join pg_catalog.pg_namespace n on "
    "n.oid = "
    "c.relnamespace join pg_catalog.pg_class i on i.oid = x.indexrelid join pg_catalog.pg_am m on m.oid = i.relam "
    "left join pg_catalog.pg_stat_progress_create_index p on p.index_relid = x.indexrelid "
    "left join pg_catalog.pg_stat_all_indexes s on s.indexrelid = x.indexrelid where " ASHLAR_OURS
    " order by i.relname";
constexpr std::string_view kForeignKeys =
    "select c.oid, f.conname, (select json_agg(a.attname order by k.i) from unnest(f.conkey) with ordinality k(attnum, "
    "i) "
    "join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum), f.confrelid::regclass, "
    "obj_description(f.oid, 'pg_constraint') "
    "from pg_catalog.pg_constraint f join pg_catalog.pg_class c on c.oid = f.conrelid join pg_catalog.pg_namespace n "
    "on "
    "n.oid = c.relnamespace where f.contype = 'f' and " ASHLAR_OURS " order by f.conname";

#undef ASHLAR_OURS

}  // namespace

std::string CatalogTable::qualified() const {
  return schema == "public" && visible ? identifier(name) : identifier(schema) + "." + identifier(name);
}

std::string CatalogTable::beside(std::string_view index) const {
  return schema == "public" && visible ? identifier(index) : identifier(schema) + "." + identifier(index);
}

double CatalogTable::rows_now() const noexcept {
  if (rows_found >= 0) return rows_found;
  if (rows <= 0 || pages_then <= 0) return static_cast<double>(pages_now) * 50;  // a guess of the planner's kind
  return rows * static_cast<double>(pages_now) / static_cast<double>(pages_then);
}

bool CatalogTable::is_small() const noexcept { return pages_now < 50; }

const CatalogTable* Catalog::find(const std::string& schema, const std::string& name) const {
  const auto it = tables.find({schema, name});
  return it == tables.end() ? nullptr : &it->second;
}
const CatalogTable* Catalog::find(std::uint32_t id) const {
  for (const auto& [name, table] : tables) {
    if (table.id == id) return &table;
  }
  return nullptr;
}

void read_definition(CatalogIndex& index) {
  const auto all = sql_tokens(index.definition);
  const SqlTokens tokens(all);
  std::vector<std::string>* to = &index.full_keys;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].depth != 0 || tokens[i].kind != SqlToken::Kind::open) continue;
    const std::size_t close = closing(tokens, i);
    std::size_t from = i + 1;
    for (std::size_t at = from; at <= close && at < tokens.size(); ++at) {
      if (at < close && (tokens[at].depth != 1 || tokens[at].kind != SqlToken::Kind::comma)) continue;
      to->emplace_back(text_of(tokens.subspan(from, at - from)));
      from = at + 1;
    }
    if (close + 2 >= tokens.size() || !tokens[close + 1].is("include")) return;
    to = &index.included;
    i = close;
  }
}

Task<void> load_columns(Connection& connection, Catalog& catalog) {
  std::map<std::int64_t, CatalogTable*> by_id;
  for (auto& [name, table] : catalog.tables) by_id[table.id] = &table;
  for (const Row& row : co_await TextQuery(connection, kColumns)) {
    const auto table = by_id.find(integer_at(row, 0));
    if (table == by_id.end()) continue;
    const std::string name = text_at(row, 1);
    table->second->columns[name] = {.name = name,
                                    .type = text_at(row, 2),
                                    .category = row.at(3).value_or("U").front(),
                                    .distinct = real_at(row, 4),
                                    .most_bytes = integer_at(row, 5),
                                    .width = real_at(row, 6),
                                    .correlation = real_at(row, 7)};
  }
}

Task<Catalog> load_catalog(Connection& connection) {
  Catalog catalog;
  std::map<std::int64_t, CatalogTable*> by_id;
  for (const Row& row : co_await TextQuery(connection, kTables)) {
    CatalogTable table;
    table.id = static_cast<std::uint32_t>(integer_at(row, 0));
    table.schema = text_at(row, 1);
    table.name = text_at(row, 2);
    table.rows = real_at(row, 3);
    table.pages_then = integer_at(row, 4);
    table.pages_now = integer_at(row, 5);
    table.changed_since_analyze = integer_at(row, 6);
    table.inserts = integer_at(row, 7);
    table.updates = integer_at(row, 8);
    table.hot_updates = integer_at(row, 9);
    table.deletes = integer_at(row, 10);
    table.scans = integer_at(row, 11);
    table.comment = text_at(row, 12);
    table.visible = bool_at(row, 13);
    const std::pair key{table.schema, table.name};
    const std::int64_t id = table.id;
    by_id[id] = &catalog.tables.insert_or_assign(key, std::move(table)).first->second;
  }
  co_await load_columns(connection, catalog);
  for (const Row& row : co_await TextQuery(connection, kIndexes)) {
    const auto table = by_id.find(integer_at(row, 0));
    if (table == by_id.end()) continue;
    CatalogIndex& index = table->second->indexes.emplace_back();
    index.name = text_at(row, 1);
    index.method = text_at(row, 2);
    index.keys = list_at(row, 3);
    index.predicate = text_at(row, 4);
    index.unique = bool_at(row, 5);
    index.constraint = bool_at(row, 6);
    index.valid = bool_at(row, 7);
    index.bytes = integer_at(row, 8);
    index.scans = integer_at(row, 9);
    index.definition = text_at(row, 10);
    index.comment = text_at(row, 11);
    read_definition(index);
  }
  for (const Row& row : co_await TextQuery(connection, kForeignKeys)) {
    CatalogForeignKey& key = catalog.foreign_keys.emplace_back();
    key.table = static_cast<std::uint32_t>(integer_at(row, 0));
    key.name = text_at(row, 1);
    key.columns = list_at(row, 2);
    key.referenced = text_at(row, 3);
    key.comment = text_at(row, 4);
  }
  const auto since = co_await TextQuery(
      connection, "select stats_reset from pg_catalog.pg_stat_database where datname = current_database()");
  if (!since.empty()) catalog.counters_since = text_at(since.front(), 0);
  co_return catalog;
}

}  // namespace ashlar::pg::detail
