// What is run again because others disturbed it: whether, when, and how often that happened.
#pragma once

#include <chrono>
#include <exception>
#include <string_view>

namespace ashlar::pg::detail {

/// A serialization failure or a deadlock: nothing was done, and another time it may pass.
[[nodiscard]] bool may_run_again(const std::exception_ptr& error);
/// Before the next attempt: longer each time, up to half a second, and not the same for those who have met.
[[nodiscard]] std::chrono::milliseconds retry_pause(unsigned attempt);
/// For /metrics; `again`: it is run once more, else it has failed.
void count_disturbed(std::string_view reason, bool again);

}  // namespace ashlar::pg::detail
