// Without prepared statements, for poolers that give each transaction another session; and through Debian's pgbouncer.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/timer.hpp>
#include <ashlar/pg/copy.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/process.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

enum class Color { red, green };
struct Stone {
  std::int64_t id;
  std::string name;
  Color color;
  std::optional<Decimal> weight;
};
struct NewStone {
  std::int64_t id;
  std::string name;
  Color color;
};

const Query<void()> create_color{"create type color as enum ('red', 'green')"};
const Query<void()> create_stones{
    "create table stones (id bigint primary key, name text not null, color color not null, weight numeric)"};
const Query<void(std::int64_t, std::string, Color, std::optional<Decimal>)> add_stone{
    "insert into stones values ($1, $2, $3, $4)"};
const Query<Stone(std::int64_t)> stone_by_id{"select id, name, color, weight from stones where id = $1"};
const Query<std::int64_t()> count_stones{"select count(*) from stones"};
const Query<std::int64_t()> stone_ids{"select id from stones order by id"};
const Query<std::int64_t(std::vector<std::int64_t>)> sum_of{"select sum(n)::int8 from unnest($1::int8[]) n"};
const Query<void()> weigh_in_text{"alter table stones alter column weight type text"};
const Query<void()> name_in_bytes{"alter table stones alter column name type varchar(50)"};
const CopyInto<NewStone> copy_stones{"stones"};

const Options kNoPreparedStatements{.statement_timeout = 0ms, .prepared_statements = false};

TEST(WithoutPreparedStatements, EverythingIsAsWithThem) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_color);
        co_await db.exec(create_stones);
        std::vector<Task<void>> tasks;
        const auto add = [&](std::int64_t id) -> Task<void> {
          co_await db.exec(add_stone, id, fmt::format("stone {}", id), id % 2 == 0 ? Color::red : Color::green,
                           id % 3 == 0 ? std::nullopt : std::optional(Decimal{id}));
          const Stone stone = co_await db.one(stone_by_id, id);
          EXPECT_EQ(stone.name, fmt::format("stone {}", id));
          EXPECT_EQ(stone.color, id % 2 == 0 ? Color::red : Color::green);
          EXPECT_EQ(stone.weight.has_value(), id % 3 != 0);
        };
        for (std::int64_t id = 1; id <= 50; ++id) tasks.push_back(add(id));
        co_await async::all(std::move(tasks));
        EXPECT_EQ(co_await db.one(sum_of, {1, 2, 3}), 6);
        std::vector<NewStone> more = {{100, "copied", Color::red}, {101, "copied, too", Color::green}};
        EXPECT_EQ(co_await db.copy_in(copy_stones, std::move(more)), 2U);
        std::int64_t rows = 0;
        auto ids = db.stream(stone_ids);
        while (co_await ids.next()) ++rows;
        EXPECT_EQ(rows, 52);
      },
      kNoPreparedStatements);
}

TEST(WithoutPreparedStatements, NothingStaysOnTheServer) {
  test::with_db(
      [](Db& db) -> Task<void> {
        const DynamicQuery<std::int64_t()> prepared{unsafe_sql("select count(*) from pg_prepared_statements")};
        co_await db.transaction([&](Tx& tx) -> Task<void> {
          EXPECT_EQ(co_await tx.one(sum_of, {1}), 1);
          EXPECT_EQ(co_await tx.one(sum_of, {2}), 2);
          EXPECT_EQ(co_await tx.one(prepared), 0);
        });
      },
      kNoPreparedStatements);
}

TEST(WithoutPreparedStatements, AnErrorAndABadArgumentAreTheirOwn) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_color);
        co_await db.exec(create_stones);
        co_await db.exec(add_stone, 7, "seven", Color::red, std::nullopt);
        std::vector<Task<int>> tasks;
        const auto add = [&](std::int64_t id) -> Task<int> {
          try {
            co_await db.exec(add_stone, id, id == 5 ? std::string("\0", 1) : "more", Color::red, std::nullopt);
            co_return 1;
          } catch (const UniqueViolation&) {
            EXPECT_EQ(id, 7);
          } catch (const BadArgument&) {
            EXPECT_EQ(id, 5);
          }
          co_return 0;
        };
        for (std::int64_t id = 1; id <= 10; ++id) tasks.push_back(add(id));
        int done = 0;
        for (const int one : co_await async::all(std::move(tasks))) done += one;
        EXPECT_EQ(done, 8);
        EXPECT_EQ(co_await db.one(count_stones), 9);
      },
      kNoPreparedStatements);
}

TEST(WithoutPreparedStatements, ColumnsThatChangedAreNoticedAndNotMisread) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_color);
        co_await db.exec(create_stones);
        co_await db.exec(add_stone, 1, "one", Color::red, Decimal{1});
        EXPECT_EQ((co_await db.one(stone_by_id, 1)).name, "one");
        co_await db.exec(name_in_bytes);
        const auto changed = co_await test::caught<QueryMismatch>(db.one(stone_by_id, 1));
        EXPECT_THAT(changed->message(), HasSubstr("its columns have changed"));
        EXPECT_EQ((co_await db.one(stone_by_id, 1)).name, "one");
        co_await db.exec(weigh_in_text);
        co_await test::caught<QueryMismatch>(db.one(stone_by_id, 1));
        const auto error = co_await test::caught<QueryMismatch>(db.one(stone_by_id, 1));
        EXPECT_THAT(error->message(), HasSubstr("column 4 `weight` is text"));
      },
      {.shared_connections = 1, .statement_timeout = 0ms, .prepared_statements = false});
}

/// In front of the tests' server, with two sessions of it for everybody; empty when it is not installed.
class Pgbouncer {
 public:
  static std::unique_ptr<Pgbouncer> start(const PrivateServer& server) {
    constexpr const char* kProgram = "/usr/sbin/pgbouncer";
    if (::access(kProgram, X_OK) != 0) return nullptr;
    std::string pattern = "/tmp/ashlar-pgbouncer-XXXXXX";
    auto out = std::unique_ptr<Pgbouncer>(new Pgbouncer(::mkdtemp(pattern.data())));
    const std::string settings = out->folder_ + "/pgbouncer.ini";
    std::ofstream(settings) << "[databases]\n* = host=" << server.socket_folder() << " user=ashlar\n[pgbouncer]\n"
                            << "listen_addr =\nlisten_port = 6432\nunix_socket_dir = " << out->folder_
                            << "\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
                            << "max_client_conn = 200\n";
    const auto user = detail::unprivileged_user();
    if (user) {
      for (const std::string& path : {out->folder_, settings})
        EXPECT_EQ(::chown(path.c_str(), user->uid, user->gid), 0) << path;
    }
    out->pid_ = detail::spawn({.arguments = {kProgram, settings},
                               .environment = {},
                               .user = user,
                               .output_file = out->folder_ + "/log",
                               .death_signal = SIGKILL});
    return out;
  }
  ~Pgbouncer() {
    ::kill(pid_, SIGINT);
    detail::wait_for(pid_);
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string url(const std::string& database) const {
    return fmt::format("postgresql:///{}?user=ashlar&host={}&port=6432", database, folder_);
  }

 private:
  explicit Pgbouncer(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
  pid_t pid_ = 0;
};

/// It needs a moment to listen.
Task<void> start_when_it_listens(Db& db) {
  co_await db.start();
  for (int attempt = 0;; ++attempt) {
    std::exception_ptr error;
    try {
      co_await db.start_loop(async::Loop::current());
    } catch (const Unavailable&) {
      error = std::current_exception();
    }
    if (!error) break;
    if (attempt == 3000) std::rethrow_exception(error);
    co_await async::sleep(10ms);
  }
}

TEST(Pgbouncer, ItsTransactionModeIsServedWithoutPreparedStatements) {
  const TestDatabase database(test::server(), "template1");
  const auto pooler = Pgbouncer::start(*test::server());
  if (pooler == nullptr) GTEST_SKIP() << "pgbouncer is not installed: apt-get install pgbouncer";
  async::run([](const Pgbouncer& bouncer, std::string name) -> Task<void> {
    Options options = kNoPreparedStatements;
    options.url = bouncer.url(name);
    options.check_queries = false;
    Db db(options);
    Db other(options);
    for (Db* one : {&db, &other}) co_await start_when_it_listens(*one);
    co_await db.exec(create_color);
    co_await db.exec(create_stones);

    const auto work = [](Db& on, std::int64_t first) -> Task<void> {
      for (std::int64_t id = first; id < first + 10; ++id) {
        co_await on.transaction([&](Tx& tx) -> Task<void> {
          co_await tx.exec(add_stone, id, fmt::format("stone {}", id), Color::green, Decimal{id});
          EXPECT_EQ((co_await tx.one(stone_by_id, id)).id, id);
        });
        EXPECT_EQ((co_await on.one(stone_by_id, id)).name, fmt::format("stone {}", id));
        const auto [sum, stone] = co_await on.batch(pg::one(sum_of, {id, 1}), pg::one(stone_by_id, id));
        EXPECT_EQ(sum, id + 1);
        EXPECT_EQ(stone.id, id);
      }
    };
    std::vector<Task<void>> tasks;
    for (std::int64_t i = 0; i < 16; ++i) tasks.push_back(work(i % 2 == 0 ? db : other, i * 100));
    co_await async::timeout(60s, async::all(std::move(tasks)));
    EXPECT_EQ(co_await other.one(count_stones), 160);

    std::vector<NewStone> more = {{9001, "copied", Color::red}};
    EXPECT_EQ(co_await db.copy_in(copy_stones, std::move(more)), 1U);
    std::int64_t rows = 0;
    auto ids = other.stream(stone_ids);
    while (co_await ids.next()) ++rows;
    EXPECT_EQ(rows, 161);
    for (const std::string& problem : co_await db.check())
      EXPECT_THAT(problem, Not(HasSubstr("stone_by_id"))) << problem;
    for (Db* one : {&db, &other}) co_await one->stop_loop(async::Loop::current());
    for (Db* one : {&db, &other}) co_await one->stop();
  }(*pooler, database.name()));
}

TEST(Pgbouncer, ASlowStatementIsCancelledThroughIt) {
  const TestDatabase database(test::server(), "template1");
  const auto pooler = Pgbouncer::start(*test::server());
  if (pooler == nullptr) GTEST_SKIP() << "pgbouncer is not installed: apt-get install pgbouncer";
  async::run([](const Pgbouncer& bouncer, std::string name) -> Task<void> {
    Options options = kNoPreparedStatements;
    options.url = bouncer.url(name);
    options.check_queries = false;
    Db db(options);
    co_await start_when_it_listens(db);
    const Query<void(double)> nap{"select pg_sleep($1)", {.slow = true}};
    co_await test::caught<DeadlineExceeded>(async::timeout(50ms, db.exec(nap, 600.0)));
    const DynamicQuery<std::int64_t()> asleep{unsafe_sql(
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")};
    while (co_await db.one(asleep) != 0) {
    }
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(*pooler, database.name()));
}

}  // namespace
}  // namespace ashlar::pg
