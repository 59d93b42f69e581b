#include "arena.hpp"

#include <charconv>
#include <fstream>
#include <iterator>
#include <span>

namespace arena {
namespace {

struct Rating {
  std::int64_t score, count;
};
struct Item {
  std::int64_t id;
  std::string name, category;
  std::int64_t price, quantity;
  bool active;
  std::vector<std::string> tags;
  Rating rating;
};
struct Priced : Item {
  std::int64_t total;
  static constexpr auto members =
      ashlar::members<&Item::id, &Item::name, &Item::category, &Item::price, &Item::quantity, &Item::active,
                      &Item::tags, &Item::rating, &Priced::total>;
};
struct Items {
  std::vector<Priced> items;
  std::size_t count;
};

struct Catalog {
  std::vector<Item> items;
};

struct Summands {
  std::int64_t a = 0, b = 0;
};
struct Factor {
  std::int64_t m = 1;
};

std::unique_ptr<Catalog> read_catalog(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Unavailable("cannot read the data set " + path + "; ARENA_ITEMS names another");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return std::make_unique<Catalog>(schema::parse_json<std::vector<Item>>(text));
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw Invalid("the body is not a number");
  return value;
}

}  // namespace

void add_routes(App& app, const Settings& settings) {
  app.use(Compression{});
  app.provide<Catalog>([path = settings.items] { return read_catalog(path); });

  app.get<"/baseline11">([](Query<Summands> in) { return std::to_string(in.a + in.b); });
  app.post<"/baseline11">([](Query<Summands> in, const http::Request& request) {
    return std::to_string(in.a + in.b + number(request.body));
  });
  app.get<"/pipeline">([] { return "ok"; });

  app.get<"/json/{count}">(
      [](Path<"count", Annotated<std::size_t, ge{1}, le{50}>> count, Query<Factor> in, const Catalog& catalog) {
        Items out{.items = {}, .count = std::min<std::size_t>(count.value, catalog.items.size())};
        out.items.reserve(out.count);
        for (const Item& item : std::span(catalog.items).first(out.count)) {
          out.items.push_back({item, item.price * item.quantity * in.m});
        }
        return out;
      });

  app.post<"/upload">(
      [](BodyStream body) -> Task<std::string> {
        std::size_t size = 0;
        for (std::string_view piece; !(piece = co_await body.next()).empty();) size += piece.size();
        co_return std::to_string(size);
      },
      {.max_body = 32 * 1024 * 1024});

  app.websocket<"/ws">([](WebSocket& socket) -> Task<void> {
    while (auto message = co_await socket.receive()) co_await socket.send(std::move(message->data));
  });

  app.files<"/static">(settings.files);
}

}  // namespace arena
