// Fills the descriptor tables (type_info.hpp) for every type that the schema module knows. Everything here is evaluated
// at compile time; nothing of it is a loop that runs.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/patch.hpp>
#include <ashlar/schema/reflect.hpp>
#include <ashlar/schema/rules_fit.hpp>
#include <ashlar/schema/type_info.hpp>

namespace ashlar {

template <class T>
class Secret;

namespace schema {

/// The descriptor of T. It has static storage and is ready before main.
template <class T>
struct TypeOf {
  static const TypeInfo info;
};

template <class T>
const TypeInfo& type_info() noexcept {
  return TypeOf<std::remove_cvref_t<T>>::info;
}

/// Works out everything about a type and all types in it that is otherwise worked out at its first use. Throws Internal
/// when the type cannot work: a pattern that is none, two members of one name on the wire. For a program's start.
void prepare(const TypeInfo& type);
template <class T>
void prepare() {
  prepare(type_info<T>());
}

/// Reads a map's key from text and writes it; for keys that are not strings (text_io.cpp).
bool parse_key(const TypeInfo& type, std::string_view text, void* into);
void append_key(const TypeInfo& type, const void* key, std::string& out);

namespace detail {

template <class T>
consteval std::string_view type_name() {  // "… [T = blog::Article]"
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  text.remove_suffix(1);
  return text;
}

template <class T, template <class...> class Template>
inline constexpr bool kIs = false;
template <class... Args, template <class...> class Template>
inline constexpr bool kIs<Template<Args...>, Template> = true;

template <class T>
inline constexpr bool kIsLiteral = false;
template <FixedString Text>
inline constexpr bool kIsLiteral<Literal<Text>> = true;

template <class T>
concept PointerLike = requires(T p, typename T::element_type* raw) {
  p.reset(raw);
  p.reset();
  *p;
  p.get();
};
template <class T>
concept MapLike = requires(T m) {
  typename T::key_type;
  typename T::mapped_type;
  m.try_emplace(std::declval<typename T::key_type>());
  m.clear();
};
template <class T>
concept SetLike = !MapLike<T> && requires(T s) {
  typename T::key_type;
  s.insert(std::declval<typename T::value_type>());
  s.clear();
};
template <class T>
concept ListLike = !MapLike<T> && !SetLike<T> && requires(T v) {
  typename T::value_type;
  v.emplace_back();
  v.clear();
  v.size();
};

template <class T>
T& as(void* p) {
  return *static_cast<T*>(p);
}
template <class T>
const T& as(const void* p) {
  return *static_cast<const T*>(p);
}

template <class T>
inline constexpr EnumOps kEnumOps{kEnumerators<T>.data(), kEnumerators<T>.size()};

template <class T>
struct ValueFunctions {
  static bool parse(std::string_view text, void* into, std::string_view& reason) {
    if constexpr (requires { T::parse_or_reason(text); }) {
      auto value = T::parse_or_reason(text);
      if (!value) {
        reason = value.error();
        return false;
      }
      as<T>(into) = std::move(*value);
    } else {
      auto value = T::parse(text);
      if (!value) return false;
      as<T>(into) = std::move(*value);
    }
    return true;
  }
  static void append(const void* value, std::string& out) {
    if constexpr (requires { as<T>(value).append_to(out); }) {
      as<T>(value).append_to(out);
    } else {
      out += as<T>(value).to_string();
    }
  }
  static bool is_empty(const void* value) {
    if constexpr (std::equality_comparable<T> && std::default_initializable<T>) {
      return as<T>(value) == T{};
    } else {
      return true;
    }
  }
  static std::size_t length(const void* value) {
    if constexpr (HasByteSize<T>) {
      return as<T>(value).size();
    } else {
      return 0;
    }
  }
};

template <class T>
inline constexpr ValueOps kValueOps{&ValueFunctions<T>::parse,
                                    &ValueFunctions<T>::append,
                                    &ValueFunctions<T>::is_empty,
                                    HasByteSize<T> ? &ValueFunctions<T>::length : nullptr,
                                    kBuiltin<T>,
                                    kWords<T>.type_error,
                                    kWords<T>.type_message,
                                    kWords<T>.parse_error,
                                    kWords<T>.parse_message,
                                    kWords<T>.reason,
                                    kWords<T>.format};

template <class T>
struct OptionalFunctions {  // std::optional, Patch
  static void* emplace(void* p) { return &as<T>(p).emplace(); }
  static void reset(void* p) {
    if constexpr (kIs<T, Patch>) {
      as<T>(p).set_null();
    } else {
      as<T>(p).reset();
    }
  }
  static const void* get(const void* p) { return as<T>(p).has_value() ? &*as<T>(p) : nullptr; }
  static bool is_absent(const void* p) {
    if constexpr (kIs<T, Patch>) {
      return as<T>(p).is_absent();
    } else {
      return false;
    }
  }
};
template <class T>
struct PointerFunctions {
  static void* emplace(void* p) {
    as<T>(p).reset(new std::remove_const_t<typename T::element_type>{});
    return const_cast<std::remove_const_t<typename T::element_type>*>(as<T>(p).get());
  }
  static void reset(void* p) { as<T>(p).reset(); }
  static const void* get(const void* p) { return as<T>(p).get(); }
  static bool is_absent(const void*) { return false; }
};
template <class T>
struct SecretFunctions;
template <class T>
struct SecretFunctions<Secret<T>> {  // the reader fills the value where it lies
  static void* emplace(void* p) { return const_cast<T*>(&as<Secret<T>>(p).reveal()); }
  static void reset(void*) {}
  static const void* get(const void* p) { return &as<Secret<T>>(p).reveal(); }
  static bool is_absent(const void*) { return false; }
};
template <class Functions>
inline constexpr OptionalOps kOptionalOps{&Functions::emplace, &Functions::reset, &Functions::get,
                                          &Functions::is_absent};

template <class T>
struct ListFunctions {
  using Element = typename T::value_type;
  static constexpr bool kBits = std::is_same_v<Element, bool>;
  static constexpr bool kCommits = SetLike<T> || kBits;
  static constexpr bool kContiguous = requires(const T& v) { v.data(); } && !kCommits;

  static void clear(void* list) { as<T>(list).clear(); }
  static void* append(void* list) {
    if constexpr (kCommits) {
      return new Element{};
    } else {
      // Growing from one by doubling moves the first few elements over and over.
      if constexpr (requires(T& v) { v.reserve(4); }) {
        if (as<T>(list).capacity() == 0) as<T>(list).reserve(sizeof(Element) <= 256 ? 4 : 1);
      }
      return &as<T>(list).emplace_back();
    }
  }
  static bool commit(void* list, void* element) {
    const std::unique_ptr<Element> owned(static_cast<Element*>(element));
    if constexpr (kBits) {
      as<T>(list).push_back(*owned);
      return true;
    } else if constexpr (SetLike<T>) {
      const auto before = as<T>(list).size();
      as<T>(list).insert(std::move(*owned));
      return as<T>(list).size() != before;
    } else {
      return true;
    }
  }
  static std::size_t size(const void* list) { return as<T>(list).size(); }
  static const void* data(const void* list) {
    if constexpr (kContiguous) {
      return as<T>(list).data();
    } else {
      return list;
    }
  }
  static void each(const void* list, void* context, void (*f)(void*, const void*)) {
    for (const auto& element : as<T>(list)) {
      if constexpr (kBits) {
        const bool bit = element;
        f(context, &bit);
      } else {
        f(context, &element);
      }
    }
  }
};
template <class T>
inline constexpr ListOps kListOps{&ListFunctions<T>::clear,
                                  &ListFunctions<T>::append,
                                  ListFunctions<T>::kCommits ? &ListFunctions<T>::commit : nullptr,
                                  &ListFunctions<T>::size,
                                  ListFunctions<T>::kContiguous ? &ListFunctions<T>::data : nullptr,
                                  &ListFunctions<T>::each,
                                  SetLike<T>};

template <class T>
struct MapFunctions {
  using Key = typename T::key_type;
  static constexpr bool kTextKey = std::is_base_of_v<std::string, Key>;

  static void clear(void* map) { as<T>(map).clear(); }
  static void* insert(void* map, std::string_view text, bool& valid) {
    Key key{};
    if constexpr (kTextKey) {
      key.assign(text);
      valid = true;
    } else {
      valid = parse_key(TypeOf<Key>::info, text, &key);
      if (!valid) return nullptr;
    }
    const auto [at, added] = as<T>(map).try_emplace(std::move(key));
    return added ? &at->second : nullptr;
  }
  static std::size_t size(const void* map) { return as<T>(map).size(); }
  static void each(const void* map, void* context, void (*f)(void*, std::string_view, const void*)) {
    [[maybe_unused]] std::string text;
    for (const auto& [key, value] : as<T>(map)) {
      if constexpr (kTextKey) {
        f(context, key, &value);
      } else {
        text.clear();
        append_key(TypeOf<Key>::info, &key, text);
        f(context, text, &value);
      }
    }
  }
};
template <class T>
inline constexpr MapOps kMapOps{&MapFunctions<T>::clear, &MapFunctions<T>::insert, &MapFunctions<T>::size,
                                &MapFunctions<T>::each, &TypeOf<typename T::key_type>::info};

template <class... T>
inline constexpr const TypeInfo* kTypes[sizeof...(T) + 1] = {&TypeOf<T>::info..., nullptr};

template <class T>
struct TupleFunctions;
template <template <class...> class Template, class... T>
struct TupleFunctions<Template<T...>> {
  using Tuple = Template<T...>;
  static void* at(void* tuple, std::size_t index) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      void* place = nullptr;
      ((I == index ? static_cast<void>(place = &std::get<I>(as<Tuple>(tuple))) : static_cast<void>(0)), ...);
      return place;
    }(std::make_index_sequence<sizeof...(T)>{});
  }
  static constexpr TupleOps ops{kTypes<T...>, &at};
};

template <class T>
struct VariantFunctions;
template <class... T>
struct VariantFunctions<std::variant<T...>> {
  using Variant = std::variant<T...>;
  static void* emplace(void* variant, std::size_t index) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      void* place = nullptr;
      ((I == index ? static_cast<void>(place = &as<Variant>(variant).template emplace<I>()) : static_cast<void>(0)),
       ...);
      return place;
    }(std::make_index_sequence<sizeof...(T)>{});
  }
  static std::size_t index(const void* variant) { return as<Variant>(variant).index(); }
  static const void* get(const void* variant) {
    const void* place = nullptr;
    if (!as<Variant>(variant).valueless_by_exception()) {
      std::visit([&place](const auto& value) { place = &value; }, as<Variant>(variant));
    }
    return place;
  }
  static void move(void* to, void* from) { as<Variant>(to) = std::move(as<Variant>(from)); }
  static void* create() { return new Variant{}; }
  static void destroy(void* variant) { delete static_cast<Variant*>(variant); }
  static constexpr VariantOps ops{kTypes<T...>, sizeof...(T), &emplace, &index, &get, &move, &create, &destroy};
};

struct JsonFunctions {
  static void assign(void* json, std::string_view text) { as<Json>(json) = Json::trusted(std::string(text)); }
  static std::string_view text(const void* json) { return as<Json>(json).text(); }
};
inline constexpr JsonOps kJsonOps{&JsonFunctions::assign, &JsonFunctions::text};

// The members' types, taken from the bindings.
template <class... M>
struct TypeList {
  template <class T, std::size_t... I>
  static constexpr std::array<Member, sizeof...(M)> members(std::index_sequence<I...>) {
    return {Member{kMemberNames<T>[I], static_cast<std::uint32_t>(kMemberOffsets<T>[I]), &TypeOf<M>::info}...};
  }
};
template <class T>
using MemberTypes = decltype(visit_members(std::declval<T&>(),
                                           [](auto&... m) { return TypeList<std::remove_cvref_t<decltype(m)>...>{}; }));

template <class T>
inline constexpr auto kMembers = MemberTypes<T>::template members<T>(std::make_index_sequence<kMemberCount<T>>{});

template <class T>
inline constinit std::atomic<const ObjectState*> object_state{nullptr};

template <class T>
constexpr SchemaOptions options_of() {
  if constexpr (requires {
                  { T::schema } -> std::convertible_to<SchemaOptions>;
                }) {
    return T::schema;
  } else {
    return {};
  }
}

template <class T>
struct ObjectFunctions {
  static void create(void* at) { ::new (at) T{}; }
  static void create_uninitialised(void* at) { ::new (at) T; }
  static void destroy(void* at) { static_cast<T*>(at)->~T(); }
  static void validate(const void* value, Violations& violations) {
    if constexpr (requires { as<T>(value).validate(violations); }) {
      as<T>(value).validate(violations);
    } else if constexpr (requires {
                           { as<T>(value).validate() } -> std::convertible_to<std::optional<std::string>>;
                         }) {
      std::optional<std::string> message = as<T>(value).validate();
      if (message) violations.add(std::move(*message));
    }
  }
  static constexpr bool kValidates = requires(const T& v, Violations& x) { v.validate(x); } || requires(const T& v) {
    { v.validate() } -> std::convertible_to<std::optional<std::string>>;
  };
  static constexpr ObjectOps ops() {
    ObjectOps o{kMembers<T>.data(),
                kMembers<T>.size(),
                options_of<T>(),
                nullptr,
                nullptr,
                &destroy,
                kValidates ? &validate : nullptr,
                &object_state<T>};
    if constexpr (std::is_default_constructible_v<T>) {
      o.create = &create;
      if constexpr (requires(void* p) { ::new (p) T; }) o.create_uninitialised = &create_uninitialised;
    }
    return o;
  }
};
template <class T>
inline constexpr ObjectOps kObjectOps = ObjectFunctions<T>::ops();

template <class T>
inline constexpr bool kUnsupported = false;

template <class T>
T inner_of(const std::optional<T>&);
template <class T>
T inner_of(const Patch<T>&);
template <class T>
T inner_of(const Secret<T>&);

// What a rule on a nullable value is about.
template <class T>
struct Unwrapped {
  using type = T;
};
template <class T>
  requires(kIs<T, std::optional> || kIs<T, Patch> || kIs<T, Secret>)
struct Unwrapped<T> : Unwrapped<decltype(inner_of(std::declval<const T&>()))> {};
template <class T, auto... Rules>
struct Unwrapped<Annotated<T, Rules...>> : Unwrapped<T> {};
template <class T>
using unwrapped_t = typename Unwrapped<T>::type;

template <class T>
constexpr TypeInfo describe();

template <class T>
struct Describe {
  static constexpr TypeInfo of() { return describe<T>(); }
};
template <class T, auto... Rules>
struct Describe<Annotated<T, Rules...>> {
  static constexpr TypeInfo of() {
    TypeInfo info = Describe<T>::of();
    // The rules of a nullable value are those of the value; the description is of both.
    if constexpr (kIs<T, std::optional> || kIs<T, Patch> || kIs<T, Secret>) {
      using Inner = decltype(inner_of(std::declval<const T&>()));
      static_assert(rules_fit<unwrapped_t<Inner>, Rules...>());
      info.rules = &RuleSet<Inner, Rules...>::table;
      info.inner = &TypeOf<Annotated<Inner, Rules...>>::info;
    } else {
      static_assert(rules_fit<T, Rules...>());
      info.rules = &RuleSet<T, Rules...>::table;
    }
    return info;
  }
};
template <class T, auto... Inner, auto... Outer>
struct Describe<Annotated<Annotated<T, Inner...>, Outer...>> : Describe<Annotated<T, Inner..., Outer...>> {};

template <class T>
constexpr TypeInfo describe() {
  TypeInfo t{};
  t.size = sizeof(T);
  t.align = alignof(T);
  if constexpr (std::is_same_v<T, std::monostate> || std::is_same_v<T, std::nullptr_t>) {
    t.kind = Kind::null;
  } else if constexpr (std::is_same_v<T, bool>) {
    t.kind = Kind::boolean;
  } else if constexpr (std::is_enum_v<T>) {
    t.kind = Kind::enumeration;
    t.is_signed = std::is_signed_v<std::underlying_type_t<T>>;
    t.name = type_name<T>();
    t.enumeration = &kEnumOps<T>;
  } else if constexpr (std::is_integral_v<T>) {
    static_assert(sizeof(T) <= 8, "integers of at most 64 bits; use Decimal");
    t.kind = Kind::integer;
    t.is_signed = std::is_signed_v<T>;
  } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    t.kind = Kind::number;
  } else if constexpr (std::is_base_of_v<std::string, T>) {
    t.kind = Kind::string;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    t.kind = Kind::string_view;
  } else if constexpr (kIsLiteral<T>) {
    t.kind = Kind::literal;
    t.text = T::kText;
  } else if constexpr (std::is_same_v<T, Json>) {
    t.kind = Kind::json;
    t.json = &kJsonOps;
  } else if constexpr (kIs<T, Secret>) {
    t.kind = Kind::secret;
    t.inner = &TypeOf<decltype(inner_of(std::declval<const T&>()))>::info;
    t.optional = &kOptionalOps<SecretFunctions<T>>;
  } else if constexpr (kIs<T, std::optional> || kIs<T, Patch>) {
    t.kind = kIs<T, Patch> ? Kind::patch : Kind::optional;
    t.inner = &TypeOf<typename T::value_type>::info;
    t.optional = &kOptionalOps<OptionalFunctions<T>>;
  } else if constexpr (kIs<T, std::variant>) {
    t.kind = Kind::variant;
    t.variant = &VariantFunctions<T>::ops;
  } else if constexpr (kIs<T, std::pair> || kIs<T, std::tuple>) {
    t.kind = Kind::tuple;
    t.count = std::tuple_size_v<T>;
    t.tuple = &TupleFunctions<T>::ops;
  } else if constexpr (requires {
                         std::tuple_size<T>::value;
                         typename T::value_type;
                       }) {  // std::array
    t.kind = Kind::array;
    t.count = std::tuple_size_v<T>;
    t.inner = &TypeOf<typename T::value_type>::info;
  } else if constexpr (kIsValue<T>) {
    t.kind = Kind::value;
    t.value = &kValueOps<T>;
  } else if constexpr (MapLike<T>) {
    t.kind = Kind::map;
    t.inner = &TypeOf<typename T::mapped_type>::info;
    t.map = &kMapOps<T>;
  } else if constexpr (SetLike<T> || ListLike<T>) {
    t.kind = Kind::list;
    t.inner = &TypeOf<typename T::value_type>::info;
    t.list = &kListOps<T>;
  } else if constexpr (PointerLike<T>) {
    t.kind = Kind::optional;
    t.inner = &TypeOf<std::remove_cv_t<typename T::element_type>>::info;
    t.optional = &kOptionalOps<PointerFunctions<T>>;
  } else if constexpr (Reflected<T>) {
    t.kind = Kind::object;
    t.name = type_name<T>();
    t.object = &kObjectOps<T>;
  } else {
    static_assert(kUnsupported<T>,
                  "no schema for this type: give it `static parse(std::string_view)` and `to_string()`, make it an "
                  "aggregate, or list its members");
  }
  return t;
}

}  // namespace detail

template <class T>
constinit const TypeInfo TypeOf<T>::info = detail::Describe<T>::of();

}  // namespace schema
}  // namespace ashlar
