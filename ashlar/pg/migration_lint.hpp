// Lint of migrations: statements that are harmless on a laptop and stop a service in production, since they hold a lock
// while they read or write a whole table, or break the program that still runs. Each finding says why, and how else.
//
//   ./service migrate lint
//
// Tables that the same file makes have no rows and no readers: nothing is said of them. What you know better is allowed
// beside the SQL, with the reason:
//
//   -- ashlar: allow drop-column nobody has read it since 2.4
//   alter table users drop column nickname;
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/migrations.hpp>

namespace ashlar::pg {

class Db;

struct LintRule {
  std::string_view name;
  std::string_view what;
};
/// All of them.
[[nodiscard]] std::span<const LintRule> lint_rules() noexcept;

struct LintFinding {
  std::string rule;
  std::filesystem::path file;
  std::uint32_t line = 0;
  std::string why;    ///< which lock, how long, what fails
  std::string safer;  ///< SQL, with comments; empty: there is no other way
};

/// What a statement did when it was run on a scratch database.
struct LintFact {
  std::uint64_t version = 0;
  std::uint32_t line = 0;              ///< of the statement
  std::vector<std::string> rewritten;  ///< tables that were there before, and have another file now; with indexes
  std::vector<std::string> locked;     ///< tables that were there before, against all others, until the commit
};

struct LintOptions {
  /// Only files after this one are spoken of; those before tell which tables there are.
  std::uint64_t after = 0;
  /// These files run together: what one of them makes has no rows for the next.
  bool together = false;
  /// From measure_migrations. Without, what only the server can tell is said with "may".
  std::optional<std::vector<LintFact>> facts = {};
};

/// Reads the files in order. Looks at the queries of the program for what is dropped and renamed. Runs nothing.
[[nodiscard]] std::vector<LintFinding> lint_migrations(std::span<const Migration> files, LintOptions options = {});

/// Runs all files in a scratch database, statement by statement, and looks which tables of those that were there get
/// another file, and which locks are held. Throws what find_drift throws, and Invalid when a statement fails.
[[nodiscard]] Task<std::vector<LintFact>> measure_migrations(Db& db, std::span<const Migration> files);

/// For people at a terminal: "FILE:LINE: rule: why", and what to write below it.
[[nodiscard]] std::string to_text(std::span<const LintFinding> findings);

}  // namespace ashlar::pg
