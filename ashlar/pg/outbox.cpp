#include <ashlar/pg/outbox.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <random>
#include <set>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/context.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/detail/outbox_queries.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>
#include <ashlar/telemetry/trace.hpp>

namespace ashlar::pg {
namespace {

using detail::OutboxQueries;
using detail::OutboxTopicQueries;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::int64_t kTableLock = 0x6f75'7462'6f78;  // of those who make the table
constexpr int kKeyLocks = 0x6f75'7462;                 // the class of the advisory locks on keys
constexpr const char* kChannel = "ashlar_outbox";
constexpr std::int64_t kHeldAtOnce = 5'000;
constexpr auto kRetryPause = 20ms;  // while a relay works on the key

const Query<bool()> table_exists{"select coalesce(to_regclass('ashlar_outbox') is not null, false)",
                                 {.name = "outbox_table"}};
const Query<bool()> has_topic_index{
    "select exists (select from pg_index where indexrelid = to_regclass('ashlar_outbox_topic') and indisvalid)",
    {.name = "outbox_topic_index"}};

double seconds_of(auto duration) { return std::chrono::duration<double>(duration).count(); }

/// What a handler throws may hold bytes of anywhere, and a column of text takes only some.
std::string storable(std::string text) {
  if (is_utf8(text) && !text.contains('\0')) return text;
  for (char& c : text) {
    if (c <= 0) c = '?';
  }
  return text;
}

bool is_cancelled() {
  const async::Context* const context = async::context();
  return context != nullptr && context->scope != nullptr && context->scope->cancelled();
}

Task<void> wait_for(async::Event& event) { co_await event.wait(); }
Task<void> pause_for(milliseconds time) { co_await async::sleep(time); }

}  // namespace

struct Outbox::Impl : std::enable_shared_from_this<Outbox::Impl> {
  Impl(Db& database, OutboxOptions the_options) : db(database), options(the_options) {}

  struct Topic {
    Handler handler;
    metrics::Counter delivered, failed;
  };

  Db& db;
  const OutboxOptions options;
  std::map<std::string, Topic, std::less<>> topics;
  std::optional<Topic> other;
  std::mutex mutex;
  std::optional<OutboxQueries> queries;
  std::optional<OutboxTopicQueries> by_topic;  // when there is the index
  std::atomic<std::size_t> turn = 0;           // of the topics: each is the first of its batch in its turn
  const async::Loop* home = nullptr;           // the loop with the workers
  detail::Background background;
  async::Event wake;
  std::atomic<bool> notifying = false;
  metrics::Gauge waiting, lag, set_aside;

  const OutboxQueries& ready() {
    const std::lock_guard lock(mutex);
    if (!queries) throw Unavailable("the outbox has not been started: app.provide(outbox)");
    return *queries;
  }

  void prepare(bool is_indexed) {
    if (queries) return;
    queries.emplace();
    if (is_indexed) by_topic.emplace();
  }

  static Topic topic_of(std::string_view name, Handler handler) {
    metrics::Registry& registry = metrics::default_registry();
    return {std::move(handler),
            registry.counter({.name = "pg.outbox.delivered", .help = "Messages of the outbox that were handed out."},
                             {{"topic", name}}),
            registry.counter({.name = "pg.outbox.failed", .help = "Attempts to hand out a message that failed."},
                             {{"topic", name}})};
  }
  Topic* find(std::string_view topic) {
    const auto at = topics.find(topic);
    if (at != topics.end()) return &at->second;
    return other ? &*other : nullptr;
  }

  Task<void> make_table() {
    if (co_await db.one(table_exists)) co_return;
    std::vector<std::unique_ptr<DynamicQuery<void()>>> statements;
    statements.push_back(std::make_unique<DynamicQuery<void()>>(unsafe_sql(std::string(kCreateTable))));
    for (const std::string_view index : kCreateIndexes)
      statements.push_back(std::make_unique<DynamicQuery<void()>>(unsafe_sql(std::string(index))));
    // Of processes that start together, "if not exists" lets one fail.
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.lock(kTableLock);
      for (const auto& statement : statements) co_await tx.exec(*statement);
    });
  }

  // Not in the transaction: commits that notify wait for each other on the whole server. Lost, it costs a poll.
  static Task<void> notify(std::shared_ptr<Impl> self) {
    self->notifying = false;
    try {
      co_await self->db.notify(kChannel);
    } catch (const Error& error) {
      log::debug("the relays of the outbox could not be notified", {{"error", error}});
    }
  }

  [[nodiscard]] milliseconds pause_after(int attempts) const {
    thread_local std::minstd_rand random{std::random_device{}()};
    milliseconds pause = options.first_pause;
    for (int i = 1; i < attempts && pause < options.longest_pause; ++i) pause *= 2;
    pause = std::min(pause, options.longest_pause);
    return milliseconds(std::uniform_int_distribution<std::int64_t>(pause.count() / 2, pause.count())(random));
  }

  static Task<void> call(const Handler& handler, Tx& tx, OutboxMessage message) {
    if (message.trace && async::context() != nullptr) {
      if (const auto parent = trace::parse_traceparent(*message.trace))
        async::context()->trace = trace::child_of(*parent);
    }
    co_await handler(tx, std::move(message));
    if (tx.connection().transaction_status() == 'E')
      throw Internal("a statement of the handler failed and its error was caught: run it in tx.savepoint(…)");
  }
  // What the handler has thrown, once what it did is undone.
  Task<std::exception_ptr> attempt(Tx& tx, const Handler& handler, const OutboxMessage& message) {
    std::exception_ptr error;
    try {
      co_await tx.savepoint(
          [&]() -> Task<void> { co_await async::timeout(options.handler_timeout, call(handler, tx, message)); });
    } catch (...) {
      if (is_cancelled()) throw;
      error = std::current_exception();
    }
    co_return error;
  }

  Task<void> record(Executor& in, Topic& topic, const OutboxMessage& message, const std::exception_ptr& error) {
    const std::string text = storable(explain(error));
    const int attempts = message.attempts + 1;
    const auto most = static_cast<int>(options.max_attempts);
    const auto now = co_await in.maybe(ready().failed, message.id, text, seconds_of(pause_after(attempts)), most);
    topic.failed.add();
    if (!now) co_return;
    if (now->set_aside) {
      log::error("a message of the outbox was set aside: its handler fails again and again",
                 {{"outbox.id", message.id},
                  {"outbox.topic", message.topic},
                  {"outbox.key", message.key},
                  {"outbox.attempts", now->attempts},
                  {"error.message", text}});
      co_return;
    }
    log::warn("a message of the outbox could not be handed out; it will be tried again",
              {{"outbox.id", message.id},
               {"outbox.topic", message.topic},
               {"outbox.key", message.key},
               {"outbox.attempts", now->attempts},
               {"error.message", text}});
    co_await in.exec(ready().hold_back, message.key, message.id);
  }

  struct Batch {
    std::size_t claimed = 0;  // keys, or messages that were held back; 0: there is nothing to do now
    std::vector<Topic*> delivered;
    std::optional<OutboxMessage> at_work;  // while its handler has the transaction
  };

  Task<std::vector<std::string>> topics_in_turn(Tx& tx) {
    std::vector<std::string> known;
    if (other && by_topic) {
      known = co_await tx.all(by_topic->waiting);
    } else {
      for (const auto& [name, topic] : topics) known.push_back(name);
    }
    if (!known.empty()) std::ranges::rotate(known, known.begin() + static_cast<std::ptrdiff_t>(turn++ % known.size()));
    co_return known;
  }

  Task<void> work(Tx& tx, Batch& batch) {
    const std::vector<std::string> known = co_await topics_in_turn(tx);
    const auto most = static_cast<std::int64_t>(options.batch);
    std::vector<detail::ClaimedMessage> claimed;
    if (by_topic) {
      claimed = co_await tx.all(by_topic->claim, known, most);
    } else {
      claimed = co_await tx.all(ready().claim, other.has_value(), known, most);
    }
    batch.claimed = claimed.size();
    if (claimed.empty()) {
      const std::uint64_t held = by_topic ? co_await tx.exec(by_topic->hold_back_late, known, kHeldAtOnce)
                                          : co_await tx.exec(ready().hold_back_late, kHeldAtOnce);
      if (held == kHeldAtOnce) batch.claimed = held;
      co_return;
    }

    std::vector<std::string> keys;
    std::map<std::string_view, std::int64_t> held;  // the first of each key
    for (const detail::ClaimedMessage& one : claimed) {
      keys.push_back(one.key);
      held.emplace(one.key, one.id);
    }
    const auto messages = co_await tx.all(ready().read, keys, most);
    std::vector<std::int64_t> done;
    std::set<std::string_view> begun, stopped;  // keys; stopped: whose first message waits
    const auto end = async::Clock::now() + options.batch_time;
    for (const OutboxMessage& message : messages) {
      if (stopped.contains(message.key)) continue;
      // A retry has put one before it since the claim looked: whoever holds that has the key.
      if (begun.insert(message.key).second && held.at(message.key) != message.id) {
        stopped.insert(message.key);
        continue;
      }
      if (!done.empty() && async::Clock::now() > end) break;
      Topic* const topic = find(message.topic);
      if (topic == nullptr) {
        stopped.insert(message.key);
        continue;
      }
      batch.at_work = message;
      const std::exception_ptr error = co_await attempt(tx, topic->handler, message);
      if (error) {
        co_await record(tx, *topic, message, error);
        stopped.insert(message.key);
      } else {
        done.push_back(message.id);
        batch.delivered.push_back(topic);
      }
      batch.at_work.reset();
    }
    if (!done.empty()) co_await tx.exec(ready().delivered, done);
  }

  // Gives the number of keys and of messages that were delivered.
  Task<std::pair<std::size_t, std::size_t>> run_batch() {
    Batch batch;
    std::exception_ptr error;
    try {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        batch = {};
        co_await work(tx, batch);
      });
    } catch (...) {
      if (is_cancelled()) throw;
      error = std::current_exception();
    }
    if (error) {
      // A handler that takes its connection with it counts as failed, or it would be the first again for ever.
      if (!batch.at_work) std::rethrow_exception(error);
      Topic* const topic = find(batch.at_work->topic);
      co_await record(db, *topic, *batch.at_work, error);
      co_return std::pair{batch.claimed, std::size_t{0}};
    }
    for (Topic* const topic : batch.delivered) topic->delivered.add();
    co_return std::pair{batch.claimed, batch.delivered.size()};
  }

  Task<void> work_for_ever() {
    for (;;) {
      wake.reset();
      bool more = false;
      milliseconds pause = options.poll_every;
      try {
        more = (co_await run_batch()).first > 0;
      } catch (const std::exception& error) {
        if (is_cancelled()) throw;
        log::warn("the outbox cannot be handed out", {{"error.message", std::string_view(error.what())}});
        pause = std::max<milliseconds>(pause, 1s);
      }
      if (!more) co_await async::race(pause_for(pause), wait_for(wake));
    }
  }

  Task<void> listen_for_ever() {
    for (;;) {
      try {
        auto notes = db.listen(kChannel);
        while (co_await notes.next()) wake.set();
      } catch (const std::exception& error) {
        if (is_cancelled()) throw;
        log::debug("the outbox cannot listen", {{"error.message", std::string_view(error.what())}});
      }
      co_await async::sleep(1s);
    }
  }

  Task<void> tidy_for_ever(Outbox& outbox) {
    for (;;) {
      try {
        const OutboxState now = co_await outbox.state();
        waiting.set(static_cast<double>(now.waiting));
        lag.set(now.lag);
        set_aside.set(static_cast<double>(now.set_aside));
        while (co_await outbox.sweep() == 1000) {
        }
      } catch (const std::exception& error) {
        if (is_cancelled()) throw;
        log::warn("the outbox could not be tidied up", {{"error.message", std::string_view(error.what())}});
      }
      co_await async::sleep(options.tidy_every);
    }
  }

  // Without the rest of the program, and with no worker: what it began to hand out would be undone when it ends.
  Task<int> run_command(std::vector<std::string> arguments, Outbox& outbox) {
    int code = 2;
    std::exception_ptr error;
    try {
      co_await db.start_loop(async::Loop::current());
      co_await make_table();
      prepare(false);
      code = co_await command(std::move(arguments), outbox);
    } catch (...) {
      error = std::current_exception();
    }
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
    if (error) std::rethrow_exception(error);
    co_return code;
  }
  Task<int> command(std::vector<std::string> arguments, Outbox& outbox) {
    if (arguments.size() == 2 && arguments[0] == "retry") {
      std::int64_t id = 0;
      const std::string& text = arguments[1];
      const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), id);
      if (wrong != std::errc() || end != text.data() + text.size()) {
        fmt::print(stderr, "outbox retry {}: the id of a message is expected\n", text);
        co_return 2;
      }
      if (!co_await outbox.retry(id)) {
        fmt::print(stderr, "no message {} was set aside\n", id);
        co_return 1;
      }
      fmt::print("message {} waits again\n", id);
      co_return 0;
    }
    if (!arguments.empty()) {
      fmt::print(stderr, "outbox {}: unknown; use outbox, or outbox retry ID\n", arguments[0]);
      co_return 2;
    }
    const OutboxState now = co_await outbox.state();
    fmt::print("{} waiting, the oldest for {:.0f} s; {} set aside\n", now.waiting, now.lag, now.set_aside);
    for (const SetAside& one : co_await outbox.set_aside())
      fmt::print("{:>8} {} {} {} attempts, {}: {}\n", one.id, one.topic, one.key, one.attempts,
                 one.set_aside_at.to_string(), one.last_error.value_or(""));
    co_return 0;
  }
};

Outbox::Outbox(Db& db, OutboxOptions options) : impl_(std::make_shared<Impl>(db, options)) {
  const auto positive = [](milliseconds value, const char* name) {
    if (value.count() <= 0) throw Invalid(fmt::format("outbox: {} is above 0", name));
  };
  positive(options.batch_time, "batch_time");
  positive(options.handler_timeout, "handler_timeout");
  positive(options.first_pause, "first_pause");
  positive(options.poll_every, "poll_every");
  positive(options.tidy_every, "tidy_every");
  if (options.longest_pause < options.first_pause) throw Invalid("outbox: longest_pause is not below first_pause");
  if (options.keep.count() < 0) throw Invalid("outbox: keep is not below 0");
  if (options.batch == 0 || options.max_attempts == 0 || (options.relay && options.workers == 0))
    throw Invalid("outbox: batch, max_attempts and workers are above 0");
}
Outbox::~Outbox() = default;

void Outbox::on(std::string topic, Handler handler) {
  Impl::Topic made = Impl::topic_of(topic, std::move(handler));
  const auto [at, is_new] = impl_->topics.try_emplace(std::move(topic), std::move(made));
  if (!is_new) throw Invalid(fmt::format("outbox: the topic {} has a handler already", at->first));
}
void Outbox::on_other(Handler handler) {
  if (impl_->other) throw Invalid("outbox: there is a handler for other topics already");
  impl_->other = Impl::topic_of("other", std::move(handler));
}

Task<void> Outbox::put(Tx& tx, NewOutboxMessage message) {
  std::vector<NewOutboxMessage> messages;
  messages.push_back(std::move(message));
  return put(tx, std::move(messages));
}

Task<void> Outbox::put(Tx& tx, std::vector<NewOutboxMessage> messages) {
  if (messages.empty()) co_return;
  std::vector<std::string> topics, keys;
  std::vector<Json> payloads;
  for (NewOutboxMessage& message : messages) {
    topics.push_back(std::move(message.topic));
    keys.push_back(std::move(message.key));
    payloads.push_back(std::move(message.payload));
  }
  std::optional<std::string> parent;
  const async::Context* const context = async::context();
  if (context != nullptr && context->trace.valid())
    parent = std::string(std::string_view(trace::to_traceparent(context->trace)));
  co_await tx.exec(impl_->ready().put, topics, keys, payloads, parent, kKeyLocks);
  tx.after_commit([impl = impl_, background = &tx.connection().background()]() -> Task<void> {
    impl->wake.set();
    if (!impl->notifying.exchange(true)) background->start(Impl::notify(impl));
    co_return;
  });
}

Task<std::size_t> Outbox::deliver() {
  std::size_t all = 0;
  for (;;) {
    const auto [claimed, delivered] = co_await impl_->run_batch();
    all += delivered;
    if (claimed == 0) co_return all;
  }
}

Task<OutboxState> Outbox::state() { return impl_->db.one(impl_->ready().state); }
Task<std::vector<SetAside>> Outbox::set_aside(std::int64_t limit) {
  return impl_->db.all(impl_->ready().set_aside, limit);
}
Task<bool> Outbox::retry(std::int64_t id) {
  const OutboxQueries& queries = impl_->ready();
  for (;;) {
    bool there = false;
    bool done = false;
    co_await impl_->db.transaction([&](Tx& tx) -> Task<void> {
      const auto key = co_await tx.maybe(queries.key_of_set_aside, id);
      there = key.has_value();
      if (!there) co_return;
      co_await tx.exec(queries.lock_key, kKeyLocks, *key);  // nobody puts one of this key meanwhile
      done = co_await tx.exec(queries.retry, id, *key) == 1;
    });
    if (done) impl_->wake.set();
    if (done || !there) co_return done;
    co_await async::sleep(kRetryPause);
  }
}
Task<std::uint64_t> Outbox::sweep() { return impl_->db.exec(impl_->ready().sweep, seconds_of(impl_->options.keep)); }

Task<void> Outbox::start_loop(async::Loop& loop) {
  co_await impl_->make_table();
  const bool is_indexed = co_await impl_->db.one(has_topic_index);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->prepare(is_indexed);
    if (impl_->home != nullptr) co_return;
    impl_->home = &loop;
  }
  metrics::Registry& registry = metrics::default_registry();
  impl_->waiting = registry.gauge({.name = "pg.outbox.waiting", .help = "Messages that wait to be handed out."});
  impl_->lag = registry.gauge({.name = "pg.outbox.lag", .help = "Age of the oldest message that waits.", .unit = "s"});
  impl_->set_aside = registry.gauge({.name = "pg.outbox.set_aside", .help = "Messages that were given up."});
  impl_->background.start(impl_->tidy_for_ever(*this));
  if (!impl_->options.relay || (impl_->topics.empty() && !impl_->other)) co_return;
  if (!is_indexed) {
    std::string create(kCreateIndexes[0]);
    create.insert(std::string_view("create index").size(), " concurrently");
    log::warn(
        "the table ashlar_outbox has no index by topic: messages that wait for other programs are read at each look",
        {{"migrations", fmt::format("{}; drop index concurrently if exists ashlar_outbox_due", create)}});
  }
  impl_->background.start(impl_->listen_for_ever());
  for (unsigned i = 0; i < impl_->options.workers; ++i) impl_->background.start(impl_->work_for_ever());
}

Task<void> Outbox::stop_loop(async::Loop& loop) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->home != &loop) co_return;
    impl_->home = nullptr;
  }
  co_await impl_->background.stop();
}

std::vector<async::Command> Outbox::commands() {
  return {
      {.name = "outbox",
       .help = "say what waits in the outbox and what was set aside; `outbox retry ID` lets one wait again",
       .run = [this](std::vector<std::string> arguments) { return impl_->run_command(std::move(arguments), *this); },
       .needs_start = false}};
}

}  // namespace ashlar::pg
