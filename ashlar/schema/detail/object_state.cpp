#include <ashlar/schema/detail/object_state.hpp>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::schema {
namespace {

using detail::MemberState;

std::uint8_t hash(std::string_view name) {
  if (name.empty()) return 0;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(name[i]); };
  return static_cast<std::uint8_t>(name.size() * 7 + at(0) * 31 + at(name.size() / 2) * 13 + at(name.size() - 1));
}

// A probe: one T made over memory of 0xA5, one over 0x5A. A number without an initialiser keeps the memory's bytes, so
// the two differ there: this is how `int offset;` is told from `int offset = 0;`. C++23 offers no other way.
struct Probe {
  const std::byte* a;
  const std::byte* b;
};

const Rules* rules_of(const TypeInfo& type) {
  for (const TypeInfo* t = &type;; t = t->inner) {
    if (t->rules) return t->rules;
    if (t->kind != Kind::optional && t->kind != Kind::patch && t->kind != Kind::secret) return nullptr;
  }
}

bool has_default(const TypeInfo& type, Probe probe);

bool object_has_default(const TypeInfo& type, Probe probe) {
  const ObjectState& state = detail::object_state_of(type);
  return std::all_of(state.members.begin(), state.members.end(), [&](const MemberState& m) {
    return !m.required || has_default(*m.type, {probe.a + m.offset, probe.b + m.offset});
  });
}

// True when the struct's own default gives this part a value that a reader may keep.
bool has_default(const TypeInfo& type, Probe probe) {
  switch (type.kind) {
    case Kind::null:
      return true;
    case Kind::boolean:
    case Kind::integer:
    case Kind::number:
    case Kind::enumeration:
      return std::memcmp(probe.a, probe.b, type.size) == 0;
    case Kind::string:
      return !reinterpret_cast<const std::string*>(probe.a)->empty();
    case Kind::value:
      return !type.value->is_empty(probe.a);
    case Kind::json:
      return type.json->text(probe.a) != "null";
    case Kind::optional:
    case Kind::patch:
    case Kind::map:
      return true;
    case Kind::list:
      return !type.rules || static_cast<std::int64_t>(type.list->size(probe.a)) >= type.rules->min_length;
    case Kind::secret: {
      const TypeInfo& inner = *type.inner;
      return inner.kind == Kind::string &&
             has_default(inner, {static_cast<const std::byte*>(type.optional->get(probe.a)),
                                 static_cast<const std::byte*>(type.optional->get(probe.b))});
    }
    case Kind::object:
      return object_has_default(type, probe);
    case Kind::array:
    case Kind::tuple:
    case Kind::variant:
    case Kind::literal:
    case Kind::string_view:
      return false;
  }
  return false;
}

bool find_secret(const TypeInfo& type, std::vector<const TypeInfo*>& seen) {
  if (type.kind == Kind::secret) return true;
  if (std::find(seen.begin(), seen.end(), &type) != seen.end()) return false;
  seen.push_back(&type);
  if (type.inner && find_secret(*type.inner, seen)) return true;
  if (type.kind == Kind::tuple || type.kind == Kind::variant) {
    const TypeInfo* const* types = type.kind == Kind::tuple ? type.tuple->types : type.variant->types;
    for (; *types; ++types) {
      if (find_secret(**types, seen)) return true;
    }
  }
  if (type.kind == Kind::object) {
    for (std::size_t i = 0; i < type.object->count; ++i) {
      if (find_secret(*type.object->members[i].type, seen)) return true;
    }
  }
  return false;
}

void* allocate(const TypeInfo& type, int fill) {
  void* memory = ::operator new(type.size, std::align_val_t(type.align));
  std::memset(memory, fill, type.size);
  return memory;
}

void probe_defaults(const TypeInfo& type, ObjectState& state) {
  const ObjectOps& object = *type.object;
  for (MemberState& m : state.members) {
    if (m.type->kind == Kind::literal) m.required = true;
  }
  if (!object.create || !object.create_uninitialised) {
    for (MemberState& m : state.members) m.required = !m.nullable;
    return;
  }
  void* a = allocate(type, 0xA5);
  void* b = allocate(type, 0x5A);
  object.create_uninitialised(a);
  object.create_uninitialised(b);
  for (MemberState& m : state.members) {
    m.required = !has_default(*m.type, {static_cast<std::byte*>(a) + m.offset, static_cast<std::byte*>(b) + m.offset});
  }
  object.destroy(a);
  object.destroy(b);
  ::operator delete(a, std::align_val_t(type.align));
  ::operator delete(b, std::align_val_t(type.align));
  void* defaults = allocate(type, 0);
  object.create(defaults);
  state.defaults = defaults;
}

detail::Form form_of(const TypeInfo& type) {
  switch (type.kind) {
    case Kind::string:
      return detail::Form::text;
    case Kind::integer:
      return detail::Form::integer;
    case Kind::number:
      return type.size == sizeof(double) ? detail::Form::real : detail::Form::other;
    default:
      return detail::Form::other;
  }
}

MemberState describe_member(const Member& member, Naming naming) {
  MemberState m;
  m.type = member.type;
  m.offset = member.offset;
  m.name = member.name;
  m.rules = rules_of(*member.type);
  m.nullable = member.type->kind == Kind::optional || member.type->kind == Kind::patch;
  const std::string wire =
      m.rules && !m.rules->alias.empty() ? std::string(m.rules->alias) : detail::respell(member.name, naming);
  m.key = '"' + wire + "\":";
  const std::string pattern = ',' + m.key;
  m.key_size = static_cast<std::uint32_t>(pattern.size());
  const std::size_t in_head = std::min(pattern.size(), sizeof m.head);
  std::memcpy(m.head, pattern.data(), in_head);
  m.behind_head = 0xFFFFU & ~((1U << in_head) - 1);
  if (pattern.size() > sizeof m.head) {
    std::memcpy(&m.key_tail, pattern.data() + pattern.size() - sizeof m.key_tail, sizeof m.key_tail);
  }
  m.readable = member.type->kind != Kind::string_view;
  if (m.rules) {
    m.readable = m.readable && !m.rules->read_only;
    m.writable = !m.rules->write_only;
  }
  if (m.readable) m.form = form_of(*m.type);
  m.limits = detail::limits_of(*m.type);
  return m;
}

void add_name(const TypeInfo& type, ObjectState& state, std::string_view name, std::size_t member) {
  if (state.find(name) != state.members.size()) {
    throw Internal(std::string(type.name) + ": two members are both called \"" + std::string(name) +
                   "\" on the wire; give one an alias");
  }
  if (state.names.size() == 255) throw Internal(std::string(type.name) + ": its members have more than 255 names");
  std::uint8_t& bucket = state.buckets[hash(name)];
  state.names.push_back({name, static_cast<std::uint8_t>(member), bucket});
  bucket = static_cast<std::uint8_t>(state.names.size());
}

const ObjectState* make(const TypeInfo& type) {
  const ObjectOps& object = *type.object;
  auto state = std::make_unique<ObjectState>();
  for (std::size_t i = 0; i < object.count; ++i) {
    MemberState m = describe_member(object.members[i], object.options.naming);
    if (!m.type->rules || !m.type->rules->rest) {
      state->members.push_back(std::move(m));
    } else if (!state->rest) {
      state->rest = std::make_unique<MemberState>(std::move(m));
    } else {
      throw Internal(std::string(type.name) + ": two members are annotated rest{}; unknown members go to one");
    }
  }
  std::fill(std::begin(state->buckets), std::end(state->buckets), std::uint8_t{0});
  for (std::size_t i = 0; i < state->members.size(); ++i) {
    MemberState& m = state->members[i];
    m.wire = std::string_view(m.key).substr(1, m.key.size() - 3);
    m.seen_word = static_cast<std::uint8_t>(i / 64);
    m.seen_bit = std::uint64_t{1} << (i % 64);
    add_name(type, *state, m.wire, i);
  }
  for (std::size_t i = 0; i < state->members.size(); ++i) {
    const Rules* rules = state->members[i].rules;
    if (rules) detail::each_text(rules->also, [&](std::string_view name) { add_name(type, *state, name, i); });
  }
  probe_defaults(type, *state);
  for (std::size_t i = 0; i < state->members.size(); ++i) {
    MemberState& m = state->members[i];
    if (m.rules && m.rules->required) m.required = true;
    if (m.rules && m.rules->defaulted) m.required = false;
    if (!m.readable) m.required = false;
    if (m.required) state->required[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  state->contains_secret = detail::contains_secret(type);
  state->checks = object.validate != nullptr || state->rest != nullptr;
  state->tag = object.options.tag.empty() ? detail::component_name(type.name) : std::string(object.options.tag);
  return state.release();
}

}  // namespace

std::size_t ObjectState::find(std::string_view wire) const noexcept {
  for (std::uint8_t i = buckets[hash(wire)]; i != 0; i = names[i - 1].next) {
    if (names[i - 1].text == wire) return names[i - 1].member;
  }
  return members.size();
}

namespace detail {

const ObjectState& make_object_state(const TypeInfo& type) {
  std::atomic<const ObjectState*>& place = *type.object->state;
  static std::recursive_mutex mutex;  // a struct's state asks for those of the structs in it
  const std::lock_guard lock(mutex);
  if (const ObjectState* state = place.load(std::memory_order_acquire)) return *state;
  const ObjectState* state = make(type);
  place.store(state, std::memory_order_release);
  return *state;
}

bool contains_secret(const TypeInfo& type) {
  std::vector<const TypeInfo*> seen;
  return find_secret(type, seen);
}

std::string respell(std::string_view name, Naming naming) {
  while (name.size() > 1 && name.back() == '_') name.remove_suffix(1);
  if (naming == Naming::as_written || naming == Naming::snake_case) return std::string(name);
  std::string out;
  bool start = naming == Naming::pascal_case;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '_' && i > 0) {
      if (naming == Naming::kebab_case) {
        out += '-';
      } else if (naming == Naming::upper_case) {
        out += '_';
      } else {
        start = true;
      }
      continue;
    }
    out += start || naming == Naming::upper_case ? to_upper_ascii(c) : c;
    start = false;
  }
  return out;
}

std::string component_name(std::string_view cpp_name) {
  std::string name(cpp_name);
  constexpr std::string_view kString = "std::basic_string<char>";
  for (auto at = name.find(kString); at != std::string::npos; at = name.find(kString)) {
    name.replace(at, kString.size(), "String");
  }
  // Template arguments: "a::Page<b::Article, c::X>" → Page, then "Of" Article "And" X. Namespaces and punctuation go.
  std::string out, word;
  const auto flush = [&] {
    if (!word.empty() && !out.empty()) word[0] = to_upper_ascii(word[0]);
    out += word;
    word.clear();
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == ':') {
      word.clear();
      while (i + 1 < name.size() && name[i + 1] == ':') ++i;
    } else if (c == '(') {  // "(anonymous namespace)" and values
      if (std::string_view(name).substr(i).starts_with("(anonymous")) {
        i = name.find(')', i);
        if (i == std::string::npos) break;
      }
    } else if (c == '<') {
      flush();
      out += "Of";
    } else if (c == ',') {
      flush();
      out += "And";
    } else if (c == '>') {
      flush();
    } else if (is_alpha_ascii(c) || is_digit_ascii(c) || c == '_') {
      word += c;
    } else if (c == ' ') {
      flush();
    }
  }
  flush();
  return out;
}

}  // namespace detail
}  // namespace ashlar::schema
