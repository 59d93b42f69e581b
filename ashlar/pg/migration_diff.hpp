// The next migration, proposed from the tables that the program declares (table.hpp). It writes files, and applies
// none.
//
//   ./service migrate diff
//
// The migrations make one schema in a scratch database, the declarations another; what lies between is proposed, in a
// form that `migrate lint` has nothing to say of: indexes concurrently, constraints not valid and then validated. What
// a declaration says nothing of (other tables, indexes, checks, defaults) stays as it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/table.hpp>

namespace ashlar::pg {

class Db;

struct ProposedMigration {
  std::string name;  ///< "orders_add_note", for the file's name
  std::string text;  ///< up, and the way back
};

struct MigrationProposal {
  std::vector<ProposedMigration> files;  ///< in order
  /// What is not proposed since rows would be lost, or that somebody has to decide.
  std::vector<std::string> notes;
};

/// The tables that the program declares, by name; or those of these names. Throws Invalid when two declarations are of
/// one table, or nobody declares one.
[[nodiscard]] std::vector<const TableDeclaration*> declared_tables(const std::vector<std::string>& names = {});

/// Throws Invalid: no folder of migrations, a declaration that PostgreSQL refuses, one that fails; what find_drift
/// throws.
[[nodiscard]] Task<MigrationProposal> propose_migrations(
    Db& db, std::vector<const TableDeclaration*> tables = declared_tables());

/// Writes them after the newest of the folder; gives the files. Throws Invalid when one cannot be written.
std::vector<std::filesystem::path> write_migrations(const std::filesystem::path& folder,
                                                    const MigrationProposal& proposal);

}  // namespace ashlar::pg
