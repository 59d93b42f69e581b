// HandOver: what a process that serves gets from the one that started it. A supervisor names inherited descriptors in
// ASHLAR_SUPERVISED, systemd in LISTEN_FDS (sd_listen_fds(3)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/http/listening.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::detail {

inline constexpr const char* kSupervisedVariable = "ASHLAR_SUPERVISED";

/// The environment's word for it: numbers of descriptors.
struct HandOverText {
  unsigned slot = 0;
  unsigned workers = 0;
  unsigned threads = 0;
  int control = -1;
  int tickets = -1;  ///< -1: none
  struct Address {
    std::vector<int> sockets = {};  ///< one for each loop of each slot; beside others: one for all
    http::Accepting accepting = http::Accepting::alone;
  };
  std::vector<Address> addresses = {};

  [[nodiscard]] std::string write() const;
  /// Nullopt for what write() does not give.
  static std::optional<HandOverText> read(std::string_view text);
};

/// As its worker has it: it owns the descriptors, which no program that it starts inherits.
struct HandOver {
  unsigned slot = 0;
  unsigned threads = 0;
  net::Fd control;          ///< see WorkerLink
  std::string ticket_seed;  ///< of net::TicketKeys; empty: none
  std::vector<http::Listening> listening;
  struct Socket {
    std::size_t address;  ///< its place in `listening`
    net::Fd fd;
  };
  /// Those of all slots, to serve what comes there while a slot has no worker: [slot][address and loop].
  std::vector<std::vector<Socket>> slots;
};

/// Takes what the supervisor handed over out of the environment; nullopt: nobody supervises us. Throws Invalid when the
/// variable is there and does not name such descriptors.
std::optional<HandOver> take_hand_over();

/// Takes the listening sockets that systemd (or who speaks its protocol) opened for this process out of the
/// environment; empty: none. Throws Invalid for what is no listening stream socket.
std::vector<http::Listening> take_activation();

}  // namespace ashlar::detail
