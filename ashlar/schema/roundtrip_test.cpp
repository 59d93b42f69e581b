// Properties: whatever value a type can hold, what is written of it reads back as the same value, as JSON and as text.
// Random values of fixed seeds, and the ones at the edges.
#include <ashlar/schema/schema.hpp>
#include <ashlar/schema/text_io.hpp>

#include <gtest/gtest.h>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>

#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

namespace ashlar::schema {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t limit) { return random() % limit; }

enum class Color : std::int8_t { red = -3, green, blue = 100 };

struct Leaf {
  std::string text;
  std::optional<int> number;
  bool operator==(const Leaf&) const = default;
};
struct Tree {
  int value = 0;
  std::vector<Tree> children;
  std::unique_ptr<Tree> next;
  friend bool operator==(const Tree& a, const Tree& b) {
    return a.value == b.value && a.children == b.children && !a.next == !b.next && (!a.next || *a.next == *b.next);
  }
};
template <class T>
struct Page {
  std::vector<T> items;
  std::int64_t total = 0;
  bool operator==(const Page&) const = default;
};
struct Cat {
  Literal<"cat"> kind;
  std::int64_t lives = 9;
  bool operator==(const Cat&) const = default;
};
struct Dog {
  std::string name;
  static constexpr SchemaOptions schema{.tag = "dog"};
  bool operator==(const Dog&) const = default;
};
using Pet = Annotated<std::variant<Cat, Dog>, discriminator{"kind"}>;
struct Named {
  std::string first_name;
  Annotated<int, alias{"n"}> number = 0;
  Annotated<std::map<std::string, Json>, rest{}> more;
  static constexpr SchemaOptions schema{.naming = Naming::kebab_case};
  bool operator==(const Named& o) const {
    return first_name == o.first_name && number.value == o.number.value && more == o.more;
  }
};
struct Patched {
  Patch<std::string> a;
  Patch<int> b;
  bool operator==(const Patched&) const = default;
};

// ---- one random value of each type

template <class T>
struct Make;
template <class T>
T make(Random& random) {
  return Make<T>::of(random);
}

template <std::integral T>
struct Make<T> {
  static T of(Random& random) {
    switch (below(random, 8)) {
      case 0:
        return std::numeric_limits<T>::min();
      case 1:
        return std::numeric_limits<T>::max();
      case 2:
        return T{};
      default:
        return static_cast<T>(random() >> below(random, 64));
    }
  }
};
template <>
struct Make<bool> {
  static bool of(Random& random) { return below(random, 2) == 0; }
};
template <std::floating_point T>
struct Make<T> {
  static T of(Random& random) {
    if (below(random, 2) == 0)
      return static_cast<T>(static_cast<std::int64_t>(below(random, 2'000'000)) - 1'000'000) / 1000;
    for (;;) {  // any bits that are a finite number
      T value;
      if constexpr (sizeof(T) == 8) {
        value = std::bit_cast<T>(random());
      } else {
        value = std::bit_cast<T>(static_cast<std::uint32_t>(random()));
      }
      if (std::isfinite(value)) return value;
    }
  }
};
template <>
struct Make<std::string> {
  static std::string of(Random& random) {
    static constexpr std::string_view kPieces[] = {
        "a", "Z9", " ", "\"", "\\", "\n", "\t", std::string_view("\0", 1),      "\x1F", "\x7F", "ü",
        "€", "😀", "/", "%",  "=&", "{}", "[",  "long plain text of many bytes"};
    std::string out;
    for (std::size_t i = below(random, 9); i > 0; --i) out += kPieces[below(random, std::size(kPieces))];
    return out;
  }
};
template <>
struct Make<Color> {
  static Color of(Random& random) {
    constexpr Color kAll[] = {Color::red, Color::green, Color::blue};
    return kAll[below(random, 3)];
  }
};
template <>
struct Make<DateTime> {
  static DateTime of(Random& random) {
    constexpr std::int64_t kFirst = -62'167'219'200'000'000, kLast = 253'402'300'799'999'999;  // years 0000 to 9999
    return {kFirst + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(kLast - kFirst))};
  }
};
template <>
struct Make<Date> {
  static Date of(Random& random) { return make<DateTime>(random).date(); }
};
template <>
struct Make<TimeOfDay> {
  static TimeOfDay of(Random& random) { return {static_cast<std::int64_t>(below(random, 86'400'000'000))}; }
};
template <>
struct Make<Duration> {
  static Duration of(Random& random) {
    const auto micros = static_cast<std::int64_t>(random() >> (2 + below(random, 60)));
    return Duration(below(random, 2) == 0 ? micros : -micros);
  }
};
template <>
struct Make<Uuid> {
  static Uuid of(Random& random) {
    Uuid id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(random());
    return id;
  }
};
template <>
struct Make<Decimal> {
  static Decimal of(Random& random) {
    std::string text = below(random, 2) == 0 ? "-" : "";
    for (std::size_t i = 1 + below(random, 30); i > 0; --i) text += static_cast<char>('0' + below(random, 10));
    if (below(random, 2) == 0) {
      text += '.';
      for (std::size_t i = 1 + below(random, 20); i > 0; --i) text += static_cast<char>('0' + below(random, 10));
    }
    return Decimal::parse(text).value();
  }
};
template <>
struct Make<Url> {
  static Url of(Random& random) {
    constexpr std::string_view kAll[] = {"https://example.com/", "http://[::1]:8080/a?b=c#d", "ftp://u:p@h.example/x"};
    return Url::parse(kAll[below(random, 3)]).value();
  }
};
template <>
struct Make<Email> {
  static Email of(Random& random) {
    return Email::parse("n" + std::to_string(below(random, 999)) + "@example.com").value();
  }
};
template <>
struct Make<IpAddress> {
  static IpAddress of(Random& random) {
    IpAddress ip;
    const bool v6 = below(random, 2) == 0;
    ip.family = v6 ? IpAddress::Family::v6 : IpAddress::Family::v4;
    for (std::size_t i = 0; i < (v6 ? 16U : 4U); ++i)
      ip.bytes[i] = static_cast<std::uint8_t>(random() & (random() | 0xF0));
    ip.prefix = static_cast<std::uint8_t>(v6 ? 128 : 32);
    return ip;
  }
};
template <>
struct Make<Bytes> {
  static Bytes of(Random& random) {
    Bytes bytes(below(random, 20));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
  }
};
template <>
struct Make<Json> {
  static Json of(Random& random) {
    constexpr std::string_view kAll[] = {"null", "[1, 2.50, {\"a\": \"\\u00fc\"}]", "\"x\"", "1e3", "{}", "false"};
    return Json(kAll[below(random, std::size(kAll))]);
  }
};
template <class T>
struct Make<std::optional<T>> {
  static std::optional<T> of(Random& random) {
    return below(random, 3) == 0 ? std::nullopt : std::optional<T>(make<T>(random));
  }
};
template <class T>
struct Make<Patch<T>> {
  static Patch<T> of(Random& random) {
    const std::size_t choice = below(random, 3);
    return choice == 0 ? Patch<T>() : choice == 1 ? Patch<T>(std::nullopt) : Patch<T>(make<T>(random));
  }
};
template <class T>
  requires requires(T v) { v.insert(v.end(), typename T::value_type()); } && (!requires { typename T::mapped_type; })
struct Make<T> {
  static T of(Random& random) {
    T all;
    for (std::size_t i = below(random, 5); i > 0; --i) all.insert(all.end(), make<typename T::value_type>(random));
    return all;
  }
};
template <class T>
  requires requires { typename T::mapped_type; }
struct Make<T> {
  static T of(Random& random) {
    T all;
    for (std::size_t i = below(random, 5); i > 0; --i) {
      all.emplace(make<typename T::key_type>(random), make<typename T::mapped_type>(random));
    }
    return all;
  }
};
template <class T, std::size_t N>
struct Make<std::array<T, N>> {
  static std::array<T, N> of(Random& random) {
    std::array<T, N> all;
    for (T& element : all) element = make<T>(random);
    return all;
  }
};
template <class A, class B>
struct Make<std::pair<A, B>> {
  static std::pair<A, B> of(Random& random) { return {make<A>(random), make<B>(random)}; }
};
template <class... T>
struct Make<std::tuple<T...>> {
  static std::tuple<T...> of(Random& random) { return {make<T>(random)...}; }
};
template <>
struct Make<std::monostate> {
  static std::monostate of(Random&) { return {}; }
};
template <class... T>
struct Make<std::variant<T...>> {
  static std::variant<T...> of(Random& random) {
    std::variant<T...> out;
    std::size_t i = below(random, sizeof...(T));
    ((i-- == 0 ? static_cast<void>(out = make<T>(random)) : static_cast<void>(0)), ...);
    return out;
  }
};
template <>
struct Make<Leaf> {
  static Leaf of(Random& random) { return {make<std::string>(random), make<std::optional<int>>(random)}; }
};
template <>
struct Make<Tree> {
  static Tree of(Random& random) {
    Tree tree;
    tree.value = make<int>(random);
    if (below(random, 3) == 0) tree.next = std::make_unique<Tree>(of(random));
    if (below(random, 4) == 0) tree.children.push_back(of(random));
    return tree;
  }
};
template <class T>
struct Make<Page<T>> {
  static Page<T> of(Random& random) { return {make<std::vector<T>>(random), make<std::int64_t>(random)}; }
};
template <>
struct Make<Cat> {
  static Cat of(Random& random) { return {{}, make<std::int64_t>(random)}; }
};
template <>
struct Make<Dog> {
  static Dog of(Random& random) { return {make<std::string>(random)}; }
};
template <>
struct Make<Pet> {
  static Pet of(Random& random) { return Pet(make<std::variant<Cat, Dog>>(random)); }
};
template <>
struct Make<Named> {
  static Named of(Random& random) {
    Named named;
    named.first_name = make<std::string>(random);
    named.number = make<int>(random);
    for (std::size_t i = below(random, 3); i > 0; --i)
      named.more.emplace("+" + make<std::string>(random), make<Json>(random));
    return named;
  }
};
template <>
struct Make<Patched> {
  static Patched of(Random& random) { return {make<Patch<std::string>>(random), make<Patch<int>>(random)}; }
};

template <class T>
class RoundTrip : public testing::Test {};

using Types = testing::Types<
    bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, std::int64_t,
    std::uint64_t, float, double, std::string, Color, DateTime, Date, TimeOfDay, Duration, Uuid, Decimal, Url, Email,
    IpAddress, Bytes, Json, std::optional<std::string>, std::vector<std::string>, std::vector<bool>, std::deque<int>,
    std::set<Decimal>, std::map<std::string, double>, std::map<Uuid, int>, std::map<int, Date>, std::map<Color, bool>,
    std::unordered_map<std::string, Bytes>, std::array<std::int16_t, 3>, std::pair<int, std::string>,
    std::tuple<bool, std::optional<int>, std::vector<Date>>, std::variant<std::monostate, std::int64_t, std::string>,
    std::variant<Leaf, std::vector<int>, bool>, Leaf, Tree, Page<Leaf>, Page<Page<std::string>>, Pet, Named, Patched>;
TYPED_TEST_SUITE(RoundTrip, Types);

TYPED_TEST(RoundTrip, ThroughJson) {
  Random random(42);
  for (int i = 0; i < 300; ++i) {
    const TypeParam value = make<TypeParam>(random);
    const std::string json = to_json(value);
    ASSERT_TRUE(Json::from(json)) << json;
    TypeParam again{};
    Errors errors;
    ASSERT_TRUE(parse_json(json, again, errors)) << json << "\n" << errors.items()[0].msg;
    ASSERT_TRUE(again == value) << json << "\n" << to_json(again);
  }
}

// Lists, choices and optionals are not here: a text is one element, the first alternative that reads it, no null.
template <class T>
class TextRoundTrip : public testing::Test {};
using TextTypes =
    testing::Types<bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                   std::int64_t, std::uint64_t, float, double, std::string, Color, DateTime, Date, TimeOfDay, Duration,
                   Uuid, Decimal, Url, Email, IpAddress, Bytes, std::map<std::string, double>, Leaf, Tree, Pet, Named>;
TYPED_TEST_SUITE(TextRoundTrip, TextTypes);

TYPED_TEST(TextRoundTrip, IsExact) {
  Random random(43);
  for (int i = 0; i < 300; ++i) {
    const TypeParam value = make<TypeParam>(random);
    const std::string text = to_text(value);
    TypeParam again{};
    Errors errors;
    ASSERT_TRUE(parse_text(text, again, errors)) << text << "\n" << errors.items()[0].msg;
    ASSERT_TRUE(again == value) << text << "\n" << to_text(again);
  }
}

}  // namespace
}  // namespace ashlar::schema
