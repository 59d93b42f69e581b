#include <ashlar/pg/pool.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/sandbox.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using detail::Connection;
using detail::Request;

inline log::Logger logger{"pg.pool"};

// A connection takes this many queries before the next one is used: batches make few system calls on both sides.
constexpr std::size_t kSpill = 16;
// A query that has run this long holds up those behind it: newcomers go elsewhere.
constexpr auto kSlow = 2ms;
// How long what is answered is counted while queries queue up, before another number of connections is looked at.
constexpr auto kWindow = 100ms;

std::chrono::milliseconds pause_after(unsigned failures) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto longest = std::min<unsigned>(2000, 25U << std::min(failures, 7U));
  return std::chrono::milliseconds(std::uniform_int_distribution<unsigned>(longest / 2, longest)(random));
}

bool server_is_full(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ErrorFields& fields) {
    return fields.code == "53300";
  } catch (...) {
    return false;
  }
}

/// A pooler passes the request to cancel on only while the one who asked is there.
Task<void> stay_until_cancelled(std::unique_ptr<Connection> connection) {
  connection->set_owner(nullptr);
  const auto latest = async::Clock::now() + 5s;
  try {
    while (connection->open_now() && connection->in_flight() > 0 && async::Clock::now() < latest)
      co_await async::sleep(5ms);
  } catch (const Cancelled&) {
    // the program is stopping
  }
}

}  // namespace

Lease::~Lease() {
  if (pool_ != nullptr && connection_ != nullptr) pool_->give_back(std::move(connection_));
}

class Pool::Acquire final : public async::Waiter, private async::Timer {
 public:
  explicit Acquire(Pool& pool) noexcept : pool_(pool) {}
  ~Acquire() = default;
  bool await_ready() noexcept {
    if (!cancelled_already()) return false;
    mark_cancelled();
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) {
    suspend(handle);
    (pool_.acquiring_last_ != nullptr ? pool_.acquiring_last_->next_ : pool_.acquiring_) = this;
    previous_ = pool_.acquiring_last_;
    pool_.acquiring_last_ = this;
    ++pool_.acquiring_count_;
    pool_.instruments_.waiting.add();
    Timer::arm(pool_.loop_, pool_.options_.acquire_timeout);
  }
  /// A connection, or null: try to make one. Throws PoolExhausted.
  std::unique_ptr<Connection> await_resume() {
    check_cancelled();
    if (timed_out_) {
      throw PoolExhausted(pool_.sandboxed() ? "a Sandbox has one session, and a transaction, stream or COPY has it: "
                                              "what it waits for must go through its Tx"
                                            : "too many transactions at a time; try again");
    }
    return std::move(connection_);
  }
  void give(std::unique_ptr<Connection> connection) noexcept {
    connection_ = std::move(connection);
    leave();
    wake();
  }

 private:
  void leave() noexcept {
    Timer::cancel();
    (previous_ != nullptr ? previous_->next_ : pool_.acquiring_) = next_;
    (next_ != nullptr ? next_->previous_ : pool_.acquiring_last_) = previous_;
    --pool_.acquiring_count_;
    pool_.instruments_.waiting.sub();
  }
  void on_cancel() noexcept override {
    leave();
    mark_cancelled();
    wake();
  }
  void on_timer() noexcept override {
    timed_out_ = true;
    ++pool_.stats_.refused;
    pool_.instruments_.refused.add();
    leave();
    wake();
  }

  Pool& pool_;
  std::unique_ptr<Connection> connection_;
  Acquire* next_ = nullptr;
  Acquire* previous_ = nullptr;
  bool timed_out_ = false;
};

Pool::Instruments::Instruments() {
  metrics::Registry& registry = metrics::default_registry();
  const metrics::Description connections{
      .name = "pg.pool.connections", .help = "Open database connections.", .unit = "{connection}"};
  shared = registry.up_down_counter(connections, {{"kind", "shared"}});
  exclusive = registry.up_down_counter(connections, {{"kind", "exclusive"}});
  waiting = registry.up_down_counter(
      {.name = "pg.pool.waiting", .help = "Queries and transactions that wait for a connection.", .unit = "{request}"});
  acquired = registry.counter(
      {.name = "pg.pool.acquired", .help = "Connections taken for one's own.", .unit = "{connection}"});
  refused =
      registry.counter({.name = "pg.pool.refused", .help = "Queries and transactions shed.", .unit = "{request}"});
  lost = registry.counter({.name = "pg.pool.lost", .help = "Connections that broke.", .unit = "{connection}"});
}

Pool::Pool(async::Loop& loop, std::shared_ptr<const detail::ConnectionConfig> config, PoolOptions options)
    : loop_(loop),
      config_(std::move(config)),
      options_(options),
      slots_(std::max({1U, options.shared, options.shared_most})),
      count_(options.shared, options.shared_most) {
  options_.shared = std::max(1U, options_.shared);
  options_.exclusive = sandboxed() ? 1U : std::max(1U, options_.exclusive);
}

Pool::~Pool() = default;

std::unique_ptr<Connection> Pool::make_connection() {
  ++stats_.connects;
  return std::make_unique<Connection>(loop_, config_, background_, this);
}

Task<void> Pool::start() {
  stopping_ = false;
  if (sandboxed()) co_return co_await enter_sandbox();
  watch();
  Slot& first = slots_.front();
  if (first.connection != nullptr || first.connecting) co_return;
  auto connection = make_connection();
  first.connecting = true;
  std::exception_ptr error;
  try {
    co_await connection->open();
  } catch (...) {
    error = std::current_exception();
  }
  first.connecting = false;
  if (error) std::rethrow_exception(error);
  first.connection = std::move(connection);
  note_connected();
  instruments_.shared.add();
}

Task<void> Pool::stop() {
  stopping_ = true;
  watch_.cancel();
  counting_.cancel();
  co_await background_.stop();
  if (sandboxed()) co_await leave_sandbox();
  refuse_all("the program is stopping");
  for (Slot& slot : slots_) {
    if (slot.connection != nullptr) instruments_.shared.sub();
    slot.connection.reset();
  }
  note_connected();
  instruments_.exclusive.sub(static_cast<std::int64_t>(idle_.size()));
  exclusive_open_ -= static_cast<unsigned>(idle_.size());
  idle_.clear();
  wake_acquirers();
}

void Pool::wake_acquirers() noexcept {
  while (acquiring_ != nullptr) acquiring_->give(nullptr);
}

void Pool::offer(std::unique_ptr<Connection> connection) noexcept {
  if (acquiring_ != nullptr) return acquiring_->give(std::move(connection));
  idle_.push_back(std::move(connection));
}

void Pool::watch() noexcept {
  using namespace std::chrono;
  if (options_.answer_timeout.count() > 0)
    watch_.arm(loop_, std::clamp<milliseconds>(options_.answer_timeout / 4, 1ms, 5s));
}

// Two looks, so that a loop that was held up, or a clock that was moved, does not end what is well.
void Pool::look_for_silence() noexcept {
  for (Slot& slot : slots_) {
    Connection* const connection = slot.connection.get();
    const bool late = connection != nullptr && connection->head_age() > options_.answer_timeout;
    if (late && slot.silent && slot.received == connection->received()) {
      slot.silent = false;
      connection->give_up(fmt::format("PostgreSQL has not answered for {} ms", options_.answer_timeout.count()));
      continue;
    }
    slot.silent = late;
    slot.received = late ? connection->received() : 0;
  }
  watch();
}

Connection* Pool::pick() noexcept {
  Connection* best = nullptr;
  Slot* closed = nullptr;
  for (Slot& slot : used_slots()) {
    Connection* const connection = slot.connection.get();
    if (connection == nullptr) {
      if (closed == nullptr && !slot.connecting) closed = &slot;
      continue;
    }
    const std::size_t load = connection->load();
    if (load >= options_.max_in_flight) continue;
    if (load == 0 || (load < kSpill && connection->head_age() < kSlow)) return connection;
    if (best == nullptr || load < best->load()) best = connection;
  }
  if (closed != nullptr && !stopping_ && failures_ == 0) connect_in_background(*closed);
  if (best == nullptr || best->load() >= kSpill) note_queue();
  return best;
}

bool Pool::is_extra(const Slot& slot) const noexcept {
  return static_cast<std::size_t>(&slot - slots_.data()) >= options_.shared;
}

void Pool::note_queue() noexcept {
  ++queued_;
  if ((resting_ || !counting_.armed()) && slots_.size() > 1 && !stopping_) begin_window();
}

// Up to a constant: what Pool::acquire() refuses is no query.
std::uint64_t Pool::answered() const noexcept {
  std::uint64_t open = waiting_count_ + stats_.refused;
  for (const Slot& slot : slots_) {
    if (slot.connection != nullptr) open += slot.connection->load();
  }
  return stats_.queries - open;
}

void Pool::begin_window() noexcept {
  resting_ = false;
  window_since_ = async::Clock::now();
  window_answered_ = answered();
  window_queries_ = stats_.queries;
  queued_ = 0;
  counting_.arm(loop_, kWindow);
}

// While most queries have found a queue wherever they could go.
void Pool::end_window() noexcept {
  const std::uint64_t came = stats_.queries - window_queries_;
  if (stopping_) return;
  if (came == 0 || queued_ * 2 < came) {
    count_.rest();
    resting_ = true;
    return counting_.arm(loop_, options_.keep_extra);
  }
  const double seconds = std::chrono::duration<double>(async::Clock::now() - window_since_).count();
  // The loop was held up by something else: that says nothing about connections.
  if (seconds < 2 * std::chrono::duration<double>(kWindow).count())
    count_.window(static_cast<double>(static_cast<std::int64_t>(answered() - window_answered_)) / seconds);
  for (Slot& slot : used_slots()) {
    if (slot.connection == nullptr && !slot.connecting && failures_ == 0) connect_in_background(slot);
  }
  begin_window();
}

// Other programs may want them.
void Pool::close_extra() noexcept {
  count_.forget();
  resting_ = false;
  for (Slot& slot : slots_) {
    if (!is_extra(slot) || slot.connection == nullptr) continue;
    if (slot.connection->load() != 0) {  // a last query takes long: later
      resting_ = true;
      continue;
    }
    instruments_.shared.sub();
    bury(std::move(slot.connection));
  }
  if (resting_) counting_.arm(loop_, options_.keep_extra);
}

void Pool::submit(Request& request) {
  ++stats_.queries;
  if (waiting_ == nullptr) {
    if (Connection* const connection = pick(); connection != nullptr) [[likely]]
      return request.submit_to(*connection);
  } else {
    note_queue();
  }
  const bool connected =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.connection != nullptr; });
  if (!connected) {
    const bool connecting = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.connecting; });
    if (!connecting && !stopping_) connect_in_background(slots_.front());
    if (failures_ > 0 || stopping_) {
      ++stats_.refused;
      instruments_.refused.add();
      return request.fail(std::make_exception_ptr(ConnectionLost(trouble_, false)));
    }
  }
  if (waiting_count_ >= options_.max_waiting) {
    ++stats_.refused;
    instruments_.refused.add();
    return request.fail(std::make_exception_ptr(PoolExhausted("the database is busy; try again")));
  }
  request.stage_ = Request::Stage::queued;
  request.next_ = nullptr;
  *waiting_tail_ = &request;
  waiting_tail_ = &request.next_;
  ++waiting_count_;
  instruments_.waiting.add();
}

void Pool::forget(Request& request) noexcept {
  for (Request** link = &waiting_; *link != nullptr; link = &(*link)->next_) {
    if (*link != &request) continue;
    *link = request.next_;
    if (waiting_tail_ == &request.next_) waiting_tail_ = link;
    --waiting_count_;
    instruments_.waiting.sub();
    return;
  }
}

void Pool::drain(Connection& connection) noexcept {
  while (waiting_ != nullptr && connection.open_now() && connection.load() < options_.max_in_flight) {
    Request& request = *waiting_;
    waiting_ = request.next_;
    if (waiting_ == nullptr) waiting_tail_ = &waiting_;
    --waiting_count_;
    instruments_.waiting.sub();
    request.submit_to(connection);
  }
}

void Pool::refuse_all(const std::string& reason) noexcept {
  Request* request = std::exchange(waiting_, nullptr);
  waiting_tail_ = &waiting_;
  instruments_.waiting.sub(static_cast<std::int64_t>(waiting_count_));
  instruments_.refused.add(waiting_count_);
  stats_.refused += std::exchange(waiting_count_, 0);
  while (request != nullptr) {
    Request& next = *std::exchange(request, request->next_);
    next.fail(std::make_exception_ptr(ConnectionLost(reason, false)));
  }
}

void Pool::note_connected() noexcept {
  connected_.store(std::ranges::any_of(slots_, [](const Slot& slot) { return slot.connection != nullptr; }),
                   std::memory_order_relaxed);
}

void Pool::connect_in_background(Slot& slot) {
  slot.connecting = true;
  background_.start(connect(slot));
}

Task<void> Pool::connect(Slot& slot) {
  for (;;) {
    auto connection = make_connection();
    std::exception_ptr error;
    const auto* const config = config_.get();
    try {
      co_await connection->open();
      if (config != config_.get() && connection->server() != config_->options.hosts.front())
        throw ConnectionLost("the primary is another one meanwhile", false);
    } catch (...) {
      error = std::current_exception();
    }
    if (stopping_) break;
    if (!error) {
      if (failures_ > 0) logger.info("connected to the database again", {{"after_attempts", failures_}});
      failures_ = 0;
      trouble_.clear();
      slot.connection = std::move(connection);
      note_connected();
      instruments_.shared.add();
      drain(*slot.connection);
      break;
    }
    if (is_extra(slot) && connected()) {
      count_.refused();
      logger.debug("no connection more from the database", {{"reason", explain(error)}});
      break;
    }
    ++failures_;
    trouble_ = explain(error);
    if (failures_ == 1 || failures_ % 20 == 0)
      logger.warn("cannot connect to the database", {{"reason", trouble_}, {"attempts", failures_}});
    if (!connected()) refuse_all(trouble_);  // else those that wait are served by the others
    try {
      co_await async::sleep(pause_after(failures_));
    } catch (const Cancelled&) {
      break;
    }
  }
  slot.connecting = false;
}

void Pool::on_connection_lost(Connection& connection, const std::string& reason) noexcept {
  ++stats_.lost;
  instruments_.lost.add();
  for (Slot& slot : slots_) {
    if (slot.connection.get() != &connection) continue;
    logger.warn("a database connection was lost", {{"reason", reason}});
    instruments_.shared.sub();
    bury(std::move(slot.connection));
    note_connected();
    if (!stopping_ && !slot.connecting && !is_extra(slot)) connect_in_background(slot);
    return;
  }
  const auto it = std::find_if(idle_.begin(), idle_.end(), [&](const auto& idle) { return idle.get() == &connection; });
  if (it == idle_.end()) return;  // leased: its user sees it, and give_back drops it
  bury(std::move(*it));
  idle_.erase(it);
  --exclusive_open_;
  instruments_.exclusive.sub();
  if (sandboxed()) lost_in_sandbox();
}

void Pool::on_connection_progress(Connection& connection) noexcept {
  if (waiting_ == nullptr) [[likely]]
    return;
  for (const Slot& slot : used_slots()) {
    if (slot.connection.get() == &connection) return drain(connection);
  }
}

// It may be in the middle of its own receive loop.
void Pool::bury(std::unique_ptr<Connection> connection) noexcept {
  connection->set_owner(nullptr);
  loop_.post([dead = std::move(connection)]() mutable { dead.reset(); });
}

Task<Lease> Pool::acquire() {
  for (;;) {
    if (stopping_) throw ConnectionLost("the program is stopping", false);
    while (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      if (connection->open_now()) {
        co_return lease(std::move(connection));
      }
      --exclusive_open_;
      instruments_.exclusive.sub();
    }
    if (exclusive_open_ < options_.exclusive) {
      if (sandboxed()) throw ConnectionLost(trouble_, false);
      ++exclusive_open_;
      instruments_.exclusive.add();
      auto connection = make_connection();
      connection->set_exclusive(true);
      std::exception_ptr error;
      const auto* const config = config_.get();
      try {
        co_await connection->open();
        if (config != config_.get() && connection->server() != config_->options.hosts.front())
          throw ConnectionLost("the primary is another one meanwhile", false);
      } catch (...) {
        error = std::current_exception();
      }
      if (!error) {
        co_return lease(std::move(connection));
      }
      --exclusive_open_;
      instruments_.exclusive.sub();
      const async::Context* context = async::context();
      const bool cancelled = context != nullptr && context->scope != nullptr && context->scope->cancelled();
      // Of those that are in use one comes back sooner than the server, which is full, takes another.
      const bool wait = !cancelled && exclusive_open_ > 0 && server_is_full(error);
      if (wait && !idle_.empty()) continue;
      if (!wait) {
        if (acquiring_ != nullptr) acquiring_->give(nullptr);
        if (cancelled) std::rethrow_exception(error);
        ++stats_.refused;
        instruments_.refused.add();
        trouble_ = explain(error);
        logger.debug("cannot connect to the database", {{"reason", trouble_}});
        throw ConnectionLost(trouble_, false);
      }
    }
    if (acquiring_count_ >= options_.max_waiting) {
      ++stats_.refused;
      instruments_.refused.add();
      throw PoolExhausted("too many transactions at a time; try again");
    }
    auto connection = co_await Acquire{*this};
    if (connection != nullptr) {
      co_return lease(std::move(connection));
    }
  }
}

Lease Pool::lease(std::unique_ptr<Connection> connection) {
  leased_.push_back(connection.get());
  if (sandboxed()) connection->send_simple(detail::kSandboxSavepoint);
  ++stats_.acquired;
  instruments_.acquired.add();
  return {*this, std::move(connection)};
}

void Pool::give_back(std::unique_ptr<Connection> connection) noexcept {
  std::erase(leased_, connection.get());
  if (sandboxed()) return end_in_sandbox(std::move(connection));
  const bool clean = connection->open_now() && connection->in_flight() == 0 &&
                     connection->transaction_status() == 'I' && !connection->tainted() && !stopping_;
  if (clean) return offer(std::move(connection));
  --exclusive_open_;
  instruments_.exclusive.sub();
  if (connection->open_now() && connection->tainted() && connection->in_flight() > 0 && !stopping_) {
    background_.start(stay_until_cancelled(std::move(connection)));
  } else {
    bury(std::move(connection));
  }
  if (acquiring_ != nullptr) acquiring_->give(nullptr);
}

void Pool::use(std::shared_ptr<const detail::ConnectionConfig> config) {
  config_ = std::move(config);
  const ConnectOptions::Host& wanted = config_->options.hosts.front();
  const std::string reason = fmt::format("the primary is now {}:{}", wanted.host, wanted.port);
  std::vector<Connection*> elsewhere;
  for (const Slot& slot : slots_) elsewhere.push_back(slot.connection.get());
  for (const auto& idle : idle_) elsewhere.push_back(idle.get());
  std::erase_if(elsewhere, [&](const Connection* one) { return one == nullptr || one->server() == wanted; });
  for (Connection* const connection : elsewhere) {
    connection->close(reason);
    on_connection_lost(*connection, reason);
  }
  for (Connection* const connection : leased_) {
    if (connection->server() != wanted) connection->close(reason);  // give_back drops it
  }
}

PoolStats Pool::stats() const noexcept {
  PoolStats out = stats_;
  for (const Slot& slot : slots_) {
    if (slot.connection == nullptr) continue;
    ++out.shared_open;
    out.in_flight += slot.connection->load();
  }
  out.exclusive_open = exclusive_open_;
  out.exclusive_used = exclusive_open_ - idle_.size();
  out.waiting = waiting_count_ + acquiring_count_;
  return out;
}

std::string Pool::trouble() const {
  if (connected()) return {};
  return trouble_.empty() ? "not connected to the database" : trouble_;
}

}  // namespace ashlar::pg
