// Supervisor: the process above the workers.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/backoff.hpp>
#include <ashlar/app/detail/serve.hpp>
#include <ashlar/app/detail/spawn.hpp>
#include <ashlar/app/detail/worker_link.hpp>
#include <ashlar/async/component.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/signals.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/listening.hpp>
#include <ashlar/net/ticket_keys.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

/// On one loop of one thread. Each slot has a worker, and sockets of its own that the worker's successors inherit, so
/// that no connection is lost between two of them.
class Supervisor final {
 public:
  Supervisor(Core& core, const ServeSettings& settings, std::vector<std::string> arguments, async::Signals& signals);

  /// Opens the listening sockets, or takes systemd's. Throws Unavailable or Invalid.
  void open();
  /// Until a signal, or a worker that refuses to start: the exit code. Throws what cannot be started.
  Task<int> run();

 private:
  struct Process final : WorkerLink::Receiver {
    Process(Supervisor& its_owner, unsigned its_slot, pid_t its_pid, net::Fd control);
    void on_message(std::string_view text, net::Fd attached) noexcept override;
    void on_end() noexcept override;
    [[nodiscard]] bool ready() const noexcept { return ready_since != async::TimePoint{}; }

    Supervisor& owner;
    unsigned slot;
    pid_t pid;
    int status = 0;  // as waitpid gives it
    bool has_ended = false;
    bool stalled = false;
    async::TimePoint ready_since{};
    async::TimePoint last_beat{};
    async::Event settled;  // it serves, or has ended
    async::Event ended;
    WorkerLink link;
  };
  struct Slot {
    explicit Slot(Backoff its_backoff) : backoff(std::move(its_backoff)) {}
    std::shared_ptr<Process> current;
    async::Event vacant;  // it has ended
    async::Event hurry;   // start the next one now
    Backoff backoff;
    bool covered = true;  // others serve its sockets
    std::uint64_t crashes = 0;
    std::uint64_t replaced = 0;
  };

  std::shared_ptr<Process> start(unsigned slot);
  std::shared_ptr<Process> try_start(unsigned slot);
  Task<void> settle(std::shared_ptr<Process> process);
  void on_ready(Process& process);
  void reap();
  void on_end(const std::shared_ptr<Process>& process);
  void update_cover(unsigned number);

  Task<void> keep(unsigned number);
  void replace_soon(unsigned slot);
  Task<void> replace_workers();
  Task<bool> replace(unsigned number);
  Task<void> watch();
  Task<void> heed_signals();

  Task<bool> start_all();
  Task<void> serve();
  Task<void> end_at_once();
  Task<void> end();

  void collect(metrics::Collector& out) const;
  void scrape(Process& from, std::string_view request);
  void pass_on(std::string_view id, const net::Fd& attached);

  Core& core_;
  const ServeSettings& settings_;
  async::Signals& signals_;
  unsigned threads_;
  bool at_terminal_;
  Program program_;
  std::vector<http::Listening> listening_;
  std::optional<net::TicketKeys> tickets_;  // with TLS: a session that one worker began, all resume
  std::deque<Slot> slots_;
  std::vector<std::shared_ptr<Process>> processes_;  // that have not ended
  std::vector<async::Component*> shared_;            // whose start_shared() ran
  std::vector<unsigned> to_replace_;
  async::Event replacing_;
  async::Event none_left_;
  metrics::Registry registry_;
  std::array<metrics::Registry::Collection, 2> collecting_;
  bool starting_ = true;
  bool stopping_ = false;
  int exit_code_ = 0;
};

}  // namespace ashlar::detail
