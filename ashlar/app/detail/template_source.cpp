#include <ashlar/app/detail/template_source.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

constexpr unsigned kDeepest = 64;  // statements within each other

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_name_start(char c) noexcept { return is_alpha_ascii(c) || c == '_'; }
bool is_name(char c) noexcept { return is_name_start(c) || is_digit_ascii(c); }

// ---- expressions

class ExpressionReader {
 public:
  ExpressionReader(const TemplatePlace& place, std::string_view text) : place_(place), rest_(text) { next(); }

  TemplateExpression condition() { return disjunction(); }
  std::vector<std::string> path() { return dotted(); }
  std::string name(std::string_view what) {
    if (token_.kind != Token::Kind::name) fail(fmt::format("{} is expected", what));
    return take();
  }
  std::string literal(std::string_view what) {
    if (token_.kind != Token::Kind::text) fail(fmt::format("{} is expected, in quotes", what));
    return take();
  }
  bool takes(std::string_view sign) {
    if ((token_.kind != Token::Kind::sign && token_.kind != Token::Kind::name) || token_.text != sign) return false;
    next();
    return true;
  }
  void end() {
    if (token_.kind != Token::Kind::end) fail(fmt::format("'{}' is too much", token_.text));
  }
  [[noreturn]] void fail(std::string_view what) const { throw_template_error(place_, what); }

 private:
  struct Token {
    enum class Kind : std::uint8_t { name, text, number, sign, end };
    Kind kind = Kind::end;
    std::string text;
  };

  std::string take() {
    std::string text = std::move(token_.text);
    next();
    return text;
  }
  std::string_view cut(std::size_t size) {
    const std::string_view part = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return part;
  }
  void next() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
    if (rest_.empty()) {
      token_ = {};
      return;
    }
    const char c = rest_.front();
    if (is_name_start(c) || is_digit_ascii(c) || (c == '-' && rest_.size() > 1 && is_digit_ascii(rest_[1]))) {
      const auto end = std::find_if_not(rest_.begin() + 1, rest_.end(), is_name);
      token_ = {is_name_start(c) ? Token::Kind::name : Token::Kind::number,
                std::string(cut(static_cast<std::size_t>(end - rest_.begin())))};
    } else if (c == '"' || c == '\'') {
      const std::size_t end = rest_.find(c, 1);
      if (end == std::string_view::npos) fail("a text has no end: its quote is missing");
      token_ = {Token::Kind::text, std::string(cut(end + 1).substr(1, end - 1))};
    } else if (rest_.starts_with("==") || rest_.starts_with("!=")) {
      token_ = {Token::Kind::sign, std::string(cut(2))};
    } else if (std::string_view("().,|").contains(c)) {
      token_ = {Token::Kind::sign, std::string(cut(1))};
    } else {
      fail(fmt::format("'{}' means nothing here; there are names, texts in quotes, whole numbers, ==, !=, and, or, not",
                       rest_.substr(0, 1)));
    }
  }

  TemplateExpression several(TemplateExpression::Kind kind, std::string_view word,
                             TemplateExpression (ExpressionReader::*part)()) {
    TemplateExpression first = (this->*part)();
    if (token_.text != word || token_.kind != Token::Kind::name) return first;
    TemplateExpression all{kind, {}, {}, {}};
    all.operands.push_back(std::move(first));
    while (takes(word)) all.operands.push_back((this->*part)());
    return all;
  }
  TemplateExpression disjunction() {
    if (++depth_ > kDeepest) fail("this has too many parentheses");
    auto out = several(TemplateExpression::Kind::disjunction, "or", &ExpressionReader::conjunction);
    --depth_;
    return out;
  }
  TemplateExpression conjunction() {
    return several(TemplateExpression::Kind::conjunction, "and", &ExpressionReader::negation);
  }
  TemplateExpression negation() {
    bool negative = false;
    while (takes("not")) negative = !negative;
    TemplateExpression inner = comparison();
    if (!negative) return inner;
    TemplateExpression out{TemplateExpression::Kind::negation, {}, {}, {}};
    out.operands.push_back(std::move(inner));
    return out;
  }
  TemplateExpression comparison() {
    if (takes("(")) {
      TemplateExpression inner = disjunction();
      if (!takes(")")) fail("a ')' is missing");
      return inner;
    }
    TemplateExpression left{TemplateExpression::Kind::path, dotted(), {}, {}};
    const bool equal = takes("==");
    if (!equal && !takes("!=")) return left;
    TemplateExpression out{equal ? TemplateExpression::Kind::equal : TemplateExpression::Kind::unequal, {}, {}, {}};
    out.operands.push_back(std::move(left));
    if (token_.kind == Token::Kind::text) {
      out.operands.push_back({TemplateExpression::Kind::text, {}, take(), {}});
    } else if (token_.kind == Token::Kind::number) {
      out.operands.push_back({TemplateExpression::Kind::number, {}, take(), {}});
    } else {
      fail("values are compared with a text in quotes or a whole number");
    }
    return out;
  }
  std::vector<std::string> dotted() {
    std::vector<std::string> parts{name("a name")};
    while (takes(".")) parts.push_back(name("a name after the '.'"));
    return parts;
  }

  const TemplatePlace& place_;
  std::string_view rest_;
  Token token_;
  unsigned depth_ = 0;
};

// ---- the file

struct Piece {
  enum class Kind : std::uint8_t { text, value, statement, remark, end };
  Kind kind = Kind::end;
  TemplatePlace place;
  std::string_view text;
};

class TemplateReader {
 public:
  TemplateReader(std::string name, std::string_view text)
      : file_(std::make_shared<const std::string>(std::move(name))), rest_(text) {}

  std::vector<TemplateNode> read() {
    advance();
    std::vector<TemplateNode> all = nodes();
    if (piece_.kind == Piece::Kind::statement)
      throw_template_error(piece_.place, fmt::format("{{% {} %}} closes nothing that is open", word_));
    return all;
  }

 private:
  // The next piece. A statement or remark with nothing else on its line takes the whole line.
  void advance() {
    piece_ = {Piece::Kind::end, {file_, line_}, {}};
    if (rest_.empty()) return;
    std::size_t at = 0;
    while (at + 1 < rest_.size() && !(rest_[at] == '{' && std::string_view("{%#").contains(rest_[at + 1]))) ++at;
    if (at + 1 >= rest_.size()) at = rest_.size();
    if (at > 0) {
      std::string_view text = rest_.substr(0, at);
      if (at < rest_.size() && rest_[at + 1] != '{' && stands_alone(at)) text = text.substr(0, line_start(text));
      piece_ = {Piece::Kind::text, {file_, line_}, text};
      skip(at);
      if (!piece_.text.empty()) return;
    }
    if (rest_.empty()) return advance();
    const char kind = rest_[1];
    const std::string_view closing = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    const TemplatePlace place{file_, line_};
    const std::size_t end = rest_.find(closing, 2);
    if (end == std::string_view::npos)
      throw_template_error(place, fmt::format("'{}' has no end: '{}' is missing", rest_.substr(0, 2), closing));
    piece_ = {kind == '{'   ? Piece::Kind::value
              : kind == '%' ? Piece::Kind::statement
                            : Piece::Kind::remark,
              place, trim(rest_.substr(2, end - 2))};
    const bool alone = kind != '{' && fresh_line_ && ends_line(end + 2);
    skip(end + 2);
    if (alone) skip(std::min(rest_.find('\n'), rest_.size() - 1) + (rest_.empty() ? 0 : 1));
    if (piece_.kind == Piece::Kind::remark) return advance();
    if (piece_.kind == Piece::Kind::statement) {
      const auto word_end = std::ranges::find_if_not(piece_.text, is_name);
      word_ = piece_.text.substr(0, static_cast<std::size_t>(word_end - piece_.text.begin()));
    }
  }
  // Whether the tag at `at` of the rest has its line for itself.
  [[nodiscard]] bool stands_alone(std::size_t at) const {
    const std::string_view before = rest_.substr(0, at);
    const std::size_t start = line_start(before);
    if (start == 0 && !fresh_line_) return false;
    if (!std::ranges::all_of(before.substr(start), [](char c) { return c == ' ' || c == '\t'; })) return false;
    const std::size_t end = rest_.find(rest_[at + 1] == '%' ? "%}" : "#}", at);
    return end != std::string_view::npos && ends_line(end + 2);
  }
  static std::size_t line_start(std::string_view text) {
    const std::size_t newline = text.rfind('\n');
    return newline == std::string_view::npos ? 0 : newline + 1;
  }
  [[nodiscard]] bool ends_line(std::size_t at) const {
    while (at < rest_.size() && (rest_[at] == ' ' || rest_[at] == '\t' || rest_[at] == '\r')) ++at;
    return at >= rest_.size() || rest_[at] == '\n';
  }
  void skip(std::size_t size) {
    const std::string_view gone = rest_.substr(0, size);
    line_ += static_cast<unsigned>(std::ranges::count(gone, '\n'));
    const std::size_t start = line_start(gone);
    const bool blank = std::ranges::all_of(gone.substr(start), [](char c) { return c == ' ' || c == '\t'; });
    fresh_line_ = blank && (start > 0 || fresh_line_);
    rest_.remove_prefix(gone.size());
  }

  // Until a statement that closes, or goes on with, what is open.
  std::vector<TemplateNode> nodes() {
    std::vector<TemplateNode> all;
    for (; piece_.kind != Piece::Kind::end; advance()) {
      TemplateNode node{.kind = TemplateNode::Kind::text,
                        .place = piece_.place,
                        .text = {},
                        .expression = {},
                        .filter = {},
                        .variables = {},
                        .body = {},
                        .otherwise = {}};
      if (piece_.kind == Piece::Kind::text) {
        node.text = piece_.text;
      } else if (piece_.kind == Piece::Kind::value) {
        read_value(node);
      } else if (word_ == "if") {
        read_condition(node);
      } else if (word_ == "for") {
        read_loop(node);
      } else if (word_ == "block") {
        read_block(node);
      } else if (word_ == "include" || word_ == "extends") {
        node.kind = word_ == "include" ? TemplateNode::Kind::include : TemplateNode::Kind::extends;
        auto in = arguments();
        node.text = in.literal("the name of a template");
        in.end();
      } else if (is_closing(word_)) {
        return all;
      } else {
        throw_template_error(piece_.place,
                             fmt::format("there is no statement '{}'; there are if, elif, else, endif, for, endfor, "
                                         "include, extends, block, endblock",
                                         word_));
      }
      all.push_back(std::move(node));
      if (piece_.kind == Piece::Kind::end) break;
    }
    return all;
  }
  static bool is_closing(std::string_view word) {
    constexpr std::string_view words[] = {"elif", "else", "endif", "endfor", "endblock"};
    return std::ranges::find(words, word) != std::end(words);
  }
  ExpressionReader arguments() { return {piece_.place, piece_.text.substr(word_.size())}; }

  void read_value(TemplateNode& node) {
    node.kind = TemplateNode::Kind::value;
    ExpressionReader in(piece_.place, piece_.text);
    node.expression.path = in.path();
    if (in.takes("|")) node.filter = in.name("the name of a filter");
    in.end();
  }
  std::vector<TemplateNode> inner(const TemplateNode& of, std::string_view what) {
    if (++depth_ > kDeepest) throw_template_error(of.place, "statements are more than 64 deep");
    advance();
    auto out = nodes();
    if (piece_.kind == Piece::Kind::end) throw_template_error(of.place, fmt::format("this has no {{% {} %}}", what));
    --depth_;
    return out;
  }
  void expect(std::string_view word, const TemplateNode& of) {
    if (word_ != word) {
      throw_template_error(piece_.place, fmt::format("{{% {} %}} is expected, for line {}; this is {{% {} %}}", word,
                                                     of.place.line, word_));
    }
    arguments_end();
  }
  void arguments_end() {
    auto in = arguments();
    if (word_ == "endblock" && !piece_.text.substr(word_.size()).empty()) (void)in.name("the block's name");
    in.end();
  }
  void read_condition(TemplateNode& node) {
    node.kind = TemplateNode::Kind::condition;
    auto in = arguments();
    node.expression = in.condition();
    in.end();
    node.body = inner(node, "endif");
    if (word_ == "elif") {
      TemplateNode next = node;
      next.place = piece_.place;
      next.body.clear();
      if (++depth_ > kDeepest) throw_template_error(next.place, "statements are more than 64 deep");
      read_condition(next);
      --depth_;
      node.otherwise.push_back(std::move(next));
      return;
    }
    if (word_ == "else") {
      arguments_end();
      node.otherwise = inner(node, "endif");
    }
    expect("endif", node);
  }
  void read_loop(TemplateNode& node) {
    node.kind = TemplateNode::Kind::loop;
    auto in = arguments();
    node.variables.push_back(in.name("the name of the loop's variable"));
    if (in.takes(",")) node.variables.push_back(in.name("the name of the value"));
    if (!in.takes("in")) in.fail("'in' is expected: {% for item in items %}");
    node.expression.path = in.path();
    in.end();
    node.body = inner(node, "endfor");
    if (word_ == "else") {
      arguments_end();
      node.otherwise = inner(node, "endfor");
    }
    expect("endfor", node);
  }
  void read_block(TemplateNode& node) {
    node.kind = TemplateNode::Kind::block;
    auto in = arguments();
    node.text = in.name("the block's name");
    in.end();
    node.body = inner(node, "endblock");
    expect("endblock", node);
  }

  std::shared_ptr<const std::string> file_;
  std::string_view rest_;
  unsigned line_ = 1;
  bool fresh_line_ = true;  // nothing but spaces since the line began
  Piece piece_;
  std::string_view word_;  // of a statement
  unsigned depth_ = 0;
};

}  // namespace

std::vector<TemplateNode> parse_template(std::string name, std::string_view text) {
  return TemplateReader(std::move(name), text).read();
}

void throw_template_error(const TemplatePlace& place, std::string_view what) {
  throw Invalid(fmt::format("{}:{}: {}", *place.file, place.line, what));
}

}  // namespace ashlar::detail
