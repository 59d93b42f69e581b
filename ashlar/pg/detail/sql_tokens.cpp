#include <ashlar/pg/detail/sql_tokens.hpp>

#include <algorithm>
#include <array>

#include <ashlar/base/text.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = SqlToken::Kind;

bool begins_name(char c) noexcept {
  return is_alpha_ascii(c) || c == '_' || (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool continues_name(char c) noexcept { return begins_name(c) || is_digit_ascii(c) || c == '$'; }
bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_operator(char c) noexcept { return std::string_view("+-*/<>=~!@#%^&|`?").find(c) != std::string_view::npos; }

class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  std::vector<SqlToken> run() {
    while (skip_blanks(), at_ < sql_.size()) one();
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool at(std::string_view text) const noexcept { return sql_.substr(at_).starts_with(text); }

  void skip_blanks() noexcept {
    for (;;) {
      if (at_ < sql_.size() && is_space(sql_[at_])) {
        ++at_;
      } else if (at("--")) {
        at_ = std::min(sql_.find('\n', at_), sql_.size());
      } else if (at("/*")) {
        skip_comment();
      } else {
        return;
      }
    }
  }
  void skip_comment() noexcept {  // they nest
    unsigned depth = 0;
    while (at_ < sql_.size()) {
      if (at("/*")) {
        ++depth;
        at_ += 2;
      } else if (at("*/")) {
        at_ += 2;
        if (--depth == 0) return;
      } else {
        ++at_;
      }
    }
  }

  void add(Kind kind, std::size_t end) {
    tokens_.push_back({kind, sql_.substr(at_, end - at_), at_, depth_});
    at_ = end;
  }
  template <class F>
  [[nodiscard]] std::size_t while_is(F test, std::size_t from) const noexcept {
    while (from < sql_.size() && test(sql_[from])) ++from;
    return from;
  }
  /// Past the quote that ends what begins at `from`; doubled quotes do not end it.
  [[nodiscard]] std::size_t past_quotes(std::size_t from, char quote, bool backslashes) const noexcept {
    for (++from; from < sql_.size(); ++from) {
      if (backslashes && sql_[from] == '\\') {
        ++from;
      } else if (sql_[from] == quote) {
        if (from + 1 >= sql_.size() || sql_[from + 1] != quote) return from + 1;
        ++from;
      }
    }
    return sql_.size();
  }

  void one() {
    const char c = peek();
    if (c == '\'') return add(Kind::string, past_quotes(at_, '\'', false));
    if (c == '"') return add(Kind::quoted, past_quotes(at_, '"', false));
    if (peek(1) == '\'' && std::string_view("eEbBxXnN").find(c) != std::string_view::npos)
      return add(Kind::string, past_quotes(at_ + 1, '\'', c == 'e' || c == 'E'));
    if (begins_name(c)) return add(Kind::word, while_is(continues_name, at_));
    if (is_digit_ascii(c) || (c == '.' && is_digit_ascii(peek(1)))) return number();
    if (c == '$') return dollar();
    if (c == '(' || c == '[') {
      add(Kind::open, at_ + 1);
      ++depth_;
      return;
    }
    if (c == ')' || c == ']') {
      if (depth_ > 0) --depth_;
      return add(Kind::close, at_ + 1);
    }
    if (c == ',') return add(Kind::comma, at_ + 1);
    if (c == '.') return add(Kind::dot, at_ + 1);
    if (at("::")) return add(Kind::cast, at_ + 2);
    if (!is_operator(c)) return add(Kind::symbol, at_ + 1);
    std::size_t end = at_ + 1;
    while (end < sql_.size() && is_operator(sql_[end]) && !sql_.substr(end).starts_with("--") &&
           !sql_.substr(end).starts_with("/*"))
      ++end;
    add(Kind::symbol, end);
  }

  void number() {
    std::size_t end = while_is(is_digit_ascii, at_);
    if (end < sql_.size() && sql_[end] == '.') end = while_is(is_digit_ascii, end + 1);
    if (end < sql_.size() && (sql_[end] | 32) == 'e') {
      std::size_t exponent = end + 1;
      if (exponent < sql_.size() && (sql_[exponent] == '-' || sql_[exponent] == '+')) ++exponent;
      if (exponent < sql_.size() && is_digit_ascii(sql_[exponent])) end = while_is(is_digit_ascii, exponent);
    }
    add(Kind::number, end);
  }

  /// $1, or a string between $tag$ and $tag$.
  void dollar() {
    if (is_digit_ascii(peek(1))) return add(Kind::parameter, while_is(is_digit_ascii, at_ + 1));
    const std::size_t tag_end = while_is([](char c) { return continues_name(c) && c != '$'; }, at_ + 1);
    if (tag_end >= sql_.size() || sql_[tag_end] != '$') return add(Kind::symbol, at_ + 1);
    const std::string_view tag = sql_.substr(at_, tag_end + 1 - at_);
    const std::size_t close = sql_.find(tag, tag_end + 1);
    add(Kind::string, close == std::string_view::npos ? sql_.size() : close + tag.size());
  }

  std::string_view sql_;
  std::size_t at_ = 0;
  std::uint32_t depth_ = 0;
  std::vector<SqlToken> tokens_;
};

// Words that cannot be the name of a column or a table without quotes: reserved, and those kept for functions and types
// (https://www.postgresql.org/docs/current/sql-keywords-appendix.html), in order.
constexpr std::array kReserved = std::to_array<std::string_view>({"all",
                                                                  "analyse",
                                                                  "analyze",
                                                                  "and",
                                                                  "any",
                                                                  "array",
                                                                  "as",
                                                                  "asc",
                                                                  "asymmetric",
                                                                  "authorization",
                                                                  "binary",
                                                                  "both",
                                                                  "case",
                                                                  "cast",
                                                                  "check",
                                                                  "collate",
                                                                  "collation",
                                                                  "column",
                                                                  "concurrently",
                                                                  "constraint",
                                                                  "create",
                                                                  "cross",
                                                                  "current_catalog",
                                                                  "current_date",
                                                                  "current_role",
                                                                  "current_schema",
                                                                  "current_time",
                                                                  "current_timestamp",
                                                                  "current_user",
                                                                  "default",
                                                                  "deferrable",
                                                                  "desc",
                                                                  "distinct",
                                                                  "do",
                                                                  "else",
                                                                  "end",
                                                                  "except",
                                                                  "false",
                                                                  "fetch",
                                                                  "for",
                                                                  "foreign",
                                                                  "freeze",
                                                                  "from",
                                                                  "full",
                                                                  "grant",
                                                                  "group",
                                                                  "having",
                                                                  "ilike",
                                                                  "in",
                                                                  "initially",
                                                                  "inner",
                                                                  "intersect",
                                                                  "into",
                                                                  "is",
                                                                  "isnull",
                                                                  "join",
                                                                  "lateral",
                                                                  "leading",
                                                                  "left",
                                                                  "like",
                                                                  "limit",
                                                                  "localtime",
                                                                  "localtimestamp",
                                                                  "natural",
                                                                  "not",
                                                                  "notnull",
                                                                  "null",
                                                                  "offset",
                                                                  "on",
                                                                  "only",
                                                                  "or",
                                                                  "order",
                                                                  "outer",
                                                                  "overlaps",
                                                                  "placing",
                                                                  "primary",
                                                                  "references",
                                                                  "returning",
                                                                  "right",
                                                                  "select",
                                                                  "session_user",
                                                                  "similar",
                                                                  "some",
                                                                  "symmetric",
                                                                  "system_user",
                                                                  "table",
                                                                  "tablesample",
                                                                  "then",
                                                                  "to",
                                                                  "trailing",
                                                                  "true",
                                                                  "union",
                                                                  "unique",
                                                                  "user",
                                                                  "using",
                                                                  "variadic",
                                                                  "verbose",
                                                                  "when",
                                                                  "where",
                                                                  "window",
                                                                  "with"});
static_assert(std::ranges::is_sorted(kReserved));

}  // namespace

bool SqlToken::is(std::string_view word) const noexcept { return kind == Kind::word && equals_ignore_case(text, word); }

std::vector<SqlToken> sql_tokens(std::string_view sql) { return Lexer(sql).run(); }

std::size_t closing(SqlTokens tokens, std::size_t open) noexcept {
  for (std::size_t i = open + 1; i < tokens.size(); ++i) {
    if (tokens[i].kind == Kind::close && tokens[i].depth <= tokens[open].depth) return i;
  }
  return tokens.size();
}

SqlTokens without_parentheses(SqlTokens tokens) noexcept {
  while (tokens.size() >= 2 && tokens.front().kind == Kind::open && tokens.front().text == "(" &&
         closing(tokens, 0) == tokens.size() - 1)
    tokens = tokens.subspan(1, tokens.size() - 2);
  return tokens;
}

std::string_view text_of(SqlTokens tokens) noexcept {
  if (tokens.empty()) return {};
  const SqlToken& last = tokens.back();
  return {tokens.front().text.data(),
          static_cast<std::size_t>(last.text.data() + last.text.size() - tokens.front().text.data())};
}

std::string name_of(const SqlToken& token) {
  if (token.kind != Kind::quoted) return to_lower_ascii(token.text);
  std::string out;
  for (std::size_t i = 1; i + 1 < token.text.size(); ++i) {
    out += token.text[i];
    if (token.text[i] == '"') ++i;
  }
  return out;
}

std::string identifier(std::string_view name) {
  const bool plain = !name.empty() && !is_digit_ascii(name.front()) && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit_ascii(c) || c == '_';
  });
  return plain && std::ranges::find(kReserved, name) == kReserved.end() ? std::string(name) : quote_identifier(name);
}

std::string identifier_of_table(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return identifier(name);
  return identifier(name.substr(0, dot)) + "." + identifier(name.substr(dot + 1));
}

}  // namespace ashlar::pg::detail
