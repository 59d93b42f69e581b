// The service that `./x bench overload` overloads. GET /work computes for about a millisecond, GET /short for 200 µs;
// GET /query waits for one of eight slots, as for a connection to a database, and has it for 5 ms: 1 600 a second and
// loop.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>

using namespace ashlar;
using namespace std::chrono_literals;

namespace {

std::uint64_t compute(std::uint64_t steps) {
  std::uint64_t value = 88172645463325252;
  for (std::uint64_t i = 0; i < steps; ++i) {
    value ^= value << 13;
    value ^= value >> 7;
    value ^= value << 17;
  }
  return value;
}

// Steps of 200 µs, so that a neighbour on the machine does not count as work.
std::uint64_t calibrate() {
  constexpr std::uint64_t kSteps = 1'000'000;
  auto fastest = async::Nanoseconds::max();
  std::uint64_t sum = 0;
  for (int i = 0; i < 20; ++i) {
    const auto began = async::Clock::now();
    sum += compute(kSteps);
    fastest = std::min<async::Nanoseconds>(fastest, async::Clock::now() - began);
  }
  return kSteps * 200'000 / static_cast<std::uint64_t>(fastest.count()) + (sum & 1);
}

Task<Text> query() {
  thread_local async::Semaphore slots{8};
  const auto permit = co_await slots.acquire();
  co_await async::sleep(5ms);
  co_return Text{"done"};
}

}  // namespace

int main(int argc, char** argv) {
  App app{{.title = "Overload"}};
  const std::uint64_t steps = calibrate();
  const auto answer = [](std::uint64_t value) { return Text{(value & 1) != 0 ? "odd!" : "even"}; };
  app.get<"/short">([=] { return answer(compute(steps)); });
  app.get<"/work">([=] { return answer(compute(5 * steps)); });
  app.get<"/query">(query);
  return run(app, argc, argv);
}
