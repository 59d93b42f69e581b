// The code of docs/guide/pitfalls.md: each trap's safe form, run.
#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>

#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// sample: parameters
Task<std::size_t> count_words(std::string text) {  // by value: the coroutine keeps it
  co_await async::sleep(1ms);
  std::size_t words = 0;
  for (std::size_t at = 0; (at = text.find_first_not_of(' ', at)) != std::string::npos; ++words)
    at = std::min(text.find(' ', at), text.size());
  co_return words;
}
// end of sample

TEST(Pitfalls, ParametersByValueOutliveTheCaller) {
  std::vector<Task<std::size_t>> later;
  for (const char* text : {"one", "one two"}) later.push_back(count_words(std::string{text} + " more"));
  EXPECT_EQ(async::run(async::all(std::move(later))), (std::vector<std::size_t>{2, 3}));
}

// sample: lambda
Task<int> sum_of_squares(std::vector<int> numbers) {
  int sum = 0;
  co_await async::task_group([&](async::TaskGroup& group) -> Task<void> {
    // Without captures: the parameters are copied into the coroutine, the lambda itself may go.
    auto add = [](int number, int& to) -> Task<void> {
      co_await async::sleep(1ms);
      to += number * number;
    };
    for (int number : numbers) group.spawn(add(number, sum));
    co_return;
  });
  co_return sum;  // the group has waited for all: `sum` outlived its users
}
// end of sample

TEST(Pitfalls, AGroupWaitsForWhatItStarted) { EXPECT_EQ(async::run(sum_of_squares({1, 2, 3})), 14); }

// sample: lock
class Log {
 public:
  Task<void> append(std::string line) {
    auto guard = co_await mutex_.lock();  // suspends instead of blocking the loop
    co_await async::sleep(1ms);           // and may be held over a wait
    lines_.push_back(std::move(line));
  }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }

 private:
  async::Mutex mutex_;
  std::vector<std::string> lines_;
};
// end of sample

TEST(Pitfalls, ALockMayBeHeldOverAWait) {
  Log log;
  async::run(async::all(log.append("a"), log.append("b")));
  EXPECT_EQ(log.size(), 2U);
}

std::string read_slowly() { return "text"; }

// sample: blocking
Task<std::size_t> size_of_file() {
  std::string text = co_await async::offload([] { return read_slowly(); });  // a thread of the blocking pool
  co_return text.size();
}
// end of sample

TEST(Pitfalls, BlockingWorkLeavesTheLoop) { EXPECT_EQ(async::run(size_of_file()), 4U); }

Task<void> use_connection() { co_await async::sleep(1h); }

// sample: cleanup
Task<void> say_goodbye(bool& said) {
  co_await async::sleep(1ms);
  said = true;
}

Task<void> conversation(bool& said_goodbye) {
  std::exception_ptr error;
  try {
    co_await use_connection();
  } catch (...) {
    error = std::current_exception();  // no co_await in a catch block: remember, leave, then wait
  }
  co_await async::shield(say_goodbye(said_goodbye));  // runs although this task is cancelled
  if (error) std::rethrow_exception(error);
}
// end of sample

TEST(Pitfalls, CleanUpThatWaitsIsShielded) {
  bool said = false;
  EXPECT_THROW(async::run(async::timeout(5ms, conversation(said))), DeadlineExceeded);
  EXPECT_TRUE(said);
}

}  // namespace
