// The floor under the routes that ask PostgreSQL: the bare epoll responder and one libpq connection in pipeline mode.
//   http_pg_floor query CONNINFO [PORT]            GET /query/{id}: one row by its key
//   http_pg_floor articles CONNINFO PORT SQL       GET anything: the first page of RealWorld's articles by the
//   statement
//                                                  in the file SQL, which is that of examples/realworld/queries.hpp
#include <sys/epoll.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "libpq.hpp"
#include "responder.hpp"

namespace {

constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";

void append_number(std::string& out, std::int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

void append_answer(std::string& out, std::string_view body) {
  out.append(kHead);
  append_number(out, static_cast<std::int64_t>(body.size()));
  out.append("\r\n\r\n").append(body);
}

class Database : public floors::Answerer {
 public:
  Database(const char* conninfo, const char* sql) : db_(conninfo, sql) {}
  void attach(floors::Responder& responder) {
    responder_ = &responder;
    responder.watch(db_.fd(), EPOLLIN);
  }

  void on_request(floors::Connection& connection, std::string_view head, std::string_view) override {
    send(head);
    ++connection.waiting;
    waiting_.push_back(&connection);
    unflushed_ = true;
  }
  void on_batch_end() override {
    if (!unflushed_) return;
    const bool flushed = db_.flush();
    if (flushed != flushed_) responder_->watch(db_.fd(), flushed ? EPOLLIN : EPOLLIN | EPOLLOUT);
    flushed_ = flushed;
    unflushed_ = !flushed;
  }
  void on_ready(std::uint32_t) override {
    db_.receive([this](PGresult* result) {
      floors::Connection& connection = *waiting_.front();
      waiting_.pop_front();
      --connection.waiting;
      body_.clear();
      write(result, body_);
      append_answer(connection.out, body_);
      responder_->answered(connection);
    });
  }

 protected:
  virtual void send(std::string_view head) = 0;
  virtual void write(PGresult* result, std::string& body) = 0;
  floors::Libpq db_;

 private:
  floors::Responder* responder_ = nullptr;
  std::deque<floors::Connection*> waiting_;  // answers come in the order of the queries
  std::string body_;
  bool unflushed_ = false;
  bool flushed_ = true;
};

class SingleQuery : public Database {
 public:
  explicit SingleQuery(const char* conninfo)
      : Database(conninfo, "select id, random_number from world where id = $1") {}

 protected:
  void send(std::string_view head) override {  // GET /query/{id} HTTP/1.1
    constexpr std::size_t kPrefix = std::string_view("GET /query/").size();
    db_.send(static_cast<std::int32_t>(std::strtol(head.data() + kPrefix, nullptr, 10)));
  }
  void write(PGresult* result, std::string& body) override {
    body.append(R"({"id":)");
    append_number(body, floors::read_int4(PQgetvalue(result, 0, 0)));
    body.append(R"(,"random_number":)");
    append_number(body, floors::read_int4(PQgetvalue(result, 0, 1)));
    body.push_back('}');
  }
};

// "2026-11-23T19:05:00.000Z" from microseconds since 2000. Days to civil: Howard Hinnant,
// https://howardhinnant.github.io/date_algorithms.html#civil_from_days
void append_time(std::string& out, std::int64_t micros) {
  const std::int64_t milliseconds = micros / 1000 + 946'684'800'000;
  const std::int64_t days = milliseconds / 86'400'000;
  auto rest = static_cast<unsigned>(milliseconds % 86'400'000);
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = shifted / 146'097;
  const auto of_era = static_cast<unsigned>(shifted - era * 146'097);
  const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const unsigned day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const auto year = static_cast<unsigned>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  char text[] = "\"0000-00-00T00:00:00.000Z\"";
  const auto put = [&](int at, unsigned value, int digits) {
    for (int i = digits - 1; i >= 0; --i, value /= 10) text[at + i] = static_cast<char>('0' + value % 10);
  };
  put(1, year, 4);
  put(6, month, 2);
  put(9, day, 2);
  put(21, rest % 1000, 3);
  rest /= 1000;
  put(18, rest % 60, 2);
  put(15, rest / 60 % 60, 2);
  put(12, rest / 3600, 2);
  out.append(text, sizeof text - 1);
}

void append_text(std::string& out, std::string_view text) {
  out.push_back('"');
  bool plain = true;  // no early exit: the compiler makes one SIMD pass of it
  for (const char c : text) plain &= c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20;
  if (plain) {
    out.append(text);
  } else {
    for (const char c : text) {
      if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) {
        constexpr char kHex[] = "0123456789abcdef";
        out.append("\\u00").push_back(kHex[static_cast<unsigned char>(c) >> 4]);
        out.push_back(kHex[c & 15]);
      } else {
        out.push_back(c);
      }
    }
  }
  out.push_back('"');
}

class ArticleList : public Database {
 public:
  ArticleList(const char* conninfo, const char* sql) : Database(conninfo, sql) {}

 protected:
  void send(std::string_view) override {  // nobody looks on, the first twenty
    const std::uint64_t wire[] = {htobe64(20), 0};
    const char* const values[] = {nullptr, reinterpret_cast<const char*>(&wire[0]),
                                  reinterpret_cast<const char*>(&wire[1])};
    const int lengths[] = {0, 8, 8};
    const int formats[] = {1, 1, 1};
    db_.send(3, values, lengths, formats);
  }

  void write(PGresult* result, std::string& body) override {
    body.append(R"({"articles":[)");
    for (int row = 0; row < PQntuples(result) && PQgetisnull(result, row, 1) == 0; ++row) {
      if (row > 0) body.push_back(',');
      write_article(result, row, body);
    }
    body.append(R"(],"articlesCount":)");
    append_number(body, floors::read_int8(PQgetvalue(result, 0, 0)));
    body.push_back('}');
  }

 private:
  static std::string_view text(PGresult* result, int row, int column) {
    return {PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))};
  }
  static void append_member(std::string& body, std::string_view key, PGresult* result, int row, int column) {
    body.append(key);
    if (PQgetisnull(result, row, column) != 0) {
      body.append("null");
    } else {
      append_text(body, text(result, row, column));
    }
  }
  static void append_flag(std::string& body, std::string_view key, PGresult* result, int row, int column) {
    body.append(key).append(*PQgetvalue(result, row, column) != 0 ? "true" : "false");
  }

  // total, id, slug, title, description, tag_list, created_at, updated_at, favorited, favorites_count, username, bio,
  // image, following
  static void write_article(PGresult* result, int row, std::string& body) {
    append_member(body, R"({"slug":)", result, row, 2);
    append_member(body, R"(,"title":)", result, row, 3);
    append_member(body, R"(,"description":)", result, row, 4);
    body.append(R"(,"tagList":[)");
    const char* tags = PQgetvalue(result, row, 5);  // dimensions, flags, type, then for each dimension size and start
    const std::int32_t count = floors::read_int4(tags) == 0 ? 0 : floors::read_int4(tags + 12);
    tags += 20;
    for (std::int32_t i = 0; i < count; ++i) {
      const std::int32_t size = floors::read_int4(tags);
      if (i > 0) body.push_back(',');
      append_text(body, std::string_view(tags + 4, static_cast<std::size_t>(size)));
      tags += 4 + size;
    }
    body.append(R"(],"createdAt":)");
    append_time(body, floors::read_int8(PQgetvalue(result, row, 6)));
    body.append(R"(,"updatedAt":)");
    append_time(body, floors::read_int8(PQgetvalue(result, row, 7)));
    append_flag(body, R"(,"favorited":)", result, row, 8);
    body.append(R"(,"favoritesCount":)");
    append_number(body, floors::read_int8(PQgetvalue(result, row, 9)));
    append_member(body, R"(,"author":{"username":)", result, row, 10);
    append_member(body, R"(,"bio":)", result, row, 11);
    append_member(body, R"(,"image":)", result, row, 12);
    append_flag(body, R"(,"following":)", result, row, 13);
    body.append("}}");
  }
};

std::string read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(std::string("cannot read ") + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 2 ? argv[1] : "";
  try {
    std::unique_ptr<Database> database;
    int port = 0;
    if (kind == "query") {
      database = std::make_unique<SingleQuery>(argv[2]);
      port = argc > 3 ? std::atoi(argv[3]) : 0;
    } else if (kind == "articles" && argc == 5) {
      database = std::make_unique<ArticleList>(argv[2], read_file(argv[4]).c_str());
      port = std::atoi(argv[3]);
    } else {
      std::fputs("usage: http_pg_floor query CONNINFO [PORT]\n       http_pg_floor articles CONNINFO PORT SQL\n",
                 stderr);
      return 2;
    }
    floors::Responder responder(static_cast<std::uint16_t>(port), *database);
    database->attach(responder);
    responder.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "http_pg_floor: %s\n", error.what());
    return 1;
  }
}
