#include <ashlar/pg/db.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/pg/check.hpp>
#include <ashlar/pg/detail/advisor_commands.hpp>
#include <ashlar/pg/detail/backup_commands.hpp>
#include <ashlar/pg/detail/migrate_commands.hpp>
#include <ashlar/pg/detail/query_commands.hpp>
#include <ashlar/pg/detail/query_watch.hpp>
#include <ashlar/pg/detail/retries.hpp>
#include <ashlar/pg/detail/statistics_commands.hpp>
#include <ashlar/pg/detail/statistics_sampler.hpp>
#include <ashlar/pg/detail/transaction_journal.hpp>
#include <ashlar/pg/migrations.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? nullptr : value;
}

/// A server that is there ends a statement by itself before.
std::chrono::milliseconds answer_timeout(std::chrono::milliseconds statement_timeout) {
  return statement_timeout.count() > 0 ? statement_timeout + 5s : 0ms;
}

Unavailable unusable(const std::exception_ptr& error, const detail::ConnectionConfig* config) {
  return Unavailable(fmt::format("the database cannot be used: {}\n(DATABASE_URL is {})", explain(error),
                                 config != nullptr ? config->options.to_string() : "not valid"));
}

unsigned most_shared(const Options& options) {
  return options.shared_connections_most != 0 ? options.shared_connections_most : 2 * options.shared_connections;
}

}  // namespace

Db::Db(Options options) : options_(std::move(options)) {}
Db::~Db() = default;

std::string Db::url() const { return url_; }

bool Db::use_throwaway() {
  throwaway_ = true;
  return true;
}

Task<void> Db::ensure_url() {
  url_ = throwaway_ ? std::string() : options_.url;
  if (url_.empty() && !throwaway_) {
    if (const char* url = environment("DATABASE_URL")) url_ = url;
  }
  if (url_.empty()) {
    PrivateServerOptions server;
    const char* folder = environment("ASHLAR_DATA_DIR");
    if (!throwaway_)
      server.data = !options_.data.empty() ? options_.data
                                           : std::filesystem::path(folder != nullptr ? folder : ".ashlar") / "postgres";
    server_ = co_await async::offload([&] { return PrivateServer::start(server); });
    for (const std::string& note : server_->notes()) log::info(note);
    log::write(server_->of_parent() ? log::Level::debug : log::Level::info,
               server_->owned() ? "private PostgreSQL started" : "private PostgreSQL shared",
               {{"data", server_->data().string()}, {"pid", server_->pid()}});
    url_ = server_->url();
  }
}

Task<void> Db::ensure_config() {
  if (config_ != nullptr) co_return;
  co_await ensure_url();
  auto config = std::make_shared<detail::ConnectionConfig>();
  config->options = ConnectOptions::parse(url_);
  config->prepared_statements = options_.prepared_statements;
  const auto& given = config->options.parameters;
  const bool has_timeout =
      std::any_of(given.begin(), given.end(), [](const auto& p) { return p.first == "statement_timeout"; });
  if (options_.statement_timeout.count() > 0 && !has_timeout)
    config->options.parameters.emplace_back("statement_timeout", std::to_string(options_.statement_timeout.count()));
  if (config->options.ssl_mode != SslMode::disable) {
    using Verify = net::TlsContext::ClientOptions::Verify;
    const SslMode mode = config->options.ssl_mode;
    config->tls = net::TlsContext::client({.verify = mode == SslMode::verify_full ? Verify::full
                                                     : mode == SslMode::verify_ca ? Verify::certificate
                                                                                  : Verify::none,
                                           .ca_file = config->options.ssl_root_cert,
                                           .certificate_file = config->options.ssl_cert,
                                           .key_file = config->options.ssl_key});
  }
  config_ = std::move(config);
}

Task<void> Db::with_session(Session& session, std::string database) {
  co_await ensure_config();
  auto config = std::make_shared<detail::ConnectionConfig>(*config_);
  if (!database.empty()) config->options.database = std::move(database);
  std::erase_if(config->options.parameters,
                [](const auto& parameter) { return parameter.first == "statement_timeout"; });
  // Migrations take the time they take. A pooler refuses the parameter, so who has told us not to send it is heeded.
  if (options_.statement_timeout.count() > 0) config->options.parameters.emplace_back("statement_timeout", "0");
  detail::Background background;
  std::exception_ptr error;
  {
    detail::Connection connection(async::Loop::current(), std::move(config), background, nullptr);
    try {
      co_await connection.open();
      co_await session.run(connection);
    } catch (...) {
      error = std::current_exception();
    }
  }
  co_await async::shield(background.stop());
  if (error) std::rethrow_exception(error);
}

Task<void> Db::start() {
  if (options_.warn_after_repeats > 0)
    warnings_ = std::make_shared<detail::RepeatWarnings>(options_.warn_after_repeats);
  if (options_.sandbox != nullptr && !options_.migrations.empty())
    throw Internal("migrations would not be undone with the sandbox: apply them before, by another Db");
  std::exception_ptr error;
  try {
    co_await ensure_config();
    // The first loop will find out whether it is there.
    if (options_.migrations.empty() && !options_.check_queries) co_return;
    co_await with_session([this](detail::Connection& connection) -> Task<void> {
      if (!options_.migrations.empty()) {
        Migrator migrator(connection, load_migrations(options_.migrations),
                          {.lock_timeout = options_.migration_lock_timeout, .retry_for = options_.migration_retry_for});
        if (options_.migrate) {
          co_await migrator.up();
        } else if (const auto pending = co_await migrator.pending(); !pending.empty()) {
          throw Internal(fmt::format("the database lacks {} migrations, the first is {}: run the command `migrate`",
                                     pending.size(), pending.front()->file.string()));
        }
      }
      if (options_.check_queries) {
        const auto problems = co_await check_queries(connection);
        if (!problems.empty()) {
          std::string text = fmt::format("{} quer{} not fit the database:", problems.size(),
                                         problems.size() == 1 ? "y does" : "ies do");
          for (const std::string& problem : problems) text += "\n" + problem;
          throw QueryMismatch(std::move(text));
        }
      }
    });
  } catch (const ConnectionLost&) {
    error = std::current_exception();
  } catch (const ErrorFields&) {
    error = std::current_exception();
  }
  if (error) throw unusable(error, config_.get());
}

Task<void> Db::stop() {
  warnings_.reset();
  {
    const std::lock_guard lock(mutex_);
    if (!pools_.empty()) log::warn("pg::Db::stop before stop_loop on every loop", {{"loops", pools_.size()}});
  }
  co_await stop_private_server();
}

Task<void> Db::stop_private_server() {
  if (server_ == nullptr) co_return;
  auto server = std::move(server_);
  config_.reset();
  co_await async::offload([&] { server.reset(); });
}

Task<void> Db::start_shared() { return ensure_url(); }
Task<void> Db::stop_shared() { return stop_private_server(); }

Task<void> Db::start_loop(async::Loop& loop) {
  co_await ensure_config();
  auto pool = std::make_unique<Pool>(loop, config_,
                                     PoolOptions{.shared = options_.shared_connections,
                                                 .shared_most = most_shared(options_),
                                                 .exclusive = options_.exclusive_connections,
                                                 .max_in_flight = options_.max_in_flight,
                                                 .max_waiting = options_.max_waiting,
                                                 .acquire_timeout = options_.acquire_timeout,
                                                 .answer_timeout = answer_timeout(options_.statement_timeout),
                                                 .sandbox = options_.sandbox});
  std::exception_ptr error;
  try {
    co_await pool->start();
  } catch (const ConnectionLost&) {
    error = std::current_exception();
  } catch (const ErrorFields&) {
    error = std::current_exception();
  }
  if (error) throw unusable(error, config_.get());
  const std::lock_guard lock(mutex_);
  if (loop.index() < kDirect) direct_[loop.index()].store(pool.get(), std::memory_order_release);
  pools_.push_back(std::move(pool));
  if (sampler_ == nullptr && options_.statistics_interval.count() > 0)
    sampler_ = std::make_unique<detail::StatisticsSampler>(*this, loop, options_.statistics_interval);
}

Task<void> Db::stop_loop(async::Loop& loop) {
  std::unique_ptr<Pool> pool;
  std::unique_ptr<detail::StatisticsSampler> sampler;
  {
    const std::lock_guard lock(mutex_);
    const auto it = std::find_if(pools_.begin(), pools_.end(), [&](const auto& p) { return &p->loop() == &loop; });
    if (it == pools_.end()) co_return;
    if (sampler_ != nullptr && &sampler_->loop() == &loop) sampler = std::move(sampler_);
    pool = std::move(*it);
    pools_.erase(it);
    if (loop.index() < kDirect) {
      Pool* expected = pool.get();
      direct_[loop.index()].compare_exchange_strong(expected, nullptr);
    }
  }
  if (sampler != nullptr) co_await sampler->stop();
  co_await pool->stop();
}

Pool& Db::find_pool(async::Loop& loop) {
  const std::lock_guard lock(mutex_);
  for (const auto& pool : pools_) {
    if (&pool->loop() == &loop) return *pool;
  }
  throw Internal(
      "pg::Db is used on a loop on which it was not started: co_await db.start_loop(loop) before, stop_loop after "
      "(the application does both by itself)");
}

Task<std::optional<std::string>> Db::unhealthy() {
  std::string trouble = pool().trouble();
  if (!trouble.empty()) co_return trouble;
  const std::lock_guard lock(mutex_);
  for (const auto& other : pools_) {
    if (!other->connected()) co_return fmt::format("loop {} has no connection to the database", other->loop().index());
  }
  co_return std::nullopt;
}

PoolStats Db::stats() { return pool().stats(); }

Task<std::vector<std::string>> Db::check() {
  std::vector<std::string> problems;
  co_await with_session(
      [&](detail::Connection& connection) -> Task<void> { problems = co_await check_queries(connection); });
  co_return problems;
}

std::vector<std::pair<std::string, std::string>> Db::settings() {
  if (throwaway_) return {{"DATABASE_URL", "private server, gone afterwards"}};
  std::string url = "private server";
  const char* from_environment = environment("DATABASE_URL");
  if (!options_.url.empty() || from_environment != nullptr) {
    try {
      url = ConnectOptions::parse(options_.url.empty() ? from_environment : options_.url).to_string();
    } catch (const Error& error) {
      url = error.message();
    }
  }
  return {{"DATABASE_URL", url},
          {"pg.migrations", options_.migrations.string()},
          {"pg.shared_connections", std::to_string(options_.shared_connections)},
          {"pg.shared_connections_most", std::to_string(most_shared(options_))},
          {"pg.exclusive_connections", std::to_string(options_.exclusive_connections)},
          {"pg.statement_timeout", fmt::format("{} ms", options_.statement_timeout.count())}};
}

Task<void> Db::run_transaction(TransactionOptions options, Body& body, std::source_location begun) {
  for (unsigned attempt = 1;; ++attempt) {
    std::exception_ptr error;
    bool again = false;
    std::vector<std::function<Task<void>()>> hooks;
    {
      const Lease lease = co_await pool().acquire();
      Tx tx(lease.connection(), begun);
      tx.attempt_ = attempt;
      try {
        co_await tx.begin(options);
        co_await body.run(tx);
        co_await tx.commit();
        hooks = std::move(tx.hooks_);
      } catch (...) {
        error = std::current_exception();
      }
      if (error) {
        detail::FailedTransaction failed(lease.connection(), tx.journal_, error);
        co_await async::shield(tx.rollback());
        again = attempt < options.max_attempts && detail::may_run_again(error);
        co_await async::shield(failed.report(attempt, again));
      }
    }
    if (!error) {
      co_await Tx::run_hooks(std::move(hooks));
      co_return;
    }
    if (!again) std::rethrow_exception(error);
    co_await async::sleep(detail::retry_pause(attempt));
  }
}

std::vector<async::Command> Db::commands() {
  std::vector<async::Command> out = detail::migrate_commands(*this);
  out.push_back({.name = "psql",
                 .help = "print the command that opens the database in psql",
                 .run = [this](std::vector<std::string> arguments) { return psql_command(std::move(arguments)); },
                 .needs_start = false});
  for (async::Command& command : detail::advisor_commands(*this)) out.push_back(std::move(command));
  for (async::Command& command : detail::query_commands([this] { return snapshot(); }))
    out.push_back(std::move(command));
  for (async::Command& command : detail::backup_commands(*this)) out.push_back(std::move(command));
  for (async::Command& command : detail::statistics_commands(*this)) out.push_back(std::move(command));
  return out;
}

Task<QuerySnapshot> Db::snapshot() {
  QuerySnapshot out;
  std::exception_ptr error;
  try {
    co_await with_session([&](detail::Connection& connection) -> Task<void> {
      const auto queries = co_await describe_queries(connection);
      out = snapshot_of(queries, connection.types());
    });
  } catch (...) {
    error = std::current_exception();
  }
  co_await stop();
  if (error) std::rethrow_exception(error);
  co_return out;
}

Task<int> Db::psql_command(std::vector<std::string>) {
  co_await ensure_config();
  const bool ours = server_ != nullptr && server_->owned();
  if (ours) {
    fmt::print("The private PostgreSQL runs only while the program runs. Start it, then use in another terminal:\n");
    co_await stop();
    fmt::print("  psql -h \"$(cat {}/ashlar.socket)\" -U ashlar ashlar\n",
               (options_.data.empty() ? std::filesystem::path(".ashlar/postgres") : options_.data).string());
    co_return 0;
  }
  fmt::print("psql '{}'\n", config_->options.password.empty() ? url_ : config_->options.to_string());
  co_await stop();
  co_return 0;
}

}  // namespace ashlar::pg
