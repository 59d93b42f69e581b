// The HTTP/1.1 server: one listener and one set of connections a loop, nothing shared between loops but the options,
// the handler and the counts of connections a peer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/listening.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/http/server_stats.hpp>
#include <ashlar/net/address.hpp>

namespace ashlar::http {

/// Usage: bind() once; start(loop) on every serving loop; drain(loop) on every one of them; destroy when all are
/// drained.
class Server {
 public:
  /// The handler must outlive the server.
  Server(ServerOptions options, Handler& handler);
  /// Precondition: every started loop is drained, or has ended with no request in its handler's hands.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Opens the listening sockets, so that a wrong address stops a program before it serves. Connections wait in the
  /// kernel until start(). Throws Invalid for an address that cannot be read, Unavailable for one that cannot be had.
  void bind();
  /// In place of opening them: in the order of ServerOptions::listen, each with a socket for every loop or one beside
  /// others.
  void bind(std::vector<Listening> listening);
  /// What is really listened on: with the port that the kernel chose for port 0.
  [[nodiscard]] const std::vector<net::Address>& addresses() const noexcept;

  /// Serves on this loop. On the loop's thread, or before the loop runs. Throws Unavailable when the loop gets no
  /// listener.
  void start(async::Loop& loop);

  /// Ends serving on the loop without dropping a request, on the loop's thread: takes no new connection but all that
  /// are already made; answers everything that has arrived, or arrives within ServerOptions::drain_grace, the last
  /// answer of each connection with Connection: close; then closes idle connections, reading on until the clients have
  /// closed their end. What still runs after drain_timeout is cancelled. The task ends when no connection is left.
  [[nodiscard]] Task<void> drain(async::Loop& loop, Waiting waiting = Waiting::serve);

  /// Accepts on this loop from one more socket, beside other processes, until uncover() with the same key or drain().
  /// On the loop's thread.
  void cover(async::Loop& loop, unsigned key, net::Fd socket);
  void uncover(async::Loop& loop, unsigned key);

  [[nodiscard]] const ServerOptions& options() const noexcept;
  /// From any thread: the sum, and each loop's own in the order of start().
  [[nodiscard]] ServerStats stats() const;
  [[nodiscard]] std::vector<ServerStats> loop_stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::http
