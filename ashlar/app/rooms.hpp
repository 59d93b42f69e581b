// Rooms: WebSockets that are sent the same messages, on all loops of the process and, with a backplane, on all
// machines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/app/websocket.hpp>
#include <ashlar/async/backplane.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar {

struct RoomsOptions {
  /// What happens to a member that takes messages more slowly than they come: WebSocketLimits::max_unsent bytes wait.
  http::SlowMember slow_members = http::SlowMember::close;
  /// For members that have agreed on compression; each message is compressed once.
  http::WebSocketCompression compression = {};
  /// Messages that may wait for a loop that is busy; more are dropped, and counted.
  std::uint32_t max_pending_per_loop = 10'000;
};

struct RoomsStats {
  std::uint64_t rooms = 0;       ///< now
  std::uint64_t members = 0;     ///< now
  std::uint64_t published = 0;   ///< messages of this process
  std::uint64_t received = 0;    ///< messages from the backplane
  std::uint64_t delivered = 0;   ///< to members, each once
  std::uint64_t dropped = 0;     ///< for loops that were too busy
  std::uint64_t not_shared = 0;  ///< that the backplane did not take
};

/// Everything may be called on any loop. Must outlive the handlers: give it to the application with provide().
///
///   app.websocket<"/rooms/{name}">([](WebSocket& socket, Path<"name"> name, Rooms& rooms) -> Task<void> {
///     const auto member = rooms.join(name, socket);
///     while (auto message = co_await socket.receive()) rooms.publish(name, std::move(message->data));
///   });
class Rooms {
  struct Room;
  struct Shard;

 public:
  explicit Rooms(RoomsOptions options = {});
  /// With others: what is published here reaches their rooms, and the reverse. It must outlive this object.
  explicit Rooms(async::Backplane& backplane, RoomsOptions options = {});
  ~Rooms();
  Rooms(const Rooms&) = delete;
  Rooms& operator=(const Rooms&) = delete;

  /// Leaves its room when it goes, on the loop where it joined.
  class [[nodiscard("the socket leaves the room with this object")]] Membership {
   public:
    Membership() noexcept = default;
    Membership(Membership&& other) noexcept;
    Membership& operator=(Membership&& other) noexcept;
    ~Membership();
    [[nodiscard]] explicit operator bool() const noexcept { return shard_ != nullptr; }

   private:
    friend class Rooms;
    void leave() noexcept;
    Shard* shard_ = nullptr;
    Room* room_ = nullptr;
    WebSocket* socket_ = nullptr;
    std::size_t at_ = 0;  // in the room's list
  };
  /// The socket is sent what is published in the room from now on. It must outlive the membership, which lives in its
  /// handler. A socket may join many rooms.
  Membership join(std::string_view room, WebSocket& socket);

  /// Sends text to every member. Never waits. Throws Invalid for text that is no UTF-8.
  void publish(std::string_view room, std::string text);
  void publish_binary(std::string_view room, std::string bytes);
  /// To all but one: who has said it, for example.
  void publish_except(const WebSocket& socket, std::string_view room, std::string text);
  template <class T>
  void publish_json(std::string_view room, const T& value) {
    publish(room, schema::to_json(value));
  }

  /// Of this process.
  [[nodiscard]] std::size_t members(std::string_view room) const;
  [[nodiscard]] RoomsStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar
