// Connection: one session with a server, on one loop. Many queries may be on their way at once: they go out together at
// the end of the tick, each followed by a Sync of its own, so that one that fails leaves its neighbours alone.
//
// Used by Pool; programs use Db. Everything here belongs to the connection's loop.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ashlar/async/context.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/net/transport.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/detail/buffer.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/statement.hpp>
#include <ashlar/pg/type_map.hpp>
#include <ashlar/pg/wire.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {

class Pool;

namespace detail {

class Connection;
class TransactionJournal;
class TypeLookup;

/// Takes rows as they arrive, inside the receive loop. May throw; the rest of the rows is then dropped.
class RowSink {
 public:
  virtual void on_row(RowReader& row) = 0;

 protected:
  ~RowSink() = default;
};

/// What waits for one ReadyForQuery.
class Operation {
 public:
  virtual void on_row(Connection&, std::string_view /*body*/) {}
  virtual void on_field_description(std::string_view /*body*/) {}
  virtual void on_parameter_description(std::string_view /*body*/) {}
  /// 'G': the server wants COPY data; 'H': it sends some.
  virtual void on_copy_start(Connection& connection, char direction);
  virtual void on_copy_data(Connection&, std::string_view /*bytes*/) {}
  /// A statement of it has ended well.
  virtual void on_complete(Connection&, std::uint64_t rows) { affected += rows; }
  /// What was to be sent has been sent; only for Connection::set_drain.
  virtual void on_drained() noexcept {}
  /// The server is done with it; `error` says how. Runs no user code.
  virtual void on_end(Connection& connection) noexcept = 0;
  /// The connection is gone.
  virtual void on_lost(const std::string& reason) noexcept = 0;

  std::unique_ptr<ErrorFields> error;
  std::uint64_t affected = 0;

 protected:
  ~Operation() = default;
  friend class Connection;
  std::uint64_t sequence_ = 0;
};

class Batch;
class Request;

/// A statement on one connection.
class Prepared final : public Operation {
 public:
  enum class State : std::uint8_t { parsing, ready };
  std::string name;
  const StatementSpec* spec = nullptr;
  State state = State::parsing;
  std::vector<Oid> parameters;
  std::vector<wire::Field> fields;
  std::vector<ColumnType> columns;
  Request* waiting = nullptr;  // go on when it is ready
  Request** waiting_tail = &waiting;
  std::uint32_t id = 0;  // 0: for one run
  std::uint32_t in_flight = 0;
  std::uint64_t last_used = 0;
  metrics::Histogram duration;  // of its runs, by query
  bool copy = false;            // it is a COPY
  bool doomed = false;          // closed; kept while requests refer to it

  void on_field_description(std::string_view body) override;
  void on_parameter_description(std::string_view body) override;
  void on_end(Connection& connection) noexcept override;
  void on_lost(const std::string& reason) noexcept override;
};

/// What a pool gives to one of its connections: it may queue for one, wait there until its statements are prepared, and
/// is sent. It lives in the frame of the coroutine that awaits it.
class Request : public async::Waiter, public Operation {
 public:
  bool await_ready() noexcept;
  void fail(std::exception_ptr why) noexcept;
  /// The one whose rows come now; null: plain SQL, or none.
  [[nodiscard]] const Statement* statement() const noexcept { return statement_; }

 protected:
  friend class Connection;
  friend class Prepared;
  friend class pg::Pool;
  enum class Stage : std::uint8_t { idle, queued, preparing, sent, done };

  explicit Request(Pool& pool) noexcept : pool_(&pool) {}
  explicit Request(Connection& connection) noexcept : connection_(&connection) {}
  ~Request() = default;

  virtual void submit_to(Connection& connection) = 0;
  /// The statement that it has waited for is ready.
  virtual void on_prepared(Connection& connection, Prepared& prepared) = 0;
  /// `drop`: they are of no use to others either.
  virtual void release_statements(bool drop) noexcept = 0;
  /// The connection has closed, and they are gone.
  virtual void forget_statements() noexcept = 0;
  [[nodiscard]] virtual std::string describe() const = 0;

  void on_row(Connection& connection, std::string_view body) override;
  void on_field_description(std::string_view body) override;
  void on_lost(const std::string& reason) noexcept override;
  void on_cancel() noexcept override;
  /// For await_suspend.
  void begin(std::coroutine_handle<> handle);
  /// For await_resume.
  void finish() {
    check_cancelled();
    if (failure_) [[unlikely]]
      std::rethrow_exception(std::move(failure_));
  }
  void done() noexcept {
    stage_ = Stage::done;
    wake();
  }

  Pool* pool_ = nullptr;
  Connection* connection_ = nullptr;
  const Statement* statement_ = nullptr;
  RowSink* sink_ = nullptr;
  Prepared* prepared_ = nullptr;  // while it waits for it, or its rows come
  Request* next_ = nullptr;
  std::exception_ptr failure_;
  async::TimePoint started_{};
  Stage stage_ = Stage::idle;
  bool retried_ = false;
  bool cancellable_ = true;
  bool changed_ = false;  // its columns are others than those that were described
};

/// One run of a statement, or of plain SQL by the simple protocol: an awaitable that gives the number of rows affected.
class Execution final : public Request {
 public:
  Execution(Pool& pool, const Statement& statement, Params&& params, RowSink* sink)
      : Request(pool), params_(std::move(params)) {
    statement_ = &statement;
    sink_ = sink;
  }
  Execution(Connection& connection, const Statement& statement, Params&& params, RowSink* sink)
      : Request(connection), params_(std::move(params)) {
    statement_ = &statement;
    sink_ = sink;
  }
  Execution(Connection& connection, std::string_view sql) : Request(connection), sql_(sql) {}
  ~Execution() = default;

  void await_suspend(std::coroutine_handle<> handle);
  std::uint64_t await_resume() {
    finish();
    return affected;
  }

  /// Waits to the end even when the caller is cancelled: for a commit, whose outcome must be known.
  Execution& to_the_end() noexcept {
    cancellable_ = false;
    return *this;
  }

 private:
  friend class Connection;
  void submit_to(Connection& connection) override;
  void on_prepared(Connection& connection, Prepared& prepared) override;
  void release_statements(bool drop) noexcept override;
  void forget_statements() noexcept override { prepared_ = nullptr; }
  [[nodiscard]] std::string describe() const override;
  void on_end(Connection& connection) noexcept override;

  std::string_view sql_;
  Params params_;
};

/// Awaitable: SQL by the simple protocol, rows as text. For catalog queries and migrations.
class TextQuery final : public async::Waiter, public Operation {
 public:
  using Row = std::vector<std::optional<std::string>>;
  TextQuery(Connection& connection, std::string_view sql) : connection_(connection), sql_(sql) {}
  ~TextQuery() = default;
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle);
  std::vector<Row> await_resume();

 private:
  void on_row(Connection& connection, std::string_view body) override;
  void on_end(Connection& connection) noexcept override;
  void on_lost(const std::string& reason) noexcept override;
  void on_cancel() noexcept override;
  Connection& connection_;
  std::string_view sql_;
  std::vector<Row> rows_;
  std::exception_ptr failure_;
};
std::vector<std::optional<std::string>> text_row(std::string_view body);

/// Awaitable: what the server says about SQL without running it. Never throws for an error of the SQL: see `error`.
class Description final : public async::Waiter, public Operation {
 public:
  Description(Connection& connection, std::string_view sql) : connection_(connection), sql_(sql) {}
  ~Description() = default;
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle);
  void await_resume();
  std::vector<Oid> parameters;
  std::vector<wire::Field> fields;

 private:
  void on_field_description(std::string_view body) override { fields = wire::row_description(body); }
  void on_parameter_description(std::string_view body) override { parameters = wire::parameter_description(body); }
  void on_end(Connection& connection) noexcept override;
  void on_lost(const std::string& reason) noexcept override;
  void on_cancel() noexcept override;
  Connection& connection_;
  std::string_view sql_;
  std::exception_ptr failure_;
};

/// The server's plan for a prepared statement is out of date after DDL, or the statement is gone (DISCARD ALL, a
/// pooler).
[[nodiscard]] bool is_stale(const ErrorFields& error);
/// The exception for what the server said about a query.
[[nodiscard]] std::exception_ptr error_of(ErrorFields fields, const Statement& statement);

/// The numbers that the map does not know; the query that explains them; what it answered.
std::vector<Oid> unknown_types(const TypeMap& types, std::span<const Oid> parameters,
                               std::span<const wire::Field> fields);
std::string type_lookup_sql(std::span<const Oid> types);
void add_type(TypeMap& types, const std::vector<std::optional<std::string>>& row);

/// Told about what a connection does by itself.
class ConnectionOwner {
 public:
  virtual void on_connection_lost(Connection& connection, const std::string& reason) noexcept = 0;
  /// An operation has ended: there is room for another.
  virtual void on_connection_progress(Connection&) noexcept {}
  virtual void on_notification(std::int32_t /*pid*/, std::string_view /*channel*/, std::string_view /*payload*/) {}

 protected:
  ~ConnectionOwner() = default;
};

/// What all connections of a Db share.
struct ConnectionConfig {
  ConnectOptions options;
  std::shared_ptr<net::TlsContext> tls;  ///< null: sslmode=disable
  std::size_t max_prepared = 512;        ///< statements kept on a connection; the least recently used go first
  /// Off: nothing stays on the server between two transactions, which may run in two sessions of it. Each run sends its
  /// SQL.
  bool prepared_statements = true;
};

class Connection final : private async::IoHandler, private async::TickHook {
 public:
  Connection(async::Loop& loop, std::shared_ptr<const ConnectionConfig> config, Background& background,
             ConnectionOwner* owner);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Connects, authenticates and waits until the server is ready. Tries the hosts in order. Throws what the last one
  /// said.
  Task<void> open();
  /// Leaves its loop, for another one: nothing may be on its way.
  void detach() noexcept;
  void attach(async::Loop& loop, Background& background, ConnectionOwner* owner);
  /// Ends the session; what still waits gets ConnectionLost. The owner is not told.
  void close(const std::string& reason = "the connection was closed") noexcept;

  void submit(Execution& execution);
  void submit(Batch& batch);
  /// Sends SQL by the simple protocol and gives its end to `operation`.
  void submit_simple(Operation& operation, std::string_view sql);
  /// The same, and nobody is told how it ends.
  void send_simple(std::string_view sql);
  /// Nobody waits for it any more: its rows are dropped. On an exclusive connection the server is asked to cancel it.
  void abandon(Operation& operation) noexcept;
  /// A CopyData message from wire::begin_copy_data() on, its end not yet written: sent now, as far as the server takes
  /// it. Leaves an empty buffer for the next one.
  void copy_piece(Buffer& message);
  void copy_done();
  void copy_fail(std::string_view reason);
  /// Told each time the send buffer has become empty; null: nobody.
  void set_drain(Operation* operation) noexcept { drain_ = operation; }
  /// Asks the server, over another connection, to cancel what runs here. The connection is not fit for reuse then; so
  /// it is not asked in a sandbox, which has no other.
  void request_cancel() noexcept;

  [[nodiscard]] bool open_now() const noexcept { return open_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return static_cast<std::size_t>(tail_ - head_); }
  /// Those, and the executions that wait until their statement is prepared.
  [[nodiscard]] std::size_t load() const noexcept { return in_flight() + preparing_; }
  /// How long the oldest operation has been running.
  [[nodiscard]] async::Nanoseconds head_age() const noexcept;
  [[nodiscard]] std::size_t unsent() const noexcept { return out_.size(); }
  /// 'I' outside a transaction, 'T' inside, 'E' inside a failed one; as of the last answer.
  [[nodiscard]] char transaction_status() const noexcept { return transaction_status_; }
  [[nodiscard]] bool tainted() const noexcept { return tainted_; }
  /// Changes whenever the server has sent something.
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  /// As if it had been lost.
  void give_up(const std::string& reason) noexcept { lost(reason); }
  /// Which of the hosts it is connected to, or was last.
  [[nodiscard]] const ConnectOptions::Host& server() const noexcept { return server_; }
  [[nodiscard]] std::int32_t backend_pid() const noexcept { return backend_pid_; }
  [[nodiscard]] const net::Address& address() const noexcept { return address_; }
  [[nodiscard]] const TypeMap& types() const noexcept { return types_; }
  [[nodiscard]] TypeMap& types() noexcept { return types_; }
  [[nodiscard]] std::string parameter(const std::string& name) const;
  [[nodiscard]] async::Loop& loop() noexcept { return *loop_; }
  [[nodiscard]] Background& background() noexcept { return *background_; }
  void set_exclusive(bool exclusive) noexcept { exclusive_ = exclusive; }
  /// It is in a transaction that is never committed: see Sandbox.
  [[nodiscard]] bool sandboxed() const noexcept { return sandboxed_; }
  void set_sandboxed() noexcept { sandboxed_ = true; }
  /// There, and something in the schema may be deferred to the commit.
  [[nodiscard]] bool checks_deferred() const noexcept { return checks_deferred_; }
  void set_checks_deferred() noexcept { checks_deferred_ = true; }
  /// A transaction begins: its queries are noted in the journal of the connection, which is kept when it has ended.
  TransactionJournal& begin_journal(std::source_location begun);
  void end_journal() noexcept { noting_ = nullptr; }
  /// Stops reading while a consumer cannot keep up.
  void pause(bool paused);
  std::size_t count_prepared() const noexcept { return prepared_.size(); }
  void set_owner(ConnectionOwner* owner) noexcept { owner_ = owner; }

  /// Parses and describes SQL without running it; the answer goes to `operation`.
  void submit_describe(Operation& operation, std::string_view sql);

 private:
  friend class Prepared;
  friend class Request;
  friend class Execution;
  friend class Batch;
  friend class TypeLookup;

  void on_io(std::uint32_t events) noexcept override;
  void on_tick_end() noexcept override;
  void flush();
  void receive();
  void process();
  void handle(const wire::Message& message);
  void lost(const std::string& reason) noexcept;
  void fail_all(const std::string& reason) noexcept;
  void watch(std::uint32_t events);
  void push(Operation* operation);
  void touch() noexcept { loop_->at_tick_end(*this); }
  Operation*& slot(std::uint64_t sequence) noexcept { return ring_[sequence & (ring_.size() - 1)]; }

  /// The statement on this connection, perhaps not ready yet.
  Prepared& prepared_for(const Statement& statement);
  Prepared& prepare(const Statement& statement);
  void wait_for(Prepared& prepared, Request& request) noexcept;
  void finish_prepare(Prepared& prepared);
  void settle_prepared(Prepared& prepared);
  void fail_prepared(Prepared& prepared, std::exception_ptr why) noexcept;
  void drop_prepared(Prepared& prepared, bool close_on_server) noexcept;
  /// What ran is not running any more; `drop`: nobody shall run it again.
  void release(Prepared& prepared, bool drop) noexcept;
  void evict();
  void bind(Execution& execution, Prepared& prepared);
  void bind(Batch& batch);
  void put_run(const Statement& statement, const Params& params, const Prepared& prepared, bool sync);
  void ended(Execution& execution);
  void ended(Batch& batch);

  Task<void> open_host(ConnectOptions::Host host);
  Task<void> open_address(net::Address address, std::string host);
  Task<void> send_startup();
  Task<void> write_out();
  Task<std::optional<wire::Message>> next_startup_message();
  Task<void> log_in();
  static Task<void> send_cancel(net::Address address, std::shared_ptr<net::TlsContext> tls, std::string host,
                                std::int32_t pid, std::int32_t key);

  async::Loop* loop_;  // null: detached, and so are these
  std::shared_ptr<const ConnectionConfig> config_;
  Background* background_;
  ConnectionOwner* owner_;
  Operation* drain_ = nullptr;
  TransactionJournal* noting_ = nullptr;
  net::Transport transport_;
  net::Address address_;
  std::string host_;
  ConnectOptions::Host server_;
  Buffer in_;
  Buffer out_;
  std::vector<Operation*> ring_;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
  async::TimePoint head_since_{};
  std::vector<Prepared*> by_id_;
  std::unordered_map<Prepared*, std::unique_ptr<Prepared>> prepared_;
  std::unordered_map<TypeLookup*, std::unique_ptr<TypeLookup>> lookups_;
  std::vector<std::pair<std::string, std::string>> parameters_;
  TypeMap types_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::size_t preparing_ = 0;
  std::uint64_t uses_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t names_ = 0;
  std::size_t consumed_startup_ = 0;
  std::string last_error_;
  std::uint32_t events_ = 0;
  std::int32_t backend_pid_ = 0;
  std::int32_t backend_key_ = 0;
  char transaction_status_ = 'I';
  bool open_ = false;
  bool exclusive_ = false;
  bool sandboxed_ = false;
  bool checks_deferred_ = false;
  bool tainted_ = false;
  bool paused_ = false;
  bool handling_ = false;
  std::unique_ptr<TransactionJournal> journal_;
};

}  // namespace detail
}  // namespace ashlar::pg
