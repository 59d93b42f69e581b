// Shards: one database too small for its data, as several. Each row lies where its key says; a query goes there.
//
//   pg::Shards shards{{.urls = {url_of_a, url_of_b}, .tables = {{"orders", "tenant"}}, .reference_tables =
//   {"countries"}}}; app.provide(shards);
//
//   inline const pg::ShardQuery<Order(std::int64_t, std::int64_t)> order{      // the first argument is the key
//       "select id, total from orders where tenant = $1 and id = $2"};
//   Order one = co_await shards.one(order, tenant, id);
//
// There is no planner of distributed queries, and no transaction over several shards: Citus has both.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/component.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/pg/shard_map.hpp>
#include <ashlar/pg/transaction.hpp>

namespace ashlar::pg {

namespace detail {
/// How a query finds its shard; kept in a list while the query lives.
class ShardRoute {
 public:
  static constexpr std::size_t kEvery = static_cast<std::size_t>(-1);
  ShardRoute(const Statement& statement, std::size_t key_at);
  ~ShardRoute();
  ShardRoute(const ShardRoute&) = delete;
  ShardRoute& operator=(const ShardRoute&) = delete;
  /// The number of the argument that is the key, kEvery for all shards; nullopt when the statement is not of that kind.
  [[nodiscard]] static std::optional<std::size_t> of(const Statement& statement);

 private:
  const Statement* statement_;
};

/// The type of the argument `At`; bool, which is no key, when there is none.
template <std::size_t At, class... A>
struct KeyArgument {
  using type = bool;
};
template <std::size_t At, class... A>
  requires(At < sizeof...(A))
struct KeyArgument<At, A...> {
  using type = std::tuple_element_t<At, std::tuple<A...>>;
};
}  // namespace detail

template <class Signature, std::size_t KeyAt = 0>
class ShardQuery;

/// A query on the shard of one key: of the argument `KeyAt`, counted from 0. Its SQL compares the key of every sharded
/// table in it with that argument, or joins it to one that does; `check` and the start refuse others.
template <class R, class... A, std::size_t KeyAt>
class ShardQuery<R(A...), KeyAt> : public Query<R(A...)> {
  static_assert(KeyAt < sizeof...(A), "pg::ShardQuery: no argument has this number; they are counted from 0");

 public:
  using Key = typename detail::KeyArgument<KeyAt, std::remove_cvref_t<A>...>::type;
  static_assert(ShardKey<Key> || KeyAt >= sizeof...(A),
                "pg::ShardQuery: a shard key is an integer, a std::string or a Uuid, and never NULL");
  explicit(false) ShardQuery(SqlLiteral sql, QueryOptions options = {},
                             std::source_location where = std::source_location::current())
      : Query<R(A...)>(sql, options, where), route_(*this, KeyAt) {}

 private:
  detail::ShardRoute route_;
};

template <class Signature>
class EveryShardQuery;

/// A query that runs on every shard.
template <class R, class... A>
class EveryShardQuery<R(A...)> : public Query<R(A...)> {
 public:
  explicit(false) EveryShardQuery(SqlLiteral sql, QueryOptions options = {},
                                  std::source_location where = std::source_location::current())
      : Query<R(A...)>(sql, options, where), route_(*this, detail::ShardRoute::kEvery) {}

 private:
  detail::ShardRoute route_;
};

struct ShardsOptions {
  /// Of the shards, in their order for ever. Empty: DATABASE_SHARD_URLS, with white space between them.
  std::vector<std::string> urls = {};
  /// Sharded tables, each with the column that is its key.
  std::vector<std::pair<std::string, std::string>> tables = {};
  /// Tables that are the same on every shard: only queries for all of them may write there.
  std::vector<std::string> reference_tables = {};
  /// For the Db of each shard: its migrations run on all of them. But for statistics_interval: several would be the
  /// same series of metrics, so none are made.
  Options each = {};
  /// Into how many the keys fall; a power of two, for ever.
  std::size_t buckets = 4'096;
  /// Shards that one call asks at a time, and how long it may take in all.
  std::size_t at_a_time = 16;
  std::chrono::milliseconds every_timeout = std::chrono::seconds{10};
  /// Rows that a call may collect from all shards together; more are an error.
  std::size_t max_rows = 100'000;
};

/// A shard could not be reached, or did not answer in time, in a call that needs all of them: 503, and nothing is
/// given.
class ShardFailed : public Unavailable {
 public:
  ShardFailed(std::string shard, const std::exception_ptr& cause);
  [[nodiscard]] const std::string& shard() const noexcept { return shard_; }
  /// What happened there, for logs.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  std::string shard_;
  std::string reason_;
};

/// A query of another shard in a transaction. Transactions are of one shard: write what belongs together under one key.
class CrossShard : public Internal {
 public:
  using Internal::Internal;
};

class Shards;

/// A transaction on the shard of one key.
class ShardTx {
 public:
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<R> one(const ShardQuery<R(A...), K>& query, const std::type_identity_t<A>&... arguments) {
    check<K>(query, arguments...);
    return tx_.one(query, arguments...);
  }
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<std::optional<R>> maybe(const ShardQuery<R(A...), K>& query,
                                             const std::type_identity_t<A>&... arguments) {
    check<K>(query, arguments...);
    return tx_.maybe(query, arguments...);
  }
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<std::vector<R>> all(const ShardQuery<R(A...), K>& query,
                                         const std::type_identity_t<A>&... arguments) {
    check<K>(query, arguments...);
    return tx_.all(query, arguments...);
  }
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<std::uint64_t> exec(const ShardQuery<R(A...), K>& query,
                                         const std::type_identity_t<A>&... arguments) {
    check<K>(query, arguments...);
    return tx_.exec(query, arguments...);
  }
  /// For savepoints, hooks, locks, and queries of reference tables.
  [[nodiscard]] Tx& here() noexcept { return tx_; }

 private:
  friend class Shards;
  ShardTx(const Shards& shards, std::size_t shard, Tx& tx) noexcept : shards_(shards), shard_(shard), tx_(tx) {}
  template <std::size_t K, class... A>
  void check(const Statement& statement, const A&... arguments) const {
    check_shard(statement, shard_hash_of(std::get<K>(std::tie(arguments...))));
  }
  void check_shard(const Statement& statement, std::uint64_t hash) const;

  const Shards& shards_;
  std::size_t shard_;
  Tx& tx_;
};

/// Errors of a query with a key are those of Executor.
class Shards final : public async::Component {
 public:
  explicit Shards(ShardsOptions options);
  ~Shards() override;

  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<R> one(const ShardQuery<R(A...), K>& query, const std::type_identity_t<A>&... arguments) {
    return on(std::get<K>(std::tie(arguments...))).one(query, arguments...);
  }
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<std::optional<R>> maybe(const ShardQuery<R(A...), K>& query,
                                             const std::type_identity_t<A>&... arguments) {
    return on(std::get<K>(std::tie(arguments...))).maybe(query, arguments...);
  }
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<std::vector<R>> all(const ShardQuery<R(A...), K>& query,
                                         const std::type_identity_t<A>&... arguments) {
    return on(std::get<K>(std::tie(arguments...))).all(query, arguments...);
  }
  template <class R, class... A, std::size_t K>
  [[nodiscard]] Task<std::uint64_t> exec(const ShardQuery<R(A...), K>& query,
                                         const std::type_identity_t<A>&... arguments) {
    return on(std::get<K>(std::tie(arguments...))).exec(query, arguments...);
  }
  /// A transaction on the shard of the key; `body(ShardTx&)`. A query of another shard in it throws CrossShard before
  /// it is sent. Repeated as Db::transaction is.
  template <ShardKey Key, class F>
  auto transaction(Key key, TransactionOptions options, F body) -> decltype(body(std::declval<ShardTx&>())) {
    const std::size_t shard = shard_of(shard_hash_of(key));
    co_return co_await db(shard).transaction(options, [&](Tx& tx) -> decltype(body(std::declval<ShardTx&>())) {
      ShardTx of_shard(*this, shard, tx);
      co_return co_await body(of_shard);
    });
  }
  template <ShardKey Key, class F>
  auto transaction(Key key, F body) -> decltype(body(std::declval<ShardTx&>())) {
    return transaction(std::move(key), TransactionOptions{}, std::move(body));
  }

  /// The rows of all shards, those of a shard together. Throws ShardFailed, naming the shard; TooManyRows beyond
  /// max_rows.
  template <class R, class... A>
  [[nodiscard]] Task<std::vector<R>> every(const EveryShardQuery<R(A...)>& query,
                                           const std::type_identity_t<A>&... arguments) {
    auto rows = co_await collect<R>(query, std::tuple<A...>(arguments...));
    std::vector<R> out;
    for (auto& part : rows) {
      for (R& row : part) out.push_back(std::move(row));
    }
    co_return out;
  }
  /// The first `limit` rows of all shards in the order of `key`, a member or a function of a row, rising;
  /// `std::greater{}` for falling. The query orders its rows so by itself (Internal, if not), and has a `limit` of its
  /// own.
  template <class Compare = std::less<>, class R, class... A, class KeyOf>
  [[nodiscard]] Task<std::vector<R>> merged(std::size_t limit, KeyOf key, const EveryShardQuery<R(A...)>& query,
                                            const std::type_identity_t<A>&... arguments) {
    auto rows = co_await collect<R>(query, std::tuple<A...>(arguments...));
    const auto before = [&](const R& a, const R& b) { return Compare{}(std::invoke(key, a), std::invoke(key, b)); };
    std::vector<std::size_t> at(rows.size(), 0);
    std::vector<R> out;
    while (out.size() < limit) {
      std::size_t best = rows.size();
      for (std::size_t shard = 0; shard < rows.size(); ++shard) {
        if (at[shard] == rows[shard].size()) continue;
        if (best == rows.size() || before(rows[shard][at[shard]], rows[best][at[best]])) best = shard;
      }
      if (best == rows.size()) break;
      R& row = rows[best][at[best]++];
      if (at[best] < rows[best].size() && before(rows[best][at[best]], row)) throw_unordered(query, best);
      out.push_back(std::move(row));
    }
    co_return out;
  }
  /// Runs on each shard, one after the other; gives the rows affected in all. There is no way back: when a shard fails
  /// (ShardFailed), those before it have it. For reference tables: write it so that it may be done again.
  template <class R, class... A>
  [[nodiscard]] Task<std::uint64_t> exec_every(const EveryShardQuery<R(A...)>& query,
                                               const std::type_identity_t<A>&... arguments) {
    const std::tuple<A...> values(arguments...);
    std::uint64_t affected = 0;
    for (std::size_t shard = 0; shard < size(); ++shard) {
      affected += co_await named(
          shard, std::apply([&](const auto&... value) { return db(shard).exec(query, value...); }, values));
    }
    co_return affected;
  }

  /// The database of the shard where rows with this key are.
  template <ShardKey Key>
  [[nodiscard]] Db& on(const Key& key) {
    return db(shard_of(shard_hash_of(key)));
  }
  /// Any of them, in turn: for reference tables.
  [[nodiscard]] Db& any();
  [[nodiscard]] Db& db(std::size_t shard);
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] const ShardMap& map() const;
  [[nodiscard]] std::size_t shard_of(std::uint64_t hash) const { return map().shard_of(map().bucket_of(hash)); }
  /// "1 (host:port/database)"
  [[nodiscard]] std::string describe(std::size_t shard) const;

  // async::Component
  [[nodiscard]] std::string_view name() const noexcept override { return "postgres shards"; }
  /// Each shard has a private server without fsync, as Db::use_throwaway() says.
  bool use_throwaway() override;
  /// Starts each, with its migrations; compares the map that every shard keeps in the table ashlar_shard (made when no
  /// shard has one and `each.migrate` is on), and refuses shards in another order, or another number of them.
  Task<void> start() override;
  Task<void> stop() override;
  Task<void> start_loop(async::Loop& loop) override;
  Task<void> stop_loop(async::Loop& loop) override;
  Task<std::optional<std::string>> unhealthy() override;
  /// Queries of sharded tables that do not say which shard.
  Task<std::vector<std::string>> check() override;
  std::vector<async::Command> commands() override;
  std::vector<std::pair<std::string, std::string>> settings() override;

 private:
  struct Impl;
  struct Every {
    explicit Every(std::size_t at_a_time) : slots(at_a_time) {}
    async::Semaphore slots;
    std::size_t rows = 0;
  };
  template <class R, class Values>
  Task<std::vector<std::vector<R>>> collect(const Statement& statement, Values values) {
    using Q = typename QueryOf<R, Values>::type;
    const auto& query = static_cast<const Q&>(statement);
    Every every(at_a_time());
    std::vector<Task<std::vector<R>>> tasks;
    const auto run = [&](std::size_t shard) -> Task<std::vector<R>> {
      const auto slot = co_await every.slots.acquire();
      auto rows = co_await named(
          shard, std::apply([&](const auto&... value) { return db(shard).all(query, value...); }, values));
      count_rows(statement, every.rows += rows.size());
      co_return rows;
    };
    for (std::size_t shard = 0; shard < size(); ++shard) tasks.push_back(run(shard));
    co_return co_await within(async::all(std::move(tasks)));
  }
  template <class R, class Values>
  struct QueryOf;
  template <class R, class... A>
  struct QueryOf<R, std::tuple<A...>> {
    using type = EveryShardQuery<R(A...)>;
  };
  /// The task's value; what is not the query's own fault becomes ShardFailed.
  template <class T>
  Task<T> named(std::size_t shard, Task<T> task) {
    std::exception_ptr error;
    try {
      co_return co_await std::move(task);
    } catch (const Unavailable&) {
      error = std::current_exception();
    } catch (const DeadlineExceeded&) {
      error = std::current_exception();
    }
    throw_failed(shard, error);
  }
  template <class T>
  Task<T> within(Task<T> task) {
    return async::timeout(every_timeout(), std::move(task));
  }
  [[nodiscard]] std::size_t at_a_time() const noexcept;
  [[nodiscard]] std::chrono::milliseconds every_timeout() const noexcept;
  void count_rows(const Statement& statement, std::size_t rows) const;
  [[noreturn]] void throw_failed(std::size_t shard, const std::exception_ptr& cause) const;
  [[noreturn]] void throw_unordered(const Statement& statement, std::size_t shard) const;

  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::pg
