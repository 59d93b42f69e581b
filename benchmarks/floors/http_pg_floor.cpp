// The floor under the routes that ask PostgreSQL: the bare epoll responder and one libpq connection in pipeline mode.
//   http_pg_floor query CONNINFO [PORT]            GET /query/{id}: one row by its key
//   http_pg_floor articles CONNINFO SQL [PORT]     GET anything: the rows of SQL (a file), its columns as ARTICLE below
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

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 2 ? argv[1] : "";
  try {
    std::unique_ptr<Database> database;
    int port = 0;
    if (kind == "query") {
      database = std::make_unique<SingleQuery>(argv[2]);
      port = argc > 3 ? std::atoi(argv[3]) : 0;
    } else {
      std::fputs("usage: http_pg_floor query CONNINFO [PORT]\n", stderr);
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
