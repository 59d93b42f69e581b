#include <ashlar/schema/enums.hpp>
#include <ashlar/schema/reflect.hpp>

#include <gtest/gtest.h>

#include <any>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace {
enum class Hidden : short { minus = -3, zero = 0, big_ = 200 };
enum Unscoped : unsigned char { first = 1, last = 255 };
}  // namespace

namespace ashlar::schema {
namespace {

static_assert(kEnumerators<Hidden>.size() == 3);
static_assert(kEnumerators<Hidden>[0].name == "minus" && kEnumerators<Hidden>[0].value == -3);
static_assert(enum_name(Hidden::big_) == "big");
static_assert(enum_name(static_cast<Hidden>(7)).empty());
static_assert(enum_name(last) == "last" && kEnumerators<Unscoped>.size() == 2);

struct NoDefault {
  explicit NoDefault(int v) : value(v) {}
  int value;
};

struct Everything {
  int id;
  std::string title;
  std::vector<std::string> tags = {};
  std::optional<int> maybe;
  std::optional<std::string> maybe_text;
  std::unique_ptr<Everything> child;
  std::vector<Everything> children;
  std::array<int, 3> three;
  std::map<std::string, int> map;
  std::variant<int, std::string> either;
  std::any any;
  std::function<void()> call;
  double d = 2;
  const bool fixed = true;
};

static_assert(Reflected<Everything>);
static_assert(!Reflected<std::string> && !Reflected<int> && !Reflected<std::array<int, 2>>);
static_assert(kMemberCount<Everything> == 14);
static_assert(member_name<Everything>(0) == "id");
static_assert(member_name<Everything>(13) == "fixed");
static_assert(kMemberOffsets<Everything>[0] == 0);
static_assert(kMemberOffsets<Everything>[1] == 8);

struct LastHasNoDefault {
  int a;
  NoDefault b;
};
static_assert(kMemberCount<LastHasNoDefault> == 2);
static_assert(member_name<LastHasNoDefault>(1) == "b");

struct One {
  int a;
};
static_assert(kMemberCount<One> == 1);
struct NestedAggregate {
  One one;
  std::array<One, 2> pair;
  int last;
};
static_assert(kMemberCount<NestedAggregate> == 3);
static_assert(member_name<NestedAggregate>(0) == "one");
static_assert(kMemberOffsets<NestedAggregate>[2] == 12);

template <class T>
struct Generic {
  std::vector<T> items;
  int total;
};
static_assert(member_name<Generic<One>>(1) == "total");

struct Base {
  int a;
  std::string b;
};
struct OnlyBase : Base {};
static_assert(kMemberCount<OnlyBase> == 2);
static_assert(member_name<OnlyBase>(1) == "b");

struct Mixin {
  int twice(int v) const { return 2 * v; }
};
struct OverEmptyBase : Mixin {
  int x;
  int y;
};
static_assert(kMemberCount<OverEmptyBase> == 2);
static_assert(member_name<OverEmptyBase>(0) == "x");

struct Both : Base {
  int c;
  static constexpr auto members = ashlar::members<&Both::a, &Both::b, &Both::c>;
};
static_assert(kMemberCount<Both> == 3);
static_assert(member_name<Both>(0) == "a" && member_name<Both>(2) == "c");
static_assert(kMemberOffsets<Both>[2] == 40);

struct Large {
  int a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3,
      d4, d5, d6, d7, e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, f4, f5, f6, f7, g0, g1, g2, g3, g4, g5, g6, g7,
      h0, h1, h2, h3, h4, h5, h6, h7, last;
};
static_assert(kMemberCount<Large> == 65);
static_assert(member_name<Large>(64) == "last");

TEST(Reflect, WalksMembersInOrderWithTheirNames) {
  Base value{3, "x"};
  std::string seen;
  for_each_member(value, [&]<class T>(std::string_view name, T& member) {
    seen += name;
    if constexpr (std::is_same_v<T, int>) member = 4;
  });
  EXPECT_EQ(seen, "ab");
  EXPECT_EQ(value.a, 4);
}

TEST(Reflect, OffsetsAreWhereTheMembersLie) {
  Everything value;
  std::size_t i = 0;
  for_each_member(value, [&](std::string_view name, auto& member) {
    EXPECT_EQ(
        reinterpret_cast<char*>(const_cast<void*>(static_cast<const void*>(&member))) - reinterpret_cast<char*>(&value),
        static_cast<std::ptrdiff_t>(kMemberOffsets<Everything>[i++]))
        << name;
  });
}

TEST(Reflect, SeesLocalStructs) {
  struct Local {
    int first_name;
    int last_name;
  };
  EXPECT_EQ(member_name<Local>(1), "last_name");
}

}  // namespace
}  // namespace ashlar::schema
