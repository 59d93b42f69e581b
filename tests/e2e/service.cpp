// The service that the end-to-end tests run as a process of its own, talk to over sockets, and kill. The environment
// says what it is made of: SERVICE_DATABASE=1 for the routes that write, SERVICE_MIGRATIONS for another folder of
// migrations, SERVICE_FILES for a folder to serve and to save uploads in, SERVICE_JOURNAL for the file in which it
// leaves what it did, SERVICE_SETTINGS for a file of settings that change, SERVICE_WITHOUT_RESOURCE=1 to lack one.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <thread>

#include <ashlar/ashlar.hpp>
#include <ashlar/net/address.hpp>

using namespace ashlar;
using namespace std::chrono_literals;

namespace {

// ---- input
struct Address {
  Annotated<std::string, min_length{1}> street;
  Annotated<std::string, pattern{"^[0-9]{5}$"}> zip;
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};
struct Line {
  Annotated<std::string, min_length{1}, max_length{40}> product;
  Annotated<std::int32_t, ge{1}> amount;
  double price;
};
struct Order {
  Annotated<std::string, min_length{1}> customer;
  Address address;
  Annotated<std::vector<Line>, min_items{1}, max_items{1000}> lines;
  std::optional<std::string> note = {};
  std::map<std::string, Json> extra = {};  // anything
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};
struct Page {
  Annotated<std::int32_t, ge{1}, le{100}> limit = 20;
  Annotated<std::string, defaulted{}> name;
};
struct Wait {
  std::int64_t ms = 0;
};
struct Size {
  std::int64_t bytes = 0;
  std::int64_t pieces = 1;
};
struct Ticks {
  std::int64_t ms = 0;
  std::int64_t count = 0;     // after which the answer ends; 0: never
  std::int64_t retry_ms = 0;  // told with the first; 0: not
  bool broken_off = false;    // how it ends
};
struct Closing {
  std::uint16_t code;
  Annotated<std::string, defaulted{}> reason;
};

// ---- what it did, for a test that reads it when the process is gone
std::atomic<std::int64_t> handled{0};

void journal(std::string line) {
  const char* path = std::getenv("SERVICE_JOURNAL");
  if (path == nullptr) return;
  line += '\n';
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  [[maybe_unused]] const auto written = ::write(fd, line.data(), line.size());
  ::close(fd);
}

struct Counted final : Middleware {
  void after(http::Exchange&) noexcept override { ++handled; }
};

Task<Text> slow(Query<Wait> wait) {
  co_await async::sleep(std::chrono::milliseconds{wait.ms});
  co_return Text{"slow\n"};
}

Generator<std::string> pieces(std::int64_t count, std::int64_t bytes) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_yield std::string(static_cast<std::size_t>(bytes), static_cast<char>('a' + i % 26));
    co_await async::sleep(1ms);
  }
}

Task<void> leave_behind(std::int64_t ms) {
  co_await async::sleep(std::chrono::milliseconds{ms});
  journal("background done");
}

void add_routes(App& app) {
  app.get<"/">([] { return Text{"hello\n"}; });
  app.get<"/page">([](http::Response& response) {  // one whose scripts may connect
    response.header("Content-Security-Policy", "default-src 'none'; connect-src 'self' ws: wss:");
    return Html{"<!doctype html><html lang=en><meta charset=utf-8><title>Page</title><p>hello</html>"};
  });
  app.post<"/orders">([](Order order) { return order; });
  app.get<"/items/{id}">([](Path<"id", std::int32_t> id) { return std::to_string(id.get()); });
  app.get<"/names/{name}">([](Path<"name"> name) { return Text{name}; });
  app.get<"/pages">([](Query<Page> page) { return Text{page.name}; });
  app.get<"/pid">([] { return std::to_string(::getpid()); });
  app.get<"/slow">(slow);
  app.get<"/whoami">([](ClientCertificate who) { return Text{who->subject}; });
  app.get<"/maybe">([](std::optional<ClientCertificate> who) { return Text{who ? (*who)->subject : "nobody"}; });
  app.get<"/block">([](Query<Wait> wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds{wait.ms});
    return Text{"blocked\n"};
  });
  app.get<"/compute">([](Query<Wait> wait) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{wait.ms};
    while (std::chrono::steady_clock::now() < until) {
    }
    return Text{"computed\n"};
  });
  app.get<"/who">([](const http::Request& request) { return Text{request.peer->host() + "\n"}; });
  app.get<"/big">([](Query<Size> size) { return Text{std::string(static_cast<std::size_t>(size.bytes), 'x')}; });
  app.get<"/stream">([](Query<Size> size) { return Stream{"text/plain", pieces(size.pieces, size.bytes)}; });
  app.websocket<"/ws/echo">([](WebSocket& socket) -> Task<void> {
    while (auto message = co_await socket.receive()) co_await socket.send(*message);
    journal("socket closed with " + std::to_string(socket.peer_close_code().value_or(0)));
  });
  app.websocket<"/ws/close">([](WebSocket& socket, Query<Closing> closing) -> Task<void> {
    socket.close(closing.code, closing.reason);
    co_return;
  });
  app.websocket<"/ws/rooms/{room}">([](WebSocket& socket, Path<"room"> room, Rooms& rooms) -> Task<void> {
    const auto member = rooms.join(room, socket);
    while (auto message = co_await socket.receive()) rooms.publish(room, std::move(message->data));
  });
  app.post<"/leave-behind">([](Query<Wait> wait, Background background) { background.add(leave_behind(wait.ms)); });
}

// ---- files
struct Upload {
  std::string title;
  UploadedFile file;
};

Task<std::string> save(std::string folder, std::string title, UploadedFile file) {
  co_await file.save_as(folder + "/saved");
  co_return fmt::format("{}: {} of {} bytes", title, file.filename(), file.size());
}

Task<std::string> count_bytes(BodyStream body) {
  std::uint64_t size = 0;
  std::uint64_t pieces = 0;
  while (true) {
    const std::string_view piece = co_await body.next();
    if (piece.empty()) break;
    size += piece.size();
    ++pieces;
  }
  co_return fmt::format("{} {}", size, pieces > 1);
}

Events<std::int64_t> ticks(LastEventId last, Query<Ticks> asked) {
  const std::int64_t began = last.empty() ? 0 : std::stoll(last);
  std::int64_t number = began;
  struct Ended {
    ~Ended() { journal("ticks ended"); }
  } const ended;
  if (asked.retry_ms > 0) co_yield {.retry = std::chrono::milliseconds{asked.retry_ms}};
  while (asked.count == 0 || number < began + asked.count) {
    ++number;
    co_yield {.data = number, .id = std::to_string(number)};
    co_await async::sleep(std::chrono::milliseconds{asked.ms});
  }
  if (asked.broken_off) throw Internal("broken off, as asked");
}

void add_file_routes(App& app, const std::string& folder) {
  app.use(Compression{});
  app.files<"/files">(folder);
  app.get<"/report">([folder] { return File{.path = "report.txt", .root = folder, .download_as = "Bericht.txt"}; });
  app.post<"/upload">([folder](Form<Upload> in) { return save(folder, in.title, in.file); },
                      {.max_body = 64'000'000, .uploads = {.directory = folder}});
  app.put<"/count">(count_bytes, {.max_body = 64'000'000});
  app.get<"/ticks">(ticks, {.heartbeat = 50ms});
}

// ---- a database
struct NewNote {
  std::string text;
};
struct Note {
  std::int64_t id;
  std::string text;
};

const pg::Query<Note(std::string)> insert_note{"insert into notes (text) values ($1) returning id, text"};
const pg::Query<std::int64_t(std::string, double)> insert_note_slowly{
    "insert into notes (text) select $1 from pg_sleep($2) returning id"};
const pg::Query<Note()> all_notes{"select id, text from notes order by id"};
const pg::Query<std::int64_t()> count_notes{"select count(*) from notes"};
const pg::Query<Note(std::string)> notes_by_text{"select id, text from notes where text = $1 order by id",
                                                 {.name = "notes_by_text"}};

void add_database_routes(App& app) {
  app.post<"/notes">(
      [](pg::Db& db, NewNote note) -> Task<Created<Note>> { co_return co_await db.one(insert_note, note.text); });
  app.post<"/notes/in-transaction">([](pg::Db& db, NewNote note) -> Task<Created<Note>> {
    co_return co_await db.transaction(
        [&](pg::Tx& tx) -> Task<Note> { co_return co_await tx.one(insert_note, note.text); });
  });
  app.post<"/notes/slowly">([](pg::Db& db, Query<Wait> wait, NewNote note) -> Task<Created<Note>> {
    const auto id = co_await db.one(insert_note_slowly, note.text, static_cast<double>(wait.ms) / 1000);
    co_return Note{id, note.text};
  });
  app.get<"/notes">([](pg::Db& db) -> Task<std::vector<Note>> { co_return co_await db.all(all_notes); });
  app.get<"/notes/find">([](pg::Db& db, Query<NewNote> wanted) -> Task<std::vector<Note>> {
    co_return co_await db.all(notes_by_text, wanted.text);
  });
  app.get<"/notes/count">([](pg::Db& db) -> Task<std::int64_t> { co_return co_await db.one(count_notes); });
}

// ---- settings that change
struct Tunables {
  std::string greeting = "hello";
  Annotated<std::int32_t, ge{1}, le{100}, live{}> page_size = 20;
  Annotated<Secret<>, live{}, defaulted{}> key;
};

struct Missing {};

bool asked_for(const char* variable) { return std::getenv(variable) != nullptr; }

}  // namespace

int main(int argc, char** argv) {
  Rooms rooms;
  App app{{.title = "Service"}};
  app.provide(rooms);
  app.use(BodyLog{});
  app.use(Counted{});
  add_routes(app);
  app.on_stop([] { journal(fmt::format("stopped after {} requests", handled.load())); });
  if (asked_for("SERVICE_WITHOUT_RESOURCE")) app.get<"/missing">([](Missing&) { return "?"; });

  std::optional<Live<Tunables>> tunables;
  if (asked_for("SERVICE_SETTINGS")) {
    tunables.emplace(app, "TUNABLES", std::getenv("SERVICE_SETTINGS"));
    app.get<"/tunables">([](const Live<Tunables>& settings) {
      const auto now = settings.now();
      return Text{fmt::format("{} {} {}", now->greeting, now->page_size.value, now->key.reveal().size())};
    });
  }

  if (asked_for("SERVICE_FILES")) add_file_routes(app, std::getenv("SERVICE_FILES"));

  std::optional<pg::Db> db;
  if (asked_for("SERVICE_DATABASE")) {
    const char* migrations = std::getenv("SERVICE_MIGRATIONS");
    db.emplace(pg::Options{.migrations = migrations != nullptr ? migrations : SERVICE_MIGRATIONS_FOLDER});
    app.provide(*db);
    add_database_routes(app);
  }
  return run(app, argc, argv);
}
