#include <ashlar/pg/connection.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include <ashlar/pg/detail/transaction_journal.hpp>
#include <ashlar/pg/statement_observer.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr std::size_t kReadChunk = 32 * 1024;
constexpr std::size_t kLongestCopyData = 4 * 1024 * 1024;  // PostgreSQL takes no message of 1 GiB
constexpr std::size_t kKeepBuffer = 1024 * 1024;

inline log::Logger logger{"pg"};

}  // namespace

/// Asks the catalog about types, then goes on with the statement that needs them.
class TypeLookup final : public Operation {
 public:
  explicit TypeLookup(Prepared* waiting) : waiting_(waiting) {}
  void on_row(Connection& connection, std::string_view body) override { add_type(connection.types(), text_row(body)); }
  void on_end(Connection& connection) noexcept override {
    Prepared* const prepared = waiting_;
    auto why = error ? make_error(std::move(*error)) : std::exception_ptr{};
    connection.lookups_.erase(this);  // this is gone now
    if (prepared == nullptr) return;
    if (why) return connection.fail_prepared(*prepared, std::move(why));
    connection.settle_prepared(*prepared);
  }
  void on_lost(const std::string&) noexcept override {}

 private:
  Prepared* waiting_;
};

void Operation::on_copy_start(Connection& connection, char direction) {
  if (direction == 'G') connection.copy_fail("this statement is not run by copy_in");
}

Connection::Connection(async::Loop& loop, std::shared_ptr<const ConnectionConfig> config, Background& background,
                       ConnectionOwner* owner)
    : loop_(&loop), config_(std::move(config)), background_(&background), owner_(owner), ring_(64, nullptr) {}

Connection::~Connection() { close(); }

void Connection::detach() noexcept {
  if (open_) loop_->remove(transport_.fd(), *this);
  loop_ = nullptr;
  background_ = nullptr;
  owner_ = nullptr;
}

void Connection::attach(async::Loop& loop, Background& background, ConnectionOwner* owner) {
  loop.add(transport_.fd(), EPOLLIN, *this);
  loop_ = &loop;
  background_ = &background;
  owner_ = owner;
  events_ = EPOLLIN;
}

TransactionJournal& Connection::begin_journal(std::source_location begun) {
  if (journal_ == nullptr) journal_ = std::make_unique<TransactionJournal>(*this);
  journal_->begin(begun);
  noting_ = journal_.get();
  return *journal_;
}

std::string Connection::parameter(const std::string& name) const {
  for (const auto& [key, value] : parameters_) {
    if (key == name) return value;
  }
  return {};
}

async::Nanoseconds Connection::head_age() const noexcept {
  return in_flight() == 0 ? async::Nanoseconds{0} : loop_->now() - head_since_;
}

void Connection::push(Operation* operation) {
  if (in_flight() == ring_.size()) {
    std::vector<Operation*> bigger(ring_.size() * 2, nullptr);
    for (std::uint64_t i = head_; i != tail_; ++i) bigger[i & (bigger.size() - 1)] = slot(i);
    ring_ = std::move(bigger);
  }
  if (head_ == tail_) head_since_ = loop_->now();
  if (operation != nullptr) operation->sequence_ = tail_;
  slot(tail_) = operation;
  ++tail_;
  touch();
}

void Connection::submit(Execution& execution) {
  execution.connection_ = this;
  if (!open_) {
    return execution.fail(std::make_exception_ptr(ConnectionLost("the database connection is closed", false)));
  }
  if (statement_observer != nullptr && !execution.retried_) [[unlikely]] {
    const Statement* const statement = execution.statement_;
    statement_observer->on_statement(statement, statement != nullptr ? statement->sql() : execution.sql_);
  }
  if (execution.statement_ == nullptr) {
    execution.stage_ = Execution::Stage::sent;
    wire::query(out_, execution.sql_);
    return push(&execution);
  }
  Prepared& prepared = prepared_for(*execution.statement_);
  if (prepared.state == Prepared::State::ready) [[likely]]
    return bind(execution, prepared);
  wait_for(prepared, execution);
}

Prepared& Connection::prepared_for(const Statement& statement) {
  const std::uint32_t id = statement.id();
  Prepared* const prepared = id != 0 && id < by_id_.size() ? by_id_[id] : nullptr;
  return prepared != nullptr ? *prepared : prepare(statement);
}

void Connection::wait_for(Prepared& prepared, Request& request) noexcept {
  ++preparing_;
  request.stage_ = Request::Stage::preparing;
  request.prepared_ = &prepared;
  request.next_ = nullptr;
  *prepared.waiting_tail = &request;
  prepared.waiting_tail = &request.next_;
}

void Connection::submit_simple(Operation& operation, std::string_view sql) {
  if (!open_) return operation.on_lost("the database connection is closed");
  wire::query(out_, sql);
  push(&operation);
}

void Connection::send_simple(std::string_view sql) {
  if (!open_) return;
  wire::query(out_, sql);
  push(nullptr);
}

void Connection::submit_describe(Operation& operation, std::string_view sql) {
  if (!open_) return operation.on_lost("the database connection is closed");
  wire::parse(out_, {}, sql);
  wire::describe_statement(out_, {});
  wire::sync(out_);
  push(&operation);
}

Prepared& Connection::prepare(const Statement& statement) {
  if (prepared_.size() >= config_->max_prepared) evict();
  auto owned = std::make_unique<Prepared>();
  Prepared& prepared = *owned;
  prepared_.emplace(&prepared, std::move(owned));
  if (config_->prepared_statements) prepared.name = fmt::format("q{}", ++names_);
  prepared.spec = &statement.spec();
  prepared.id = statement.id();
  prepared.copy = is_copy(statement.sql());
  prepared.duration =
      metrics::default_registry().histogram({.name = "db.client.operation.duration",
                                             .help = "Duration of queries, with the wait for a connection.",
                                             .unit = "s"},
                                            {{"query", prepared.id != 0 ? statement.name() : "dynamic"}});
  if (prepared.id != 0) {
    if (by_id_.size() <= prepared.id) by_id_.resize(prepared.id + 16, nullptr);
    by_id_[prepared.id] = &prepared;
  }
  wire::parse(out_, prepared.name, statement.sql());
  wire::describe_statement(out_, prepared.name);
  wire::sync(out_);
  push(&prepared);
  return prepared;
}

void Connection::evict() {
  Prepared* oldest = nullptr;
  for (const auto& [prepared, owned] : prepared_) {
    if (prepared->state != Prepared::State::ready || prepared->in_flight != 0 || prepared->doomed) continue;
    if (oldest == nullptr || prepared->last_used < oldest->last_used) oldest = prepared;
  }
  if (oldest != nullptr) drop_prepared(*oldest, true);
}

void Connection::finish_prepare(Prepared& prepared) {
  if (prepared.error) return fail_prepared(prepared, nullptr);
  const auto unknown = unknown_types(types_, prepared.parameters, prepared.fields);
  if (unknown.empty()) return settle_prepared(prepared);
  auto lookup = std::make_unique<TypeLookup>(&prepared);
  TypeLookup& operation = *lookup;
  lookups_.emplace(&operation, std::move(lookup));
  submit_simple(operation, type_lookup_sql(unknown));
}

void Connection::settle_prepared(Prepared& prepared) {
  auto problems = verify(*prepared.spec, types_, prepared.parameters, prepared.fields, {});
  if (prepared.copy) problems.emplace_back(kCopyProblem);
  Request* waiting = std::exchange(prepared.waiting, nullptr);
  prepared.waiting_tail = &prepared.waiting;
  if (!problems.empty()) {
    drop_prepared(prepared, true);
    while (waiting != nullptr) {
      --preparing_;
      Request& request = *std::exchange(waiting, waiting->next_);
      request.prepared_ = nullptr;
      request.release_statements(false);
      request.fail(std::make_exception_ptr(QueryMismatch(mismatch_message(*request.statement_, problems))));
    }
    return;
  }
  for (const wire::Field& field : prepared.fields) {
    const Oid type = types_.base(field.type);
    prepared.columns.push_back(
        {type, is_json(type) || type == oid::record || types_.kind(type) == TypeKind::composite});
  }
  prepared.state = Prepared::State::ready;
  const bool once = prepared.id == 0 && prepared.in_flight == 0;
  if (waiting == nullptr && once) return drop_prepared(prepared, true);
  while (waiting != nullptr) {
    --preparing_;
    Request& request = *std::exchange(waiting, waiting->next_);
    request.on_prepared(*this, prepared);
  }
}

void Connection::fail_prepared(Prepared& prepared, std::exception_ptr why) noexcept {
  Request* waiting = std::exchange(prepared.waiting, nullptr);
  const auto fields = std::move(prepared.error);
  drop_prepared(prepared, false);
  while (waiting != nullptr) {
    --preparing_;
    Request& request = *std::exchange(waiting, waiting->next_);
    request.prepared_ = nullptr;
    request.release_statements(false);
    request.fail(fields ? error_of(*fields, *request.statement_) : why);
  }
}

void Connection::drop_prepared(Prepared& prepared, bool close_on_server) noexcept {
  if (prepared.id != 0 && prepared.id < by_id_.size() && by_id_[prepared.id] == &prepared)
    by_id_[prepared.id] = nullptr;
  if (close_on_server && open_ && !prepared.doomed && config_->prepared_statements) {
    wire::close_statement(out_, prepared.name);
    wire::sync(out_);
    push(nullptr);
  }
  prepared.doomed = true;
  if (prepared.in_flight == 0) prepared_.erase(&prepared);
}

void Connection::release(Prepared& prepared, bool drop) noexcept {
  --prepared.in_flight;
  if (prepared.doomed) {
    if (prepared.in_flight == 0) prepared_.erase(&prepared);
  } else if ((drop || prepared.id == 0) && prepared.state == Prepared::State::ready) {
    drop_prepared(prepared, true);  // else the server's answer is on its way to it, and settles it
  }
}

// Without prepared statements the server has forgotten it, or another session of it never knew it; the types of its
// parameters must be those that the arguments are written in. Before the Bind and in front of the same Sync: a pooler
// keeps them together.
void Connection::put_run(const Statement& statement, const Params& params, const Prepared& prepared, bool sync) {
  if (!config_->prepared_statements) [[unlikely]]
    wire::parse(out_, {}, statement.sql(), prepared.parameters);
  wire::Open message(out_, 'B');
  char* p = out_.reserve(prepared.name.size() + 6);
  std::size_t n = 0;
  p[n++] = 0;  // the unnamed portal
  std::memcpy(p + n, prepared.name.c_str(), prepared.name.size() + 1);
  n += prepared.name.size() + 1;
  wire::store_be<std::uint16_t>(p + n, 1);      // one format for all parameters:
  wire::store_be<std::uint16_t>(p + n + 2, 1);  // binary
  out_.commit(n + 4);
  write_params(out_, types_, prepared.parameters.data(), prepared.parameters.size(), params);
  wire::put<std::uint32_t>(out_, 0x00010001);  // and one for all columns: binary
  message.finish();
  if (!config_->prepared_statements) [[unlikely]]
    wire::describe_portal(out_);
  static constexpr char kExecute[] = {'E', 0, 0, 0, 9, 0, 0, 0, 0, 0};
  static constexpr char kExecuteSync[] = {'E', 0, 0, 0, 9, 0, 0, 0, 0, 0, 'S', 0, 0, 0, 4};
  sync ? out_.append(kExecuteSync, sizeof kExecuteSync) : out_.append(kExecute, sizeof kExecute);
}

void Connection::bind(Execution& execution, Prepared& prepared) {
  execution.prepared_ = nullptr;
  const std::size_t start = out_.size();
  try {
    put_run(*execution.statement_, execution.params_, prepared, true);
  } catch (...) {
    out_.truncate(start);
    if (prepared.id == 0) drop_prepared(prepared, true);
    return execution.fail(std::current_exception());
  }
  prepared.last_used = ++uses_;
  ++prepared.in_flight;
  execution.prepared_ = &prepared;
  execution.stage_ = Execution::Stage::sent;
  push(&execution);
}

void Connection::ended(Execution& execution) {
  const bool stale = execution.error && execution.statement_ != nullptr && is_stale(*execution.error);
  if (Prepared* const prepared = std::exchange(execution.prepared_, nullptr)) {
    prepared->duration.record(loop_->now() - execution.started_);
    release(*prepared, stale || execution.changed_);
  }
  if (stale && !execution.retried_ && transaction_status_ == 'I' && open_) {
    execution.retried_ = true;
    execution.error.reset();
    return submit(execution);
  }
  if (execution.error && !execution.failure_) {
    if (execution.statement_ != nullptr) {
      execution.failure_ = error_of(std::move(*execution.error), *execution.statement_);
    } else {
      execution.error->query = execution.sql_.substr(0, 80);
      execution.failure_ = make_error(std::move(*execution.error));
    }
  }
  execution.done();
}

void Connection::abandon(Operation& operation) noexcept {
  if (operation.sequence_ < head_ || operation.sequence_ >= tail_ || slot(operation.sequence_) != &operation) return;
  slot(operation.sequence_) = nullptr;
  if (exclusive_) request_cancel();
}

void Connection::copy_piece(Buffer& message) {
  if (message.size() > kLongestCopyData) [[unlikely]] {
    // A row of long values; a message need not end where a row does.
    for (std::string_view rest = message.view().substr(5); !rest.empty();) {
      const std::string_view part = rest.substr(0, kLongestCopyData);
      wire::copy_data(out_, part);
      rest.remove_prefix(part.size());
    }
  } else {
    wire::end_copy_data(message);
    if (out_.empty()) {
      std::swap(out_, message);
    } else {
      out_.append(message.view());
    }
  }
  message.clear();
  if ((events_ & EPOLLOUT) == 0) flush();  // else the server is behind, and epoll says when it takes more
}
void Connection::copy_done() {
  wire::copy_done(out_);
  touch();
}
void Connection::copy_fail(std::string_view reason) {
  wire::copy_fail(out_, reason);
  touch();
}

void Connection::watch(std::uint32_t events) {
  if (events == events_) return;
  events_ = events;
  loop_->modify(transport_.fd(), events, *this);
}

void Connection::pause(bool paused) {
  if (paused_ == paused || !open_) return;
  paused_ = paused;
  watch((paused ? 0U : static_cast<std::uint32_t>(EPOLLIN)) | (events_ & EPOLLOUT));
  if (!paused) {
    // What was received already must not wait for more bytes; deliver it outside the caller.
    loop_->post([this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.expired() || !open_ || paused_) return;
      on_io(0);
    });
  }
}

void Connection::on_tick_end() noexcept {
  if (open_) flush();
}

void Connection::flush() {
  while (!out_.empty()) {
    const net::Io io = transport_.write(out_.view());
    if (io.state == net::Io::State::done) {
      out_.consume(io.bytes);
      if (!out_.empty() && !transport_.secure()) return watch(events_ | EPOLLOUT);  // it took what it could
      continue;
    }
    if (io.state == net::Io::State::would_block) return watch(events_ | EPOLLOUT);
    // The reading side knows more: a server that goes away says why. If it says nothing, this is the reason.
    if (handling_) {
      out_.clear();
      return;
    }
    return lost(fmt::format("PostgreSQL closed the connection: {}", transport_.error()));
  }
  if ((events_ & EPOLLOUT) != 0) watch(events_ & ~static_cast<std::uint32_t>(EPOLLOUT));
  out_.shrink(kKeepBuffer);
  if (drain_ != nullptr) drain_->on_drained();
}

void Connection::on_io(std::uint32_t events) noexcept {
  try {
    if (paused_ && (events & (EPOLLHUP | EPOLLERR)) != 0) return lost("PostgreSQL closed the connection");
    if ((events & EPOLLOUT) != 0) {
      flush();
      if (!open_) return;
    }
    handling_ = true;
    receive();
    handling_ = false;
  } catch (const std::exception& error) {
    handling_ = false;
    lost(error.what());
  }
}

void Connection::receive() {
  process();
  // A loop serves others too: at most a few chunks a turn; level triggering brings us back.
  for (int turn = 0; turn < 8 && open_ && !paused_; ++turn) {
    std::size_t wanted = 0;
    wire::next_message(in_.view(), wanted);
    const std::size_t need = wanted > in_.size() ? wanted - in_.size() : 1;
    char* to = in_.reserve(std::max(need, in_.empty() ? kReadChunk : need));
    const std::size_t room = in_.room();
    const net::Io io = transport_.read({to, room});
    if (io.state == net::Io::State::would_block) {
      if (transport_.wants_write()) watch(events_ | EPOLLOUT);
      break;
    }
    if (io.state != net::Io::State::done) {
      lost(last_error_.empty()
               ? io.state == net::Io::State::closed ? "PostgreSQL closed the connection" : transport_.error()
               : last_error_);
      return;
    }
    in_.commit(io.bytes);
    ++received_;
    process();
    if (io.bytes < room && !transport_.has_pending()) break;
  }
  if (open_) in_.shrink(kKeepBuffer);
}

void Connection::process() {
  while (open_ && !paused_) {
    std::size_t size = 0;
    const auto message = wire::next_message(in_.view(), size);
    if (!message) return;
    handle(*message);
    in_.consume(size);
  }
}

void Connection::handle(const wire::Message& message) {
  Operation* const operation = head_ != tail_ ? slot(head_) : nullptr;
  switch (message.type) {
    case 'D':
      if (operation != nullptr) operation->on_row(*this, message.body);
      return;
    case 'C':
      if (operation != nullptr)
        operation->on_complete(*this, wire::affected_rows(wire::Reader(message.body).cstring()));
      return;
    case 'I':
      if (operation != nullptr) operation->on_complete(*this, 0);
      return;
    case 'Z': {
      transaction_status_ = wire::Reader(message.body).get<char>();
      if (head_ == tail_) throw ProtocolError("PostgreSQL is ready for a query that nobody sent");
      slot(head_) = nullptr;
      ++head_;
      head_since_ = loop_->now();
      if (operation != nullptr) operation->on_end(*this);
      if (owner_ != nullptr && open_) owner_->on_connection_progress(*this);
      return;
    }
    case '1':
    case '2':
    case '3':
    case 'n':
    case 's':
    case 'c':
      return;
    case 'T':
      if (operation != nullptr) operation->on_field_description(message.body);
      return;
    case 't':
      if (operation != nullptr) operation->on_parameter_description(message.body);
      return;
    case 'E': {
      ErrorFields fields = wire::error_fields(message.body);
      if (fields.severity == "FATAL" || fields.severity == "PANIC")
        last_error_ = "PostgreSQL ended the connection: " + fields.primary;
      if (operation != nullptr && !operation->error)
        operation->error = std::make_unique<ErrorFields>(std::move(fields));
      return;
    }
    case 'N': {
      const ErrorFields fields = wire::error_fields(message.body);
      const auto level = fields.severity == "WARNING" ? log::Level::warn : log::Level::debug;
      logger.write(level, "message of the database",
                   {{"severity", fields.severity}, {"text", fields.primary}, {"code", fields.code}});
      return;
    }
    case 'S': {
      wire::Reader in(message.body);
      const std::string name(in.cstring());
      const std::string value(in.cstring());
      std::erase_if(parameters_, [&](const auto& entry) { return entry.first == name; });
      parameters_.emplace_back(name, value);
      return;
    }
    case 'A': {
      const auto note = wire::notification(message.body);
      if (owner_ != nullptr) owner_->on_notification(note.pid, note.channel, note.payload);
      return;
    }
    case 'G':
    case 'H':
    case 'W':
      if (operation != nullptr) {
        operation->on_copy_start(*this, message.type);
      } else if (message.type == 'G') {
        copy_fail("cancelled");
      }
      return;
    case 'd':
      if (operation != nullptr) operation->on_copy_data(*this, message.body);
      return;
    default:
      throw ProtocolError(fmt::format("PostgreSQL sent a message of the unknown type {:#04x}",
                                      static_cast<unsigned char>(message.type)));
  }
}

void Connection::lost(const std::string& reason) noexcept {
  if (!open_) return;
  close(reason);
  if (owner_ != nullptr) owner_->on_connection_lost(*this, reason);
}

void Connection::close(const std::string& reason) noexcept {
  if (transport_) {
    if (open_) {
      if (loop_ != nullptr) loop_->remove(transport_.fd(), *this);
      if (head_ == tail_) {
        wire::terminate(out_);
        [[maybe_unused]] const auto sent = transport_.write(out_.view());
      }
    }
    transport_.close();
  }
  open_ = false;
  events_ = 0;
  fail_all(reason);
}

void Connection::fail_all(const std::string& reason) noexcept {
  while (head_ != tail_) {
    Operation* operation = slot(head_);
    slot(head_) = nullptr;
    ++head_;
    if (operation != nullptr) operation->on_lost(reason);
  }
  for (const auto& [prepared, owned] : prepared_) {
    Request* waiting = std::exchange(prepared->waiting, nullptr);
    while (waiting != nullptr) {
      --preparing_;
      Request& request = *std::exchange(waiting, waiting->next_);
      request.forget_statements();
      request.fail(std::make_exception_ptr(ConnectionLost(reason, false)));
    }
  }
  by_id_.clear();
  prepared_.clear();
  lookups_.clear();
  out_.clear();
  in_.clear();
}

}  // namespace ashlar::pg::detail
