// WorkerLink: messages between a supervisor and a worker, over a pair of sockets. One line of text each, and perhaps a
// descriptor.
//
//   from the worker        ready        it serves
//                          beat         its loops turn
//                          replace      it was asked to end (SIGTERM): start another one first
//                          scrape ID FORM        it wants the metrics of the others
//                          exposed ID            its metrics, in the attached file
//   from the supervisor    stop         drain and end; nobody comes after it
//                          retire       drain and end; another one serves its sockets
//                          cover SLOT, uncover SLOT      serve that slot's sockets too; no more
//                          expose ID FORM        give your metrics
//                          gather ID COUNT       so many answers to `scrape` will come
//                          exposed ID            one of them, in the attached file
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include <ashlar/async/loop.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::detail {

/// On one loop, whose thread calls everything.
class WorkerLink final : private async::IoHandler {
 public:
  class Receiver {
   public:
    virtual void on_message(std::string_view text, net::Fd attached) noexcept = 0;
    /// The other side is gone. The last call.
    virtual void on_end() noexcept = 0;

   protected:
    ~Receiver() = default;
  };

  WorkerLink(async::Loop& loop, net::Fd socket, Receiver& receiver);
  ~WorkerLink();
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  /// Queued while the other side is slow, up to kMostWaiting messages, and dropped beyond; one with an attachment is
  /// dropped at once then. False: it was dropped.
  bool send(std::string text, int attached = -1) noexcept;

  static constexpr std::size_t kMostWaiting = 64;

 private:
  void on_io(std::uint32_t events) noexcept override;
  enum class Sent : std::uint8_t { yes, later, never };
  Sent try_send(std::string_view text, int attached) noexcept;
  void end() noexcept;

  async::Loop& loop_;
  net::Fd socket_;
  Receiver& receiver_;
  std::deque<std::string> waiting_;
};

/// The first word of a message, which then begins with the next.
std::string_view take_word(std::string_view& message) noexcept;

/// Both ends of a link; the second is for the process that is started.
struct LinkEnds {
  net::Fd ours;
  net::Fd theirs;
};
/// Throws Unavailable.
LinkEnds make_link_ends();

/// A file in memory with this text, read from its beginning; for an attachment. Invalid Fd: no memory or descriptors.
net::Fd memory_file(std::string_view text) noexcept;
/// Its text, or empty.
std::string read_memory_file(const net::Fd& file);

}  // namespace ashlar::detail
