// RepeatedQueries: finds the loop that asks for one row at a time, where one query would do (N+1).
//
//   pg::RepeatedQueries watch;
//   (void)client.get("/articles");
//   EXPECT_EQ(watch.report(), "");
//
// In a running program `Options::warn_after_repeats` does the same for each request, and writes it to the log.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/context.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg {

struct RepeatedQuery {
  std::string query;  ///< "author_by_id (src/queries.hpp:12)"
  std::size_t times = 0;
  std::string instead;  ///< how to ask once
};

/// Counts every query of the process from its making on, whoever runs it, by its SQL. So: one request, or one call,
/// between making it and asking. Any thread. Costs a mutex for each query while it lives.
class RepeatedQueries {
 public:
  /// Run as often as `limit`, a query is one that is found.
  explicit RepeatedQueries(std::size_t limit = 5);
  ~RepeatedQueries();
  RepeatedQueries(const RepeatedQueries&) = delete;
  RepeatedQueries& operator=(const RepeatedQueries&) = delete;

  /// Those that were run most come first.
  [[nodiscard]] std::vector<RepeatedQuery> found() const;
  /// The same for a message of a test; empty: all is well.
  [[nodiscard]] std::string report() const;

  struct Counts;

 private:
  std::shared_ptr<Counts> counts_;
};

/// How to run a query for many values at once: its SQL with `= any($1)`, or what to use in its place.
[[nodiscard]] std::string batched(std::string_view sql);

}  // namespace ashlar::pg
