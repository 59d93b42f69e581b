#include <ashlar/schema/sample.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include <ashlar/base/text.hpp>

namespace ashlar::schema {
namespace {

using Node = SchemaNode;

constexpr int kDeep = 6;             // from here on only what must be there
constexpr int kTooDeep = 40;         // a schema that cannot end
constexpr std::int64_t kLong = 300;  // texts and lists that are longer are rare: they cost time and find little

bool may_be_shorter(const Node& node) {
  return node.takes(Node::kNull) || (node.types & (Node::kBoolean | Node::kInteger | Node::kNumber | Node::kText)) != 0;
}

class Sampler {
 public:
  enum class Parts : std::uint8_t { some, all };
  Sampler(Random& random, Letters letters, Parts parts) : random_(random), letters_(letters), parts_(parts) {}

  Tree run(const Node& node, int depth) {
    if (depth > kTooDeep) return {};
    if (!node.values.empty()) return random_.pick(node.values);
    // What the program gives as an example is what its own rules take.
    if (!node.examples.empty() && random_.one_in(4)) return random_.pick(node.examples);
    if (!node.all_of.empty()) return all(node, depth);
    if (!node.one_of.empty()) return one(node.one_of, depth);
    if (!node.any_of.empty()) return one(node.any_of, depth);
    switch (type_of(node, depth)) {
      case Node::kBoolean:
        return Tree::of(random_.one_in(2));
      case Node::kInteger:
        return Tree::of_number(number_text(whole(node)));
      case Node::kNumber:
        return Tree::of_number(number_text(real(node)));
      case Node::kText:
        return Tree::of_text(text(node));
      case Node::kList:
        return list(node, depth);
      case Node::kObject:
        return object(node, depth);
      default:
        return {};
    }
  }

 private:
  Node::Type type_of(const Node& node, int depth) {
    if (node.types == Node::kAny && !node.members.empty()) return Node::kObject;
    std::uint8_t types = node.types;
    if ((types & Node::kNumber) != 0) types &= static_cast<std::uint8_t>(~Node::kInteger);
    if (depth > kDeep && may_be_shorter(node)) types &= static_cast<std::uint8_t>(~(Node::kList | Node::kObject));
    if (types == 0) return Node::kNull;
    // Null is a value like others, but not the one that says most.
    if ((types & Node::kNull) != 0 && types != Node::kNull && (parts_ == Parts::all || !random_.one_in(5)))
      types &= ~Node::kNull & 0xFF;
    for (auto left = random_.below(static_cast<std::uint64_t>(std::popcount(types)));; --left) {
      const auto lowest = static_cast<std::uint8_t>(types & -types);
      if (left == 0) return static_cast<Node::Type>(lowest);
      types = static_cast<std::uint8_t>(types & ~lowest);
    }
  }

  Tree one(const std::vector<const Node*>& alternatives, int depth) {
    if (depth > kDeep) {
      const auto simple = std::ranges::find_if(alternatives, [](const Node* n) { return may_be_shorter(*n); });
      if (simple != alternatives.end()) return run(**simple, depth + 1);
    }
    if (parts_ == Parts::all) {
      for (int tries = 0; tries < 8; ++tries) {
        const Node* const one = random_.pick(alternatives);
        if (one->types != Node::kNull) return run(*one, depth + 1);
      }
    }
    return run(*random_.pick(alternatives), depth + 1);
  }

  // The members of all; a later schema says more about a member than an earlier one.
  Tree all(const Node& node, int depth) {
    Tree out = run(*node.all_of.front(), depth + 1);
    for (std::size_t i = 1; i < node.all_of.size(); ++i) {
      Tree more = run(*node.all_of[i], depth + 1);
      if (out.kind != Tree::Kind::object || more.kind != Tree::Kind::object) continue;
      for (std::size_t m = 0; m < more.items.size(); ++m) {
        if (Tree* same = out.find(more.names[m])) {
          *same = std::move(more.items[m]);
        } else {
          out.add(std::move(more.names[m]), std::move(more.items[m]));
        }
      }
    }
    return out;
  }

  long double whole(const Node& node) {
    long double low =
        node.least ? std::ceil(*node.least) + (node.above && std::ceil(*node.least) == *node.least) : -9e15L;
    long double high =
        node.most ? std::floor(*node.most) - (node.below && std::floor(*node.most) == *node.most) : 9e15L;
    if (node.multiple) {
      low = std::ceil(low / *node.multiple);
      high = std::floor(high / *node.multiple);
    }
    if (low > high) return low;
    const long double value = within(low, high);
    return node.multiple ? value * *node.multiple : value;
  }

  // A whole number, both ends included.
  long double within(long double low, long double high) {
    switch (random_.below(letters_ == Letters::tame ? 1 : 6)) {
      case 1:
        return low;
      case 2:
        return high;
      case 3:
        return std::clamp(static_cast<long double>(random_.below(3)) - 1, low, high);
      case 4: {
        const long double span = high - low;
        if (span >= 1.8e19L)
          return std::floor(low + span * (static_cast<long double>(random_.below(1 << 30)) / (1 << 30)));
        return low + static_cast<long double>(random_.below(static_cast<std::uint64_t>(span) + 1));
      }
      default: {  // from the end that is nearer to zero; one of three digits is as likely as one of one
        const long double near = std::clamp(1.0L, low, high);
        const long double room = std::min(high - near, static_cast<long double>((1U << random_.below(11)) - 1));
        return near + static_cast<long double>(random_.below(static_cast<std::uint64_t>(room) + 1));
      }
    }
  }

  long double real(const Node& node) {
    if (node.multiple) return whole(node);
    const bool is_float = node.format == "float";
    const long double far = is_float ? 1e30L : 1e100L;
    const long double low = node.least.value_or(node.most && *node.most < -far ? *node.most * 2 : -far);
    const long double high = node.most.value_or(low > far ? low * 2 : far);
    const auto inside = [&](long double v) {
      return (node.above ? v > low : v >= low) && (node.below ? v < high : v <= high);
    };
    const long double share = static_cast<long double>(random_.below(10'000)) / 10'000;
    long double value = 0;
    switch (random_.below(5)) {
      case 0:
        value = node.least ? low : 0;
        break;
      case 1:
        value = node.most ? high : 1;
        break;
      case 2:
        value = low + (high - low) * share;
        break;
      default:
        value = std::clamp(1.0L, low, high) + std::min(high - std::clamp(1.0L, low, high), 1000.0L) * share;
    }
    if (inside(value)) return value;
    return inside((low + high) / 2) ? (low + high) / 2 : low;
  }

  std::int64_t size_between(std::int64_t least, std::int64_t most, std::int64_t usual) {
    if (most >= 0 && least >= most) return most;
    const std::int64_t end = most >= 0 ? most : least + usual;
    switch (random_.below(letters_ == Letters::tame ? 1 : 8)) {
      case 1:
        return least;
      case 2:
        return end <= kLong || random_.one_in(50) ? std::min<std::int64_t>(end, 100'000) : least;
      default:
        return least +
               static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(std::min(end - least, usual)) + 1));
    }
  }

  std::string text(const Node& node) {
    if (const auto value = sample_format(node.format, random_); value && length_fits(node, *value)) {
      if (node.pattern == nullptr || node.pattern->found_in(*value)) return *value;
    }
    if (node.pattern == nullptr) return letters(size_between(node.min_length, node.max_length, 12));
    for (int i = 0; i < 6; ++i) {
      const auto most = size_between(node.min_length, node.max_length, 24);
      auto value = sample_pattern(*node.pattern, random_, static_cast<std::size_t>(std::max<std::int64_t>(most, 1)));
      if (!value) break;
      if (node.format == "uri") *value += "example.com/";
      lengthen(node, *value, most);
      if (length_fits(node, *value) && node.pattern->found_in(*value)) return *value;
    }
    if (!node.examples.empty()) return random_.pick(node.examples).text;
    return letters(size_between(node.min_length, node.max_length, 12));
  }

  // Where the pattern leaves the rest of the text open.
  void lengthen(const Node& node, std::string& value, std::int64_t to) {
    const auto length = static_cast<std::int64_t>(utf8_length(value));
    if (node.format == "uri" || length >= to || (length >= node.min_length && random_.one_in(2))) return;
    std::string longer = value + letters(to - length);
    if (node.pattern->found_in(longer)) value = std::move(longer);
  }

  static bool length_fits(const Node& node, std::string_view text) {
    const auto length = static_cast<std::int64_t>(utf8_length(text));
    return length >= node.min_length && (node.max_length < 0 || length <= node.max_length);
  }

  std::string letters(std::int64_t count) {
    std::string out;
    // Most texts are of one kind; one that is awkward everywhere hides what was awkward about it.
    const bool awkward = letters_ == Letters::any && random_.one_in(4);
    for (std::int64_t i = 0; i < count; ++i) {
      if (awkward) {
        append_utf8(out, awkward_letter());
      } else if (letters_ == Letters::tame || !random_.one_in(5)) {
        out += static_cast<char>('a' + random_.below(26));
      } else {
        const bool at_end = i == 0 || i + 1 == count;
        out += static_cast<char>((at_end ? '!' : ' ') + random_.below(at_end ? 94 : 95));
      }
    }
    return out;
  }

  char32_t awkward_letter() {
    constexpr char32_t kLetters[] = {U'\'', U'"',          U'\\', U'%', U'<',  U'&',    U'/',      U'\n',     U'\t',
                                     U' ',  U'ß',          U'é',  U'İ', U'漢', U'א',    U'\u0301', U'\u200D', U'\uFEFF',
                                     U'🙂', U'\U0010FFFF', U'0',  U'-', U'{',  U'\x7F', U'\u2028', U'\0'};
    return kLetters[random_.below(std::size(kLetters))];
  }

  Tree list(const Node& node, int depth) {
    Tree out = Tree::list();
    const std::int64_t usual = depth > kDeep ? 0 : 3;
    std::int64_t count = depth > kDeep ? node.min_items : size_between(node.min_items, node.max_items, usual);
    if (parts_ == Parts::all && depth <= kDeep && count == 0 && node.max_items != 0) count = 1;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Node* const item = at < node.first_items.size() ? node.first_items[at] : node.items;
      for (int tries = 0; tries < 20; ++tries) {
        Tree value = item != nullptr ? run(*item, depth + 1) : Tree::of_text(letters(3));
        if (node.unique && std::ranges::find(out.items, value) != out.items.end()) continue;
        out.items.push_back(std::move(value));
        break;
      }
    }
    return out;
  }

  Tree object(const Node& node, int depth) {
    Tree out = Tree::object();
    const bool everything = parts_ == Parts::all || random_.one_in(3);
    for (const Node::Member& member : node.members) {
      if (member.node->never) continue;
      if (!member.required && (depth > kDeep || (!everything && random_.one_in(2)))) continue;
      out.add(member.name, run(*member.node, depth + 1));
    }
    if (node.closed || (node.rest == nullptr && node.min_members == 0 && !node.members.empty())) return out;
    const auto named = static_cast<std::int64_t>(out.items.size());
    const std::int64_t count =
        depth > kDeep ? node.min_members : size_between(node.min_members, node.max_members, node.rest ? 3 : 1);
    for (std::int64_t i = named; i < count; ++i) {
      std::string name = fmt::format("{}{}", letters(2), i);
      out.add(std::move(name), node.rest != nullptr ? run(*node.rest, depth + 1) : Tree::of_text(letters(3)));
    }
    return out;
  }

  Random& random_;
  Letters letters_;
  Parts parts_;
};

Tree fitting(const Node& node, Random& random, Letters letters, Sampler::Parts parts) {
  Tree value;
  for (int i = 0; i < 4; ++i) {
    value = Sampler(random, letters, parts).run(node, 0);
    if (fits_schema(node, value)) break;
  }
  return value;
}

}  // namespace

std::string number_text(long double value) {
  if (std::trunc(value) == value && std::fabs(value) < 1e21L) return fmt::format("{:.0f}", value);
  return fmt::format("{}", static_cast<double>(value));
}

Tree sample(const SchemaNode& node, Random& random, Letters letters) {
  return fitting(node, random, letters, Sampler::Parts::some);
}

Tree sample_whole(const SchemaNode& node, Random& random, Letters letters) {
  return fitting(node, random, letters, Sampler::Parts::all);
}

}  // namespace ashlar::schema
