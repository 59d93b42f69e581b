#include <ashlar/testing/sandbox.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/advisory_lock.hpp>
#include <ashlar/pg/detail/test_folder.hpp>
#include <ashlar/testing/database.hpp>

namespace ashlar::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const pg::DynamicQuery<void(std::string)> kAdd{pg::unsafe_sql("insert into notes (text) values ($1)")};
const pg::DynamicQuery<std::string()> kNotes{
    pg::unsafe_sql("select coalesce(string_agg(text, ' ' order by id), '') from notes")};
const pg::DynamicQuery<std::string()> kEachNote{pg::unsafe_sql("select text from notes order by id")};
const pg::DynamicQuery<void(std::int64_t)> kAddChild{pg::unsafe_sql("insert into children (note) values ($1)")};
const pg::DynamicQuery<void()> kEnd{pg::unsafe_sql("commit")};
const pg::DynamicQuery<std::string(std::string)> kSetting{pg::unsafe_sql("select current_setting($1)")};
const pg::DynamicQuery<std::int32_t()> kSession{pg::unsafe_sql("select pg_backend_pid()")};
const pg::DynamicQuery<std::int32_t(double)> kNap{pg::unsafe_sql("select 1 from pg_sleep($1)")};

struct NewNote {
  std::string text;
};
inline const pg::CopyInto<NewNote> kCopyNotes{"notes"};

class TestingSandbox : public ::testing::Test {
 protected:
  TestingSandbox() {
    std::ofstream(folder_ / "0001_notes.sql")
        << "create table notes (id bigint generated always as identity primary key, text text not null unique);"
           "create table children (note bigint references notes deferrable initially deferred);"
           "insert into notes (text) values ('first');";
  }
  ~TestingSandbox() override { std::filesystem::remove_all(folder_); }

  // What a test does.
  static void work(pg::Options options, const std::function<Task<void>(pg::Db&)>& body) {
    async::run([](pg::Options given, const std::function<Task<void>(pg::Db&)>& what) -> Task<void> {
      pg::Db db{std::move(given)};
      co_await db.start();
      co_await db.start_loop(async::Loop::current());
      std::exception_ptr error;
      try {
        co_await what(db);
      } catch (...) {
        error = std::current_exception();
      }
      co_await db.stop_loop(async::Loop::current());
      co_await db.stop();
      if (error) std::rethrow_exception(error);
    }(std::move(options), body));
  }
  void work(const std::function<Task<void>(pg::Db&)>& body) {
    Sandbox sandbox(folder_);
    work(sandbox.options(), body);
  }
  void expect_untouched() {
    work([](pg::Db& db) -> Task<void> { EXPECT_EQ(co_await db.one(kNotes), "first"); });
  }

  const std::filesystem::path folder_ = pg::test::make_test_folder();
};

template <class E>
std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const E& error) {
    return error.message();
  } catch (const Error& error) {
    return "another one: " + error.message();
  }
  return "none";
}

TEST_F(TestingSandbox, UndoesAllOfATestAndKeepsItsSession) {
  std::int32_t session = 0;
  for (int i = 0; i < 3; ++i) {
    work([&](pg::Db& db) -> Task<void> {
      EXPECT_EQ(co_await db.one(kNotes), "first");
      co_await db.exec(kAdd, "by itself");
      co_await db.transaction([](pg::Tx& tx) -> Task<void> { co_await tx.exec(kAdd, "in a transaction"); });
      const std::vector<NewNote> copied{{"copied"}, {"too"}};
      EXPECT_EQ(co_await db.copy_in(kCopyNotes, copied), 2U);
      std::vector<std::string> streamed;
      auto each = db.stream(kEachNote);
      while (auto text = co_await each.next()) streamed.push_back(*text);
      EXPECT_THAT(streamed, ElementsAre("first", "by itself", "in a transaction", "copied", "too"));
      const auto now = co_await db.one(kSession);
      if (i > 0) EXPECT_EQ(now, session);
      session = now;
    });
  }
}

TEST_F(TestingSandbox, StaysWhileAServiceIsRestartedInATest) {
  Sandbox sandbox(folder_);
  work(sandbox.options(), [](pg::Db& db) -> Task<void> { co_await db.exec(kAdd, "second"); });
  work(sandbox.options(), [](pg::Db& db) -> Task<void> { EXPECT_EQ(co_await db.one(kNotes), "first second"); });
}

TEST_F(TestingSandbox, LosesOnlyWhatFailed) {
  work([](pg::Db& db) -> Task<void> {
    co_await db.exec(kAdd, "a");
    bool refused = false;
    try {
      co_await db.exec(kAdd, "a");
    } catch (const pg::UniqueViolation&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    try {
      co_await db.transaction([](pg::Tx& tx) -> Task<void> {
        co_await tx.exec(kAdd, "lost");
        throw Conflict("no");
      });
      ADD_FAILURE();
    } catch (const Conflict&) {
    }
    co_await db.transaction([](pg::Tx& tx) -> Task<void> {
      co_await tx.exec(kAdd, "b");
      try {
        co_await tx.savepoint([&]() -> Task<void> { co_await tx.exec(kAdd, "b"); });
      } catch (const pg::UniqueViolation&) {
      }
      co_await tx.exec(kAdd, "c");
    });
    EXPECT_EQ(co_await db.one(kNotes), "first a b c");
  });
}

TEST_F(TestingSandbox, ChecksAtTheEndOfATransactionWhatIsDeferredToIt) {
  work([](pg::Db& db) -> Task<void> {
    bool refused = false;
    bool told = false;
    try {
      co_await db.transaction([&](pg::Tx& tx) -> Task<void> {
        tx.after_commit([&]() -> Task<void> {
          told = true;
          co_return;
        });
        co_await tx.exec(kAddChild, 77);
      });
    } catch (const pg::ForeignKeyViolation&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    EXPECT_FALSE(told);
    refused = false;
    try {
      co_await db.exec(kAddChild, 77);
    } catch (const pg::ForeignKeyViolation&) {
      refused = true;
    }
    EXPECT_TRUE(refused) << "a statement by itself is a transaction";
    // And it is deferred in the next one again.
    co_await db.transaction([&](pg::Tx& tx) -> Task<void> {
      tx.after_commit([&]() -> Task<void> {
        told = true;
        co_return;
      });
      co_await tx.exec(kAddChild, 1);
    });
    EXPECT_TRUE(told);
  });
}

TEST_F(TestingSandbox, KeepsTheOptionsOfATransactionToIt) {
  work([](pg::Db& db) -> Task<void> {
    bool refused = false;
    try {
      co_await db.transaction(pg::read_only, [](pg::Tx& tx) -> Task<void> { co_await tx.exec(kAdd, "x"); });
    } catch (const Error& error) {
      refused = true;
      EXPECT_THAT(error.message(), HasSubstr("read-only"));
    }
    EXPECT_TRUE(refused);
    const auto before = co_await db.one(kSetting, "lock_timeout");
    co_await db.transaction(pg::serializable | pg::TransactionOptions{.lock_timeout = std::chrono::milliseconds{1234}},
                            [](pg::Tx& tx) -> Task<void> {
                              EXPECT_EQ(co_await tx.one(kSetting, "lock_timeout"), "1234ms");
                              EXPECT_EQ(co_await tx.one(kSetting, "transaction_isolation"), "serializable");
                              co_await tx.exec(kAdd, "y");
                            });
    EXPECT_EQ(co_await db.one(kSetting, "lock_timeout"), before);
  });
}

TEST_F(TestingSandbox, RunsWhatHappensAtOnceOneAfterTheOther) {
  work([](pg::Db& db) -> Task<void> {
    const auto add = [&db](std::string text) -> Task<bool> {
      try {
        co_await db.exec(kAdd, text);
        co_return true;
      } catch (const pg::UniqueViolation&) {
        co_return false;
      }
    };
    std::vector<Task<bool>> adding;
    for (int i = 0; i < 50; ++i) adding.push_back(add(std::to_string(i % 40)));
    const auto added = co_await async::all(std::move(adding));
    EXPECT_EQ(std::ranges::count(added, true), 40);
  });
  expect_untouched();
}

// Whoever leaves before the answer comes does not take the neighbours with him.
TEST_F(TestingSandbox, OutlivesWhatIsCancelled) {
  work([](pg::Db& db) -> Task<void> {
    co_await db.exec(kAdd, "before");
    bool late = false;
    try {
      co_await async::timeout(std::chrono::milliseconds{20}, db.one(kNap, 0.1));
    } catch (const DeadlineExceeded&) {
      late = true;
    }
    EXPECT_TRUE(late);
    {
      auto each = db.stream(kEachNote);
      co_await each.next();
    }
    co_await db.exec(kAdd, "after");
    EXPECT_EQ(co_await db.one(kNotes), "first before after");
  });
}

TEST_F(TestingSandbox, SaysWhoHoldsItsOneSession) {
  Sandbox sandbox(folder_);
  auto options = sandbox.options();
  options.acquire_timeout = std::chrono::milliseconds{20};
  work(options, [](pg::Db& db) -> Task<void> {
    std::string why;
    co_await db.transaction([&](pg::Tx&) -> Task<void> {
      try {
        co_await db.exec(kAdd, "beside");
      } catch (const pg::PoolExhausted& error) {
        why = error.message();
      }
    });
    EXPECT_THAT(why, HasSubstr("must go through its Tx"));
    why.clear();
    try {
      co_await pg::AdvisoryLock::acquire(db, "a");
    } catch (const Internal& error) {
      why = error.message();
    }
    EXPECT_THAT(why, HasSubstr("session of its own"));
  });
}

TEST_F(TestingSandbox, IsForOneDbAtATime) {
  Sandbox sandbox(folder_);
  work(sandbox.options(), [&](pg::Db&) -> Task<void> {
    pg::Db second{sandbox.options()};
    std::string why;
    try {
      co_await second.start_loop(async::Loop::current());
    } catch (const Internal& error) {
      why = error.message();
    }
    EXPECT_THAT(why, HasSubstr("one Db at a time"));
  });
  auto options = sandbox.options();
  options.migrations = folder_;
  EXPECT_THAT(error_of<Internal>([&] { work(options, [](pg::Db&) -> Task<void> { co_return; }); }),
              HasSubstr("would not be undone"));
}

TEST_F(TestingSandbox, HasADatabaseForEachThatIsThereAtOnce) {
  Sandbox one(folder_);
  Sandbox two(folder_);
  work(one.options(), [](pg::Db& db) -> Task<void> { co_await db.exec(kAdd, "second"); });
  work(two.options(), [](pg::Db& db) -> Task<void> {
    co_await db.exec(kAdd, "second");  // would wait for the other one
    EXPECT_EQ(co_await db.one(kNotes), "first second");
  });
}

TEST_F(TestingSandbox, IsAnotherOneAfterSomethingWasCommittedBehindItsBack) {
  work([](pg::Db& db) -> Task<void> {
    co_await db.exec(kAdd, "kept");
    try {
      co_await db.exec(kEnd);
    } catch (const Error&) {
    }
  });
  expect_untouched();
}

TEST_F(TestingSandbox, IsAnotherOneAfterItsSessionWasLost) {
  std::int32_t session = 0;
  const auto message = error_of<pg::ConnectionLost>([&] {
    work([&](pg::Db& db) -> Task<void> {
      session = co_await db.one(kSession);
      Database::server().run_sql("postgres", "select pg_terminate_backend(" + std::to_string(session) + ")");
      for (int i = 0; i < 100; ++i) {
        co_await db.one(kSession);
        co_await async::sleep(std::chrono::milliseconds{10});
      }
    });
  });
  EXPECT_THAT(message, ::testing::Not(HasSubstr("another one")));
  EXPECT_NE(message, "none");
  work([&](pg::Db& db) -> Task<void> { EXPECT_NE(co_await db.one(kSession), session); });
  expect_untouched();
}

// In between as well: nobody notices before the next test comes.
TEST_F(TestingSandbox, IsAnotherOneAfterItsSessionWasLostBetweenTwoTests) {
  std::int32_t session = 0;
  {
    Sandbox sandbox(folder_);
    work(sandbox.options(), [&](pg::Db& db) -> Task<void> { session = co_await db.one(kSession); });
    Database::server().run_sql("postgres", "select pg_terminate_backend(" + std::to_string(session) + ")");
  }
  expect_untouched();
}

TEST_F(TestingSandbox, IsCleanedAfterManyTests) {
  for (int i = 0; i < 205; ++i) {
    work([](pg::Db& db) -> Task<void> {
      EXPECT_EQ(co_await db.one(kNotes), "first");
      for (const char* text : {"a", "b", "c"}) co_await db.exec(kAdd, text);
    });
  }
  work([](pg::Db& db) -> Task<void> {
    static const pg::DynamicQuery<std::int64_t()> pages{
        pg::unsafe_sql("select pg_relation_size('notes') / current_setting('block_size')::int")};
    EXPECT_LE(co_await db.one(pages), 3);
  });
}

}  // namespace
}  // namespace ashlar::testing
