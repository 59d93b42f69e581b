#include <ashlar/pg/detail/sql_statements.hpp>

#include <algorithm>
#include <utility>

#include <ashlar/base/text.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = SqlToken::Kind;

/// The next word of "if not exists"; the rest stays in `words`.
std::string_view next_word(std::string_view& words) noexcept {
  const std::size_t end = std::min(words.find(' '), words.size());
  const std::string_view word = words.substr(0, end);
  words.remove_prefix(std::min(end + 1, words.size()));
  return word;
}

bool begins_with(SqlTokens tokens, std::string_view words) noexcept {
  std::size_t at = 0;
  while (!words.empty()) {
    if (at == tokens.size() || !tokens[at].is(next_word(words))) return false;
    ++at;
  }
  return true;
}

/// Comments of `text`, which lies between tokens.
void add_comments(std::string_view text, std::vector<std::string_view>& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (const std::size_t dashes = line.find("--"); dashes != std::string_view::npos)
      out.push_back(line.substr(dashes + 2));
    at = end + 1;
  }
}

/// Where the line of `at` ends, when nothing but white space and a comment follows on it; else `at`.
std::size_t end_of_line_comment(std::string_view sql, std::size_t at) {
  const std::size_t text = std::min(sql.find_first_not_of(" \t", at), sql.size());
  if (!sql.substr(text).starts_with("--")) return at;
  return std::min(sql.find('\n', text), sql.size());
}

}  // namespace

std::vector<SqlStatement> sql_statements(std::string_view sql) {
  const std::vector<SqlToken> tokens = sql_tokens(sql);
  std::vector<SqlStatement> out;
  std::size_t comments_from = 0;
  std::size_t line_counted_to = 0;
  std::uint32_t line = 1;
  SqlStatement current;
  unsigned body = 0;  // of begin atomic: how many `end` are to come
  const auto finish = [&](std::size_t end) {
    if (current.tokens.empty()) return;
    current.text = text_of(current.tokens);
    const std::size_t first = current.tokens.front().at;
    line += static_cast<std::uint32_t>(std::count(sql.begin() + static_cast<std::ptrdiff_t>(line_counted_to),
                                                  sql.begin() + static_cast<std::ptrdiff_t>(first), '\n'));
    line_counted_to = first;
    current.line = line;
    for (const SqlToken& token : current.tokens) {
      add_comments(sql.substr(comments_from, token.at - comments_from), current.comments);
      comments_from = token.end();
    }
    const std::size_t last = end_of_line_comment(sql, end);
    add_comments(sql.substr(comments_from, last - comments_from), current.comments);
    comments_from = last;
    out.push_back(std::exchange(current, {}));
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const SqlToken& token = tokens[i];
    if (token.kind == Kind::symbol && token.text == ";" && token.depth == 0 && body == 0) {
      finish(token.end());
      continue;
    }
    if (body == 0 && token.is("atomic") && i > 0 && tokens[i - 1].is("begin")) {
      body = 1;
    } else if (body > 0 && token.is("case")) {
      ++body;
    } else if (body > 0 && token.is("end")) {
      --body;
    }
    current.tokens.push_back(token);
  }
  finish(sql.size());
  return out;
}

bool SqlCursor::accept(std::string_view words) noexcept {
  if (!begins_with(rest_, words)) return false;
  rest_ = rest_.subspan(static_cast<std::size_t>(std::ranges::count(words, ' ')) + 1);
  return true;
}

SqlTokens SqlCursor::parentheses() noexcept {
  if (rest_.empty() || rest_.front().kind != Kind::open) return {};
  const std::size_t close = closing(rest_, 0);
  const SqlTokens inside = rest_.subspan(1, close - 1);
  rest_ = rest_.subspan(std::min(close + 1, rest_.size()));
  return inside;
}

std::string SqlCursor::name() {
  if (rest_.empty() || !rest_.front().is_name()) return {};
  std::string out = name_of(rest_.front());
  skip();
  while (rest_.size() >= 2 && rest_[0].kind == Kind::dot && rest_[1].is_name()) {
    out = (out == "public" ? "" : out + ".") + name_of(rest_[1]);
    rest_ = rest_.subspan(2);
  }
  return out;
}

SqlTokens SqlCursor::item() noexcept {
  const std::uint32_t depth = rest_.empty() ? 0 : rest_.front().depth;
  std::size_t end = 0;
  while (end < rest_.size() && !(rest_[end].kind == Kind::comma && rest_[end].depth == depth)) ++end;
  const SqlTokens out = rest_.first(end);
  rest_ = rest_.subspan(std::min(end + 1, rest_.size()));
  return out;
}

bool contains_words(SqlTokens tokens, std::string_view words) noexcept {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (begins_with(tokens.subspan(i), words)) return true;
  }
  return false;
}

std::optional<std::string> concurrent_index(SqlTokens statement) {
  SqlCursor cursor(statement);
  if (!cursor.accept("create")) return std::nullopt;
  cursor.accept("unique");
  if (!cursor.accept("index concurrently")) return std::nullopt;
  cursor.accept("if not exists");
  if (cursor.at("on")) return std::nullopt;  // the server thinks of a name
  std::string name = cursor.name();
  if (name.empty()) return std::nullopt;
  return name;
}

}  // namespace ashlar::pg::detail
