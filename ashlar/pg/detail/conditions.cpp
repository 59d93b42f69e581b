#include <ashlar/pg/detail/conditions.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = SqlToken::Kind;

struct ColumnName {
  std::string alias, column;
};

/// alias.column, and nothing else.
std::optional<ColumnName> column_of(SqlTokens tokens) {
  tokens = without_parentheses(tokens);
  if (tokens.size() != 3 || !tokens[0].is_name() || tokens[1].kind != Kind::dot || !tokens[2].is_name())
    return std::nullopt;
  return ColumnName{name_of(tokens[0]), name_of(tokens[2])};
}

/// All columns that are named in it. A name and a dot before a parenthesis is a function of a schema.
std::vector<ColumnName> columns_in(SqlTokens tokens) {
  std::vector<ColumnName> out;
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (!tokens[i].is_name() || tokens[i + 1].kind != Kind::dot || !tokens[i + 2].is_name()) continue;
    if (i > 0 && tokens[i - 1].kind == Kind::cast) continue;
    if (i + 3 < tokens.size() && (tokens[i + 3].text == "(" || tokens[i + 3].kind == Kind::dot)) continue;
    out.push_back({name_of(tokens[i]), name_of(tokens[i + 2])});
    i += 2;
  }
  return out;
}

/// The text without "alias." before its columns.
std::string without_alias(SqlTokens tokens, std::string_view alias) {
  std::string out;
  std::size_t written = 0;
  const std::string_view whole = text_of(tokens);
  const std::size_t start = tokens.empty() ? 0 : tokens.front().at;
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (!tokens[i].is_name() || tokens[i + 1].kind != Kind::dot || name_of(tokens[i]) != alias) continue;
    out += whole.substr(written, tokens[i].at - start - written);
    written = tokens[i + 2].at - start;
    i += 2;
  }
  out += whole.substr(written);
  return out;
}

/// Without a cast at the end, and its parentheses: of (users.name)::text it is users.name, and `type` is "text".
SqlTokens without_cast(SqlTokens tokens, std::string& type) {
  tokens = without_parentheses(tokens);
  if (tokens.empty()) return tokens;
  for (std::size_t i = tokens.size(); i-- > 1;) {
    if (tokens[i].kind != Kind::cast || tokens[i].depth != tokens.front().depth) continue;
    type = text_of(tokens.subspan(i + 1));
    return without_parentheses(tokens.first(i));
  }
  return tokens;
}

/// A literal as EXPLAIN prints constants: 'text'::type, 5, '-5'::integer, true.
bool is_literal(SqlTokens tokens) {
  tokens = without_parentheses(tokens);
  std::string type;
  tokens = without_cast(tokens, type);
  if (tokens.size() == 2 && tokens[0].text == "-") tokens = tokens.subspan(1);
  return tokens.size() == 1 && (tokens[0].kind == Kind::string || tokens[0].kind == Kind::number ||
                                tokens[0].is("true") || tokens[0].is("false"));
}

bool has_parameter(SqlTokens tokens) {
  return std::ranges::any_of(tokens, [](const SqlToken& token) { return token.kind == Kind::parameter; });
}

Condition::Kind kind_of(std::string_view operation) {
  using enum Condition::Kind;
  constexpr auto kKinds = std::to_array<std::pair<std::string_view, Condition::Kind>>({{"=", equal},
                                                                                       {"<", range},
                                                                                       {">", range},
                                                                                       {"<=", range},
                                                                                       {">=", range},
                                                                                       {"@>", contains},
                                                                                       {"<@", contains},
                                                                                       {"&&", contains},
                                                                                       {"?", contains},
                                                                                       {"?|", contains},
                                                                                       {"?&", contains},
                                                                                       {"@?", contains},
                                                                                       {"@@", match},
                                                                                       {"~~", pattern},
                                                                                       {"~~*", pattern},
                                                                                       {"~", pattern},
                                                                                       {"~*", pattern},
                                                                                       {"%", pattern}});
  for (const auto& [name, kind] : kKinds) {
    if (name == operation) return kind;
  }
  return other;
}

std::string turned_round(std::string operation) {
  if (operation == "@>") return "<@";
  if (operation == "<@") return "@>";
  for (char& c : operation) c = c == '<' ? '>' : c == '>' ? '<' : c;
  return operation;
}

/// Types whose text form the planner looks through: an index on the column serves the condition.
bool is_same_in_text(std::string_view type) {
  return type == "text" || type == "character varying" || type == "bpchar";
}

struct Side {
  std::optional<ColumnName> column;
  std::string expression;  // a function or cast of columns of one table
  std::string alias;
  bool literal = false;
  bool parameter = false;
};

Side side_of(SqlTokens tokens) {
  tokens = without_parentheses(tokens);
  Side side;
  std::string cast;
  const SqlTokens bare = without_cast(tokens, cast);
  side.column = column_of(bare);
  if (side.column && !cast.empty() && !is_same_in_text(cast)) {
    side.alias = side.column->alias;
    side.expression = without_alias(tokens, side.alias);
    side.column.reset();
    return side;
  }
  if (side.column) {
    side.alias = side.column->alias;
    return side;
  }
  const auto columns = columns_in(tokens);
  if (!columns.empty()) {
    side.alias = columns.front().alias;
    const bool one = std::ranges::all_of(columns, [&](const ColumnName& name) { return name.alias == side.alias; });
    if (one) side.expression = without_alias(tokens, side.alias);
    return side;
  }
  side.literal = is_literal(tokens);
  side.parameter = has_parameter(tokens);
  return side;
}

Condition one_condition(SqlTokens tokens) {
  Condition condition;
  condition.text = text_of(tokens);
  tokens = without_parentheses(tokens);
  if (tokens.empty()) return condition;
  const std::uint32_t depth = tokens.front().depth;
  const bool negated = tokens.front().is("not");
  const auto boolean = column_of(negated ? tokens.subspan(1) : tokens);
  if (boolean) {
    condition.kind = Condition::Kind::equal;
    condition.alias = boolean->alias;
    condition.column = boolean->column;
    condition.operation = "=";
    condition.constant = condition.boolean = true;
    condition.predicate = (negated ? "not " : "") + identifier(boolean->column);
    return condition;
  }
  const auto columns = columns_in(tokens);
  if (!columns.empty() &&
      std::ranges::all_of(columns, [&](const ColumnName& name) { return name.alias == columns.front().alias; }))
    condition.alias = columns.front().alias;
  if (negated) return condition;
  const auto is_or = [&](const SqlToken& token) { return token.depth == depth && token.is("or"); };
  if (std::ranges::any_of(tokens, is_or)) {
    if (condition.alias.empty()) return condition;
    condition.kind = Condition::Kind::either;
    for (std::size_t from = 0, i = 0; i <= tokens.size(); ++i) {
      if (i < tokens.size() && !is_or(tokens[i])) continue;
      condition.alternatives.push_back(conditions_of(text_of(tokens.subspan(from, i - from))));
      from = i + 1;
    }
    return condition;
  }
  const auto at = std::ranges::find_if(tokens, [&](const SqlToken& token) {
    return token.depth == depth && (token.kind == Kind::symbol || token.is("is"));
  });
  if (at == tokens.end() || at == tokens.begin()) return condition;
  const auto split = static_cast<std::size_t>(at - tokens.begin());
  SqlTokens right = tokens.subspan(split + 1);
  Side left_side = side_of(tokens.first(split));
  if (at->is("is")) {
    const std::string_view what = text_of(right);
    condition.operation = "is " + std::string(what);
    if (!left_side.column || (what != "NULL" && what != "NOT NULL")) return condition;
    condition.kind = what == "NULL" ? Condition::Kind::equal : Condition::Kind::other;
    condition.column = left_side.column->column;
    condition.constant = true;
    condition.predicate = identifier(condition.column) + (what == "NULL" ? " is null" : " is not null");
    return condition;
  }
  condition.operation = at->text;
  if (!right.empty() && (right.front().is("any") || right.front().is("all"))) {
    const SqlTokens list = right.subspan(1);
    if (right.front().is("all")) return condition;
    if (const Side array = side_of(list); array.column) {  // value = any (column): no index serves it, contains would
      condition.column = array.column->column;
      condition.operation = "any of";
      return condition;
    }
    right = list;
  }
  Side right_side = side_of(right);
  if (!left_side.column && left_side.expression.empty() && (right_side.column || !right_side.expression.empty())) {
    std::swap(left_side, right_side);
    condition.operation = turned_round(condition.operation);
  }
  condition.kind = kind_of(condition.operation);
  condition.alias = left_side.alias;
  if (left_side.column) condition.column = left_side.column->column;
  condition.expression = left_side.expression;
  condition.parameter = right_side.parameter;
  if (right_side.column && right_side.alias != left_side.alias) {
    condition.other_alias = right_side.alias;
    condition.other_column = right_side.column->column;
  } else if (!right_side.alias.empty() && right_side.alias == left_side.alias) {
    condition.kind = Condition::Kind::other;  // two columns of one row
  }
  condition.constant = right_side.literal && (left_side.column || !left_side.expression.empty());
  if (condition.constant) condition.predicate = without_alias(tokens, condition.alias);
  if (condition.column.empty() && condition.expression.empty()) condition.kind = Condition::Kind::other;
  return condition;
}

}  // namespace

Condition Condition::turned() const {
  Condition out = *this;
  out.alias = other_alias;
  out.column = other_column;
  out.expression.clear();
  out.other_alias = alias;
  out.other_column = column;
  out.operation = turned_round(operation);
  out.constant = false;
  out.predicate.clear();
  return out;
}

std::vector<Condition> conditions_of(std::string_view text) {
  std::vector<Condition> out;
  const auto all = sql_tokens(text);
  const SqlTokens tokens = without_parentheses(all);
  if (tokens.empty()) return out;
  const std::uint32_t depth = tokens.front().depth;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    if (i < tokens.size() && (tokens[i].depth != depth || !tokens[i].is("and"))) continue;
    out.push_back(one_condition(tokens.subspan(from, i - from)));
    from = i + 1;
  }
  return out;
}

std::optional<std::vector<std::string>> columns_of(std::string_view text, std::string_view alias) {
  const auto tokens = sql_tokens(text);
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i].is_name() && tokens[i + 1].kind == Kind::dot && tokens[i + 2].text == "*" &&
        name_of(tokens[i]) == alias)
      return std::nullopt;
  }
  std::vector<std::string> out;
  for (ColumnName& name : columns_in(tokens)) {
    if (name.alias == alias) out.push_back(std::move(name.column));
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool follows = i > 0 && (tokens[i - 1].kind == Kind::dot || tokens[i - 1].kind == Kind::cast);
    const bool goes_on = i + 1 < tokens.size() && (tokens[i + 1].kind == Kind::dot || tokens[i + 1].text == "(");
    if (tokens[i].is_name() && !follows && !goes_on) out.push_back(name_of(tokens[i]));
  }
  return out;
}

SortKey sort_key_of(std::string_view text) {
  SortKey key;
  const auto all = sql_tokens(text);
  SqlTokens tokens(all);
  bool nulls = false;
  if (tokens.size() >= 2 && tokens[tokens.size() - 2].is("nulls")) {
    nulls = true;
    key.nulls_first = tokens.back().is("first");
    tokens = tokens.first(tokens.size() - 2);
  }
  if (!tokens.empty() && (tokens.back().is("desc") || tokens.back().is("asc"))) {
    key.descending = tokens.back().is("desc");
    tokens = tokens.first(tokens.size() - 1);
  }
  if (!nulls) key.nulls_first = key.descending;
  const Side side = side_of(tokens);
  key.alias = side.alias;
  if (side.column) key.column = side.column->column;
  return key;
}

}  // namespace ashlar::pg::detail
