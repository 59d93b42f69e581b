#include <ashlar/pg/wire.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/detail/scram.hpp>
#include <ashlar/pg/row.hpp>

namespace ashlar::pg {
namespace {

using ::testing::HasSubstr;

TEST(Wire, TakesWholeMessagesOnly) {
  std::size_t wanted = 0;
  EXPECT_FALSE(wire::next_message(std::string_view("Z\0\0\0", 4), wanted));
  const std::string ready("Z\0\0\0\5I", 6);
  for (std::size_t n = 0; n < ready.size(); ++n)
    EXPECT_FALSE(wire::next_message(std::string_view(ready).substr(0, n), wanted));
  const auto message = wire::next_message(ready, wanted);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, 'Z');
  EXPECT_EQ(message->body, "I");
  EXPECT_EQ(wanted, 6U);
}

TEST(Wire, RefusesImpossibleLengths) {
  std::size_t wanted = 0;
  EXPECT_THROW(wire::next_message(std::string_view("D\0\0\0\3", 5), wanted), ProtocolError);
  EXPECT_THROW(wire::next_message(std::string_view("D\x7f\xff\xff\xff", 5), wanted), ProtocolError);
}

TEST(Wire, RandomBytesNeverDoMoreThanThrow) {
  std::mt19937 random{1};
  const std::array<ColumnType, 3> columns{{{oid::int4, false}, {oid::text, false}, {oid::numeric, false}}};
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % (round % 2 == 0 ? 256 : 4));
    const auto attempt = [](auto&& f) {
      try {
        f();
      } catch (const Error&) {
      }
    };
    attempt([&] { static_cast<void>(wire::row_description(bytes)); });
    attempt([&] { static_cast<void>(wire::parameter_description(bytes)); });
    attempt([&] { static_cast<void>(wire::error_fields(bytes)); });
    attempt([&] { static_cast<void>(wire::notification(bytes)); });
    attempt([&] {
      RowReader row(bytes, columns);
      for (int i = 0; i < 3; ++i) row.next();
    });
    attempt([&] {
      Decimal value;
      Codec<Decimal>::decode(0, bytes, value);
    });
    attempt([&] {
      std::vector<std::string> value;
      Codec<std::vector<std::string>>::decode(0, bytes, value);
    });
    attempt([&] {
      Range<std::int32_t> value;
      Codec<Range<std::int32_t>>::decode(oid::int4range, bytes, value);
    });
    attempt([&] {
      IpAddress value;
      Codec<IpAddress>::decode(0, bytes, value);
    });
  }
}

TEST(Wire, ReadsEveryFieldOfAnError) {
  const std::string body("SFEHLER\0VERROR\0C23505\0Mduplicate\0DKey (a, b)=(1, 2) already exists.\0nkey\0tt\0P7\0\0",
                         79);
  const ErrorFields error = wire::error_fields(body);
  EXPECT_EQ(error.severity, "ERROR");
  EXPECT_EQ(error.code, "23505");
  EXPECT_EQ(error.position, 7U);
  EXPECT_THAT(error.columns(), ::testing::ElementsAre("a", "b"));
}

// RFC 7677, section 3.
TEST(Scram, FollowsTheExampleOfTheRfc) {
  detail::Scram scram("pencil", {}, false, "rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(scram.first(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
  // The RFC's user name is in the signed text; PostgreSQL leaves it empty, so only the shape is compared here.
  const std::string answer =
      scram.final("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  EXPECT_THAT(answer, ::testing::StartsWith("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="));
  EXPECT_THROW(scram.verify("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), ProtocolError);
  EXPECT_THROW(scram.verify("e=invalid-proof"), ProtocolError);
}

TEST(Scram, RefusesAServerThatDoesNotExtendTheNonce) {
  detail::Scram scram("pencil", {}, false, "abc");
  EXPECT_THROW(static_cast<void>(scram.final("r=xyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")), ProtocolError);
  EXPECT_THROW(static_cast<void>(scram.final("r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")), ProtocolError);
  EXPECT_THROW(static_cast<void>(scram.final("r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0")), ProtocolError);
}

TEST(ConnectOptions, ReadsUrls) {
  const auto full = ConnectOptions::parse(
      "postgresql://ann:p%40ss@db.example:5433,[::1]:5434/"
      "shop?sslmode=verify-full&target_session_attrs=read-write&search_path=app");
  EXPECT_EQ(full.user, "ann");
  EXPECT_EQ(full.password, "p@ss");
  ASSERT_EQ(full.hosts.size(), 2U);
  EXPECT_EQ(full.hosts[0].port, 5433);
  EXPECT_EQ(full.hosts[1].host, "::1");
  EXPECT_EQ(full.database, "shop");
  EXPECT_EQ(full.ssl_mode, SslMode::verify_full);
  EXPECT_EQ(full.session, SessionAttributes::read_write);
  EXPECT_EQ(full.parameters.at(0).second, "app");
  EXPECT_THAT(full.to_string(), ::testing::Not(HasSubstr("p@ss")));
  const auto socket = ConnectOptions::parse("postgresql:///shop?host=/run/pg&user=bob");
  EXPECT_TRUE(ConnectOptions::is_unix(socket.hosts.at(0)));
  EXPECT_EQ(socket.user, "bob");
}

TEST(ConnectOptions, NamesWhatIsWrong) {
  for (const char* url : {"mysql://x", "postgresql://h:99999/d", "postgresql://h/d?sslmode=maybe",
                          "postgresql://%zz@h/d", "postgresql://[::1/d"})
    EXPECT_THROW(static_cast<void>(ConnectOptions::parse(url)), Invalid) << url;
}

}  // namespace
}  // namespace ashlar::pg
