// DatabaseReset: gives a database that a test has used the state of its template again, and proves that it has it. That
// takes a few milliseconds, where to drop the database and to copy the template takes some ten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/private_server.hpp>

namespace ashlar::pg {

/// What is in a template, to compare its copies with.
class TemplateFacts {
 public:
  /// Reads it over a session of its own, which has gone when this returns: the template may be copied at once. Nobody
  /// may change it from then on. Throws the server's errors.
  static std::shared_ptr<const TemplateFacts> read(PrivateServer& server, std::string_view name);

  /// Why no copy can be reset; empty: they can. PostgreSQL before 15, more than 2 MiB of rows to compare, a trigger
  /// that runs whenever a table is truncated.
  [[nodiscard]] const std::string& obstacle() const noexcept { return obstacle_; }

 private:
  friend class DatabaseReset;
  struct Table {
    std::string name;  // as SQL has it
    std::string id;
    std::string rows;
  };
  std::string obstacle_;
  std::vector<Table> catalogs_, seeded_;
  std::string relations_;  // a digest of what they take on disk, and of what the planner knows of them
  std::string estimates_;  // SQL: the planner knows again what it knew
  std::string rewind_;     // SQL: each sequence says again what it says in the template
};

/// A session in a copy of a template, from before the copy is given to a test until the copy goes. It shows in
/// pg_stat_activity, and keeps others from copying or renaming the database. Not thread-safe; every function blocks,
/// and throws ConnectionLost when the server has gone meanwhile.
class DatabaseReset {
 public:
  /// `since`: a transaction id (`select pg_current_xact_id()`) from between the last change of the template and the
  /// first of the copy.
  DatabaseReset(PrivateServer& server, std::string_view name, std::uint64_t since);
  ~DatabaseReset();
  DatabaseReset(const DatabaseReset&) = delete;
  DatabaseReset& operator=(const DatabaseReset&) = delete;

  /// A name that nobody knows: who comes late by the old one finds no database.
  void rename(std::string_view name);
  /// How many other sessions are in the database, those included that are about to be.
  [[nodiscard]] std::size_t others();
  /// After rename(), and once others() is 0: empties the tables that are empty in the template, winds sequences back,
  /// and compares all else with the template: every row of every catalog, of the tables that have rows, sizes,
  /// settings, comments, grants, what is prepared. nullopt: they are equal. Else what differs ("pg_class",
  /// "public.countries", …), and the database is good for nothing any more.
  [[nodiscard]] std::optional<std::string> restore(const TemplateFacts& facts);

 private:
  void prepare(const TemplateFacts& facts);
  [[nodiscard]] std::optional<std::string> changed(std::string_view statement,
                                                   const std::vector<TemplateFacts::Table>& tables);

  std::unique_ptr<detail::BlockingClient> session_;
  std::string since_;
  bool prepared_ = false;
};

}  // namespace ashlar::pg
