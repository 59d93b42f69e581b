#include <ashlar/pg/backplane.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using detail::BatchReader;
using detail::BatchWriter;
using Heard = std::vector<std::pair<std::string, std::string>>;

constexpr std::array<std::uint8_t, 16> kAda{1};
constexpr std::array<std::uint8_t, 16> kBob{2};

async::Backplane::Deliver into(Heard& heard) {
  return [&heard](std::string_view topic, std::string_view payload) { heard.emplace_back(topic, payload); };
}

TEST(Batch, CarriesManyMessagesInOneNotification) {
  std::string batch;
  BatchWriter::add(batch, "a", "1");
  BatchWriter::add(batch, "", std::string("\0\xff", 2));
  BatchWriter::add(batch, "b", "");
  const auto notifications = BatchWriter(kAda).pack(batch);
  ASSERT_EQ(notifications.size(), 1U);
  Heard heard;
  EXPECT_EQ(BatchReader(kBob).take(notifications[0], into(heard)), BatchReader::Result::taken);
  EXPECT_EQ(heard, (Heard{{"a", "1"}, {"", std::string("\0\xff", 2)}, {"b", ""}}));
}

TEST(Batch, CutsALargeMessageIntoNotificationsThatFit) {
  std::string batch;
  BatchWriter::add(batch, "topic", std::string(100'000, 'x'));
  const auto notifications = BatchWriter(kAda).pack(batch);
  EXPECT_EQ(notifications.size(), 17U);
  BatchReader reader(kBob);
  Heard heard;
  for (const auto& one : notifications) {
    EXPECT_LE(one.size(), BatchWriter::kMostPayload);
    EXPECT_TRUE(heard.empty());
    EXPECT_EQ(reader.take(one, into(heard)), BatchReader::Result::taken);
  }
  EXPECT_EQ(heard, (Heard{{"topic", std::string(100'000, 'x')}}));
}

TEST(Batch, IsNeverDeliveredTwiceOrToItsSender) {
  std::string batch;
  BatchWriter::add(batch, "a", "1");
  BatchWriter writer(kAda);
  const auto first = writer.pack(batch);
  const auto second = writer.pack(batch);
  BatchReader reader(kBob);
  BatchReader own(kAda);
  Heard heard;
  EXPECT_EQ(reader.take(first[0], into(heard)), BatchReader::Result::taken);
  EXPECT_EQ(reader.take(first[0], into(heard)), BatchReader::Result::ignored);
  EXPECT_EQ(reader.take(second[0], into(heard)), BatchReader::Result::taken);
  EXPECT_EQ(own.take(first[0], into(heard)), BatchReader::Result::ignored);
  EXPECT_EQ(heard.size(), 2U);
}

TEST(Batch, RefusesWhatIsCutOrForeign) {
  std::string batch;
  BatchWriter::add(batch, "a", std::string(20'000, 'x'));
  const auto parts = BatchWriter(kAda).pack(batch);
  BatchReader reader(kBob);
  Heard heard;
  EXPECT_EQ(reader.take("hello", into(heard)), BatchReader::Result::malformed);
  EXPECT_EQ(reader.take("", into(heard)), BatchReader::Result::malformed);
  EXPECT_EQ(reader.take(parts[1], into(heard)), BatchReader::Result::malformed);  // its beginning was not heard
  EXPECT_EQ(reader.take(parts[0], into(heard)), BatchReader::Result::taken);
  EXPECT_EQ(reader.take(parts[2], into(heard)), BatchReader::Result::malformed);  // one is missing
  const auto lying = BatchWriter(kAda).pack(std::string("\0\0\0\x09\0\0\0\0a", 9));
  EXPECT_EQ(reader.take(lying[0], into(heard)), BatchReader::Result::malformed);
  EXPECT_TRUE(heard.empty());
}

// ---------------------------------------------------------------------------------------------------- over a server

Task<void> until(auto predicate) {
  co_await async::timeout(std::chrono::seconds{20}, [](auto holds) -> Task<void> {
    while (!holds()) co_await async::sleep(std::chrono::milliseconds{2});
  }(predicate));
}

template <class F>
void with_two(F body) {
  test::with_db([&](Db& db) -> Task<void> {
    NotifyBackplane ada(db);
    NotifyBackplane bob(db);
    co_await ada.start_loop(async::Loop::current());
    co_await bob.start_loop(async::Loop::current());
    co_await until([&] { return ada.stats().connected && bob.stats().connected; });
    std::exception_ptr error;
    try {
      co_await body(db, ada, bob);
    } catch (...) {
      error = std::current_exception();
    }
    co_await ada.stop_loop(async::Loop::current());
    co_await bob.stop_loop(async::Loop::current());
    if (error) std::rethrow_exception(error);
  });
}

TEST(NotifyBackplane, CarriesMessagesInOrderAndFewNotifications) {
  with_two([](Db&, NotifyBackplane& ada, NotifyBackplane& bob) -> Task<void> {
    Heard at_ada;
    Heard at_bob;
    ada.deliver_to(into(at_ada));
    bob.deliver_to(into(at_bob));
    for (int i = 0; i < 500; ++i) EXPECT_TRUE(ada.publish("room", std::to_string(i)));
    EXPECT_TRUE(ada.publish("large", std::string(200'000, 'x')));
    co_await until([&] { return at_bob.size() == 501; });
    for (int i = 0; i < 500; ++i) EXPECT_EQ(at_bob[static_cast<std::size_t>(i)].second, std::to_string(i));
    EXPECT_EQ(at_bob.back().second.size(), 200'000U);
    EXPECT_TRUE(at_ada.empty());
    EXPECT_LT(ada.stats().notifications, 100U);
    EXPECT_TRUE(bob.publish("room", "back"));
    co_await until([&] { return at_ada.size() == 1; });
  });
}

TEST(NotifyBackplane, ConnectsAgainAndSendsWhatWaited) {
  with_two([](Db& db, NotifyBackplane& ada, NotifyBackplane& bob) -> Task<void> {
    Heard at_bob;
    bob.deliver_to(into(at_bob));
    const DynamicQuery<std::int64_t()> kill{
        unsafe_sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where query = 'listen ashlar'")};
    EXPECT_EQ(co_await db.one(kill), 2);
    co_await until([&] { return ada.stats().reconnects == 1 && bob.stats().reconnects == 1; });
    co_await until([&] { return bob.stats().connected; });
    EXPECT_TRUE(ada.publish("room", "after"));
    co_await until([&] { return at_bob.size() == 1; });
    EXPECT_EQ(at_bob[0].second, "after");
  });
}

TEST(NotifyBackplane, RefusesWhatIsTooLargeOrTooMuch) {
  test::with_db([](Db& db) -> Task<void> {
    NotifyBackplane backplane(db, {.max_message = 1000, .max_pending = 5000});
    EXPECT_FALSE(backplane.publish("t", std::string(1000, 'x')));
    int taken = 0;
    while (backplane.publish("t", std::string(900, 'x'))) ++taken;
    EXPECT_EQ(taken, 5);
    EXPECT_EQ(backplane.stats().too_large, 1U);
    EXPECT_EQ(backplane.stats().dropped, 1U);
    EXPECT_THROW(NotifyBackplane(db, {.channel = "a'; drop"}), Invalid);
    co_return;
  });
}

}  // namespace
}  // namespace ashlar::pg
