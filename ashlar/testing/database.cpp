#include <ashlar/testing/database.hpp>

#include <fmt/format.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::testing {
namespace {

constexpr std::size_t kAhead = 2;  // copies of a template that wait for a test
// The server's side of a connection goes a moment after the client's, and PostgreSQL waits for it in steps of 100 ms
// before it drops a database: only those are dropped that have been left for some tests.
constexpr std::size_t kUsed = 4;

Task<void> migrate(std::string url, std::filesystem::path migrations) {
  pg::Db db{{.url = std::move(url), .migrations = std::move(migrations)}};
  co_await db.start();
  co_await db.stop();
}

// The process's server, the templates on it, and the thread that copies them ahead.
class Workshop {
 public:
  static Workshop& instance() {
    static Workshop only;
    return only;
  }

  Workshop() : server_(pg::PrivateServer::start({.database = "postgres"})) {}
  ~Workshop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (worker_.joinable()) worker_.join();
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  [[nodiscard]] pg::PrivateServer& server() noexcept { return *server_; }

  std::string take(const std::filesystem::path& migrations) {
    Kind& kind = kind_of(migrations);
    std::unique_lock lock(mutex_);
    kind.failed = false;
    // A program of one test needs no second copy.
    if (++kind.taken == 2 && !worker_.joinable()) worker_ = std::thread([this] { work(); });
    changed_.notify_all();
    changed_.wait(lock, [&] { return !kind.ready.empty() || !kind.making; });
    if (kind.ready.empty()) {
      lock.unlock();
      return copy(kind);
    }
    std::string name = std::move(kind.ready.front());
    kind.ready.pop_front();
    return name;
  }

  void give_back(std::string name) {
    {
      const std::lock_guard lock(mutex_);
      used_.push_back(std::move(name));
    }
    changed_.notify_all();
  }

 private:
  struct Kind {
    std::string name;  // of the template; empty: not made yet
    std::deque<std::string> ready;
    std::size_t taken = 0;
    bool making = false;
    bool failed = false;  // the worker leaves it to the next test, which is told why
  };

  Kind& kind_of(const std::filesystem::path& migrations) {
    Kind& kind = [&]() -> Kind& {
      const std::lock_guard lock(mutex_);
      return kinds_[migrations];
    }();
    const std::lock_guard one_at_a_time(making_templates_);
    if (!kind.name.empty()) return kind;
    if (migrations.empty()) {
      kind.name = "template1";  // the worker looks at it only once a copy was taken
      return kind;
    }
    std::string fresh = fmt::format("template_{}", ++templates_);  // one that failed stays behind
    server_->create_database(fresh);
    async::run(migrate(server_->url(fresh), migrations));
    // Its next connection writes what PostgreSQL keeps of the catalogs in a file; the copies have it, and begin faster.
    server_->run_sql(fresh, "select 1");
    kind.name = std::move(fresh);
    return kind;
  }

  std::string copy(const Kind& kind) {
    std::string name;
    {
      const std::lock_guard lock(mutex_);
      name = fmt::format("test_{}", ++copies_);
    }
    server_->create_database(name, kind.name);
    return name;
  }

  Kind* wanted() {
    for (auto& [migrations, kind] : kinds_) {
      if (kind.taken >= 2 && kind.ready.size() < kAhead && !kind.failed) return &kind;
    }
    return nullptr;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopping_ || wanted() != nullptr || used_.size() > kUsed; });
      if (stopping_) return;
      if (Kind* const kind = wanted(); kind != nullptr) {
        kind->making = true;
        lock.unlock();
        std::string made;
        try {
          made = copy(*kind);
        } catch (const Error&) {  // a test has stopped the server
        }
        lock.lock();
        kind->making = false;
        kind->failed = made.empty();
        if (!made.empty()) kind->ready.push_back(std::move(made));
        changed_.notify_all();
        continue;
      }
      const std::string name = std::move(used_.front());
      used_.pop_front();
      lock.unlock();
      try {
        server_->drop_database(name);
      } catch (const Error&) {  // it goes with the server
      }
      lock.lock();
    }
  }

  const std::unique_ptr<pg::PrivateServer> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::filesystem::path, Kind> kinds_;  // whose entries stay where they are
  std::deque<std::string> used_;
  std::mutex making_templates_;  // for tests of several threads
  unsigned templates_ = 0;
  unsigned copies_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace

Database::Database(const std::filesystem::path& migrations) : name_(Workshop::instance().take(migrations)) {}

Database::~Database() { Workshop::instance().give_back(std::move(name_)); }

pg::PrivateServer& Database::server() { return Workshop::instance().server(); }

}  // namespace ashlar::testing
