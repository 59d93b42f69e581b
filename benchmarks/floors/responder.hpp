// A bare HTTP/1.1 responder: one thread, level-triggered epoll, one recv and one send per batch of requests. It knows
// just enough HTTP to find where a request ends, so what it costs is what the kernel costs: the floor under a server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace floors {

// One client. Lives until its socket is closed and none of its requests waits for an answer.
struct Connection {
  int fd = -1;
  bool closed = false;
  bool watching_writes = false;
  bool dirty = false;         // has answers that are not sent yet
  std::uint32_t waiting = 0;  // requests taken whose answers are to come (only with an asynchronous answerer)
  std::size_t used = 0;       // bytes of `in` that hold unread input
  std::string out;            // answers not sent yet, in order
  char in[64 * 1024];
};

// What answers. Answers of one connection must be appended in the order of its requests.
class Answerer {
 public:
  virtual ~Answerer() = default;
  // Appends the whole answer to connection.out, or raises connection.waiting and does so later.
  virtual void on_request(Connection& connection, std::string_view head, std::string_view body) = 0;
  // After each batch of events, before the answers are sent.
  virtual void on_batch_end() {}
  // The descriptor given to Responder::watch has something to read or may be written.
  virtual void on_ready(std::uint32_t /*epoll_events*/) {}
};

class Responder {
 public:
  // Listens on 127.0.0.1; port 0 lets the kernel choose. Throws std::system_error.
  Responder(std::uint16_t port, Answerer& answerer);
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  // Watches one more descriptor (that of a database) and tells Answerer::on_ready. Calling again changes the events.
  void watch(int fd, std::uint32_t events);
  // To be called after appending to connection.out outside of on_request.
  void answered(Connection& connection);
  // Prints the address, then serves until SIGTERM or SIGINT.
  void run();

 private:
  void accept_all();
  void read(Connection& connection);
  void send(Connection& connection);
  void close(Connection& connection);
  void release_closed();

  Answerer& answerer_;
  int epoll_ = -1;
  int listener_ = -1;
  int watched_ = -1;
  std::uint16_t port_ = 0;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> dead_;
};

}  // namespace floors
