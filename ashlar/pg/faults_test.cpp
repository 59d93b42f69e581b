// What goes wrong between us and a server, and what each query is told: its result or a typed error, never nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const Query<int(int)> echo{"select $1::int4 as n"};
const Query<void()> create_acts{"create table acts (id bigint not null)"};
const Query<void()> unique_acts{"create unique index on acts (id)"};
const Query<std::int64_t(std::int64_t)> act{"insert into acts values ($1) returning id"};
const Query<std::vector<std::int64_t>()> acts{"select coalesce(array_agg(id order by id), '{}') from acts"};

/// Asks until it is answered: a pool that recovers by itself needs a moment.
Task<void> recovered(Db& db) {
  for (;;) {
    bool again = false;
    try {
      EXPECT_EQ(co_await db.one(echo, 7), 7);
    } catch (const Unavailable&) {
      again = true;
    }
    if (!again) co_return;
    co_await async::sleep(1ms);
  }
}

TEST(Faults, OneOf64QueriesInAPipelineFailsAlone) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_acts);
        co_await db.exec(unique_acts);
        co_await db.one(act, 31);  // prepared, so that the others leave in one write
        const auto run = [&](std::int64_t i) -> Task<int> {
          try {
            EXPECT_EQ(co_await db.one(act, i), i);
          } catch (const UniqueViolation& violation) {
            EXPECT_EQ(i, 31);
            EXPECT_EQ(violation.columns(), std::vector<std::string>{"id"});
            co_return 0;
          }
          co_return 1;
        };
        std::vector<Task<int>> tasks;
        for (std::int64_t i = 0; i < 64; ++i) tasks.push_back(run(i));
        int answered = 0;
        for (const int one : co_await async::all(std::move(tasks))) answered += one;
        EXPECT_EQ(answered, 63);
        EXPECT_EQ((co_await db.one(acts)).size(), 64U);
        EXPECT_EQ(db.stats().connects, 1U) << "it was one pipeline";
      },
      {.shared_connections = 1});
}

struct Half {
  std::optional<bool> ended;
  std::string text;
};
const Query<Half()> dies_half_way{
    "select case when i = 2000 then pg_terminate_backend(pg_backend_pid()) end as ended, repeat('x', 1000) as text "
    "from generate_series(1, 100000) i"};

TEST(Faults, AServerThatDiesInMidResultLeavesNobodyWaiting) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.one(echo, 1);
        int lost = 0;
        const auto half = [&]() -> Task<void> {
          co_await test::caught<Unavailable>(db.all(dies_half_way));
          ++lost;
        };
        const auto behind = [&](int i) -> Task<void> {
          try {
            EXPECT_EQ(co_await db.one(echo, i), i);
          } catch (const Unavailable&) {
            ++lost;
          }
        };
        std::vector<Task<void>> tasks;
        tasks.push_back(half());
        for (int i = 0; i < 20; ++i) tasks.push_back(behind(i));
        co_await async::timeout(30s, async::all(std::move(tasks)));
        EXPECT_GE(lost, 1);
        co_await async::timeout(30s, recovered(db));
      },
      {.shared_connections = 1});
}

TEST(Faults, AStreamWhoseServerDiesEndsInAnErrorAfterItsRows) {
  test::with_db([](Db& db) -> Task<void> {
    std::size_t rows = 0;
    const auto read = [&]() -> Task<void> {
      auto stream = db.stream(dies_half_way);
      while (co_await stream.next()) ++rows;
    };
    co_await test::caught<Unavailable>(async::timeout(30s, read()));
    EXPECT_GT(rows, 0U);
    EXPECT_LT(rows, 100'000U);
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

TEST(Faults, WhenTheServerTakesNoMoreConnectionsThoseThatAreThereAreShared) {
  const auto server =
      PrivateServer::start({.settings = {{"max_connections", "5"}, {"superuser_reserved_connections", "0"}}});
  async::run([](std::string url) -> Task<void> {
    Db db({.url = url, .exclusive_connections = 16, .acquire_timeout = 30s, .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    int done = 0;
    const auto run = [&](int i) -> Task<void> {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        for (int n = 0; n < 3; ++n) EXPECT_EQ(co_await tx.one(echo, i), i);
      });
      EXPECT_EQ(co_await db.one(echo, i), i);
      ++done;
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 40; ++i) tasks.push_back(run(i));
    co_await async::timeout(60s, async::all(std::move(tasks)));
    EXPECT_EQ(done, 40);
    EXPECT_LE(db.stats().exclusive_open, 4U);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(server->url()));
}

TEST(Faults, AServerThatTakesNoConnectionAtAllIsATypedErrorAndNotTheEnd) {
  const auto server =
      PrivateServer::start({.settings = {{"max_connections", "5"}, {"superuser_reserved_connections", "0"}}});
  async::run([](std::string url) -> Task<void> {
    Db db({.url = url, .shared_connections = 1, .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    auto config = std::make_shared<detail::ConnectionConfig>();
    config->options = ConnectOptions::parse(url);
    detail::Background background;
    std::vector<std::unique_ptr<detail::Connection>> others;
    for (bool room = true; room;) {
      others.push_back(std::make_unique<detail::Connection>(async::Loop::current(), config, background, nullptr));
      try {
        co_await others.back()->open();
      } catch (const ErrorFields& full) {
        EXPECT_EQ(full.code, "53300");
        room = false;
      }
    }
    const auto error = co_await test::caught<ConnectionLost>(db.transaction([](Tx&) -> Task<void> { co_return; }));
    EXPECT_EQ(error->kind(), ErrorKind::unavailable);
    EXPECT_THAT(error->reason(), HasSubstr("53300"));
    EXPECT_FALSE(error->sent());
    EXPECT_EQ(co_await db.one(echo, 3), 3) << "the connection that is there goes on";
    others.clear();
    const auto again = [&]() -> Task<void> {
      for (bool done = false; !done;) {
        try {
          co_await db.transaction([](Tx& tx) -> Task<void> { co_await tx.one(echo, 1); });
          done = true;
        } catch (const Unavailable&) {
          // the server has not seen yet that they are gone
        }
      }
    };
    co_await async::timeout(30s, again());
    co_await background.stop();
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(server->url()));
}

// Which writes were acknowledged, and which were surely not done.
struct Ledger {
  std::set<std::int64_t> done;
  std::set<std::int64_t> not_sent;
  std::uint64_t unknown = 0;
  std::int64_t next = 0;
  bool stop = false;
};

Task<void> write_on(Db& db, Ledger& ledger, bool in_transaction) {
  while (!ledger.stop) {
    const std::int64_t id = ++ledger.next;
    bool pause = true;
    try {
      if (in_transaction) {
        co_await db.transaction([&](Tx& tx) -> Task<void> { co_await tx.one(act, id); });
      } else {
        co_await db.one(act, id);
      }
      ledger.done.insert(id);
      pause = false;
    } catch (const ConnectionLost& lost) {
      if (lost.sent()) {
        ++ledger.unknown;
      } else {
        ledger.not_sent.insert(id);
      }
    } catch (const Unavailable&) {
      ++ledger.unknown;
    }
    if (pause) co_await async::sleep(1ms);
  }
}

TEST(Faults, NoWriteIsLostOrDoneTwiceWhenTheServerCrashes) {
  const auto server = PrivateServer::start({.settings = {{"synchronous_commit", "on"}}});
  async::run([](PrivateServer& postgres) -> Task<void> {
    Db db({.url = postgres.url(), .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    co_await db.exec(create_acts);
    Ledger ledger;
    const auto director = [&]() -> Task<void> {
      for (int round = 0; round < 3; ++round) {
        const std::size_t goal = ledger.done.size() + 200;
        while (ledger.done.size() < goal) co_await async::sleep(1ms);
        co_await async::offload([&] { postgres.kill(); });
        while (!co_await db.unhealthy()) co_await async::sleep(1ms);  // the last process notices a moment later
        co_await async::offload([&] { postgres.restart(); });
      }
      const std::size_t goal = ledger.done.size() + 50;
      while (ledger.done.size() < goal) co_await async::sleep(1ms);
      ledger.stop = true;
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 16; ++i) tasks.push_back(write_on(db, ledger, i % 2 == 0));
    tasks.push_back(director());
    co_await async::timeout(120s, async::all(std::move(tasks)));

    std::map<std::int64_t, int> times;
    co_await recovered(db);
    for (const std::int64_t id : co_await db.one(acts)) ++times[id];
    for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << id;
    for (const std::int64_t id : ledger.done) EXPECT_TRUE(times.contains(id)) << id << " was acknowledged";
    for (const std::int64_t id : ledger.not_sent) EXPECT_FALSE(times.contains(id)) << id << " had not been sent";
    EXPECT_GT(ledger.unknown, 0U);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(*server));
}

/// Lets everybody in, and then neither reads nor answers.
class SilentServer {
 public:
  SilentServer() {
    std::string pattern = "/tmp/ashlar-silent-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    listener_ = net::listen(*net::Address::unix_path(folder_ + "/.s.PGSQL.5432"));
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  ~SilentServer() {
    thread_.request_stop();
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string url() const { return "postgresql:///x?user=x&host=" + folder_; }

 private:
  void serve(const std::stop_token& stop) const {
    std::vector<net::Fd> clients;
    while (!stop.stop_requested()) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      ::poll(&waiting, 1, -1);
      net::Fd client(::accept(listener_.get(), nullptr, nullptr));
      if (!client) continue;
      const std::string welcome("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", 15);
      ::send(client.get(), welcome.data(), welcome.size(), MSG_NOSIGNAL);
      clients.push_back(std::move(client));
    }
  }
  std::string folder_;
  net::Fd listener_;
  std::jthread thread_;
};

TEST(Faults, ADeadlineEndsAQueryWhoseServerNeitherReadsNorAnswers) {
  const SilentServer server;
  async::run([](std::string url) -> Task<void> {
    Db db({.url = url, .check_queries = false});
    co_await db.start_loop(async::Loop::current());
    const DynamicQuery<int(std::string)> large{unsafe_sql("select length($1)")};
    co_await test::caught<DeadlineExceeded>(async::timeout(20ms, db.one(large, std::string(5'000'000, 'x'))));
    co_await test::caught<DeadlineExceeded>(
        async::timeout(20ms, db.transaction([](Tx& tx) -> Task<void> { co_await tx.one(echo, 1); })));
    co_await db.stop_loop(async::Loop::current());
  }(server.url()));
}

TEST(Faults, AServerThatDoesNotAnswerIsLeftWhenItsTimeForAStatementIsOver) {
  const SilentServer server;
  async::run([](std::string url) -> Task<void> {
    detail::Background background;
    auto config = std::make_shared<detail::ConnectionConfig>();
    config->options = ConnectOptions::parse(url);
    Pool pool(async::Loop::current(), config, {.shared = 1, .answer_timeout = 50ms});
    co_await pool.start();
    const auto error = co_await test::caught<ConnectionLost>(async::timeout(
        30s, [](Pool& on) -> Task<void> { co_await detail::Execution(on, echo, Params{}, nullptr); }(pool)));
    EXPECT_THAT(error->reason(), HasSubstr("has not answered"));
    EXPECT_EQ(pool.stats().lost, 1U);
    co_await pool.stop();
  }(server.url()));
}

}  // namespace
}  // namespace ashlar::pg
