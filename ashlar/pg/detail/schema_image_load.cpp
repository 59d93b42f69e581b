// Reads the catalog of a database into an Image.
#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/schema_image.hpp>

namespace ashlar::pg::detail {
namespace {

using Row = std::vector<std::optional<std::string>>;

std::string text(const Row& row, std::size_t column) { return row.at(column).value_or(""); }
bool flag(const Row& row, std::size_t column) { return row.at(column) == "t"; }

/// The name of an object as SQL, without "public.".
std::string name_sql(std::string_view schema, std::string_view name) {
  return fmt::format("case {0} when 'public' then '' else quote_ident({0}) || '.' end || quote_ident({1})", schema,
                     name);
}
/// Of schemas that are ours, and no member of an extension.
std::string ours(std::string_view schema, std::string_view catalog, std::string_view id) {
  return fmt::format(
      "{0} !~ '^pg_' and {0} <> 'information_schema' and not exists (select from pg_catalog.pg_depend e where "
      "e.classid "
      "= 'pg_catalog.{1}'::regclass and e.objid = {2} and e.deptype = 'e')",
      schema, catalog, id);
}
std::string ours_class() {
  return ours("n.nspname", "pg_class", "c.oid") + " and not c.relispartition and c.relname <> 'ashlar_migrations'";
}

Task<void> load_tables(Connection& connection, Image& image) {
  const std::string tables = fmt::format(
      "select {}, pg_get_partkeydef(c.oid), c.relrowsecurity, c.relforcerowsecurity, c.relpersistence = 'u' from "
      "pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') "
      "and "
      "{}",
      name_sql("n.nspname", "c.relname"), ours_class());
  for (const Row& row : co_await TextQuery(connection, tables)) {
    ImageTable& table = image.tables[text(row, 0)];
    table.partition_key = text(row, 1);
    table.row_security = flag(row, 2);
    table.row_security_forced = flag(row, 3);
    table.unlogged = flag(row, 4);
  }
  const std::string columns = fmt::format(
      "select {}, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, "
      "d.adrelid), case a.attidentity when 'a' then 'always' when 'd' then 'by default' end, a.attgenerated <> '', "
      "case "
      "when a.attcollation <> t.typcollation then quote_ident(l.collname) end, a.atttypid from pg_catalog.pg_attribute "
      "a "
      "join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace join "
      "pg_catalog.pg_type t on t.oid = a.atttypid left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and "
      "d.adnum = a.attnum left join pg_catalog.pg_collation l on l.oid = a.attcollation where c.relkind in ('r', 'p') "
      "and a.attnum > 0 and not a.attisdropped and {} order by a.attrelid, a.attnum",
      name_sql("n.nspname", "c.relname"), ours_class());
  for (const Row& row : co_await TextQuery(connection, columns)) {
    ImageColumn& column = image.tables[text(row, 0)].columns.emplace_back();
    column.name = text(row, 1);
    column.type = text(row, 2);
    column.not_null = flag(row, 3);
    column.default_value = text(row, 4);
    column.identity = text(row, 5);
    column.generated = flag(row, 6);
    column.collation = text(row, 7);
    const std::string type = text(row, 8);
    std::from_chars(type.data(), type.data() + type.size(), column.type_id);
  }
}

Task<void> load_enums(Connection& connection, Image& image) {
  const std::string sql = fmt::format(
      "select {}, e.enumlabel from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace join "
      "pg_catalog.pg_enum e on e.enumtypid = t.oid where {} order by t.oid, e.enumsortorder",
      name_sql("n.nspname", "t.typname"), ours("n.nspname", "pg_type", "t.oid"));
  for (const Row& row : co_await TextQuery(connection, sql)) image.enums[text(row, 0)].push_back(text(row, 1));
}

/// The query gives: name, table, definition, create, drop, valid.
Task<void> load_items(Connection& connection, Image& image, ImageKind kind, std::string sql) {
  for (const Row& row : co_await TextQuery(connection, sql)) {
    ImageItem& item = image.items[{kind, text(row, 0)}];
    item = {text(row, 1), text(row, 2), text(row, 3), text(row, 4), flag(row, 5)};
  }
}

std::string constraints_sql() {
  const std::string table = name_sql("n.nspname", "c.relname");
  return fmt::format(
      "select {0} || '.' || quote_ident(k.conname), {0}, pg_get_constraintdef(k.oid), 'alter table ' || {0} || ' add "
      "constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), 'alter table ' || {0} || ' drop "
      "constraint ' || quote_ident(k.conname), k.convalidated from pg_catalog.pg_constraint k join pg_catalog.pg_class "
      "c "
      "on c.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace where k.contype in ('p', 'u', "
      "'c', 'f', 'x') and k.conparentid = 0 and c.relkind in ('r', 'p') and {1}",
      table, ours_class());
}

std::string indexes_sql() {
  return fmt::format(
      "select {}, {}, pg_get_indexdef(i.indexrelid), pg_get_indexdef(i.indexrelid), 'drop index ' || {}, i.indisvalid "
      "from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid join pg_catalog.pg_class c on "
      "c.oid "
      "= i.indrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace where not x.relispartition and not exists "
      "(select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')) and "
      "c.relkind in ('r', 'p', 'm') and {}",
      name_sql("n.nspname", "x.relname"), name_sql("n.nspname", "c.relname"), name_sql("n.nspname", "x.relname"),
      ours_class());
}

std::string views_sql() {
  return fmt::format(
      "select {0}, '', case c.relkind when 'm' then 'materialized ' else '' end || pg_get_viewdef(c.oid), 'create ' || "
      "case c.relkind when 'm' then 'materialized view ' else 'or replace view ' end || {0} || ' as ' || "
      "rtrim(pg_get_viewdef(c.oid), ';'), 'drop ' || case c.relkind when 'm' then 'materialized ' else '' end || 'view "
      "' "
      "|| {0}, true from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where "
      "c.relkind "
      "in ('v', 'm') and {1}",
      name_sql("n.nspname", "c.relname"), ours_class());
}

std::string functions_sql() {
  const std::string name =
      name_sql("n.nspname", "p.proname") + " || '(' || pg_get_function_identity_arguments(p.oid) || ')'";
  return fmt::format(
      "select {0}, '', pg_get_functiondef(p.oid), rtrim(pg_get_functiondef(p.oid), E'\\n'), 'drop ' || case p.prokind "
      "when 'p' then 'procedure ' else 'function ' end || {0}, true from pg_catalog.pg_proc p join "
      "pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.prokind in ('f', 'p', 'w') and {1}",
      name, ours("n.nspname", "pg_proc", "p.oid"));
}

std::string triggers_sql() {
  const std::string table = name_sql("n.nspname", "c.relname");
  return fmt::format(
      "select {0} || '.' || quote_ident(g.tgname), {0}, pg_get_triggerdef(g.oid) || case g.tgenabled when 'O' then '' "
      "else ' (' || g.tgenabled::text || ')' end, pg_get_triggerdef(g.oid), 'drop trigger ' || quote_ident(g.tgname) "
      "|| ' on "
      "' "
      "|| {0}, true from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid join "
      "pg_catalog.pg_namespace n on n.oid = c.relnamespace where not g.tgisinternal and g.tgparentid = 0 and {1}",
      table, ours_class());
}

std::string policies_sql() {
  const std::string table = name_sql("p.schemaname", "p.tablename");
  return fmt::format(
      "select name, tab, def, 'create policy ' || pol || ' on ' || tab || ' ' || def, 'drop policy ' || pol || ' on ' "
      "|| "
      "tab, true from (select {0} || '.' || quote_ident(p.policyname) as name, {0} as tab, quote_ident(p.policyname) "
      "as "
      "pol, 'as ' || p.permissive || ' for ' || p.cmd || ' to ' || (select string_agg(quote_ident(role), ', ') "
      "from unnest(p.roles) as role) || coalesce(' using (' || p.qual || ')', '') || coalesce(' with check (' || "
      "p.with_check || ')', '') as def from "
      "pg_catalog.pg_policies p) x",
      table);
}

std::string sequences_sql() {  // those of columns are theirs
  return fmt::format(
      "select name, '', def, 'create sequence ' || name || ' ' || def, 'drop sequence ' || name, true from (select {} "
      "as "
      "name, 'as ' || format_type(s.seqtypid, null) || ' increment by ' || s.seqincrement || ' minvalue ' || s.seqmin "
      "|| "
      "' maxvalue ' || s.seqmax || ' start with ' || s.seqstart || case when s.seqcycle then ' cycle' else '' end as "
      "def "
      "from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid join pg_catalog.pg_namespace n "
      "on "
      "n.oid = c.relnamespace where {} and not exists (select from pg_catalog.pg_depend d where d.classid = "
      "'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))) x",
      name_sql("n.nspname", "c.relname"), ours_class());
}

std::string domains_sql() {
  return fmt::format(
      "select name, '', def, 'create domain ' || name || ' as ' || def, 'drop domain ' || name, true from (select {} "
      "as "
      "name, format_type(t.typbasetype, t.typtypmod) || coalesce(' default ' || t.typdefault, '') || case when "
      "t.typnotnull then ' not null' else '' end || coalesce((select string_agg(' constraint ' || "
      "quote_ident(k.conname) "
      "|| ' ' || pg_get_constraintdef(k.oid), '' order by k.conname) from pg_catalog.pg_constraint k where k.contypid "
      "= "
      "t.oid), '') as def from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace where "
      "t.typtype = 'd' and {}) x",
      name_sql("n.nspname", "t.typname"), ours("n.nspname", "pg_type", "t.oid"));
}

std::string composites_sql() {
  return fmt::format(
      "select name, '', def, 'create type ' || name || ' as ' || def, 'drop type ' || name, true from (select {} as "
      "name, '(' || (select string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' "
      "order "
      "by a.attnum) from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) "
      "|| "
      "')' as def from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind "
      "= "
      "'c' and {}) x",
      name_sql("n.nspname", "c.relname"), ours("n.nspname", "pg_type", "c.reltype"));
}

}  // namespace

Task<Image> load_image(Connection& connection) {
  // What PostgreSQL prints names schemas that are not on the path.
  co_await TextQuery(connection, "set search_path = public");
  Image image;
  co_await load_tables(connection, image);
  co_await load_enums(connection, image);
  co_await load_items(
      connection, image, ImageKind::extension,
      "select quote_ident(extname), '', '', 'create extension ' || quote_ident(extname), 'drop extension "
      "' || quote_ident(extname), true from pg_catalog.pg_extension where extname <> 'plpgsql'");
  co_await load_items(
      connection, image, ImageKind::schema,
      fmt::format(
          "select quote_ident(n.nspname), '', '', 'create schema ' || quote_ident(n.nspname), 'drop schema ' || "
          "quote_ident(n.nspname), true from pg_catalog.pg_namespace n where n.nspname <> 'public' and {}",
          ours("n.nspname", "pg_namespace", "n.oid")));
  co_await load_items(connection, image, ImageKind::domain, domains_sql());
  co_await load_items(connection, image, ImageKind::composite, composites_sql());
  co_await load_items(connection, image, ImageKind::sequence, sequences_sql());
  co_await load_items(connection, image, ImageKind::function, functions_sql());
  co_await load_items(connection, image, ImageKind::constraint, constraints_sql());
  co_await load_items(connection, image, ImageKind::index, indexes_sql());
  co_await load_items(connection, image, ImageKind::view, views_sql());
  co_await load_items(connection, image, ImageKind::trigger, triggers_sql());
  co_await load_items(connection, image, ImageKind::policy, policies_sql());
  co_return image;
}

}  // namespace ashlar::pg::detail
