// Worker: the part of a worker process that its supervisor talks to.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/detail/hand_over.hpp>
#include <ashlar/app/detail/worker_link.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/signals.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/server.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

/// Lives on loop 0, from connect() on.
class Worker final : private WorkerLink::Receiver {
 public:
  /// `redirect`: what serves the last of the addresses; null: `server` serves them all.
  Worker(HandOver hand_over, async::Runtime& runtime, http::Server& server, http::Server* redirect);

  [[nodiscard]] unsigned slot() const noexcept { return hand_over_.slot; }
  [[nodiscard]] std::vector<http::Listening> take_listening() { return std::move(hand_over_.listening); }

  void connect();
  /// Until the supervisor asks for the end, or is gone: whether another process serves the sockets from now on. SIGTERM
  /// of somebody else asks the supervisor for a replacement; SIGINT is the terminal's, which the supervisor gets too.
  Task<http::Waiting> asked_to_end(async::Signals& signals);
  [[nodiscard]] bool orphaned() const noexcept { return orphaned_; }
  /// Says so, then that the loops turn, until it is cancelled.
  Task<void> serve(async::Nanoseconds beat);
  /// Sockets that are no longer covered close with the last process that has them.
  void begin_drain() noexcept;

  /// /metrics of all workers and of the supervisor, each series with the label `worker`. Those that do not answer
  /// within a second are left out. From any loop.
  Task<std::string> gather_metrics(metrics::Exposition exposition);

 private:
  struct Gathering {
    std::optional<std::size_t> expected;
    std::vector<std::string> texts;
    async::Event complete;
  };

  void on_message(std::string_view text, net::Fd attached) noexcept override;
  void on_end() noexcept override;
  void cover(unsigned slot);
  void uncover(unsigned slot);
  [[nodiscard]] std::string expose(metrics::Exposition exposition) const;
  Task<std::string> gather_here(metrics::Exposition exposition);
  Task<void> forward_signals(async::Signals& signals);

  HandOver hand_over_;
  async::Runtime& runtime_;
  http::Server& server_;
  http::Server* redirect_;
  std::size_t addresses_;
  std::string label_;
  std::unique_ptr<WorkerLink> link_;
  http::Waiting waiting_ = http::Waiting::serve;
  async::Event end_;
  bool orphaned_ = false;
  std::map<std::uint64_t, Gathering> gatherings_;
  std::uint64_t next_gathering_ = 0;
};

/// "prometheus" or "openmetrics", on the link.
std::string_view exposition_word(metrics::Exposition exposition) noexcept;
metrics::Exposition exposition_of(std::string_view word) noexcept;

}  // namespace ashlar::detail
