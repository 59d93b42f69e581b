// NotifyBackplane: messages between the processes of a service by LISTEN and NOTIFY, over the database they share.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ashlar/async/backplane.hpp>
#include <ashlar/async/component.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::pg {

struct BackplaneOptions {
  std::string channel = "ashlar";
  /// How long a message waits for others, to travel in one notification. Those that come while one is on its way travel
  /// together anyway.
  std::chrono::milliseconds debounce{2};
  std::size_t max_message = 512 * 1024;       ///< bytes, with its topic
  std::size_t max_pending = 8 * 1024 * 1024;  ///< bytes that wait to be sent: more are dropped
};

struct BackplaneStats {
  std::uint64_t published = 0;
  std::uint64_t received = 0;
  std::uint64_t notifications = 0;  ///< sent: many messages a notification, or many notifications a large message
  std::uint64_t dropped = 0;        ///< because too much waited
  std::uint64_t too_large = 0;
  std::uint64_t malformed = 0;  ///< notifications of others on this channel that are none of ours, or incomplete
  std::uint64_t reconnects = 0;
  std::uint64_t pending_bytes = 0;  ///< now
  bool connected = false;           ///< now
};

/// One connection of its own, on one loop, listens and notifies. When it breaks it connects again by itself; what
/// others publish meanwhile is lost here, what waits here is sent afterwards, and nobody gets anything twice. Nothing
/// is stored: a NOTIFY reaches those who listen. A payload of PostgreSQL is at most 8000 bytes: small messages share
/// one, large ones are cut and joined.
///
///   pg::Db db;  pg::NotifyBackplane backplane{db};  Rooms rooms{backplane};
///   app.provide(db).provide(backplane).provide(rooms);
class NotifyBackplane final : public async::Component, public async::Backplane {
 public:
  /// `db` is started before it. Throws Invalid for a channel that is no name (1–63 of a–z, 0–9, _).
  explicit NotifyBackplane(Db& db, BackplaneOptions options = {});
  ~NotifyBackplane() override;

  void deliver_to(Deliver deliver) override;
  [[nodiscard]] bool publish(std::string_view topic, std::string_view payload) override;
  [[nodiscard]] BackplaneStats stats() const;

  [[nodiscard]] std::string_view name() const noexcept override { return "postgres backplane"; }
  Task<void> start_loop(async::Loop& loop) override;
  /// Sends what waits, if that takes no longer than a second.
  Task<void> stop_loop(async::Loop& loop) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

namespace detail {

/// The payloads of notifications: messages packed into batches, batches cut into parts that fit, in base64.
class BatchWriter {
 public:
  explicit BatchWriter(std::array<std::uint8_t, 16> sender) noexcept : sender_(sender) {}
  /// Appends a message to a batch.
  static void add(std::string& batch, std::string_view topic, std::string_view payload);
  /// The notifications of one batch, in order; each at most kMostPayload bytes of [A-Za-z0-9+/=].
  [[nodiscard]] std::vector<std::string> pack(std::string_view batch);

  static constexpr std::size_t kMostPayload = 7'999;

 private:
  std::array<std::uint8_t, 16> sender_;
  std::uint64_t number_ = 0;
};

/// The reverse. Keeps incomplete batches, a bounded number of bytes of them.
class BatchReader {
 public:
  explicit BatchReader(std::array<std::uint8_t, 16> self) noexcept : self_(self) {}
  enum class Result : std::uint8_t { ignored, taken, malformed };
  /// Calls deliver for each message of a batch that is complete with this. Own batches and those seen before are
  /// ignored.
  Result take(std::string_view notification, const async::Backplane::Deliver& deliver);

 private:
  struct Sender {
    std::uint64_t last = 0;    // the newest batch that was complete
    std::uint64_t number = 0;  // of the one that comes
    std::uint16_t next = 0;    // its next part
    std::string bytes;
  };
  static bool unpack(std::string_view batch, const async::Backplane::Deliver& deliver);
  std::array<std::uint8_t, 16> self_;
  std::unordered_map<std::string, Sender> senders_;
};

}  // namespace detail
}  // namespace ashlar::pg
