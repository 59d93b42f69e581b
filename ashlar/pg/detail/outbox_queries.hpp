// The statements of Outbox.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/pg/outbox.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar::pg::detail {

/// The first waiting message of a key, whose row this transaction holds.
struct ClaimedMessage {
  std::string key;
  std::int64_t id;
};
struct FailedMessage {
  std::int32_t attempts;
  bool set_aside;
};

// Made when the table is there, so that no program is refused for want of it.
struct OutboxQueries {
  // The locks come before the ids: of one key, ids are in the order of the commits. They are taken in the order of the
  // keys, so that two of these statements do not wait for each other.
  Query<void(std::vector<std::string>, std::vector<std::string>, std::vector<Json>, std::optional<std::string>, int)>
      put{"with given as (select * from unnest($1::text[], $2::text[], $3::json[]) with ordinality "
          "as given (topic, key, payload, place)), "
          "locked as materialized (select pg_advisory_xact_lock($5::int, hashtext(one.key)) from "
          "(select distinct key from given order by key) one) "
          "insert into ashlar_outbox (topic, key, payload, trace) select topic, key, payload, $4 from given "
          "where (select count(*) from locked) > 0 order by place",
          {.name = "outbox_put"}};
  // The first of each key alone: who holds it, has the key.
  Query<ClaimedMessage(bool, std::vector<std::string>, std::int64_t)> claim{
      "select key, id from ashlar_outbox m where delivered_at is null and set_aside_at is null and due_at <= now() "
      "and ($1 or topic = any($2)) and not exists (select from ashlar_outbox before where before.key = m.key "
      "and before.id < m.id and before.delivered_at is null and before.set_aside_at is null) "
      "order by due_at, id limit $3 for update skip locked",
      {.name = "outbox_claim"}};
  Query<OutboxMessage(std::vector<std::string>, std::int64_t)> read{
      "select m.id, m.topic, m.key, m.payload, m.attempts, m.created_at, m.trace from unnest($1::text[]) as mine (key) "
      "cross join lateral (select * from ashlar_outbox o where o.key = mine.key and o.delivered_at is null "
      "and o.set_aside_at is null order by o.id limit $2) m order by m.id limit $2",
      {.name = "outbox_read"}};
  Query<void(std::vector<std::int64_t>)> delivered{
      "update ashlar_outbox set delivered_at = clock_timestamp() where id = any($1)", {.name = "outbox_delivered"}};
  Query<FailedMessage(std::int64_t, std::string, double, int)> failed{
      "update ashlar_outbox set attempts = attempts + 1, last_error = left($2, 2000), "
      "due_at = clock_timestamp() + make_interval(secs => $3), "
      "set_aside_at = case when attempts + 1 >= $4 then clock_timestamp() end "
      "where id = $1 and delivered_at is null and set_aside_at is null "
      "returning attempts, set_aside_at is not null as set_aside",
      {.name = "outbox_failed"}};
  // Those behind a message that waits are not looked at either.
  Query<void(std::string, std::int64_t)> hold_back{
      "update ashlar_outbox set due_at = (select due_at from ashlar_outbox where id = $2) where id = any(array("
      "select id from ashlar_outbox where key = $1 and id > $2 and delivered_at is null and set_aside_at is null "
      "order by id limit 1000))",
      {.name = "outbox_hold_back"}};
  // And those that came behind it since, or were too many: looked at for nothing each time, else.
  Query<void(std::int64_t)> hold_back_late{
      "update ashlar_outbox set due_at = late.until from (select m.id, first.due_at as until from ashlar_outbox m "
      "join lateral (select f.due_at from ashlar_outbox f where f.key = m.key and f.id < m.id "
      "and f.delivered_at is null and f.set_aside_at is null order by f.id limit 1) first on first.due_at > now() "
      "where m.delivered_at is null and m.set_aside_at is null and m.due_at <= now() order by m.due_at, m.id limit $1 "
      "for update of m skip locked) late where ashlar_outbox.id = late.id",
      {.name = "outbox_hold_back_late"}};
  Query<OutboxState()> state{
      "select count(*) as waiting, "
      "coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 as lag, "
      "(select count(*) from ashlar_outbox where set_aside_at is not null) as set_aside "
      "from ashlar_outbox where delivered_at is null and set_aside_at is null",
      {.name = "outbox_state"}};
  Query<SetAside(std::int64_t)> set_aside{
      "select id, topic, key, attempts, last_error, set_aside_at as \"set_aside_at!\" from ashlar_outbox "
      "where set_aside_at is not null order by set_aside_at desc, id desc limit $1",
      {.name = "outbox_set_aside"}};
  Query<std::string(std::int64_t)> key_of_set_aside{
      "select key from ashlar_outbox where id = $1 and set_aside_at is not null", {.name = "outbox_key_of_set_aside"}};
  Query<void(int, std::string)> lock_key{"select pg_advisory_xact_lock($1::int, hashtext($2))",
                                         {.name = "outbox_lock_key"}};
  // It becomes the first of its key: nobody may be at work on that, so the first of now must be free to be held.
  Query<void(std::int64_t, std::string)> retry{
      "with first as materialized (select id from ashlar_outbox where key = $2 and delivered_at is null "
      "and set_aside_at is null order by id limit 1), "
      "held as materialized (select m.id from ashlar_outbox m where m.key = $2 and m.id = (select id from first) "
      "and m.delivered_at is null and m.set_aside_at is null for update skip locked) "
      "update ashlar_outbox set set_aside_at = null, attempts = 0, due_at = now() "
      "where id = $1 and set_aside_at is not null and (select count(*) from first) = (select count(*) from held)",
      {.name = "outbox_retry"}};
  Query<void(double)> sweep{
      "delete from ashlar_outbox where id = any(array(select id from ashlar_outbox "
      "where delivered_at < now() - make_interval(secs => $1) order by delivered_at limit 1000 "
      "for update skip locked))",
      {.name = "outbox_sweep"}};
};

// Of a table with ashlar_outbox_topic: what waits for other programs is not looked at. While nearly nothing waits, the
// planner takes each partial index for empty, and would as soon go through all of one as look into another; so each of
// these conditions is served by one index alone, whose predicate it repeats word for word.
struct OutboxTopicQueries {
  // Of all programs.
  Query<std::string()> waiting{
      "with recursive waiting (topic) as ((select topic from ashlar_outbox "
      "where coalesce(delivered_at, set_aside_at) is null order by topic limit 1) "
      "union all select (select m.topic from ashlar_outbox m where coalesce(m.delivered_at, m.set_aside_at) is null "
      "and m.topic > w.topic order by m.topic limit 1) from waiting w where w.topic is not null) "
      "select topic as \"topic!\" from waiting where topic is not null",
      {.name = "outbox_topics"}};
  // The first topics of the list that have something due fill the batch; only what is taken is locked.
  Query<ClaimedMessage(std::vector<std::string>, std::int64_t)> claim{
      "select mine.key, mine.id from unnest($1::text[]) as known (topic) cross join lateral ("
      "select m.key, m.id from ashlar_outbox m where m.topic = known.topic "
      "and coalesce(m.delivered_at, m.set_aside_at) is null and m.due_at <= now() "
      "and m.id = (select f.id from ashlar_outbox f where f.key = m.key and f.delivered_at is null "
      "and f.set_aside_at is null order by f.id limit 1) "
      "order by m.due_at, m.id limit $2 for update of m skip locked) mine limit $2",
      {.name = "outbox_claim_by_topic"}};
  Query<void(std::vector<std::string>, std::int64_t)> hold_back_late{
      "update ashlar_outbox set due_at = late.until from (select mine.id, mine.until from "
      "unnest($1::text[]) as known (topic) cross join lateral (select m.id, first.due_at as until "
      "from ashlar_outbox m join lateral (select f.due_at from ashlar_outbox f where f.key = m.key and f.id < m.id "
      "and f.delivered_at is null and f.set_aside_at is null order by f.id limit 1) first on first.due_at > now() "
      "where m.topic = known.topic and coalesce(m.delivered_at, m.set_aside_at) is null and m.due_at <= now() "
      "order by m.due_at, m.id limit $2 for update of m skip locked) mine limit $2) late "
      "where ashlar_outbox.id = late.id",
      {.name = "outbox_hold_back_late_by_topic"}};
};

}  // namespace ashlar::pg::detail
