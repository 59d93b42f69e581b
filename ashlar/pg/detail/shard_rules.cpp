#include <ashlar/pg/detail/shard_rules.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/shards.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = SqlToken::Kind;

/// A sharded table where it stands in a statement.
struct Use {
  std::string table;
  std::string key;
  std::string alias;
  std::size_t at;  // its token
  bool held = false;
};

bool is_any(const SqlToken& token, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return token.is(word); });
}

class Reader {
 public:
  Reader(std::string_view sql, const ShardedTables& tables, std::optional<std::size_t> key)
      : tokens_(sql_tokens(sql)), parameter_(key ? fmt::format("${}", *key) : std::string{}) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) find_use(i, tables);
  }

  std::vector<std::string> unheld() {
    for (Use& use : uses_) {
      if (is_insert(use)) use.held = inserts_key(use);
    }
    for (std::size_t i = 0; i + 1 < tokens_.size(); ++i) {
      if (tokens_[i].text == "=" && !under_or(i)) compare(i);
      if (tokens_[i].is("using") && tokens_[i + 1].kind == Kind::open) join_using(i + 1);
    }
    for (bool more = true; more;) {
      more = false;
      for (const auto& [a, b] : same_) {
        if (uses_[a].held == uses_[b].held) continue;
        uses_[a].held = uses_[b].held = true;
        more = true;
      }
    }
    std::vector<std::string> out;
    for (const Use& use : uses_) {
      if (!use.held && std::ranges::find(out, use.table) == out.end()) out.push_back(use.table);
    }
    return out;
  }

 private:
  struct Column {
    std::string alias;  // empty: not said
    std::string name;
  };

  void find_use(std::size_t i, const ShardedTables& tables) {
    if (!tokens_[i].is_name()) return;
    const auto table = std::ranges::find(tables, name_of(tokens_[i]), &ShardedTables::value_type::first);
    if (table == tables.end()) return;
    if (i + 1 < tokens_.size() && tokens_[i + 1].kind == Kind::dot) return;  // of a column
    std::size_t before = i;
    if (i >= 2 && tokens_[i - 1].kind == Kind::dot) before = i - 2;  // of a schema
    if (before == 0) return;
    const SqlToken& word = tokens_[before - 1];
    if (!is_any(word, {"from", "join", "update", "into", "only", "using", "table"}) && word.kind != Kind::comma) return;
    if (word.kind == Kind::comma && !in_from_list(before - 1)) return;
    std::string alias = table->first;
    std::size_t next = i + 1;
    if (next < tokens_.size() && tokens_[next].is("as")) ++next;
    if (next < tokens_.size() && tokens_[next].is_name() &&
        !is_any(tokens_[next],
                {"where",      "join",   "on",    "left",        "right", "inner",  "full",      "cross",
                 "natural",    "set",    "order", "group",       "limit", "offset", "returning", "using",
                 "values",     "select", "for",   "having",      "union", "except", "intersect", "default",
                 "overriding", "window", "fetch", "tablesample", "with"}))
      alias = name_of(tokens_[next]);
    uses_.push_back({table->first, table->second, alias, i});
  }

  /// A comma between tables, and not between columns.
  [[nodiscard]] bool in_from_list(std::size_t comma) const {
    for (std::size_t i = comma; i-- > 0;) {
      if (tokens_[i].depth < tokens_[comma].depth) return false;
      if (tokens_[i].depth > tokens_[comma].depth) continue;
      if (is_any(tokens_[i], {"from", "using"})) return true;
      if (is_any(tokens_[i], {"select", "where", "set", "by", "values", "returning", "on"})) return false;
    }
    return false;
  }

  [[nodiscard]] bool is_insert(const Use& use) const {
    const std::size_t before = use.at >= 2 && tokens_[use.at - 1].kind == Kind::dot ? use.at - 2 : use.at;
    return before > 0 && tokens_[before - 1].is("into");
  }

  /// `insert into t (…, key, …) values (…, $1, …), …`, or `select …, $1, …`.
  [[nodiscard]] bool inserts_key(const Use& use) const {
    std::size_t open = use.at + 1;
    while (open < tokens_.size() && tokens_[open].kind != Kind::open) {
      if (is_any(tokens_[open], {"values", "select", "default"})) return false;
      ++open;
    }
    if (open >= tokens_.size()) return false;
    const std::size_t close = closing(tokens_, open);
    if (close >= tokens_.size()) return false;
    std::size_t column = 0;
    bool found = false;
    for (std::size_t i = open + 1; i < close && !found; ++i) {
      if (tokens_[i].kind == Kind::comma) ++column;
      found = tokens_[i].is_name() && name_of(tokens_[i]) == use.key;
    }
    if (!found) return false;
    std::size_t at = close + 1;
    while (at < tokens_.size() && !is_any(tokens_[at], {"values", "select"})) ++at;
    if (at >= tokens_.size()) return false;
    if (tokens_[at].is("select")) return is_parameter(at + 1, column, tokens_[at].depth);
    std::size_t rows = 0;
    for (++at; at < tokens_.size() && tokens_[at].kind == Kind::open; ++rows) {
      if (!is_parameter(at + 1, column, tokens_[at].depth + 1)) return false;
      at = closing(tokens_, at) + 1;
      if (at < tokens_.size() && tokens_[at].kind == Kind::comma) ++at;
    }
    return rows > 0;
  }

  /// Whether the item `column` of the list that begins at `from` is the parameter, perhaps with a cast.
  [[nodiscard]] bool is_parameter(std::size_t from, std::size_t column, std::uint32_t depth) const {
    for (std::size_t i = from; i < tokens_.size() && column > 0; ++i) {
      if (tokens_[i].depth < depth || tokens_[i].is("from")) return false;
      if (tokens_[i].kind == Kind::comma && tokens_[i].depth == depth && --column == 0) from = i + 1;
    }
    if (column != 0 || from >= tokens_.size() || tokens_[from].text != parameter_) return false;
    const std::size_t after = from + 1;
    return after >= tokens_.size() || tokens_[after].kind == Kind::comma || tokens_[after].kind == Kind::cast ||
           tokens_[after].kind == Kind::close || tokens_[after].is("from") || tokens_[after].is("where");
  }

  /// At the depth of this token, or around it.
  [[nodiscard]] bool under_or(std::size_t at) const {
    std::uint32_t depth = tokens_[at].depth;
    const auto boundary = [&](const SqlToken& token) {
      return token.depth == depth && is_any(token, {"where", "on", "having", "select", "from", "union", "set"});
    };
    for (;;) {
      std::size_t begin = at;
      while (begin > 0 && tokens_[begin - 1].depth >= depth && !boundary(tokens_[begin - 1])) --begin;
      for (std::size_t i = begin; i < tokens_.size() && tokens_[i].depth >= depth; ++i) {
        if (i > at && boundary(tokens_[i])) break;
        if (tokens_[i].depth == depth && is_any(tokens_[i], {"or", "not"})) return true;
      }
      if (depth == 0 || begin == 0 || boundary(tokens_[begin - 1])) return false;
      at = begin - 1;  // the parenthesis around
      depth = tokens_[at].depth;
    }
  }

  [[nodiscard]] std::optional<Column> column_before(std::size_t end) const {
    if (end == 0 || !tokens_[end - 1].is_name()) return std::nullopt;
    Column out{"", name_of(tokens_[end - 1])};
    if (end >= 3 && tokens_[end - 2].kind == Kind::dot) out.alias = name_of(tokens_[end - 3]);
    return out;
  }
  [[nodiscard]] std::optional<Column> column_after(std::size_t begin) const {
    if (begin >= tokens_.size() || !tokens_[begin].is_name()) return std::nullopt;
    if (begin + 2 < tokens_.size() && tokens_[begin + 1].kind == Kind::dot)
      return Column{name_of(tokens_[begin]), name_of(tokens_[begin + 2])};
    return Column{"", name_of(tokens_[begin])};
  }

  [[nodiscard]] std::vector<std::size_t> uses_of(const Column& column) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < uses_.size(); ++i) {
      const bool named = column.alias.empty() || column.alias == uses_[i].alias;
      if (named && column.name == uses_[i].key && !is_insert(uses_[i])) out.push_back(i);
    }
    return out;
  }

  void compare(std::size_t equals) {
    const SqlToken* const right = equals + 1 < tokens_.size() ? &tokens_[equals + 1] : nullptr;
    const auto left_column = column_before(equals);
    const auto right_column = column_after(equals + 1);
    if (left_column && right != nullptr && right->text == parameter_ && ends_there(equals + 2)) hold(*left_column);
    if (right_column && equals > 0 && tokens_[equals - 1].text == parameter_) hold(*right_column);
    if (!left_column || !right_column) return;
    for (const std::size_t a : uses_of(*left_column)) {
      for (const std::size_t b : uses_of(*right_column)) same_.emplace_back(a, b);
    }
  }
  /// `$1 + 1` is another value.
  [[nodiscard]] bool ends_there(std::size_t next) const {
    return next >= tokens_.size() || tokens_[next].kind != Kind::symbol || tokens_[next].text == ";";
  }
  void hold(const Column& column) {
    for (const std::size_t i : uses_of(column)) uses_[i].held = true;
  }
  void join_using(std::size_t open) {
    const std::size_t close = closing(tokens_, open);
    for (std::size_t i = open + 1; i < close && i < tokens_.size(); ++i) {
      if (!tokens_[i].is_name()) continue;
      const auto joined = uses_of({"", name_of(tokens_[i])});
      for (std::size_t k = 1; k < joined.size(); ++k) same_.emplace_back(joined[0], joined[k]);
    }
  }

  std::vector<SqlToken> tokens_;
  std::string parameter_;
  std::vector<Use> uses_;
  std::vector<std::pair<std::size_t, std::size_t>> same_;
};

}  // namespace

std::vector<std::string> tables_without_key(std::string_view sql, const ShardedTables& tables,
                                            std::optional<std::size_t> key) {
  return Reader(sql, tables, key).unheld();
}

std::string written_table(std::string_view sql, const std::vector<std::string>& tables) {
  const auto tokens = sql_tokens(sql);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const bool writes = tokens[i].is("into") || (tokens[i].is("update") && (i == 0 || !tokens[i - 1].is("for"))) ||
                        (tokens[i].is("from") && i > 0 && tokens[i - 1].is("delete"));
    if (!writes) continue;
    std::size_t at = i + 1;
    if (tokens[at].is("only") && at + 1 < tokens.size()) ++at;
    if (at + 2 < tokens.size() && tokens[at + 1].kind == Kind::dot) at += 2;
    if (tokens[at].is_name() && std::ranges::find(tables, name_of(tokens[at])) != tables.end())
      return name_of(tokens[at]);
  }
  return {};
}

std::vector<std::string> shard_problems(const ShardedTables& tables, const std::vector<std::string>& reference_tables) {
  std::vector<std::string> out;
  Statement::for_each([&](const Statement& statement) {
    const auto route = ShardRoute::of(statement);
    if (route == ShardRoute::kEvery) return;
    if (const std::string written = written_table(statement.sql(), reference_tables); !written.empty())
      out.push_back(
          fmt::format("{} writes to {}, which is the same on every shard: make it a pg::EveryShardQuery, and "
                      "run it with exec_every",
                      statement.describe(), written));
    const auto missing = tables_without_key(statement.sql(), tables, route ? std::optional(*route + 1) : std::nullopt);
    if (missing.empty()) return;
    if (!route) {
      out.push_back(
          fmt::format("{} uses the sharded table {}, but does not say on which shard: make it a pg::ShardQuery, or a "
                      "pg::EveryShardQuery if it is meant for all",
                      statement.describe(), fmt::join(missing, ", ")));
      return;
    }
    std::vector<std::string> keys;
    for (const auto& [table, key] : tables) {
      if (std::ranges::find(missing, table) != missing.end()) keys.push_back(fmt::format("{}.{}", table, key));
    }
    out.push_back(
        fmt::format("{} runs on the shard of ${}, but does not hold {} to it: it would miss rows, or write "
                    "them where nobody looks; compare with `= ${}`, outside of any OR",
                    statement.describe(), *route + 1, fmt::join(keys, ", "), *route + 1));
  });
  std::ranges::sort(out);
  return out;
}

}  // namespace ashlar::pg::detail
