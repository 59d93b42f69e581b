#include <ashlar/pg/repository.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg {

StaleVersion::StaleVersion(ErrorKind kind, std::int64_t expected, std::int64_t found)
    : Error(kind, fmt::format("changed by somebody else in the meantime: version {} was to be changed, it is {} now",
                              expected, found)),
      expected_(expected),
      found_(found) {}

namespace detail {
namespace {

const std::string& kept(std::string text) {
  static std::mutex mutex;
  static auto* const all = new std::set<std::string, std::less<>>;  // statements are globals too: it must outlive them
  const std::lock_guard lock(mutex);
  return *all->insert(std::move(text)).first;
}

std::string_view to_string(RowVerb verb) {
  switch (verb) {
    case RowVerb::get:
      return "get";
    case RowVerb::lock:
      return "lock";
    case RowVerb::exists:
      return "exists";
    case RowVerb::keys:
      return "all";
    case RowVerb::by:
      return "by";
    case RowVerb::in:
      return "in";
    case RowVerb::count:
      return "count";
    case RowVerb::insert:
      return "insert";
    case RowVerb::insert_all:
      return "insert_all";
    case RowVerb::upsert:
      return "upsert";
    case RowVerb::upsert_all:
      return "upsert_all";
    case RowVerb::update:
      return "update";
    case RowVerb::remove:
      return "remove";
    case RowVerb::remove_version:
      return "remove_version";
    case RowVerb::restore:
      return "restore";
    case RowVerb::purge:
      return "purge";
    case RowVerb::version:
      return "version";
  }
  return {};
}

// Puts the text of one statement together, and notes what each parameter is encoded from.
class Text {
 public:
  Text(const TableSpec& table, std::span<const RowMember> members, std::span<const std::size_t> named, RowPlan& plan)
      : table_(table), name_(identifier_of_table(table.name)), members_(members), named_(named), plan_(plan) {
    for (const TableRule& rule : table.rules) {
      if (rule.kind != TableRuleKind::version && rule.kind != TableRuleKind::soft_delete) continue;
      auto& place = rule.kind == TableRuleKind::version ? version_ : deleted_;
      place = column_index(table.columns, rule.columns().front());
    }
  }

  std::string make(RowVerb verb) {
    const std::string rows = fmt::format("select {} from {}", list(), name_);
    switch (verb) {
      case RowVerb::get:
        return rows + where_key() + alive();
      case RowVerb::lock:
        return rows + where_key() + alive() + " for update";
      case RowVerb::exists:
        return fmt::format("select exists(select from {}{}{})", name_, where_key(), alive());
      case RowVerb::keys:
        return fmt::format("{} where {} = any({}){}{}", rows, quoted(table_.key.front()), many(table_.key.front()),
                           alive(), order(false));
      case RowVerb::by:
        return rows + where_named() + alive() + order(false);
      case RowVerb::in:
        return fmt::format("{} where {} = any({}){}{}", rows, quoted(named_.front()), many(named_.front()), alive(),
                           order(true));
      case RowVerb::count:
        return fmt::format("select count(*) from {}{}", name_, alive(" where "));
      case RowVerb::insert:
      case RowVerb::insert_all:
      case RowVerb::upsert:
      case RowVerb::upsert_all:
        return insert(verb);
      case RowVerb::update:
        return update();
      case RowVerb::remove:
        return remove() + where_key() + alive();
      case RowVerb::remove_version: {
        std::string text = remove() + where_key();
        return text + fmt::format(" and {} = {}", quoted(*version_), one(*version_)) + alive();
      }
      case RowVerb::restore:
        return fmt::format("update {} set {} = null{}{} and {} is not null returning {}", name_, quoted(*deleted_),
                           next_version(), where_key(), quoted(*deleted_), list());
      case RowVerb::purge:
        return purge();
      case RowVerb::version:
        return fmt::format("select {}::bigint as version from {}{}{}", quoted(*version_), name_, where_key(), alive());
    }
    return {};
  }

 private:
  [[nodiscard]] std::string quoted(std::size_t column) const { return quote_identifier(table_.columns[column].name); }
  [[nodiscard]] std::string list() const {
    std::string out;
    for (std::size_t i = 0; i < table_.columns.size(); ++i) out += (i == 0 ? "" : ", ") + quoted(i);
    return out;
  }
  [[nodiscard]] bool is_key(std::size_t column) const {
    return std::ranges::find(table_.key, column) != table_.key.end();
  }
  [[nodiscard]] bool is_given(std::size_t column) const {
    return table_.columns[column].identity || column == version_ || column == deleted_;
  }
  [[nodiscard]] const RowMember* member(std::size_t column) const {
    const auto at = std::ranges::find(members_, column, &RowMember::column);
    return at == members_.end() ? nullptr : &*at;
  }

  std::string parameter(const RowMember& of, const ParameterSpec& spec) {
    plan_.encoded.push_back(of);
    plan_.parameters.push_back(spec);
    return fmt::format("${}", plan_.parameters.size());
  }
  std::string one(std::size_t column) { return parameter(*member(column), member(column)->one); }
  std::string many(std::size_t column) { return parameter(*member(column), member(column)->many); }

  std::string where_key() {
    std::string out;
    for (const std::size_t column : table_.key)
      out += fmt::format("{}{} = {}", out.empty() ? " where " : " and ", quoted(column), one(column));
    return out;
  }
  std::string where_named() {
    std::string out;
    for (const std::size_t column : named_)
      out += fmt::format("{}{} = {}", out.empty() ? " where " : " and ", quoted(column), one(column));
    return out;
  }
  [[nodiscard]] std::string alive(std::string_view before = " and ") const {
    return deleted_ ? fmt::format("{}{} is null", before, quoted(*deleted_)) : std::string{};
  }
  [[nodiscard]] std::string order(bool by_named) const {
    std::string out;
    const auto add = [&](std::size_t column) { out += (out.empty() ? " order by " : ", ") + quoted(column); };
    if (by_named) std::ranges::for_each(named_, add);
    for (const std::size_t column : table_.key) {
      if (!by_named || std::ranges::find(named_, column) == named_.end()) add(column);
    }
    return out;
  }
  [[nodiscard]] std::string next_version(std::string_view of = "") const {
    return version_ ? fmt::format(", {0} = {1}{0} + 1", quoted(*version_), of) : std::string{};
  }

  std::string insert(RowVerb verb) {
    const bool all = verb == RowVerb::insert_all || verb == RowVerb::upsert_all;
    const bool update = verb == RowVerb::upsert || verb == RowVerb::upsert_all;
    std::string columns, values, names;
    for (const RowMember& of : members_) {
      if (is_given(of.column)) continue;
      const std::string name = quoted(of.column);
      columns += (columns.empty() ? "" : ", ") + name;
      if (!all) {
        values += (values.empty() ? "" : ", ") + one(of.column);
        continue;
      }
      // The parameter has no type of its own: it takes that of the other side, an array of what the column is, which
      // is never made.
      values += fmt::format("{}coalesce({}, (select array_agg({}) from {} where false))", values.empty() ? "" : ", ",
                            many(of.column), name, name_);
      names += (names.empty() ? "" : ", ") + name;
    }
    const std::string version = version_ ? ", " + quoted(*version_) : std::string{};
    const std::string first = version_ ? ", 1" : "";
    std::string out = fmt::format("insert into {} as present ({}{}) ", name_, columns, version);
    if (all) {
      out += fmt::format("select {}{} from unnest({}) as given ({})", names, first, values, names);
    } else {
      out += fmt::format("values ({}{})", values, first);
    }
    if (update) out += on_conflict();
    return out + " returning " + list();
  }

  std::string on_conflict() {
    const auto unique = named_.empty() ? table_.key : named_;
    std::string target, set;
    for (const std::size_t column : unique) target += (target.empty() ? "" : ", ") + quoted(column);
    for (const RowMember& of : members_) {
      if (is_given(of.column) || is_key(of.column) || std::ranges::find(unique, of.column) != unique.end()) continue;
      set += fmt::format("{}{} = excluded.{}", set.empty() ? "" : ", ", quoted(of.column), quoted(of.column));
    }
    if (deleted_) set += fmt::format(", {} = null", quoted(*deleted_));
    return fmt::format(" on conflict ({}) do update set {}{}", target, set, next_version("present."));
  }

  std::string update() {
    std::string set;
    for (const RowMember& of : members_) {
      if (is_given(of.column) || is_key(of.column)) continue;
      set += fmt::format("{}{} = {}", set.empty() ? "" : ", ", quoted(of.column), one(of.column));
    }
    std::string out = fmt::format("update {} set {}{}", name_, set, next_version());
    out += where_key();
    if (version_) out += fmt::format(" and {} = {}", quoted(*version_), one(*version_));
    return out + alive() + " returning " + list();
  }

  [[nodiscard]] std::string remove() const {
    if (!deleted_) return fmt::format("delete from {}", name_);
    return fmt::format("update {} set {} = now(){}", name_, quoted(*deleted_), next_version());
  }

  std::string purge() {
    plan_.parameters.push_back({&accepts_argument<DateTime>, &cpp_type_name<DateTime>});
    plan_.parameters.push_back({&accepts_argument<std::int64_t>, &cpp_type_name<std::int64_t>});
    return fmt::format(
        "delete from {0} where ctid = any(array(select ctid from {0} where {1} < $1 order by {1} limit $2 "
        "for update skip locked)) and {1} < $1",
        name_, quoted(*deleted_));
  }

  const TableSpec& table_;
  const std::string name_;
  std::span<const RowMember> members_;
  std::span<const std::size_t> named_;
  RowPlan& plan_;
  std::optional<std::size_t> version_, deleted_;
};

std::string name_of(const TableSpec& table, RowVerb verb, std::span<const std::size_t> named) {
  std::string out = fmt::format("{}.{}", table.name, to_string(verb));
  for (const std::size_t column : named) out += fmt::format(" {}", table.columns[column].name);
  return out;
}

}  // namespace

RowPlan::RowPlan(const TableSpec& table, RowVerb verb, void (*verify)(RowVerifier&), std::span<const RowMember> members,
                 std::span<const std::size_t> named)
    : text(kept(Text(table, members, named, *this).make(verb))),
      label(kept(name_of(table, verb, named)).c_str()),
      types{verify, parameters} {}

const char* row_list_name(std::string_view table) { return kept(fmt::format("{}.list", table)).c_str(); }

Params encode_row(const RowStatement& statement, const void* row) {
  Params params;
  for (const RowMember& member : statement.encoded())
    member.encode(params, static_cast<const std::byte*>(row) + member.offset);
  return params;
}

Params encode_rows(const RowStatement& statement, const void* first, std::size_t count, std::size_t stride) {
  Params params;
  for (const RowMember& member : statement.encoded()) {
    params.begin_array(static_cast<std::uint32_t>(count));
    // Of no rows there is no first one to reckon from.
    for (std::size_t i = 0; i < count; ++i)
      member.encode(params, static_cast<const std::byte*>(first) + i * stride + member.offset);
  }
  return params;
}

void check_row_count(const RowStatement& statement, std::size_t count, std::size_t most) {
  if (count > most)
    throw Invalid(fmt::format("{} takes at most {} rows, not {}: use copy_in", statement.name(), most, count));
}

Task<void> explain_missing(Executor& db, MissingRow missing) {
  if (missing.version == nullptr) throw NoRow("not found");
  const auto found = co_await RowRunner::go<MaybeSink<std::int64_t>>(db, *missing.version, std::move(missing.params));
  if (!found) throw NoRow("not found");
  throw StaleVersion(missing.kind, missing.expected, *found);
}

}  // namespace detail
}  // namespace ashlar::pg
