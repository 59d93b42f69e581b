#include <ashlar/pg/detail/transaction_journal.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <string_view>
#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/retries.hpp>
#include <ashlar/pg/detail/statement_names.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/statement.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg::detail {
namespace {

const log::Logger logger{"pg.transaction"};

struct Open {
  std::mutex mutex;
  TransactionJournal* first = nullptr;
};
Open& open_transactions() {
  static auto* instance = new Open;  // transactions may outlive globals
  return *instance;
}

std::string describe_statement(std::uint32_t id) {
  std::string out = "SQL made at run time";
  if (id == 0) return out;
  out = "a query that is gone";
  Statement::for_each([&](const Statement& statement) {
    if (statement.id() == id) out = statement.describe();
  });
  return out;
}

std::string place(std::source_location where) { return fmt::format("{}:{}", where.file_name(), where.line()); }

/// What the server knows of a process that is none of ours: its last statement may be the one after.
Task<std::string> ask_server(Connection& connection, std::int32_t pid) {
  const std::string sql = fmt::format(
      "select coalesce(nullif(application_name, ''), 'a program without a name'), coalesce(host(client_addr), 'this "
      "machine'), query from pg_catalog.pg_stat_activity where pid = {}",
      pid);
  std::string out = "a session that has ended";
  const auto rows = co_await TextQuery(connection, sql);
  for (const auto& row : rows) {
    out = fmt::format("{} on {}; its last statement: {}", row.at(0).value_or(""), row.at(1).value_or(""),
                      StatementNames().describe(row.at(2).value_or("")));
  }
  co_return out;
}

}  // namespace

TransactionJournal::TransactionJournal(const Connection& connection)
    : server_(&connection.address()), pid_(connection.backend_pid()) {
  Open& open = open_transactions();
  const std::lock_guard lock(open.mutex);
  next_ = open.first;
  link_ = &open.first;
  if (next_ != nullptr) next_->link_ = &next_;
  open.first = this;
}

TransactionJournal::~TransactionJournal() {
  const std::lock_guard lock(open_transactions().mutex);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
}

void TransactionJournal::begin(std::source_location begun) noexcept {
  const std::lock_guard lock(open_transactions().mutex);
  begun_ = begun;
  count_.store(0, std::memory_order_relaxed);
}

std::uint32_t TransactionJournal::id_of(const Statement& statement) noexcept { return statement.id(); }

std::string TransactionJournal::describe(const net::Address& server, std::int32_t pid) {
  std::source_location begun;
  std::vector<std::uint32_t> ids;
  {
    Open& open = open_transactions();
    const std::lock_guard lock(open.mutex);
    const TransactionJournal* found = open.first;
    while (found != nullptr && (found->pid_ != pid || !(*found->server_ == server))) found = found->next_;
    if (found == nullptr) return {};
    begun = found->begun_;
    const std::uint32_t count = found->count_.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(count, kKept); ++i)
      ids.push_back(found->ids_[(count - 1 - i) % kKept].load(std::memory_order_relaxed));
  }
  std::string out = fmt::format("transaction begun at {}", place(begun));
  for (std::size_t i = 0; i < ids.size(); ++i)
    out += fmt::format("{}{}", i == 0 ? "; statements, the last one first: " : ", ", describe_statement(ids[i]));
  return out;
}

std::vector<std::int32_t> deadlocked_processes(std::string_view detail) {
  std::vector<std::int32_t> out;
  while (!detail.empty()) {
    const std::string_view line = detail.substr(0, detail.find('\n'));
    detail.remove_prefix(std::min(detail.size(), line.size() + 1));
    const auto digit = std::ranges::find_if(line, [](char c) { return is_digit_ascii(c); });
    std::int32_t pid = 0;
    std::from_chars(line.data() + (digit - line.begin()), line.data() + line.size(), pid);
    if (pid > 0 && std::ranges::find(out, pid) == out.end()) out.push_back(pid);
  }
  return out;
}

void name_known_sides(const Connection& connection, ErrorFields& deadlock, std::string_view own) {
  for (const std::int32_t pid : deadlocked_processes(deadlock.detail)) {
    const bool ours = pid == connection.backend_pid();
    const std::string what =
        ours && !own.empty() ? std::string(own) : TransactionJournal::describe(connection.address(), pid);
    if (!what.empty()) deadlock.detail += fmt::format("\nProcess {} is {}{}", pid, ours ? "this " : "", what);
  }
}

Task<void> name_other_sides(Connection& connection, ErrorFields& deadlock) {
  for (const std::int32_t pid : deadlocked_processes(deadlock.detail)) {
    const std::string line = fmt::format("\nProcess {} is ", pid);
    if (deadlock.detail.contains(line)) continue;
    std::string what = "unknown";
    try {
      what = co_await ask_server(connection, pid);
    } catch (const std::exception&) {
      // the connection broke, or may not ask
    }
    deadlock.detail += line + what;
  }
}

FailedTransaction::FailedTransaction(Connection& connection, const TransactionJournal& journal,
                                     std::exception_ptr error)
    : connection_(connection), journal_(journal), error_(std::move(error)) {
  try {
    std::rethrow_exception(error_);
  } catch (Deadlock& deadlock) {
    deadlock_ = &deadlock;
    name_known_sides(connection, deadlock);
  } catch (...) {
    // of no interest before it is rolled back
  }
}

Task<void> FailedTransaction::report(unsigned attempt, bool again) {
  if (deadlock_ == nullptr) {
    try {
      std::rethrow_exception(error_);
    } catch (const SerializationFailure&) {
      count_disturbed("serialization", again);
    } catch (...) {
      // its own doing
    }
    co_return;
  }
  count_disturbed("deadlock", again);
  co_await name_other_sides(connection_, *deadlock_);
  logger.warn(again ? "transactions waited for each other: this one runs again"
                    : "transactions waited for each other: this one has failed",
              {{"attempt", attempt},
               {"begun_at", place(journal_.begun())},
               {"query", deadlock_->query},
               {"detail", deadlock_->detail}});
}

}  // namespace ashlar::pg::detail
