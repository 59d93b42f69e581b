// The code of docs/guide/replicas.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/ashlar.hpp>
#include <ashlar/pg/detail/test_cluster.hpp>
#include <ashlar/pg/replicas.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;

struct Note {
  std::int64_t id;
  std::string text;
};
struct NewNote {
  std::string text;
};

inline const pg::Query<std::vector<std::string>()> notes_texts{"select array(select text from notes order by id)"};
inline const pg::Query<Note(std::string)> add_note{"insert into notes (text) values ($1) returning id, text"};
inline const pg::Query<std::string()> served_by{"select current_setting('cluster_name')"};

// sample: dependency
struct Seen {
  std::optional<std::string> x_position;  // X-Position: where the answer before this request left the client
};
struct Now {
  std::string x_position;
};

// Once a request: what the handler and its dependencies read is not older than what this client has seen.
Task<pg::ReadYourWrites> reads_of_client(Header<Seen> header, pg::Replicas& replicas) {
  co_return co_await replicas.read_your_writes(pg::Position::parse(header.x_position.value_or("")));
}
// end of sample

TEST(Guide, ReplicasServeReadsAndClientsSeeWhatTheyWrote) {
  pg::test::TestCluster cluster(1);
  pg::test::TestCluster::run(cluster.primary(),
                             "create table notes (id bigint generated always as identity, text text not null)");
  const std::string url = cluster.url();
  // sample: provide
  pg::Db db({.url = url, .check_queries = false});
  pg::Replicas replicas{db, {.max_lag = std::chrono::seconds{5}, .wait = std::chrono::milliseconds{200}}};
  App app;
  app.provide(db).provide(replicas);
  // end of sample

  // sample: handlers
  app.get<"/notes">([](pg::Replicas& reads) -> Task<std::vector<std::string>> {
    co_return co_await reads.one(notes_texts);  // from a replica that is at most 5 s old
  });
  app.get<"/mine">([](Depends<reads_of_client> reads) -> Task<std::vector<std::string>> {
    co_return co_await reads->one(notes_texts);  // from one that has what this client has seen, or from the primary
  });
  app.post<"/notes">([](NewNote in, Depends<reads_of_client> reads) -> Task<With<Note, Now>> {
    Note note = co_await reads->primary().one(add_note, in.text);
    const pg::Position now = co_await reads->position();
    co_return With<Note, Now>{std::move(note), Now{now.to_string()}};
  });
  // end of sample
  app.get<"/server">([](pg::Replicas& reads) -> Task<std::string> { co_return co_await reads.one(served_by); });

  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/server").send().body, "standby1");
  for (int i = 1; i <= 5; ++i) {
    const auto answer = client.post("/notes").json(NewNote{std::to_string(i)}).send();
    ASSERT_EQ(answer.status, 200);
    const auto mine = client.get("/mine").header("X-Position", answer.header("X-Position").value_or("")).send();
    EXPECT_EQ(schema::parse_json<std::vector<std::string>>(mine.body).size(), static_cast<std::size_t>(i));
  }
  EXPECT_EQ(client.get("/mine").header("X-Position", "nonsense").send().status, 422);
}

}  // namespace
