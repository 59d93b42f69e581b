// The parts of supervision that need no process: pauses, the hand-over's text, the link. The whole is tested end to end
// in tests/e2e/workers_test.py.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include <ashlar/app/detail/backoff.hpp>
#include <ashlar/app/detail/hand_over.hpp>
#include <ashlar/app/detail/spawn.hpp>
#include <ashlar/app/detail/worker_link.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::detail {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToTheMostAndHalfOfItIsRandom) {
  Backoff backoff(100ms, 1s);
  for (const auto whole : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    const auto pause = backoff.next();
    EXPECT_GE(pause, whole / 2);
    EXPECT_LE(pause, whole);
  }
}

TEST(Backoff, BeginsAnewWhenItIsReset) {
  Backoff backoff(100ms, 10s);
  for (int i = 0; i < 5; ++i) static_cast<void>(backoff.next());
  EXPECT_EQ(backoff.failures(), 5U);
  backoff.reset();
  EXPECT_LE(backoff.next(), 100ms);
}

TEST(Backoff, StaysAtTheMostForever) {
  Backoff backoff(1ms, 30s);
  for (int i = 0; i < 1000; ++i) EXPECT_LE(backoff.next(), 30s);
}

TEST(HandOverText, IsReadAsItWasWritten) {
  HandOverText text{.slot = 1, .workers = 2, .threads = 2, .control = 5};
  text.addresses.push_back({.sockets = {6, 7, 8, 9}});
  text.addresses.push_back({.sockets = {10}, .accepting = http::Accepting::beside_others});
  const std::string written = text.write();
  EXPECT_EQ(written, "slot=1 workers=2 threads=2 control=5 listen=6,7,8,9/shared:10");
  const auto read = HandOverText::read(written);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->write(), written);
}

TEST(HandOverText, NamesTheKeysOfTicketsWhereThereAreSome) {
  HandOverText text{.slot = 0, .workers = 1, .threads = 1, .control = 5, .tickets = 9};
  text.addresses.push_back({.sockets = {6}});
  EXPECT_EQ(text.write(), "slot=0 workers=1 threads=1 control=5 tickets=9 listen=6");
  const auto read = HandOverText::read(text.write());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tickets, 9);
}

TEST(HandOverText, RefusesWhatNoSupervisorWrites) {
  for (const char* text :
       {"", "slot=0", "slot=0 workers=1 threads=1 control=3 listen=", "slot=1 workers=1 threads=1 control=3 listen=4",
        "slot=0 workers=1 threads=1 control=3 tickets=x listen=4", "slot=0 workers=1 threads=1 control=3 tickets=4",
        "slot=0 workers=1 threads=0 control=3 listen=4", "slot=0 workers=2 threads=1 control=3 listen=4",
        "slot=0 workers=1 threads=1 control=-3 listen=4", "slot=0 workers=1 threads=1 control=3 listen=4 more",
        "slot=0 workers=1 threads=1 control=3 listen=shared:4,5", "slot=0 workers=1 threads=1 control=3 listen=x"}) {
    EXPECT_FALSE(HandOverText::read(text)) << text;
  }
}

TEST(HandOver, RefusesDescriptorsThatAreNotThere) {
  ::setenv(kSupervisedVariable, "slot=0 workers=1 threads=1 control=900 listen=901", 1);
  EXPECT_THROW(static_cast<void>(take_hand_over()), Invalid);
  EXPECT_EQ(std::getenv(kSupervisedVariable), nullptr) << "programs that it starts are not supervised";
}

struct Receiver final : WorkerLink::Receiver {
  void on_message(std::string_view text, net::Fd attached) noexcept override {
    texts.emplace_back(text);
    if (attached) texts.push_back(read_memory_file(attached));
    if (texts.size() >= expected) complete.set();
  }
  void on_end() noexcept override { ended.set(); }
  std::vector<std::string> texts;
  std::size_t expected = 1;
  async::Event complete;
  async::Event ended;
};

TEST(WorkerLink, CarriesMessagesInOrderAndFiles) {
  async::run([]() -> Task<void> {
    auto ends = make_link_ends();
    Receiver here;
    Receiver there;
    there.expected = 4;
    WorkerLink from(async::Loop::current(), std::move(ends.ours), here);
    const WorkerLink to(async::Loop::current(), std::move(ends.theirs), there);
    const std::string large(3'000'000, 'x');  // larger than a socket takes
    EXPECT_TRUE(from.send("one"));
    const net::Fd file = memory_file(large);
    EXPECT_TRUE(from.send("two", file.get()));
    EXPECT_TRUE(from.send("three"));
    co_await there.complete.wait();
    EXPECT_EQ(there.texts, (std::vector<std::string>{"one", "two", large, "three"}));
  }());
}

TEST(WorkerLink, KeepsWhatASlowSideDoesNotTakeUpToALimitAndDropsTheRest) {
  async::run([]() -> Task<void> {
    auto ends = make_link_ends();
    Receiver here;
    Receiver there;
    WorkerLink from(async::Loop::current(), std::move(ends.ours), here);
    std::size_t kept = 0;
    while (from.send(std::to_string(kept))) ++kept;  // nobody reads
    EXPECT_GT(kept, WorkerLink::kMostWaiting);
    there.expected = kept;
    const WorkerLink to(async::Loop::current(), std::move(ends.theirs), there);
    co_await there.complete.wait();
    EXPECT_EQ(there.texts.size(), kept);
    EXPECT_EQ(there.texts.back(), std::to_string(kept - 1));
  }());
}

TEST(WorkerLink, TellsThatTheOtherSideIsGone) {
  async::run([]() -> Task<void> {
    auto ends = make_link_ends();
    Receiver here;
    WorkerLink from(async::Loop::current(), std::move(ends.ours), here);
    ends.theirs.reset();
    co_await here.ended.wait();
    EXPECT_FALSE(from.send("to nobody"));
  }());
}

TEST(ProgramPath, KeepsTheNameByWhichItWasStarted) {
  const std::string self = program_path(nullptr);
  const std::string link = ::testing::TempDir() + "ashlar-program-" + std::to_string(::getpid());
  ASSERT_EQ(::symlink(self.c_str(), link.c_str()), 0);
  EXPECT_EQ(program_path(link.c_str()), link);
  ::unlink(link.c_str());
  EXPECT_EQ(program_path("/bin/true"), self) << "another program";
  EXPECT_EQ(program_path("found-by-the-shell"), self);
}

TEST(Environment, LosesWhatIsNamedAndGetsOneMore) {
  ::setenv("ASHLAR_TEST_OLD", "1", 1);
  ::setenv("ASHLAR_TEST_OLDER", "1", 1);
  const auto all = environment_with(std::array{std::string("ASHLAR_TEST_OLD")}, "ASHLAR_TEST_NEW=2");
  EXPECT_EQ(std::ranges::count(all, "ASHLAR_TEST_OLD=1"), 0);
  EXPECT_EQ(std::ranges::count(all, "ASHLAR_TEST_OLDER=1"), 1);
  EXPECT_EQ(all.back(), "ASHLAR_TEST_NEW=2");
  ::unsetenv("ASHLAR_TEST_OLD");
  ::unsetenv("ASHLAR_TEST_OLDER");
}

TEST(Spawn, SaysWhyAProgramCannotBeStarted) {
  try {
    static_cast<void>(spawn({.path = "/nowhere/program", .arguments = {"program"}, .environment = {}, .inherit = {}}));
    FAIL() << "it was started";
  } catch (const Unavailable& error) {
    EXPECT_EQ(error.message(), "cannot start /nowhere/program: No such file or directory");
  }
}

}  // namespace
}  // namespace ashlar::detail
