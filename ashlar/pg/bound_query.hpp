// BoundQuery: a query with its arguments, to be run with others in one batch.
//
//   auto [book, reviews] = co_await db.batch(pg::one(book_by_id, id), pg::all(reviews_of_book, id));
//
// `one maybe all exec` are those of Executor.
#pragma once

#include <concepts>
#include <cstdint>
#include <ranges>
#include <type_traits>
#include <utility>

#include <ashlar/pg/detail/batch.hpp>
#include <ashlar/pg/detail/row_sinks.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {

/// The arguments are encoded; the query must live until the batch has ended. Made by one(), maybe(), all(), exec().
template <class Sink>
class BoundQuery final : public detail::BatchPart {
 public:
  using Result = typename Sink::Result;
  BoundQuery(const Statement& statement, Params&& params) noexcept : BatchPart(statement, std::move(params)) {}

 private:
  friend class Executor;
  void on_row(RowReader& row) override { sink_.on_row(row); }
  void restart() noexcept override { sink_ = Sink(); }
  Result finish() { return sink_.finish(statement(), affected()); }

  Sink sink_;
};

namespace detail {

template <class... A>
Params encode_arguments(const A&... arguments) {
  Params params;
  (encode_value(params, static_cast<const std::remove_cvref_t<A>&>(arguments)), ...);
  return params;
}

template <class T>
inline constexpr bool kIsBoundQuery = false;
template <class Sink>
inline constexpr bool kIsBoundQuery<BoundQuery<Sink>> = true;

/// A view, or another range, whose elements are made or moved out of as they are taken.
template <class T>
concept BoundQueries = std::ranges::input_range<T> && kIsBoundQuery<std::ranges::range_value_t<T>> &&
                       std::constructible_from<std::ranges::range_value_t<T>, std::ranges::range_reference_t<T>>;

}  // namespace detail

/// Exactly one row.
template <class R, class... A>
[[nodiscard]] BoundQuery<detail::OneSink<R>> one(const Query<R(A...)>& query,
                                                 const std::type_identity_t<A>&... arguments) {
  return {query, detail::encode_arguments<A...>(arguments...)};
}
/// One row or none.
template <class R, class... A>
[[nodiscard]] BoundQuery<detail::MaybeSink<R>> maybe(const Query<R(A...)>& query,
                                                     const std::type_identity_t<A>&... arguments) {
  return {query, detail::encode_arguments<A...>(arguments...)};
}
template <class R, class... A>
[[nodiscard]] BoundQuery<detail::AllSink<R>> all(const Query<R(A...)>& query,
                                                 const std::type_identity_t<A>&... arguments) {
  return {query, detail::encode_arguments<A...>(arguments...)};
}
/// The number of rows affected.
template <class R, class... A>
[[nodiscard]] BoundQuery<detail::ExecSink> exec(const Query<R(A...)>& query,
                                                const std::type_identity_t<A>&... arguments) {
  return {query, detail::encode_arguments<A...>(arguments...)};
}

}  // namespace ashlar::pg
