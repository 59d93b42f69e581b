#include <ashlar/pg/copy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct Entry {
  std::int32_t n = 0;
  std::optional<std::string> text;
  std::vector<std::string> tags;
};
const Query<void()> create_entries{"create table entries (n int primary key, text text, tags text[] not null)"};
const Query<std::int64_t()> count_entries{"select count(*) from entries"};
const Query<std::int64_t()> sum_entries{
    "select sum(n) from entries where text = 'x' || n and tags = array['a', n::text]"};
const CopyInto<Entry> copy_entries{"entries"};

TEST(Copy, TakesStructs) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_entries);
    std::vector<Entry> entries;
    for (int i = 1; i <= 20'000; ++i) entries.push_back({i, "x" + std::to_string(i), {"a", std::to_string(i)}});
    EXPECT_EQ(co_await db.copy_in(copy_entries, std::move(entries)), 20'000U);
    EXPECT_EQ(co_await db.one(sum_entries), 200'010'000);
  });
}

TEST(Copy, IsAllOrNothing) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_entries);
    std::vector<Entry> twice = {{1, std::nullopt, {}}, {1, std::nullopt, {}}};
    co_await test::caught<UniqueViolation>(db.copy_in(copy_entries, twice));
    const auto broken = []() -> Generator<Entry> {
      co_yield Entry{2, std::nullopt, {}};
      throw Conflict("the source broke");
    };
    const auto error = co_await test::caught<Conflict>(db.copy_in(copy_entries, broken()));
    EXPECT_THAT(error->message(), HasSubstr("source broke"));
    EXPECT_EQ(co_await db.one(count_entries), 0);
  });
}

TEST(Copy, PassesCsvInAndOut) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_entries);
    const auto csv = []() -> Generator<std::string> {
      co_yield "1,one,\"{a,b}\"\n2,";
      co_yield "two,{}\n";
    };
    EXPECT_EQ(co_await db.copy_in("copy entries from stdin (format csv)", csv()), 2U);
    std::string out;
    auto chunks = db.copy_out("copy (select * from entries order by n) to stdout (format csv)");
    while (const auto chunk = co_await chunks.next()) out += *chunk;
    EXPECT_EQ(out, "1,one,\"{a,b}\"\n2,two,{}\n");
  });
}

struct Line {
  std::int64_t n;
  std::string_view text;
};
const Query<void()> create_lines{"create table lines (n bigint primary key, text text not null)"};
const Query<std::int64_t()> count_lines{"select count(*) from lines"};
const Query<std::int64_t()> bytes_of_lines{"select coalesce(sum(length(text)), 0)::bigint from lines"};
const CopyInto<Line> copy_lines{"lines"};

/// Adds lines 1 to `most`, each as long as `text`; `made` counts them.
auto lines(std::int64_t most, std::string_view text, std::int64_t& made) {
  return [most, text, &made](CopyRows<Line>& rows) -> Task<void> {
    for (std::int64_t n = 1; n <= most; ++n) {
      ++made;
      co_await rows.add({n, text});
    }
  };
}

TEST(CopyIn, TakesAFunctionThatAddsRows) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    std::int64_t made = 0;
    EXPECT_EQ(co_await db.copy_in(copy_lines, lines(30'000, "a name of some length", made)), 30'000U);
    EXPECT_EQ(co_await db.one(count_lines), 30'000);
    EXPECT_EQ(co_await db.one(bytes_of_lines), 30'000 * 21);
  });
}

TEST(CopyIn, ARowIsWrittenWhenItIsAdded) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    const auto reused = [](CopyRows<Line>& rows) -> Task<void> {
      std::string text = "first";
      co_await rows.add({1, text});
      text = "other";
      co_await rows.add({2, text});
    };
    EXPECT_EQ(co_await db.copy_in(copy_lines, reused), 2U);
    const DynamicQuery<std::string()> both{unsafe_sql("select string_agg(text, ' ' order by n) from lines")};
    EXPECT_EQ(co_await db.one(both), "first other");
  });
}

TEST(CopyIn, TakesViewsAndGenerators) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    const auto view = std::views::iota(1, 10'001) | std::views::transform([](int n) { return Line{n, "view"}; });
    EXPECT_EQ(co_await db.copy_in(copy_lines, view), 10'000U);
    const std::vector<Line> kept = {{10'001, "span"}, {10'002, "span"}};
    EXPECT_EQ(co_await db.copy_in(copy_lines, std::span(kept)), 2U);
    const auto more = []() -> Generator<Line> {
      for (int n = 10'003; n <= 20'000; ++n) co_yield Line{n, "generator"};
    };
    EXPECT_EQ(co_await db.copy_in(copy_lines, more()), 9'998U);
    EXPECT_EQ(co_await db.one(count_lines), 20'000);
  });
}

TEST(CopyIn, NothingIsARowCountOfZero) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    EXPECT_EQ(co_await db.copy_in(copy_lines, std::vector<Line>{}), 0U);
    EXPECT_EQ(co_await db.copy_in(copy_lines, [](CopyRows<Line>&) -> Task<void> { co_return; }), 0U);
    const auto none = []() -> Generator<std::string> { co_return; };
    EXPECT_EQ(co_await db.copy_in("copy lines from stdin", none()), 0U);
    EXPECT_EQ(db.stats().acquired, 3U);
  });
}

TEST(CopyIn, RowsAndChunksMayBeLongerThanAPiece) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    const std::string text(5'000'000, 'x');
    std::int64_t made = 0;
    EXPECT_EQ(co_await db.copy_in(copy_lines, lines(3, text, made)), 3U);
    EXPECT_EQ(co_await db.one(bytes_of_lines), 15'000'000);
    const auto chunks = [&]() -> Generator<std::string> {
      co_yield "4\t" + text + "\n5\t";
      co_yield text;
      co_yield "\n";
    };
    EXPECT_EQ(co_await db.copy_in("copy lines from stdin", chunks()), 2U);
    EXPECT_EQ(co_await db.one(bytes_of_lines), 25'000'000);
  });
}

enum class Mood : std::uint8_t { calm, busy };
struct Point {
  int x = 0;
  int y = 0;
};
struct Mixed {
  std::int16_t small;
  std::uint32_t number;
  std::int64_t narrowed;
  std::int32_t whole;
  float single;
  double real;
  double rounded;
  bool flag;
  std::optional<bool> unknown;
  Annotated<std::string, min_length{1}> name;
  std::string empty;
  std::string document;
  Mood mood;
  Uuid id;
  Decimal price;
  std::vector<std::optional<int>> numbers;
  DateTime at;
  Point point;
  std::int32_t positive;
};
const Query<void()> create_mixed{"create domain positive as int check (value > 0);"};
const Query<void()> create_mixed_table{
    "create table mixed (small int2, number int8, narrowed int4, whole numeric, single float4, real float8,"
    " rounded float4, flag bool, unknown bool, name varchar(20), empty text, document jsonb, mood text, id uuid,"
    " price numeric, numbers int[], at timestamptz, point jsonb, positive positive)"};
const CopyInto<Mixed> copy_mixed{"mixed"};
const Query<std::string()> mixed_text{
    "select concat_ws(' ', small, number, narrowed, whole, single, real, rounded, flag, coalesce(unknown::text, "
    "'null'),"
    " name, '[' || empty || ']', document, mood, id, price, numbers, extract(epoch from at)::int, point, positive)"
    " from mixed"};

TEST(CopyIn, EveryTypeArrivesAsItself) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_mixed);
    co_await db.exec(create_mixed_table);
    std::vector<Mixed> rows;
    rows.push_back({.small = -7,
                    .number = 4'000'000'000U,
                    .narrowed = -70'000,
                    .whole = 12,
                    .single = 1.5F,
                    .real = -0.1,
                    .rounded = 0.25,
                    .flag = true,
                    .unknown = std::nullopt,
                    .name = "räumlich",
                    .empty = "",
                    .document = R"({"a": 1})",
                    .mood = Mood::busy,
                    .id = *Uuid::parse("018f3c5e-7b1a-7000-8000-000000000001"),
                    .price = *Decimal::parse("12.50"),
                    .numbers = {1, std::nullopt, 3},
                    .at = DateTime{.micros = 1'700'000'000'000'000},
                    .point = {3, 4},
                    .positive = 9});
    EXPECT_EQ(co_await db.copy_in(copy_mixed, std::move(rows)), 1U);
    EXPECT_EQ(co_await db.one(mixed_text),
              R"(-7 4000000000 -70000 12 1.5 -0.1 0.25 t null räumlich [] {"a": 1} busy )"
              R"(018f3c5e-7b1a-7000-8000-000000000001 12.50 {1,NULL,3} 1700000000 {"x": 3, "y": 4} 9)");
  });
}

struct Narrow {
  std::int64_t n;
  std::string text;
};
const CopyInto<Narrow> copy_narrow{"narrow"};
const Query<void()> create_narrow{"create table narrow (n int not null, text text not null)"};
const Query<std::string()> narrow_text{"select string_agg(n || text, ' ' order by n) from narrow"};

TEST(CopyIn, AValueThatDoesNotFitNamesRowAndColumnAndIsLeftOut) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_narrow);
    std::vector<std::string> refused;
    const auto rows = [&](CopyRows<Narrow>& out) -> Task<void> {
      const std::vector<Narrow> all = {{1, "a"}, {5'000'000'000, "b"}, {3, std::string("c\0d", 3)}, {4, "e"}};
      for (const Narrow& one : all) {
        try {
          co_await out.add(one);
        } catch (const BadArgument& bad) {
          refused.push_back(bad.message());
        }
      }
    };
    EXPECT_EQ(co_await db.copy_in(copy_narrow, rows), 2U);
    EXPECT_EQ(co_await db.one(narrow_text), "1a 4e");
    EXPECT_THAT(refused, ::testing::ElementsAre("row 2, column `n`: the value is out of range for int4: 5000000000",
                                                HasSubstr("row 3, column `text`: the value holds a NUL character")));
    const std::vector<Narrow> bad = {{5'000'000'000, "b"}};
    co_await test::caught<BadArgument>(db.copy_in(copy_narrow, bad));
    EXPECT_EQ(co_await db.one(narrow_text), "1a 4e");
  });
}

TEST(CopyIn, ASourceThatThrowsHalfWayLeavesNothingBehindAndTheConnectionUsable) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_lines);
        const std::string text(500, 'x');
        const auto breaks = [&](CopyRows<Line>& rows) -> Task<void> {
          for (std::int64_t n = 1; n <= 10'000; ++n) co_await rows.add({n, text});
          throw Conflict("the source broke");
        };
        for (int i = 0; i < 3; ++i) {
          const auto error = co_await test::caught<Conflict>(db.copy_in(copy_lines, breaks));
          EXPECT_THAT(error->message(), HasSubstr("source broke"));
        }
        EXPECT_EQ(co_await db.one(count_lines), 0);
        std::int64_t made = 0;
        EXPECT_EQ(co_await db.copy_in(copy_lines, lines(10, text, made)), 10U);
        EXPECT_EQ(db.stats().connects, 2U) << "one for single queries, one for every COPY";
      },
      {.shared_connections = 1});
}

// The server has always taken what there was when this source has more.
TEST(CopyIn, OthersGetTheirTurnBesideASourceThatIsSlowerThanTheServer) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    bool done = false;
    int turns = 0;
    const auto others = [&]() -> Task<void> {
      while (!done) {
        co_await async::sleep(1ms);
        ++turns;
      }
    };
    const std::string text(1000, 'x');
    const auto busy = [&](CopyRows<Line>& rows) -> Task<void> {
      for (std::int64_t n = 0; n < 4000; ++n) {
        const auto until = async::Clock::now() + 25us;
        while (async::Clock::now() < until) {
        }
        co_await rows.add({n, text});
      }
    };
    const auto copying = [&]() -> Task<void> {
      EXPECT_EQ(co_await db.copy_in(copy_lines, busy), 4000U);
      done = true;
    };
    co_await async::all(copying(), others());
    EXPECT_GT(turns, 20);
  });
}

TEST(CopyIn, WhatTheServerRefusesNamesTheRowAndStopsTheSource) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_lines);
        const DynamicQuery<void()> reserve{unsafe_sql("insert into lines values (70000, 'taken')")};
        co_await db.exec(reserve);
        constexpr std::int64_t kAll = 2'000'000;
        const std::string text(100, 'x');
        std::int64_t made = 0;
        const auto error = co_await test::caught<UniqueViolation>(db.copy_in(copy_lines, lines(kAll, text, made)));
        EXPECT_THAT(error->context, HasSubstr("COPY lines, line 70000"));
        EXPECT_THAT(error->text(), HasSubstr("at COPY lines, line 70000"));
        EXPECT_THAT(error->text(), HasSubstr("copy_test.cpp"));
        EXPECT_GE(made, 70'000);
        EXPECT_LT(made, kAll);
        // A source that does not listen is told again, and changes nothing.
        made = 0;
        const auto deaf = [&](CopyRows<Line>& rows) -> Task<void> {
          int told = 0;
          for (std::int64_t n = 69'999; told < 2; ++n) {
            ++made;
            try {
              co_await rows.add({n, text});
            } catch (const UniqueViolation&) {
              ++told;
            }
          }
        };
        co_await test::caught<UniqueViolation>(db.copy_in(copy_lines, deaf));
        EXPECT_EQ(co_await db.one(count_lines), 1);
        EXPECT_EQ(db.stats().connects, 2U);
      },
      {.shared_connections = 1});
}

const Query<void(std::int64_t)> hold{"select pg_advisory_xact_lock($1)"};
const Query<std::int64_t()> held_up{"select count(*) from pg_locks where locktype = 'advisory' and not granted"};
const Query<void()> create_stop{
    "create function stop() returns trigger language plpgsql as "
    "'begin if new.n = 100 then perform pg_advisory_xact_lock(7); end if; return new; end'"};
const Query<void()> stop_lines{"create trigger stop before insert on lines for each row execute function stop()"};

/// A server that stops in the hundredth row of a COPY into lines, until `body` has ended.
template <class F>
void with_server_that_stops(F body) {
  test::with_db([&body](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    co_await db.exec(create_stop);
    co_await db.exec(stop_lines);
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.exec(hold, 7);
      co_await body(db);
    });
  });
}

TEST(CopyIn, ASlowServerSlowsTheSourceDown) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    co_await db.exec(create_stop);
    co_await db.exec(stop_lines);
    const std::string text(1000, 'x');
    constexpr std::int64_t kAll = 30'000;
    std::int64_t made = 0;
    const auto copy = [&]() -> Task<void> {
      EXPECT_EQ(co_await db.copy_in(copy_lines, lines(kAll, text, made)), static_cast<std::uint64_t>(kAll));
    };
    const auto watch = [&]() -> Task<void> {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        co_await tx.exec(hold, 7);
        while (co_await db.one(held_up) == 0) {
        }
        for (std::int64_t before = -1; before != made;) {
          before = made;
          for (int i = 0; i < 50; ++i) co_await db.one(held_up);
        }
        EXPECT_LT(made, 5000) << "what is not in the buffers of two sockets waits in the source";
      });
    };
    const auto later = [&]() -> Task<void> {
      const DynamicQuery<std::int64_t()> held{
          unsafe_sql("select count(*) from pg_locks where locktype = 'advisory' and granted")};
      while (co_await db.one(held) == 0) {
      }
      co_await copy();
    };
    co_await async::all(watch(), later());
    EXPECT_EQ(made, kAll);
    EXPECT_EQ(co_await db.one(count_lines), kAll);
  });
}

TEST(CopyIn, WhoIsCancelledDoesNotWaitForTheServer) {
  with_server_that_stops([](Db& db) -> Task<void> {
    const std::string text(1000, 'x');
    std::int64_t made = 0;
    co_await test::caught<DeadlineExceeded>(async::timeout(50ms, db.copy_in(copy_lines, lines(1'000'000, text, made))));
    EXPECT_LT(made, 1'000'000);
    while (co_await db.one(held_up) != 0) {  // the server has been asked to stop
    }
    EXPECT_EQ(co_await db.one(count_lines), 0);
    EXPECT_EQ(co_await db.copy_in(copy_lines, lines(50, text, made = 0)), 50U);
  });
}

TEST(CopyIn, WhoIsCancelledDoesNotWaitForALock) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      const DynamicQuery<void()> lock{unsafe_sql("lock table lines in share row exclusive mode")};
      co_await tx.exec(lock);
      std::int64_t made = 0;
      co_await test::caught<DeadlineExceeded>(async::timeout(50ms, db.copy_in(copy_lines, lines(10, "x", made))));
      EXPECT_EQ(made, 0) << "the server had not asked for rows";
    });
    std::int64_t made = 0;
    EXPECT_EQ(co_await db.copy_in(copy_lines, lines(10, "x", made)), 10U);
  });
}

TEST(CopyIn, ASourceThatIsCancelledWhileItWaitsForSomethingElseEndsTheCopy) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    const auto stuck = [](CopyRows<Line>& rows) -> Task<void> {
      for (std::int64_t n = 1; n <= 10'000; ++n) co_await rows.add({n, "a line of this COPY"});
      co_await async::sleep(1h);
    };
    co_await test::caught<DeadlineExceeded>(async::timeout(50ms, db.copy_in(copy_lines, stuck)));
    EXPECT_EQ(co_await db.one(count_lines), 0);
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

TEST(CopyIn, ASourceMayGoOnWhenAWaitOfItsOwnWasCancelled) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    co_await db.exec(create_stop);
    co_await db.exec(stop_lines);
    const std::string text(1000, 'x');
    const auto rows = [&](CopyRows<Line>& out) -> Task<void> {
      std::int64_t n = 0;
      const auto endless = [&]() -> Task<void> {
        for (;;) co_await out.add({++n, text});
      };
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        co_await tx.exec(hold, 7);
        co_await test::caught<DeadlineExceeded>(async::timeout(50ms, endless()));
      });
      const std::int64_t most = n + 1000;
      while (n < most) co_await out.add({++n, text});
      n = most;
    };
    EXPECT_GT(co_await db.copy_in(copy_lines, rows), 1000U);
  });
}

TEST(CopyIn, TwoCoroutinesThatWaitInOneCopyAreAnError) {
  with_server_that_stops([](Db& db) -> Task<void> {
    const std::string text(1000, 'x');
    const auto two = [&](CopyRows<Line>& rows) -> Task<void> {
      const auto add = [&](std::int64_t first) -> Task<void> {
        for (std::int64_t n = first; n < first + 100'000; ++n) co_await rows.add({n, text});
      };
      co_await async::all(add(1), add(200'000));
    };
    const auto run = [&]() -> Task<void> {
      const auto error = co_await test::caught<Internal>(async::timeout(10s, db.copy_in(copy_lines, two)));
      EXPECT_THAT(error->message(), HasSubstr("two coroutines"));
    };
    // The COPY ends as soon as the server listens.
    const auto release = [&]() -> Task<void> {
      while (co_await db.one(held_up) == 0) {
      }
      const DynamicQuery<std::int64_t()> stop{
          unsafe_sql("select count(pg_cancel_backend(pid)) from pg_locks where locktype = 'advisory' and not granted")};
      while (co_await db.one(held_up) != 0) co_await db.one(stop);
    };
    co_await async::all(run(), release());
    EXPECT_EQ(co_await db.one(count_lines), 0);
  });
}

TEST(CopyIn, InASavepointItMayFailAlone) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    co_await db.transaction([](Tx& tx) -> Task<void> {
      std::int64_t made = 0;
      co_await tx.copy_in(copy_lines, lines(5, "x", made));
      co_await test::caught<UniqueViolation>(
          tx.savepoint([&]() -> Task<void> { co_await tx.copy_in(copy_lines, lines(7, "y", made)); }));
      EXPECT_EQ(co_await tx.one(count_lines), 5);
    });
    EXPECT_EQ(co_await db.one(count_lines), 5);
  });
}

TEST(CopyIn, TheServerMayGoAwayHalfWay) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    const DynamicQuery<std::int64_t()> end{
        unsafe_sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'copy lines%'")};
    const std::string text(1000, 'x');
    const auto rows = [&](CopyRows<Line>& out) -> Task<void> {
      for (std::int64_t n = 1;; ++n) {
        co_await out.add({n, text});
        if (n == 2000) EXPECT_EQ(co_await db.one(end), 1);
      }
    };
    co_await test::caught<Unavailable>(async::timeout(30s, db.copy_in(copy_lines, rows)));
    EXPECT_EQ(co_await db.one(count_lines), 0);
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

TEST(CopyIn, IsOneCopyFromStdin) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_lines);
    const auto chunks = []() -> Generator<std::string> { co_yield "1\tone\n"; };
    const auto none = co_await test::caught<QueryMismatch>(db.copy_in("select 1", chunks()));
    EXPECT_THAT(none->message(), HasSubstr("did not ask for rows: select 1"));
    co_await test::caught<QueryMismatch>(db.copy_in("copy lines to stdout", chunks()));
    co_await test::caught<QueryCanceled>(db.copy_in("copy lines from stdin; copy lines from stdin", chunks()));
    EXPECT_EQ(co_await db.one(count_lines), 0);
  });
}

}  // namespace
}  // namespace ashlar::pg
