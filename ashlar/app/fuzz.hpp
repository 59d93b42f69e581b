// fuzz(): requests made from the service's own description, sent within the process, and what is wrong with the
// answers. The command `fuzz` of every program; tests call it too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar {

class App;

struct FuzzProgress {
  std::size_t cases = 0, findings = 0;
  double per_second = 0;
  std::string operation;  ///< "POST /articles"
};

struct FuzzOptions {
  std::uint64_t seed = 1;                 ///< the same seed on a service in the same state: the same requests
  std::size_t cases = 10'000;             ///< by chance, besides those on the bounds of every operation
  std::chrono::nanoseconds time{0};       ///< stop after this, whatever `cases` says; 0: when they are done
  std::vector<std::string> routes = {};   ///< only operations whose "GET /articles/{slug}" or id contains one of these
  std::vector<std::string> exclude = {};  ///< and none of these, not even on the way to others
  std::string authorization = {};         ///< the header of requests that should be let in: "Bearer eyJ…"; empty: it
                                          ///< signs up and logs in, where the document says how
  std::chrono::nanoseconds patience{10'000'000'000};  ///< for one answer
  std::chrono::nanoseconds grace{5'000'000'000};      ///< for a handler that is cancelled then, to end
  /// Cases that are under way at a time: they wait for the database together. 1: one after the other, and the
  /// service meets the same requests in the same order each time. Whatever was wrong while others were under way is
  /// tried alone; what then is right and was only wrong for its case (`use-after-delete`, `valid-refused`, …) is not
  /// told.
  std::size_t at_once = 1;
  std::size_t most_findings = 50;                             ///< stop when there are so many different ones
  std::function<void(const FuzzProgress&)> on_progress = {};  ///< some times a second
};

/// One thing that is wrong, the simplest request that shows it, and how often it was seen.
struct FuzzFinding {
  std::string check;      ///< "server-error", "undocumented-status", …: the table in docs/guide/fuzzing.md
  std::string operation;  ///< "POST /articles"
  std::string message;    ///< what is wrong
  std::string curl;       ///< commands that show it, one a line
  int status = 0;         ///< of the answer; 0: none came
  std::string answer;     ///< the beginning of its body
  std::size_t times = 1;
};

struct FuzzOperationReport {
  std::string operation;
  std::size_t requests = 0, successes = 0;  ///< answered below 400
};

/// How many cases were about what. The first two are of data that fits.
struct FuzzKinds {
  std::size_t alone = 0;        ///< one request
  std::size_t sequences = 0;    ///< on what was made before: uses it, changes it, deletes it, asks for it again
  std::size_t invalid = 0;      ///< one thing wrong with a parameter or the body
  std::size_t credentials = 0;  ///< none, wrong ones, changed ones
  std::size_t methods = 0;      ///< that are not there
};

struct FuzzReport {
  std::uint64_t seed = 0;
  std::size_t cases = 0, requests = 0;
  FuzzKinds kinds;  ///< of `cases`
  std::chrono::nanoseconds duration{0};
  std::vector<FuzzFinding> findings;
  std::vector<FuzzOperationReport> operations;
  std::vector<std::string> notes;  ///< what could not be tried, and what would help

  /// One JSON object, for machines.
  [[nodiscard]] std::string json() const;
};

/// Tries every operation of the application (and of those mounted in it) that is in its OpenAPI document: data that
/// fits, data that is just outside, requests without credentials, methods that are not there, chains that create
/// something, use it and delete it. It changes whatever the service changes: give it a database of its own. The
/// application has started, on this loop. Throws Invalid when `routes` leaves nothing.
Task<FuzzReport> fuzz(App& app, FuzzOptions options);

}  // namespace ashlar
