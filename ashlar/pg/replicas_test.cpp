#include <ashlar/pg/replicas.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/detail/cluster_view.hpp>
#include <ashlar/pg/detail/replica_set.hpp>
#include <ashlar/pg/detail/test_cluster.hpp>
#include <ashlar/pg/detail/test_replicas.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::serves;
using test::TestCluster;
using test::with_replicas;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const Query<std::string()> served_by{"select current_setting('cluster_name')"};
const Query<void(int)> write_note{"insert into notes (n) values ($1)"};
const Query<std::int64_t()> count_notes{"select count(*) from notes"};
const Query<void()> write_much{"insert into notes select generate_series(1, 20000)"};

/// A primary with two standbys for all tests of this file that leave it as it was.
class Replicated : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<TestCluster>(2);
    TestCluster::run(cluster_->primary(), "create table notes (n int)");
  }
  static void TearDownTestSuite() { cluster_.reset(); }

 protected:
  void SetUp() override { TestCluster::run(cluster_->primary(), "truncate notes"); }
  static inline std::unique_ptr<TestCluster> cluster_;
};

TEST_F(Replicated, ReadsGoToReplicasInTurnAndWritesToThePrimary) {
  with_replicas(cluster_->url(), {}, [](Db& db, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    std::map<std::string, int> served;
    for (int i = 0; i < 10; ++i) ++served[co_await replicas.one(served_by)];
    EXPECT_EQ(served["primary"], 0);
    EXPECT_EQ(served["standby1"], 5);
    EXPECT_EQ(served["standby2"], 5);
    EXPECT_EQ(co_await db.one(served_by), "primary");
    EXPECT_EQ(replicas.stats().replica, 10U);
    EXPECT_EQ(replicas.stats().primary, 0U);
    EXPECT_EQ(co_await replicas.unhealthy(), std::nullopt);
  });
}

TEST_F(Replicated, AReadOnlyTransactionRunsOnOneReplica) {
  with_replicas(cluster_->url(), {}, [](Db&, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) > 0; });
    const auto same = co_await replicas.transaction(repeatable_read, [](Tx& tx) -> Task<bool> {
      const std::string first = co_await tx.one(served_by);
      EXPECT_THAT(first, HasSubstr("standby"));
      co_return first == co_await tx.one(served_by);
    });
    EXPECT_TRUE(same);
  });
}

TEST_F(Replicated, WhatWritesIsRefusedWhereverItLands) {
  with_replicas(cluster_->url(), {}, [](Db&, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) > 0; });
    EXPECT_EQ((co_await test::caught<DatabaseError>(replicas.exec(write_note, 1)))->code, "25006");
  });
  with_replicas(cluster_->primary().url(), {}, [](Db&, Replicas& replicas) -> Task<void> {
    EXPECT_EQ(co_await replicas.one(served_by), "primary");
    EXPECT_EQ((co_await test::caught<DatabaseError>(replicas.exec(write_note, 1)))->code, "25006");
    EXPECT_EQ(replicas.stats().none_fresh, 2U);
  });
}

TEST_F(Replicated, AReaderSeesWhatItsPositionSays) {
  with_replicas(cluster_->url(), {.wait = 20s}, [](Db& db, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    for (int i = 1; i <= 20; ++i) {
      co_await db.exec(write_note, i);
      const Position written = Position::parse((co_await replicas.position()).to_string());
      auto reads = co_await replicas.read_your_writes(written);
      EXPECT_EQ(co_await reads.one(count_notes), i);
      EXPECT_THAT(co_await reads.one(served_by), HasSubstr("standby"));
      EXPECT_EQ(co_await reads.position(), written);
    }
    EXPECT_EQ(replicas.stats().not_reached, 0U);
  });
}

TEST_F(Replicated, AReaderWhosePositionNoReplicaReachesInTimeIsServedByThePrimary) {
  with_replicas(cluster_->url(), {.max_lag = 60s, .wait = 30ms}, [&](Db& db, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    for (auto* const standby : {&cluster_->standby(0), &cluster_->standby(1)}) TestCluster::pause_replay(*standby);
    co_await db.exec(write_note, 1);
    const Position written = co_await replicas.position();
    auto reads = co_await replicas.read_your_writes(written);
    EXPECT_EQ(co_await reads.one(served_by), "primary");
    EXPECT_EQ(co_await reads.one(count_notes), 1);
    EXPECT_EQ(replicas.stats().not_reached, 1U);
    EXPECT_EQ(co_await replicas.one(count_notes), 0) << "who asks for no position reads what is there";
    for (auto* const standby : {&cluster_->standby(0), &cluster_->standby(1)}) TestCluster::resume_replay(*standby);
    co_await eventually([&] {
      return std::ranges::all_of(replicas.servers(), [&](const ServerStatus& one) { return one.position >= written; });
    });
    auto later = co_await replicas.read_your_writes(written);
    EXPECT_THAT(co_await later.one(served_by), HasSubstr("standby"));
  });
}

TEST_F(Replicated, WhatWasWrittenAfterAFailoverThatNobodyHasNoticedIsNotReadFromAReplica) {
  with_replicas(cluster_->url(), {.wait = 30ms}, [](Db&, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    Position seen = co_await replicas.position();
    ++seen.timeline;
    seen.lsn /= 2;  // further back than what the replicas have, of another story
    auto reads = co_await replicas.read_your_writes(seen);
    EXPECT_EQ(co_await reads.one(served_by), "primary");
    EXPECT_EQ(replicas.stats().not_reached, 1U);
  });
}

TEST_F(Replicated, AtMostSoManyReadersWaitForAReplica) {
  with_replicas(cluster_->url(), {.max_lag = 60s, .wait = 300ms, .max_waiting = 2},
                [&](Db& db, Replicas& replicas) -> Task<void> {
                  co_await eventually([&] { return serves(replicas) == 2; });
                  for (auto* const standby : {&cluster_->standby(0), &cluster_->standby(1)})
                    TestCluster::pause_replay(*standby);
                  co_await db.exec(write_note, 1);
                  const Position written = co_await replicas.position();
                  std::vector<Task<void>> readers;
                  const auto read = [&]() -> Task<void> {
                    auto reads = co_await replicas.read_your_writes(written);
                    EXPECT_EQ(co_await reads.one(count_notes), 1);
                  };
                  for (int i = 0; i < 5; ++i) readers.push_back(read());
                  co_await async::all(std::move(readers));
                  EXPECT_EQ(replicas.stats().not_reached, 2U);
                  EXPECT_EQ(replicas.stats().too_many_wait, 3U);
                });
  for (auto* const standby : {&cluster_->standby(0), &cluster_->standby(1)}) TestCluster::resume_replay(*standby);
}

TEST_F(Replicated, WhatIsWrittenThroughAReaderIsReadByIt) {
  with_replicas(cluster_->url(), {}, [](Db&, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) > 0; });
    auto chain = co_await replicas.read_your_writes();
    EXPECT_THAT(co_await chain.one(served_by), HasSubstr("standby"));
    EXPECT_TRUE((co_await chain.position()).empty());
    co_await chain.transaction([](Tx& tx) -> Task<void> { co_await tx.exec(write_note, 7); });
    EXPECT_EQ(co_await chain.one(count_notes), 1);
    EXPECT_EQ(co_await chain.one(served_by), "primary");
    EXPECT_FALSE((co_await chain.position()).empty());
  });
}

TEST_F(Replicated, AReplicaThatIsTooManyBytesBehindGetsNoReads) {
  with_replicas(cluster_->url(), {.max_lag = 60s, .max_lag_bytes = 100'000, .poll = 20ms},
                [&](Db& db, Replicas& replicas) -> Task<void> {
                  co_await eventually([&] { return serves(replicas) == 2; });
                  TestCluster::pause_replay(cluster_->standby(0));
                  co_await db.exec(write_much);
                  co_await eventually([&] { return serves(replicas) == 1; });
                  // The other one has much to read, too, and may be too far behind for a moment.
                  std::string by;
                  for (int i = 0; i < 500 && by != "standby2"; ++i) {
                    by = co_await replicas.one(served_by);
                    EXPECT_NE(by, "standby1");
                    co_await async::sleep(10ms);
                  }
                  EXPECT_EQ(by, "standby2");
                  TestCluster::resume_replay(cluster_->standby(0));
                  co_await eventually([&] { return serves(replicas) == 2; });
                });
}

TEST_F(Replicated, AReplicaWhoseDataIsTooOldGetsNoReads) {
  with_replicas(cluster_->url(), {.max_lag = 1s, .poll = 20ms}, [&](Db& db, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    for (auto* const standby : {&cluster_->standby(0), &cluster_->standby(1)}) TestCluster::pause_replay(*standby);
    co_await db.exec(write_note, 1);
    // Pausing has kept this loop from hearing of the servers: what counts is what is heard after the write.
    co_await eventually([&] {
      return serves(replicas) == 0 && std::ranges::all_of(replicas.servers(), [](const ServerStatus& one) {
               return one.role != ServerRole::replica || one.behind > 0;
             });
    });
    EXPECT_EQ(co_await replicas.one(served_by), "primary");
    EXPECT_EQ(replicas.stats().none_fresh, 1U);
    for (const ServerStatus& one : replicas.servers()) {
      if (one.role == ServerRole::replica) EXPECT_EQ(one.trouble, "its data is older than reads may see");
    }
    for (auto* const standby : {&cluster_->standby(0), &cluster_->standby(1)}) TestCluster::resume_replay(*standby);
    co_await eventually([&] { return serves(replicas) == 2; });
    EXPECT_THAT(co_await replicas.one(served_by), HasSubstr("standby"));
  });
}

TEST_F(Replicated, ServersThatOnlyReadsGoToHaveUrlsOfTheirOwn) {
  with_replicas(cluster_->primary().url(), {.urls = {cluster_->standby(1).url()}},
                [](Db&, Replicas& replicas) -> Task<void> {
                  co_await eventually([&] { return serves(replicas) == 1; });
                  EXPECT_EQ(co_await replicas.one(served_by), "standby2");
                  EXPECT_EQ(replicas.servers().size(), 2U);
                });
}

TEST_F(Replicated, AServerOfAnotherClusterGetsNoReads) {
  // Throwaway servers are copies of one image, and so of one cluster: this one is made without it.
  const char* const cache = std::getenv("ASHLAR_CACHE_DIR");
  const std::optional<std::string> before = cache != nullptr ? std::optional<std::string>(cache) : std::nullopt;
  ::setenv("ASHLAR_CACHE_DIR", "", 1);
  auto other = PrivateServer::start();
  before ? ::setenv("ASHLAR_CACHE_DIR", before->c_str(), 1) : ::unsetenv("ASHLAR_CACHE_DIR");
  with_replicas(cluster_->primary().url(), {.urls = {other->url()}}, [](Db&, Replicas& replicas) -> Task<void> {
    EXPECT_EQ(co_await replicas.one(served_by), "primary");
    const auto servers = replicas.servers();
    EXPECT_EQ(servers.at(1).role, ServerRole::foreign);
    EXPECT_THAT(servers.at(1).trouble, HasSubstr("another cluster"));
  });
}

TEST_F(Replicated, AServerThatIsNotThereHoldsUpNobody) {
  with_replicas(cluster_->primary().url(), {.urls = {"postgresql:///ashlar?host=/nowhere&user=ashlar"}},
                [](Db&, Replicas& replicas) -> Task<void> {
                  EXPECT_EQ(co_await replicas.one(served_by), "primary");
                  EXPECT_EQ(replicas.servers().at(1).role, ServerRole::unreachable);
                  EXPECT_THAT(replicas.servers().at(1).trouble, HasSubstr("/nowhere"));
                  EXPECT_EQ(co_await replicas.unhealthy(), std::nullopt);
                });
}

struct Printed {
  int code = 0;
  std::string text;
};
Task<Printed> run_replicas_command(Replicas& replicas) {
  auto commands = replicas.commands();
  const auto command = std::ranges::find(commands, "replicas", &async::Command::name);
  ::testing::internal::CaptureStdout();
  Printed out;
  out.code = co_await command->run({});
  out.text = ::testing::internal::GetCapturedStdout();
  co_return out;
}

TEST_F(Replicated, TheCommandShowsTheServersAndFailsWhenOneIsOfNoUse) {
  with_replicas(cluster_->url(), {}, [](Db&, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    const Printed well = co_await run_replicas_command(replicas);
    EXPECT_EQ(well.code, 0) << well.text;
    for (const ServerStatus& one : replicas.servers())
      EXPECT_THAT(well.text, ContainsRegex(one.name + " +" + std::string(to_string(one.role)) + " +" +
                                           (one.role == ServerRole::replica ? "yes" : "no")));
  });
  with_replicas(cluster_->primary().url(), {.urls = {"postgresql:///ashlar?host=/nowhere&user=ashlar"}},
                [](Db&, Replicas& replicas) -> Task<void> {
                  const Printed broken = co_await run_replicas_command(replicas);
                  EXPECT_EQ(broken.code, 1);
                  EXPECT_THAT(broken.text, ContainsRegex("/nowhere:5432 +unreachable +no"));
                });
}

TEST_F(Replicated, MetricsTellWhereReadsGoAndHowFarBehindTheServersAre) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  with_replicas(cluster_->url(), {.max_lag = 60s, .max_lag_bytes = 100'000, .poll = 20ms},
                [&](Db& db, Replicas& replicas) -> Task<void> {
                  co_await eventually([&] { return serves(replicas) == 2; });
                  const auto of = [&](std::string_view metric, std::size_t standby) {
                    return fmt::format("{}{{server=\"{}:5432\"}} ", metric, cluster_->standby(standby).socket_folder());
                  };
                  EXPECT_THAT(registry.expose(), AllOf(HasSubstr(of("pg_replicas_serves", 0) + "1"),
                                                       HasSubstr(of("pg_replicas_serves", 1) + "1")));
                  TestCluster::pause_replay(cluster_->standby(0));
                  co_await db.exec(write_much);
                  co_await eventually([&] { return serves(replicas) == 1; });
                  co_await eventually([&] {
                    return registry.expose().contains(of("pg_replicas_serves", 0) + "0") &&
                           !registry.expose().contains(of("pg_replicas_behind_bytes", 0) + "0\n");
                  });
                  (void)co_await replicas.one(served_by);
                  EXPECT_THAT(registry.expose(), ContainsRegex("pg_replicas_reads_total\\{[^}]*replica[^}]*\\} 1"));
                  TestCluster::resume_replay(cluster_->standby(0));
                  co_await eventually([&] { return serves(replicas) == 2; });
                });
  EXPECT_THAT(registry.expose(), Not(HasSubstr("pg_replicas_serves{"))) << "gone with the replicas";
}

TEST_F(Replicated, SeveralServersWithoutWritesToThePrimaryAreRefusedAtTheStart) {
  std::string url = cluster_->url();
  url.resize(url.find("&target_session_attrs"));
  async::run([](std::string where) -> Task<void> {
    Db db({.url = where, .check_queries = false});
    co_await db.start();
    Replicas replicas{db};
    EXPECT_THAT((co_await test::caught<Invalid>(replicas.start()))->message(),
                HasSubstr("target_session_attrs=read-write"));
    co_await db.stop();
  }(url));
}

TEST(Position, IsAShortText) {
  const Position position{.timeline = 2, .lsn = 0x16b3748};
  EXPECT_EQ(position.to_string(), "2-16b3748");
  EXPECT_EQ(Position::parse("2-16b3748"), position);
  EXPECT_TRUE(Position::parse("").empty());
  for (const char* const bad :
       {"2", "-", "2-", "-5", "2-x", "0-5", "2-0", "2-5 ", "100000000-5", "2-10000000000000000"})
    EXPECT_THROW((void)Position::parse(bad), Invalid) << bad;
}

TEST(Position, OfAFullPageIsWhereAStandbyStops) {
  EXPECT_EQ(detail::written_position(0x16b3748, "000000020000000000000001", 0x6b3748, 8192),
            (Position{.timeline = 2, .lsn = 0x16b3748}));
  EXPECT_EQ(detail::written_position(0x2000 + 24, "000000010000000000000000", 0x2000 + 24, 8192).lsn, 0x2000U);
  EXPECT_EQ(detail::written_position(0x1000000 + 40, "000000010000000000000001", 40, 8192).lsn, 0x1000000U);
  EXPECT_EQ(detail::written_position(0x2000 + 40, "000000010000000000000000", 0x2000 + 40, 8192).lsn, 0x2028U);
}

}  // namespace
}  // namespace ashlar::pg
