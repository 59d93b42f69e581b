// Queries that are better written another way: recognised by their words, rewritten, and planned again.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>

#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = SqlToken::Kind;

/// A new text must cost so much less to be worth a word.
constexpr double kCheaper = 0.9;

struct Rewrite {
  std::string sql;
  std::size_t parameters = 0;
};

/// Where the operand before `end` begins: a name with dots, a call, or something in parentheses; `end` when it is more.
std::size_t operand_before(SqlTokens tokens, std::size_t end) {
  std::size_t at = end;
  if (at == 0) return end;
  --at;
  if (tokens[at].kind == Kind::close) {
    while (at > 0 && !(tokens[at].kind == Kind::open && tokens[at].depth == tokens[end - 1].depth)) --at;
    if (at > 0 && tokens[at - 1].is_name()) --at;
  } else if (!tokens[at].is_name() && tokens[at].kind != Kind::parameter) {
    return end;
  }
  while (at >= 2 && tokens[at].is_name() && tokens[at - 1].kind == Kind::dot && tokens[at - 2].is_name()) at -= 2;
  if (at == 0 || tokens[at - 1].kind == Kind::open || tokens[at - 1].kind == Kind::comma) return at;
  for (const std::string_view word : {"where", "and", "or", "on", "having", "when", "select"}) {
    if (tokens[at - 1].is(word)) return at;
  }
  return end;  // a || b not in (…): more belongs to it
}

struct NotIn {
  std::string list;  ///< the subquery
  Rewrite rewrite;
};

/// select column from … where …, and nothing else, taken apart: as a condition that it gives `value`. Nullopt: it is
/// more than that, or names in `value` could mean something else inside.
std::optional<std::string> as_condition(SqlTokens list, SqlTokens value) {
  const bool safe = value.size() > 1 || value.front().kind == Kind::parameter;
  if (!safe || !list.front().is("select")) return std::nullopt;
  const std::uint32_t depth = list.front().depth;
  std::size_t from = list.size(), where = list.size();
  for (std::size_t i = 1; i < list.size(); ++i) {
    if (list[i].depth != depth) continue;
    for (const std::string_view word :
         {"group", "having", "union", "intersect", "except", "limit", "offset", "window", "fetch", "for"}) {
      if (list[i].is(word)) return std::nullopt;
    }
    if (list[i].is("from") && from == list.size()) from = i;
    if (list[i].is("where") && where == list.size()) where = i;
  }
  if (from == list.size() || from < 2 || where < from) return std::nullopt;
  const SqlTokens column = list.subspan(1, from - 1);
  const bool is_name = column.size() % 2 == 1 && std::ranges::all_of(column, [](const SqlToken& token) {
                         return token.is_name() || token.kind == Kind::dot;
                       });
  if (!is_name) return std::nullopt;
  const std::string equal = fmt::format("{} = {}", text_of(column), text_of(value));
  if (where == list.size()) return fmt::format("select {} where {}", text_of(list.subspan(from)), equal);
  return fmt::format("select {} where ({}) and {}", text_of(list.subspan(from, where - from)),
                     text_of(list.subspan(where + 1)), equal);
}

/// x not in (select y from t where …) → not exists (select from t where (…) and y = x); of what is more than that:
/// not exists (select from (…) as listed (value) where listed.value = x)
std::optional<NotIn> without_not_in(const Subject& subject) {
  const auto all = sql_tokens(subject.sql);
  const SqlTokens tokens(all);
  for (std::size_t i = 0; i + 3 < tokens.size(); ++i) {
    if (!tokens[i].is("not") || !tokens[i + 1].is("in") || tokens[i + 2].text != "(" ||
        !(tokens[i + 3].is("select") || tokens[i + 3].is("with") || tokens[i + 3].is("values")))
      continue;
    const std::size_t close = closing(tokens, i + 2);
    const std::size_t from = operand_before(tokens, i);
    if (close == tokens.size() || from == i) return std::nullopt;
    const SqlTokens value = tokens.subspan(from, i - from);
    const SqlTokens list = tokens.subspan(i + 3, close - i - 3);
    const std::string condition =
        as_condition(list, value)
            .value_or(fmt::format("select from ({}) as listed (value) where listed.value = {}", text_of(list),
                                  text_of(value)));
    NotIn out{.list = std::string(text_of(list))};
    out.rewrite.parameters = subject.parameters;
    out.rewrite.sql = fmt::format("{}not exists ({}){}", subject.sql.substr(0, tokens[from].at), condition,
                                  subject.sql.substr(tokens[close].end()));
    return out;
  }
  return std::nullopt;
}

/// The position of a word of the statement itself, not of a subquery.
std::size_t find_outside(SqlTokens tokens, std::string_view word, std::size_t from = 0) {
  for (std::size_t i = from; i < tokens.size(); ++i) {
    if (tokens[i].depth == 0 && tokens[i].is(word)) return i;
  }
  return tokens.size();
}

struct Order {
  std::vector<std::string> keys;
  bool descending = false;
};

/// Names, all in one direction; nothing else can be continued from by a comparison of rows.
std::optional<Order> order_of(SqlTokens tokens) {
  Order order;
  std::size_t from = 0;
  bool first = true;
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    if (i < tokens.size() && (tokens[i].kind != Kind::comma || tokens[i].depth != 0)) continue;
    SqlTokens key = tokens.subspan(from, i - from);
    from = i + 1;
    bool descending = false;
    if (!key.empty() && (key.back().is("desc") || key.back().is("asc"))) {
      descending = key.back().is("desc");
      key = key.first(key.size() - 1);
    }
    const bool is_name = !key.empty() && key.size() % 2 == 1 && std::ranges::all_of(key, [](const SqlToken& token) {
      return token.is_name() || token.kind == Kind::dot;
    });
    if (!is_name || (!first && descending != order.descending)) return std::nullopt;
    order.descending = descending;
    order.keys.emplace_back(text_of(key));
    first = false;
  }
  return order;
}

std::string_view last_name(std::string_view key) { return key.substr(key.rfind('.') + 1); }

/// Adds the primary key, when the keys by themselves may be equal: rows would be left out between pages.
void make_unique(Order& order, const Subject& subject) {
  if (subject.reads.size() != 1) return;
  const auto contains = [&](const std::string& column) {
    return std::ranges::any_of(order.keys, [&](const std::string& key) { return last_name(key) == column; });
  };
  const CatalogIndex* primary = nullptr;
  for (const CatalogIndex& index : subject.reads.front().table->indexes) {
    if (!index.unique || !index.predicate.empty()) continue;
    if (std::ranges::all_of(index.keys, contains)) return;
    if (index.constraint && primary == nullptr) primary = &index;
  }
  if (primary == nullptr) return;
  const std::string& first = order.keys.front();
  const std::string prefix = first.substr(0, first.size() - last_name(first).size());
  for (const std::string& key : primary->keys) {
    if (!contains(key)) order.keys.push_back(prefix + key);
  }
}

/// … order by a, b limit $1 offset $2 → … where (a, b) > ($2, $3) order by a, b limit $1
struct Keyset {
  bool has_offset = false;
  std::optional<Rewrite> rewrite;
};
Keyset without_offset(const Subject& subject) {
  Keyset out;
  const auto all = sql_tokens(subject.sql);
  const SqlTokens tokens(all);
  const std::size_t offset = find_outside(tokens, "offset");
  if (offset + 1 >= tokens.size() || tokens[offset + 1].text == "0") return out;
  if (tokens[offset + 1].kind != Kind::parameter && tokens[offset + 1].kind != Kind::number) return out;
  out.has_offset = true;
  const std::size_t order_at = find_outside(tokens, "order");
  if (order_at + 2 >= offset || !tokens.front().is("select")) return out;
  for (const std::string_view word : {"group", "having", "union", "intersect", "except", "distinct", "window"}) {
    if (find_outside(tokens, word) != tokens.size()) return out;
  }
  const std::size_t limit = find_outside(tokens, "limit", order_at);
  const std::size_t order_end =
      std::min({limit, offset, find_outside(tokens, "for", order_at), find_outside(tokens, "fetch", order_at)});
  auto order = order_of(tokens.subspan(order_at + 2, order_end - order_at - 2));
  if (!order) return out;
  const std::size_t named = order->keys.size();
  make_unique(*order, subject);

  // The parameter of the offset becomes the first key's; the others come last.
  Rewrite rewrite{.parameters = subject.parameters};
  std::vector<std::string> values;
  std::size_t next = subject.parameters;
  const bool reuse = tokens[offset + 1].kind == Kind::parameter;
  for (std::size_t i = 0; i < order->keys.size(); ++i)
    values.push_back(i == 0 && reuse ? std::string(tokens[offset + 1].text) : fmt::format("${}", ++next));
  rewrite.parameters = next;
  const char* const compare = order->descending ? "<" : ">";
  const std::string condition =
      order->keys.size() == 1
          ? fmt::format("{} {} {}", order->keys.front(), compare, values.front())
          : fmt::format("({}) {} ({})", fmt::join(order->keys, ", "), compare, fmt::join(values, ", "));
  const std::size_t where = find_outside(tokens, "where");
  const std::string& sql = subject.sql;
  std::string text;
  if (where < order_at) {
    text = fmt::format("{} ({}) and {} ", sql.substr(0, tokens[where].end()),
                       text_of(tokens.subspan(where + 1, order_at - where - 1)), condition);
  } else {
    text = fmt::format("{}where {} ", sql.substr(0, tokens[order_at].at), condition);
  }
  text += sql.substr(tokens[order_at].at, tokens[order_end - 1].end() - tokens[order_at].at);
  for (std::size_t i = named; i < order->keys.size(); ++i)
    text += fmt::format(", {}{}", order->keys[i], order->descending ? " desc" : "");
  // What follows, without the offset.
  const std::size_t after = tokens[order_end - 1].end();
  std::size_t offset_end = offset + 2;
  if (offset_end < tokens.size() && (tokens[offset_end].is("row") || tokens[offset_end].is("rows"))) ++offset_end;
  text += sql.substr(after, tokens[offset].at - after);
  if (offset_end < tokens.size()) text += sql.substr(tokens[offset_end].at);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.pop_back();
  rewrite.sql = std::move(text);
  out.rewrite = std::move(rewrite);
  return out;
}

/// The plan of the new text; nullopt when it is not valid SQL here.
Task<std::optional<double>> cost_of(Connection& connection, std::string sql, std::size_t parameters) {
  std::optional<double> cost;
  co_await TextQuery(connection, "savepoint ashlar_rewrite");
  try {
    cost = (co_await plan_statement(connection, std::move(sql), parameters, PlanMode::normal)).root.total_cost;
  } catch (const ErrorFields&) {
    cost.reset();
  }
  co_await TextQuery(connection, "rollback to savepoint ashlar_rewrite");
  if (!cost) co_await TextQuery(connection, "deallocate all");
  co_return cost;
}

/// Whether what the subquery lists is a column of a table that may be NULL. What depends on the query around it is not
/// known.
Task<bool> has_nulls(Connection& connection, std::string list) {
  co_await TextQuery(connection, "savepoint ashlar_rewrite");
  Description description(connection, list);
  co_await description;
  const bool known = !description.error && description.fields.size() == 1 && description.fields.front().table != 0;
  co_await TextQuery(connection, "rollback to savepoint ashlar_rewrite");
  if (!known) co_return false;
  const std::string sql =
      fmt::format("select attnotnull from pg_catalog.pg_attribute where attrelid = {} and attnum = {}",
                  description.fields.front().table, description.fields.front().attribute);
  const auto rows = co_await TextQuery(connection, sql);
  co_return !rows.empty() && rows.front().at(0) == "f";
}

}  // namespace

Task<void> report_rewrites(Connection& connection, Study& study, bool hypothetical) {
  for (const Subject& subject : study.subjects) {
    if (!subject.problem.empty() || subject.foreign_key != nullptr) continue;
    co_await report_alternatives(connection, study, subject, hypothetical);
    if (const auto found = without_not_in(subject); found && !subject.allows("not-in-subquery")) {
      const auto before = co_await cost_of(connection, subject.sql, subject.parameters);
      const auto after = co_await cost_of(connection, found->rewrite.sql, found->rewrite.parameters);
      const bool may_be_null = co_await has_nulls(connection, found->list);
      if (before && after && (may_be_null || *after < kCheaper * *before)) {
        Finding finding;
        finding.rule = "not-in-subquery";
        finding.queries = {subject.described()};
        finding.message = may_be_null ? "NOT IN finds nothing at all as soon as there is a NULL in the list, and there "
                                        "may be one; NOT EXISTS "
                                        "says what is meant, and can be planned as a join"
                                      : "NOT IN compares every row with the list; NOT EXISTS is planned as a join";
        finding.proposal = found->rewrite.sql;
        finding.proof = {.kind = ProofKind::planned, .cost_before = *before, .cost_after = *after};
        study.advice.findings.push_back(std::move(finding));
      }
    }
    Keyset keyset = without_offset(subject);
    if (!keyset.has_offset || subject.allows("offset-pagination")) continue;
    Finding finding;
    finding.rule = "offset-pagination";
    finding.queries = {subject.described()};
    finding.message =
        "OFFSET reads and drops all rows before the page: page 1000 costs a thousand times page 1, and rows that come "
        "or go "
        "meanwhile are shown twice or not at all. Continue from the last row of the page before";
    if (keyset.rewrite) {
      const auto before = co_await cost_of(connection, subject.sql, subject.parameters);
      const auto after = co_await cost_of(connection, keyset.rewrite->sql, keyset.rewrite->parameters);
      if (before && after) {
        finding.proposal = keyset.rewrite->sql;
        finding.proof = {.kind = ProofKind::planned, .cost_before = *before, .cost_after = *after};
      }
    }
    if (finding.proposal.empty())
      finding.proposal =
          "where (the columns of ORDER BY, then the primary key) > (those of the last row) order by … limit …";
    study.advice.findings.push_back(std::move(finding));
  }
}

}  // namespace ashlar::pg::detail
