#include <ashlar/pg/listing.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

enum class Kind { stone, tool };

struct Product {
  std::int64_t id;
  std::string name;
  Decimal price;
  Kind kind;
  std::optional<std::string> note;
  DateTime created_at;
};

struct ProductList {
  FilterBy<std::string> name;
  FilterBy<Decimal> price;
  FilterBy<Kind> kind;
  FilterBy<std::optional<std::string>> note;
  FilterBy<DateTime> created_at;
  SortBy<"name", "price", "note"> sort = "name";
  Annotated<int, ge{1}, le{100}> limit = 20;
  Annotated<std::int64_t, ge{0}> offset = 0;
};
struct ProductFeed {
  FilterBy<Kind> kind;
  SortBy<"created_at", "price", "name"> sort = "-created_at";
  Annotated<int, ge{1}, le{100}> limit = 20;
  std::optional<std::string> cursor;
};

const Query<void()> create_products{R"(
  create table products (id bigint generated always as identity primary key, shop int not null, name text not null,
                         price numeric not null, kind text not null, note text, created_at timestamptz not null))"};
// Microseconds, and three rows of each price.
const Query<void()> fill_products{R"(
  insert into products (shop, name, price, kind, note, created_at)
  select i % 2, 'product ' || lpad(i::text, 2, '0'), i / 6, case when i % 4 = 0 then 'tool' else 'stone' end,
         case when i % 3 = 0 then '100%_sure \ ' || i end, timestamptz '2026-01-01 00:00:00.000001Z' + i * interval '1 us'
  from generate_series(0, 19) i)"};

const Listing<Product(int), ProductList, "id"> products{
    "select id, name, price, kind, note, created_at from products where shop = $1 -- of one shop",
    {.name = "products_list"}};
const Listing<Product(), ProductFeed, "id"> feed{"select id, name, price, kind, note, created_at from products",
                                                 {.name = "products_feed"}};

template <class F>
void with_products(F body) {
  test::with_db([&body](Db& db) -> Task<void> {
    co_await db.exec(create_products);
    co_await db.exec(fill_products);
    co_await body(db);
  });
}

// As a request would ask.
template <class T>
T asked(std::vector<schema::Pair> pairs) {
  T value{};
  schema::Errors errors;
  EXPECT_TRUE(schema::read_pairs(schema::list_type<T>(), pairs, &value, errors)) << errors.items().front().msg;
  return value;
}
std::vector<std::int64_t> ids(const std::vector<Product>& rows) {
  std::vector<std::int64_t> out;
  for (const Product& row : rows) out.push_back(row.id);
  return out;
}

TEST(Listing, GivesAPageAndTheNumberOfAll) {
  with_products([](Db& db) -> Task<void> {
    const auto slice = co_await products.page(db, asked<ProductList>({{"limit", "3"}, {"offset", "2"}}), 0);
    EXPECT_THAT(ids(slice.items), ElementsAre(5, 7, 9));
    EXPECT_EQ(slice.total, 10);
    EXPECT_EQ(slice.limit, 3);
    EXPECT_EQ(slice.offset, 2);
  });
}

TEST(Listing, BehindItsEndIsEmptyAndStillCounts) {
  with_products([](Db& db) -> Task<void> {
    const auto slice = co_await products.page(db, asked<ProductList>({{"offset", "50"}}), 0);
    EXPECT_THAT(slice.items, IsEmpty());
    EXPECT_EQ(slice.total, 10);
  });
}

TEST(Listing, FiltersByEveryComparison) {
  with_products([](Db& db) -> Task<void> {
    const auto found = [&](std::vector<schema::Pair> pairs) -> Task<std::vector<std::int64_t>> {
      co_return ids((co_await products.page(db, asked<ProductList>(std::move(pairs)), 0)).items);
    };
    EXPECT_THAT(co_await found({{"name", "product 04"}}), ElementsAre(5));
    EXPECT_THAT(co_await found({{"price__gt", "1"}, {"price__lt", "3"}}), ElementsAre(13, 15, 17));
    EXPECT_THAT(co_await found({{"price__gte", "2"}, {"price__lte", "2.0"}}), ElementsAre(13, 15, 17));
    EXPECT_THAT(co_await found({{"kind__ne", "tool"}}), ElementsAre(3, 7, 11, 15, 19));
    EXPECT_THAT(co_await found({{"kind__in", "tool"}, {"kind__in", "tool"}, {"price", "0"}}), ElementsAre(1, 5));
    EXPECT_THAT(co_await found({{"name__in", "product 00"}, {"name__in", "product 01"}}), ElementsAre(1));
    EXPECT_THAT(co_await found({{"name__contains", "T 1"}}), ElementsAre(11, 13, 15, 17, 19));
    EXPECT_THAT(co_await found({{"name__starts_with", "PRODUCT 0"}, {"price", "1"}}), ElementsAre(7, 9));
    EXPECT_THAT(co_await found({{"note__null", "false"}}), ElementsAre(1, 7, 13, 19));
    EXPECT_THAT(co_await found({{"note__null", "true"}, {"price", "0"}}), ElementsAre(3, 5));
    EXPECT_THAT(co_await found({{"created_at__lt", "2026-01-01T00:00:00.000004Z"}}), ElementsAre(1, 3));
  });
}

TEST(Listing, ARowWithoutAValueHasAnotherOne) {
  with_products([](Db& db) -> Task<void> {
    const auto slice = co_await products.page(db, asked<ProductList>({{"note__ne", "x"}}), 0);
    EXPECT_EQ(slice.total, 10);
  });
}

TEST(Listing, TakesTextAsItIs) {
  with_products([](Db& db) -> Task<void> {
    const auto count = [&](std::string_view name, std::string_view text) {
      return products.count(db, asked<ProductList>({{name, text}}), 0);
    };
    EXPECT_EQ(co_await count("note__contains", "100%_SURE \\"), 4);
    EXPECT_EQ(co_await count("note__contains", "0_s"), 0);
    EXPECT_EQ(co_await count("note__contains", "%s"), 0);
    EXPECT_EQ(co_await count("name", "'; drop table products --"), 0);
    EXPECT_EQ(co_await count("name__contains", "\" or true --"), 0);
  });
}

TEST(Listing, SortsAndPutsTheKeyLast) {
  with_products([](Db& db) -> Task<void> {
    const auto first = [&](std::string_view sort) -> Task<std::vector<std::int64_t>> {
      co_return ids((co_await products.page(db, asked<ProductList>({{"sort", sort}, {"limit", "4"}}), 0)).items);
    };
    EXPECT_THAT(co_await first("-name"), ElementsAre(19, 17, 15, 13));
    EXPECT_THAT(co_await first("price"), ElementsAre(1, 3, 5, 7));
    EXPECT_THAT(co_await first("-price"), ElementsAre(19, 17, 15, 13));
    EXPECT_THAT(co_await first("price,-name"), ElementsAre(5, 3, 1, 11));
    EXPECT_THAT(co_await first("-note"), ElementsAre(7, 19, 13, 1)) << "rows without a value come last, either way";
  });
}

Task<std::vector<std::int64_t>> all_pages(Db& db, std::vector<schema::Pair> pairs) {
  std::vector<std::int64_t> seen;
  std::optional<std::string> position;
  for (int i = 0; i < 30; ++i) {
    const auto slice = co_await feed.after(db, asked<ProductFeed>(pairs), position);
    for (const auto id : ids(slice.items)) seen.push_back(id);
    position = slice.next;
    if (!position) co_return seen;
  }
  ADD_FAILURE() << "the pages have no end";
  co_return seen;
}

TEST(Listing, ByKeysetGivesEveryRowOnce) {
  with_products([](Db& db) -> Task<void> {
    for (const char* sort : {"created_at", "-created_at", "price", "-price", "price,-name", "-price,created_at"}) {
      std::vector<schema::Pair> pairs{{"sort", sort}, {"limit", "3"}};
      const auto seen = co_await all_pages(db, pairs);
      const auto whole =
          ids((co_await feed.after(db, asked<ProductFeed>({{"sort", sort}, {"limit", "100"}}), {})).items);
      EXPECT_EQ(seen, whole) << sort;
      EXPECT_EQ(seen.size(), 20U) << sort;
    }
  });
}

TEST(Listing, ByKeysetGoesBackAsItCame) {
  with_products([](Db& db) -> Task<void> {
    const auto query = asked<ProductFeed>({{"sort", "price,-name"}, {"limit", "8"}});
    const auto first = co_await feed.after(db, query, {});
    EXPECT_FALSE(first.previous);
    const auto second = co_await feed.after(db, query, first.next);
    const auto third = co_await feed.after(db, query, second.next);
    EXPECT_EQ(third.items.size(), 4U);
    EXPECT_FALSE(third.next);
    const auto back = co_await feed.after(db, query, third.previous);
    EXPECT_EQ(ids(back.items), ids(second.items));
    EXPECT_EQ(ids((co_await feed.after(db, query, back.next)).items), ids(third.items));
    const auto start = co_await feed.after(db, query, back.previous);
    EXPECT_EQ(ids(start.items), ids(first.items));
    EXPECT_FALSE(start.previous);
  });
}

TEST(Listing, ByKeysetIsNotMovedByRowsThatCome) {
  with_products([](Db& db) -> Task<void> {
    const auto query = asked<ProductFeed>({{"limit", "5"}});
    const auto first = co_await feed.after(db, query, {});
    const Query<void()> add{
        "insert into products (shop, name, price, kind, created_at) values (0, 'new', 1, 'tool', timestamptz "
        "'2027-01-01')"};
    co_await db.exec(add);
    EXPECT_THAT(ids((co_await feed.after(db, query, first.next)).items), ElementsAre(15, 14, 13, 12, 11));
  });
}

TEST(Listing, RefusesAPositionOfAnotherOrder) {
  with_products([](Db& db) -> Task<void> {
    const auto slice = co_await feed.after(db, asked<ProductFeed>({{"sort", "price"}, {"limit", "2"}}), {});
    for (const std::string& bad : {*slice.next, std::string("{}"), std::string("x"),
                                   std::string(R"({"order":"-created_at,-id","backward":false,"values":["x",1]})"),
                                   std::string(R"({"order":"-created_at,-id","backward":false,"values":[1]})")}) {
      EXPECT_THROW((void)feed.after(db, asked<ProductFeed>({}), bad), BadPosition) << bad;
    }
    co_return;
  });
}

TEST(Listing, WorksInsideATransaction) {
  with_products([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      const auto slice = co_await products.page(tx, asked<ProductList>({}), 1);
      EXPECT_EQ(slice.total, 10);
    });
  });
}

TEST(Listing, KeepsSomeStatementsAndRunsTheOthersAllTheSame) {
  with_products([](Db& db) -> Task<void> {
    // 2^7 statements.
    for (unsigned which = 0; which < 128; ++which) {
      std::vector<schema::Pair> pairs{{"limit", "1"}};
      constexpr std::string_view names[] = {"name__contains",    "price__gte", "price__lte", "kind__ne",
                                            "name__starts_with", "price__gt",  "name__ne"};
      constexpr std::string_view values[] = {"product", "0", "100", "x", "p", "-1", "-"};
      for (unsigned i = 0; i < 7; ++i) {
        if ((which >> i & 1) != 0) pairs.push_back({names[i], i == 3 ? "tool" : values[i]});
      }
      const auto slice = co_await products.page(db, asked<ProductList>(pairs), 1);
      EXPECT_EQ(slice.total, 10) << which;
    }
  });
}

// ---- what start-up says

Task<std::string> problem_of(Db& db, std::string_view marker) {
  std::string found;
  for (const std::string& problem : co_await db.check()) {
    if (problem.find(marker) != std::string::npos) found += problem;
  }
  co_return found;
}

TEST(Listing, IsCheckedWithEveryFilterAtOnce) {
  with_products([](Db& db) -> Task<void> {
    EXPECT_EQ(co_await problem_of(db, "products_list"), "");
    EXPECT_EQ(co_await problem_of(db, "products_feed"), "");
  });
}

struct Wrong {
  FilterBy<std::string, FilterOp::eq> price;  // a numeric one in the database
};
struct Priced {
  std::int64_t id;
  std::string price;
};
const Listing<Priced(), Wrong, "id"> wrong_filter{"select id, price::text as price from products",
                                                  {.name = "text_of_price"}};
struct WrongPrice {
  FilterBy<Uuid, FilterOp::eq> price;
};
struct Numbered {
  std::int64_t id;
  Decimal price;
};
const Listing<Numbered(), WrongPrice, "id"> wrong_type{"select id, price from products", {.name = "uuid_of_price"}};

TEST(Listing, AFilterOfAnotherTypeIsToldAtTheStart) {
  with_products([](Db& db) -> Task<void> {
    EXPECT_EQ(co_await problem_of(db, "text_of_price"), "");
    EXPECT_THAT(co_await problem_of(db, "uuid_of_price"),
                HasSubstr("parameter $1 is numeric in PostgreSQL, but its argument is ashlar::Uuid"));
  });
}

}  // namespace
}  // namespace ashlar::pg
