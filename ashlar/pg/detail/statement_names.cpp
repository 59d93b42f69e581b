#include <ashlar/pg/detail/statement_names.hpp>

#include <fmt/format.h>

#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = SqlToken::Kind;

/// What pg_stat_statements shows as a parameter.
bool is_value(const SqlToken& token) noexcept {
  return token.kind == Kind::string || token.kind == Kind::number || token.kind == Kind::parameter ||
         token.is("true") || token.is("false") || token.is("null");
}

// pg_stat_activity shows track_activity_query_size - 1 bytes, at least 99: what is shorter was not cut.
constexpr std::size_t kShortestCut = 99;

}  // namespace

std::string shape_of(std::string_view sql) {
  std::string out;
  for (const SqlToken& token : sql_tokens(sql)) {
    if (token.text == ";") continue;
    if (is_value(token)) {
      if (out.ends_with(" -")) out.resize(out.size() - 2);  // the sign of a constant is a part of it
      out += " ?";
    } else {
      out += ' ';
      for (const char c : token.text) out += token.kind == Kind::word ? to_lower_ascii(c) : c;
    }
  }
  return out;
}

std::string in_one_line(std::string_view text, std::size_t longest) {
  std::string out;
  for (const char c : text) {
    const bool space = static_cast<unsigned char>(c) <= ' ';
    if (!space || (!out.empty() && out.back() != ' ')) out += space ? ' ' : c;
    if (out.size() > longest) break;
  }
  if (out.size() > longest) {
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
    out.resize(end);
    return out + "…";
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

StatementNames::StatementNames() {
  Statement::for_each([&](const Statement& statement) {
    const Known known{statement.name(), fmt::format("{}:{}", statement.file(), statement.line())};
    if (!by_text_.try_emplace(std::string(statement.sql()), known).second) return;
    const auto [it, is_new] = by_shape_.try_emplace(shape_of(statement.sql()), known);
    if (is_new) return;
    it->second.name += ", " + known.name;  // they differ in constants: pg_stat_statements counts them as one
    it->second.where += ", " + known.where;
  });
}

const StatementNames::Known* StatementNames::look_up(std::string_view text) const {
  if (const auto it = by_text_.find(text); it != by_text_.end()) return &it->second;
  const std::string shape = shape_of(text);
  if (shape.empty()) return nullptr;
  if (const auto it = by_shape_.find(shape); it != by_shape_.end()) return &it->second;
  if (text.size() < kShortestCut) return nullptr;
  // Cut in the middle of a token: all but the last must agree, with one query only.
  const std::string_view whole = std::string_view(shape).substr(0, shape.rfind(' '));
  const Known* found = nullptr;
  for (auto it = by_shape_.lower_bound(whole); it != by_shape_.end() && it->first.starts_with(whole); ++it) {
    if (found != nullptr) return nullptr;
    found = &it->second;
  }
  return found;
}

std::string StatementNames::find(std::string_view text) const {
  const Known* known = look_up(text);
  return known == nullptr ? std::string() : known->name;
}

std::string StatementNames::describe(std::string_view text, std::size_t longest) const {
  const Known* known = look_up(text);
  if (known == nullptr) return in_one_line(text, longest);
  const bool has_name = !known->where.ends_with("/" + known->name) && known->where != known->name;
  return has_name ? fmt::format("{} ({})", known->name, known->where) : known->where;
}

}  // namespace ashlar::pg::detail
