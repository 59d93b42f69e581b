#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/offload.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/detail/test_cluster.hpp>
#include <ashlar/pg/detail/test_replicas.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/replicas.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::serves;
using test::TestCluster;
using test::with_replicas;
using ::testing::AnyOf;
using ::testing::HasSubstr;

const Query<std::string()> served_by{"select current_setting('cluster_name')"};
const Query<void(std::int64_t)> insert_entry{"insert into entries (id) values ($1)", {.name = "insert_entry"}};
const Query<std::int64_t()> all_entries{"select id from entries"};

/// Roles by the name of the server.
std::map<std::string, ServerRole> roles(const Replicas& replicas) {
  std::map<std::string, ServerRole> out;
  for (const ServerStatus& one : replicas.servers()) out[one.name] = one.role;
  return out;
}
std::string name_of(const PrivateServer& server) { return server.socket_folder() + ":5432"; }

/// What became of each write.
struct Outcomes {
  bool stop = false;
  std::vector<std::int64_t> written;
  std::vector<std::int64_t> unknown;  // sent, and then the connection was lost
  std::size_t refused = 0;            // certainly not carried out
};

Task<void> write_until(Db& db, std::int64_t first, Outcomes& outcomes) {
  for (std::int64_t id = first; !outcomes.stop; ++id) {
    try {
      co_await db.exec(insert_entry, id);
      outcomes.written.push_back(id);
    } catch (const ConnectionLost& lost) {
      if (lost.sent()) {
        outcomes.unknown.push_back(id);
      } else {
        ++outcomes.refused;
      }
    } catch (const ServerUnavailable&) {
      outcomes.unknown.push_back(id);
    }
    co_await async::sleep(1ms);
  }
}

TEST(Failover, WritesGoToTheNewPrimaryAndNoneIsLostOrDoneTwice) {
  TestCluster cluster(2);
  TestCluster::run(cluster.primary(), "create table entries (id bigint not null)");
  // So that what was acknowledged is on the standby: losing it otherwise is PostgreSQL's bargain, not ours.
  TestCluster::run(cluster.primary(), "alter system set synchronous_standby_names = 'any 1 (standby1)'");
  TestCluster::run(cluster.primary(), "select pg_reload_conf()");
  with_replicas(cluster.url(), {.poll = 20ms}, [&](Db& db, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 2; });
    std::vector<Outcomes> outcomes(4);
    const auto writers = [&]() -> Task<void> {
      std::vector<Task<void>> tasks;
      for (std::size_t i = 0; i < outcomes.size(); ++i)
        tasks.push_back(write_until(db, static_cast<std::int64_t>(i) * 1'000'000, outcomes[i]));
      co_await async::all(std::move(tasks));
    };
    const auto fail_over = [&]() -> Task<void> {
      co_await eventually([&] { return outcomes[0].written.size() > 20; });
      co_await async::offload([&] {
        cluster.primary().kill();
        TestCluster::promote(cluster.standby(0));
      });
      const std::size_t before = outcomes[0].written.size();
      co_await eventually([&] { return outcomes[0].written.size() > before + 20; });
      for (Outcomes& one : outcomes) one.stop = true;
    };
    co_await async::all(writers(), fail_over());

    EXPECT_EQ(co_await db.one(served_by), "standby1");
    std::map<std::int64_t, int> found;
    for (const std::int64_t id : co_await db.all(all_entries)) ++found[id];
    std::size_t disturbed = 0;
    for (const Outcomes& one : outcomes) {
      for (const std::int64_t id : one.written) EXPECT_EQ(found[id], 1) << id << " was acknowledged";
      for (const std::int64_t id : one.unknown) EXPECT_LE(found[id], 1) << id;
      std::size_t present = one.written.size();
      for (const std::int64_t id : one.unknown) present += static_cast<std::size_t>(found[id]);
      disturbed += one.refused + one.unknown.size();
      EXPECT_EQ(present, static_cast<std::size_t>(std::ranges::count_if(
                             found,
                             [&](const auto& entry) {
                               const auto begin = (&one - outcomes.data()) * 1'000'000;
                               return entry.second > 0 && entry.first >= begin && entry.first < begin + 1'000'000;
                             })))
          << "what was refused is not there";
    }
    EXPECT_GT(disturbed, 0U) << "else nobody wrote meanwhile";
    co_await eventually([&] { return roles(replicas)[name_of(cluster.standby(0))] == ServerRole::primary; });
    EXPECT_EQ(roles(replicas)[name_of(cluster.primary())], ServerRole::unreachable);

    // The old primary comes back as a standby of the new one, and is taken in.
    co_await async::offload([&] { cluster.rejoin(cluster.primary(), cluster.standby(0), "primary"); });
    co_await eventually([&] {
      const auto servers = replicas.servers();
      const auto old = std::ranges::find(servers, name_of(cluster.primary()), &ServerStatus::name);
      return old->role == ServerRole::replica && old->serves_reads;
    });
    const Position now = co_await replicas.position();
    EXPECT_EQ(now.timeline, 2U);
    for (std::string reader; reader != "primary";) {  // its name of old
      const auto before = replicas.stats();
      reader = co_await replicas.one(served_by);
      EXPECT_TRUE(reader != "standby1" || replicas.stats().primary == before.primary + 1) << "for want of a replica";
      co_await async::sleep(5ms);
    }
  });
}

TEST(Failover, APrimaryThatHasNotNoticedItGetsNothingMore) {
  TestCluster cluster(1);
  TestCluster::run(cluster.primary(), "create table entries (id bigint not null)");
  with_replicas(cluster.url(), {.poll = 20ms}, [&](Db& db, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 1; });
    co_await db.exec(insert_entry, 1);
    EXPECT_EQ(co_await db.one(served_by), "primary");
    const Position before = co_await replicas.position();
    co_await eventually([&] {
      return std::ranges::all_of(replicas.servers(), [&](const ServerStatus& one) { return one.position >= before; });
    });

    // A transaction under way on the old primary must not be committed there once another one is known.
    const auto error = co_await test::caught<ConnectionLost>(db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.exec(insert_entry, 2);
      co_await async::offload([&] { TestCluster::promote(cluster.standby()); });
      co_await eventually([&] { return roles(replicas)[name_of(cluster.primary())] == ServerRole::rival; });
      co_await tx.exec(insert_entry, 3);
    }));
    EXPECT_THAT(error->reason(), AnyOf(HasSubstr("the primary is now"), HasSubstr("closed")));

    co_await eventually([&] { return db.stats().shared_open > 0; });
    for (int i = 0; i < 4; ++i) EXPECT_EQ(co_await db.one(served_by), "standby1");
    co_await db.exec(insert_entry, 4);
    EXPECT_EQ(TestCluster::ask(cluster.standby(), "select string_agg(id::text, ' ' order by id) from entries"), "1 4");
    EXPECT_EQ(TestCluster::ask(cluster.primary(), "select string_agg(id::text, ' ' order by id) from entries"), "1");
    EXPECT_EQ(co_await replicas.one(served_by), "standby1") << "a rival gets no reads either";
    // A position of before the failover is one of this history, too.
    auto reads = co_await replicas.read_your_writes(before);
    EXPECT_EQ((co_await reads.all(all_entries)).size(), 2U);
  });
}

TEST(Failover, ReadsGoOnWhileThereIsNoPrimaryUntilTheirDataIsTooOld) {
  TestCluster cluster(1);
  with_replicas(cluster.url(), {.max_lag = 2s, .poll = 20ms}, [&](Db&, Replicas& replicas) -> Task<void> {
    co_await eventually([&] { return serves(replicas) == 1; });
    co_await async::offload([&] { cluster.primary().kill(); });
    EXPECT_EQ(co_await replicas.one(served_by), "standby1");
    EXPECT_EQ(co_await replicas.unhealthy(), std::nullopt);
    co_await eventually([&] { return serves(replicas) == 0; });
    (void)co_await test::caught<ConnectionLost>(replicas.one(served_by));
    EXPECT_THAT((co_await replicas.unhealthy()).value_or(""), HasSubstr("cannot be reached"));
  });
}

}  // namespace
}  // namespace ashlar::pg
