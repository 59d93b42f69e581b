#include <ashlar/pg/repeated_queries.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <ashlar/pg/detail/query_watch.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {

struct RepeatedQueries::Counts {
  struct One {
    std::string described;
    std::size_t times = 0;
  };
  std::size_t limit = 0;
  mutable std::mutex mutex;
  std::map<std::string, One, std::less<>> by_sql;
};

namespace {

using namespace std::chrono_literals;
using detail::SqlToken;
using Kind = SqlToken::Kind;

inline log::Logger logger{"pg.repeats"};

struct Watchers {
  std::mutex mutex;
  std::vector<std::shared_ptr<RepeatedQueries::Counts>> counts;
  std::vector<std::size_t> limits;  // of those who want warnings
  std::atomic<std::size_t> lowest{0};

  void set_lowest() { lowest = limits.empty() ? 0 : *std::ranges::min_element(limits); }
};
Watchers& watchers() {
  static auto* instance = new Watchers;  // queries may run until the very end
  return *instance;
}

std::string described(const Statement& statement) {
  return fmt::format("{} ({}:{})", statement.name(), statement.file(), statement.line());
}

/// What tells a request from all others: contexts are copied to children, and used again by the next request of a
/// connection, whose deadline is another.
struct RequestKey {
  std::uintptr_t scope = 0;
  std::int64_t deadline = 0;
  const Statement* statement = nullptr;
  bool operator==(const RequestKey&) const = default;
};

/// A loop's own: counts of the requests of late. A request whose place another one takes is counted anew: a warning may
/// be missed, none is wrong.
class RecentRequests {
 public:
  /// How often that request has run it by now.
  std::size_t count(const RequestKey& key) noexcept {
    const std::size_t hash = std::hash<std::uintptr_t>{}(key.scope) * 31 +
                             std::hash<std::int64_t>{}(key.deadline) * 17 + std::hash<const void*>{}(key.statement);
    Slot& slot = slots_[(hash ^ (hash >> 17)) % slots_.size()];
    if (slot.key != key) slot = {key, 0};
    return ++slot.times;
  }
  /// True once a minute for a query.
  bool may_warn(const Statement& statement, async::TimePoint now) {
    async::TimePoint& next = next_[statement.id()];
    if (now < next) return false;
    next = now + 1min;
    return true;
  }

 private:
  struct Slot {
    RequestKey key;
    std::size_t times = 0;
  };
  std::array<Slot, 1024> slots_{};
  std::unordered_map<std::uint32_t, async::TimePoint> next_;  // by query: as many as the program has
};

metrics::Counter repeats_of(const Statement& statement) {
  return metrics::default_registry().counter(
      {.name = "pg.repeated_queries", .help = "Requests that ran one query again and again.", .unit = "{request}"},
      {{"query", statement.name()}});
}

void note_for_log(const Statement& statement, const async::Context& context, std::size_t limit) {
  if (context.scope == nullptr || context.deadline == async::TimePoint::max() || statement.id() == 0) return;
  thread_local RecentRequests recent;
  const RequestKey key{reinterpret_cast<std::uintptr_t>(context.scope), context.deadline.time_since_epoch().count(),
                       &statement};
  if (recent.count(key) != limit) return;
  repeats_of(statement).add();
  if (!recent.may_warn(statement, async::Clock::now())) return;
  logger.warn("one request runs the same query again and again",
              {{"query", described(statement)}, {"times", limit}, {"instead", batched(statement.sql())}});
}

}  // namespace

namespace detail {

void note_query(const Statement& statement, const async::Context* context) noexcept {
  try {
    Watchers& all = watchers();
    if (const std::size_t limit = all.lowest.load(std::memory_order_relaxed); limit != 0 && context != nullptr)
      note_for_log(statement, *context, limit);
    const std::lock_guard lock(all.mutex);
    for (const auto& counts : all.counts) {
      const std::lock_guard own(counts->mutex);
      auto it = counts->by_sql.find(statement.sql());
      if (it == counts->by_sql.end())
        it = counts->by_sql.emplace(std::string(statement.sql()), RepeatedQueries::Counts::One{described(statement), 0})
                 .first;
      ++it->second.times;
    }
  } catch (...) {
    // out of memory: the query matters more than its count
  }
}

RepeatWarnings::RepeatWarnings(std::size_t limit) noexcept : limit_(limit) {
  Watchers& all = watchers();
  const std::lock_guard lock(all.mutex);
  all.limits.push_back(limit_);
  all.set_lowest();
  ++query_watchers;
}

RepeatWarnings::~RepeatWarnings() {
  Watchers& all = watchers();
  const std::lock_guard lock(all.mutex);
  all.limits.erase(std::ranges::find(all.limits, limit_));
  all.set_lowest();
  --query_watchers;
}

}  // namespace detail

RepeatedQueries::RepeatedQueries(std::size_t limit) : counts_(std::make_shared<Counts>()) {
  counts_->limit = std::max<std::size_t>(limit, 2);
  Watchers& all = watchers();
  const std::lock_guard lock(all.mutex);
  all.counts.push_back(counts_);
  ++detail::query_watchers;
}

RepeatedQueries::~RepeatedQueries() {
  Watchers& all = watchers();
  const std::lock_guard lock(all.mutex);
  std::erase(all.counts, counts_);
  --detail::query_watchers;
}

std::vector<RepeatedQuery> RepeatedQueries::found() const {
  std::vector<RepeatedQuery> out;
  const std::lock_guard lock(counts_->mutex);
  for (const auto& [sql, one] : counts_->by_sql) {
    if (one.times >= counts_->limit) out.push_back({one.described, one.times, batched(sql)});
  }
  std::ranges::sort(out, [](const RepeatedQuery& a, const RepeatedQuery& b) {
    return a.times != b.times ? a.times > b.times : a.query < b.query;
  });
  return out;
}

std::string RepeatedQueries::report() const {
  std::string out;
  for (const RepeatedQuery& query : found())
    out += fmt::format("{} ran {} times; once is enough: {}\n", query.query, query.times, query.instead);
  return out;
}

std::string batched(std::string_view sql) {
  const auto tokens = detail::sql_tokens(sql);
  if (tokens.empty()) return {};
  if (tokens.front().is("insert"))
    return "Executor::copy_in, or insert … select * from unnest($1, $2, …) with a std::vector for each column";
  const auto parameters = std::ranges::count(tokens, Kind::parameter, &SqlToken::kind);
  if (!tokens.front().is("update") && parameters == 1) {
    for (std::size_t i = 1; i < tokens.size(); ++i) {
      if (tokens[i].kind != Kind::parameter || tokens[i - 1].text != "=") continue;
      return fmt::format("{}any({}){}", sql.substr(0, tokens[i].at), tokens[i].text, sql.substr(tokens[i].end()));
    }
  }
  if (tokens.front().is("update") || tokens.front().is("delete"))
    return "one statement with … from unnest($1, $2, …) as v (…), with a std::vector for each column";
  return "one query that joins unnest($1, $2, …) as v (…), with a std::vector for each parameter";
}

}  // namespace ashlar::pg
