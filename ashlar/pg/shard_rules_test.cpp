#include <ashlar/pg/detail/shard_rules.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ashlar::pg::detail {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ShardedTables kTables = {{"orders", "tenant"}, {"lines", "tenant"}};

std::vector<std::string> missing(std::string_view sql, std::optional<std::size_t> key = 1) {
  return tables_without_key(sql, kTables, key);
}

TEST(ShardRules, AComparisonWithTheKeyHoldsATable) {
  for (const char* const sql : {
           "select id from orders where tenant = $1 and id = $2",
           "select id from orders where $1 = tenant",
           "select o.id from orders o where o.id > 5 and (o.tenant = $1)",
           "select o.id from public.orders as o where o.tenant = $1::int8 order by id limit 5",
           "update orders set total = 5 where tenant = $1",
           "delete from orders where tenant = $1 returning id",
           "select exists (select from orders where tenant = $1)",
           "select id from countries",
           "select orders from things where a = 1 or b = 2",
           "SELECT id FROM \"orders\" WHERE \"tenant\" = $1",
       })
    EXPECT_THAT(missing(sql), IsEmpty()) << sql;
}

TEST(ShardRules, ATableWithoutItsKeyIsNamed) {
  for (const char* const sql : {
           "select id from orders",
           "select id from orders where id = $1",
           "select id from orders where tenant = $2",
           "select id from orders where tenant > $1",
           "select id from orders where tenant = $1 + 1",
           "select id from orders where tenant = $1 or total = 0",
           "select id from orders where (tenant = $1 and id = 5) or total = 0",
           "select id from orders where not (tenant = $1)",
           "select id from orders where total = $1 -- tenant = $1",
           "select id from orders where note = 'tenant = $1'",
           "update orders set tenant = tenant where id = $1",
           "delete from orders",
           "with recent as (select id from orders) select id from recent",
       })
    EXPECT_THAT(missing(sql), ElementsAre("orders")) << sql;
  EXPECT_THAT(missing("select id from orders where tenant = $1", std::nullopt), ElementsAre("orders"));
}

TEST(ShardRules, AComparisonThatLeavesNoRowsOutDoesNotCount) {
  for (const char* const sql : {
           "select tenant = $1 from orders",
           "select id from orders order by tenant = $1",
           "select case when tenant = $1 then 1 else 0 end from orders",
           "select count(*) filter (where tenant = $1) from orders",
           "select id from orders where case when id > 1 and tenant = $1 then true else true end",
           "select id from orders where (tenant = $1) is not true",
           "select id from orders where tenant = $1 is not true",
           "select id from orders where coalesce(tenant = $1, true)",
           "select id from orders where id + tenant = $1",
           "select id from orders group by id having bool_or(tenant = $1)",
           "update orders set paid = (tenant = $1)",
           "select t.id from things t where exists (select from orders o where t.tenant = $1)",
           "select o.id from orders o where exists (select from things where tenant = $1)",
           "select o.id from orders o where not exists (select from things t where o.tenant = $1)",
           "select o.id from orders o left join things t on o.tenant = $1",
           "select o.id from things t right join orders o on true full join x on o.tenant = $1",
       })
    EXPECT_THAT(missing(sql), ElementsAre("orders")) << sql;
  for (const char* const sql : {
           "select id from orders where id between 1 and 5 and tenant = $1",
           "select id from orders where ((tenant = $1) and id > 5) and total in (select 1 where true or false)",
           "select id from things t left join orders o on o.tenant = $1 and o.thing = t.id",
           "select id from things t join orders o on o.tenant = $1 where t.id = 1 or t.id = 2",
           "select id from orders where tenant = $1::varchar(5) group by id having count(*) > 1 or false",
           "select id from things where total = 1 or id in (select thing from orders where tenant = $1)",
       })
    EXPECT_THAT(missing(sql), IsEmpty()) << sql;
}

TEST(ShardRules, EachQueryOfAStatementHoldsItsOwnTables) {
  for (const char* const sql : {
           "select id from orders where tenant = $1 union all select id from lines",
           "select id from orders where tenant = $1 and id in (select order_id from lines)",
           "with some as (select id from lines) select id from orders where tenant = $1",
           "select o.id from orders o left join lines l on l.tenant = $1 and l.tenant = o.tenant where o.tenant = $1 "
           "union select id from lines",
       })
    EXPECT_THAT(missing(sql), ElementsAre("lines")) << sql;
  EXPECT_THAT(missing("select id from orders where tenant = $1 union all select id from lines where tenant = $1"),
              IsEmpty());
}

TEST(ShardRules, AKeyIsNotWrittenAnew) {
  for (const char* const sql : {
           "update orders set tenant = $2 where tenant = $1",
           "update orders set total = 5, tenant = tenant + 1 where tenant = $1",
           "update orders set (total, tenant) = (5, $2) where tenant = $1",
           "insert into orders (tenant, id) values ($1, $2) on conflict (id) do update set tenant = $2",
       })
    EXPECT_THAT(missing(sql), ElementsAre("orders")) << sql;
  for (const char* const sql : {
           "update orders set tenant = $1, total = 5 where tenant = $1",
           "update orders set total = (select max(tenant) from things) where tenant = $1",
           "insert into orders (tenant, id) values ($1, $2) on conflict (id) do update set tenant = excluded.tenant",
       })
    EXPECT_THAT(missing(sql), IsEmpty()) << sql;
}

TEST(ShardRules, AnOuterJoinHoldsOnlyTheSideThatMayBeMissing) {
  const char* const left = "select o.id from orders o left join lines l on l.tenant = o.tenant ";
  EXPECT_THAT(missing(std::string(left) + "where o.tenant = $1"), IsEmpty());
  EXPECT_THAT(missing(std::string(left) + "where l.tenant = $1"), IsEmpty());
  EXPECT_THAT(missing(std::string(left) + "and l.tenant = $1"), ElementsAre("orders"));
  EXPECT_THAT(missing("select 1 from orders o right join lines l on l.tenant = o.tenant and o.tenant = $1"),
              ElementsAre("lines"));
  EXPECT_THAT(missing("select 1 from orders o full join lines l on l.tenant = o.tenant where o.tenant = $1"),
              ElementsAre("lines"));
  EXPECT_THAT(missing("select 1 from orders o left join lines l using (tenant) where tenant = $1"), IsEmpty());
}

TEST(ShardRules, TablesThatAreJoinedByTheKeyAreHeldTogether) {
  for (const char* const sql : {
           "select o.id from orders o join lines l on l.tenant = o.tenant and l.order_id = o.id where o.tenant = $1",
           "select o.id from orders o join lines l using (tenant, order_id) where o.tenant = $1",
           "select o.id from orders o, lines l where o.tenant = $1 and l.tenant = $1",
           "select o.id, (select count(*) from lines l where l.tenant = o.tenant) from orders o where o.tenant = $1",
       })
    EXPECT_THAT(missing(sql), IsEmpty()) << sql;
  EXPECT_THAT(missing("select o.id from orders o join lines l on l.order_id = o.id where o.tenant = $1"),
              ElementsAre("lines"));
  EXPECT_THAT(missing("select 1 from orders o join lines l on l.tenant = o.tenant"), ElementsAre("orders", "lines"));
}

TEST(ShardRules, AnInsertGivesTheKeyInItsPlace) {
  for (const char* const sql : {
           "insert into orders (id, tenant, total) values ($2, $1, 5)",
           "insert into orders (tenant, id) values ($1, $2), ($1::int8, $3) on conflict do nothing",
           "insert into orders (tenant, id) select $1, n from generate_series(1, 5) n",
           "insert into lines (tenant, id) select $1, id from orders where tenant = $1 returning id",
       })
    EXPECT_THAT(missing(sql), IsEmpty()) << sql;
  for (const char* const sql : {
           "insert into orders (tenant, id) values ($2, $1)",
           "insert into orders values ($1, $2)",
           "insert into orders (id) values ($1)",
           "insert into orders (tenant, id) values ($1, $2), ($3, $4)",
           "insert into orders (tenant, id) values ($1 + 1, $2)",
           "insert into orders (tenant, id) select n, $1 from generate_series(1, 5) n",
       })
    EXPECT_THAT(missing(sql), ElementsAre("orders")) << sql;
}

TEST(ShardRules, WritesToATableAreFound) {
  const std::vector<std::string> tables = {"countries"};
  for (const char* const sql : {"insert into countries (id) values (1)", "update public.countries set name = ''",
                                "update only countries set name = ''", "delete from countries where id = $1",
                                "with gone as (delete from countries returning id) select id from gone"})
    EXPECT_EQ(written_table(sql, tables), "countries") << sql;
  for (const char* const sql : {"select id from countries", "select id from countries for update",
                                "insert into orders (id) select id from countries", "select 'update countries'"})
    EXPECT_EQ(written_table(sql, tables), "") << sql;
}

}  // namespace
}  // namespace ashlar::pg::detail
