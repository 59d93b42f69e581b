#include <ashlar/testing/database.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/database_reset.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::testing {
namespace {

using Time = std::chrono::steady_clock;

const log::Logger logger{"testing.database"};

// Copies of a template that wait for a test: one where used ones come back.
constexpr std::size_t kAhead = 2, kAheadOfReused = 1;
// The server's side of a connection goes a moment after the client's, and PostgreSQL waits for it in steps of 100 ms
// before it drops a database: only those are dropped that have been left for some tests.
constexpr std::size_t kUsed = 4;
// For sessions that a test has left behind to go; after the first, a test does not wait for this copy any more.
constexpr std::chrono::milliseconds kUsually{30}, kAtMost{1000}, kLookAgain{1};
// Catalogs grow by the rows of pg_class that each reset leaves.
constexpr unsigned kMostUses = 100;
// All of them have a session; those of templates that are not asked for any more go.
constexpr std::size_t kMostReady = 16;

Task<void> migrate(std::string url, std::filesystem::path migrations) {
  pg::Db db{{.url = std::move(url), .migrations = std::move(migrations)}};
  co_await db.start();
  co_await db.stop();
}

struct Kind {
  std::string name;         // of the template; empty: not made yet
  std::uint64_t since = 0;  // a transaction after its last one
  std::shared_ptr<const pg::TemplateFacts> facts;
  std::deque<std::unique_ptr<detail::Copy>> ready;
  std::size_t taken = 0;
  std::uint64_t last_taken = 0;
  std::size_t coming_back = 0;  // soon
  bool making = false;
  bool reuses = false;  // used copies come back
  bool failed = false;  // the worker leaves it to the next test, which is told why
};

}  // namespace

struct detail::Copy {
  std::string name;
  Kind* kind = nullptr;                      // null: its own test's alone
  std::unique_ptr<pg::DatabaseReset> reset;  // null as well
  unsigned uses = 0;
  Time::time_point left{};  // by its last test
  Time::time_point next{};  // look
  bool renamed = false;     // since then
  bool soon = false;        // counted as coming back
};

namespace {

using detail::Copy;

// The process's server, the templates on it, and the thread that copies them ahead and brings copies back.
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

  std::unique_ptr<Copy> take(const std::filesystem::path& migrations, DatabaseOptions options) {
    Kind& kind = kind_of(migrations);
    if (options.fresh) return copy(kind, false);
    std::unique_lock lock(mutex_);
    kind.failed = false;
    kind.last_taken = ++takes_;
    // A program of one test needs no second copy.
    if (++kind.taken == 2 && !worker_.joinable()) worker_ = std::thread([this] { work(); });
    changed_.notify_all();
    changed_.wait(lock, [&] { return !kind.ready.empty() || (!kind.making && kind.coming_back == 0); });
    if (kind.ready.empty()) {
      lock.unlock();
      return copy(kind, true);
    }
    std::unique_ptr<Copy> ready = std::move(kind.ready.front());
    kind.ready.pop_front();
    lock.unlock();
    changed_.notify_all();  // the worker makes the next one
    return ready;
  }

  void give_back(std::unique_ptr<Copy> copy) {
    {
      const std::lock_guard lock(mutex_);
      const bool again = copy->reset != nullptr && ++copy->uses < kMostUses &&
                         (copy->kind->facts == nullptr || copy->kind->facts->obstacle().empty());
      if (again) {
        copy->left = copy->next = Time::now();
        copy->renamed = false;
        copy->soon = true;
        ++copy->kind->coming_back;
        left_.push_back(std::move(copy));
      } else {
        used_.push_back(std::move(copy));
      }
    }
    changed_.notify_all();
  }

 private:
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
    const std::string number = server_->run_sql(fresh, "select pg_current_xact_id()");
    std::from_chars(number.data(), number.data() + number.size(), kind.since);
    kind.reuses = true;
    kind.name = std::move(fresh);
    return kind;
  }

  // In an empty database a test makes tables, and it could not be reused.
  std::unique_ptr<Copy> copy(Kind& kind, bool for_many) {
    auto made = std::make_unique<Copy>();
    made->name = next_name();
    server_->create_database(made->name, kind.name);
    if (!for_many || kind.since == 0) return made;
    made->kind = &kind;
    try {
      made->reset = std::make_unique<pg::DatabaseReset>(*server_, made->name, kind.since);
    } catch (const Error&) {  // there are too many sessions: it is good for one test
    }
    return made;
  }

  std::string next_name() {
    const std::lock_guard lock(mutex_);
    return fmt::format("test_{}", ++copies_);
  }

  Kind* wanted() {
    for (auto& [migrations, kind] : kinds_) {
      if (kind.taken < 2 || kind.failed) continue;
      if (kind.ready.size() + kind.coming_back < (kind.reuses ? kAheadOfReused : kAhead)) return &kind;
    }
    return nullptr;
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      const auto now = Time::now();
      if (const auto due = std::ranges::find_if(left_, [&](const auto& one) { return one->next <= now; });
          due != left_.end()) {
        std::unique_ptr<Copy> copy = std::move(*due);
        left_.erase(due);
        bring_back(std::move(copy), lock);
      } else if (Kind* const kind = wanted(); kind != nullptr) {
        make(*kind, lock);
      } else if (used_.size() > kUsed) {
        drop(lock);
      } else if (left_.empty()) {
        changed_.wait(lock);
      } else {
        changed_.wait_for(lock, kLookAgain);
      }
    }
  }

  void make(Kind& kind, std::unique_lock<std::mutex>& lock) {
    kind.making = true;
    lock.unlock();
    std::unique_ptr<Copy> made;
    try {
      made = copy(kind, true);
    } catch (const Error&) {  // a test has stopped the server
    }
    lock.lock();
    kind.making = false;
    kind.failed = made == nullptr;
    if (made != nullptr) add_ready(kind, std::move(made));
    changed_.notify_all();
  }

  void add_ready(Kind& kind, std::unique_ptr<Copy> copy) {
    kind.ready.push_back(std::move(copy));
    std::size_t all = 0;
    Kind* oldest = nullptr;
    for (auto& [migrations, other] : kinds_) {
      all += other.ready.size();
      if (!other.ready.empty() && (oldest == nullptr || other.last_taken < oldest->last_taken)) oldest = &other;
    }
    if (all <= kMostReady) return;
    used_.push_back(std::move(oldest->ready.front()));
    oldest->ready.pop_front();
    if (oldest != &kind) oldest->taken = 1;  // none is made ahead until it is asked for again
  }

  void bring_back(std::unique_ptr<Copy> copy, std::unique_lock<std::mutex>& lock) {
    Kind& kind = *copy->kind;
    lock.unlock();
    bool busy = false;
    std::optional<std::string> different;
    try {
      if (!copy->renamed) {
        std::string name = next_name();
        copy->reset->rename(name);
        copy->name = std::move(name);
        copy->renamed = true;
      }
      busy = copy->reset->others() != 0;
      if (!busy) {
        if (kind.facts == nullptr) {
          auto facts = pg::TemplateFacts::read(*server_, kind.name);
          lock.lock();
          kind.facts = std::move(facts);
          lock.unlock();
        }
        different = kind.facts->obstacle();
        if (different->empty()) different = copy->reset->restore(*kind.facts);
      }
    } catch (const Error& error) {  // a test has stopped the server
      different = error.message();
    }
    lock.lock();
    const auto waited = Time::now() - copy->left;
    if (busy && waited >= kAtMost) different = "sessions that the test has left open";
    if (busy && !different) {
      copy->next = Time::now() + kLookAgain;
      if (waited >= kUsually) not_soon(*copy);
      left_.push_back(std::move(copy));
      return;
    }
    not_soon(*copy);
    kind.reuses = !different;
    if (different) {
      logger.debug("the database of a test is not used again", {{"because", *different}});
      used_.push_back(std::move(copy));
    } else {
      add_ready(kind, std::move(copy));
    }
    changed_.notify_all();
  }

  void not_soon(Copy& copy) {
    if (!std::exchange(copy.soon, false)) return;
    --copy.kind->coming_back;
    changed_.notify_all();
  }

  void drop(std::unique_lock<std::mutex>& lock) {
    std::unique_ptr<Copy> copy = std::move(used_.front());
    used_.pop_front();
    lock.unlock();
    copy->reset.reset();
    try {
      server_->drop_database(copy->name);
    } catch (const Error&) {  // it goes with the server
    }
    copy.reset();
    lock.lock();
  }

  const std::unique_ptr<pg::PrivateServer> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::filesystem::path, Kind> kinds_;  // whose entries stay where they are
  std::deque<std::unique_ptr<Copy>> left_;       // by their tests, and may come back
  std::deque<std::unique_ptr<Copy>> used_;       // to be dropped
  std::mutex making_templates_;                  // for tests of several threads
  unsigned templates_ = 0;
  unsigned copies_ = 0;
  std::uint64_t takes_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace

Database::Database(const std::filesystem::path& migrations, DatabaseOptions options)
    : copy_(Workshop::instance().take(migrations, options)) {}

Database::~Database() { Workshop::instance().give_back(std::move(copy_)); }

const std::string& Database::name() const noexcept { return copy_->name; }

pg::PrivateServer& Database::server() { return Workshop::instance().server(); }

}  // namespace ashlar::testing
