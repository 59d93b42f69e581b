// Batch: several queries in front of one Sync, which makes them one transaction and one round trip.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {

/// One of its queries, and what takes the rows. Stays where it is while the batch runs.
class BatchPart : public RowSink {
 public:
  [[nodiscard]] const Statement& statement() const noexcept { return *statement_; }
  [[nodiscard]] std::uint64_t affected() const noexcept { return affected_; }
  /// Forgets what it was given: the batch runs once more.
  virtual void restart() noexcept = 0;

 protected:
  BatchPart(const Statement& statement, Params&& params) noexcept
      : statement_(&statement), params_(std::move(params)) {}
  BatchPart(BatchPart&&) noexcept = default;
  BatchPart& operator=(BatchPart&&) noexcept = default;
  ~BatchPart() = default;

 private:
  friend class Batch;
  friend class Connection;
  friend class BatchList;
  const Statement* statement_;
  Params params_;
  BatchPart* next_ = nullptr;
  Prepared* prepared_ = nullptr;  // kept by the batch from its start to its end
  std::uint64_t affected_ = 0;
};

/// The parts of a batch, in their order. Does not own them.
class BatchList {
 public:
  void push_back(BatchPart& part) noexcept {
    *tail_ = &part;
    tail_ = &part.next_;
    ++size_;
    slow_ |= part.statement().options().slow;
  }
  BatchList() = default;
  BatchList(const BatchList&) = delete;
  BatchList& operator=(const BatchList&) = delete;
  [[nodiscard]] BatchPart* front() const noexcept { return front_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// One of them is.
  [[nodiscard]] bool slow() const noexcept { return slow_; }
  void restart() noexcept;

 private:
  BatchPart* front_ = nullptr;
  BatchPart** tail_ = &front_;
  std::size_t size_ = 0;
  bool slow_ = false;
};

/// Awaitable: one run of them all. When one fails none was done, the error is its own, and those after it were not run.
class Batch final : public Request {
 public:
  Batch(Pool& pool, BatchList& parts) noexcept : Request(pool), parts_(parts) {}
  Batch(Connection& connection, BatchList& parts) noexcept : Request(connection), parts_(parts) {}
  ~Batch() = default;

  void await_suspend(std::coroutine_handle<> handle);
  void await_resume() { finish(); }

 private:
  friend class Connection;
  void submit_to(Connection& connection) override;
  void on_prepared(Connection& connection, Prepared& prepared) override;
  void release_statements(bool drop) noexcept override;
  void forget_statements() noexcept override;
  [[nodiscard]] std::string describe() const override;
  void on_complete(Connection& connection, std::uint64_t rows) override;
  void on_end(Connection& connection) noexcept override;
  void prepare_all(Connection& connection);
  void take_up(BatchPart* part) noexcept;

  BatchList& parts_;
  BatchPart* current_ = nullptr;  // whose rows come now; null: all have ended
};

}  // namespace ashlar::pg::detail
