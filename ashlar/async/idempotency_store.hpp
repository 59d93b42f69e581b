// IdempotencyStore: what was answered to a request, kept so that the same request, sent again, is not done again.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <ashlar/async/task.hpp>
#include <ashlar/base/uuid.hpp>

namespace ashlar::async {

class IdempotencyStore {
 public:
  virtual ~IdempotencyStore() = default;

  /// One request that wants to be done.
  struct Attempt {
    std::string key;                     ///< whose and which: 64 hexadecimal digits
    std::string fingerprint;             ///< of what is asked for: 64 hexadecimal digits
    Uuid id;                             ///< of this attempt alone
    std::chrono::milliseconds lease{0};  ///< so long it may take; then it counts as dead, and another may begin
    std::chrono::seconds keep{0};        ///< so long the key is remembered, from now
  };
  struct Answer {
    int status = 200;          ///< 0: it was done, but what it answered could not be kept
    std::string headers = {};  ///< "Name: value\r\n"…
    std::string body = {};
  };
  enum class State : std::uint8_t {
    begun,          ///< it is the caller's to do, and to end by complete() or abandon()
    running,        ///< somebody does it now
    other_request,  ///< the key was used for something else
    answered,
  };
  struct Found {
    State state = State::begun;
    Answer answer = {};
    std::chrono::milliseconds lease_left{0};  ///< of the one that is running
  };

  /// Decides, for all who ask at the same time, who does it. Throws Unavailable when nobody can tell: then nothing may
  /// be done.
  virtual Task<Found> begin(Attempt attempt) = 0;
  /// What the attempt has answered. False: its lease had ended and another has begun, or it is forgotten.
  virtual Task<bool> complete(std::string key, Uuid attempt, Answer answer) = 0;
  /// Nothing was done: the key is as if it had never been used. Nothing happens when the attempt is not the one that
  /// runs.
  virtual Task<void> abandon(std::string key, Uuid attempt) = 0;
};

}  // namespace ashlar::async
