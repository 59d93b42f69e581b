// Bulk<T>: many things in one request, each with an outcome of its own.
//
//   app.post<"/books/bulk">([](Bulk<NewBook> books, pg::Db& db) -> Task<BulkAnswer<Book>> {
//     co_return co_await books.each([&](NewBook book) -> Task<Book> {
//       co_return co_await db.one(add_book, book.title, book.price);
//     }, 201);
//   });
//
// For all or nothing there is no need of it: `Body<Annotated<std::vector<T>, max_items{100}>>` refuses the whole when
// one does not fit, and a transaction keeps the rest together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/app/detail/extract.hpp>
#include <ashlar/app/detail/respond.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/errors.hpp>

namespace ashlar {

/// One thing that is wrong with an item.
struct BulkErrorItem {
  std::string type;
  std::vector<std::variant<std::string, std::int64_t>> loc;
  std::string msg;
};
/// Why an item failed: what the answer would have said, had it come alone.
struct BulkError {
  std::string title;
  std::optional<std::string> detail;
  std::vector<BulkErrorItem> errors;
  static constexpr SchemaOptions schema{.omit_null = true};
};
template <class R>
struct BulkItem {
  Annotated<int, description{"The status that the item would have had alone"}> status = 200;
  std::optional<R> value;
  std::optional<BulkError> error;
  static constexpr SchemaOptions schema{.omit_null = true};
};

/// The outcome of every item, in their order: 200 when all went well, else 207 (Multi-Status).
template <class R>
struct BulkAnswer {
  std::vector<BulkItem<R>> items;
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;
};

namespace detail {

struct BulkSlot {
  Call* call = nullptr;
  std::vector<std::string> texts;  // the items, as JSON
};
void read_bulk(Call& call, std::size_t most, BulkSlot& slot, schema::Errors& errors);
/// Reads one. Gives what is wrong with it.
std::optional<std::vector<schema::ErrorItem>> read_bulk_item(const BulkSlot& slot, std::size_t at,
                                                             const schema::TypeInfo& type, void* into);
/// What an exception says, as the application maps it. Rethrows when the client has gone.
Problem bulk_problem(const Call& call, const std::exception_ptr& error);
BulkError bulk_error(const Problem& problem);

template <class R>
void add_bulk_failure(BulkAnswer<R>& answer, const Problem& problem) {
  answer.items.push_back({problem.status, std::nullopt, bulk_error(problem)});
  ++answer.failed;
}

}  // namespace detail

/// A JSON array of 1 to Most items; another body is 422 as a whole. An item that does not fit T fails alone.
template <class T, std::size_t Most = 100>
class Bulk {
 public:
  explicit Bulk(detail::BulkSlot slot) : slot_(std::move(slot)) {}

  [[nodiscard]] std::size_t size() const noexcept { return slot_.texts.size(); }

  /// Calls `f(T)`, a Task or not, for one item after the other, and keeps what it gives or throws. `status`: of an item
  /// that went well. When the request's deadline passes, the items that are left fail with 503 untried: what was done
  /// is told.
  template <class F>
  auto each(F f, int status = 200) -> Task<BulkAnswer<detail::unwrapped_t<std::invoke_result_t<F&, T>>>> {
    using Result = std::invoke_result_t<F&, T>;
    using R = detail::unwrapped_t<Result>;
    static_assert(!std::is_void_v<R>, "each item has a value in the answer: return what was made or changed");
    BulkAnswer<R> answer;
    bool late = false;
    for (std::size_t i = 0; i < size(); ++i) {
      if (late) {
        detail::add_bulk_failure(answer, Problem{.status = 503, .detail = "the request's time was over; not tried"});
        continue;
      }
      std::exception_ptr error;
      std::optional<R> value;
      T item{};
      if (auto wrong = detail::read_bulk_item(slot_, i, schema::type_info<T>(), &item)) {
        detail::add_bulk_failure(answer,
                                 Problem{.status = 422, .detail = "the item has errors", .errors = std::move(*wrong)});
        continue;
      }
      try {
        if constexpr (async::is_task<Result>) {
          value.emplace(co_await f(std::move(item)));
        } else {
          value.emplace(f(std::move(item)));
        }
      } catch (...) {
        error = std::current_exception();
      }
      if (!error) {
        answer.items.push_back({status, std::move(value), std::nullopt});
        ++answer.succeeded;
        continue;
      }
      const Problem problem = detail::bulk_problem(*slot_.call, error);
      late = problem.status == 504;
      detail::add_bulk_failure(answer, problem);
    }
    co_return answer;
  }

 private:
  detail::BulkSlot slot_;
};

namespace detail {

template <class T, std::size_t Most>
struct Extractor<Bulk<T, Most>> {
  using Slot = BulkSlot;
  using List = Annotated<std::vector<T>, min_items{1}, max_items{static_cast<std::int64_t>(Most)}>;
  static constexpr Source kSource = Source::body;
  static void read(Call& call, Slot& slot, schema::Errors& errors) { read_bulk(call, Most, slot, errors); }
  static Bulk<T, Most> pass(Slot& slot) { return Bulk<T, Most>(std::move(slot)); }
  static void describe(OperationInfo& info) {
    info.body = BodyInfo{"application/json", &schema::type_info<List>(), true};
  }
};

template <class R>
struct Respond<BulkAnswer<R>> {
  static void write(Call& call, const BulkAnswer<R>& answer) {
    respond_json(call, answer.failed == 0 ? 200 : 207, answer);
  }
  static void describe(OperationInfo& info) {
    for (const int status : {200, 207})
      describe_response(info, status, "application/json", &schema::type_info<BulkAnswer<R>>());
  }
};

}  // namespace detail
}  // namespace ashlar
