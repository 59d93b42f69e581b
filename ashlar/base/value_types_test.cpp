#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>

#include <gtest/gtest.h>

#include <type_traits>

namespace ashlar {
namespace {

template <class T>
std::string round_trip(std::string_view text) {
  const auto value = T::parse(text);
  return value ? std::string(value->to_string()) : "refused";
}

TEST(Text, KnowsWellFormedUtf8) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain ascii that is longer than eight bytes"));
  EXPECT_TRUE(is_utf8("größer 中文 \xF0\x9F\x98\x80 and more text behind it"));
  EXPECT_FALSE(is_utf8("\xC0\x80"));          // overlong
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(is_utf8("12345678\xE4\xB8"));  // cut off
  EXPECT_FALSE(is_utf8("\xFF"));
  EXPECT_EQ(utf8_length("größer"), 6U);
}

TEST(Text, DecodesPercent) {
  EXPECT_EQ(percent_decode("a%20b+c"), "a b+c");
  EXPECT_EQ(percent_decode("a%20b+c", true), "a b c");
  EXPECT_EQ(percent_decode("%4"), std::nullopt);
  EXPECT_EQ(percent_decode("%zz"), std::nullopt);
  EXPECT_EQ(percent_encode("a b/ü"), "a%20b%2F%C3%BC");
}

TEST(Text, ComparesWithoutCase) {
  EXPECT_TRUE(equals_ignore_case("Content-TYPE", "content-type"));
  EXPECT_FALSE(equals_ignore_case("a", "ab"));
  EXPECT_EQ(trim(" \t x y \n"), "x y");
  EXPECT_EQ(trim("  "), "");
}

TEST(Bytes, RoundTripsInBase64) {
  EXPECT_EQ(base64_encode("Hello"), "SGVsbG8=");
  EXPECT_EQ(base64url_encode("\xFB\xFF\xFE"), "-__-");
  EXPECT_EQ(base64_decode("SGVsbG8="), "Hello");
  EXPECT_EQ(base64_decode("SGVsbG8"), "Hello");
  EXPECT_EQ(base64_decode("SGVsbG9="), std::nullopt);  // stray bits
  EXPECT_EQ(base64_decode("SGVsbG8=="), std::nullopt);
  EXPECT_EQ(base64_decode("S"), std::nullopt);
  EXPECT_EQ(base64_decode("===="), std::nullopt);
  EXPECT_EQ(base64_decode(""), "");
  EXPECT_EQ(Bytes::parse("-__-")->view(), "\xFB\xFF\xFE");
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string bytes = random_bytes(size);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
    EXPECT_EQ(hex_decode(hex_encode(bytes)), bytes);
  }
}

TEST(Uuid, ReadsAndWritesItsText) {
  EXPECT_EQ(round_trip<Uuid>("0192D4E0-7B5A-7C3D-8E4F-1A2B3C4D5E6F"), "0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f");
  EXPECT_EQ(round_trip<Uuid>("0192d4e07b5a7c3d8e4f1a2b3c4d5e6f"), "0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f");
  EXPECT_EQ(round_trip<Uuid>("{0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f}"), "0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f");
  EXPECT_EQ(round_trip<Uuid>("0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6"), "refused");
  EXPECT_EQ(round_trip<Uuid>("0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6g"), "refused");
}

TEST(Uuid, Version7GrowsWithinAThread) {
  Uuid last = Uuid::v7();
  EXPECT_EQ(last.version(), 7);
  for (int i = 0; i < 10'000; ++i) {
    const Uuid next = Uuid::v7();
    ASSERT_LT(last, next);
    last = next;
  }
  EXPECT_EQ(Uuid::v4().version(), 4);
  EXPECT_NE(Uuid::v4(), Uuid::v4());
}

TEST(DateTime, ReadsRfc3339) {
  EXPECT_EQ(DateTime::parse("1970-01-01T00:00:00Z")->micros, 0);
  EXPECT_EQ(round_trip<DateTime>("2026-01-02T03:04:05.678Z"), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(round_trip<DateTime>("2026-01-02t03:04:05z"), "2026-01-02T03:04:05.000Z");
  EXPECT_EQ(round_trip<DateTime>("2026-01-02 03:04:05.678901+02:00"), "2026-01-02T01:04:05.678901Z");
  EXPECT_EQ(round_trip<DateTime>("2026-01-02T03:04:05-0530"), "2026-01-02T08:34:05.000Z");
  EXPECT_EQ(round_trip<DateTime>("2026-01-02T03:04"), "2026-01-02T03:04:00.000Z");
  EXPECT_EQ(round_trip<DateTime>("2024-02-29"), "2024-02-29T00:00:00.000Z");
  EXPECT_EQ(round_trip<DateTime>("1969-12-31T23:59:59.5Z"), "1969-12-31T23:59:59.500Z");
  EXPECT_EQ(round_trip<DateTime>("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00.000Z");
  EXPECT_EQ(round_trip<DateTime>("9999-12-31T23:59:59.999999999Z"), "9999-12-31T23:59:59.999999Z");
}

TEST(DateTime, SaysWhatIsWrong) {
  EXPECT_EQ(DateTime::parse_or_reason("").error(), "input is too short");
  EXPECT_EQ(DateTime::parse_or_reason("yesterday").error(), "invalid character in year");
  EXPECT_EQ(DateTime::parse_or_reason("2026-13-02").error(), "month value is outside expected range of 1-12");
  EXPECT_EQ(DateTime::parse_or_reason("2026-02-29").error(), "day value is outside expected range");
  EXPECT_EQ(DateTime::parse_or_reason("2026-01-02T24:00").error(), "hour value is outside expected range of 0-23");
  EXPECT_EQ(DateTime::parse_or_reason("2026-01-02T03:04:05X").error(), "invalid timezone sign");
  EXPECT_EQ(DateTime::parse_or_reason("2026-01-02T03:04:05Z!").error(),
            "unexpected extra characters at the end of the input");
  EXPECT_EQ(DateTime::parse_or_reason("2026-01-02T03:04:05.Z").error(), "second fraction value is missing");
}

TEST(DateTime, WritesYearsOutsideFourDigitsWithoutHarm) {
  EXPECT_FALSE(DateTime{INT64_MAX}.to_string().empty());
  EXPECT_FALSE(DateTime{INT64_MIN}.to_string().empty());
  EXPECT_FALSE(Date{INT32_MAX}.to_string().empty());
  EXPECT_FALSE(Date{INT32_MIN}.to_string().empty());
}

TEST(DateTime, Calculates) {
  const DateTime t = *DateTime::parse("2026-01-02T00:00:00Z");
  EXPECT_EQ((t + std::chrono::hours{25}).to_string(), "2026-01-03T01:00:00.000Z");
  EXPECT_EQ((t + std::chrono::hours{1} - t), Duration(std::chrono::hours{1}));
  EXPECT_EQ(t.date(), *Date::of(2026, 1, 2));
  EXPECT_EQ(Date::of(2026, 2, 30), std::nullopt);
  EXPECT_EQ(t.date().year(), 2026);
}

TEST(Date, RoundTripsEveryDayOfFourCenturies) {
  for (std::int32_t days = -146097; days <= 146097; days += 13) {
    const Date date{days};
    ASSERT_EQ(Date::parse(date.to_string()), date);
  }
}

TEST(TimeOfDay, RoundTrips) {
  EXPECT_EQ(round_trip<TimeOfDay>("23:59:59"), "23:59:59");
  EXPECT_EQ(round_trip<TimeOfDay>("03:04"), "03:04:00");
  EXPECT_EQ(round_trip<TimeOfDay>("03:04:05.5"), "03:04:05.500000");
  EXPECT_EQ(round_trip<TimeOfDay>("24:00"), "refused");
}

TEST(Duration, ReadsIsoAndShortForms) {
  EXPECT_EQ(round_trip<Duration>("PT1H30M"), "PT1H30M");
  EXPECT_EQ(round_trip<Duration>("-P1DT0.5S"), "-P1DT0.5S");
  EXPECT_EQ(round_trip<Duration>("P2W"), "P14D");
  EXPECT_EQ(round_trip<Duration>("90s"), "PT1M30S");
  EXPECT_EQ(round_trip<Duration>("1h30m"), "PT1H30M");
  EXPECT_EQ(round_trip<Duration>("250ms"), "PT0.25S");
  EXPECT_EQ(round_trip<Duration>("PT0S"), "PT0S");
  EXPECT_EQ(round_trip<Duration>(""), "refused");
  EXPECT_EQ(round_trip<Duration>("P"), "refused");
  EXPECT_EQ(round_trip<Duration>("PT"), "refused");
  EXPECT_EQ(round_trip<Duration>("P1Y"), "refused");
  EXPECT_EQ(round_trip<Duration>("P1M"), "refused");
  EXPECT_EQ(round_trip<Duration>("1m1h"), "refused");
  EXPECT_EQ(round_trip<Duration>("99999999999999999999s"), "refused");
  EXPECT_EQ(Duration{INT64_MIN}.to_string(), "-P106751991DT4H54.775808S");
}

TEST(Decimal, IsExactAndKeepsItsScale) {
  EXPECT_EQ(round_trip<Decimal>("1.50"), "1.50");
  EXPECT_EQ(*Decimal::parse("1.50"), *Decimal::parse("1.5"));
  EXPECT_EQ(round_trip<Decimal>("-0.001"), "-0.001");
  EXPECT_EQ(round_trip<Decimal>("-0.00"), "0.00");
  EXPECT_EQ(round_trip<Decimal>("1.25e3"), "1250");
  EXPECT_EQ(round_trip<Decimal>("1e-3"), "0.001");
  EXPECT_EQ(round_trip<Decimal>("000123456789012345678901234567890.10"), "123456789012345678901234567890.10");
  EXPECT_EQ(round_trip<Decimal>("1e999999"), "refused");
  EXPECT_EQ(round_trip<Decimal>("NaN"), "refused");
  EXPECT_EQ(round_trip<Decimal>("."), "refused");
  EXPECT_EQ(round_trip<Decimal>(""), "refused");
  EXPECT_EQ(Decimal(INT64_MIN).to_string(), "-9223372036854775808");
}

TEST(Decimal, Calculates) {
  const auto d = [](std::string_view text) { return *Decimal::parse(text); };
  EXPECT_EQ((d("0.1") + d("0.2")).to_string(), "0.3");
  EXPECT_EQ((d("1") - d("1.01")).to_string(), "-0.01");
  EXPECT_EQ((d("-1.5") * d("99.99")).to_string(), "-149.985");
  EXPECT_EQ((d("999") + Decimal(1)).to_string(), "1000");
  EXPECT_EQ(d("2.345").rounded(2).to_string(), "2.34");
  EXPECT_EQ(d("2.355").rounded(2).to_string(), "2.36");
  EXPECT_EQ(d("0.0051").rounded(2).to_string(), "0.01");
  EXPECT_EQ(d("9.99").rounded(0).to_string(), "10");
  EXPECT_EQ(d("3").rounded(2).to_string(), "3.00");
  EXPECT_TRUE(d("0.30").is_multiple_of(d("0.1")));
  EXPECT_FALSE(d("0.35").is_multiple_of(d("0.1")));
  EXPECT_LT(d("-10"), d("-9.99"));
  EXPECT_LT(d("0.009"), d("0.01"));
  EXPECT_LT(d("0"), d("0.0001"));
  EXPECT_GT(d("10"), d("9.999"));
}

TEST(IpAddress, ReadsAddressesAndNetworks) {
  EXPECT_EQ(round_trip<IpAddress>("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(round_trip<IpAddress>("2001:DB8::1"), "2001:db8::1");
  EXPECT_EQ(round_trip<IpAddress>("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(round_trip<IpAddress>("10.0.0.0/33"), "refused");
  EXPECT_EQ(round_trip<IpAddress>("10.0.0.256"), "refused");
  EXPECT_EQ(round_trip<IpAddress>("fe80::1%eth0"), "refused");
  EXPECT_TRUE(IpAddress::parse("10.0.0.0/8")->contains(*IpAddress::parse("10.200.3.4")));
  EXPECT_TRUE(IpAddress::parse("10.0.0.0/8")->contains(*IpAddress::parse("::ffff:10.200.3.4")));
  EXPECT_FALSE(IpAddress::parse("10.0.0.0/9")->contains(*IpAddress::parse("10.200.3.4")));
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("127.3.0.1")->is_loopback());
}

TEST(Url, KnowsItsParts) {
  const auto url = Url::parse("HTTPS://user:p%40ss@Example.COM:8443/a/b?x=1&y=2#top");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->to_string(), "https://user:p%40ss@example.com:8443/a/b?x=1&y=2#top");
  EXPECT_EQ(url->scheme(), "https");
  EXPECT_EQ(url->userinfo(), "user:p%40ss");
  EXPECT_EQ(url->host(), "example.com");
  EXPECT_EQ(url->port(), 8443);
  EXPECT_EQ(url->path(), "/a/b");
  EXPECT_EQ(url->query(), "x=1&y=2");
  EXPECT_EQ(url->fragment(), "top");
  EXPECT_EQ(url->target(), "/a/b?x=1&y=2");
}

TEST(Url, NormalisesAndRefuses) {
  EXPECT_EQ(round_trip<Url>("http://example.com"), "http://example.com/");
  EXPECT_EQ(round_trip<Url>("http://example.com?a=b"), "http://example.com/?a=b");
  EXPECT_EQ(round_trip<Url>("postgres://u@[::1]:5432/db"), "postgres://u@[::1]:5432/db");
  EXPECT_EQ(Url::parse("http://[::1]")->host(), "::1");
  EXPECT_EQ(Url::parse("http://x.org")->port(), 80);
  EXPECT_EQ(round_trip<Url>("file:///tmp/x"), "file:///tmp/x");
  for (const char* bad : {"", "example.com", "/path", "http://", "http:///x", "http://a b/", "http://x:99999/",
                          "http://x:8a/", "http://[::g]/", "http://x/%zz", "http://x/\x01", "javascript:alert(1)",
                          "http://-x.org/", "http://x..y/", "http://user@/", "http://x/<script>"}) {
    EXPECT_EQ(round_trip<Url>(bad), "refused") << bad;
  }
  EXPECT_EQ(Url::parse_or_reason("example.com").error(), "relative URL without a base");
  EXPECT_TRUE(Url{}.host().empty());
}

TEST(Email, ChecksAddresses) {
  EXPECT_EQ(round_trip<Email>("Jane.Doe+tag@Example.ORG"), "Jane.Doe+tag@example.org");
  EXPECT_EQ(Email::parse("a@b.de")->domain(), "b.de");
  EXPECT_EQ(round_trip<Email>("jürgen@exämple.de"), "jürgen@exämple.de");
  for (const char* bad : {"", "@", "a@", "@b.de", "a@b", "a b@c.de", "a..b@c.de", ".a@c.de", "a@-b.de", "a@b-.de",
                          "a@b..de", "a@b.de.", "a@1.2", "a@b.de\n", "\"a\"@b.de"}) {
    EXPECT_EQ(round_trip<Email>(bad), "refused") << bad;
  }
}

TEST(Secret, NeverPrints) {
  const Secret<> password{std::string("hunter2")};
  EXPECT_EQ(password.to_string(), "**********");
  EXPECT_EQ(password.reveal(), "hunter2");
  EXPECT_EQ(password, Secret<>{std::string("hunter2")});
  static_assert(!std::is_convertible_v<Secret<>, std::string>);
}

}  // namespace
}  // namespace ashlar
