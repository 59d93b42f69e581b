// Listening sockets that outlive a server: opened by a supervisor or by systemd, served by one process after another.
#pragma once

#include <cstdint>
#include <vector>

#include <ashlar/http/server_options.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http {

/// Who takes connections from a socket.
enum class Accepting : std::uint8_t {
  alone,          ///< one loop of one process, but for the moment in which another takes its place
  beside_others,  ///< several loops, or other processes
};

/// What becomes, at the end, of connections that the kernel has made and nobody has accepted.
enum class Waiting : std::uint8_t {
  serve,
  leave,  ///< to the process that serves the same sockets from now on
};

/// The sockets of one address.
struct Listening {
  net::Address address;  ///< with the port that the kernel chose for port 0
  /// Alone: one for each loop that is to serve; the kernel spreads connections over them (SO_REUSEPORT). Beside others:
  /// one.
  std::vector<net::Fd> sockets;
  Accepting accepting = Accepting::alone;
};

/// Opens every address of ServerOptions::listen, for this many loops; Unix sockets once, for all. Throws Invalid for an
/// address that cannot be read, Unavailable for one that cannot be had.
std::vector<Listening> open_listening(const ServerOptions& options, unsigned loops = 1);

}  // namespace ashlar::http
