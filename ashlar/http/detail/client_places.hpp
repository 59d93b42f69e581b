// How requests wait for a place on a connection of HTTP/2, or for their turn to make one.
#pragma once

#include <exception>
#include <list>
#include <optional>
#include <utility>

#include <ashlar/async/waiter.hpp>
#include <ashlar/http/detail/client_http2_connection.hpp>
#include <ashlar/http/detail/client_pool.hpp>

namespace ashlar::http::detail {

/// Makes the next connection of a host; while it lives, no one else does.
class ClientPool::Connecting {
 public:
  Connecting(ClientPool& pool, ClientHost& host) noexcept : pool_(&pool), host_(&host) { host.connecting = true; }
  Connecting(Connecting&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), host_(other.host_) {}
  Connecting& operator=(Connecting&&) = delete;
  ~Connecting() {
    if (pool_ == nullptr) return;
    host_->connecting = false;
    pool_->on_room(*host_);
  }

 private:
  ClientPool* pool_;
  ClientHost* host_;
};

/// One that waits, for as long as it lives. Throws Hopeless when too many do.
class ClientPool::Waiting {
 public:
  explicit Waiting(ClientPool& pool);
  ~Waiting() { --pool_.waiting_; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  ClientPool& pool_;
  ClientCounted shown_;
};

class ClientPlaceWait final : public async::Waiter {
 public:
  /// `first`: it was there before those that wait now.
  ClientPlaceWait(ClientHost& host, const ClientRoute& route, bool first) noexcept
      : host_(host), route_(route), first_(first) {}
  bool await_ready() noexcept {
    if (cancelled_already()) mark_cancelled();
    return cancelled();
  }
  void await_suspend(std::coroutine_handle<> handle) {
    at_ = host_.queue.insert(first_ ? host_.queue.begin() : host_.queue.end(), this);
    suspend(handle);
    queued_ = true;
  }
  void await_resume() const { check_cancelled(); }

  /// Off the queue, to look again, or with what was set below.
  void go_on() noexcept {
    host_.queue.erase(at_);
    queued_ = false;
    wake();
  }
  [[nodiscard]] const ClientRoute& route() const noexcept { return route_; }

  Http2Place place;                                  // that it was given, or ...
  std::optional<ClientLease> lease;                  // ... the right to make a connection, ...
  std::optional<ClientPool::Connecting> connecting;  // ... which it makes alone
  std::exception_ptr error;                          // why there is none

 private:
  void on_cancel() noexcept override {
    if (!queued_) return;
    mark_cancelled();
    go_on();
  }

  ClientHost& host_;
  const ClientRoute& route_;
  std::list<ClientPlaceWait*>::iterator at_;
  bool first_;
  bool queued_ = false;
};

}  // namespace ashlar::http::detail
