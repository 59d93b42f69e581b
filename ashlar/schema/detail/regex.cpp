#include <ashlar/schema/detail/regex.hpp>

#include <algorithm>
#include <utility>

#include <ashlar/base/error.hpp>

namespace ashlar::schema::detail {
namespace {

constexpr std::size_t kMaxProgram = 20'000;
constexpr int kMaxDepth = 100;

// The text is valid UTF-8.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t c = byte(at);
  const std::size_t left = text.size() - at;
  if (c < 0x80) return ++at, c;
  if (c < 0xE0 && left >= 2) return at += 2, (c & 0x1F) << 6 | (byte(at - 1) & 0x3F);
  if (c < 0xF0 && left >= 3) return at += 3, (c & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  if (left >= 4) {
    at += 4;
    return (c & 7) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  }
  return ++at, c;
}

bool is_word(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

bool Regex::Set::has(char32_t c) const {
  if (c < 128) return ascii[c >> 6] >> (c & 63) & 1;
  for (const auto& [low, high] : ranges) {
    if (c >= low && c <= high) return !others;
  }
  return others;
}

class RegexCompiler {
 public:
  RegexCompiler(std::string_view expression, Regex& regex) : text_(expression), regex_(regex) {}

  void run() {
    const std::size_t root = alternatives(0);
    if (at_ != text_.size()) fail("unmatched )");
    emit(root);
    put({Regex::Op::match});
    regex_.anchored_ = !regex_.program_.empty() && regex_.program_[0].op == Regex::Op::begin;
  }

 private:
  enum class Type : std::uint8_t { empty, set, sequence, either, repeat, assertion };
  struct Node {
    Type type;
    std::vector<std::size_t> children = {};
    std::uint32_t set = 0;
    int min = 0, max = 0;  // max < 0: no end
    Regex::Op assertion = Regex::Op::begin;
  };
  using Ranges = std::vector<std::pair<char32_t, char32_t>>;

  [[noreturn]] void fail(std::string_view why) const {
    throw Internal("pattern{\"" + std::string(text_) + "\"}: " + std::string(why) + " at character " +
                   std::to_string(at_ + 1));
  }
  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::size_t add(Node node) {
    nodes_.push_back(std::move(node));
    return nodes_.size() - 1;
  }

  std::size_t alternatives(int depth) {
    if (depth > kMaxDepth) fail("groups nested too deeply");
    std::vector<std::size_t> all{sequence(depth)};
    while (take('|')) all.push_back(sequence(depth));
    return all.size() == 1 ? all[0] : add({.type = Type::either, .children = std::move(all)});
  }

  std::size_t sequence(int depth) {
    std::vector<std::size_t> all;
    while (!done() && peek() != '|' && peek() != ')') all.push_back(repeated(depth));
    return all.size() == 1 ? all[0] : add({.type = Type::sequence, .children = std::move(all)});
  }

  std::size_t repeated(int depth) {
    const std::size_t node = atom(depth);
    int min = 1, max = 1;
    if (take('*')) {
      min = 0, max = -1;
    } else if (take('+')) {
      max = -1;
    } else if (take('?')) {
      min = 0;
    } else if (peek() == '{' && counted(min, max)) {
    } else {
      return node;
    }
    take('?');  // lazy or greedy: the same set of texts
    if (peek() == '*' || peek() == '+' || peek() == '?') fail("nothing to repeat");
    if (nodes_[node].type == Type::assertion) fail("an assertion cannot be repeated");
    return add({.type = Type::repeat, .children = {node}, .min = min, .max = max});
  }

  bool counted(int& min, int& max) {
    const std::size_t start = at_++;
    const auto number = [this](int& value) {
      const std::size_t first = at_;
      value = 0;
      while (peek() >= '0' && peek() <= '9') {
        value = value * 10 + (text_[at_++] - '0');
        if (value > 5000) fail("repeated too often");
      }
      return at_ != first;
    };
    int low, high;
    if (number(low)) {
      high = low;
      if (take(',') && !number(high)) high = -1;
      if (take('}')) {
        if (high >= 0 && high < low) fail("numbers out of order");
        min = low;
        max = high;
        return true;
      }
    }
    at_ = start;
    fail("a { must be escaped or count a repetition");
  }

  std::size_t atom(int depth) {
    const char c = peek();
    switch (c) {
      case '(': {
        ++at_;
        if (take('?') && !take(':')) fail("only (?:…) groups are supported");
        const std::size_t node = alternatives(depth + 1);
        if (!take(')')) fail("missing )");
        return node;
      }
      case '[':
        return bracket();
      case '.':
        ++at_;
        return set_node({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}, true);
      case '^':
        ++at_;
        return add({.type = Type::assertion, .assertion = Regex::Op::begin});
      case '$':
        ++at_;
        return add({.type = Type::assertion, .assertion = Regex::Op::end});
      case '*':
      case '+':
      case '?':
        fail("nothing to repeat");
      case '{':
      case '}':
      case ']':
        fail("must be escaped");
      case '\\':
        break;
      default: {
        const char32_t point = next_code_point(text_, at_);
        return set_node({{point, point}}, false);
      }
    }
    ++at_;
    if (done()) fail("a lone backslash");
    if (take('b')) return add({.type = Type::assertion, .assertion = Regex::Op::word_boundary});
    if (take('B')) return add({.type = Type::assertion, .assertion = Regex::Op::not_word_boundary});
    if (peek() >= '1' && peek() <= '9') fail("back-references are not supported");
    Ranges ranges;
    bool negated = false;
    const char32_t point = escape(ranges, negated);
    if (ranges.empty()) ranges = {{point, point}};
    return set_node(std::move(ranges), negated);
  }

  // After a backslash: one character, or a class in `ranges`.
  char32_t escape(Ranges& ranges, bool& negated) {
    const char c = text_[at_];
    switch (c) {
      case 'n':
        ++at_;
        return '\n';
      case 'r':
        ++at_;
        return '\r';
      case 't':
        ++at_;
        return '\t';
      case 'f':
        ++at_;
        return '\f';
      case 'v':
        ++at_;
        return '\v';
      case '0':
        ++at_;
        return 0;
      case 'd':
      case 'D':
        ++at_;
        ranges = {{'0', '9'}};
        negated = c == 'D';
        return 0;
      case 'w':
      case 'W':
        ++at_;
        ranges = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
        negated = c == 'W';
        return 0;
      case 's':
      case 'S':
        ++at_;
        ranges = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                  {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
        negated = c == 'S';
        return 0;
      case 'x':
        ++at_;
        return hex(2);
      case 'u': {
        ++at_;
        if (!take('{')) return hex(4);
        char32_t value = 0;
        for (int digits = 0; !take('}'); ++digits) {
          if (digits == 6) fail("too many digits");
          value = value * 16 + hex(1);
        }
        return value;
      }
      default:
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) fail("unknown escape");
        return next_code_point(text_, at_);
    }
  }

  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<char32_t>(c - '0');
      } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
        value = value * 16 + static_cast<char32_t>((c | 32) - 'a' + 10);
      } else {
        fail("a hexadecimal digit is missing");
      }
    }
    return value;
  }

  std::size_t bracket() {
    ++at_;
    const bool negated = take('^');
    Ranges all;
    while (!take(']')) {
      if (done()) fail("missing ]");
      Ranges ranges;
      const char32_t low = bracket_item(ranges);
      if (!ranges.empty()) {
        all.insert(all.end(), ranges.begin(), ranges.end());
        continue;
      }
      char32_t high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        high = bracket_item(ranges);
        if (!ranges.empty() || high < low) fail("range out of order");
      }
      all.emplace_back(low, high);
    }
    return set_node(std::move(all), negated);
  }

  char32_t bracket_item(Ranges& ranges) {
    if (!take('\\')) return next_code_point(text_, at_);
    if (done()) fail("a lone backslash");
    if (take('b')) return '\b';
    if (take('-')) return '-';
    bool negated = false;
    const char32_t point = escape(ranges, negated);
    if (negated) ranges = complement(ranges);
    return point;
  }

  static Ranges complement(const Ranges& sorted) {
    Ranges out;
    char32_t next = 0;
    for (const auto& [low, high] : sorted) {
      if (low > next) out.emplace_back(next, low - 1);
      next = high + 1;
    }
    if (next <= 0x10FFFF) out.emplace_back(next, 0x10FFFF);
    return out;
  }

  std::size_t set_node(Ranges ranges, bool negated) {
    Regex::Set set;
    for (const auto& [low, high] : ranges) {
      for (char32_t c = low; c <= high && c < 128; ++c) set.ascii[c >> 6] |= std::uint64_t{1} << (c & 63);
      if (high >= 128) set.ranges.emplace_back(low, high);
    }
    if (negated) {
      set.ascii = {~set.ascii[0], ~set.ascii[1]};
      set.others = true;
    }
    regex_.sets_.push_back(std::move(set));
    return add({.type = Type::set, .set = static_cast<std::uint32_t>(regex_.sets_.size() - 1)});
  }

  std::uint32_t here() const { return static_cast<std::uint32_t>(regex_.program_.size()); }
  std::uint32_t put(Regex::Instruction instruction) {
    if (regex_.program_.size() >= kMaxProgram) fail("the expression is too large");
    regex_.program_.push_back(instruction);
    return here() - 1;
  }

  void emit(std::size_t index) {
    const Node node = nodes_[index];
    switch (node.type) {
      case Type::empty:
        return;
      case Type::set:
        put({Regex::Op::set, node.set});
        return;
      case Type::assertion:
        put({node.assertion});
        return;
      case Type::sequence:
        for (const std::size_t child : node.children) emit(child);
        return;
      case Type::either: {
        std::vector<std::uint32_t> ends;
        for (std::size_t i = 0; i < node.children.size(); ++i) {
          if (i + 1 == node.children.size()) {
            emit(node.children[i]);
            break;
          }
          const std::uint32_t split = put({Regex::Op::split});
          regex_.program_[split].x = here();
          emit(node.children[i]);
          ends.push_back(put({Regex::Op::jump}));
          regex_.program_[split].y = here();
        }
        for (const std::uint32_t end : ends) regex_.program_[end].x = here();
        return;
      }
      case Type::repeat: {
        const std::size_t child = node.children[0];
        for (int i = 0; i < node.min; ++i) emit(child);
        if (node.max < 0) {
          const std::uint32_t split = put({Regex::Op::split});
          regex_.program_[split].x = here();
          emit(child);
          put({Regex::Op::jump, split});
          regex_.program_[split].y = here();
        } else {
          std::vector<std::uint32_t> splits;
          for (int i = node.min; i < node.max; ++i) {
            splits.push_back(put({Regex::Op::split}));
            regex_.program_[splits.back()].x = here();
            emit(child);
          }
          for (const std::uint32_t split : splits) regex_.program_[split].y = here();
        }
        return;
      }
    }
  }

  std::string_view text_;
  Regex& regex_;
  std::size_t at_ = 0;
  std::vector<Node> nodes_;
};

Regex::Regex(std::string_view expression) { RegexCompiler(expression, *this).run(); }

bool Regex::found_in(std::string_view text) const {
  // Two lists of live states; `mark` keeps every state once a step.
  thread_local std::vector<std::uint32_t> now, next, stack, mark;
  thread_local std::uint32_t generation = 0;
  if (mark.size() < program_.size()) mark.resize(program_.size(), 0);
  now.clear();
  std::size_t at = 0;
  char32_t previous = 0;
  bool has_previous = false;
  const auto follow = [&](std::vector<std::uint32_t>& list, std::uint32_t from, std::size_t place,
                          bool before_is_word) {
    stack.push_back(from);
    while (!stack.empty()) {
      const std::uint32_t pc = stack.back();
      stack.pop_back();
      if (mark[pc] == generation) continue;
      mark[pc] = generation;
      const Instruction& in = program_[pc];
      switch (in.op) {
        case Op::set:
          list.push_back(pc);
          break;
        case Op::match:
          stack.clear();
          return true;
        case Op::split:
          stack.push_back(in.y);
          stack.push_back(in.x);
          break;
        case Op::jump:
          stack.push_back(in.x);
          break;
        case Op::begin:
          if (place == 0) stack.push_back(pc + 1);
          break;
        case Op::end:
          if (place == text.size()) stack.push_back(pc + 1);
          break;
        case Op::word_boundary:
        case Op::not_word_boundary: {
          const bool after_is_word = place < text.size() && is_word(static_cast<unsigned char>(text[place]));
          if ((before_is_word != after_is_word) == (in.op == Op::word_boundary)) stack.push_back(pc + 1);
          break;
        }
      }
    }
    return false;
  };
  const auto new_generation = [&] {
    if (++generation == 0) {
      std::fill(mark.begin(), mark.end(), 0);
      generation = 1;
    }
  };
  new_generation();
  if (follow(now, 0, 0, false)) return true;
  while (at < text.size()) {
    if (now.empty() && anchored_) return false;
    previous = next_code_point(text, at);
    has_previous = true;
    next.clear();
    new_generation();
    for (const std::uint32_t pc : now) {
      if (sets_[program_[pc].x].has(previous) && follow(next, pc + 1, at, is_word(previous))) return true;
    }
    if (!anchored_ && follow(next, 0, at, has_previous && is_word(previous))) return true;
    std::swap(now, next);
  }
  return false;
}

}  // namespace ashlar::schema::detail
