// Outbox: what other parts are told of a change, written in the transaction of the change and handed out after it.
//
//   pg::Db db;  pg::Outbox outbox{db};
//   outbox.on<OrderPlaced>("order.placed", [](pg::Tx& tx, OrderPlaced event) -> Task<void> { … });
//   app.provide(db).provide(outbox);
//
//   co_await db.transaction([&](pg::Tx& tx) -> Task<void> {
//     …
//     co_await outbox.put(tx, pg::outbox_message("order.placed", "order/17", OrderPlaced{…}));
//   });
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/component.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar::pg {

/// Messages of one key are handed out in order; a key is what the message is about, "order/17".
struct NewOutboxMessage {
  std::string topic;
  std::string key;
  Json payload;
};
template <class E>
[[nodiscard]] NewOutboxMessage outbox_message(std::string topic, std::string key, const E& event) {
  return {std::move(topic), std::move(key), Json::trusted(schema::to_json(event))};
}

struct OutboxMessage {
  std::int64_t id;
  std::string topic;
  std::string key;
  Json payload;
  std::int32_t attempts;  ///< that have failed so far
  DateTime created_at;
  std::optional<std::string> trace;  ///< traceparent of the transaction that put it
};

/// A message that was given up.
struct SetAside {
  std::int64_t id;
  std::string topic, key;
  std::int32_t attempts;
  std::optional<std::string> last_error;
  DateTime set_aside_at;
};

struct OutboxState {
  std::int64_t waiting;
  double lag;  ///< age of the oldest that waits, in seconds
  std::int64_t set_aside;
};

struct OutboxOptions {
  /// Hand out messages in this process: workers on one of its loops, each with a connection of its own.
  bool relay = true;
  unsigned workers = 1;
  /// Messages a transaction, and the time after which it takes no more of them.
  std::size_t batch = 32;
  std::chrono::milliseconds batch_time = std::chrono::seconds{1};
  /// For one handler: what it waits for then throws DeadlineExceeded.
  std::chrono::milliseconds handler_timeout = std::chrono::seconds{30};
  /// A message whose handler fails is tried again after a pause that doubles, and is set aside after so many attempts.
  std::chrono::milliseconds first_pause = std::chrono::seconds{1};
  std::chrono::milliseconds longest_pause = std::chrono::minutes{10};
  unsigned max_attempts = 12;
  /// How often a worker looks by itself; a notification wakes it at once.
  std::chrono::milliseconds poll_every = std::chrono::seconds{1};
  /// Delivered messages are kept so long, then removed.
  std::chrono::milliseconds keep = std::chrono::hours{24};
  /// How often delivered messages are removed and the metrics are read.
  std::chrono::milliseconds tidy_every = std::chrono::seconds{15};
};

/// Rows of the table ashlar_outbox, made at the start when it is not there; who may not make tables puts kCreateTable
/// and kCreateIndexes into a migration.
///
/// Guaranteed: a message is there if and only if its transaction committed. It is handed out at least once. Messages of
/// one key are handed out one after the other, in the order in which their transactions committed, whatever the number
/// of relays, of processes and of machines: put() holds a lock on the key to the end of its transaction, and a relay
/// holds the first waiting message of a key while it works on that key. A handler works in the relay's transaction:
/// what it writes through `tx` is there exactly once; what it does elsewhere (a mail) may be done again after a crash,
/// so it takes OutboxMessage::id for an idempotency key.
///
/// A handler that throws is undone and the message waits for its next attempt, and so do those of its key behind it.
/// After max_attempts it is set aside, and its key goes on. A topic without a handler waits, for another process may
/// have one. Metrics: pg.outbox.waiting, .lag, .set_aside; .delivered, .failed by topic.
class Outbox final : public async::Component {
 public:
  static constexpr std::string_view kCreateTable =
      "create table if not exists ashlar_outbox ("
      "id bigint generated always as identity primary key, topic text not null, key text not null, "
      "payload json not null, trace text, created_at timestamptz not null default now(), "
      "due_at timestamptz not null default now(), attempts integer not null default 0, last_error text, "
      "delivered_at timestamptz, set_aside_at timestamptz)";
  static constexpr std::string_view kCreateIndexes[] = {
      "create index if not exists ashlar_outbox_topic on ashlar_outbox (topic, due_at, id) "
      "where coalesce(delivered_at, set_aside_at) is null",
      "create index if not exists ashlar_outbox_key on ashlar_outbox (key, id) "
      "where delivered_at is null and set_aside_at is null",
      "create index if not exists ashlar_outbox_delivered on ashlar_outbox (delivered_at) "
      "where delivered_at is not null",
      "create index if not exists ashlar_outbox_set_aside on ashlar_outbox (set_aside_at) "
      "where set_aside_at is not null"};

  using Handler = std::function<Task<void>(Tx& tx, OutboxMessage message)>;

  /// `db` is started before it. Throws Invalid for options that make no sense.
  explicit Outbox(Db& db, OutboxOptions options = {});
  ~Outbox() override;

  /// Before the start. One handler a topic: a second one is Invalid.
  void on(std::string topic, Handler handler);
  /// `on<OrderPlaced>("order.placed", [](pg::Tx&, OrderPlaced) -> Task<void> {…})`. A payload that does not fit is a
  /// failed attempt.
  template <class E, class F>
  void on(std::string topic, F handler) {
    on(std::move(topic), Handler([handler = std::move(handler)](Tx& tx, OutboxMessage message) mutable -> Task<void> {
         return handler(tx, schema::parse_json<E>(message.payload.text()));
       }));
  }
  /// For topics without a handler of their own: a broker that takes everything.
  void on_other(Handler handler);

  /// Part of the transaction: told when it commits, in this order, gone when it does not. Waits for other transactions
  /// that have put something with one of these keys. Throws what a query does.
  [[nodiscard]] Task<void> put(Tx& tx, std::vector<NewOutboxMessage> messages);
  [[nodiscard]] Task<void> put(Tx& tx, NewOutboxMessage message);

  /// Hands out what is due until nothing is, on this loop, and gives the number of messages that were delivered. What a
  /// relay does; for tests, and programs that decide themselves when.
  [[nodiscard]] Task<std::size_t> deliver();

  [[nodiscard]] Task<OutboxState> state();
  [[nodiscard]] Task<std::vector<SetAside>> set_aside(std::int64_t limit = 100);
  /// Lets a message that was set aside wait again, with all its attempts, behind nothing of its key; while a relay is
  /// at work on the key, waits for it. False: there is none of this id.
  [[nodiscard]] Task<bool> retry(std::int64_t id);
  /// Removes messages that were delivered longer ago than `keep`, at most a thousand; gives their number.
  [[nodiscard]] Task<std::uint64_t> sweep();

  // async::Component
  [[nodiscard]] std::string_view name() const noexcept override { return "outbox"; }
  Task<void> start_loop(async::Loop& loop) override;
  Task<void> stop_loop(async::Loop& loop) override;
  /// `outbox` says what waits and lists what was set aside, `outbox retry ID` lets one wait again.
  std::vector<async::Command> commands() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ashlar::pg
