// Pages of a list: Page<T> by limit and offset, CursorPage<T> by cursors, and the parameters that ask for them.
//
//   app.get<"/products">([](ListQuery<ProductList> query, pg::Db& db) -> Task<Page<Product>> {
//     co_return co_await products.page(db, query);  // a pg::Listing
//   });
//   app.get<"/feed">([](ListQuery<Feed> query, const Cursors& cursors, pg::Db& db) -> Task<CursorPage<Product>> {
//     co_return cursors.seal(co_await feed.after(db, query, cursors.open(query.cursor)));
//   });
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/app/detail/respond.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/reflect.hpp>

namespace ashlar {

/// Members of a query struct: `PageLimit<100> limit = 20; PageOffset<> offset = 0;`. What is outside is 422.
template <int Most = 100>
using PageLimit = Annotated<int, ge{1}, le{Most}, description{"How many at most"}>;
/// The database walks over all that is passed over; so there is an end to it. Further on: cursors.
template <std::int64_t Most = 100'000>
using PageOffset = Annotated<std::int64_t, ge{0}, le{Most}, description{"How many are passed over"}>;
using PageCursor = Annotated<std::optional<std::string>, max_length{8192},
                             description{"`next` or `previous` of another page; without it: the first page"}>;

/// For lists without filters: `Query<Paging<>> page`.
template <int Default = 20, int Most = 100>
struct Paging {
  PageLimit<Most> limit = Default;
  PageOffset<> offset = 0;
};
/// `Query<CursorPaging<>> page`.
template <int Default = 20, int Most = 100>
struct CursorPaging {
  PageLimit<Most> limit = Default;
  PageCursor cursor;
};

/// A part of a list by limit and offset. As an answer it brings links to the pages beside it (Link, RFC 8288).
template <class T>
struct Page {
  std::vector<T> items;
  Annotated<std::int64_t, ge{0}, description{"How many there are on all pages"}> total = 0;
  Annotated<std::int64_t, ge{0}> limit = 0;
  Annotated<std::int64_t, ge{0}> offset = 0;
  static constexpr auto members = ashlar::members<&Page::items, &Page::total, &Page::limit, &Page::offset>;

  Page() = default;
  Page(std::vector<T> some, std::int64_t all, std::int64_t at_most, std::int64_t from)
      : items(std::move(some)), total(all), limit(at_most), offset(from) {}
  /// Of a pg::Slice<T>.
  template <class Slice>
    requires(!std::is_same_v<std::remove_cvref_t<Slice>, Page> &&
             requires(Slice s) {
               std::vector<T>(std::move(s.items));
               s.total;
               s.limit;
               s.offset;
             })
  Page(Slice slice)
      : Page(std::move(slice.items), slice.total, slice.limit, slice.offset) {}  // NOLINT: that is its use
  /// Of a pg::Slice of rows that clients are not to see: Page<Product>(slice, [](Row& row) { return Product{…}; }).
  template <class Slice, class F>
  Page(Slice slice, F convert) : Page({}, slice.total, slice.limit, slice.offset) {
    items.reserve(slice.items.size());
    for (auto& row : slice.items) items.push_back(convert(row));
  }
};

/// A part of a list by cursors. As an answer it brings links to the pages beside it.
template <class T>
struct CursorPage {
  std::vector<T> items;
  Annotated<std::optional<std::string>, description{"The cursor of the next page; null: this is the last"}> next;
  Annotated<std::optional<std::string>, description{"The cursor of the page before; null: this is the first"}> previous;
};

/// Makes positions in a list into text that clients carry, and neither read nor change: AES-SIV (RFC 5297), under keys
/// made of a secret. All instances of a service need the same one. One position always gives the same text, so that
/// caches work. `Cursors cursors{auth::local_secret("SHOP_SECRET")}; app.provide(cursors);` Thread-safe.
class Cursors {
 public:
  /// Throws Invalid for less than 32 bytes (`openssl rand -base64 32`).
  explicit Cursors(const Secret<>& secret);

  /// Throws Internal for more than 4096 bytes: sort by shorter columns.
  [[nodiscard]] std::string seal(std::string_view position) const;
  /// A pg::KeysetSlice<T>, its positions sealed.
  template <class Slice>
    requires requires(Slice s) {
      s.items;
      s.next;
      s.previous;
    }
  [[nodiscard]] CursorPage<typename decltype(Slice::items)::value_type> seal(Slice slice) const {
    return {std::move(slice.items), seal_if(slice.next), seal_if(slice.previous)};
  }
  template <class Slice, class F>
  [[nodiscard]] auto seal(Slice slice, F convert) const {
    CursorPage<std::remove_cvref_t<decltype(convert(slice.items.front()))>> page{
        {}, seal_if(slice.next), seal_if(slice.previous)};
    page.items.reserve(slice.items.size());
    for (auto& row : slice.items) page.items.push_back(convert(row));
    return page;
  }

  /// The position; nullopt for none. What is not from here, or was changed: schema::ValidationError (422) at
  /// query.cursor.
  [[nodiscard]] std::optional<std::string> open(const std::optional<std::string>& cursor) const;

 private:
  [[nodiscard]] std::optional<std::string> seal_if(const std::optional<std::string>& position) const {
    return position ? std::optional(seal(*position)) : std::nullopt;
  }
  Secret<> key_;
};

namespace detail {

// Links are relative to the request's own URL: right behind any proxy and below any mount.
void add_page_links(Call& call, std::int64_t total, std::int64_t limit, std::int64_t offset);
void add_cursor_links(Call& call, const std::optional<std::string>& next, const std::optional<std::string>& previous);

template <class T>
struct Respond<Page<T>> {
  static void write(Call& call, const Page<T>& page) {
    add_page_links(call, page.total, page.limit, page.offset);
    respond_json(call, 200, page);
  }
  static void describe(OperationInfo& info) {
    describe_response(info, 200, "application/json", &schema::type_info<Page<T>>());
  }
};
template <class T>
struct Respond<CursorPage<T>> {
  static void write(Call& call, const CursorPage<T>& page) {
    add_cursor_links(call, page.next, page.previous);
    respond_json(call, 200, page);
  }
  static void describe(OperationInfo& info) {
    describe_response(info, 200, "application/json", &schema::type_info<CursorPage<T>>());
  }
};

}  // namespace detail
}  // namespace ashlar
