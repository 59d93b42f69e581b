// For the tests of this module: thousands of values of one type go both ways, and libpq, which sees text only, says
// what they must be.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg::test {

inline constexpr std::size_t kValues = 10'000;

/// The same numbers in every run.
class Random {
 public:
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
  }
  std::uint64_t bits() { return engine_(); }
  bool coin() { return (engine_() & 1U) != 0; }
  /// Of any size: half of the values are small.
  std::int64_t integer(std::int64_t low, std::int64_t high) {
    return coin() ? between(low, high)
                  : between(std::max<std::int64_t>(low, -1000), std::min<std::int64_t>(high, 1000));
  }
  /// UTF-8 without NUL: what has to be quoted, and characters of each length.
  std::string text(std::size_t longest) {
    std::string out;
    for (auto n = between(0, static_cast<std::int64_t>(longest)); n > 0; --n) {
      switch (between(0, 5)) {
        case 0:
          out += R"('"\{},()[] )"[between(0, 10)];
          break;
        case 1:
          append(out, static_cast<char32_t>(between(1, 0x1f)));
          break;
        case 2:
          append(out, static_cast<char32_t>(between(0x80, 0xd7ff)));
          break;
        case 3:
          append(out, static_cast<char32_t>(between(0xe000, 0x10ffff)));
          break;
        default:
          append(out, static_cast<char32_t>(between(0x20, 0x7e)));
      }
    }
    return out;
  }

 private:
  static void append(std::string& out, char32_t c) {
    if (c < 0x80) {
      out += static_cast<char>(c);
      return;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    out += static_cast<char>((0xf00U >> (more + 1) & 0xffU) | c >> (6 * more));
    for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80U | (c >> (6 * i) & 0x3fU));
  }
  std::mt19937_64 engine_{20260101};
};

/// An element of an array, as PostgreSQL reads it.
inline std::string element_of(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

/// libpq, and text.
class TextOracle {
 public:
  explicit TextOracle(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
    if (PQstatus(connection_) != CONNECTION_OK) throw Internal(PQerrorMessage(connection_));
    run("set timezone = 'UTC'");
    run("set client_encoding = 'UTF8'");
  }
  TextOracle(const TextOracle&) = delete;
  TextOracle& operator=(const TextOracle&) = delete;
  ~TextOracle() { PQfinish(connection_); }

  void run(const std::string& sql) const { static_cast<void>(column(sql)); }
  /// The first column.
  [[nodiscard]] std::vector<std::string> column(const std::string& sql) const {
    return take(PQexec(connection_, sql.c_str()));
  }
  /// Into the table `literals (n, v)`, numbered from 1.
  void keep(const std::vector<std::string>& texts) const {
    run("create table literals (n bigint primary key, v text not null)");
    std::string list = "{";
    for (const std::string& text : texts) list += (list.size() == 1 ? "" : ",") + element_of(text);
    list += '}';
    const char* const values[] = {list.c_str()};
    take(PQexecParams(connection_, "insert into literals select n, v from unnest($1::text[]) with ordinality u (v, n)",
                      1, nullptr, values, nullptr, nullptr, 0));
  }

 private:
  std::vector<std::string> take(PGresult* result) const {
    std::vector<std::string> out;
    const ExecStatusType status = PQresultStatus(result);
    const std::string error = PQresultErrorMessage(result);
    for (int i = 0; i < PQntuples(result); ++i)
      out.emplace_back(PQgetvalue(result, i, 0), static_cast<std::size_t>(PQgetlength(result, i, 0)));
    PQclear(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw Internal(error);
    return out;
  }
  PGconn* connection_;
};

template <class T>
struct Proof {
  std::string type;  ///< as after `::`
  std::vector<T> values;
  std::function<std::string(const T&)> literal;  ///< what PostgreSQL reads, unquoted
  std::function<bool(const T&, const T&)> same = [](const T& a, const T& b) { return a == b; };
  std::string before = {};  ///< SQL that makes the type
};

template <class T>
struct OneValue {
  T v;
};

template <class A, class B, class Same, class Show>
void expect_all(const std::vector<A>& got, const std::vector<B>& wanted, Same same, Show show, const char* what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (same(got[i], wanted[i])) continue;
    if (++wrong <= 5) ADD_FAILURE() << what << ", value " << i << ": " << show(i);
  }
  EXPECT_EQ(wrong, 0U) << what;
}

/// Each value is sent, in an array and some of them alone, and must be the text that the literal is to libpq; and what
/// the server makes of the literal must be read as the value.
template <class T>
void prove(Proof<T> proof) {
  const TestDatabase database(server(), "template1");
  const TextOracle oracle(database.url());
  if (!proof.before.empty()) oracle.run(proof.before);
  std::vector<std::string> literals;
  literals.reserve(proof.values.size());
  for (const auto& value : proof.values) literals.push_back(proof.literal(value));
  oracle.keep(literals);
  const std::vector<std::string> texts =
      oracle.column(fmt::format("select v::{}::text from literals order by n", proof.type));
  const auto show = [&](std::size_t i) { return fmt::format("{} `{}`", proof.type, literals[i]); };
  with_db(
      [&](Db& db) -> Task<void> {
        const DynamicQuery<std::string(std::vector<T>)> send{
            unsafe_sql(fmt::format("select u::text from unnest($1::{}[]) u", proof.type))};
        expect_all(co_await db.all(send, proof.values), texts, std::equal_to<>{}, show, "sent");

        const DynamicQuery<OneValue<T>()> read{
            unsafe_sql(fmt::format("select v::{} as v from literals order by n", proof.type))};
        const auto rows = co_await db.all(read);
        expect_all(
            rows, proof.values, [&](const OneValue<T>& a, const T& b) { return proof.same(a.v, b); }, show, "read");

        const DynamicQuery<std::string(T)> send_one{unsafe_sql(fmt::format("select $1::{}::text", proof.type))};
        std::vector<Task<std::string>> tasks;
        for (std::size_t i = 0; i < std::min<std::size_t>(50, proof.values.size()); ++i)
          tasks.push_back(db.one(send_one, proof.values[i]));
        const auto alone = co_await async::all(std::move(tasks));
        for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(alone[i], texts[i]) << "sent alone: " << show(i);
      },
      {.url = database.url() + "&TimeZone=UTC", .statement_timeout = std::chrono::milliseconds{0}});
}

/// The edges, and then random ones until there are kValues.
template <class T, class Make>
std::vector<T> values_of(std::vector<T> edges, Make make) {
  edges.reserve(kValues);
  while (edges.size() < kValues) edges.push_back(make());
  return edges;
}

}  // namespace ashlar::pg::test
