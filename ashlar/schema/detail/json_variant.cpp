// Variants: tagged ones by their discriminator, untagged ones by what fits best.
#include <fmt/format.h>

#include <cstdint>
#include <memory>

#include <ashlar/schema/detail/json_reader.hpp>
#include <ashlar/schema/detail/values.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema::detail {
namespace {

// What alternatives may read all together, in bytes: each of a long list is tried a few times, those within
// alternatives more often with each level.
constexpr std::uint64_t kMostTried = 1024 * 1024;
constexpr std::uint64_t kTriedOfDocument = 64;  // … and so many times its size

const TypeInfo& behind_pointers(const TypeInfo& type) {
  const TypeInfo* t = &type;
  while (t->kind == Kind::optional) t = t->inner;
  return *t;
}

// What tells an alternative: the literal in its discriminator member, else its tag.
std::string_view tag_of(const TypeInfo& alternative, std::string_view discriminator) {
  const TypeInfo& type = behind_pointers(alternative);
  if (type.kind != Kind::object) return {};
  const ObjectState& state = object_state_of(type);
  const std::size_t i = state.find(discriminator);
  if (i < state.members.size() && state.members[i].type->kind == Kind::literal) return state.members[i].type->text;
  return state.tag;
}

// Whether a value that begins with this character could be of the type at all.
bool may_begin(const TypeInfo& type, char c, bool strict) {
  const bool digit = c == '-' || (c >= '0' && c <= '9');
  switch (type.kind) {
    case Kind::null:
      return c == 'n';
    case Kind::boolean:
      return c == 't' || c == 'f' || (!strict && (c == '"' || digit));
    case Kind::integer:
    case Kind::number:
      return digit || (!strict && c == '"');
    case Kind::string:
    case Kind::enumeration:
    case Kind::literal:
      return c == '"';
    case Kind::value:
      return c == '"' || (digit && reads_numbers(type, strict));
    case Kind::list:
    case Kind::array:
    case Kind::tuple:
      return c == '[';
    case Kind::map:
    case Kind::object:
      return c == '{';
    case Kind::optional:
    case Kind::patch:
      return c == 'n' || may_begin(*type.inner, c, strict);
    case Kind::secret:
      return may_begin(*type.inner, c, strict);
    case Kind::json:
    case Kind::variant:
      return true;
    case Kind::string_view:
      return false;
  }
  return false;
}

}  // namespace

bool JsonReader::read_variant(const TypeInfo& type, void* into, const Path& path) {
  if (type.rules && !type.rules->discriminator.empty()) {
    return read_tagged(type, type.rules->discriminator, into, path);
  }
  return read_untagged(type, into, path);
}

bool JsonReader::read_tagged(const TypeInfo& type, std::string_view discriminator, void* into, const Path& path) {
  if (*scan_.p != '{') return refuse(type_failure(type), path);
  // Look ahead for the tag, then read the object from its start.
  JsonScanner ahead = scan_;
  std::string tag, buffer;
  bool found = false;
  ++ahead.p;
  ahead.skip_space();
  for (bool more = !ahead.take('}'); more;) {
    RawString key;
    if (ahead.peek() != '"' || !ahead.read_string(key) || !ahead.read_colon()) break;
    if (key.escaped) unescape(key.text, buffer);
    const std::string_view name = key.escaped ? std::string_view(buffer) : key.text;
    if (name == discriminator) {
      RawString value;
      const char* const start = ahead.p;
      found = true;
      if (ahead.peek() == '"') {
        if (!ahead.read_string(value)) break;
        unescape(value.text, tag);
      } else if (ahead.skip_value(depth_ + 1)) {  // a number, null: no tag, but worth showing
        tag = std::string(start, ahead.p);
        if (tag == "null") tag = "None";
      }
      break;
    }
    if (!ahead.skip_value(depth_ + 1) || !ahead.next_item('}', more)) break;
  }
  if (!found) {
    return refuse({"union_tag_not_found", fmt::format("Unable to extract tag using discriminator '{}'", discriminator),
                   fmt::format("{{\"discriminator\":\"'{}'\"}}", discriminator)},
                  path);
  }
  std::string expected;
  for (std::size_t i = 0; i < type.variant->count; ++i) {
    const std::string_view known = tag_of(*type.variant->types[i], discriminator);
    if (known != tag) {
      if (i > 0) expected += ", ";
      expected += fmt::format("'{}'", known);
      continue;
    }
    const TypeInfo* alternative = type.variant->types[i];
    void* place = type.variant->emplace(into, i);
    while (alternative->kind == Kind::optional) {
      place = alternative->optional->emplace(place);
      alternative = alternative->inner;
    }
    return read_object(*alternative, place, {&path, known, -1}, discriminator);
  }
  if (secret_ > 0 || tag.size() > 100) tag = "…";
  std::string shown;
  append_json_string(tag, shown);
  return refuse({"union_tag_invalid",
                 fmt::format("Input tag '{}' found using '{}' does not match any of the expected tags: {}", tag,
                             discriminator, expected),
                 fmt::format("{{\"discriminator\":\"'{}'\",\"tag\":{},\"expected_tags\":\"{}\"}}", discriminator, shown,
                             expected)},
                path);
}

bool JsonReader::read_untagged(const TypeInfo& type, void* into, const Path& path) {
  const VariantOps& variant = *type.variant;
  const JsonScanner start = scan_;
  JsonScanner after = scan_;
  if (!after.skip_value(depth_)) {
    scan_ = after;
    return false;
  }
  const int depth = depth_, secret = secret_, matched = matched_;
  const bool strict = strict_;
  Errors* outer_errors = errors_;
  const std::unique_ptr<void, void (*)(void*)> attempt(variant.create(), variant.destroy);
  bool any = false;
  int best = 0;
  Errors all_errors;
  for (const bool exact : {true, false}) {
    for (std::size_t i = 0; i < variant.count && !(any && !exact); ++i) {
      const TypeInfo& alternative = *variant.types[i];
      if (!may_begin(alternative, *start.p, exact || strict)) continue;
      tried_ += static_cast<std::uint64_t>(after.p - start.p) + 1;
      if (tried_ > kMostTried + kTriedOfDocument * document_.size()) return scan_.fail("too many alternatives tried");
      Errors errors;
      errors_ = &errors;
      scan_ = start;
      strict_ = exact || strict;
      matched_ = 0;
      const std::string name = exact ? std::string() : type_label(alternative);
      const Path child{&path, name, -1};
      const bool valid = read(alternative, variant.emplace(attempt.get(), i), exact ? path : child);
      const int fit = matched_;
      errors_ = outer_errors;
      depth_ = depth;
      secret_ = secret;
      strict_ = strict;
      matched_ = matched;
      if (!valid) return false;
      if (!errors.empty()) {
        if (!exact) all_errors.append(errors);
        continue;
      }
      if (!any || fit > best) {
        any = true;
        best = fit;
        variant.move(into, attempt.get());
      }
    }
    if (any) break;
  }
  scan_ = start;
  if (any) {
    scan_.p = after.p;
    check(type, into, path, start.p);
    return true;
  }
  if (all_errors.empty()) {
    for (std::size_t i = 0; i < variant.count; ++i) {
      const std::string name = type_label(*variant.types[i]);
      report(type_failure(*variant.types[i]), {&path, name, -1}, start.p,
             {start.p, static_cast<std::size_t>(after.p - start.p)});
    }
  }
  errors_->append(all_errors);
  scan_.p = after.p;
  return true;
}

}  // namespace ashlar::schema::detail
