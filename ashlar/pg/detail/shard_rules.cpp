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

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// A sharded table where it stands in a statement.
struct Use {
  std::string table;
  std::string key;
  std::string alias;
  std::size_t at;     // its token
  std::size_t block;  // whose rows they are
  bool held = false;
  bool strict = false;  // by `where`: rows that an outer join makes up are left out, too
  bool moved = false;   // its key is written anew
};

/// A SELECT or another statement, in parentheses or not; each side of a UNION is one.
struct Block {
  std::size_t parent = kNone;
  std::uint32_t depth = 0;
};

/// When rows of `from` have the key, those of `to` have it.
struct Edge {
  std::size_t from, to;
  bool strict_only = false;
};

bool is_any(const SqlToken& token, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return token.is(word); });
}

class Reader {
 public:
  Reader(std::string_view sql, const ShardedTables& tables, std::optional<std::size_t> key)
      : tokens_(sql_tokens(sql)), parameter_(key ? fmt::format("${}", *key) : std::string{}) {
    find_blocks();
    for (std::size_t i = 0; i < tokens_.size(); ++i) find_use(i, tables);
  }

  std::vector<std::string> unheld() {
    for (Use& use : uses_) {
      if (is_insert(use)) use.held = inserts_key(use);
      use.moved = moves_key(use);
    }
    for (std::size_t i = 0; i + 1 < tokens_.size(); ++i) {
      if (tokens_[i].text == "=" && !under_or(i)) compare(i);
      if (tokens_[i].is("using") && tokens_[i + 1].kind == Kind::open) join_using(i);
    }
    for (bool more = true; more;) {
      more = false;
      for (const Edge& edge : edges_) {
        const Use& from = uses_[edge.from];
        Use& to = uses_[edge.to];
        if (to.held || !(edge.strict_only ? from.strict : from.held)) continue;
        to.held = true;
        more = true;
      }
    }
    std::vector<std::string> out;
    for (const Use& use : uses_) {
      if ((!use.held || use.moved) && std::ranges::find(out, use.table) == out.end()) out.push_back(use.table);
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
    uses_.push_back({.table = table->first, .key = table->second, .alias = alias, .at = i, .block = block_of_[i]});
  }

  void find_blocks() {
    blocks_.emplace_back();
    std::vector<std::size_t> open{0};
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const SqlToken& token = tokens_[i];
      if (token.kind == Kind::close && open.size() > 1) open.pop_back();
      if (token.depth == blocks_[open.back()].depth && is_any(token, {"union", "except", "intersect"})) {
        blocks_.push_back({blocks_[open.back()].parent, token.depth});
        open.back() = blocks_.size() - 1;
      }
      block_of_.push_back(open.back());
      if (token.kind != Kind::open) continue;
      const bool is_query = i + 1 < tokens_.size() &&
                            is_any(tokens_[i + 1], {"select", "with", "insert", "update", "delete", "values", "table"});
      if (is_query) blocks_.push_back({open.back(), token.depth + 1});
      open.push_back(is_query ? blocks_.size() - 1 : open.back());
    }
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
      if (block_of_[begin - 1] != block_of_[begin]) return false;
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

  [[nodiscard]] std::vector<std::size_t> uses_of(const Column& column, std::size_t block) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < uses_.size(); ++i) {
      const bool named = column.alias.empty() || column.alias == uses_[i].alias;
      if (uses_[i].block == block && named && column.name == uses_[i].key && !is_insert(uses_[i])) out.push_back(i);
    }
    // Of a query around it, when it says so.
    if (out.empty() && !column.alias.empty() && blocks_[block].parent != kNone)
      return uses_of(column, blocks_[block].parent);
    return out;
  }

  /// Which rows a condition leaves out.
  struct Condition {
    enum class Of : std::uint8_t { where, inner, left, right } of = Of::where;
    std::size_t join = 0;  // the word, for all but `where`
  };

  /// Whether the tokens from `begin` to `end` are one of the conditions, joined by AND, that all rows meet.
  [[nodiscard]] std::optional<Condition> condition_of(std::size_t begin, std::size_t end) const {
    for (;;) {
      if (begin == 0 || !may_follow(end)) return std::nullopt;
      const std::uint32_t depth = tokens_[begin].depth;
      std::size_t before = begin - 1;
      if (tokens_[before].is("and")) {
        bool first = true;  // `between 1 and …` is no condition that ends here
        while (before > 0 && tokens_[before].depth >= depth && !is_clause(tokens_[before], depth)) {
          const SqlToken& token = tokens_[--before];
          if (token.depth != depth) continue;
          if (is_any(token, {"case", "when", "then", "else"}) || (first && token.is("between"))) return std::nullopt;
          if (token.is("and")) first = false;
        }
      }
      if (tokens_[before].kind == Kind::open && tokens_[before].depth < depth) {
        if (block_of_[before] != block_of_[begin]) return std::nullopt;
        begin = before;
        end = closing(tokens_, before) + 1;
        continue;
      }
      if (depth != blocks_[block_of_[begin]].depth) return std::nullopt;
      if (tokens_[before].is("where")) return Condition{};
      return tokens_[before].is("on") ? join_of(before) : std::nullopt;
    }
  }
  static bool is_clause(const SqlToken& token, std::uint32_t depth) {
    return token.depth == depth && is_any(token, {"where", "on", "having", "select", "from", "union", "except",
                                                  "intersect", "set", "by", "values", "returning", "using"});
  }
  [[nodiscard]] bool may_follow(std::size_t at) const {
    return at >= tokens_.size() || tokens_[at].kind == Kind::close || tokens_[at].kind == Kind::comma ||
           tokens_[at].text == ";" ||
           is_any(tokens_[at], {"and",       "or",     "group",  "order", "limit",   "offset",    "fetch", "for",
                                "returning", "having", "window", "union", "except",  "intersect", "join",  "left",
                                "right",     "full",   "inner",  "cross", "natural", "where"});
  }
  /// Of `on` or `using`. nullopt: of a full join, where each side keeps its rows, or none.
  [[nodiscard]] std::optional<Condition> join_of(std::size_t word) const {
    const std::uint32_t depth = tokens_[word].depth;
    std::size_t of_others = 0;  // `a join b join c on … on …`
    for (std::size_t i = word; i-- > 0 && tokens_[i].depth >= depth;) {
      if (tokens_[i].depth != depth) continue;
      if (is_any(tokens_[i], {"select", "where", "set", "update", "into"})) return std::nullopt;
      if (tokens_[i].is("on") || (tokens_[i].is("using") && tokens_[i + 1].kind == Kind::open)) ++of_others;
      if (!tokens_[i].is("join") || i == 0 || is_any(tokens_[i - 1], {"cross", "natural"})) continue;
      if (of_others > 0) {
        --of_others;
        continue;
      }
      const std::size_t kind = tokens_[i - 1].is("outer") && i >= 2 ? i - 2 : i - 1;
      if (tokens_[kind].is("full")) return std::nullopt;
      return Condition{tokens_[kind].is("left")    ? Condition::Of::left
                       : tokens_[kind].is("right") ? Condition::Of::right
                                                   : Condition::Of::inner,
                       i};
    }
    return std::nullopt;
  }
  /// Whether rows of a table that do not meet the condition are left out, and not merely joined to nothing.
  [[nodiscard]] bool leaves_out(const Condition& condition, std::size_t use) const {
    const bool is_right = uses_[use].at > condition.join;
    return condition.of == Condition::Of::where || condition.of == Condition::Of::inner ||
           (condition.of == Condition::Of::left ? is_right : !is_right);
  }

  void compare(std::size_t equals) {
    const std::size_t block = block_of_[equals];
    const auto left_column = column_before(equals);
    const auto right_column = column_after(equals + 1);
    const std::size_t left_begin = left_column && !left_column->alias.empty() ? equals - 3 : equals - 1;
    const std::size_t right_end = equals + (right_column && !right_column->alias.empty() ? 4 : 2);
    if (left_column && tokens_[equals + 1].text == parameter_)
      hold(*left_column, block, condition_of(left_begin, after_casts(equals + 2)));
    if (right_column && equals > 0 && tokens_[equals - 1].text == parameter_)
      hold(*right_column, block, condition_of(equals - 1, right_end));
    if (!left_column || !right_column) return;
    const auto condition = condition_of(left_begin, right_end);
    if (!condition) return;
    for (const std::size_t a : uses_of(*left_column, block)) {
      for (const std::size_t b : uses_of(*right_column, block)) join(a, b, block, *condition);
    }
  }
  /// Behind `::type` and `::type(5)`.
  [[nodiscard]] std::size_t after_casts(std::size_t at) const {
    while (at + 1 < tokens_.size() && tokens_[at].kind == Kind::cast) {
      at += 2;
      if (at < tokens_.size() && tokens_[at].kind == Kind::open) at = closing(tokens_, at) + 1;
    }
    return at;
  }
  void hold(const Column& column, std::size_t block, const std::optional<Condition>& condition) {
    if (!condition) return;
    for (const std::size_t i : uses_of(column, block)) {
      // A query in another says nothing of the rows of that one.
      if (uses_[i].block != block || !leaves_out(*condition, i)) continue;
      uses_[i].held = true;
      uses_[i].strict = uses_[i].strict || condition->of == Condition::Of::where;
    }
  }
  void join(std::size_t a, std::size_t b, std::size_t block, const Condition& condition) {
    for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
      if (uses_[to].block != block) continue;
      edges_.push_back({from, to, !leaves_out(condition, to)});
    }
  }
  void join_using(std::size_t word) {
    const auto condition = join_of(word);
    if (!condition) return;
    const std::size_t close = closing(tokens_, word + 1);
    for (std::size_t i = word + 2; i < close && i < tokens_.size(); ++i) {
      if (!tokens_[i].is_name()) continue;
      const auto joined = uses_of({"", name_of(tokens_[i])}, block_of_[word]);
      for (const std::size_t a : joined) {
        for (const std::size_t b : joined) {
          if (uses_[a].at < condition->join && uses_[b].at > condition->join && uses_[b].at < word)
            join(a, b, block_of_[word], *condition);
        }
      }
    }
  }

  /// `update t set key = …`, where that is not the parameter: the row would lie on a shard where nobody looks for it.
  [[nodiscard]] bool moves_key(const Use& use) const {
    const std::uint32_t depth = blocks_[use.block].depth;
    const bool updates = use.at > 0 && is_any(tokens_[use.at - 1], {"update", "only"});
    if (!updates && !is_insert(use)) return false;
    std::size_t at = use.at;
    while (at < tokens_.size() && tokens_[at].depth >= depth && !(tokens_[at].depth == depth && tokens_[at].is("set")))
      ++at;
    for (std::size_t i = at + 1; i + 2 < tokens_.size() && tokens_[i].depth >= depth; ++i) {
      if (tokens_[i].depth == depth && is_any(tokens_[i], {"where", "from", "returning"})) break;
      if (!tokens_[i].is_name() || name_of(tokens_[i]) != use.key) continue;
      if (tokens_[i].depth > depth && tokens_[i - 1].kind != Kind::open && tokens_[i - 1].kind != Kind::comma) continue;
      if (tokens_[i].depth > depth && is_written_list(i, at)) return true;  // set (key, …) = (…)
      if (tokens_[i].depth > depth || tokens_[i + 1].text != "=") continue;
      const bool is_same = tokens_[i + 2].text == parameter_ && ends_there(i + 3);
      const bool is_excluded =
          tokens_[i + 2].is("excluded") && i + 4 < tokens_.size() && name_of(tokens_[i + 4]) == use.key;
      if (!is_same && !is_excluded) return true;
    }
    return false;
  }
  [[nodiscard]] bool is_written_list(std::size_t name, std::size_t set) const {
    std::size_t open = name;
    while (open > set && tokens_[open].kind != Kind::open) --open;
    return open > set && (open == set + 1 || tokens_[open - 1].kind == Kind::comma) &&
           closing(tokens_, open) + 1 < tokens_.size() && tokens_[closing(tokens_, open) + 1].text == "=";
  }
  /// `$1 + 1` is another value.
  [[nodiscard]] bool ends_there(std::size_t next) const {
    return next >= tokens_.size() || tokens_[next].kind != Kind::symbol || tokens_[next].text == ";";
  }

  std::vector<SqlToken> tokens_;
  std::string parameter_;
  std::vector<Block> blocks_;
  std::vector<std::size_t> block_of_;  // of each token
  std::vector<Use> uses_;
  std::vector<Edge> edges_;
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
