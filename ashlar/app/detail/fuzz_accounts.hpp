// Who is logged in while fuzz() runs: credentials that the service itself has given to requests made from its document.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <ashlar/app/detail/fuzz_service.hpp>

namespace ashlar::detail {

struct FuzzAnswer;
struct FuzzRequest;

/// Several, so that one meets what another has made.
constexpr std::size_t kFuzzAccounts = 2;

class FuzzAccounts {
 public:
  /// Keeps what the answer of an operation with grants says. False: nothing. `commands`: how it was come by.
  bool take(std::size_t account, const FuzzOperation& operation, const FuzzAnswer& answer, const std::string& commands);

  [[nodiscard]] bool has(std::size_t account) const noexcept;
  /// Is there something for all that the operation must have?
  [[nodiscard]] bool open(std::size_t account, const FuzzOperation& operation) const;
  /// Adds what there is for it.
  void add(std::size_t account, const FuzzOperation& operation, FuzzRequest& request) const;
  /// What "$AUTH" in the commands for this operation stands for, as comments; empty: there is nothing.
  [[nodiscard]] std::string told(std::size_t account, const FuzzOperation& operation) const;

 private:
  struct Session {
    std::size_t account;
    const Core* core;  // of the operation that gave it
    SecurityInfo scheme;
    std::string value, told;
  };
  [[nodiscard]] const Session* find(std::size_t account, const FuzzOperation& operation,
                                    const SecurityInfo& scheme) const;

  std::vector<Session> sessions_;
};

/// Adds these credentials as the scheme has them. `shown`: stands for them in a command; empty: they are shown.
void add_fuzz_credentials(const SecurityInfo& scheme, const std::string& value, const std::string& shown,
                          FuzzRequest& request);

}  // namespace ashlar::detail
