// One request of a test under way, from its first byte to the end of its answer's body.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/async/timer.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/detail/sending.hpp>

namespace ashlar::testing {

/// On the client's loop. It must be over before it goes.
class Client::Flight final : private async::Completion, private async::Timer {
 public:
  Flight(Client& client, Request request);
  ~Flight() = default;

  /// Once, inside the loop.
  void start();
  [[nodiscard]] bool answered() const noexcept { return answered_; }
  /// Status and headers, once answered.
  [[nodiscard]] const Answer& answer() const noexcept { return answer_; }
  Task<void> until_answered();
  /// nullopt at the end. Throws what the body's generator has thrown.
  Task<std::optional<std::string>> piece();
  /// As when the connection has broken.
  void cancel() noexcept { sending_.scope.cancel(); }
  [[nodiscard]] bool over() const noexcept { return over_; }
  Task<void> until_over();

 private:
  class Waiting final : public async::Completion {
   public:
    explicit Waiting(Flight& flight) noexcept : flight_(flight) {}
    void on_complete(std::exception_ptr error) noexcept override;

   private:
    Flight& flight_;
  };

  Task<void> wait_for_handler();
  void begin_body();
  Task<void> pump(Generator<std::string> stream);
  void end(std::exception_ptr error) noexcept;
  void on_complete(std::exception_ptr error) noexcept override { end(std::move(error)); }
  void on_timer() noexcept override;

  Client& client_;
  Request request_;
  std::string url_;
  Sending sending_;
  Waiting waiting_{*this};
  Answer answer_;
  std::deque<std::string> pieces_;
  std::size_t bytes_ = 0;  // of the pieces
  std::exception_ptr error_;
  bool answered_ = false;
  bool over_ = false;
  async::Event changed_;  // something has come
  async::Event taken_;    // something has been read
};

}  // namespace ashlar::testing
