// What lies just inside and just outside of a schema, and what is simpler.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/schema/sample.hpp>

namespace ashlar::schema {
namespace {

using Node = SchemaNode;

constexpr std::int64_t kLongest = 20'000;  // what is bounded by more is not tried at its bound

// What SQL, HTML, JSON, format strings and paths are broken with; then letters of several bytes, from right to left,
// out of the first plane; then nothing but space. The most awkward come first: a short text has only those.
constexpr std::string_view kAwkward[] = {"'\"\\%<&;--/../", "é漢א🙂\u0301\u200D", " \t\n "};

// Of so many characters; a negative number: of all.
std::size_t prefix_size(std::string_view text, std::int64_t characters) {
  if (characters < 0) return text.size();
  std::size_t end = 0;
  for (; characters > 0 && end < text.size(); --characters) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  }
  return end;
}

std::string prefix(std::string_view text, std::int64_t characters) {
  return std::string(text.substr(0, prefix_size(text, std::max<std::int64_t>(characters, 0))));
}

std::string stretched(std::string text, std::int64_t characters) {
  const auto length = static_cast<std::int64_t>(utf8_length(text));
  if (length < characters) text.append(static_cast<std::size_t>(characters - length), 'a');
  return text;
}

// Does its format say nothing about the text?
bool is_free_text(const Node& node) {
  return node.format.empty() || node.format == "password" || node.format == "binary";
}

// A walk along a value that fits, which notes changes at each place.
class Walk {
 public:
  enum class Wanted : std::uint8_t { outside, inside };
  explicit Walk(Wanted wanted) : wanted_(wanted) {}

  void run(const Node& node, const Tree& value) {
    for (const Node* part : node.all_of) run(*part, value);
    for (const auto* alternatives : {&node.one_of, &node.any_of}) {
      if (alternatives->empty()) continue;
      const auto own = std::ranges::find_if(*alternatives, [&](const Node* one) { return fits_schema(*one, value); });
      if (own != alternatives->end()) run(**own, value);
      return;
    }
    if (wanted_ == Wanted::outside) {
      if (node.types != Node::kAny || !node.values.empty()) outside(node, value);
    } else {
      inside(node, value);
    }
    parts(node, value);
  }

  std::vector<Change> found;

 private:
  Change& note(std::string_view why, Change::Kind kind = Change::Kind::replace) {
    Change& change = found.emplace_back();
    change.kind = kind;
    change.path = path_;
    change.why = words_.empty() ? std::string(why) : fmt::format("{}: {}", words_, why);
    return change;
  }
  void replace(std::string_view why, Tree value, bool certain = true) {
    Change& change = note(why);
    change.value = std::move(value);
    change.certain = certain;
  }

  void parts(const Node& node, const Tree& value) {
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const Node* part = nullptr;
      if (value.kind == Tree::Kind::object) {
        const auto known = std::ranges::find(node.members, value.names[i], &Node::Member::name);
        part = known == node.members.end() ? node.rest : known->node;
      } else {
        if (i >= 2 && i >= node.first_items.size()) break;  // more elements say nothing new
        part = i < node.first_items.size() ? node.first_items[i] : node.items;
      }
      if (part == nullptr) continue;
      const std::size_t before = words_.size();
      if (before != 0) words_ += '.';
      words_ += value.kind == Tree::Kind::object ? value.names[i] : std::to_string(i);
      path_.push_back(static_cast<std::uint32_t>(i));
      run(*part, value.items[i]);
      path_.pop_back();
      words_.resize(before);
    }
  }

  // ---- just outside

  void outside(const Node& node, const Tree& value) {
    wrong_type(node);
    if (!node.values.empty()) replace("none of its values", Tree::of_text("no-such-value"));
    if (!node.values.empty()) return;
    switch (value.kind) {
      case Tree::Kind::number:
        return numbers_outside(node, value);
      case Tree::Kind::text:
        return texts_outside(node, value);
      case Tree::Kind::list:
        return lists_outside(node, value);
      case Tree::Kind::object:
        return objects_outside(node, value);
      default:
        return;
    }
  }

  // Readers take "5" for 5 and 1 for true; what is wrong here is wrong for them, too. Points in time may be numbers.
  void wrong_type(const Node& node) {
    const bool sure = node.format.empty() || !node.takes(Node::kText);
    if (!node.takes(Node::kNull)) replace("null", {});
    if (!node.takes(Node::kText)) replace("a text", Tree::of_text("x"));
    if (!node.takes(Node::kNumber) && !node.takes(Node::kInteger) && !node.takes(Node::kBoolean))
      replace("a number", Tree::of_number("7"), sure);
    if (node.takes(Node::kInteger) && !node.takes(Node::kNumber)) replace("not whole", Tree::of_number("1.5"));
    if (node.takes(Node::kBoolean) && !node.takes(Node::kNumber)) replace("a number", Tree::of_number("2"));
    if (!node.takes(Node::kList)) replace("a list", Tree::list());
    if (!node.takes(Node::kObject)) replace("an object", Tree::object());
  }

  void numbers_outside(const Node& node, const Tree& value) {
    const bool whole = !node.takes(Node::kNumber);
    const long double step = node.multiple.value_or(whole ? 1.0L : 0.5L);
    if (node.least)
      replace(fmt::format("below {}", number_text(*node.least)),
              Tree::of_number(number_text(node.above ? *node.least : *node.least - step)));
    if (node.most)
      replace(fmt::format("above {}", number_text(*node.most)),
              Tree::of_number(number_text(node.below ? *node.most : *node.most + step)));
    if (!node.multiple || (whole && *node.multiple == 1)) return;
    replace(fmt::format("no multiple of {}", number_text(*node.multiple)),
            Tree::of_number(number_text(value.number() + (whole ? 1.0L : *node.multiple / 2))));
  }

  void texts_outside(const Node& node, const Tree& value) {
    if (node.min_length > 0)
      replace(fmt::format("shorter than {}", node.min_length),
              Tree::of_text(prefix(stretched(value.text, node.min_length), node.min_length - 1)));
    if (node.max_length >= 0 && node.max_length <= kLongest)
      replace(fmt::format("longer than {}", node.max_length),
              Tree::of_text(stretched(value.text, node.max_length + 1)));
    if (node.pattern != nullptr) {
      for (const std::string& text :
           {prefix(value.text, static_cast<std::int64_t>(utf8_length(value.text)) - 1) + "\n", std::string("!"),
            std::string("-"), std::string("a"), std::string(" "), std::string()}) {
        if (node.pattern->found_in(text)) continue;
        replace(fmt::format("does not match {}", node.pattern_text), Tree::of_text(text));
        break;
      }
    }
    if (!is_free_text(node))
      replace(fmt::format("no {}", node.format), Tree::of_text("no " + node.format + " at all"), false);
  }

  void lists_outside(const Node& node, const Tree& value) {
    if (node.min_items > 0) {
      Tree shorter = value;
      shorter.items.resize(static_cast<std::size_t>(node.min_items - 1));
      replace(fmt::format("fewer than {} items", node.min_items), std::move(shorter));
    }
    if (node.max_items >= 0 && node.max_items <= kLongest && !value.items.empty()) {
      Tree longer = value;
      // More of a set than it takes need to differ; the reader of a set does not count what is there twice.
      longer.items.resize(static_cast<std::size_t>(node.max_items + 1), value.items.back());
      replace(fmt::format("more than {} items", node.max_items), std::move(longer), !node.unique);
    }
    if (node.unique && !value.items.empty()) {
      Tree twice = value;
      twice.items.push_back(value.items.front());
      replace("the same item twice", std::move(twice), false);
    }
  }

  void objects_outside(const Node& node, const Tree& value) {
    for (const Node::Member& member : node.members) {
      if (!member.required) continue;
      for (std::uint32_t i = 0; i < value.names.size(); ++i) {
        if (value.names[i] != member.name) continue;
        path_.push_back(i);
        note(fmt::format("{} is missing", member.name), Change::Kind::remove);
        path_.pop_back();
      }
    }
    if (node.closed) {
      Change& more = note("a member that is not known", Change::Kind::add);
      more.name = "no_such_member";
      more.value = Tree::of(true);
    }
    if (node.max_members >= 0 && node.max_members <= kLongest && !value.items.empty()) {
      Tree larger = value;
      for (std::int64_t i = 0; static_cast<std::int64_t>(larger.items.size()) <= node.max_members; ++i)
        larger.add(fmt::format("more{}", i), value.items.front());
      replace(fmt::format("more than {} members", node.max_members), std::move(larger));
    }
    if (node.min_members > 0) replace(fmt::format("fewer than {} members", node.min_members), Tree::object());
  }

  // ---- just inside

  void inside(const Node& node, const Tree& value) {
    for (const Tree& one : node.values) replace("each of its values", one);
    if (!node.values.empty()) return;
    if (node.takes(Node::kNull) && node.types != Node::kAny) replace("null", {});
    switch (value.kind) {
      case Tree::Kind::boolean:
        replace("the other one", Tree::of(!value.boolean));
        return;
      case Tree::Kind::number:
        return numbers_inside(node);
      case Tree::Kind::text:
        if (!is_free_text(node)) return;
        if (node.min_length >= 0)
          replace("shortest", Tree::of_text(prefix(stretched(value.text, node.min_length), node.min_length)));
        if (node.max_length >= 0 && node.max_length <= kLongest)
          replace("longest", Tree::of_text(stretched(value.text, node.max_length)));
        for (const std::string_view text : kAwkward) {
          const std::string few(text.substr(0, prefix_size(text, node.max_length)));
          replace("awkward", Tree::of_text(stretched(few, node.min_length)));
        }
        return;
      case Tree::Kind::list: {
        Tree shorter = value;
        if (static_cast<std::int64_t>(value.items.size()) > node.min_items) {
          shorter.items.resize(static_cast<std::size_t>(node.min_items));
          replace("fewest", std::move(shorter));
        }
        if (node.max_items < 0 || node.max_items > kLongest || value.items.empty()) return;
        Tree longer = value;
        longer.items.resize(static_cast<std::size_t>(node.max_items), value.items.back());
        replace("most", std::move(longer));
        return;
      }
      case Tree::Kind::object:
        for (std::uint32_t i = 0; i < value.names.size(); ++i) {
          path_.push_back(i);
          note(fmt::format("without {}", value.names[i]), Change::Kind::remove);
          path_.pop_back();
        }
        return;
      default:
        return;
    }
  }

  void numbers_inside(const Node& node) {
    const bool whole = !node.takes(Node::kNumber);
    const long double step = node.multiple.value_or(whole ? 1.0L : 0.0L);
    if (node.least) replace("least", Tree::of_number(number_text(*node.least + (node.above ? step : 0.0L))));
    if (node.most) replace("most", Tree::of_number(number_text(*node.most - (node.below ? step : 0.0L))));
    replace("zero", Tree::of_number("0"));
    replace("negative", Tree::of_number("-1"));
  }

  Wanted wanted_;
  std::vector<std::uint32_t> path_;
  std::string words_;
};

bool fits_after(const Change& change, const Node& node, const Tree& value) {
  Tree changed = value;
  change.apply(changed);
  return fits_schema(node, changed);
}

// ---- simpler

void simpler_scalar(const Tree& value, std::vector<Tree>& out) {
  if (value.kind == Tree::Kind::text && !value.text.empty()) {
    const auto length = static_cast<std::int64_t>(utf8_length(value.text));
    out.push_back(Tree::of_text(""));
    out.push_back(Tree::of_text("a"));
    if (length > 2) {
      out.push_back(Tree::of_text(prefix(value.text, length / 2)));
      out.push_back(Tree::of_text(value.text.substr(out.back().text.size())));
    }
    if (length > 1) out.push_back(Tree::of_text(prefix(value.text, length - 1)));
    if (length > 1) out.push_back(Tree::of_text(value.text.substr(prefix(value.text, 1).size())));
    std::string tame = value.text;
    for (char& c : tame) {
      if (!is_alpha_ascii(c) && !is_digit_ascii(c)) c = 'a';
    }
    if (tame != value.text) out.push_back(Tree::of_text(std::move(tame)));
    if (value.text != std::string(static_cast<std::size_t>(length), 'a'))
      out.push_back(Tree::of_text(std::string(static_cast<std::size_t>(length), 'a')));
  } else if (value.kind == Tree::Kind::number && value.text != "0") {
    const long double n = value.number();
    for (const long double one : {0.0L, 1.0L, n / 2, n * 3 / 4, n * 7 / 8, n}) {
      if (std::fabs(std::trunc(one)) < std::fabs(n)) out.push_back(Tree::of_number(number_text(std::trunc(one))));
    }
    // One by one only at the end: a thousand takes a thousand requests.
    if (std::fabs(n) > 1 && std::fabs(n) < 20) out.push_back(Tree::of_number(number_text(n > 0 ? n - 1 : n + 1)));
  } else if (value.kind == Tree::Kind::boolean && value.boolean) {
    out.push_back(Tree::of(false));
  }
}

void simpler_at(const Tree& value, std::vector<std::uint32_t>& path, std::vector<Change>& out) {
  for (std::uint32_t i = 0; i < value.items.size(); ++i) {
    Change& less = out.emplace_back();
    less.kind = Change::Kind::remove;
    less.path = path;
    less.path.push_back(i);
  }
  std::vector<Tree> scalars;
  simpler_scalar(value, scalars);
  for (Tree& one : scalars) {
    Change& change = out.emplace_back();
    change.path = path;
    change.value = std::move(one);
  }
  for (std::uint32_t i = 0; i < value.items.size(); ++i) {
    path.push_back(i);
    simpler_at(value.items[i], path, out);
    path.pop_back();
  }
}

}  // namespace

void Change::apply(Tree& whole) const {
  Tree* at = &whole;
  const std::size_t steps = kind == Kind::remove ? path.size() - 1 : path.size();
  for (std::size_t i = 0; i < steps; ++i) at = &at->items[path[i]];
  if (kind == Kind::replace) {
    *at = value;
  } else if (kind == Kind::add) {
    at->add(name, value);
  } else {
    const auto where = static_cast<std::ptrdiff_t>(path.back());
    at->items.erase(at->items.begin() + where);
    if (at->kind == Tree::Kind::object) at->names.erase(at->names.begin() + where);
  }
}

std::vector<Change> likely_neighbours(const SchemaNode& node, const Tree& value) {
  Walk walk(Walk::Wanted::outside);
  walk.run(node, value);
  return std::move(walk.found);
}

std::vector<Change> neighbours(const SchemaNode& node, const Tree& value) {
  auto found = likely_neighbours(node, value);
  std::erase_if(found, [&](const Change& change) { return change.certain && fits_after(change, node, value); });
  return found;
}

std::vector<Change> boundaries(const SchemaNode& node, const Tree& value) {
  Walk walk(Walk::Wanted::inside);
  walk.run(node, value);
  std::erase_if(walk.found, [&](const Change& change) { return !fits_after(change, node, value); });
  return std::move(walk.found);
}

std::vector<Change> simpler(const SchemaNode& node, const Tree& value, bool within) {
  std::vector<Change> all;
  // Where zero and nothing do not fit, the least that does.
  if (fits_schema(node, value)) {
    for (Change& change : boundaries(node, value)) {
      const Tree* at = &value;
      for (const std::uint32_t step : change.path) at = &at->items[step];
      const bool less = change.value.kind == Tree::Kind::number && at->kind == Tree::Kind::number &&
                        std::fabs(change.value.number()) < std::fabs(at->number());
      if (less || (change.why.ends_with("fewest") && change.value.items.size() < at->items.size()))
        all.push_back(std::move(change));
    }
  }
  std::vector<std::uint32_t> path;
  simpler_at(value, path, all);
  if (within) std::erase_if(all, [&](const Change& change) { return !fits_after(change, node, value); });
  return all;
}

}  // namespace ashlar::schema
