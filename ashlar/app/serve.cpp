#include <ashlar/app/detail/serve.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/redirect_http.hpp>
#include <ashlar/app/detail/route_cost.hpp>
#include <ashlar/app/detail/serve_tls.hpp>
#include <ashlar/app/detail/worker.hpp>
#include <ashlar/app/trusted_proxies.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/signals.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/server.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

std::chrono::nanoseconds duration_of(ServeSettings::Seconds seconds) noexcept {
  return std::chrono::duration_cast<async::Nanoseconds>(std::chrono::duration<double>(seconds.value));
}

unsigned loop_count(const ServeSettings& settings) noexcept {
  if (settings.threads != 0) return settings.threads;
  return settings.workers > 0 ? 1 : std::max(1U, std::thread::hardware_concurrency());
}

http::ServerOptions server_options(const ServeSettings& settings) {
  http::ServerOptions options;
  const bool v6 = settings.host.find(':') != std::string::npos;
  options.listen = {settings.unix_socket ? "unix:" + *settings.unix_socket
                    : v6                 ? fmt::format("[{}]:{}", settings.host, settings.port)
                                         : fmt::format("{}:{}", settings.host, settings.port)};
  const auto duration = [](ServeSettings::Seconds seconds) { return duration_of(seconds); };
  options.http2.enabled = settings.http2;
  options.http2.max_concurrent_streams = settings.http2_max_streams;
  options.max_body = settings.max_body_bytes;
  options.max_connections_per_loop = settings.max_connections;
  options.max_connections_per_peer = settings.max_connections_per_peer;
  options.request_timeout = duration(settings.request_timeout_seconds);
  options.header_timeout = duration(settings.header_timeout_seconds);
  options.body_timeout = duration(settings.body_timeout_seconds);
  options.idle_timeout = duration(settings.idle_timeout_seconds);
  options.write_timeout = duration(settings.write_timeout_seconds);
  options.drain_timeout = duration(settings.drain_timeout_seconds);
  options.drain_grace = duration(settings.drain_grace_seconds);
  return options;
}

namespace {

std::string url_of(const net::Address& address, std::string_view scheme) {
  if (address.is_unix()) return "http+unix://" + address.host();
  std::string host = address.host();
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  return host.find(':') != std::string::npos ? fmt::format("{}://[{}]:{}", scheme, host, address.port())
                                             : fmt::format("{}://{}:{}", scheme, host, address.port());
}

}  // namespace

void announce(const Core& core, const ServeSettings& settings, const net::Address& address,
              const net::Address* redirect, std::chrono::milliseconds took) {
  const std::string url = url_of(address, ServeTls::asked_for(settings) ? "https" : "http");
  const std::string from = redirect != nullptr ? url_of(*redirect, "http") : std::string();
  const unsigned loops = loop_count(settings);
  const bool people = settings.log_format == "human" || (settings.log_format != "json" && ::isatty(STDOUT_FILENO) != 0);
  if (!people) {
    if (!from.empty()) log::info("redirecting to https", {{"url", std::string_view(from)}});
    log::info("serving", {{"url", std::string_view(url)},
                          {"service.name", std::string_view(core.options.title)},
                          {"service.version", std::string_view(core.options.version)},
                          {"workers", settings.workers},
                          {"loops", loops},
                          {"took_ms", static_cast<std::uint64_t>(took.count())}});
    return;
  }
  fmt::print("\n  {} {} is ready after {} ms\n\n", core.options.title, core.options.version, took.count());
  fmt::print("    API      {}\n", url);
  if (!from.empty()) fmt::print("    from     {}\n", from);
  if (!core.options.docs_path.empty()) fmt::print("    docs     {}{}\n", url, core.options.docs_path);
  if (!core.options.health_path.empty()) fmt::print("    health   {}{}/ready\n", url, core.options.health_path);
  if (!core.options.metrics_path.empty()) fmt::print("    metrics  {}{}\n", url, core.options.metrics_path);
  if (settings.tls_dev) fmt::print("    TLS      {}\n", ServeTls::development_advice());
  const auto counted = [](unsigned count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  fmt::print("\n  {}; Ctrl-C stops it\n\n",
             settings.workers == 0 ? counted(loops, "loop")
                                   : counted(settings.workers, "worker") + " of " + counted(loops, "loop"));
  std::fflush(stdout);
}

namespace {

void collect_loops(async::Runtime& runtime, metrics::Collector& out) {
  for (unsigned i = 0; i < runtime.size(); ++i) {
    const auto& stats = runtime.loop(i).stats();
    const std::string index = std::to_string(i);
    const auto count = [&](std::string_view name, std::string_view help, std::string_view unit, double value) {
      out.counter({.name = name, .help = help, .unit = unit}, value, {{"loop", index}});
    };
    count("ashlar.loop.ticks", "Rounds of the event loop.", "", static_cast<double>(stats.ticks.get()));
    count("ashlar.loop.events", "Descriptors found ready.", "", static_cast<double>(stats.events.get()));
    count("ashlar.loop.resumed", "Coroutines resumed.", "", static_cast<double>(stats.resumed.get()));
    count("ashlar.loop.busy", "Time not spent waiting.", "s", static_cast<double>(stats.busy_ns.get()) * 1e-9);
    out.gauge({.name = "ashlar.loop.longest_tick", .help = "The longest round since the start.", .unit = "s"},
              static_cast<double>(stats.longest_tick_ns.get()) * 1e-9, {{"loop", index}});
  }
  const auto offload = async::offload_stats();
  out.gauge({.name = "ashlar.offload.queued", .help = "Blocking work that waits for a thread."},
            static_cast<double>(offload.queued));
  out.gauge({.name = "ashlar.offload.running", .help = "Blocking work that runs."},
            static_cast<double>(offload.running));
  out.counter({.name = "ashlar.offload.done", .help = "Blocking work done."}, static_cast<double>(offload.done));
  out.counter({.name = "ashlar.offload.refused", .help = "Blocking work refused because the queue was full."},
              static_cast<double>(offload.refused));
}

void collect_server(const http::ServerStats& stats, metrics::Collector& out) {
  const auto gauge = [&](std::string_view name, std::string_view help, const auto& value) {
    out.gauge({.name = name, .help = help}, static_cast<double>(value.get()));
  };
  const auto count = [&](std::string_view name, std::string_view help, std::string_view unit, const auto& value) {
    out.counter({.name = name, .help = help, .unit = unit}, static_cast<double>(value.get()));
  };
  gauge("ashlar.http.connections", "Open connections.", stats.connections);
  gauge("ashlar.http.requests_suspended", "Requests whose handler waits for something.", stats.requests_suspended);
  gauge("ashlar.http.streams", "Answers being streamed.", stats.streams);
  count("ashlar.http.accepted", "Connections accepted.", "", stats.accepted);
  count("ashlar.http.received", "Bytes received.", "By", stats.bytes_received);
  count("ashlar.http.sent", "Bytes sent.", "By", stats.bytes_sent);
  count("ashlar.http.clients_gone", "Clients that left before their answer was sent.", "", stats.clients_gone);
  count("ashlar.http.files_broken_off", "Files that became shorter, or could not be read, while they were sent.", "",
        stats.files_broken_off);
  count("ashlar.http.paused", "Times a connection was not read because its client takes too slowly.", "", stats.paused);
  count("ashlar.http.accept_failures", "Connections not accepted for want of descriptors or memory.", "",
        stats.accept_failures);
  count("ashlar.http.failed_handshakes", "TLS handshakes that failed.", "", stats.failed_handshakes);
  const auto limit = [&](std::string_view name, const auto& value) {
    out.counter({.name = "ashlar.http.limited", .help = "Requests and connections refused or ended by a limit."},
                static_cast<double>(value.get()), {{"limit", name}});
  };
  limit("connections", stats.refused_connections);
  limit("connections_per_peer", stats.refused_peer_connections);
  limit("malformed", stats.malformed);
  limit("head_size", stats.heads_too_large);
  limit("target_length", stats.targets_too_long);
  limit("body_size", stats.bodies_too_large);
  limit("header_time", stats.header_timeouts);
  limit("body_time", stats.body_timeouts);
  limit("idle_time", stats.idle_timeouts);
  limit("write_time", stats.write_timeouts);
  limit("request_time", stats.request_timeouts);
  limit("requests_per_connection", stats.request_limits);
  limit("http2_streams", stats.http2_refused);
  limit("http2_resets", stats.http2_rapid_resets);
  limit("http2_frames", stats.http2_floods);
  limit("http2_head_bomb", stats.http2_header_bombs);
  limit("http2_body_held", stats.http2_bodies_held);

  count("ashlar.http.http2.accepted", "Connections that began to speak HTTP/2.", "", stats.http2_accepted);
  count("ashlar.http.http2.resets", "Streams of HTTP/2 that ended before they were answered.", "", stats.http2_resets);
  const auto by_protocol = [&](std::string_view protocol, std::uint64_t connections, std::uint64_t requests) {
    out.gauge({.name = "ashlar.http.connections_by_protocol", .help = "Open connections by what they speak."},
              static_cast<double>(connections), {{"protocol", protocol}});
    out.counter({.name = "ashlar.http.requests_by_protocol", .help = "Requests by what their connection speaks."},
                static_cast<double>(requests), {{"protocol", protocol}});
  };
  const auto rest = [](const auto& all, const auto& part) { return all.get() - std::min(all.get(), part.get()); };
  by_protocol("http1", rest(stats.connections, stats.http2_connections), rest(stats.requests, stats.http2_requests));
  by_protocol("http2", stats.http2_connections.get(), stats.http2_requests.get());
}

// As many as the administrator allows (the hard limit): the soft one is often 1024, for select(2)'s sake.
void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Everybody who comes by plain http, where that is redirected.
struct Redirecting {
  Redirecting(std::unique_ptr<RedirectToHttps> its_handler, const ServeSettings& settings)
      : handler(std::move(its_handler)), server(redirect_options(settings), *handler) {}
  std::unique_ptr<RedirectToHttps> handler;
  http::Server server;
  unsigned serving = 0;  // loops
};

http::ServerOptions with_tls(http::ServerOptions options, const ServeTls* tls) {
  if (tls != nullptr) options.tls = tls->context();
  return options;
}

void collect_websockets(const http::WebSocketStats& stats, metrics::Collector& out) {
  const auto count = [&](std::string_view name, std::string_view help, const auto& value) {
    out.counter({.name = name, .help = help}, static_cast<double>(value.get()));
  };
  out.gauge({.name = "ashlar.websocket.open", .help = "Open WebSockets."}, static_cast<double>(stats.open.get()));
  count("ashlar.websocket.opened", "WebSockets opened.", stats.opened);
  count("ashlar.websocket.messages_received", "Messages received.", stats.messages_received);
  count("ashlar.websocket.messages_sent", "Messages sent.", stats.messages_sent);
  count("ashlar.websocket.dropped", "Messages of rooms that slow members did not get.", stats.dropped);
  count("ashlar.websocket.paused", "Times a peer was held up because its messages were not taken.", stats.paused);
  const auto closed = [&](std::string_view how, const auto& value) {
    out.counter({.name = "ashlar.websocket.closed", .help = "WebSockets closed, by how they ended."},
                static_cast<double>(value.get()), {{"how", how}});
  };
  closed("normal", stats.closed_normally);
  closed("error", stats.closed_by_error);
  closed("broken", stats.broken);
  const auto limit = [&](std::string_view name, const auto& value) {
    out.counter({.name = "ashlar.websocket.limited", .help = "WebSockets ended by a limit or a fault of the peer."},
                static_cast<double>(value.get()), {{"limit", name}});
  };
  limit("protocol", stats.faults);
  limit("message_rate", stats.rates);
  limit("ping_time", stats.ping_timeouts);
  limit("write_time", stats.write_timeouts);
  limit("close_time", stats.close_timeouts);
  limit("room_backlog", stats.slow_closed);
}

// One program's serving, from start to stop. Its parts live as long as the runtime runs.
class Serving {
 public:
  Serving(Core& core, const ServeSettings& settings, std::optional<HandOver> hand_over, async::Signals& signals)
      : core_(core),
        settings_(settings),
        signals_(signals),
        runtime_(hand_over ? hand_over->threads : loop_count(settings)),
        tls_(ServeTls::make(settings, hand_over ? std::string_view(hand_over->ticket_seed) : std::string_view())),
        server_(with_tls(server_options(settings), tls_.get()), core) {
    if (auto handler = RedirectToHttps::make(settings)) redirect_.emplace(std::move(handler), settings);
    if (hand_over) {
      ::explicit_bzero(hand_over->ticket_seed.data(), hand_over->ticket_seed.size());
      worker_.emplace(std::move(*hand_over), runtime_, server_, redirect_ ? &redirect_->server : nullptr);
    }
    if (settings.trusted_proxies) {
      core.front = std::make_unique<TrustedProxies>(
          parse_networks(*settings.trusted_proxies),
          settings.proxy_header == "forwarded" ? ProxyHeader::forwarded : ProxyHeader::x_forwarded);
    }
    if (settings.shed_load) {
      std::vector<async::Loop*> loops;
      for (unsigned i = 0; i < runtime_.size(); ++i) loops.push_back(&runtime_.loop(i));
      overload_.emplace(loops, std::chrono::milliseconds{settings.overload_wait_ms});
    }
  }
  ~Serving() {
    core_.watch(nullptr);
    core_.front.reset();
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  void run() {
    bind();  // first: a port in use should not cost a start of the database
    runtime_.run(main());
  }

 private:
  void bind() {
    auto given = worker_ ? worker_->take_listening() : take_activation();
    if (redirect_) {
      std::vector<http::Listening> its_own;
      if (worker_) {  // the last one is its
        if (given.size() < 2) throw Invalid("--redirect-http is new to the supervisor: restart it");
        its_own.push_back(std::move(given.back()));
        given.pop_back();
      } else {
        take_redirect(settings_, given, its_own);
      }
      its_own.empty() ? redirect_->server.bind() : redirect_->server.bind(std::move(its_own));
    }
    given.empty() ? server_.bind() : server_.bind(std::move(given));
    if (redirect_) redirect_->handler->to(settings_.redirect_to_port.value_or(server_.addresses().front().port()));
  }

  Task<void> on_every_loop(Task<void> (Core::*action)(async::Loop&)) {
    for (unsigned i = 0; i < runtime_.size(); ++i) {
      co_await async::run_on(runtime_.loop(i), (core_.*action)(runtime_.loop(i)));
    }
  }

  Task<void> start() {
    co_await core_.start();
    if (overload_) core_.watch(&*overload_);
    started_loops_ = true;
    co_await on_every_loop(&Core::start_loop);
    co_await core_.begin();
    if (!settings_.route_cost) co_return;
    for (Core* core : core_.all_cores()) {
      for (auto& middleware : core->middleware) middleware = measured(std::move(middleware));
    }
  }

  Task<void> main() {
    const auto began = async::Clock::now();
    std::exception_ptr error;
    if (worker_) worker_->connect();
    try {
      // A signal while it starts ends the start.
      co_await async::race(serve(began), stop_signal());
    } catch (...) {
      error = std::current_exception();
    }
    co_await async::shield(stop());
    if (error) std::rethrow_exception(error);
  }

  Task<void> stop_signal() {
    if (worker_) {
      waiting_ = co_await worker_->asked_to_end(signals_);
      log::info("stopping", {{"reason", worker_->orphaned()                ? "the supervisor is gone"
                                        : waiting_ == http::Waiting::leave ? "another worker has taken its place"
                                                                           : "the supervisor stops"}});
      co_return;
    }
    int signal = co_await signals_.next();
    while (signal == SIGHUP && !(at_terminal_ && terminal_is_gone())) {
      log::info("settings are read again", {{"signal", "SIGHUP"}});
      co_await core_.reload_settings();
      signal = co_await signals_.next();
    }
    const std::string_view name = signal == SIGINT ? "SIGINT" : signal == SIGHUP ? "SIGHUP" : "SIGTERM";
    log::info("stopping", {{"signal", name}});
  }

  // Ends only by being cancelled, or by what refuses to start.
  Task<void> serve(async::TimePoint began) {
    co_await start();
    loop_metrics_ = metrics::default_registry().collect([this](metrics::Collector& out) {
      collect_loops(runtime_, out);
      http::ServerStats stats = server_.stats();
      if (redirect_) {
        stats += redirect_->server.stats();
        redirect_->handler->collect(out);
      }
      collect_server(stats, out);
      if (tls_) tls_->collect(out);
      if (overload_) overload_->collect(out);
      if (cost_) cost_->collect(out);
      collect_websockets(server_.stats().websockets, out);
    });
    for (unsigned i = 0; i < runtime_.size(); ++i) {
      async::Loop& loop = runtime_.loop(i);
      co_await async::run_on(loop, [](http::Server& server, async::Loop& on) -> Task<void> {
        server.start(on);
        co_return;
      }(server_, loop));
      ++serving_;
    }
    for (; redirect_ && redirect_->serving < runtime_.size(); ++redirect_->serving) {
      async::Loop& loop = runtime_.loop(redirect_->serving);
      co_await async::run_on(loop, [](http::Server& server, async::Loop& on) -> Task<void> {
        server.start(on);
        co_return;
      }(redirect_->server, loop));
    }
    watchdog_.emplace(runtime_, std::chrono::milliseconds{settings_.stall_limit_ms}, [](const async::Stall& stall) {
      log::warn("a handler held its loop", {{"http.route", std::string_view(stall.route)},
                                            {"held_ms", static_cast<std::int64_t>(stall.held.count())},
                                            {"loop", static_cast<std::uint64_t>(stall.loop)},
                                            {"stack", std::string_view(stall.stack)}});
    });
    if (settings_.route_cost) cost_.emplace(runtime_);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(async::Clock::now() - began);
    if (worker_) {
      for (Core* core : core_.all_cores()) {
        core->gather_metrics = [this](metrics::Exposition form) { return worker_->gather_metrics(form); };
      }
      log::info("worker serves", {{"pid", ::getpid()}, {"took_ms", took.count()}});
      co_await async::race(worker_->serve(duration_of(settings_.worker_stall_seconds) / 4), keep_fresh());
    }
    announce(core_, settings_, server_.addresses().front(),
             redirect_ ? &redirect_->server.addresses().front() : nullptr, took);
    co_await keep_fresh();
  }

  // Certificates and settings, where there are any that change; until it is cancelled.
  Task<void> keep_fresh() {
    std::vector<Task<void>> watches;
    if (tls_) watches.push_back(tls_->watch());
    if (core_.has_live_settings())
      watches.push_back(core_.watch_settings(duration_of(settings_.settings_reload_seconds)));
    if (!watches.empty()) co_await async::all(std::move(watches));
    async::Event never;
    co_await never.wait();
  }

  // The second signal does not wait.
  Task<void> exit_on_signal() {
    while (co_await signals_.next() == SIGHUP) {
    }
    while (worker_ && !worker_->orphaned()) co_await signals_.next();  // its supervisor kills it
    fmt::print(stderr, "stopped at once\n");
    ::_exit(130);
  }

  Task<void> drain() {
    core_.draining = waiting_ == http::Waiting::serve;  // else the service goes on: its readiness must not end
    if (worker_) worker_->begin_drain();
    std::vector<Task<void>> drains;
    for (unsigned i = 0; i < serving_; ++i) {
      drains.push_back(async::run_on(runtime_.loop(i), server_.drain(runtime_.loop(i), waiting_)));
    }
    for (unsigned i = 0; redirect_ && i < redirect_->serving; ++i) {
      drains.push_back(async::run_on(runtime_.loop(i), redirect_->server.drain(runtime_.loop(i), waiting_)));
    }
    if (!drains.empty()) co_await async::all(std::move(drains));
    co_await core_.drain_background();
    watchdog_.reset();
    loop_metrics_ = {};
    cost_.reset();
    if (serving_ > 0) {
      co_await core_.end();
    }
    if (started_loops_) co_await on_every_loop(&Core::stop_loop);
    co_await core_.stop();
  }

  Task<void> stop() {
    co_await async::race(drain(), exit_on_signal());
    if (serving_ > 0) log::info("stopped");
  }

  Core& core_;
  const ServeSettings& settings_;
  async::Signals& signals_;
  std::optional<Overload> overload_;  // before the runtime: requests that end with it tell it
  async::Runtime runtime_;
  std::unique_ptr<ServeTls> tls_;
  http::Server server_;  // after the runtime: its timers are on the loops
  std::optional<Redirecting> redirect_;
  std::optional<Worker> worker_;
  http::Waiting waiting_ = http::Waiting::serve;
  std::optional<async::Watchdog> watchdog_;
  std::optional<RouteCost> cost_;
  metrics::Registry::Collection loop_metrics_;
  unsigned serving_ = 0;
  bool started_loops_ = false;
  const bool at_terminal_ = ::isatty(STDIN_FILENO) == 1 || ::isatty(STDOUT_FILENO) == 1;
};

// SIGHUP ends a program that nothing can be read again for.
async::Signals signals_of(bool reloads) {
  return reloads ? async::Signals{SIGINT, SIGTERM, SIGHUP} : async::Signals{SIGINT, SIGTERM};
}

}  // namespace

int serve(Core& core, const ServeSettings& settings, std::optional<HandOver> hand_over) {
  if (hand_over) ::signal(SIGHUP, SIG_IGN);  // the terminal's, or for the supervisor
  raise_descriptor_limit();
  async::Signals signals = signals_of(!hand_over && core.has_live_settings());
  Serving serving{core, settings, std::move(hand_over), signals};
  serving.run();
  return 0;
}

}  // namespace ashlar::detail
