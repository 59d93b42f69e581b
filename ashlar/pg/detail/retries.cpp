#include <ashlar/pg/detail/retries.hpp>

#include <algorithm>
#include <random>

#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg::detail {

bool may_run_again(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ErrorFields& fields) {
    return is_retryable(fields.code);
  } catch (...) {
    return false;
  }
}

std::chrono::milliseconds retry_pause(unsigned attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const unsigned longest = std::min(500U, 4U << std::min(attempt, 8U));
  return std::chrono::milliseconds(std::uniform_int_distribution<unsigned>(1, longest)(random));
}

void count_disturbed(std::string_view reason, bool again) {
  metrics::Registry& registry = metrics::default_registry();
  if (again) {
    registry
        .counter({.name = "pg.transaction.retries", .help = "Transactions run again.", .unit = "{transaction}"},
                 {{"reason", reason}})
        .add();
  } else {
    registry
        .counter({.name = "pg.transaction.given_up",
                  .help = "Transactions that failed because others disturbed them, after all attempts.",
                  .unit = "{transaction}"},
                 {{"reason", reason}})
        .add();
  }
}

}  // namespace ashlar::pg::detail
