#include <ashlar/pg/query_snapshot.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <ashlar/pg/type_map.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::pg {
namespace {

using Null = RowVerifier::Null;

constexpr std::array<std::pair<Null, std::string_view>, 4> kNulls{
    {{Null::unknown, "unknown"}, {Null::never, "never"}, {Null::possible, "possible"}, {Null::outer, "outer"}}};
constexpr std::array<std::pair<TypeKind, std::string_view>, 8> kKinds{{{TypeKind::base, "base"},
                                                                       {TypeKind::composite, "composite"},
                                                                       {TypeKind::domain, "domain"},
                                                                       {TypeKind::enumeration, "enumeration"},
                                                                       {TypeKind::pseudo, "pseudo"},
                                                                       {TypeKind::range, "range"},
                                                                       {TypeKind::multirange, "multirange"},
                                                                       {TypeKind::array, "array"}}};

template <class Value, std::size_t N>
std::string word_of(const std::array<std::pair<Value, std::string_view>, N>& words, Value value) {
  return std::string(std::ranges::find(words, value, [](const auto& word) { return word.first; })->second);
}
template <class Value, std::size_t N>
Value value_of(const std::array<std::pair<Value, std::string_view>, N>& words, std::string_view text) {
  const auto found = std::ranges::find(words, text, [](const auto& word) { return word.second; });
  if (found == words.end()) throw Invalid(fmt::format("the snapshot says {:?}, which means nothing", text));
  return found->first;
}

// Numbers of types below are the same in every database, and those that initdb gives end at 16383
// (https://www.postgresql.org/docs/current/system-catalog-initial-data.html).
constexpr Oid kFirstOwn = 16'384;

/// Names for the types of one database.
class Names {
 public:
  explicit Names(const TypeMap& types) : types_(types) {}

  std::string of(Oid id) {
    const TypeEntry* entry = types_.find(id);
    if (entry == nullptr) return fmt::format("type {}", id);
    static const TypeMap built_in;
    if (built_in.find(id) != nullptr) return entry->name;
    if (const auto known = names_.find(id); known != names_.end()) return known->second;
    std::string name = types_.name(id);
    if (const unsigned count = ++used_[name]; count > 1) name += fmt::format("#{}", count);
    names_[id] = name;
    SnapshotType type{.name = name, .kind = word_of(kKinds, entry->kind)};
    if (entry->element != 0) type.element = of(entry->element);
    for (const Oid attribute : entry->attributes) type.attributes.push_back(of(attribute));
    list_.push_back(std::move(type));
    return name;
  }
  std::vector<SnapshotType> take() {
    std::ranges::sort(list_, {}, &SnapshotType::name);
    return std::move(list_);
  }

 private:
  const TypeMap& types_;
  std::map<Oid, std::string> names_;
  std::map<std::string, unsigned> used_;
  std::vector<SnapshotType> list_;
};

/// Numbers for the types of a snapshot: their own for those that are built in, any others for the rest.
class Numbers {
 public:
  explicit Numbers(const QuerySnapshot& snapshot) {
    for (Oid id = 1; id < kFirstOwn; ++id) {
      if (const TypeEntry* entry = types_.find(id)) ids_.emplace(entry->name, id);
    }
    Oid next = kFirstOwn;
    for (const SnapshotType& type : snapshot.types) ids_.insert_or_assign(type.name, next++);
    for (const SnapshotType& type : snapshot.types) {
      TypeEntry entry{.id = of(type.name), .kind = value_of(kKinds, type.kind), .name = plain(type.name)};
      if (!type.element.empty()) entry.element = of(type.element);
      for (const std::string& attribute : type.attributes) entry.attributes.push_back(of(attribute));
      types_.add(std::move(entry));
    }
  }
  [[nodiscard]] Oid of(const std::string& name) const {
    const auto found = ids_.find(name);
    if (found == ids_.end())
      throw Invalid(fmt::format("the snapshot names the type {:?}, but does not tell of it", name));
    return found->second;
  }
  [[nodiscard]] const TypeMap& types() const noexcept { return types_; }

 private:
  static std::string plain(const std::string& name) { return name.substr(0, name.find('#')); }
  TypeMap types_;
  std::map<std::string, Oid> ids_;
};

std::string json_of(std::string_view text) { return schema::to_json(std::string(text)); }

template <class List, class Line>
std::string lines_of(const List& list, Line line) {
  std::string out;
  for (const auto& item : list) out += fmt::format("{}\n    {}", out.empty() ? "" : ",", line(item));
  return out.empty() ? "[]" : "[" + out + "\n  ]";
}

std::string line_of(const SnapshotQuery& query) {
  std::string columns;
  for (const SnapshotColumn& column : query.columns)
    columns += fmt::format("{}\n      {}", columns.empty() ? "" : ",", schema::to_json(column));
  return fmt::format("{{\"sql\": {},\n     \"parameters\": {},\n     \"columns\": [{}]}}", json_of(query.sql),
                     schema::to_json(query.parameters), columns);
}

}  // namespace

QuerySnapshot snapshot_of(std::span<const DescribedQuery> queries, const TypeMap& types) {
  std::string problems;
  QuerySnapshot out;
  Names names(types);
  std::map<std::string_view, const DescribedQuery*> by_sql;  // in order, each text once
  for (const DescribedQuery& query : queries) {
    if (!query.problem.empty()) {
      problems += "\n" + query.problem;
      continue;
    }
    const auto found = detail::verify(query.statement->spec(), types, query.parameters, query.fields, query.nulls);
    if (!found.empty()) problems += "\n" + detail::mismatch_message(*query.statement, found);
    by_sql.emplace(query.statement->sql(), &query);
  }
  if (!problems.empty()) throw QueryMismatch("nothing was kept, because not every query fits the database:" + problems);
  for (const auto& [sql, query] : by_sql) {
    SnapshotQuery& kept = out.queries.emplace_back(SnapshotQuery{.sql = std::string(sql)});
    for (const Oid type : query->parameters) kept.parameters.push_back(names.of(type));
    for (std::size_t i = 0; i < query->fields.size(); ++i) {
      const wire::Field& field = query->fields[i];
      kept.columns.push_back({field.name, names.of(field.type), word_of(kNulls, query->nulls[i])});
    }
  }
  out.types = names.take();
  return out;
}

std::string to_json(const QuerySnapshot& snapshot) {
  return fmt::format("{{\n  \"format\": {},\n  \"types\": {},\n  \"queries\": {}\n}}\n", snapshot.format,
                     lines_of(snapshot.types, [](const SnapshotType& type) { return schema::to_json(type); }),
                     lines_of(snapshot.queries, &line_of));
}

QuerySnapshot snapshot_from_json(std::string_view json) {
  // What does not say its format is something else.
  struct Read {
    std::int32_t format = 0;
    std::vector<SnapshotType> types;
    std::vector<SnapshotQuery> queries;
  } out;
  schema::Errors errors;
  if (!schema::parse_json(json, out, errors))
    throw Invalid(
        fmt::format("this is no snapshot of queries: {}", schema::ValidationError(std::move(errors)).message()));
  if (out.format != 1)
    throw Invalid(fmt::format("this snapshot of queries has the format {}; this program reads 1", out.format));
  return {.format = out.format, .types = std::move(out.types), .queries = std::move(out.queries)};
}

std::vector<std::string> check_snapshot(const QuerySnapshot& snapshot, std::string_view file,
                                        std::span<const Statement* const> statements) {
  const Numbers numbers(snapshot);
  std::map<std::string_view, const SnapshotQuery*> by_sql;
  for (const SnapshotQuery& query : snapshot.queries) by_sql.emplace(query.sql, &query);
  std::vector<std::string> problems;
  std::set<std::string_view> seen;
  for (const Statement* statement : statements) {
    const auto found = by_sql.find(statement->sql());
    if (found == by_sql.end()) {
      problems.push_back(fmt::format("{} is not in {}: write it anew with `queries --write {}`, in front of a database",
                                     statement->describe(), file, file));
      continue;
    }
    seen.insert(found->first);
    std::vector<Oid> parameters;
    for (const std::string& type : found->second->parameters) parameters.push_back(numbers.of(type));
    std::vector<wire::Field> fields;
    std::vector<Null> nulls;
    for (const SnapshotColumn& column : found->second->columns) {
      fields.push_back({.name = column.name, .type = numbers.of(column.type)});
      nulls.push_back(value_of(kNulls, column.null));
    }
    const auto misfits = detail::verify(statement->spec(), numbers.types(), parameters, fields, nulls);
    if (!misfits.empty()) problems.push_back(detail::mismatch_message(*statement, misfits));
  }
  for (const SnapshotQuery& query : snapshot.queries) {
    if (!seen.contains(query.sql))
      problems.push_back(fmt::format("{} has a query that the program no longer has; write it anew: {}", file,
                                     query.sql.substr(0, 80)));
  }
  return problems;
}

}  // namespace ashlar::pg
