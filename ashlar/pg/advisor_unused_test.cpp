// Indexes that nobody uses, and the arguments of `advise`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/component.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_advisor_schema.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {
namespace {

using test::Folder;
using test::Schema;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// More than a megabyte of index, and a table that is read a thousand times: enough to say that nobody wants it.
constexpr const char* kTable =
    "create table visits (id bigint primary key, page text not null, agent text not null);"
    "insert into visits select i, md5(i::text), md5((i * 7)::text) || md5((i * 5)::text) from generate_series(1, "
    "20000) i;"
    "create index visits_page on visits (page);"
    "create index visits_agent on visits (agent);"
    "analyze visits;"
    "comment on table visits is 'allow stale-statistics: what is counted comes late';";
// What is counted comes late, unless it is asked for.
constexpr const char* kReads =
    "do $$ begin for i in 1..1100 loop perform 1 from visits where id = i; end loop; end $$; "
    "select pg_stat_force_next_flush()";

std::vector<std::string> unused(const Schema& schema) {
  std::vector<std::string> out;
  for (const Finding& finding : schema.advise({.copy = false}).findings) {
    if (finding.rule == "unused-index") out.push_back(finding.proposal);
  }
  return out;
}

TEST(AdvisorUnused, NamesAnIndexThatNoQueryUsesAndNobodyHas) {
  const Query<std::int64_t(std::string)> by_page{"select id from visits where page = $1", {.name = "visits_of_page"}};
  const Schema schema(kTable);
  EXPECT_THAT(unused(schema), ::testing::IsEmpty()) << "too few have read the table to tell";
  schema.run(kReads);
  EXPECT_THAT(unused(schema), ElementsAre("drop index visits_agent"));
}

TEST(AdvisorUnused, IsSilentWhenSomebodyUsesItOrItIsAllowed) {
  const Query<std::int64_t(std::string)> by_page{"select id from visits where page = $1", {.name = "visits_of_page"}};
  const Schema schema(kTable);
  schema.run(kReads);
  schema.run("comment on index visits_agent is 'allow unused-index: for the yearly report'");
  EXPECT_THAT(unused(schema), ::testing::IsEmpty());
  schema.run("comment on index visits_agent is null");
  ASSERT_EQ(unused(schema).size(), 1);
  schema.run(
      "set enable_seqscan = off; select count(*) from visits where agent = 'x'; select pg_stat_force_next_flush()");
  EXPECT_THAT(unused(schema), ::testing::IsEmpty()) << "a query of another program";
}

TEST(AdvisorUnused, AdviseIsACommandWithArguments) {
  const Schema schema(std::string(kTable) + "create index visits_page_twice on visits (page);");
  const Folder folder;
  std::filesystem::create_directories(folder.path() / "migrations");
  const auto command = [&](std::vector<std::string> arguments, bool migrations = true) {
    return test::with(schema.url(),
                      [&arguments](Db& db) -> Task<int> {
                        auto commands = db.commands();
                        const auto advise = std::ranges::find(commands, std::string("advise"), &async::Command::name);
                        co_return co_await advise->run(arguments);
                      },
                      {.migrations = migrations ? folder.path() / "migrations" : std::filesystem::path()});
  };
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(folder.path() / "migrations"),
                         std::filesystem::directory_iterator());
  };
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const std::vector<int> codes{command({"--no-copy"}), command({"--no-copy", "--check"}),
                               command({"--no-copy", "--write"}, false)};
  const auto before = files();
  const std::vector<int> more{command({"--no-copy", "--write"}), command({"--no-copy", "--json"}), command({"visits"}),
                              command({"--analyze"})};
  const std::string out = ::testing::internal::GetCapturedStdout();
  const std::string err = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(codes, ElementsAre(0, 1, 2)) << "there is something to do; there is no folder to write to";
  EXPECT_EQ(before, 0);
  EXPECT_THAT(more, ElementsAre(0, 0, 2, 2));
  EXPECT_EQ(files(), 1) << out;
  EXPECT_THAT(out, AllOf(HasSubstr("duplicate-index on visits"), HasSubstr("written: "),
                         HasSubstr(R"("rule":"duplicate-index")")));
  EXPECT_THAT(err, AllOf(HasSubstr("has no migrations"), HasSubstr("`visits` is unknown: advise"),
                         HasSubstr("`--analyze` is unknown: advise")));
}

}  // namespace
}  // namespace ashlar::pg
