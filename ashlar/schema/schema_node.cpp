#include <ashlar/schema/schema_node.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::schema {
namespace {

using Node = SchemaNode;

std::uint8_t type_called(std::string_view name) {
  if (name == "null") return Node::kNull;
  if (name == "boolean") return Node::kBoolean;
  if (name == "integer") return Node::kInteger;
  if (name == "number") return Node::kNumber | Node::kInteger;
  if (name == "string") return Node::kText;
  if (name == "array") return Node::kList;
  return name == "object" ? Node::kObject : Node::kAny;
}

std::uint8_t types_of(const Tree& schema) {
  const Tree* const type = schema.find("type");
  if (type == nullptr) return Node::kAny;
  if (type->kind == Tree::Kind::text) return type_called(type->text);
  std::uint8_t all = 0;
  for (const Tree& one : type->items) all |= type_called(one.text);
  return all;
}

std::int64_t count_of(const Tree& schema, std::string_view name, std::int64_t otherwise) {
  const Tree* const count = schema.find(name);
  return count == nullptr ? otherwise : static_cast<std::int64_t>(count->number());
}

void read_bounds(const Tree& schema, Node& node) {
  const auto least = [&](long double bound, bool without) {
    if (!node.least || bound > *node.least || (bound == *node.least && without)) {
      node.least = bound;
      node.above = without;
    }
  };
  const auto most = [&](long double bound, bool without) {
    if (!node.most || bound < *node.most || (bound == *node.most && without)) {
      node.most = bound;
      node.below = without;
    }
  };
  const std::string_view format = node.format;
  const auto digits = format.find("int");
  if ((node.types & Node::kInteger) != 0 && (digits == 0 || (digits == 1 && format.front() == 'u'))) {
    const bool is_signed = digits == 0;
    const std::string_view width = format.substr(digits + 3);
    const int bits = width == "8" ? 8 : width == "16" ? 16 : width == "32" ? 32 : width == "64" ? 64 : 0;
    if (bits != 0) {
      least(is_signed ? -std::ldexp(1.0L, bits - 1) : 0.0L, false);
      most(std::ldexp(1.0L, is_signed ? bits - 1 : bits) - 1, false);
    }
  }
  if (const Tree* bound = schema.find("minimum")) least(bound->number(), false);
  if (const Tree* bound = schema.find("exclusiveMinimum")) least(bound->number(), true);
  if (const Tree* bound = schema.find("maximum")) most(bound->number(), false);
  if (const Tree* bound = schema.find("exclusiveMaximum")) most(bound->number(), true);
  if (const Tree* step = schema.find("multipleOf"); step != nullptr && step->number() > 0)
    node.multiple = step->number();
}

bool is_whole(const Tree& number) {
  const long double value = number.number();
  return std::isfinite(value) && std::trunc(value) == value;
}

// 0.3 is a multiple of 0.1 to people, as it is to rules.hpp.
bool is_multiple(long double value, long double step) {
  const long double rest = std::fabs(std::remainder(value, step));
  return rest <= std::fabs(value) * 1e-9L || rest <= step * 1e-9L;
}

// The walk of a value along its schema. Without a `why` it stops at the first thing that does not fit.
class Check {
 public:
  explicit Check(bool explain) noexcept : explain_(explain) {}

  bool run(const Node& node, const Tree& value) {
    if (node.never) return misfit("must not be there");
    for (const Node* part : node.all_of) {
      if (!run(*part, value)) return false;
    }
    if (!node.values.empty() && std::ranges::find(node.values, value) == node.values.end())
      return misfit(value, "is none of the values that are allowed");
    if (!choices(node, value)) return false;
    switch (value.kind) {
      case Tree::Kind::null:
        return node.takes(Node::kNull) || misfit("is null");
      case Tree::Kind::boolean:
        return node.takes(Node::kBoolean) || misfit(value, "is a boolean");
      case Tree::Kind::number:
        return number(node, value);
      case Tree::Kind::text:
        return text(node, value);
      case Tree::Kind::list:
        return list(node, value);
      case Tree::Kind::object:
        return object(node, value);
    }
    return true;
  }

  std::string why;

 private:
  bool misfit(std::string_view what) {
    if (explain_) why = path_.empty() ? std::string(what) : fmt::format("{}: {}", path_, what);
    return false;
  }
  bool misfit(const Tree& value, std::string_view what) {
    if (!explain_) return false;
    std::string shown = value.json();
    if (shown.size() > 60) {
      std::size_t end = 57;  // between two characters
      while ((static_cast<unsigned char>(shown[end]) & 0xC0) == 0x80) --end;
      shown.replace(end, std::string::npos, "…");
    }
    return misfit(fmt::format("{} {}", shown, what));
  }

  bool choices(const Node& node, const Tree& value) {
    if (node.any_of.empty() && node.one_of.empty()) return true;
    Check quiet(false);
    const auto fits = [&](const Node* one) { return quiet.run(*one, value); };
    if (!node.any_of.empty() && std::ranges::none_of(node.any_of, fits)) return closest(node.any_of, value);
    if (node.one_of.empty()) return true;
    const auto count = std::ranges::count_if(node.one_of, fits);
    if (count == 0) return closest(node.one_of, value);
    return count == 1 || misfit(value, "fits more than one of its alternatives");
  }
  // Why it does not fit the alternative of its own kind says more than that it fits none.
  bool closest(const std::vector<const Node*>& alternatives, const Tree& value) {
    if (!explain_) return false;
    const Node* same = nullptr;
    for (const Node* one : alternatives) {
      const bool is_same = (value.kind == Tree::Kind::object && one->types == Node::kObject) ||
                           (value.kind == Tree::Kind::list && one->types == Node::kList);
      if (is_same && same != nullptr) return misfit(value, "fits none of its alternatives");
      if (is_same) same = one;
    }
    return same != nullptr ? run(*same, value) : misfit(value, "fits none of its alternatives");
  }

  bool number(const Node& node, const Tree& value) {
    if (!node.takes(Node::kNumber)) {
      if (!node.takes(Node::kInteger)) return misfit(value, "is a number");
      if (!is_whole(value)) return misfit(value, "is no whole number");
    }
    const long double n = value.number();
    if (node.least && (node.above ? n <= *node.least : n < *node.least)) return misfit(value, "is too small");
    if (node.most && (node.below ? n >= *node.most : n > *node.most)) return misfit(value, "is too large");
    return !node.multiple || is_multiple(n, *node.multiple) || misfit(value, "is not a multiple of what it should be");
  }

  bool text(const Node& node, const Tree& value) {
    if (!node.takes(Node::kText)) return misfit(value, "is a text");
    if (node.min_length > 0 || node.max_length >= 0) {
      const auto length = static_cast<std::int64_t>(utf8_length(value.text));
      if (length < node.min_length) return misfit(value, "is too short");
      if (node.max_length >= 0 && length > node.max_length) return misfit(value, "is too long");
    }
    if (node.pattern == nullptr || node.pattern->found_in(value.text)) return true;
    return misfit(value, "does not match " + node.pattern_text);
  }

  bool list(const Node& node, const Tree& value) {
    if (!node.takes(Node::kList)) return misfit(value, "is a list");
    const auto size = static_cast<std::int64_t>(value.items.size());
    if (size < node.min_items) return misfit("has too few items");
    if (node.max_items >= 0 && size > node.max_items) return misfit("has too many items");
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const Node* const item = i < node.first_items.size() ? node.first_items[i] : node.items;
      if (item != nullptr && !part(fmt::format("{}", i), *item, value.items[i])) return false;
      if (node.unique && std::find(value.items.begin(), value.items.begin() + static_cast<std::ptrdiff_t>(i),
                                   value.items[i]) != value.items.begin() + static_cast<std::ptrdiff_t>(i))
        return misfit(value.items[i], "is there twice");
    }
    return true;
  }

  bool object(const Node& node, const Tree& value) {
    if (!node.takes(Node::kObject)) return misfit(value, "is an object");
    const auto size = static_cast<std::int64_t>(value.items.size());
    if (size < node.min_members) return misfit("has too few members");
    if (node.max_members >= 0 && size > node.max_members) return misfit("has too many members");
    for (const Node::Member& member : node.members) {
      if (member.required && value.find(member.name) == nullptr)
        return misfit(fmt::format("{} is missing", member.name));
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const auto known = std::ranges::find(node.members, value.names[i], &Node::Member::name);
      if (known == node.members.end() && node.closed)
        return misfit(fmt::format("{} is not known here", value.names[i]));
      const Node* const member = known == node.members.end() ? node.rest : known->node;
      if (member != nullptr && !part(value.names[i], *member, value.items[i])) return false;
    }
    return true;
  }

  bool part(const std::string& name, const Node& node, const Tree& value) {
    if (!explain_) return run(node, value);
    const std::size_t before = path_.size();
    if (before != 0) path_ += '.';
    path_ += name;
    const bool fits = run(node, value);
    path_.resize(before);
    return fits;
  }

  bool explain_;
  std::string path_;
};

}  // namespace

SchemaDocument::SchemaDocument(std::string_view json) {
  auto tree = parse_tree(json);
  if (!tree) throw Invalid("this is no JSON document");
  root_ = std::move(*tree);
}

const Tree& SchemaDocument::resolve(const Tree& place) const {
  const Tree* at = &place;
  for (int hops = 0; hops < 16; ++hops) {
    const std::string_view reference = at->text_of("$ref");
    if (!reference.starts_with("#/")) break;
    const Tree* to = &root_;
    for (std::size_t begin = 2; to != nullptr && begin <= reference.size();) {
      const std::size_t end = std::min(reference.find('/', begin), reference.size());
      to = to->find(reference.substr(begin, end - begin));
      begin = end + 1;
    }
    if (to == nullptr) break;
    at = to;
  }
  return *at;
}

const SchemaNode& SchemaDocument::schema(const Tree& place) {
  const Tree& schema = resolve(place);
  const auto [at, added] = nodes_.try_emplace(&schema);
  if (added) {  // known before it is filled: a schema may contain itself
    at->second = std::make_unique<SchemaNode>();
    fill(*at->second, schema);
  }
  return *at->second;
}

void SchemaDocument::fill(SchemaNode& node, const Tree& schema) {
  if (schema.kind == Tree::Kind::boolean) {
    node.never = !schema.boolean;
    return;
  }
  node.types = types_of(schema);
  node.format = schema.text_of("format");
  if (const Tree* values = schema.find("enum")) node.values = values->items;
  if (const Tree* value = schema.find("const")) node.values = {*value};
  if (const Tree* examples = schema.find("examples")) node.examples = examples->items;
  read_bounds(schema, node);
  node.min_length = count_of(schema, "minLength", 0);
  node.max_length = count_of(schema, "maxLength", -1);
  node.min_items = count_of(schema, "minItems", 0);
  node.max_items = count_of(schema, "maxItems", -1);
  node.min_members = count_of(schema, "minProperties", 0);
  node.max_members = count_of(schema, "maxProperties", -1);
  node.unique = schema.is_true("uniqueItems");
  if (node.pattern_text = schema.text_of("pattern"); !node.pattern_text.empty())
    node.pattern = std::make_unique<detail::Regex>(node.pattern_text);
  if (const Tree* items = schema.find("items")) node.items = &this->schema(*items);
  if (const Tree* items = schema.find("prefixItems")) {
    for (const Tree& one : items->items) node.first_items.push_back(&this->schema(one));
  }
  const Tree* const required = schema.find("required");
  if (const Tree* members = schema.find("properties")) {
    for (std::size_t i = 0; i < members->items.size(); ++i) {
      const auto is_this = [&](const Tree& name) { return name.text == members->names[i]; };
      node.members.push_back({members->names[i], &this->schema(members->items[i]),
                              required != nullptr && std::ranges::any_of(required->items, is_this)});
    }
  }
  if (const Tree* rest = schema.find("additionalProperties")) {
    node.closed = rest->kind == Tree::Kind::boolean && !rest->boolean;
    if (rest->kind == Tree::Kind::object) node.rest = &this->schema(*rest);
  }
  const auto alternatives = [&](std::string_view name, std::vector<const SchemaNode*>& into) {
    const Tree* const all = schema.find(name);
    if (all == nullptr) return;
    for (const Tree& one : all->items) into.push_back(&this->schema(one));
  };
  alternatives("anyOf", node.any_of);
  alternatives("oneOf", node.one_of);
  alternatives("allOf", node.all_of);
}

std::optional<std::string> check_schema(const SchemaNode& node, const Tree& value) {
  Check check(true);
  if (check.run(node, value)) return std::nullopt;
  return std::move(check.why);
}

bool fits_schema(const SchemaNode& node, const Tree& value) { return Check(false).run(node, value); }

}  // namespace ashlar::schema
