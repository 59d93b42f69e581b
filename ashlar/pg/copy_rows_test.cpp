// Rows of a COPY whose columns hold just what their members do are written in a way of their own: it must not show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/copy.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/copy_text.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CopyText, CopiesTextsOfAnyLengthAndSeesANulAnywhereInThem) {
  for (std::size_t size = 0; size <= 600; ++size) {
    // Of just that size, so that a sanitizer sees what is read or written beyond.
    const auto from = std::make_unique<char[]>(size);
    const auto to = std::make_unique<char[]>(size);
    for (std::size_t i = 0; i < size; ++i) from[i] = static_cast<char>(1 + (i * 7 + size) % 255);
    ASSERT_TRUE(detail::copy_text(to.get(), from.get(), size)) << size;
    ASSERT_EQ(std::string_view(to.get(), size), std::string_view(from.get(), size));
    for (std::size_t nul = 0; nul < size; ++nul) {
      const char kept = from[nul];
      from[nul] = '\0';
      ASSERT_FALSE(detail::copy_text(to.get(), from.get(), size)) << "byte " << nul << " of " << size;
      from[nul] = kept;
    }
  }
}

struct Fitting {
  std::int64_t n = 0;
  bool flag = false;
  std::int16_t small = 0;
  std::int32_t whole = 0;
  float single = 0;
  double real = 0;
  std::string text;
  Annotated<std::string, max_length{600}> name;
  Uuid id;
  DateTime at;
  LocalDateTime local;
  std::optional<std::int32_t> maybe;
  std::optional<std::string> words;
  std::optional<DateTime> then;
};
/// The same, with a column that takes every row the long way.
struct Any {
  std::int64_t n = 0;
  bool flag = false;
  std::int16_t small = 0;
  std::int32_t whole = 0;
  float single = 0;
  double real = 0;
  std::string text;
  Annotated<std::string, max_length{600}> name;
  Uuid id;
  DateTime at;
  LocalDateTime local;
  std::optional<std::int32_t> maybe;
  std::optional<std::string> words;
  std::optional<DateTime> then;
  Decimal price;
};
const CopyInto<Fitting> copy_fitting{"fitting"};
const CopyInto<Any> copy_any{"others"};
const Query<void()> create_fitting{
    "create table fitting (n int8, flag bool, small int2, whole int4, single float4, real float8, text text,"
    " name varchar(600), id uuid, at timestamptz, local timestamp, maybe int4, words text, \"then\" timestamptz)"};
const Query<void()> create_others{"create table others (like fitting, price numeric)"};
const Query<std::int64_t()> rows_that_differ{
    "select count(*) from (select * from fitting) f full join (select * from others) o using (n)"
    " where (f.flag, f.small, f.whole, f.single, f.real, f.text, f.name, f.id, f.at, f.local, f.maybe, f.words, "
    "f.\"then\")"
    " is distinct from"
    " (o.flag, o.small, o.whole, o.single, o.real, o.text, o.name, o.id, o.at, o.local, o.maybe, o.words, o.\"then\")"};

TEST(CopyIn, RowsThatFitTheirColumnsAreTheSameAsThoseWrittenOneValueAtATime) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_fitting);
    co_await db.exec(create_others);
    constexpr int kRows = 3000;  // several pieces
    const auto row = []<class Row>(Row& out, int n) {
      const auto size = static_cast<std::size_t>(n % 500);
      out.n = n;
      out.flag = n % 3 == 0;
      out.small = static_cast<std::int16_t>(n * 31);
      out.whole = n % 2 == 0 ? std::numeric_limits<std::int32_t>::min() + n : n;
      out.single = n == 7 ? std::numeric_limits<float>::infinity() : static_cast<float>(n) / 3;
      out.real = n == 8 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(n) / -7;
      out.text = std::string(size, static_cast<char>('a' + n % 26)) + "ü";
      out.name = std::string(size, 'n');
      for (std::size_t i = 0; i < out.id.bytes.size(); ++i) out.id.bytes[i] = static_cast<std::uint8_t>(i * 17 + size);
      out.at.micros = n == 9    ? std::numeric_limits<std::int64_t>::max()  // infinity
                      : n == 10 ? std::numeric_limits<std::int64_t>::min()
                                : n * 1'700'000'000'000LL;
      out.local.micros = -n * 1'000'000'000LL;
      if (n % 4 != 0) out.maybe = -n;
      if (n % 5 != 0) out.words = std::string(size / 9, 'w');
      if (n % 6 != 0) out.then = DateTime{.micros = n};
    };
    std::vector<Fitting> fitting(kRows);
    std::vector<Any> others(kRows);
    for (int n = 0; n < kRows; ++n) {
      row(fitting[static_cast<std::size_t>(n)], n);
      row(others[static_cast<std::size_t>(n)], n);
    }
    EXPECT_EQ(co_await db.copy_in(copy_fitting, fitting), static_cast<std::uint64_t>(kRows));
    EXPECT_EQ(co_await db.copy_in(copy_any, others), static_cast<std::uint64_t>(kRows));
    EXPECT_EQ(co_await db.one(rows_that_differ), 0);
    // And all columns are as they were made, not only alike.
    const DynamicQuery<std::string()> one{
        unsafe_sql("select concat_ws(' ', n, flag, small, whole, single, real, length(text), length(name), id, at at "
                   "time zone 'UTC',"
                   " local, maybe, words, \"then\" at time zone 'UTC') from fitting where n = 12")};
    EXPECT_EQ(co_await db.one(one),
              "12 t 372 -2147483636 4 -1.7142857142857142 13 12 0c1d2e3f-5061-7283-94a5-b6c7d8e9fa0b"
              " 1970-08-25 02:40:00 1969-12-31 20:40:00 w");
  });
}

struct Note {
  std::int32_t n;
  std::string text;
  DateTime at;
};
const CopyInto<Note> copy_notes{"notes"};
const Query<void()> create_notes{"create table notes (n int not null, text text not null, at timestamptz not null)"};
const Query<std::string()> notes_text{"select string_agg(n || text, ' ' order by n) from notes"};

TEST(CopyIn, AmongRowsThatFitOneThatDoesNotIsNamedAndLeftOut) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_notes);
    std::vector<std::string> refused;
    const auto rows = [&](CopyRows<Note>& out) -> Task<void> {
      const DateTime never{.micros = std::numeric_limits<std::int64_t>::min() + 1};
      const std::string nul("a text of twenty\0bytes", 22);
      const std::vector<Note> all = {{1, "a", {}}, {2, "b", {}}, {3, nul, {}}, {4, "d", never}, {5, "e", {}}};
      for (const Note& one : all) {
        try {
          co_await out.add(one);
        } catch (const BadArgument& bad) {
          refused.push_back(bad.message());
        }
      }
    };
    EXPECT_EQ(co_await db.copy_in(copy_notes, rows), 3U);
    EXPECT_EQ(co_await db.one(notes_text), "1a 2b 5e");
    EXPECT_THAT(refused,
                ElementsAre(HasSubstr("row 3, column `text`: the value holds a NUL character"),
                            HasSubstr("row 4, column `at`: a time so long ago that PostgreSQL cannot hold it")));
  });
}

}  // namespace
}  // namespace ashlar::pg
