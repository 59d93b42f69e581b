// Sockets that outlive a server: one server after another, and one beside another.
#include <fcntl.h>

#include <functional>

#include <ashlar/http/listening.hpp>
#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {
namespace {

std::vector<Listening> copy_of(const std::vector<Listening>& all) {
  std::vector<Listening> copies;
  for (const Listening& one : all) {
    Listening copy{.address = one.address, .sockets = {}, .accepting = one.accepting};
    for (const net::Fd& socket : one.sockets) copy.sockets.emplace_back(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
    copies.push_back(std::move(copy));
  }
  return copies;
}

/// A server on a loop of its own, as a worker has it.
class Serving {
 public:
  explicit Serving(std::vector<Listening> listening, ServerOptions options = {.drain_grace = 20ms})
      : server_(std::move(options), handler) {
    server_.bind(std::move(listening));
    thread_ = std::thread([this] { async::run(loop_, serve()); });
    started_.get_future().wait();
  }
  ~Serving() { end(Waiting::serve); }

  void end(Waiting waiting) {
    if (!thread_.joinable()) return;
    waiting_ = waiting;
    end_.set();
    thread_.join();
  }
  void on_loop(std::function<void(async::Loop&, Server&)> what) {
    std::promise<void> done;
    loop_.post([&] {
      what(loop_, server_);
      done.set_value();
    });
    done.get_future().wait();
  }
  [[nodiscard]] std::uint64_t accepted() const { return server_.stats().accepted.get(); }

  TestHandler handler;

 private:
  Task<void> serve() {
    server_.start(loop_);
    started_.set_value();
    co_await end_.wait();
    co_await server_.drain(loop_, waiting_);
  }
  async::Loop loop_;
  Server server_;
  std::promise<void> started_;
  async::Event end_;
  Waiting waiting_ = Waiting::serve;
  std::thread thread_;
};

std::vector<Listening> open(unsigned loops = 1) {
  return open_listening(ServerOptions{.listen = {"127.0.0.1:0"}}, loops);
}

TEST(OpenListening, GivesEachLoopASocketOfOnePort) {
  const auto all = open(3);
  ASSERT_EQ(all.size(), 1U);
  ASSERT_EQ(all[0].sockets.size(), 3U);
  EXPECT_EQ(all[0].accepting, Accepting::alone);
  EXPECT_NE(all[0].address.port(), 0);
  for (const net::Fd& socket : all[0].sockets) EXPECT_EQ(net::local_address(socket.get()), all[0].address);
}

TEST(OpenListening, GivesAUnixSocketOnceForAll) {
  const std::string path = "/tmp/ashlar-listening-" + std::to_string(::getpid()) + ".sock";
  const auto all = open_listening(ServerOptions{.listen = {"unix:" + path}}, 3);
  ::unlink(path.c_str());
  ASSERT_EQ(all.at(0).sockets.size(), 1U);
  EXPECT_EQ(all[0].accepting, Accepting::beside_others);
}

TEST(ServerHandOver, LeavesTheConnectionsThatWaitToTheNextServer) {
  const auto sockets = open();
  Serving first(copy_of(sockets));
  EXPECT_EQ(TestClient(sockets[0].address).ask(get("/")).status, 200);
  first.end(Waiting::leave);
  TestClient waits(sockets[0].address);  // made by the kernel: nobody accepts it now
  waits.send(get("/"));
  Serving second(copy_of(sockets));
  EXPECT_EQ(waits.answer().status, 200);
  waits.close();
  EXPECT_EQ(first.accepted(), 1U);
  EXPECT_EQ(second.accepted(), 1U);
}

TEST(ServerHandOver, AnswersWhatItHasAcceptedWhileTheNextServes) {
  const auto sockets = open();
  Serving first(copy_of(sockets));
  TestClient kept(sockets[0].address);
  kept.send(get("/gate?x"));
  while (first.handler.handled.load() == 0) std::this_thread::yield();
  Serving second(copy_of(sockets));
  std::thread ending([&] { first.end(Waiting::leave); });
  first.handler.open_gate();
  const Answer answer = kept.answer();
  EXPECT_EQ(answer.status, 200);
  kept.close();
  ending.join();
  EXPECT_EQ(TestClient(sockets[0].address).ask(get("/")).status, 200);
  EXPECT_EQ(second.accepted(), 1U);
}

TEST(ServerHandOver, CoversTheSocketsOfAnotherUntilToldNotTo) {
  const auto own = open();
  const auto others = open();
  Serving server(copy_of(own));
  TestClient waits(others[0].address);
  waits.send(get("/"));
  server.on_loop([&](async::Loop& loop, Server& it) { it.cover(loop, 7, std::move(copy_of(others)[0].sockets[0])); });
  EXPECT_EQ(waits.answer().status, 200);
  server.on_loop([](async::Loop& loop, Server& it) { it.uncover(loop, 7); });
  TestClient later(others[0].address);
  later.send(get("/"));
  EXPECT_EQ(TestClient(own[0].address).ask(get("/")).status, 200);
  EXPECT_EQ(server.accepted(), 2U);
  Serving its_own(copy_of(others));
  EXPECT_EQ(later.answer().status, 200);
  waits.close();
  later.close();
  EXPECT_EQ(its_own.accepted(), 1U);
}

TEST(ServerHandOver, AtTheVeryEndServesWhatWaitsOnCoveredSocketsToo) {
  const auto own = open();
  auto others = open();
  const net::Address address = others[0].address;
  Serving server(copy_of(own), {.drain_grace = 1s});
  TestClient waits(address);
  waits.send(get("/"));
  server.on_loop([&](async::Loop& loop, Server& it) { it.cover(loop, 1, std::move(others[0].sockets[0])); });
  std::thread ending([&] { server.end(Waiting::serve); });
  EXPECT_EQ(waits.answer().status, 200);
  waits.close();
  ending.join();
}

}  // namespace
}  // namespace ashlar::http::test
