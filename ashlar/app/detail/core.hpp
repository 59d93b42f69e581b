// Core: the application as it runs. Built by App, immutable while it serves.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/load.hpp>
#include <ashlar/app/detail/route_tree.hpp>
#include <ashlar/app/detail/versions.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/schema/settings.hpp>
#include <ashlar/schema/text_io.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

class LiveSettings;

/// Request durations of one route, one histogram a status; found without a lock once made.
struct Route::Metrics {
  static constexpr std::size_t kStatuses = 24;
  struct Entry {
    std::atomic<int> status{0};
    metrics::Histogram duration;
  };
  std::array<Entry, kStatuses> entries;
  std::mutex adding;
};

/// The route as data: what the routers before it and its handler say.
[[nodiscard]] OperationInfo operation_of(const Route& route);

class Core final : public http::Handler {
 public:
  struct Provider {
    unsigned key;
    std::vector<unsigned> needs;
    std::function<std::shared_ptr<void>(Core&)> make;  // null: `object` is there
    void* object = nullptr;
    bool replaces = false;  // the others of its type
  };
  struct ProgramCommand {
    std::string name;
    std::string help;
    std::vector<unsigned> needs;
    Bound run;
  };
  struct ProgramSettings {
    const schema::TypeInfo* type;
    std::shared_ptr<void> object;
    std::string prefix;
    std::string file;
    void (*move)(void* into, void* fresh);
    std::shared_ptr<void> (*make)();
    std::string problem;       // of the first loading, told by run()
    std::string profile_file;  // the second file; empty: none
    schema::SettingsReport report;
    std::shared_ptr<LiveSettings> live;  // null: nothing of it changes
    void load(std::span<const schema::Pair> flags);
  };
  struct Mounted {
    std::string prefix;  // or a host
    App* app;
  };

  /// Loads them; what is wrong is kept for require_settings().
  void add_settings(ProgramSettings added);
  /// (Re)reads the program's settings, with "name=value" over everything. Throws ValidationError or Invalid.
  void load_settings(const std::vector<std::string>& assignments);
  /// Throws Invalid with what was wrong when they were loaded first.
  void require_settings() const;
  /// Of this application and those mounted in it.
  bool has_live_settings();
  Task<void> reload_settings();
  /// Reads them again when their files have changed, until it is cancelled.
  Task<void> watch_settings(async::Nanoseconds every);

  explicit Core(AppOptions the_options) : options(std::move(the_options)) {}

  // ---- serving ---------------------------------------------------------------------------------------------------
  void handle(http::Exchange& exchange) noexcept override;
  http::BodyPlan plan_body(const http::Request& head, std::uint64_t standard) noexcept override;

  // ---- life ------------------------------------------------------------------------------------------------------
  /// Routes, resources and metrics; throws Invalid with every contradiction found. Once.
  void prepare();
  /// Components and hooks; on the loop of the caller.
  Task<void> start();
  /// Before start(): components that can keep nothing do, and one of them must.
  bool throwaway = false;
  Task<void> start_loop(async::Loop& loop);
  /// The program's own checks and start hooks, when the loops have started; throws what refuses to serve.
  Task<void> begin();
  Task<void> stop_loop(async::Loop& loop);
  Task<void> stop();
  /// Until the background work of all loops has ended.
  Task<void> drain_background();
  /// This application and those mounted in it, each once.
  std::vector<Core*> all_cores();
  /// The program's stop hooks; after the last request.
  Task<void> end();
  /// From now on requests are admitted by it, those of the mounted applications too. Null: all are. It outlives the
  /// serving.
  void watch(Overload* overload);
  /// The components of this application and the mounted ones, in order.
  std::vector<async::Component*> all_components();
  Task<std::vector<std::string>> run_checks();
  std::string openapi();

  // ---- answers ---------------------------------------------------------------------------------------------------
  Problem problem_of(const std::exception_ptr& error) const;
  void write_problem(http::Exchange& exchange, const Problem& problem) const;
  void record(const Call& call) noexcept;

  AppOptions options;
  std::vector<std::unique_ptr<Route>> routes;
  RouteTree tree;
  std::vector<Provider> providers;
  std::vector<void (*)(App&)> parts;  // installed
  std::vector<Provider*> making_order;
  std::vector<void*> resources;              // by key
  std::vector<std::shared_ptr<void>> owned;  // made here, in order
  std::vector<async::Component*> components;
  std::vector<std::shared_ptr<Middleware>> middleware;
  std::vector<RouteDependency> dependencies;
  std::map<std::string, SecurityScheme> security_schemes;
  std::vector<OutgoingRequest> webhooks;
  std::vector<std::function<std::optional<Problem>(const std::exception&)>> mappings;
  std::string_view error_content_type;
  const schema::TypeInfo* error_type = nullptr;
  std::function<void(const Problem&, std::string&)> error_writer;
  std::vector<Bound> start_hooks;
  std::vector<Bound> stop_hooks;
  std::vector<ProgramCommand> commands;
  std::vector<std::function<Task<std::vector<std::string>>()>> checks;
  std::vector<ProgramSettings> settings;
  std::vector<Mounted> mounts;
  std::vector<Mounted> hosts;
  std::unique_ptr<const Versions> versions;  // null: none
  std::string version_header;                // that tells this application from its other versions
  std::atomic<bool> draining{false};
  /// Of several workers: /metrics of all.
  std::function<Task<std::string>(metrics::Exposition)> gather_metrics;
  std::function<std::optional<Priority>(const http::Request&)> classify;
  /// Runs before everything, also before a mounted application is chosen.
  std::unique_ptr<Middleware> front;

 private:
  bool admit(Call& call, async::Loop& loop);
  void refuse_overload(Call& call, LoopLoad& load);
  bool find_route(Call& call);
  bool redirect_slash(Call& call, std::string_view path) const;
  Core* delegate(const http::Request& request, std::string_view& path) const;
  /// Those mounted, of hosts, and versions.
  [[nodiscard]] std::vector<App*> other_apps() const;
  void add_builtin_routes();
  [[nodiscard]] std::vector<std::string> mount_problems() const;
  void choose_providers();
  void order_resources();
  void make(Provider& provider);
  void make_all();

  bool prepared_ = false;
  bool preparing_others_ = false;
  bool delegates_ = false;  // some requests are those of other applications
  std::size_t started_ = 0;
  std::once_flag openapi_once_;
  std::string openapi_text_;
  std::vector<std::string> openapi_problems_;  // of what is said beside the types
  Route unmatched_;
  Overload* overload_ = nullptr;
  metrics::UpDownCounter active_;

 public:
  std::atomic<std::int64_t> background_running{0};
  async::Event background_idle;
};

}  // namespace ashlar::detail
