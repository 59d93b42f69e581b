#include "database.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <ashlar/pg/sql.hpp>

#include "item_cache.hpp"

namespace arena {
namespace {

struct Rating {
  std::int32_t score = 0, count = 0;
};
struct StoredItem {
  std::int32_t id;
  Annotated<std::string, min_length{1}, max_length{200}> name;
  Annotated<std::string, min_length{1}, max_length{100}> category;
  Annotated<std::int32_t, ge{0}> price;
  Annotated<std::int32_t, ge{0}> quantity;
  bool active = true;
  std::vector<std::string> tags = {};
  Rating rating = {};
};
struct ItemChange {
  std::optional<Annotated<std::string, min_length{1}, max_length{200}>> name;
  std::optional<Annotated<std::string, min_length{1}, max_length{100}>> category;
  std::optional<Annotated<std::int32_t, ge{0}>> price;
  std::optional<Annotated<std::int32_t, ge{0}>> quantity;
  std::optional<bool> active;
};

struct PriceRange {
  std::int32_t min = 10, max = 50;
  Annotated<std::int64_t, ge{1}, le{50}> limit = 50;
};
struct Found {
  std::vector<StoredItem> items;
  std::size_t count = 0;
};
struct PageOf {
  std::string category;
  Annotated<std::int64_t, ge{1}, le{1'000'000}> page = 1;
  Annotated<std::int64_t, ge{1}, le{50}> limit = 10;
};
struct ItemPage {
  std::vector<StoredItem> items;
  std::size_t total = 0;
  std::int64_t page = 1, limit = 10;
};
struct CacheState {
  std::string x_cache;
};

constexpr FixedString kItem{
    " id, name, category, price, quantity, active, array(select jsonb_array_elements_text(tags)) as \"tags!\", "
    "rating_score, rating_count "};

// Made with the database: a program without one has no queries to check.
struct Queries {
  pg::Query<StoredItem(std::int32_t, std::int32_t, std::int64_t)> by_price{
      pg::sql<"select", kItem, "from items where price between $1 and $2 limit $3">, {.name = "items_by_price"}};
  pg::Query<StoredItem(std::string, std::int64_t, std::int64_t)> by_category{
      pg::sql<"select", kItem, "from items where category = $1 order by id limit $2 offset $3">,
      {.name = "items_by_category", .allow = "offset-pagination: the profile asks for pages by number"}};
  pg::Query<StoredItem(std::int32_t)> by_id{pg::sql<"select", kItem, "from items where id = $1">,
                                            {.name = "item_by_id"}};
  pg::Query<StoredItem(std::int32_t, std::string, std::string, std::int32_t, std::int32_t, bool,
                       std::vector<std::string>, std::int32_t, std::int32_t)>
      upsert{pg::sql<"insert into items (id, name, category, price, quantity, active, tags, rating_score, "
                     "rating_count) values ($1, $2, $3, $4, $5, $6, to_jsonb($7::text[]), $8, $9) "
                     "on conflict (id) do update set name = excluded.name, category = excluded.category, "
                     "price = excluded.price, quantity = excluded.quantity, active = excluded.active, "
                     "tags = excluded.tags, rating_score = excluded.rating_score, "
                     "rating_count = excluded.rating_count returning",
                     kItem>,
             {.name = "upsert_item"}};
  pg::Query<StoredItem(std::int32_t, std::optional<std::string>, std::optional<std::string>,
                       std::optional<std::int32_t>, std::optional<std::int32_t>, std::optional<bool>)>
      change{pg::sql<"update items set name = coalesce($2, name), category = coalesce($3, category), "
                     "price = coalesce($4, price), quantity = coalesce($5, quantity), active = coalesce($6, active) "
                     "where id = $1 returning",
                     kItem>,
             {.name = "change_item"}};
};

/// The items of the database, and of a cache in front of it.
class Items {
 public:
  explicit Items(pg::Db& db) : db_(db) {}

  Task<Found> between(PriceRange range) {
    Found out{.items = co_await db_.all(queries_.by_price, range.min, range.max, range.limit), .count = 0};
    out.count = out.items.size();
    co_return out;
  }
  Task<ItemPage> page(PageOf of) {
    ItemPage out{.page = of.page, .limit = of.limit};
    out.items = co_await db_.all(queries_.by_category, of.category, of.limit, (of.page - 1) * of.limit);
    out.total = out.items.size();
    co_return out;
  }
  Task<With<StoredItem, CacheState>> get(std::int32_t id) {
    const auto cached = cache_.get(id);
    if (cached.value != nullptr) co_return With<StoredItem, CacheState>{*cached.value, {.x_cache = "HIT"}};
    auto item = std::make_shared<const StoredItem>(co_await db_.one(queries_.by_id, id));
    cache_.put(id, item, cached.ticket);
    co_return With<StoredItem, CacheState>{*item, {.x_cache = "MISS"}};
  }
  Task<Created<StoredItem>> put(StoredItem in) {
    const std::int32_t id = in.id;
    StoredItem out = co_await db_.one(queries_.upsert, in.id, in.name, in.category, in.price, in.quantity, in.active,
                                      in.tags, in.rating.score, in.rating.count);
    cache_.forget(id);
    co_return Created<StoredItem>{std::move(out), "/crud/items/" + std::to_string(id)};
  }
  Task<StoredItem> change(std::int32_t id, ItemChange in) {
    StoredItem out = co_await db_.one(queries_.change, id, in.name, in.category, in.price, in.quantity, in.active);
    cache_.forget(id);
    co_return out;
  }

 private:
  pg::Db& db_;
  Queries queries_;
  ItemCache<StoredItem> cache_{std::chrono::milliseconds{200}};
};

const char* environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr || *value == 0 ? nullptr : value;
}

// DATABASE_MAX_CONN is for the whole program; every loop has connections of its own.
unsigned connections_of_a_loop() {
  const char* const text = environment("DATABASE_MAX_CONN");
  if (text == nullptr) return 2;
  const std::string_view value = text;
  unsigned most = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), most);
  if (error != std::errc() || end != value.data() + value.size() || most == 0)
    throw Invalid("DATABASE_MAX_CONN is a number from 1, not " + std::string(value));
  return std::clamp(most / std::max(1U, std::thread::hardware_concurrency()), 1U, 8U);
}

}  // namespace

std::unique_ptr<pg::Db> make_database(const Settings& settings) {
  if (environment("DATABASE_URL") == nullptr && settings.rows == 0) return nullptr;
  // The table is made when the program has started, so its queries are compared with it by their first use.
  return std::make_unique<pg::Db>(pg::Options{
      .shared_connections = connections_of_a_loop(), .exclusive_connections = 1, .check_queries = settings.rows == 0});
}

void add_database_routes(App& app, pg::Db* db) {
  if (db == nullptr) {
    app.get<"/async-db">([](Query<PriceRange>) { return Found{}; });
    return;
  }
  app.provide<Items>([](pg::Db& own) { return std::make_unique<Items>(own); });
  app.get<"/async-db">([](Query<PriceRange> range, Items& items) { return items.between(range); });
  app.get<"/crud/items">([](Query<PageOf> of, Items& items) { return items.page(of); });
  app.get<"/crud/items/{id}">([](Path<"id", std::int32_t> id, Items& items) { return items.get(id); });
  app.post<"/crud/items">([](StoredItem in, Items& items) { return items.put(std::move(in)); });
  app.put<"/crud/items/{id}">(
      [](Path<"id", std::int32_t> id, ItemChange in, Items& items) { return items.change(id, std::move(in)); });
}

Task<void> seed(pg::Db& db, std::int64_t rows) {
  const pg::DynamicQuery<void()> table{pg::unsafe_sql(
      "create table if not exists items (id integer primary key, name text not null, category text not null, "
      "price integer not null, quantity integer not null, active boolean not null, tags jsonb not null, "
      "rating_score integer not null, rating_count integer not null)")};
  const pg::DynamicQuery<void(std::int64_t)> fill{pg::unsafe_sql(
      "insert into items select i, 'item ' || i, (array['electronics', 'books', 'garden', 'toys'])[1 + i % 4], "
      "1 + i * 7919 % 500, i % 100, i % 5 <> 0, jsonb_build_array('tag' || i % 10, 'tag' || i % 7), 1 + i % 50, i % "
      "900 "
      "from generate_series(1, $1::bigint) i where not exists (select from items)")};
  const pg::DynamicQuery<void()> index{
      pg::unsafe_sql("create index if not exists items_category on items (category, id)")};
  const pg::DynamicQuery<void()> analyze{pg::unsafe_sql("analyze items")};
  co_await db.exec(table);
  co_await db.exec(fill, rows);
  co_await db.exec(index);
  co_await db.exec(analyze);
}

}  // namespace arena
