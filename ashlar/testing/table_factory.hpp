// TableFactory<T>: rows of a table, from the constraints of a struct, with the rows of other tables that they need.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/schema/reflect.hpp>
#include <ashlar/testing/factory.hpp>

namespace ashlar::testing {

namespace detail {

/// insert into "table" ("a", "b") values ($1, $2) returning "c"
std::string insert_sql(std::string_view table, std::span<const std::string_view> columns,
                       std::span<const std::string_view> returning);
[[noreturn]] void throw_relations_go_round(std::string_view table);

template <class Row, class T>
using InsertQuery = typename decltype(schema::visit_members(std::declval<const T&>(), []<class... M>(const M&...) {
  return std::type_identity<pg::DynamicQuery<Row(M...)>>{};
}))::type;

/// A key that no row has, for a member that its relation is to fill in.
template <class Key>
Key no_key() {
  if constexpr (std::unsigned_integral<Key>) {
    return std::numeric_limits<Key>::max();
  } else if constexpr (std::integral<Key>) {
    return std::numeric_limits<Key>::min();
  } else if constexpr (std::same_as<Key, Uuid>) {
    static const Uuid id = Uuid::v4();
    return id;
  } else {
    static_assert(std::same_as<Key, std::string>, "a relation's key is a number, a Uuid or a std::string");
    static const std::string text = "no key " + Uuid::v4().to_string();
    return text;
  }
}

}  // namespace detail

/// `TableFactory<NewArticle, Article> articles{"articles"}; articles.belongs_to(&NewArticle::author_id, users,
/// &User::id); const Article one = client.run(articles.insert(db));` T's members are the columns that are written, by
/// name; Row's those that come back. It must outlive its tasks. Not thread-safe.
template <class T, class Row = T>
class TableFactory {
 public:
  using Change = std::function<void(T&)>;

  explicit TableFactory(pg::SqlLiteral table, FactoryOptions options = {})
      : table_(table.text()),
        values_(options),
        insert_(std::make_unique<detail::InsertQuery<Row, T>>(
            pg::unsafe_sql(detail::insert_sql(table_, schema::kMemberNames<T>, schema::kMemberNames<Row>)))) {}

  /// What is written: for sequences, traits, members that other factories make, and values that are not inserted.
  [[nodiscard]] Factory<T>& values() noexcept { return values_; }

  /// Each row gets a new row of the other table, and its key in the member: unless a trait, the change of this row, or
  /// a sequence that was named later, has set the member. `others` must outlive this.
  template <class M, class U, class Other, class Key>
  TableFactory& belongs_to(M T::* member, TableFactory<U, Other>& others, Key Other::* key) {
    using Bare = std::remove_cvref_t<decltype(detail::no_key<Key>())>;
    values_.sequence(member, detail::no_key<Bare>());
    relations_.push_back([member, &others, key](pg::Executor& db, T& into, unsigned depth) -> Task<void> {
      if (into.*member != detail::no_key<Bare>()) co_return;
      const Other other = co_await others.insert_at(db, {}, {}, depth);
      into.*member = other.*key;
    });
    return *this;
  }

  /// Runs for every row that was inserted, before insert() gives it: for rows that belong to it.
  TableFactory& after_insert(std::function<Task<void>(pg::Executor&, const Row&)> hook) {
    hooks_.push_back(std::move(hook));
    return *this;
  }

  /// Makes a value as Factory::make does, and inserts it. Throws what make() and the database throw; Invalid when the
  /// relations go round in a circle.
  [[nodiscard]] Task<Row> insert(pg::Executor& db, std::vector<std::string> traits, Change change = {}) {
    return insert_at(db, std::move(traits), std::move(change), 0);
  }
  [[nodiscard]] Task<Row> insert(pg::Executor& db, Change change = {}) {
    return insert_at(db, {}, std::move(change), 0);
  }
  /// One after the other.
  [[nodiscard]] Task<std::vector<Row>> insert_many(pg::Executor& db, std::size_t count, Change change = {}) {
    std::vector<Row> all;
    all.reserve(count);
    while (all.size() < count) all.push_back(co_await insert(db, change));
    co_return all;
  }

 private:
  template <class, class>
  friend class TableFactory;
  static constexpr unsigned kDeepest = 16;  // rows that belong to rows

  Task<Row> insert_at(pg::Executor& db, std::vector<std::string> traits, Change change, unsigned depth) {
    if (depth > kDeepest) detail::throw_relations_go_round(table_);
    T value = values_.make({traits.begin(), traits.end()}, change);
    for (const auto& relation : relations_) co_await relation(db, value, depth + 1);
    auto inserting = schema::visit_members(value, [&](const auto&... members) { return db.one(*insert_, members...); });
    Row row = co_await std::move(inserting);
    for (const auto& hook : hooks_) co_await hook(db, row);
    co_return row;
  }

  std::string_view table_;
  Factory<T> values_;
  std::unique_ptr<detail::InsertQuery<Row, T>> insert_;  // tasks refer to it
  std::vector<std::function<Task<void>(pg::Executor&, T&, unsigned depth)>> relations_;
  std::vector<std::function<Task<void>(pg::Executor&, const Row&)>> hooks_;
};

}  // namespace ashlar::testing
