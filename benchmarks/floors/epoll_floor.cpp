// The floor under /plaintext, /json and POST /order: a bare epoll responder with one prepared answer.
//   epoll_floor plaintext|json|order [PORT]
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "responder.hpp"

namespace {

std::string prepare(std::string_view content_type, std::string_view body) {
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: ";
  answer.append(content_type).append("\r\nContent-Length: ").append(std::to_string(body.size()));
  return answer.append("\r\n\r\n").append(body);
}

class Prepared : public floors::Answerer {
 public:
  explicit Prepared(std::string answer) : answer_(std::move(answer)) {}
  void on_request(floors::Connection& connection, std::string_view, std::string_view) override {
    connection.out.append(answer_);
  }

 private:
  std::string answer_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  std::string answer;
  if (kind == "plaintext") answer = prepare("text/plain; charset=utf-8", "Hello, World!");
  if (kind == "json") answer = prepare("application/json", R"({"message":"Hello, World!"})");
  if (kind == "order") {
    answer = prepare("application/json",
                     R"({"reference":"PO-2026-004217","customer":"Ada Lovelace","lines":3,"units":17,"total":1284.5,)"
                     R"("status":"accepted"})");
  }
  if (answer.empty()) {
    std::fputs("usage: epoll_floor plaintext|json|order [PORT]\n", stderr);
    return 2;
  }
  Prepared answerer(std::move(answer));
  floors::Responder responder(static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 0), answerer);
  responder.run();
}
