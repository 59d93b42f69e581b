#include <ashlar/pg/pool.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <thread>

#include <ashlar/async/offload.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const Query<int(int)> echo{"select $1::int4 as n"};
const Query<void(double)> nap{"select pg_sleep($1)"};
const Query<void(double)> slow_nap{"select pg_sleep($1)", {.name = "slow_nap", .slow = true}};
const Query<std::string(int)> long_text{"select repeat('x', $1)"};

Task<void> no_op(Db& db) { EXPECT_EQ(co_await db.one(echo, 7), 7); }

TEST(Pool, ACancelledQueryLosesItsRowsAndNobodyElses) {
  test::with_db(
      [](Db& db) -> Task<void> {
        std::vector<Task<int>> tasks;
        const auto run = [&](int i) -> Task<int> {
          if (i % 3 == 0) {
            try {
              co_await async::timeout(1ms, [](Db& on) -> Task<void> { co_await on.exec(nap, 0.02); }(db));
            } catch (const DeadlineExceeded&) {
            }
            co_return 0;
          }
          EXPECT_EQ(co_await db.one(echo, i), i);
          co_return 1;
        };
        for (int i = 0; i < 30; ++i) tasks.push_back(run(i));
        int sum = 0;
        for (const int one : co_await async::all(std::move(tasks))) sum += one;
        EXPECT_EQ(sum, 20);
      },
      {.shared_connections = 1});
}

TEST(Pool, TooManyWaitingQueriesAreShed) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(nap, 0.0);  // prepared now
        std::vector<Task<int>> tasks;
        const auto run = [&]() -> Task<int> {
          try {
            co_await db.exec(nap, 0.01);
            co_return 0;
          } catch (const PoolExhausted& shed) {
            EXPECT_EQ(shed.kind(), ErrorKind::unavailable);
            co_return 1;
          }
        };
        for (int i = 0; i < 10; ++i) tasks.push_back(run());
        int shed = 0;
        for (const int one : co_await async::all(std::move(tasks))) shed += one;
        EXPECT_EQ(shed, 5);
        co_await no_op(db);
      },
      {.shared_connections = 1, .max_in_flight = 2, .max_waiting = 3});
}

TEST(Pool, AWaitForAConnectionOfOnesOwnHasALimit) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.transaction([&](Tx&) -> Task<void> {
          const auto error = co_await test::caught<PoolExhausted>(db.transaction([](Tx&) -> Task<void> { co_return; }));
          EXPECT_THAT(error->message(), HasSubstr("try again"));
        });
        co_await db.transaction([](Tx&) -> Task<void> { co_return; });
      },
      {.exclusive_connections = 1, .acquire_timeout = 20ms});
}

TEST(Pool, WaitersForTransactionsComeInTheirOrder) {
  test::with_db(
      [](Db& db) -> Task<void> {
        std::vector<int> order;
        std::vector<Task<void>> tasks;
        const auto run = [&](int i) -> Task<void> {
          co_await db.transaction([&](Tx& tx) -> Task<void> {
            co_await tx.one(echo, i);
            order.push_back(i);
          });
        };
        for (int i = 0; i < 8; ++i) tasks.push_back(run(i));
        co_await async::all(std::move(tasks));
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
        EXPECT_EQ(db.stats().exclusive_open, 1U);
      },
      {.exclusive_connections = 1});
}

TEST(Pool, SlowQueriesDoNotHoldUpShortOnes) {
  test::with_db(
      [](Db& db) -> Task<void> {
        bool slow_done = false;
        const auto slow = [&]() -> Task<void> {
          co_await db.exec(slow_nap, 0.5);
          slow_done = true;
        };
        const auto fast = [&]() -> Task<void> {
          for (int i = 0; i < 20; ++i) co_await db.one(echo, i);
          EXPECT_FALSE(slow_done);
        };
        co_await async::all(slow(), fast());
        EXPECT_TRUE(slow_done);
      },
      {.shared_connections = 1});
}

TEST(Pool, LargeResultsAndArgumentsPass) {
  test::with_db([](Db& db) -> Task<void> {
    EXPECT_EQ((co_await db.one(long_text, 5'000'000)).size(), 5'000'000U);
    const DynamicQuery<std::int32_t(std::string)> length{unsafe_sql("select length($1)")};
    EXPECT_EQ(co_await db.one(length, std::string(5'000'000, 'y')), 5'000'000);
    co_await no_op(db);
  });
}

struct Thing {
  std::int64_t id;
  std::string name;
};
const Query<void()> create_things{"create table things (id int not null, name varchar(20) not null)"};
const Query<void()> add_thing{"insert into things values (1, 'one')"};
const Query<Thing()> things{"select * from things"};
const Query<void()> widen{"alter table things alter column id type bigint"};
const Query<void()> spoil{"alter table things alter column id type text using id::text"};
const Query<void()> forget_all{"deallocate all"};

TEST(Pool, StatementsArePreparedAgainAfterDdl) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_things);
        co_await db.exec(add_thing);
        EXPECT_EQ((co_await db.one(things)).id, 1);
        co_await db.exec(widen);
        std::vector<Task<Thing>> tasks;
        for (int i = 0; i < 5; ++i) tasks.push_back(db.one(things));
        for (const Thing& thing : co_await async::all(std::move(tasks))) EXPECT_EQ(thing.id, 1);
        co_await db.exec(forget_all);
        EXPECT_EQ((co_await db.one(things)).name, "one");
        co_await db.exec(spoil);
        const auto error = co_await test::caught<QueryMismatch>(db.one(things));
        EXPECT_THAT(error->message(),
                    HasSubstr("column 1 `id` is text in PostgreSQL, but the member `id` is std::int64_t"));
      },
      {.shared_connections = 1});
}

TEST(Pool, InATransactionAStaleStatementIsAnError) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.exec(create_things);
        co_await db.exec(add_thing);
        const auto error = co_await test::caught<DatabaseError>(db.transaction([](Tx& tx) -> Task<void> {
          co_await tx.one(things);
          co_await tx.exec(forget_all);
          co_await tx.one(things);
        }));
        EXPECT_EQ(error->code, "26000");
        co_await db.transaction([](Tx& tx) -> Task<void> { EXPECT_EQ((co_await tx.one(things)).name, "one"); });
      },
      {.exclusive_connections = 1});
}

// A server of its own, because it is killed.
TEST(Pool, RecoversByItselfWhenTheServerIsKilledAndComesBack) {
  auto server = PrivateServer::start();
  async::run([](PrivateServer& postgres) -> Task<void> {
    Db db({.url = postgres.url(), .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    bool stop = false;
    std::uint64_t done = 0;
    std::uint64_t refused = 0;
    const auto load = [&]() -> Task<void> {
      while (!stop) {
        bool pause = false;
        try {
          co_await db.one(echo, 1);
          co_await db.transaction([](Tx& tx) -> Task<void> { co_await tx.one(echo, 2); });
          ++done;
        } catch (const Unavailable&) {
          ++refused;
          pause = true;
        }
        if (pause) co_await async::sleep(1ms);
      }
    };
    const auto until = [](const std::uint64_t& counter, std::uint64_t more) -> Task<void> {
      const std::uint64_t goal = counter + more;
      while (counter < goal) co_await async::sleep(1ms);
    };
    const auto director = [&]() -> Task<void> {
      co_await until(done, 50);
      co_await async::offload([&] { postgres.kill(); });
      co_await until(refused, 20);
      while (!co_await db.unhealthy()) co_await async::sleep(1ms);  // the last process notices a moment later
      co_await async::offload([&] { postgres.restart(); });
      co_await until(done, 50);
      EXPECT_FALSE(co_await db.unhealthy());
      co_await async::offload([&] {
        postgres.stop();
        postgres.restart();
      });
      co_await until(done, 50);
      stop = true;
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 8; ++i) tasks.push_back(load());
    tasks.push_back(director());
    co_await async::all(std::move(tasks));
    EXPECT_GT(refused, 0U);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(*server));
}

TEST(Pool, ABrokenConnectionSaysThatTheOutcomeIsUnknown) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<bool(int)> terminate{unsafe_sql("select pg_terminate_backend($1)")};
    const auto victim = [&]() -> Task<void> {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        const int pid = tx.connection().backend_pid();
        const auto killer = [&]() -> Task<void> { co_await db.one(terminate, pid); };
        const auto sleeper = [&]() -> Task<void> {
          const auto error = co_await test::caught<Unavailable>(tx.exec(nap, 30.0));
          EXPECT_EQ(error->kind(), ErrorKind::unavailable);
        };
        co_await async::all(sleeper(), killer());
      });
    };
    co_await test::caught<Unavailable>(victim());
    co_await no_op(db);
  });
}

/// Accepts connections on a unix socket, lets everybody in, and answers the first query with `answer`.
class FakeServer {
 public:
  explicit FakeServer(std::string answer) : answer_(std::move(answer)) {
    std::string pattern = "/tmp/ashlar-fake-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    listener_ = net::listen(*net::Address::unix_path(folder_ + "/.s.PGSQL.5432"));
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string url() const { return "postgresql:///x?user=x&host=" + folder_; }

 private:
  void serve() const {
    for (;;) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      ::poll(&waiting, 1, -1);
      const net::Fd client(::accept(listener_.get(), nullptr, nullptr));
      if (!client) return;
      std::array<char, 4096> buffer{};
      if (::recv(client.get(), buffer.data(), buffer.size(), 0) <= 0) continue;
      const std::string welcome("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", 15);
      ::send(client.get(), welcome.data(), welcome.size(), MSG_NOSIGNAL);
      if (::recv(client.get(), buffer.data(), buffer.size(), 0) <= 0) continue;
      ::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      while (::recv(client.get(), buffer.data(), buffer.size(), 0) > 0) {
      }
    }
  }
  std::string answer_;
  std::string folder_;
  net::Fd listener_;
  std::thread thread_;
};

TEST(Pool, AServerThatBreaksTheProtocolIsLeft) {
  const std::vector<std::string> answers = {
      std::string("D\0\0\0\1", 5),                                  // impossible length
      std::string("?\0\0\0\4", 5),                                  // unknown message
      std::string("T\0\0\0\x08\xff\xff\0\0Z\0\0\0\5I", 15),         // 65535 columns that are not there
      std::string("Z\0\0\0\4", 5),                                  // ready without a status
      std::string("Z\0\0\0\5IZ\0\0\0\5IZ\0\0\0\5IZ\0\0\0\5I", 24),  // ready for what nobody sent
      std::string("E\0\0\0\x08Mabc", 9),                            // text without end
  };
  for (const std::string& answer : answers) {
    const FakeServer server(answer);
    async::run([](std::string url) -> Task<void> {
      Db db({.url = url, .shared_connections = 1, .check_queries = false});
      co_await db.start_loop(async::Loop::current());
      bool failed = false;
      try {
        co_await async::timeout(5s, db.one(echo, 1));
      } catch (const Unavailable&) {
        failed = true;
      } catch (const QueryMismatch&) {
        failed = true;  // it described a statement without columns
      }
      EXPECT_TRUE(failed);
      co_await db.stop_loop(async::Loop::current());
    }(server.url()));
  }
}

TEST(Pool, AServerThatLeavesOutAPartOfABatchIsNotBelieved) {
  const std::string described(
      "1\0\0\0\4t\0\0\0\x0a\0\1\0\0\0\x17T\0\0\0\x1a\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0Z\0\0\0\5I",
      49);
  const std::string answered("D\0\0\0\x0e\0\1\0\0\0\4\0\0\0\7C\0\0\0\x0dSELECT 1\0", 29);
  const FakeServer server(described + answered + std::string("Z\0\0\0\5I", 6));
  async::run([](std::string url) -> Task<void> {
    Db db({.url = url, .shared_connections = 1, .check_queries = false});
    co_await db.start_loop(async::Loop::current());
    const auto error = co_await test::caught<ProtocolError>(async::timeout(5s, db.batch(one(echo, 1), one(echo, 2))));
    if (error != nullptr) EXPECT_THAT(error->message(), HasSubstr("in a batch of 2 queries"));
    co_await db.stop_loop(async::Loop::current());
  }(server.url()));
}

TEST(Pool, IsRefusedOnALoopWhereItWasNotStarted) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.stop_loop(async::Loop::current());
    const auto error = co_await test::caught<Internal>(db.one(echo, 1));
    EXPECT_THAT(error->message(), HasSubstr("start_loop"));
    co_await db.start_loop(async::Loop::current());
    co_await no_op(db);
  });
}

TEST(Pool, EveryLoopHasItsOwnConnections) {
  const TestDatabase database(test::server(), "template1");
  Db db({.url = database.url(), .shared_connections = 1, .check_queries = false});
  async::Runtime runtime(3);
  runtime.run([](Db& on, async::Runtime& loops) -> Task<void> {
    co_await on.start();
    for (unsigned i = 0; i < loops.size(); ++i) {
      const auto begin = [](Db& b, async::Loop& loop) -> Task<void> { co_await b.start_loop(loop); };
      co_await async::run_on(loops.loop(i), begin(on, loops.loop(i)));
    }
    const auto work = [](Db& b) -> Task<int> {
      int sum = 0;
      for (int i = 0; i < 50; ++i) sum += co_await b.one(echo, 1);
      co_return sum;
    };
    std::vector<Task<int>> tasks;
    for (unsigned i = 0; i < loops.size(); ++i) tasks.push_back(async::run_on(loops.loop(i), work(on)));
    for (const int sum : co_await async::all(std::move(tasks))) EXPECT_EQ(sum, 50);
    for (unsigned i = 0; i < loops.size(); ++i) {
      const auto end = [](Db& b, async::Loop& loop) -> Task<void> { co_await b.stop_loop(loop); };
      co_await async::run_on(loops.loop(i), end(on, loops.loop(i)));
    }
    co_await on.stop();
  }(db, runtime));
}

}  // namespace
}  // namespace ashlar::pg
