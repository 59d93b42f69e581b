#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/query_watch.hpp>
#include <ashlar/pg/detail/transaction_journal.hpp>
#include <ashlar/pg/pool.hpp>

namespace ashlar::pg::detail {

// -- Request

bool Request::await_ready() noexcept {
  if (!cancellable_ || !cancelled_already()) [[likely]]
    return false;
  mark_cancelled();
  return true;
}

void Request::begin(std::coroutine_handle<> handle) {
  suspend(handle, cancellable_ ? async::Cancellable::yes : async::Cancellable::no);
  started_ = loop()->now();
  pool_ != nullptr ? pool_->submit(*this) : submit_to(*connection_);
}

void Request::fail(std::exception_ptr why) noexcept {
  failure_ = std::move(why);
  done();
}

void Request::on_row(Connection&, std::string_view body) {
  if (sink_ == nullptr || prepared_ == nullptr) return;
  RowReader row(body, prepared_->columns);
  try {
    sink_->on_row(row);
  } catch (const ProtocolError&) {
    throw;
  } catch (const Error& bad) {
    sink_ = nullptr;  // the other rows are of no use
    const std::size_t column = row.index() == 0 ? 0 : row.index() - 1;
    failure_ = std::make_exception_ptr(QueryMismatch(
        fmt::format("{}: column {} `{}` holds {}", describe(), column + 1,
                    column < prepared_->fields.size() ? prepared_->fields[column].name : "?", bad.message())));
  } catch (...) {
    sink_ = nullptr;
    failure_ = std::current_exception();
  }
}

// Only without prepared statements. With them the server itself refuses to run one whose columns have changed.
void Request::on_field_description(std::string_view body) {
  if (prepared_ == nullptr) return;
  const auto same = [](const wire::Field& a, const wire::Field& b) { return a.type == b.type && a.name == b.name; };
  if (std::ranges::equal(wire::row_description(body), prepared_->fields, same)) return;
  changed_ = true;
  sink_ = nullptr;
  failure_ = std::make_exception_ptr(QueryMismatch(fmt::format(
      "{}: its columns have changed since it was described, by a migration perhaps; it was carried out, but its rows "
      "were not read. The next run looks at it anew",
      describe())));
}

void Request::on_lost(const std::string& reason) noexcept {
  forget_statements();
  if (error) {
    return fail(make_error(std::move(*error)));
  }
  fail(std::make_exception_ptr(ConnectionLost(
      fmt::format("{}; {} had been sent, so it is unknown whether it was carried out", reason, describe()), true)));
}

void Request::on_cancel() noexcept {
  switch (stage_) {
    case Stage::queued:
      pool_->forget(*this);
      break;
    case Stage::preparing: {
      --connection_->preparing_;
      Request** link = &prepared_->waiting;
      while (*link != this) link = &(*link)->next_;
      *link = next_;
      if (prepared_->waiting_tail == &next_) prepared_->waiting_tail = link;
      prepared_ = nullptr;
      release_statements(false);
      break;
    }
    case Stage::sent:
      release_statements(false);
      connection_->abandon(*this);
      break;
    case Stage::idle:
    case Stage::done:
      return;
  }
  mark_cancelled();
  done();
}

// -- Execution

void Execution::await_suspend(std::coroutine_handle<> handle) {
  if (statement_ != nullptr) {
    if (query_watchers.load(std::memory_order_relaxed) != 0) [[unlikely]]
      note_query(*statement_, async::context());
    if (pool_ == nullptr && connection_->noting_ != nullptr) connection_->noting_->note(*statement_);
  }
  begin(handle);
}

void Execution::submit_to(Connection& connection) { connection.submit(*this); }
void Execution::on_prepared(Connection& connection, Prepared& prepared) { connection.bind(*this, prepared); }
void Execution::on_end(Connection& connection) noexcept { connection.ended(*this); }

void Execution::release_statements(bool drop) noexcept {
  if (prepared_ != nullptr) connection_->release(*std::exchange(prepared_, nullptr), drop);
}

std::string Execution::describe() const {
  return statement_ != nullptr ? statement_->describe() : fmt::format("SQL `{}`", sql_.substr(0, 60));
}

bool is_stale(const ErrorFields& error) {
  return error.code == "26000" ||
         (error.code == "0A000" &&
          (error.routine == "RevalidateCachedQuery" || error.primary == "cached plan must not change result type"));
}

std::exception_ptr error_of(ErrorFields fields, const Statement& statement) {
  fields.query = statement.name();
  fields.file = statement.file();
  fields.line = statement.line();
  return make_error(std::move(fields));
}

// -- Prepared

void Prepared::on_field_description(std::string_view body) { fields = wire::row_description(body); }
void Prepared::on_parameter_description(std::string_view body) { parameters = wire::parameter_description(body); }
void Prepared::on_end(Connection& connection) noexcept { connection.finish_prepare(*this); }
void Prepared::on_lost(const std::string&) noexcept {}  // those who wait for it are told by Connection::fail_all

// -- TextQuery

bool TextQuery::await_ready() noexcept {
  if (!cancelled_already()) return false;
  mark_cancelled();
  return true;
}
void TextQuery::await_suspend(std::coroutine_handle<> handle) {
  suspend(handle);
  connection_.submit_simple(*this, sql_);
}
std::vector<TextQuery::Row> TextQuery::await_resume() {
  check_cancelled();
  if (failure_) std::rethrow_exception(failure_);
  return std::move(rows_);
}
void TextQuery::on_row(Connection&, std::string_view body) { rows_.push_back(text_row(body)); }
void TextQuery::on_end(Connection&) noexcept {
  if (error) {
    error->query = sql_.substr(0, 80);
    failure_ = make_error(std::move(*error));
  }
  wake();
}
void TextQuery::on_lost(const std::string& reason) noexcept {
  failure_ = std::make_exception_ptr(ConnectionLost(reason, true));
  wake();
}
void TextQuery::on_cancel() noexcept {
  connection_.abandon(*this);
  mark_cancelled();
  wake();
}

std::vector<std::optional<std::string>> text_row(std::string_view body) {
  wire::Reader in(body);
  std::vector<std::optional<std::string>> row(in.get<std::uint16_t>());
  for (auto& value : row) {
    const auto length = in.get<std::int32_t>();
    if (length >= 0) value = std::string(in.bytes(static_cast<std::size_t>(length)));
  }
  return row;
}

// -- Description

bool Description::await_ready() noexcept {
  if (!cancelled_already()) return false;
  mark_cancelled();
  return true;
}
void Description::await_suspend(std::coroutine_handle<> handle) {
  suspend(handle);
  connection_.submit_describe(*this, sql_);
}
void Description::await_resume() {
  check_cancelled();
  if (failure_) std::rethrow_exception(failure_);
}
void Description::on_end(Connection&) noexcept { wake(); }
void Description::on_lost(const std::string& reason) noexcept {
  failure_ = std::make_exception_ptr(ConnectionLost(reason, true));
  wake();
}
void Description::on_cancel() noexcept {
  connection_.abandon(*this);
  mark_cancelled();
  wake();
}

// -- types

std::vector<Oid> unknown_types(const TypeMap& types, std::span<const Oid> parameters,
                               std::span<const wire::Field> fields) {
  std::vector<Oid> out;
  const auto need = [&](Oid type) {
    if (type != 0 && types.find(type) == nullptr && std::find(out.begin(), out.end(), type) == out.end())
      out.push_back(type);
  };
  for (const Oid type : parameters) need(type);
  for (const wire::Field& field : fields) need(field.type);
  return out;
}

std::string type_lookup_sql(std::span<const Oid> types) {
  std::string list;
  for (const Oid type : types) list += fmt::format("{}{}", list.empty() ? "" : ",", type);
  return fmt::format(
      "with recursive t(oid) as ("
      " select unnest(array[{}]::oid[])"
      " union"
      " select x.oid from t join pg_catalog.pg_type c on c.oid = t.oid cross join lateral ("
      "   select c.typelem as oid where c.typelem <> 0"
      "   union all select c.typbasetype where c.typbasetype <> 0"
      "   union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = c.oid"
      "   union all select r.rngtypid from pg_catalog.pg_range r where (to_jsonb(r)->>'rngmultitypid')::oid = c.oid"
      "   union all select a.atttypid from pg_catalog.pg_attribute a"
      "     where a.attrelid = c.typrelid and c.typrelid <> 0 and a.attnum > 0 and not a.attisdropped) x)"
      " select c.oid, c.typname, c.typtype, c.typcategory, c.typelem, c.typbasetype,"
      // Through JSON: before PostgreSQL 14 there are no multiranges, and no such column.
      "  (select case when r.rngtypid = c.oid then r.rngsubtype else r.rngtypid end from pg_catalog.pg_range r"
      "    where c.oid in (r.rngtypid, (to_jsonb(r)->>'rngmultitypid')::oid)),"
      "  (select string_agg(a.atttypid::text, ',' order by a.attnum) from pg_catalog.pg_attribute a"
      "    where a.attrelid = c.typrelid and c.typrelid <> 0 and a.attnum > 0 and not a.attisdropped)"
      " from t join pg_catalog.pg_type c on c.oid = t.oid",
      list);
}

void add_type(TypeMap& types, const std::vector<std::optional<std::string>>& row) {
  if (row.size() != 8) throw ProtocolError("the catalog's answer about types has another shape");
  const auto number = [&](std::size_t i) {
    Oid value = 0;
    if (row[i]) std::from_chars(row[i]->data(), row[i]->data() + row[i]->size(), value);
    return value;
  };
  TypeEntry entry;
  entry.id = number(0);
  entry.name = row[1].value_or("");
  const char kind = row[2].value_or("b")[0];
  const char category = row[3].value_or("U")[0];
  if (category == 'A' && number(4) != 0) {
    entry.kind = TypeKind::array;
    entry.element = number(4);
  } else if (kind == 'd') {
    entry.kind = TypeKind::domain;
    entry.element = number(5);
  } else if (kind == 'r' || kind == 'm') {
    entry.kind = static_cast<TypeKind>(kind);
    entry.element = number(6);
  } else {
    entry.kind = static_cast<TypeKind>(kind);
  }
  if (row[7]) {
    std::string_view list = *row[7];
    while (!list.empty()) {
      Oid value = 0;
      const auto end = std::from_chars(list.data(), list.data() + list.size(), value).ptr;
      entry.attributes.push_back(value);
      list.remove_prefix(static_cast<std::size_t>(end - list.data()));
      if (!list.empty()) list.remove_prefix(1);
    }
  }
  types.add(std::move(entry));
}

}  // namespace ashlar::pg::detail
