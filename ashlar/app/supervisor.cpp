// The supervisor of several workers: it owns the listening sockets, starts the workers, restarts those that end,
// replaces them one by one on SIGHUP, and serves nothing itself. docs/decisions/0026 says why so.
#include <ashlar/app/detail/supervisor.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <ashlar/app/detail/redirect_http.hpp>
#include <ashlar/app/detail/serve_tls.hpp>
#include <ashlar/app/detail/worker.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

Task<void> wait_for(async::Event& event) { co_await event.wait(); }

}  // namespace

bool terminal_is_gone() noexcept {
  const net::Fd terminal(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC));
  return !terminal;
}

Supervisor::Process::Process(Supervisor& its_owner, unsigned its_slot, pid_t its_pid, net::Fd control)
    : owner(its_owner), slot(its_slot), pid(its_pid), link(async::Loop::current(), std::move(control), *this) {}

void Supervisor::Process::on_message(std::string_view text, net::Fd attached) noexcept {
  last_beat = async::Clock::now();
  const auto word = take_word(text);
  if (word == "ready") {
    ready_since = last_beat;
    settled.set();
    owner.on_ready(*this);
  } else if (word == "replace") {
    owner.replace_soon(slot);
  } else if (word == "scrape") {
    owner.scrape(*this, text);
  } else if (word == "exposed") {
    owner.pass_on(text, attached);
  }
}

void Supervisor::Process::on_end() noexcept { owner.reap(); }

Supervisor::Supervisor(Core& core, const ServeSettings& settings, std::vector<std::string> arguments,
                       async::Signals& signals)
    : core_(core),
      settings_(settings),
      signals_(signals),
      threads_(loop_count(settings)),
      at_terminal_(::isatty(STDIN_FILENO) == 1 || ::isatty(STDOUT_FILENO) == 1) {
  program_.path = program_path(arguments.empty() ? nullptr : arguments.front().c_str());
  program_.arguments = std::move(arguments);
  for (unsigned i = 0; i < settings.workers; ++i) {
    slots_.emplace_back(
        Backoff{duration_of(settings.worker_backoff_seconds), duration_of(settings.worker_backoff_most_seconds)});
  }
  if (ServeTls::asked_for(settings)) tickets_.emplace(net::TlsServerOptions{}.session_lifetime);
  collecting_ = {metrics::collect_process(registry_),
                 registry_.collect([this](metrics::Collector& out) { collect(out); })};
}

void Supervisor::open() {
  RedirectToHttps::check(settings_);
  listening_ = open_all(settings_, settings_.workers * threads_);
}

// ------------------------------------------------------------------------------------------------------- one process

std::shared_ptr<Supervisor::Process> Supervisor::start(unsigned slot) {
  auto [ours, theirs] = make_link_ends();
  HandOverText text{.slot = slot, .workers = settings_.workers, .threads = threads_, .control = theirs.get()};
  program_.inherit = {theirs.get()};
  net::Fd seed;
  if (tickets_) {
    std::string secret = tickets_->seed(net::TicketKeys::Clock::now());
    seed = memory_file(secret);
    ::explicit_bzero(secret.data(), secret.size());
  }
  if (seed) program_.inherit.push_back(text.tickets = seed.get());
  for (const auto& one : listening_) {
    auto& address = text.addresses.emplace_back();
    address.accepting = one.accepting;
    for (const auto& socket : one.sockets) {
      address.sockets.push_back(socket.get());
      program_.inherit.push_back(socket.get());
    }
  }
  static const std::vector<std::string> kOurs = {kSupervisedVariable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
  program_.environment = environment_with(kOurs, fmt::format("{}={}", kSupervisedVariable, text.write()));
  auto process = std::make_shared<Process>(*this, slot, spawn(program_), std::move(ours));
  processes_.push_back(process);
  return process;
}

std::shared_ptr<Supervisor::Process> Supervisor::try_start(unsigned slot) {
  try {
    return start(slot);
  } catch (const std::exception& error) {
    log::error("a worker cannot be started", {{"worker", slot}, {"error", error}});
    return nullptr;
  }
}

// Until it serves or has ended. One that takes too long is killed.
Task<void> Supervisor::settle(std::shared_ptr<Process> process) {
  try {
    co_await async::timeout(duration_of(settings_.worker_start_seconds), wait_for(process->settled));
  } catch (const DeadlineExceeded&) {
    log::error("a worker does not begin to serve and is killed",
               {{"worker", process->slot}, {"pid", process->pid}, {"seconds", settings_.worker_start_seconds}});
    ::kill(process->pid, SIGKILL);
  }
  co_await process->settled.wait();
}

void Supervisor::on_ready(Process& process) {
  for (unsigned i = 0; i < slots_.size(); ++i) {
    if (slots_[i].covered && i != process.slot) process.link.send(fmt::format("cover {}", i));
  }
  update_cover(process.slot);
}

// Processes are asked one by one: the program may have children that are not ours.
void Supervisor::reap() {
  for (std::size_t i = 0; i < processes_.size();) {
    const auto process = processes_[i];
    int status = 0;
    const pid_t pid = ::waitpid(process->pid, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
      ++i;
      continue;
    }
    processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(i));
    process->status = status;
    process->has_ended = true;
    process->settled.set();
    process->ended.set();
    if (processes_.empty()) none_left_.set();
    on_end(process);
  }
}

void Supervisor::on_end(const std::shared_ptr<Process>& process) {
  Slot& slot = slots_[process->slot];
  if (stopping_ || starting_) return;
  if (slot.current != process) {
    log::debug("a replaced worker has ended",
               {{"worker", process->slot}, {"pid", process->pid}, {"reason", describe_exit(process->status)}});
    return;
  }
  slot.current = nullptr;
  ++slot.crashes;
  // It has worked for a good while: what ended it now is not what ended it at its start.
  if (process->ready() &&
      async::Clock::now() - process->ready_since > duration_of(settings_.worker_backoff_most_seconds))
    slot.backoff.reset();
  log::error("a worker has ended",
             {{"worker", process->slot}, {"pid", process->pid}, {"reason", describe_exit(process->status)}});
  update_cover(process->slot);
  slot.vacant.set();
}

void Supervisor::update_cover(unsigned number) {
  Slot& slot = slots_[number];
  const bool covered = slot.current == nullptr || !slot.current->ready() || slot.current->stalled;
  if (covered == slot.covered) return;
  slot.covered = covered;
  for (unsigned i = 0; i < slots_.size(); ++i) {
    if (i == number || slots_[i].current == nullptr || !slots_[i].current->ready()) continue;
    slots_[i].current->link.send(fmt::format("{} {}", covered ? "cover" : "uncover", number));
  }
}

// ------------------------------------------------------------------------------------------------------ what it keeps

// Whenever the slot has no worker: starts one, after a pause.
Task<void> Supervisor::keep(unsigned number) {
  Slot& slot = slots_[number];
  for (;;) {
    co_await slot.vacant.wait();
    const auto pause = slot.backoff.next();
    log::info("a worker will be started again", {{"worker", number},
                                                 {"pause_ms", std::chrono::duration_cast<milliseconds>(pause).count()},
                                                 {"failures", slot.backoff.failures()}});
    slot.hurry.reset();
    co_await async::race([](Backoff::Duration time) -> Task<void> { co_await async::sleep(time); }(pause),
                         wait_for(slot.hurry));
    if (slot.current != nullptr) continue;  // a replacement has come meanwhile
    auto process = try_start(number);
    if (process == nullptr) continue;
    slot.vacant.reset();
    slot.current = process;
    co_await settle(std::move(process));
  }
}

void Supervisor::replace_soon(unsigned slot) {
  if (std::ranges::find(to_replace_, slot) == to_replace_.end()) to_replace_.push_back(slot);
  replacing_.set();
}

Task<void> Supervisor::replace_workers() {
  for (;;) {
    co_await replacing_.wait();
    while (!to_replace_.empty()) {
      const unsigned slot = to_replace_.front();
      to_replace_.erase(to_replace_.begin());
      if (co_await replace(slot)) continue;
      if (!to_replace_.empty()) log::error("the other workers are not replaced", {{"workers", to_replace_.size()}});
      to_replace_.clear();
    }
    replacing_.reset();
  }
}

// One worker makes room for another, which serves before it ends. False: the new one did not come to serve.
Task<bool> Supervisor::replace(unsigned number) {
  Slot& slot = slots_[number];
  if (slot.current == nullptr) {
    slot.hurry.set();  // the next one is a new one anyway
    co_return true;
  }
  const auto next = try_start(number);
  if (next == nullptr) co_return false;
  co_await settle(next);
  if (!next->ready() || next->has_ended) {
    log::error("the new worker did not come to serve: the old one stays",
               {{"worker", number}, {"pid", next->pid}, {"reason", describe_exit(next->status)}});
    co_return false;
  }
  const auto old = std::exchange(slot.current, next);
  slot.vacant.reset();
  slot.hurry.set();
  ++slot.replaced;
  update_cover(number);
  log::info("a worker is replaced", {{"worker", number}, {"pid", next->pid}});
  if (old == nullptr || old->has_ended) co_return true;
  old->link.send("retire");
  const auto patience =
      duration_of(settings_.drain_timeout_seconds) + duration_of(settings_.drain_grace_seconds) + seconds{5};
  try {
    co_await async::timeout(patience, wait_for(old->ended));
  } catch (const DeadlineExceeded&) {
    if (old->stalled) {
      log::error("a stalled worker is killed", {{"worker", number}, {"pid", old->pid}});
      ::kill(old->pid, SIGKILL);
    } else {
      log::warn("a replaced worker has not ended yet: it still has background work",
                {{"worker", number}, {"pid", old->pid}});
    }
  }
  co_return true;
}

// Signs of life, and a second look for ends whose signal another thread of the program took.
Task<void> Supervisor::watch() {
  const auto limit = duration_of(settings_.worker_stall_seconds);
  const auto kill_after = seconds{settings_.worker_kill_seconds};
  const auto pause = std::clamp<async::Nanoseconds>(limit / 4, milliseconds{50}, seconds{1});
  for (;;) {
    const auto began = async::Clock::now();
    co_await async::sleep(pause);
    reap();
    // We were held up ourselves (stopped, no processor): the signs of life have not been read yet.
    if (async::Clock::now() - began > 2 * pause) continue;
    for (const Slot& slot : slots_) {
      const auto process = slot.current;
      if (process == nullptr || !process->ready()) continue;
      const auto silent = async::Clock::now() - process->last_beat;
      if ((silent > limit) != process->stalled) {
        process->stalled = !process->stalled;
        if (process->stalled) {
          log::error("a worker is stalled", {{"worker", process->slot}, {"pid", process->pid}, {"silent_for", silent}});
        } else {
          log::info("a worker is back", {{"worker", process->slot}, {"pid", process->pid}});
        }
        update_cover(process->slot);
      }
      if (kill_after.count() > 0 && silent > kill_after) {
        log::error("a stalled worker is killed", {{"worker", process->slot}, {"pid", process->pid}});
        ::kill(process->pid, SIGKILL);
      }
    }
  }
}

// Until a signal asks for the end.
Task<void> Supervisor::heed_signals() {
  for (;;) {
    const int signal = co_await signals_.next();
    if (signal == SIGCHLD) {
      reap();
    } else if (signal == SIGHUP && !(at_terminal_ && terminal_is_gone())) {
      log::info("the workers are replaced one by one", {{"workers", slots_.size()}});
      for (unsigned i = 0; i < slots_.size(); ++i) replace_soon(i);
    } else {
      const char* name = ::sigabbrev_np(signal);
      log::info("stopping", {{"signal", fmt::format("SIG{}", name == nullptr ? "?" : name)}});
      co_return;
    }
  }
}

// ------------------------------------------------------------------------------------------------------ start and end

// The first alone: it migrates, and what refuses to start is told once.
Task<bool> Supervisor::start_all() {
  std::vector<std::shared_ptr<Process>> begun;
  for (unsigned i = 0; i < slots_.size(); ++i) {
    begun.push_back(start(i));
    slots_[i].current = begun.back();
    if (i == 0) co_await begun.front()->settled.wait();
    if (begun.front()->has_ended) break;
  }
  for (const auto& process : begun) {
    co_await process->settled.wait();
    if (!process->has_ended) continue;
    if (WIFSIGNALED(process->status)) {
      log::error("a worker has ended before it served",
                 {{"worker", process->slot}, {"reason", describe_exit(process->status)}});
    }
    exit_code_ = WIFEXITED(process->status) && WEXITSTATUS(process->status) != 0 ? WEXITSTATUS(process->status) : 1;
    co_return false;
  }
  co_return true;
}

Task<void> Supervisor::serve() {
  const auto began = async::Clock::now();
  for (auto* component : core_.all_components()) {
    co_await component->start_shared();
    shared_.push_back(component);
  }
  if (!co_await start_all()) co_return;
  starting_ = false;
  announce(core_, settings_, listening_.front().address, settings_.redirect_http ? &listening_.back().address : nullptr,
           std::chrono::duration_cast<milliseconds>(async::Clock::now() - began));
  std::vector<Task<void>> parts;
  for (unsigned i = 0; i < slots_.size(); ++i) parts.push_back(keep(i));
  parts.push_back(replace_workers());
  parts.push_back(watch());
  co_await async::all(std::move(parts));
}

Task<void> Supervisor::end_at_once() {
  for (;;) {
    const int signal = co_await signals_.next();
    reap();
    if (signal == SIGCHLD || signal == SIGHUP) continue;
    for (const auto& process : processes_) ::kill(process->pid, SIGKILL);
    fmt::print(stderr, "stopped at once\n");
    ::_exit(130);
  }
}

Task<void> Supervisor::end() {
  listening_.clear();  // the workers serve what has come there, and close them
  for (const auto& process : processes_) process->link.send("stop");
  reap();
  while (!processes_.empty()) {
    none_left_.reset();
    if (!processes_.empty()) {
      try {
        co_await async::timeout(seconds{1}, wait_for(none_left_));
      } catch (const DeadlineExceeded&) {
        reap();
      }
    }
  }
  for (; !shared_.empty(); shared_.pop_back()) {
    try {
      co_await shared_.back()->stop_shared();
    } catch (const std::exception& error) {
      log::error("a component did not stop", {{"component", shared_.back()->name()}, {"error", error}});
    }
  }
}

Task<int> Supervisor::run() {
  std::exception_ptr error;
  try {
    co_await async::race(serve(), heed_signals());
  } catch (...) {
    error = std::current_exception();
  }
  stopping_ = true;
  co_await async::shield(async::race(end(), end_at_once()));
  if (error) std::rethrow_exception(error);
  if (!starting_) log::info("stopped");
  co_return exit_code_;
}

// ------------------------------------------------------------------------------------------------------------ metrics

void Supervisor::collect(metrics::Collector& out) const {
  for (unsigned i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const std::string worker = std::to_string(i);
    const metrics::Label label{"worker", worker};
    const bool up = slot.current != nullptr && slot.current->ready();
    out.gauge({.name = "ashlar.worker.up", .help = "Whether the worker serves."}, up ? 1 : 0, {label});
    out.gauge({.name = "ashlar.worker.stalled", .help = "Whether the worker serves and gives no sign of life."},
              up && slot.current->stalled ? 1 : 0, {label});
    out.counter({.name = "ashlar.worker.crashes", .help = "Times the worker ended by itself."},
                static_cast<double>(slot.crashes), {label});
    out.counter({.name = "ashlar.worker.replacements", .help = "Times another one took the worker's place."},
                static_cast<double>(slot.replaced), {label});
  }
}

// Asks the others; their answers go back by the process id in the number. `request`: ID FORM.
void Supervisor::scrape(Process& from, std::string_view request) {
  const auto id = take_word(request);
  std::size_t asked = 1;
  const net::Fd ours = memory_file(registry_.expose(exposition_of(request), {{"worker", "supervisor"}}));
  from.link.send(fmt::format("exposed {}", id), ours.get());
  for (const Slot& slot : slots_) {
    Process* const other = slot.current.get();
    if (other == nullptr || other == &from || other->slot == from.slot || !other->ready() || other->stalled) continue;
    asked += other->link.send(fmt::format("expose {}.{} {}", from.pid, id, request)) ? 1 : 0;
  }
  from.link.send(fmt::format("gather {} {}", id, asked));
}

void Supervisor::pass_on(std::string_view id, const net::Fd& attached) {
  const auto dot = id.find('.');
  if (dot == id.npos) return;
  const std::string_view to = id.substr(0, dot);
  for (const auto& process : processes_) {
    if (std::to_string(process->pid) == to) {
      process->link.send(fmt::format("exposed {}", id.substr(dot + 1)), attached.get());
      return;
    }
  }
}

int supervise(Core& core, const ServeSettings& settings, const std::vector<std::string>& arguments) {
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would take the exit statuses away
  async::Signals signals{SIGINT, SIGTERM, SIGHUP, SIGCHLD};
  async::Loop loop;
  Supervisor supervisor{core, settings, arguments, signals};
  supervisor.open();
  return async::run(loop, supervisor.run());
}

}  // namespace ashlar::detail
