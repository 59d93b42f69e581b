// CopyIn: one COPY FROM STDIN. What is to be sent is gathered in a piece, which leaves as one message when it is full.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include <ashlar/async/task.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/buffer.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {

class CopyIn;

/// What fills the pieces of a COPY.
class CopySource {
 public:
  /// Once the server wants data. What it throws ends the COPY, and comes out of it.
  virtual Task<void> feed(CopyIn& copy) = 0;

 protected:
  ~CopySource() = default;
};

/// Lives in the frame of copy_in(). Used by one coroutine at a time.
class CopyIn final : public async::Waiter, public Operation {
 public:
  /// Longer ones make fewer system calls; this much is still in the processor's cache when it is sent.
  static constexpr std::size_t kPiece = 60 * 1024;

  /// `statement`: for errors. Null: there is only the SQL.
  CopyIn(Connection& connection, const Statement* statement, std::string_view sql) noexcept
      : connection_(connection), statement_(statement), sql_(sql) {}
  ~CopyIn() = default;

  /// Awaitable, once something has been written into the piece: until there is room for more. Throws what the server
  /// said when it has ended the COPY; ConnectionLost; Cancelled, DeadlineExceeded.
  struct Room {
    CopyIn& copy;
    bool there_is;
    [[nodiscard]] bool await_ready() const { return there_is || copy.send_piece(); }
    void await_suspend(std::coroutine_handle<> handle) const noexcept { copy.wait(handle, Until::drained); }
    void await_resume() const {
      if ((copy.ended_ | copy.interrupted_) != 0) [[unlikely]]
        copy.interrupt();
    }
  };
  [[nodiscard]] Room room(bool there_is) noexcept { return {*this, there_is}; }
  [[nodiscard]] Room room() noexcept { return room(piece().size() < kPiece); }

  /// Where the next bytes go, `most` at most; then end_bytes(), which says whether there is room for more.
  [[nodiscard]] char* begin_bytes(std::size_t most) {
    if (static_cast<std::size_t>(limit_ - at_) < most) [[unlikely]]
      make_room(most);
    return at_;
  }
  bool end_bytes(char* to) noexcept {
    at_ = to;
    return to < full_;
  }
  /// The same as a buffer.
  [[nodiscard]] Buffer& piece() {
    if (at_ != nullptr) close_cursor();
    if (piece_.empty()) [[unlikely]]
      begin_piece();
    return piece_;
  }

  /// Sends the statement, feeds it, and waits for the verdict. The number of rows.
  static Task<std::uint64_t> run(Connection& connection, const Statement* statement, std::string sql,
                                 CopySource& source);

 private:
  enum class Until : std::uint8_t { wanted, drained, failed, ended };
  struct Step {
    CopyIn& copy;
    Until until;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept { copy.wait(handle, until); }
    void await_resume() const { copy.check_interrupted(); }
  };

  void start();
  void begin_piece();
  void make_room(std::size_t most);
  void close_cursor() noexcept;
  /// True: there is no need to wait.
  bool send_piece();
  void finish();
  void fail();
  void abandon() noexcept;
  [[noreturn]] void interrupt();
  void check_interrupted();
  void rethrow() const;

  void wait(std::coroutine_handle<> handle, Until until) noexcept;
  [[nodiscard]] bool reached(Until until) const noexcept;
  void progress() noexcept;
  void on_copy_start(Connection& connection, char direction) override;
  void on_drained() noexcept override { progress(); }
  void on_end(Connection&) noexcept override;
  void on_lost(const std::string& reason) noexcept override;
  void on_cancel() noexcept override;

  Connection& connection_;
  const Statement* statement_;
  std::string_view sql_;
  Buffer piece_;
  // The end of the piece while rows are written one after the other: three words that a loop keeps at hand. Null: it is
  // where the buffer says.
  char* at_ = nullptr;
  char* limit_ = nullptr;  // of the buffer
  char* full_ = nullptr;   // of what is sent at a time
  std::exception_ptr outcome_;
  Until until_ = Until::wanted;
  bool waiting_ = false;
  bool wanted_ = false;
  bool ended_ = false;
  bool interrupted_ = false;  // a wait was cancelled, perhaps one of several
};

}  // namespace ashlar::pg::detail
