#include <deque>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;

/// Notifications that wait to be taken, and whether the connection is still there.
class Inbox final : public detail::ConnectionOwner {
 public:
  static constexpr std::size_t kMost = 10'000;
  std::deque<Notification> items;
  bool lost = false;

  class Wait final : public async::Waiter {
   public:
    explicit Wait(Inbox& inbox) noexcept : inbox_(inbox) {}
    ~Wait() = default;
    bool await_ready() noexcept {
      if (cancelled_already()) {
        mark_cancelled();
        return true;
      }
      return !inbox_.items.empty() || inbox_.lost;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      suspend(handle);
      inbox_.waiting_ = this;
    }
    void await_resume() const { check_cancelled(); }
    void resume() noexcept { wake(); }

   private:
    void on_cancel() noexcept override {
      inbox_.waiting_ = nullptr;
      mark_cancelled();
      wake();
    }
    Inbox& inbox_;
  };

 private:
  void on_connection_lost(detail::Connection&, const std::string& reason) noexcept override {
    log::warn("the connection that listens to the database was lost", {{"reason", reason}});
    lost = true;
    notify();
  }
  void on_notification(std::int32_t pid, std::string_view channel, std::string_view payload) override {
    if (items.size() >= kMost) {
      items.pop_front();
      log::warn("a listener is too slow: the oldest notification was dropped", {{"channel", channel}});
    }
    items.push_back({std::string(channel), std::string(payload), pid});
    notify();
  }
  void notify() noexcept {
    if (Wait* const waiting = std::exchange(waiting_, nullptr)) waiting->resume();
  }
  Wait* waiting_ = nullptr;
};

}  // namespace

Generator<Notification> Db::listen(std::string channel) {
  const std::string sql = "listen " + detail::quote_identifier(channel);
  auto pause = 50ms;
  for (bool first = true;; first = false) {
    Inbox inbox;
    detail::Connection connection(async::Loop::current(), config_, pool().background(), &inbox);
    std::exception_ptr error;
    try {
      co_await connection.open();
      co_await detail::TextQuery(connection, sql);
      pause = 50ms;
    } catch (const Cancelled&) {
      throw;
    } catch (const DeadlineExceeded&) {
      throw;
    } catch (...) {
      error = std::current_exception();
    }
    if (error && first) std::rethrow_exception(error);
    while (!error && (!inbox.lost || !inbox.items.empty())) {
      if (!inbox.items.empty()) {
        Notification item = std::move(inbox.items.front());
        inbox.items.pop_front();
        co_yield std::move(item);
        continue;
      }
      co_await Inbox::Wait{inbox};
    }
    connection.close();
    co_await async::sleep(pause);
    pause = std::min<std::chrono::milliseconds>(pause * 2, 2000ms);
  }
}

}  // namespace ashlar::pg
